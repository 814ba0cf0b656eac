"""One hook in flight: what its tools answer, and the flush at its end."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import ops
import yaml

from tests.juju_model import bridge, entities, hooks, hosts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.juju_model import juju as juju_module

_SINCE = "2026-01-01 00:00:00Z"
# Seconds for which a unit that leads may rely on it, and `ops` keeps the answer of `is-leader`.
_LEASE = 30.0


class Running:
    """A hook in flight on one unit, at its `attempt`."""

    def __init__(
        self, juju: juju_module.Juju, unit: entities.Unit, due: hooks.Due, attempt: int
    ) -> None:
        self.unit = unit
        self.due = due
        self.hook = hooks.Hook(due, time=juju.now, attempt=attempt)
        self.context = hooks.HookContext(hooks.Point.BEFORE_HOOK, self.hook)
        self.locals = dict(unit.relations)
        self.local = None if due.relation_id is None else self.locals[due.relation_id]
        # What the unit will have seen once this hook is through: not what comes while it runs.
        self.data_version = 0
        # Why an action failed, and its results.
        self.failure: str | None = None
        self.results: Mapping[str, Any] = {}
        self._juju = juju
        self._writes: dict[tuple[int, str], dict[str, str]] = {}
        self._leads: bool | None = None
        self._leads_since = 0.0
        self._asked_leader: float | None = None
        if self.local is not None:
            owner = due.remote_unit or self.local.remote.app
            self.data_version = self.local.relation.bag_of(owner).version
            self.local.cache.pop(owner, None)

    def strike(self, point: hooks.Point) -> None:
        """Let the fault injector act at a point of the hook.

        Raises:
            hooks.AgentKilled: the machine has died, or the unit was taken out of the model.
        """
        self.context.point = point
        if self._juju.faults is not None:
            self._juju.faults(self.context)
        if not (self.unit.machine.up and self._juju.has(self.unit)):
            raise hooks.AgentKilled(f"{self.unit.name} is gone in mid-hook")

    # What the tools answer.

    def count(self, tool: str) -> None:
        self.hook.tools[tool] += 1

    def clock(self) -> float:
        return self._juju.now

    def sleep(self, seconds: float) -> None:
        """Let the model's time pass, and real time where the host lives in that."""
        if self._in_real_time:
            bridge.REAL_SLEEP(seconds)
        self._juju.advance(seconds)
        self._juju.meanwhile()

    def relation_ids(self, endpoint: str) -> list[int]:
        self.count("relation-ids")
        return sorted(i for i, local in self.locals.items() if local.endpoint == endpoint)

    def relation_list(self, relation_id: int) -> tuple[str, ...]:
        """Return the members that the unit knows: those joined so far, and the one joining."""
        self.count("relation-list")
        remote = self.locals[relation_id].remote
        return tuple(sorted(map(remote.shown, self._members(relation_id))))

    def relation_get(self, relation_id: int, owner: str) -> dict[str, str]:
        """Return a databag, with the hook's own writes in it."""
        self.count("relation-get")
        local = self.locals[relation_id]
        try:
            owner = local.remote.real(owner)
            data = dict(self._read(local, owner))
        except KeyError:
            raise ops.ModelError(f"ERROR no settings of {owner} found") from None
        data.update(self._writes.get((relation_id, owner), {}))
        data = {key: value for key, value in data.items() if value}
        self.hook.tools["bytes-read"] += _size(data)
        return data

    def relation_set(self, relation_id: int, owner: str, data: Mapping[str, str]) -> None:
        """Note changes until the flush."""
        self.strike(hooks.Point.BEFORE_WRITE)
        self.count("relation-set")
        self.hook.tools["bytes-written"] += _size(data)
        self._writes.setdefault((relation_id, owner), {}).update(data)
        self.strike(hooks.Point.AFTER_WRITE)

    def is_leader(self) -> bool:
        """Whether Juju takes the unit for the leader, which holds for as long as a lease.

        It counts as `ops` does, which asks every 30 s.
        """
        now = self._juju.now
        if self._asked_leader is None or now - self._asked_leader > _LEASE:
            self.count("is-leader")
            self._asked_leader = now
        return self._is_leading()

    def status_set(self, name: str, message: str, *, is_app: bool) -> None:
        """Set a status, at once."""
        self.count("status-set")
        status = entities.Status(name, message)
        if is_app:
            self.unit.app.status = status
        else:
            self.unit.status = status
            self.unit.status_set = True

    def log(self, level: str, message: str) -> None:
        self.count("juju-log")
        self.hook.logs.append((level, message))

    def run(
        self, argv: Sequence[str], timeout: float | None, into: int | None
    ) -> subprocess.CompletedProcess[str]:
        """Run `goal-state`, or a program on the unit's machine.

        Its output goes to the file descriptor `into`, if any, whatever becomes of the hook.
        """
        words = self.context.argv = tuple(argv)
        self.strike(hooks.Point.BEFORE_COMMAND)
        self._juju.meanwhile()
        if words[0] == "goal-state":
            result = self._goal_state(words)
        else:
            result = self._run_on_host(words, timeout)
        if into is not None:
            # The command itself writes there, before anything can happen to the hook.
            os.write(into, (result.stdout or "").encode())
        self._juju.meanwhile()
        self.strike(hooks.Point.AFTER_COMMAND)
        return result

    # The end of the hook.

    def flush(self) -> None:
        """Write all that the hook wrote, or nothing.

        Raises:
            hooks.FlushRefused: the lease is gone.
        """
        self.strike(hooks.Point.BEFORE_FLUSH)
        pending = [
            (local, owner, data)
            for (relation_id, owner), data in self._writes.items()
            if (local := self.unit.relations.get(relation_id)) is not None
        ]
        app = self.unit.app
        if app.leader is not self.unit and any(owner == app.name for _, owner, _ in pending):
            raise hooks.FlushRefused(f"{self.unit.name} no longer leads {app.name}")
        for local, owner, data in pending:
            self._flush_bag(local, owner, data)
        self.strike(hooks.Point.AFTER_FLUSH)

    def wrote(self, relation_id: int, owner: str) -> bool:
        """Whether the hook wrote to this databag."""
        return (relation_id, owner) in self._writes

    def _flush_bag(self, local: entities.Local, owner: str, data: Mapping[str, str]) -> None:
        relation = local.relation
        bag = relation.bag_of(owner)
        changed = bag.apply(data)
        if not changed:
            return
        self.hook.writes += [hooks.Write(relation.id, owner, *change) for change in changed]
        if "/" in owner:
            self._juju.note_change(relation, self.unit)
            return
        for other in relation.other(owner).scope.values():
            self._juju.wake(other.unit)
        if relation.peer:
            local.app_seen = bag.version

    @property
    def _in_real_time(self) -> bool:
        host = self.unit.machine.host
        return isinstance(host, hosts.RealTime) and host.real_time

    def _is_leading(self) -> bool:
        now = self._juju.now
        if self._leads is None or now - self._leads_since > _LEASE:
            unit = self.unit
            self._leads = unit.app.leader is unit or unit.believes_until > now
            self._leads_since = now
        return self._leads

    def _members(self, relation_id: int) -> set[str]:
        members = set(self.locals[relation_id].members)
        if relation_id == self.due.relation_id and self.due.remote_unit is not None:
            if self.due.kind == "relation-joined":
                members.add(self.due.remote_unit)
            elif self.due.kind == "relation-departed":
                members.discard(self.due.remote_unit)
        return members

    def _read(self, local: entities.Local, owner: str) -> Mapping[str, str]:
        relation = local.relation
        is_member = owner in self._members(relation.id)
        gone = not is_member or owner not in relation.present
        refused = owner == self.unit.app.name and not relation.peer and not self._is_leading()
        if refused or (owner in self._juju.unreadable and gone):
            raise ops.ModelError("ERROR permission denied")
        fresh = relation.bag_of(owner).data
        # A unit keeps what it has read of a member until that member's next event (not measured).
        return local.cache.setdefault(owner, fresh) if is_member else fresh

    def _run_on_host(
        self, argv: tuple[str, ...], timeout: float | None
    ) -> subprocess.CompletedProcess[str]:
        started = time.monotonic()
        try:
            result = self.unit.machine.host.run(argv, timeout=timeout)
        except (OSError, subprocess.SubprocessError) as error:
            self.hook.commands.append(hooks.Command(argv, None, type(error).__name__))
            if isinstance(error, subprocess.TimeoutExpired):
                self._juju.advance(error.timeout)
            raise
        if self._in_real_time:
            self._juju.advance(time.monotonic() - started)
        self.hook.commands.append(hooks.Command(argv, result.returncode))
        return result

    def _goal_state(self, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        self.count("goal-state")
        state = goal_state(self._juju, self.unit.app)
        dump = json.dumps if "json" in " ".join(argv) else yaml.safe_dump
        return subprocess.CompletedProcess(argv, 0, dump(state), "")


def goal_state(juju: juju_module.Juju, app: entities.App) -> dict[str, Any]:
    """Return what `goal-state` gives to the units of an application."""

    def units(of: entities.App) -> dict[str, Any]:
        return {
            unit.name: {"status": _goal_status(unit, juju.behaviour), "since": _SINCE}
            for unit in of.units.values()
            if of is app or juju.unnamed.isdisjoint((unit.name, of.name))
        }

    relations: dict[str, dict[str, Any]] = {}
    for relation in app.relations.values():
        other = relation.other(app.name)
        # Juju leaves out peer relations, and all that a consumer of an offer is to the offerer.
        if relation.peer or (other.alias is not None and other.url is None):
            continue
        seen = relations.setdefault(relation.side(app.name).endpoint, {})
        status = {"status": "suspended" if relation.suspended else "joined", "since": _SINCE}
        seen[other.url or other.app] = status
        if other.url is None:
            seen.update(units(juju.apps[other.app]))
    return {"units": units(app), "relations": relations}


def _goal_status(unit: entities.Unit, behaviour: entities.Behaviour) -> str:
    if unit.dying:
        return "dying"
    if unit.machine.lost and unit.begun and behaviour.lost_is_unknown:
        return "unknown"
    return unit.status.name if unit.error is None else "error"


def shown_status(unit: entities.Unit) -> entities.Status:
    """Return a unit's status as Juju shows it, which is not always what its charm has set."""
    if unit.machine.lost:
        return entities.Status("unknown", "agent lost, see `juju debug-log`")
    if unit.error is not None:
        return entities.Status("error", f'hook failed: "{unit.error.due.name}"')
    return unit.status


def _size(data: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) for key, value in data.items())
