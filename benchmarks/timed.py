"""The model of Juju, with a clock under which machines work side by side.

`tests.juju_model` runs one hook after the other. Here a hook reads as it begins, takes its time
(so much for the dispatch, for each hook tool, and for each command what the fake microcluster
says), and writes as it ends; meanwhile other machines run hooks of their own. One machine runs one
hook at a time. A unit with something to do begins as soon as its machine is free, so the model is
as prompt as a Juju can be, and the same each time: the seed only draws where Juju's own order is
random.

Theory of operation. All that can begin has begun before the clock moves. So whatever begins when a
hook ends has waited for that hook, be it for its writes or for its machine: each hook has one
cause, and the chain of causes back to the start is the critical path, without a gap.

What a command does to the cluster it does as its hook begins, and only its time is taken later;
yet `list` names a newcomer to others only once the hook in which it joins has ended.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
from typing import TYPE_CHECKING, Any, cast

from tests import juju_model
from tests.juju_model import resolver, running

if TYPE_CHECKING:
    import collections
    import subprocess
    from collections.abc import Mapping

    from tests.juju_model import bridge, entities

DISPATCH = 0.2
"""Seconds that a dispatch takes besides hook tools and commands, as measured at the least."""

TOOL = 0.004
"""Seconds of a call of a hook tool, as measured on a real Juju."""

LISTED = "bytes-listed"
"""Under which a hook's tools count the bytes that `relation-list` has answered."""

GOAL = "bytes-goal-state"
"""Under which they count those that `goal-state` has answered."""

_MICROSECONDS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Step:
    """A hook with its place in time.

    Attributes:
        hook: its name and what it is about.
        unit: where it ran.
        start: when it began, in seconds since the clock's start.
        end: when it had written what it had to.
        tools: how many hook tools it called.
        commands: what it ran on its machine, the sub-command alone, with the seconds it took.
        cause: the step for which it waited; None at the start of all.
    """

    hook: str
    unit: str
    start: float
    end: float
    tools: int
    commands: tuple[tuple[str, float], ...]
    cause: Step | None = dataclasses.field(repr=False)

    @property
    def seconds(self) -> float:
        """What it is made of, added up: dispatch, tools, commands."""
        return DISPATCH + TOOL * self.tools + sum(seconds for _, seconds in self.commands)

    def path(self) -> list[Step]:
        """Give the critical path that leads here, the first step first, and each by itself."""
        steps: list[Step] = [self]
        while (cause := steps[-1].cause) is not None:
            steps.append(cause)
        return [dataclasses.replace(step, cause=None) for step in reversed(steps)]


class _Flight(running.Running):
    """A hook that writes only once its time is over.

    Args:
        juju: the model.
        unit: the unit.
        due: the hook.
        joining: the host names of those that join a cluster now, in whatever hook.
    """

    def __init__(
        self,
        juju: juju_model.Juju,
        unit: entities.Unit,
        due: juju_model.Due,
        joining: set[str],
    ) -> None:
        super().__init__(juju, unit, due, 1)
        self.committed: bridge.Committed | None = None
        self.spent: list[float] = []
        self._joining = joining

    def relation_list(self, relation_id: int) -> tuple[str, ...]:
        """Give the members that the unit knows, and count the answer's bytes."""
        names = super().relation_list(relation_id)
        self.hook.tools[LISTED] += len(json.dumps(names))
        return names

    def flush(self) -> None:
        """Write nothing yet."""

    def land(self) -> None:
        """Write all that the hook wrote."""
        self._joining.discard(self.unit.machine.host.name)
        super().flush()

    def spend(self, seconds: float) -> None:
        """Note the time of the command that has just run."""
        self.spent.append(seconds)

    def _run_on_host(
        self, argv: tuple[str, ...], timeout: float | None
    ) -> subprocess.CompletedProcess[str]:
        result = super()._run_on_host(argv, timeout)
        if result.returncode:
            return result
        name = self.unit.machine.host.name
        match sub_command(argv):
            case "join":
                self._joining.add(name)
            case "list":
                rows = cast("list[dict[str, str]]", json.loads(result.stdout))
                others = self._joining - {name}
                result.stdout = json.dumps([row for row in rows if row["name"] not in others])
            case _:
                pass
        return result

    def _goal_state(self, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        result = super()._goal_state(argv)
        self.hook.tools[GOAL] += len(result.stdout)
        return result


class TimedJuju(juju_model.Juju):
    """A model of Juju in which machines work side by side.

    Args:
        seed: draws where Juju's own order is random.
        version: the release of Juju.

    Attributes:
        last: the step that ended last; None before the first.
    """

    def __init__(self, seed: int = 0, *, version: str = "4.0") -> None:
        # Costs are added here; only the last record is needed at any time.
        super().__init__(seed, version=version, hook_cost=0.0, trace_length=1)
        self.last: Step | None = None
        self._reading: _Flight | None = None
        self._joining: set[str] = set()
        self._ticks = 0
        self._landings: list[tuple[int, int, _Flight, Step]] = []
        self._flown = 0

    def __enter__(self) -> TimedJuju:
        return self

    def step(self) -> juju_model.Hook | None:
        """Begin all hooks that can begin, then let the clock move to where the next one ends.

        Returns:
            The record of the one that ended; None when none is in flight.
        """
        self._ring()
        for unit, due in iter(self._draw, None):
            self._take_off(unit, due)
        if not self._landings:
            return None
        ticks, _, flight, step = heapq.heappop(self._landings)
        self._ticks, self.now = ticks, ticks / _MICROSECONDS
        self._land(flight, step)
        return flight.hook

    def advance(self, seconds: float) -> None:
        """Let time pass; within a hook, note that its command took so long."""
        if self._reading is not None:
            self._reading.spend(seconds)
            return
        self._ticks += _ticks(seconds)
        self.rest()
        super().advance(seconds)

    def rest(self) -> None:
        """Let what begins next have no cause but whoever asked for it."""
        self.last = None

    def _draw(self) -> tuple[entities.Unit, juju_model.Due] | None:
        while len(self._awake):
            unit = self._awake.draw(self._rng)
            self._awake.discard(unit)
            if unit.machine.busy:
                continue  # it is woken when the hook there has ended
            if due := resolver.candidates(unit, self.now):
                return unit, self._rng.choice(due)
        return None

    def _take_off(self, unit: entities.Unit, due: juju_model.Due) -> None:
        self._prepare(unit, due)
        flight = _Flight(self, unit, due, self._joining)
        unit.in_hook = unit.machine.busy = True
        self._reading = flight
        try:
            flight.committed = self._dispatch(flight, _NO_PARAMETERS)
        finally:
            self._reading = None
        hook = flight.hook
        if hook.outcome is not juju_model.Outcome.OK:
            raise juju_model.HookFailed(hook)
        step = Step(
            hook=str(due).partition(" ")[2],
            unit=unit.name,
            start=self.now,
            end=self.now,
            tools=calls(hook.tools),
            commands=_named(hook, flight.spent),
            cause=self.last,
        )
        ends = self._ticks + _ticks(step.seconds)
        hook.duration = (ends - self._ticks) / _MICROSECONDS
        step = dataclasses.replace(step, end=ends / _MICROSECONDS)
        self._flown += 1
        heapq.heappush(self._landings, (ends, self._flown, flight, step))

    def _land(self, flight: _Flight, step: Step) -> None:
        unit = flight.unit
        flight.land()
        unit.in_hook = unit.machine.busy = False
        self.last = step
        self._conclude(flight)
        for other in unit.machine.units.values():
            self.wake(other)
        self.trace.append(flight.hook)
        for callback in self.on_hook:
            callback(flight.hook)


_NO_PARAMETERS: Mapping[str, Any] = {}


def calls(tools: collections.Counter[str]) -> int:
    """Tell how many hook tools were called."""
    return sum(number for tool, number in tools.items() if not tool.startswith("bytes-"))


def _ticks(seconds: float) -> int:
    """Give whole microseconds: sums of them are the same whatever their order."""
    return round(seconds * _MICROSECONDS)


def _named(hook: juju_model.Hook, spent: list[float]) -> tuple[tuple[str, float], ...]:
    """Give each command that a hook ran its time."""
    names = [sub_command(command.argv) for command in hook.commands]
    # What is not a command of the cluster takes no time that anybody has measured.
    names = [name for name in names if name]
    return tuple(zip(names, spent, strict=True))


def sub_command(argv: tuple[str, ...]) -> str:
    """Give a cluster command's own word, such as `join`; empty for another program's line."""
    words = ("bootstrap", "add", "join", "list", "remove")
    return next((word for word in argv if word in words), "")
