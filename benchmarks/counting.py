"""Forms clusters on the model of Juju, and counts what that took, and for how long."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks import charms
from tests import juju_model
from tests.clouds import local, protocol
from tests.microclusters import lxd

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection, Sequence

_VERSION = "3.6"  # of Juju
_DAEMONS = 3
_NOT_COUNTED = ("juju-log", "status-set", "bytes-read", "bytes-written")
_ROUNDS = 8
# Seconds of the model's time for a failed hook to be tried again.
_PATIENCE = 600.0


@dataclasses.dataclass(frozen=True)
class Cost:
    """What hooks took, of all units together; the benchmark's page says what each number is."""

    hooks: float = 0
    calls: float = 0
    commands: float = 0
    read: float = 0
    written: float = 0
    failed: float = 0
    seconds: float = 0

    @classmethod
    def of(cls, hooks: Collection[juju_model.Hook], started: float = 0) -> Cost:
        """Return what hooks took, which began at a moment of the model's time."""
        tools = sum((hook.tools for hook in hooks), collections.Counter[str]())
        run = [command for hook in hooks for command in hook.commands]
        ended = [hook.time + hook.duration for hook in hooks if ran(hook, "bootstrap", "join")]
        return cls(
            hooks=len(hooks),
            calls=sum(number for tool, number in tools.items() if tool not in _NOT_COUNTED),
            commands=sum(command.argv[0] in local.COMMAND for command in run),
            read=tools["bytes-read"],
            written=tools["bytes-written"],
            failed=sum(hook.outcome is not juju_model.Outcome.OK for hook in hooks),
            seconds=max(ended, default=started) - started,
        )


@dataclasses.dataclass(frozen=True)
class Phase:
    """What it took until all units were members and no hook was due."""

    bare: Cost
    """With as many rounds of update-status as it needed."""

    full: Cost
    """With one round of update-status at the least."""


@dataclasses.dataclass(frozen=True)
class Growth:
    """What it took to form a cluster, and then to add one unit."""

    forming: Phase
    """All units deployed at once, with one unit of the distributor."""

    adding: Phase
    distributor_calls: float
    """The distributor's calls of hook tools, forming."""

    settled_read: float
    """The most bytes that a unit read in a hook, adding, of those that were members before and
    have issued no token; 0 if there were none."""


def ran(hook: juju_model.Hook, *verbs: str) -> bool:
    """Return whether one of these commands of the cluster succeeded in a hook."""
    return any(each.returncode == 0 and {*verbs} & {*each.argv} for each in hook.commands)


def grow(
    contender: charms.Contender, units: int, seed: int = 0, checkout: pathlib.Path | None = None
) -> Growth:
    """Form a cluster of so many units and add one; RuntimeError if it never forms.

    The seed draws where Juju's own order is random.
    """
    with juju_model.Juju(seed, version=_VERSION) as juju:
        microcluster = local.fake_microcluster(juju, seed)
        charms.deploy(juju, contender, units, microcluster.add_machine, checkout)

        def run(expected: int) -> tuple[list[juju_model.Hook], Phase]:
            juju.trace.clear()
            started, rounds = juju.now, 0
            juju.settle(retry_failed=True, patience=_PATIENCE)
            while len(microcluster.online_members()) < expected:
                rounds += 1
                if rounds > _ROUNDS:
                    raise RuntimeError(f"{contender.value}: {expected} units, seed {seed}")
                juju.update_status_round(retry_failed=True, patience=_PATIENCE)
            bare = Cost.of(juju.trace, started)
            if not rounds:
                juju.update_status_round(retry_failed=True, patience=_PATIENCE)
            return [*juju.trace], Phase(bare, Cost.of(juju.trace, started))

        forming, formed = run(units)
        newcomer = juju.add_unit(protocol.CONSUMER)
        adding, added = run(units + 1)
    distributor = [hook for hook in forming if hook.unit.startswith(protocol.DISTRIBUTOR)]
    unsettled = {newcomer, *(hook.unit for hook in distributor)}
    unsettled |= {hook.unit for hook in forming + adding if ran(hook, "add")}
    read = [hook.tools["bytes-read"] for hook in adding if hook.unit not in unsettled]
    return Growth(formed, added, Cost.of(distributor).calls, max(read, default=0))


def timed(contender: charms.Contender, checkout: pathlib.Path) -> tuple[float, float]:
    """Form a cluster of daemons that were started before.

    Returns:
        Seconds from the start of the first hook until the last one has joined, and those of the
        commands `bootstrap` and `join` among them, which no library can save.
    """
    moments: list[float] = []

    def around_command(context: juju_model.HookContext) -> None:
        if {*context.argv[1:2]} & {"bootstrap", "join"}:
            moments.append(time.perf_counter())

    with (
        contextlib.closing(lxd.LxdMicrocluster()) as microcluster,
        juju_model.Juju(version=_VERSION) as juju,
    ):
        charms.deploy(juju, contender, _DAEMONS, microcluster.add_machine, checkout)
        juju.faults = around_command
        started = time.perf_counter()
        juju.settle(retry_failed=True)
        while sum(ran(hook, "bootstrap", "join") for hook in juju.trace) < _DAEMONS:
            time.sleep(0.1)
            juju.update_status_round(retry_failed=True)
    return moments[-1] - started, sum(moments[1::2]) - sum(moments[::2])


def median(several: Sequence[Any]) -> Any:
    """Return the median of each number in costs, phases or growths of several seeds."""
    first = several[0]
    if not dataclasses.is_dataclass(first):
        return statistics.median(several)
    names = [field.name for field in dataclasses.fields(first)]
    return type(first)(*(median([getattr(each, name) for each in several]) for name in names))
