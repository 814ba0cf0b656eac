"""Forms clusters on the model of Juju, adds a unit to each, and counts what that took.

All hooks of all units count, from `install` on, failed ones and their retries too. A call is one
of a hook tool, as ops or the charm makes it, except `juju-log` and `status-set`. A command is one
of the cluster's. Bytes are those of databags that were read or written.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any, TypeVar, cast

from benchmarks import charms
from tests import juju_model
from tests.clouds import local

if TYPE_CHECKING:
    import pathlib

VERSION = "3.6"
"""The release of Juju."""

_Measure = TypeVar("_Measure")
_NOT_COUNTED = ("juju-log", "status-set", "bytes-read", "bytes-written")
_ROUNDS = 8
# Seconds of the model's time for a failed hook to be tried again.
_PATIENCE = 600.0


@dataclasses.dataclass(frozen=True)
class Cost:
    """What something took, of all units together; bytes are those of databags."""

    hooks: float = 0
    calls: float = 0
    commands: float = 0
    read: float = 0
    written: float = 0
    failed: float = 0

    @classmethod
    def of(cls, hook: juju_model.Hook) -> Cost:
        """Return what one hook took."""
        words = len(local.COMMAND)
        return cls(
            hooks=1,
            calls=calls(hook),
            commands=sum(list(each.argv[:words]) == local.COMMAND for each in hook.commands),
            read=hook.tools["bytes-read"],
            written=hook.tools["bytes-written"],
            failed=hook.outcome is not juju_model.Outcome.OK,
        )

    def __add__(self, other: Cost) -> Cost:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Cost(*(one + two for one, two in pairs))


@dataclasses.dataclass(frozen=True)
class Phase:
    """What it took until all units were members and no hook was due.

    Attributes:
        bare: that, with as many rounds of update-status as it needed.
        full: that, with one round of update-status at the least.
        seconds: of the model's time, until the last unit had joined.
    """

    bare: Cost
    full: Cost
    seconds: float


@dataclasses.dataclass(frozen=True)
class Growth:
    """What it took to form a cluster, and then to add one unit.

    Attributes:
        forming: all units deployed at once, with one unit of the distributor.
        adding: one more, after that.
        distributor_calls: the distributor's calls of hook tools, forming.
        settled_read: the most bytes that a unit read in a hook, adding, of those that were members
            before and have issued no token; 0 if there were none.
    """

    forming: Phase
    adding: Phase
    distributor_calls: float
    settled_read: float


def calls(hook: juju_model.Hook) -> int:
    """Return how many calls of hook tools a hook made."""
    return sum(number for tool, number in hook.tools.items() if tool not in _NOT_COUNTED)


def ran(hook: juju_model.Hook, *verbs: str) -> bool:
    """Return whether one of these commands of the cluster succeeded in a hook."""
    return any(
        command.returncode == 0 and not set(verbs).isdisjoint(command.argv)
        for command in hook.commands
    )


def grow(
    contender: charms.Contender, units: int, seed: int = 0, checkout: pathlib.Path | None = None
) -> Growth:
    """Form a cluster of so many units and add one; RuntimeError if it never forms.

    The seed draws where Juju's own order is random.
    """
    forming: list[juju_model.Hook] = []
    adding: list[juju_model.Hook] = []
    with juju_model.Juju(seed, version=VERSION) as juju:
        microcluster = local.fake_microcluster(juju, seed)
        charms.deploy(juju, contender, units, microcluster.add_machine, checkout)

        def run(expected: int, hooks: list[juju_model.Hook]) -> Phase:
            juju.on_hook[:] = [hooks.append]
            started = juju.now
            juju.settle(retry_failed=True, patience=_PATIENCE)
            rounds = 0
            while len(microcluster.online_members()) < expected:
                rounds += 1
                if rounds > _ROUNDS:
                    raise RuntimeError(f"{contender.value}: {expected} units, seed {seed}")
                juju.update_status_round(retry_failed=True, patience=_PATIENCE)
            bare = sum(map(Cost.of, hooks), Cost())
            joined = max(h.time + h.duration for h in hooks if ran(h, "bootstrap", "join"))
            if not rounds:
                juju.update_status_round(retry_failed=True, patience=_PATIENCE)
            return Phase(bare, sum(map(Cost.of, hooks), Cost()), joined - started)

        formed = run(units, forming)
        newcomer = juju.add_unit(charms.CONSUMER)
        added = run(units + 1, adding)
    distributor = f"{charms.DISTRIBUTOR}/"
    unsettled = {newcomer, *(hook.unit for hook in forming + adding if ran(hook, "add"))}
    settled = [
        hook.tools["bytes-read"]
        for hook in adding
        if hook.unit not in unsettled and not hook.unit.startswith(distributor)
    ]
    return Growth(
        forming=formed,
        adding=added,
        distributor_calls=sum(calls(h) for h in forming if h.unit.startswith(distributor)),
        settled_read=max(settled, default=0),
    )


def median(several: list[_Measure]) -> _Measure:
    """Return the median of each number in costs, phases or growths of several seeds."""
    first = cast("Any", several[0])
    names = getattr(first, "__dataclass_fields__", None)
    if names is None:
        return cast("Any", statistics.median(cast("list[float]", several)))
    medians = {name: median([getattr(each, name) for each in several]) for name in names}
    return dataclasses.replace(first, **medians)
