"""The model as its users see it, and the loop that runs hooks.

Theory of operation. `step` asks one unit that may have something to do (drawn by the seed) which
hooks may run next, draws one, and runs it to its end; only then do others see what it wrote. With
`interleave` above 0, hooks of other machines also run while a hook waits for a command, so that
what it has read may be out of date by the time it writes.

Time is the model's own, in seconds. A hook advances it a little, a command that times out by
its time limit, `settle` to the next retry or election when nothing else is left to do.
"""

from __future__ import annotations

import math
import pathlib
import tempfile
import traceback
from typing import TYPE_CHECKING, Any

import ops
import ops.testing

from tests.juju_model import bridge, entities, hooks, resolver, running, world

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tests.juju_model import charms
    from tests.microclusters import protocol

# Seconds.
_HOOK_COST = 0.3
_UPDATE_STATUS_INTERVAL = 300.0
_DEEPEST_INTERLEAVING = 3


class Juju(world.World):
    """A Juju model in memory.

    Args:
        seed: makes every choice: which unit is next, the order among its relations, who is
            elected and when.
        version: `4.0` or `3.6`.
        interleave: how likely a hook of another machine runs while a hook waits for a command.
        name: the model's name, of which host names are made.

    Attributes:
        trace: the records of the hooks that ran, in the order in which they ended.
        errors: those of them that failed or were killed.
        on_hook: called with each record, after the hook.
        faults: called at each point of a hook where it can be made to fail: by `HookFault`, by
            `AgentKilled`, or around a command by any exception, which the charm then sees. It may
            also act on the model, and advance its time.
    """

    def __init__(
        self,
        seed: int | random.Random = 0,
        *,
        version: str = "4.0",
        interleave: float = 0.0,
        name: str = "model",
    ) -> None:
        super().__init__(name, seed, entities.BEHAVIOURS[version])
        self.trace: list[hooks.Hook] = []
        self.errors: list[hooks.Hook] = []
        self.on_hook: list[Callable[[hooks.Hook], None]] = []
        self.faults: Callable[[hooks.HookContext], None] | None = None
        self.interleave = interleave
        self._depth = 0
        self._disks = tempfile.TemporaryDirectory(prefix="juju-model-")
        # By charm and by how deeply hooks are nested.
        self._stages: dict[tuple[charms.Charm, int], bridge.Stage] = {}

    def __enter__(self) -> Juju:
        return self

    def __exit__(self, *_: object) -> None:
        for stage in self._stages.values():
            stage.context.close()
        self._disks.cleanup()

    # What can be seen.

    def units(self, app: str) -> list[str]:
        """Name the units of an application that are in the model, dying and lost ones too."""
        application = self.apps.get(app)
        return [] if application is None else list(application.units)

    def unit(self, unit: str) -> entities.Unit:
        return self._units[unit]

    def host(self, unit: str) -> protocol.Machine:
        return self._units[unit].machine.host

    def status(self, unit: str) -> entities.Status:
        """Return a unit's status, as `juju status` shows it."""
        return self._units[unit].shown_status

    def relation_ids(self, app: str, endpoint: str) -> list[int]:
        """Return the ids of the relations on an endpoint, the dying ones too."""
        return [relation.id for relation in self.apps[app].related(endpoint)]

    def bag(self, owner: str, relation_id: int) -> dict[str, str]:
        """Return the databag of a unit or application in a relation, `{}` if there is none."""
        relation = self._relations.get(relation_id)
        return dict(relation.bags[owner].data) if relation and owner in relation.bags else {}

    def bags(self) -> Iterator[entities.Bag]:
        """Yield all databags of the model, those of units that are gone too."""
        for relation in self._relations.values():
            yield from relation.bags.values()

    # Running.

    def run_action(self, unit: str, name: str, **params: Any) -> dict[str, Any]:
        """Run an action, now, and return its results.

        Raises:
            ops.testing.ActionFailed: the charm failed it.
            hooks.HookFailed: the charm raised.
        """
        due = hooks.Due(unit, "action", action=name)
        flight = self._run(self._units[unit], due, **params)
        if flight.hook.outcome is not hooks.Outcome.OK:
            raise hooks.HookFailed(flight.hook)
        if flight.failure is not None:
            raise ops.testing.ActionFailed(flight.failure)
        return dict(flight.results)

    def step(self) -> hooks.Hook | None:
        """Run one hook, and return its record; `None` if there is none to run at this moment."""
        drawn = self._draw()
        return None if drawn is None else self._run(*drawn).hook

    def settle(
        self,
        max_hooks: int | None = None,
        *,
        retry_failed: bool = False,
        patience: float = math.inf,
    ) -> int:
        """Run hooks until there is nothing left to do, and let time pass to get there.

        Args:
            max_hooks: as many at most; by default so many that a model of its size must be done.
            retry_failed: try a failed hook again when its time comes; HookFailed otherwise.
            patience: seconds of the model's time to wait for retries and elections.

        Returns:
            How many hooks ran, without those that ran while another one waited (`interleave`).
        """
        limit = max_hooks or 2000 + 50 * len(self._units) ** 2
        until = self.now + patience
        ran = 0
        while ran < limit:
            errors = len(self.errors)
            if self.step() is None:
                if not self._timers or self._timers[0][0] > until:
                    return ran
                self.advance(max(0.0, self._timers[0][0] - self.now))
                continue
            ran += 1
            if not retry_failed and len(self.errors) > errors:
                raise hooks.HookFailed(self.errors[-1])
        tail = "\n".join(map(str, self.trace[-20:]))
        raise hooks.NotSettled(f"not settled after {ran} hooks; the last were:\n{tail}")

    def update_status_round(
        self, *, retry_failed: bool = False, patience: float = math.inf
    ) -> int:
        """Let five minutes pass, update-status fall due on all units, and `settle`."""
        self.advance(_UPDATE_STATUS_INTERVAL)
        self.mark_update_status()
        return self.settle(retry_failed=retry_failed, patience=patience)

    def mark_update_status(self) -> None:
        """Let update-status fall due on all units that have started."""
        for unit in self._units.values():
            if unit.started and unit.machine.up and not unit.dying:
                unit.update_status_due = True
                self.wake(unit)

    def meanwhile(self) -> None:
        """Let hooks of other machines run while a hook waits, if the model interleaves."""
        while self._depth < _DEEPEST_INTERLEAVING and self._rng.random() < self.interleave:
            if self.step() is None:
                return

    def _draw(self) -> tuple[entities.Unit, hooks.Due] | None:
        parked: list[entities.Unit] = []
        drawn = None
        while drawn is None and self._awake:
            unit = self._awake[self._rng.randrange(len(self._awake))]
            if unit.machine.busy:
                self._doze(unit)
                parked.append(unit)
            elif due := resolver.candidates(unit, self.now):
                drawn = unit, self._rng.choice(due)
            else:
                self._doze(unit)
        for unit in parked:
            self.wake(unit)
        return drawn

    def _run(self, unit: entities.Unit, due: hooks.Due, **params: Any) -> running.Running:
        if due.kind == "install":
            unit.begun = True
            unit.status = entities.Status("maintenance", "installing charm software")
            if unit.app.leader is None:
                # Whichever agent is up first claims the lease.
                self._give_lease(unit.app, unit)
        elif due.kind == "upgrade-charm":
            unit.charm, unit.charm_seen = unit.app.charm, unit.app.charm_version
        key = unit.charm, self._depth
        if key not in self._stages:
            self._stages[key] = bridge.Stage(unit.charm, self.behaviour.juju_version)
        folder = pathlib.Path(self._disks.name) / unit.name.replace("/", "-")
        folder.mkdir(exist_ok=True)
        flight = running.Running(self, unit, due, self._stages[key], folder, params)
        self._depth += 1
        unit.in_hook = unit.machine.busy = True
        try:
            self._dispatch(flight)
        finally:
            self._depth -= 1
            unit.in_hook = unit.machine.busy = False
        self.advance(_HOOK_COST)
        flight.hook.duration = self.now - flight.hook.time
        self._conclude(flight)
        self.trace.append(flight.hook)
        if flight.hook.outcome is not hooks.Outcome.OK:
            self.errors.append(flight.hook)
        for callback in self.on_hook:
            callback(flight.hook)
        return flight

    def _dispatch(self, flight: running.Running) -> None:
        """Run the charm and flush what it wrote; note in the record how that went."""
        failure: BaseException | None = None
        try:
            flight.strike(hooks.Point.BEFORE_HOOK)
            # ops writes its own state to the machine's disk before Juju flushes the databags, so
            # that it stays even when Juju refuses those.
            bridge.run(flight)
            flight.flush()
        except ops.testing.errors.UncaughtCharmError as error:
            failure = error.__cause__ or error
        except (hooks.HookFault, hooks.FlushRefused, hooks.AgentKilled, SystemExit) as error:
            failure = error
        if failure is not None:
            killed = isinstance(failure, hooks.AgentKilled)
            flight.hook.outcome = hooks.Outcome.KILLED if killed else hooks.Outcome.FAILED
            # Only the text: the frames would keep the whole charm alive.
            flight.hook.error = "".join(traceback.format_exception(failure))
            failure.__traceback__ = None

    def _conclude(self, flight: running.Running) -> None:
        """Let the unit remember what it has seen, or that it has failed."""
        unit, hook = flight.unit, flight.hook
        if not self.has(unit):
            return
        if hook.outcome is hooks.Outcome.OK:
            if not flight.due.action:
                unit.error = None
            self._commit(flight)
        elif not flight.due.action:
            self._set_error(unit, flight.due, 1 + (unit.error.attempts if unit.error else 0))
        if self.has(unit) and unit.machine.up:
            if hook.outcome is hooks.Outcome.KILLED:
                self._forget_what_was_read(unit)
            if unit.app.leader is None:
                self._give_lease(unit.app, unit)
            self._synchronise(unit)
            self.wake(unit)

    def _commit(self, flight: running.Running) -> None:
        unit = flight.unit
        match flight.due.kind:
            case "install":
                unit.installed = True
            case "upgrade-charm":
                # Juju has config-changed follow.
                unit.configured = False
            case "leader-elected":
                unit.leader_seen = unit.app.leader is unit
            case "config-changed":
                unit.configured = True
            case "start":
                unit.started = True
                unit.rebooted = False
                # A charm that has set no status until now is `unknown` from then on.
                unit.status = unit.status if unit.status_set else entities.Status()
            case "update-status":
                unit.update_status_due = False
            case "stop":
                unit.stopped = True
            case "remove":
                self._vanish(unit, notify=self.behaviour.peers_depart)
            case _ if flight.local is not None:
                self._commit_relation(flight, flight.local)
            case _:
                pass

    def _commit_relation(self, flight: running.Running, local: entities.Local) -> None:
        remote = flight.due.remote_unit
        match flight.due.kind:
            case "relation-created":
                local.created = True
            case "relation-joined" | "relation-changed" as kind if remote is not None:
                local.members[remote] = flight.data_version
                local.owed = remote if kind == "relation-joined" else None
            case "relation-changed":
                # A leader that wrote its peers' databag has seen what it wrote.
                if (local.relation.id, local.remote.app) not in flight.writes:
                    local.app_seen = flight.data_version
            case "relation-departed" if remote is not None:
                local.members.pop(remote, None)
                local.ghosts.discard(remote)
                local.cache.pop(remote, None)
            case _:
                self._leave_scope(local, notify=True)
