"""Two applications that are related to each other, and what their units do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import ops

from tests import juju_model
from tests.juju_model import toys

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@contextlib.contextmanager
def pair(
    seed: int = 0,
    *,
    left: juju_model.Charm | None = None,
    right: juju_model.Charm | None = None,
    units: tuple[int, int] = (1, 2),
    **options: Any,
) -> Generator[juju_model.Juju]:
    """Settle a model with `left` and `right`, related to each other."""
    with juju_model.Juju(seed, **options) as juju:
        juju.deploy(left or toys.provider(), units=units[0])
        juju.deploy(right or toys.requirer(), units=units[1])
        juju.integrate("left:link", "right:want")
        juju.settle()
        yield juju


def names(juju: juju_model.Juju, unit: str, since: int = 0) -> list[str]:
    """Name the hooks that ran on a unit, each with the unit that it was about."""
    return [
        f"{hook.kind} {hook.remote_unit}" if hook.remote_unit else hook.kind
        for hook in list(juju.trace)[since:]
        if hook.unit == unit
    ]


def kinds(hooks: list[juju_model.Hook]) -> list[str]:
    """Give the hooks as `unit kind remote`."""
    return [f"{hook.unit} {hook.kind} {hook.remote_unit}" for hook in hooks]


def write(
    juju: juju_model.Juju, unit: str, *, app: bool = False, **data: str
) -> list[juju_model.Hook]:
    """Let a unit write to the databags of its first endpoint, settle, and give the hooks of that.

    The unit's charm must be a `writer`.
    """
    before = len(juju.trace)
    juju.run_action(unit, "do", app=app, data=data)
    juju.settle()
    return list(juju.trace)[before + 1 :]


def writer(charm: Callable[..., juju_model.Charm], name: str) -> juju_model.Charm:
    """Make a charm that writes what its action is told to."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.ActionEvent):
            endpoint = next(iter(self.meta.relations))
            for relation in self.model.relations[endpoint]:
                owner = self.app if event.params["app"] else self.unit
                relation.data[owner].update(event.params["data"])

    return charm(name, react)
