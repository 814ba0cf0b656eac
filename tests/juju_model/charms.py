"""Charms that the model can deploy."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import pathlib
import sys
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import ops
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

# The rest of charmcraft.yaml (parts, platforms, prose) means nothing to a hook, and writing and
# parsing it again would be a good part of what a hook costs.
_META_KEYS = ("name", "requires", "provides", "peers", "resources", "storage", "extra-bindings")

_serial = itertools.count()


@dataclasses.dataclass(frozen=True, eq=False)
class Charm:
    """A charm: its class, and its metadata, actions and configuration as in their files."""

    charm_type: type[ops.CharmBase]
    meta: Mapping[str, Any]
    actions: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None

    @classmethod
    def load(cls, path: pathlib.Path | str) -> Charm:
        """Load a charm from a directory with a `charmcraft.yaml` and a `src/charm.py`.

        The module is imported under a name of its own, so that several charms whose module is
        called `charm` can be loaded. Modules that it imports are shared in the usual way.
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
        charm_types = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, ops.CharmBase)
            and value.__module__ == name
        ]
        # A charm may have a base class of its own beside it; the charm is what derives from it.
        [charm_type] = (t for t in charm_types if not any(t in o.__mro__[1:] for o in charm_types))
        return cls(
            charm_type=charm_type,
            meta={key: project[key] for key in _META_KEYS if key in project},
            actions=project.get("actions"),
            config=project.get("config"),
        )

    def endpoints(self, role: str) -> dict[str, str]:
        """Return the endpoints of `provides`, `requires` or `peers`, with their interfaces."""
        declared = cast("Mapping[str, Mapping[str, str]]", self.meta.get(role) or {})
        return {name: endpoint["interface"] for name, endpoint in declared.items()}

    def has_endpoint(self, name: str) -> bool:
        return any(name in self.endpoints(role) for role in ("provides", "requires", "peers"))
