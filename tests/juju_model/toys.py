"""Toy charms, of which a test says what they do at each event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import ops

from tests.juju_model import charms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


# What a test may pass to the action `do`.
_PARAMS = {
    "app": {"type": "boolean"},
    "data": {"type": "object"},
    "fail": {"type": "boolean"},
    "what": {"type": "string"},
}


class Toy(ops.CharmBase):
    """A charm whose reaction to every event is a function.

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

    def react(self, event: ops.EventBase) -> None:
        """Do nothing; a test's charm does something."""

    def _on_any(self, event: ops.EventBase) -> None:
        self.react(event)

    def count(self) -> int:
        """Count the times that this was called, in the stored state."""
        self.stored.count = cast("int", self.stored.count) + 1
        return self.stored.count


def toy(
    name: str, react: Callable[[Any, ops.EventBase], None] | None = None, **meta: Any
) -> charms.Charm:
    """Make a toy charm with an endpoint `link` that is provided, `want` and a peer `peers`.

    Args:
        name: the charm's name.
        react: what it does at every event, given itself and the event.
        meta: metadata, in place of these endpoints.
    """
    endpoints: Mapping[str, Any] = meta or {
        "provides": {"link": {"interface": "toy"}},
        "requires": {"want": {"interface": "toy"}},
        "peers": {"peers": {"interface": "toy-peers"}},
    }
    charm_type = Toy if react is None else type("MyToy", (Toy,), {"react": react})
    return charms.Charm(
        charm_type,
        {"name": name, **endpoints},
        actions={"do": {"params": _PARAMS}},
        config={"options": {"colour": {"type": "string", "default": "blue"}}},
    )


def provider(
    name: str = "left", react: Callable[[Any, ops.EventBase], None] | None = None
) -> charms.Charm:
    """Make a toy charm with nothing but a provided endpoint `link`."""
    return toy(name, react, provides={"link": {"interface": "toy"}})


def requirer(
    name: str = "right", react: Callable[[Any, ops.EventBase], None] | None = None
) -> charms.Charm:
    """Make a toy charm with nothing but a required endpoint `want`."""
    return toy(name, react, requires={"want": {"interface": "toy"}})


def peer(
    name: str = "left", react: Callable[[Any, ops.EventBase], None] | None = None
) -> charms.Charm:
    """Make a toy charm with nothing but a peer endpoint `peers`."""
    return toy(name, react, peers={"peers": {"interface": "toy-peers"}})
