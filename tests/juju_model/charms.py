"""What the model can deploy: charms, and a machine for those without a workload."""

from __future__ import annotations

import dataclasses
import errno
import importlib.util
import itertools
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import ops
import yaml

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

# The rest of charmcraft.yaml means nothing to a hook.
_META_KEYS = ("name", "requires", "provides", "peers")
_serial = itertools.count()


class PlainHost:
    """A machine with nothing installed."""

    address = "10.0.0.1"

    def __init__(self, name: str) -> None:
        self.name = name
        self.command: list[str] = []

    def run(self, argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])

    def kill(self) -> None: ...

    start = destroy = kill


@dataclasses.dataclass(frozen=True, eq=False)
class Charm:
    """A charm: its class, and its metadata and actions as in their files."""

    charm_type: type[ops.CharmBase]
    meta: Mapping[str, Any]
    actions: Mapping[str, Any] | None = None

    @classmethod
    def load(cls, path: pathlib.Path | str) -> Charm:
        """Load a charm from a directory with a `charmcraft.yaml` and a `src/charm.py`.

        The module is imported under a name of its own: other charms' are called `charm` too.
        """
        root = pathlib.Path(path).resolve()
        project = cast("dict[str, Any]", yaml.safe_load((root / "charmcraft.yaml").read_text()))
        name = f"_juju_model_charm_{next(_serial)}"
        spec = importlib.util.spec_from_file_location(name, root / "src" / "charm.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        importable = [str(root / "lib"), str(root / "src"), *sys.path]
        with mock.patch.object(sys, "path", importable):
            spec.loader.exec_module(module)
        [charm_type] = (
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, ops.CharmBase)
            and value.__module__ == name
        )
        meta = {key: project[key] for key in _META_KEYS if key in project}
        return cls(charm_type, meta, project.get("actions"))

    def endpoints(self, role: str) -> dict[str, str]:
        """Return the endpoints of `provides`, `requires` or `peers`, with their interfaces."""
        declared = cast("Mapping[str, Mapping[str, str]]", self.meta.get(role) or {})
        return {name: endpoint["interface"] for name, endpoint in declared.items()}

    def has_endpoint(self, name: str) -> bool:
        return any(name in self.endpoints(role) for role in ("provides", "requires", "peers"))
