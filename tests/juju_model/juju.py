"""The model as its users see it, and the loop that runs hooks.

Theory of operation. `step` asks one unit that may have something to do (drawn by the seed) which
hooks may run next, draws one, and runs it to its end; only then do others see what it wrote. With
`interleave` above 0, hooks of other machines also run while a hook waits for a command, so that
what it has read may be out of date by the time it writes.

Time is the model's own, in seconds. A hook advances it by `hook_cost`, a command that times out by
its time limit, `settle` to the next retry or election when nothing else is left to do.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
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
    from collections.abc import Callable, Generator, Iterator, Mapping

    from tests.juju_model import hosts

_UPDATE_STATUS_INTERVAL = 300.0
_DEEPEST_INTERLEAVING = 3
# From what an operator must look at down to what is well: an application shows its units' worst.
_SEVERITY = ("error", "blocked", "maintenance", "waiting", "unknown", "active")


@dataclasses.dataclass(frozen=True)
class BagView:
    """One databag, for invariants.

    Attributes:
        relation_id: the relation.
        endpoint: the owner's endpoint.
        owner: the unit or application whose databag it is.
        data: the contents.
        size: the bytes that they take.
    """

    relation_id: int
    endpoint: str
    owner: str
    data: Mapping[str, str] = dataclasses.field(repr=False)
    size: int


class Juju(world.World):
    """A Juju model in memory.

    Args:
        seed: makes every choice: which unit is next, the order among its relations, who is
            elected and when.
        version: `4.0` or `3.6`; where they differ, `behaviour` says how.
        goal_state: whether charms find the `goal-state` tool.
        behaviour: overrides what `version` says.
        interleave: how likely a hook of another machine runs while a hook waits for a command.
        hook_cost: seconds that a hook takes.
        name: the model's name, of which host names are made.
        trace_length: how many records to keep; all by default.

    Attributes:
        trace: the records of the hooks that ran, in the order in which they ended.
        errors: those of them that failed or were killed.
        on_hook: called with each record, after the hook.
        faults: called at each point of a hook where it can be made to fail: by `HookFault`, by
            `AgentKilled`, or around a command by any exception, which the charm then sees. It may
            also act on the model, and advance its time.
        has_goal_state: whether charms find the `goal-state` tool.
        interleave: as given.
    """

    def __init__(
        self,
        seed: int | random.Random = 0,
        *,
        version: str = "4.0",
        goal_state: bool = True,
        behaviour: entities.Behaviour | None = None,
        interleave: float = 0.0,
        hook_cost: float = 0.3,
        name: str = "model",
        trace_length: int | None = None,
    ) -> None:
        super().__init__(name, seed, behaviour or entities.Behaviour.of(version))
        self.trace: collections.deque[hooks.Hook] = collections.deque(maxlen=trace_length)
        self.errors: list[hooks.Hook] = []
        self.on_hook: list[Callable[[hooks.Hook], None]] = []
        self.faults: Callable[[hooks.HookContext], None] | None = None
        self.has_goal_state = goal_state
        self.interleave = interleave
        self._hook_cost = hook_cost
        self._depth = 0
        self._disks = tempfile.TemporaryDirectory(prefix="juju-model-")
        self._stages = bridge.Stages(self.behaviour.juju_version)
        self._model = ops.testing.Model(
            name, uuid="00000000-0000-4000-8000-000000000000", type="lxd"
        )

    def __enter__(self) -> Juju:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what the model keeps outside of memory; hosts are their makers' to close."""
        self._stages.close()
        self._disks.cleanup()

    # What can be seen.

    def units(self, app: str) -> list[str]:
        """Name the units of an application that are in the model, dying and lost ones too."""
        application = self.apps.get(app)
        return [] if application is None else list(application.units)

    def unit(self, unit: str) -> entities.Unit:
        """Give all that the model knows of a unit."""
        return self._units[unit]

    def host(self, unit: str) -> hosts.Host:
        """Give the machine of a unit."""
        return self._units[unit].machine.host

    def status(self, unit: str) -> entities.Status:
        """Give a unit's status, as `juju status` shows it."""
        return running.shown_status(self._units[unit])

    def app_status(self, app: str) -> entities.Status:
        """Give an application's status: what its leader set, else the worst of its units."""
        application = self.apps[app]
        if application.status is not None:
            return application.status
        shown = [running.shown_status(unit) for unit in application.units.values()]
        return min(
            shown, key=lambda status: _SEVERITY.index(status.name), default=entities.Status()
        )

    def relation_ids(self, app: str, endpoint: str | None = None) -> list[int]:
        """Give the ids of an application's relations, the dying ones too.

        Args:
            app: the application.
            endpoint: only those on this endpoint.
        """
        return [
            relation.id
            for relation in self.apps[app].relations.values()
            if endpoint in (None, relation.side(app).endpoint)
        ]

    def members(self, unit: str, relation_id: int) -> list[str]:
        """Name the members of a relation that a unit knows, as its `relation-list` would."""
        return sorted(self._units[unit].relations[relation_id].members)

    def bag(
        self, owner: str, endpoint: str | None = None, *, relation_id: int | None = None
    ) -> dict[str, str]:
        """Give a databag.

        Args:
            owner: the unit or application whose databag it is.
            endpoint: its endpoint; the databag of the first relation on it.
            relation_id: the relation instead.

        Returns:
            The contents; nothing when the owner has no databag there.
        """
        if relation_id is None:
            app = self.apps[owner.partition("/")[0]]
            ids = self.relation_ids(app.name, endpoint)
            if not ids:
                return {}
            relation_id = ids[0]
        try:
            return dict(self._relations[relation_id].bag_of(owner).data)
        except KeyError:
            return {}

    def bags(self) -> Iterator[BagView]:
        """Give all databags of the model, those of units that are gone too."""
        for relation in self._relations.values():
            endpoints = {side.app: side.endpoint for side in relation.sides}
            owned = {side.app: side.bag for side in relation.sides} | relation.bags
            for owner, bag in owned.items():
                endpoint = endpoints[owner.partition("/")[0]]
                yield BagView(relation.id, endpoint, owner, bag.data, bag.size)

    # Running.

    def run_action(self, unit: str, name: str, **params: Any) -> dict[str, Any]:
        """Run an action, now.

        Returns:
            Its results.

        Raises:
            ValueError: the unit's agent does not answer.
            hooks.ActionFailed: the charm failed it.
            hooks.HookFailed: the charm raised.
        """
        runner = self._units[unit]
        if not runner.machine.up or runner.machine.busy:
            raise ValueError(f"the agent of {unit} does not answer")
        due = hooks.Due(unit, "action", action=name)
        hook, committed = self._run(runner, due, params)
        if committed is None:
            raise hooks.HookFailed(hook)
        if committed.failure is not None:
            raise hooks.ActionFailed(committed.failure)
        return dict(committed.results)

    def step(self) -> hooks.Hook | None:
        """Run one hook.

        Returns:
            Its record; `None` when there is nothing to run at this moment.
        """
        self._ring()
        drawn = self._draw()
        if drawn is None:
            return None
        return self._run(*drawn)[0]

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
            retry_failed: go on after a hook has failed, and try it again when its time comes.
            patience: seconds of the model's time to wait for retries and elections; those that
                are due later than that are left alone.

        Returns:
            How many hooks ran, without those that ran while another one waited (`interleave`).

        Raises:
            HookFailed: a hook failed.
            NotSettled: there is still something to do.
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
        tail = "\n".join(map(str, list(self.trace)[-20:]))
        raise hooks.NotSettled(f"not settled after {ran} hooks; the last were:\n{tail}")

    def update_status_round(
        self, *, retry_failed: bool = False, patience: float = math.inf
    ) -> int:
        """Let five minutes pass, update-status fall due on all units, and `settle`.

        Args:
            retry_failed: as for `settle`.
            patience: likewise.

        Returns:
            As `settle` does.
        """
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
        while drawn is None and len(self._awake):
            unit = self._awake.draw(self._rng)
            if unit.machine.busy:
                self._awake.discard(unit)
                parked.append(unit)
            elif due := resolver.candidates(unit, self.now):
                drawn = unit, self._rng.choice(due)
            else:
                self._awake.discard(unit)
        for unit in parked:
            self.wake(unit)
        return drawn

    def _run(
        self, unit: entities.Unit, due: hooks.Due, params: Mapping[str, Any] | None = None
    ) -> tuple[hooks.Hook, bridge.Committed | None]:
        attempt = 1 if unit.error is None or due.action else unit.error.attempts + 1
        self._prepare(unit, due)
        flight = running.Running(self, unit, due, attempt)
        committed = None
        self._depth += 1
        unit.in_hook = unit.machine.busy = True
        try:
            committed = self._dispatch(flight, params or {})
        finally:
            self._depth -= 1
            unit.in_hook = unit.machine.busy = False
        self.advance(self._hook_cost)
        flight.hook.duration = self.now - flight.hook.time
        self._conclude(flight)
        self.trace.append(flight.hook)
        if flight.hook.outcome is not hooks.Outcome.OK:
            self.errors.append(flight.hook)
        for callback in self.on_hook:
            callback(flight.hook)
        return flight.hook, committed

    def _prepare(self, unit: entities.Unit, due: hooks.Due) -> None:
        if due.kind == "install":
            unit.begun = True
            unit.status = entities.Status("maintenance", "installing charm software")
            if unit.app.leader is None:
                # Whichever agent is up first claims the lease.
                self._give_lease(unit.app, unit)
        if due.kind == "upgrade-charm":
            unit.charm = unit.app.charm
            unit.charm_seen = unit.app.charm_version

    def _dispatch(
        self, flight: running.Running, params: Mapping[str, Any]
    ) -> bridge.Committed | None:
        """Run the charm and flush what it wrote; note in the record how that went."""
        unit, hook = flight.unit, flight.hook
        committed = None
        with _outcome(hook):
            flight.strike(hooks.Point.BEFORE_HOOK)
            with self._stages.stage(unit.charm) as stage:
                committed = bridge.run(stage, self._describe(flight, params))
            # ops writes its own state to the machine's disk before Juju flushes the databags, so
            # that it stays even when Juju refuses those.
            unit.stored_states = committed.stored_states
            unit.deferred = committed.deferred
            unit.workload_version = committed.workload_version
            flight.flush()
        return committed if hook.outcome is hooks.Outcome.OK else None

    def _describe(self, flight: running.Running, params: Mapping[str, Any]) -> bridge.Dispatch:
        unit = flight.unit
        stubs = {relation_id: local.stub for relation_id, local in flight.locals.items()}
        living = sum(not other.dying for other in unit.app.units.values())
        state = ops.testing.State(
            config=unit.app.config,
            relations=stubs.values(),
            leader=unit.app.leader is unit,
            model=self._model,
            planned_units=living,
            deferred=unit.deferred,
            stored_states=unit.stored_states,
            unit_status=_to_ops(unit.status),
            app_status=_to_ops(unit.app.status or entities.Status()),
            workload_version=unit.workload_version,
        )
        return bridge.Dispatch(
            due=flight.due,
            unit_number=unit.number,
            app=unit.app.name,
            host=unit.machine.host,
            relations=stubs,
            state=state,
            tools=flight,
            folder=pathlib.Path(self._disks.name) / unit.name.replace("/", "-"),
            params=params,
        )

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
            self._fail(unit, flight.due, hook.attempt)
        if self.has(unit) and unit.machine.up:
            if hook.outcome is hooks.Outcome.KILLED:
                self._forget_what_was_read(unit)
            if unit.app.leader is None:
                self._give_lease(unit.app, unit)
            self._synchronise(unit)
            self.wake(unit)

    def _fail(self, unit: entities.Unit, due: hooks.Due, attempts: int) -> None:
        if unit.forced:
            self._vanish(unit, notify=self.behaviour.force_departs)
            return
        retry_at = self.now + world.RETRIES[min(attempts, len(world.RETRIES)) - 1]
        unit.error = entities.Failure(due, attempts, retry_at)
        self._at(retry_at, lambda: self.wake(unit))

    def _commit(self, flight: running.Running) -> None:
        unit = flight.unit
        if flight.local is not None:
            self._commit_relation(flight, flight.local)
            return
        match flight.due.kind:
            case "install":
                unit.installed = True
            case "upgrade-charm":
                # Juju has config-changed follow.
                unit.config_seen = 0
            case "leader-elected":
                unit.leader_seen = unit.app.leader is unit
            case "config-changed":
                unit.config_seen = flight.config_version
            case "start":
                unit.started = True
                unit.rebooted = False
                # A charm that has said nothing until now is `unknown` from then on.
                unit.status = unit.status if unit.status_set else entities.Status()
            case "update-status":
                unit.update_status_due = False
            case "stop":
                unit.stopped = True
            case "remove":
                self._vanish(unit, notify=self.behaviour.peers_depart)
            case _:
                pass

    def _commit_relation(self, flight: running.Running, local: entities.Local) -> None:
        remote = flight.due.remote_unit
        match flight.due.kind:
            case "relation-created":
                local.created = True
            case "relation-joined" if remote is not None:
                local.members[remote] = flight.data_version
                local.owed = remote
            case "relation-changed" if remote is not None:
                local.members[remote] = flight.data_version
                local.owed = None
            case "relation-changed":
                # A leader that wrote its peers' databag has seen what it wrote.
                if not flight.wrote(local.relation.id, local.remote.app):
                    local.app_seen = flight.data_version
            case "relation-departed" if remote is not None:
                local.members.pop(remote, None)
                local.ghosts.discard(remote)
                local.cache.pop(remote, None)
            case "relation-broken":
                self._leave_scope(local, notify=True)
            case _:
                pass


@contextlib.contextmanager
def _outcome(hook: hooks.Hook) -> Generator[None]:
    """Note in a hook's record how it ended, whatever ended it."""
    failure: BaseException | None = None
    try:
        yield
    except ops.testing.errors.UncaughtCharmError as error:
        failure = error.__cause__ or error
        hook.outcome = hooks.Outcome.FAILED
    except (hooks.HookFault, hooks.FlushRefused, SystemExit) as error:
        failure = error
        hook.outcome = hooks.Outcome.FAILED
    except hooks.AgentKilled as error:
        failure = error
        hook.outcome = hooks.Outcome.KILLED
    if failure is not None:
        # Only the text: the frames would keep the whole charm alive.
        hook.error = "".join(traceback.format_exception(failure))
        failure.__traceback__ = None


def _to_ops(status: entities.Status) -> ops.StatusBase:
    return ops.StatusBase.from_name(
        status.name, "" if status.name == "unknown" else status.message
    )
