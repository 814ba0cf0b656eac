"""Charms that the model can deploy."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import pathlib
import sys
from typing import TYPE_CHECKING, Any, cast

import ops
import yaml

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

# The rest of charmcraft.yaml (parts, platforms, prose) means nothing to a hook, and writing and
# parsing it again would be a good part of what a hook costs.
_META_KEYS = ("name", "requires", "provides", "peers", "resources", "storage", "extra-bindings")

_serial = itertools.count()


@dataclasses.dataclass(frozen=True, eq=False)
class Charm:
    """A charm: its class and its metadata.

    Attributes:
        charm_type: the class that handles the events.
        meta: the metadata, as in `metadata.yaml`.
        actions: the actions, by name.
        config: the configuration, `{"options": {...}}`.
    """

    charm_type: type[ops.CharmBase]
    meta: Mapping[str, Any]
    actions: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None

    @classmethod
    def load(cls, path: pathlib.Path | str) -> Charm:
        """Load a charm from its project directory.

        The module is imported under a name of its own, so that several charms whose module is
        called `charm` can be loaded. Modules that it imports are shared in the usual way.

        Args:
            path: a directory with a `charmcraft.yaml` and a `src/charm.py`.

        Raises:
            ValueError: `src/charm.py` does not define exactly one charm class.
        """
        root = pathlib.Path(path).resolve()
        project = cast("dict[str, Any]", yaml.safe_load((root / "charmcraft.yaml").read_text()))
        name = f"_juju_model_charm_{next(_serial)}"
        spec = importlib.util.spec_from_file_location(name, root / "src" / "charm.py")
        if spec is None or spec.loader is None:
            raise ValueError(f"cannot load {root}/src/charm.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        with _importable(root / "lib", root / "src"):
            spec.loader.exec_module(module)
        charm_types = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, ops.CharmBase)
            and value.__module__ == name
        ]
        # A charm may have a base class of its own beside it; the charm is what derives from it.
        leaves = [t for t in charm_types if not any(t in o.__mro__[1:] for o in charm_types)]
        if len(leaves) != 1:
            raise ValueError(f"{root}/src/charm.py defines {len(leaves)} charms")
        return cls(
            charm_type=leaves[0],
            meta={key: project[key] for key in _META_KEYS if key in project},
            actions=project.get("actions"),
            config=project.get("config"),
        )

    def endpoints(self, role: str) -> dict[str, str]:
        """Give the endpoints of a role, with their interfaces.

        Args:
            role: `provides`, `requires` or `peers`.
        """
        declared = cast("Mapping[str, Mapping[str, str]]", self.meta.get(role) or {})
        return {name: endpoint["interface"] for name, endpoint in declared.items()}

    def has_endpoint(self, name: str) -> bool:
        """Tell whether the charm declares an endpoint, whatever its role."""
        return any(name in self.endpoints(role) for role in ("provides", "requires", "peers"))


@contextlib.contextmanager
def _importable(*paths: pathlib.Path) -> Generator[None]:
    added = [str(path) for path in paths if path.is_dir() and str(path) not in sys.path]
    sys.path[:0] = added
    try:
        yield
    finally:
        for path in added:
            sys.path.remove(path)
