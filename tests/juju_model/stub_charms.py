"""Charms for tests of the model itself, whose reaction to each event is a function."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import ops

from tests.juju_model import charms

React: TypeAlias = Callable[["Stub", ops.EventBase], object]

_ENDPOINTS = {
    "link": ("provides", "stub"),
    "want": ("requires", "stub"),
    "peers": ("peers", "stub-peers"),
}
_ACTIONS = {
    "write": {"params": {"app": {"type": "boolean"}, "data": {"type": "object"}}},
    "see": {},
}


class Stub(ops.CharmBase):
    """It writes its databags and returns what it sees by its actions, and calls `react`.

    Attributes:
        stored: what it keeps on its machine.
    """

    stored = ops.StoredState()

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.stored.set_default(count=0)
        for name, event in self.on.events().items():
            if not name.startswith("collect_"):
                framework.observe(event, self._on_any)

    @property
    def links(self) -> list[ops.Relation]:
        """The relations on its first endpoint."""
        return self.model.relations[next(iter(self.meta.relations))]

    def react(self, event: ops.EventBase) -> None:
        """Do nothing; a test's charm does something."""

    def count(self) -> int:
        """Count in the stored state how often this was called."""
        self.stored.count = cast("int", self.stored.count) + 1
        return self.stored.count

    def _on_any(self, event: ops.EventBase) -> None:
        match event.handle.kind:
            case "write_action" if isinstance(event, ops.ActionEvent):
                for relation in self.links:
                    owner = self.app if event.params["app"] else self.unit
                    relation.data[owner].update(event.params["data"])
            case "see_action" if isinstance(event, ops.ActionEvent):
                event.set_results({"seen": json.dumps(self._see())})
            case _:
                self.react(event)

    def _see(self) -> dict[str, Any]:
        argv = ["goal-state", "--format", "json"]
        goal = subprocess.run(argv, check=True, capture_output=True, text=True)  # noqa: S603 - the model's
        relations = {
            relation.id: {
                "app": relation.app.name,
                "data": dict(relation.data[relation.app]),
                "units": {unit.name: relation.data[unit].get("what") for unit in relation.units},
            }
            for relation in self.links
        }
        return {"goal": json.loads(goal.stdout), "relations": relations}


def stub(*endpoints: str, react: React | None = None) -> charms.Charm:
    """Make a charm with some of the endpoints `link` (provides), `want` (requires) and `peers`."""
    meta: dict[str, Any] = {"name": "stub"}
    for name in endpoints:
        role, interface = _ENDPOINTS[name]
        meta.setdefault(role, {})[name] = {"interface": interface}
    return charms.Charm(
        Stub if react is None else type("ReactingStub", (Stub,), {"react": react}),
        meta,
        actions=_ACTIONS,
    )
