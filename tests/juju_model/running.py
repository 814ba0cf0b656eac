"""One hook in flight: what it runs, and the flush at its end; its tools are in `tools`."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.juju_model import entities, hooks

if TYPE_CHECKING:
    import io
    import pathlib
    from collections.abc import Mapping, Sequence

    from tests.juju_model import bridge
    from tests.juju_model import juju as juju_module

_SINCE = "2026-01-01 00:00:00Z"


@dataclasses.dataclass(eq=False)
class Running:
    """A hook in flight on one unit, which has a folder of its own on its machine."""

    juju: juju_module.Juju
    unit: entities.Unit
    due: hooks.Due
    stage: bridge.Stage
    folder: pathlib.Path
    # The parameters of an action, why it failed, and its results.
    params: Mapping[str, Any]
    failure: str | None = None
    results: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    # What is written until the flush, by relation and owner.
    writes: dict[tuple[int, str], dict[str, str]] = dataclasses.field(
        default_factory=dict[tuple[int, str], dict[str, str]]
    )
    # What the unit will have seen once this hook is through.
    data_version: int = 0

    def __post_init__(self) -> None:
        due = self.due
        self.hook = hooks.Hook(**vars(due), time=self.juju.now)
        self.context = hooks.HookContext(hooks.Point.BEFORE_HOOK, self.hook)
        self.locals = dict(self.unit.relations)
        self.local = None if due.relation_id is None else self.locals[due.relation_id]
        if self.local is not None:
            owner = due.remote_unit or self.local.remote.app
            self.data_version = self.local.relation.bags[owner].version
            self.local.cache.pop(owner, None)

    def strike(self, point: hooks.Point) -> None:
        """Let the fault injector act at a point of the hook, which may be the hook's end."""
        self.context.point = point
        if self.juju.faults is not None:
            self.juju.faults(self.context)
        if not (self.unit.machine.up and self.juju.has(self.unit)):
            raise hooks.AgentKilled(f"{self.unit.name} is gone in mid-hook")

    def count(self, tool: str, number: int = 1) -> None:
        self.hook.tools[tool] += number

    def sleep(self, seconds: float) -> None:
        """Let the model's time pass, and real time where the host lives in that."""
        if self._in_real_time:
            time.sleep(seconds)
        self.juju.advance(seconds)
        self.juju.meanwhile()

    def run(
        self, argv: Sequence[str], timeout: float | None, into: io.IOBase | None
    ) -> subprocess.CompletedProcess[str]:
        """Run `goal-state`, or a program on the unit's machine; write what it prints `into`."""
        words = self.context.argv = tuple(argv)
        self.strike(hooks.Point.BEFORE_COMMAND)
        self.juju.meanwhile()
        if words[0] == "goal-state":
            self.count("goal-state")
            state = json.dumps(_goal_state(self.juju, self.unit.app))
            result = subprocess.CompletedProcess(words, 0, state, "")
        else:
            result = self._run_on_host(words, timeout)
        if into is not None:
            # The command itself writes there, before anything can happen to the hook.
            os.write(into.fileno(), result.stdout.encode())
        self.juju.meanwhile()
        self.strike(hooks.Point.AFTER_COMMAND)
        return result

    def flush(self) -> None:
        """Write all that the hook wrote, or nothing."""
        self.strike(hooks.Point.BEFORE_FLUSH)
        app, relations = self.unit.app, self.unit.relations
        pending = [(*where, data) for where, data in self.writes.items() if where[0] in relations]
        if app.leader is not self.unit and any(owner == app.name for _, owner, _ in pending):
            raise hooks.FlushRefused(f"{self.unit.name} no longer leads {app.name}")
        for relation_id, owner, data in pending:
            self._flush_bag(relations[relation_id], owner, data)
        self.strike(hooks.Point.AFTER_FLUSH)

    def _flush_bag(self, local: entities.Local, owner: str, data: Mapping[str, str]) -> None:
        relation = local.relation
        bag = relation.bags[owner]
        if not (changed := bag.apply(data)):
            return
        self.hook.writes += [hooks.Write(relation.id, owner, *change) for change in changed]
        if owner == self.unit.name:
            self.juju.note_change(relation, self.unit)
            return
        for other in relation.other(owner).scope.values():
            self.juju.wake(other.unit)
        if relation.peer:
            local.app_seen = bag.version

    @property
    def _in_real_time(self) -> bool:
        return getattr(self.unit.machine.host, "real_time", False)

    def _run_on_host(
        self, argv: tuple[str, ...], timeout: float | None
    ) -> subprocess.CompletedProcess[str]:
        started = time.monotonic()
        try:
            result = self.unit.machine.host.run(argv, timeout=timeout)
        except (OSError, subprocess.SubprocessError) as error:
            self.hook.commands.append(hooks.Command(argv, None, type(error).__name__))
            if isinstance(error, subprocess.TimeoutExpired):
                self.juju.advance(error.timeout)
            raise
        if self._in_real_time:
            self.juju.advance(time.monotonic() - started)
        self.hook.commands.append(hooks.Command(argv, result.returncode))
        return result


def _goal_state(juju: juju_module.Juju, app: entities.App) -> dict[str, Any]:
    """Return what `goal-state` gives to the units of an application."""

    def units(of: entities.App) -> dict[str, Any]:
        return {
            unit.name: {"status": status(unit), "since": _SINCE}
            for unit in of.units.values()
            if of is app or unit.name not in juju.unnamed
        }

    def status(unit: entities.Unit) -> str:
        if unit.dying:
            return "dying"
        if unit.machine.lost and unit.begun and juju.behaviour.lost_is_unknown:
            return "unknown"
        return unit.status.name if unit.error is None else "error"

    relations: dict[str, dict[str, Any]] = {}
    for relation in app.relations.values():
        other = relation.other(app.name)
        # Juju leaves out peer relations, and all that a consumer of an offer is to the offerer.
        if relation.peer or (other.alias and other is relation.sides[0]):
            continue
        seen = relations.setdefault(relation.side(app.name).endpoint, {})
        url = f"admin/other.{other.alias}" if other.alias else ""
        relation_status = "suspended" if relation.suspended else "joined"
        seen[url or other.app] = {"status": relation_status, "since": _SINCE}
        seen.update({} if url else units(juju.apps[other.app]))
    return {"units": units(app), "relations": relations}
