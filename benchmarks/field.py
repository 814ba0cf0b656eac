"""The field's own charm and library, loaded from a checkout of their repository.

Nothing of them is kept here. The checkout has the library of patch 8 in `lib/` and the distributor
in `src/charm.py`; the consumer is written here, around that library.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import ops

from tests import juju_model
from tests.clouds import local, protocol

if TYPE_CHECKING:
    import pathlib
    import types
    from collections.abc import Generator

_LIBRARY = "charms.microcluster_token_distributor.v0.token_distributor"
_PRIVATE = "_field_token_distributor"


@functools.cache
def charms(checkout: pathlib.Path) -> tuple[juju_model.Charm, juju_model.Charm]:
    """Load the field's charms.

    Args:
        checkout: a checkout of the repository of the distributor and its library.

    Returns:
        The consumer and the distributor.

    Raises:
        FileNotFoundError: there is no such checkout.
    """
    library = _load_library(checkout)
    with _in_place_of_ours(library):
        distributor = juju_model.Charm.load(checkout)
    endpoints = dict(local.charm(protocol.CONSUMER).meta)
    return juju_model.Charm(_consumer(library), endpoints), distributor


def _load_library(checkout: pathlib.Path) -> types.ModuleType:
    path = checkout.joinpath("lib", *_LIBRARY.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(_PRIVATE, path)
    assert spec is not None  # noqa: S101 - it ends in .py
    assert spec.loader is not None  # noqa: S101 - likewise
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PRIVATE] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _in_place_of_ours(library: types.ModuleType) -> Generator[None]:
    """Let the field's distributor import its own library under the name that both have."""
    ours = sys.modules.get(_LIBRARY)
    sys.modules[_LIBRARY] = library
    try:
        yield
    finally:
        del sys.modules[_LIBRARY]
        if ours is not None:
            sys.modules[_LIBRARY] = ours


def _consumer(library: Any) -> type[ops.CharmBase]:
    """Make a charm that does for the field's library what `lxd_cluster` does for ours."""

    class FieldConsumerCharm(ops.CharmBase):
        def __init__(self, framework: ops.Framework) -> None:
            super().__init__(framework)
            self.cluster = library.TokenConsumer(
                charm=self, relation_name=local.ENDPOINT, command_name=local.COMMAND
            )
            self.cluster.bootstrap_args_func = self._address
            self.cluster.join_args_func = self._address
            framework.observe(self.cluster.on.joined, self._on_joined)

        def _on_joined(self, _: ops.EventBase) -> None:
            with contextlib.suppress(FileNotFoundError):
                command = ["lxd", "--version"]
                done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 - fixed
                self.unit.set_workload_version(done.stdout.strip())

        def _address(self) -> list[str]:
            binding = self.model.get_binding(local.ENDPOINT)
            address = binding.network.bind_address if binding else None
            return ["--address", str(address)] if address else []

    return FieldConsumerCharm
