"""The model: what operators and fate do to it, and the loop that runs hooks.

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
import heapq
import itertools
import random
import traceback
from typing import TYPE_CHECKING, Any

import ops
import ops.testing

from tests.juju_model import bridge, charms, entities, hooks, hosts, resolver, running

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

_RETRIES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
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


class _Awake:
    """The units that may have something to do; drawing one costs the same however many."""

    def __init__(self) -> None:
        self._units: list[entities.Unit] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._units)

    def add(self, unit: entities.Unit) -> None:
        if unit.name not in self._at:
            self._at[unit.name] = len(self._units)
            self._units.append(unit)

    def discard(self, unit: entities.Unit) -> None:
        at = self._at.pop(unit.name, None)
        if at is None:
            return
        last = self._units.pop()
        if last is not unit:
            self._units[at] = last
            self._at[last.name] = at

    def draw(self, rng: random.Random) -> entities.Unit:
        return self._units[rng.randrange(len(self._units))]


class Juju:
    """A Juju model in memory.

    Args:
        seed: makes every choice: which unit is next, the order among its relations, who is
            elected and when.
        version: `4.0` or `3.6`; where they differ, `behaviour` says how.
        goal_state: whether charms find the `goal-state` tool.
        leases: how long leadership lasts.
        behaviour: overrides what `version` says.
        interleave: how likely a hook of another machine runs while a hook waits for a command.
        hook_cost: seconds that a hook takes.
        trace_length: how many records to keep; all by default.

    Attributes:
        now: seconds of the model's time.
        apps: the applications by name.
        trace: the records of the hooks that ran, in the order in which they ended.
        errors: those of them that failed or were killed.
        on_hook: called with each record, after the hook.
        faults: called at each point of a hook where it can be made to fail: by `HookFault`, by
            `AgentKilled`, or around a command by any exception, which the charm then sees. It may
            also act on the model, and advance its time.
        behaviour: where releases of Juju differ.
        has_goal_state: whether charms find the `goal-state` tool.
        interleave: as given.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        version: str = "4.0",
        goal_state: bool = True,
        leases: entities.Leases | None = None,
        behaviour: entities.Behaviour | None = None,
        interleave: float = 0.0,
        hook_cost: float = 0.3,
        name: str = "model",
        trace_length: int | None = None,
    ) -> None:
        self.name = name
        self.now = 0.0
        self.apps: dict[str, entities.App] = {}
        self.trace: collections.deque[hooks.Hook] = collections.deque(maxlen=trace_length)
        self.errors: list[hooks.Hook] = []
        self.on_hook: list[Callable[[hooks.Hook], None]] = []
        self.faults: Callable[[hooks.HookContext], None] | None = None
        self.behaviour = behaviour or entities.Behaviour.of(version)
        self.has_goal_state = goal_state
        self.interleave = interleave
        self._leases = leases or entities.Leases()
        self._hook_cost = hook_cost
        self._rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._units: dict[str, entities.Unit] = {}
        self._relations: dict[int, entities.Relation] = {}
        self._machines: dict[int, entities.Machine] = {}
        self._host_factories: dict[str, Callable[[str], hosts.Host]] = {}
        self._awake = _Awake()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_ids = itertools.count()
        self._relation_ids = itertools.count()
        self._machine_ids = itertools.count()
        self._unit_ids: dict[str, Iterator[int]] = {}
        self._depth = 0
        self._contexts = bridge.Contexts(self.behaviour.juju_version)
        self._model = ops.testing.Model(
            name, uuid="00000000-0000-4000-8000-000000000000", type="lxd"
        )

    def __enter__(self) -> Juju:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what the model keeps outside of memory; hosts are their makers' to close."""
        self._contexts.close()

    # What an operator does.

    def deploy(
        self,
        charm: charms.Charm,
        app: str | None = None,
        *,
        units: int = 1,
        config: Mapping[str, Any] | None = None,
        host_factory: Callable[[str], hosts.Host] | None = None,
    ) -> str:
        """Deploy a charm.

        Args:
            charm: the charm.
            app: the application's name; the charm's own by default.
            units: how many units to start with.
            config: its configuration, where it differs from the defaults.
            host_factory: makes the machine of a unit, given its host name.

        Returns:
            The application's name.

        Raises:
            ValueError: there is such an application already.
        """
        name = app or str(charm.meta["name"])
        if name in self.apps:
            raise ValueError(f"there is an application {name} already")
        self.apps[name] = entities.App(name, charm, config=dict(config or {}))
        self._host_factories[name] = host_factory or self._plain_host
        self._unit_ids.setdefault(name, itertools.count())
        self._add_peer_relations(self.apps[name])
        for _ in range(units):
            self.add_unit(name)
        return name

    def add_unit(self, app: str, *, hostname: str | None = None, to: str | None = None) -> str:
        """Add a unit.

        Args:
            app: the application.
            hostname: the host name of its new machine; `juju-<model>-<n>` by default.
            to: a unit whose machine it shall share instead.

        Returns:
            The unit's name.
        """
        application = self.apps[app]
        if to is not None:
            machine = self._units[to].machine
        else:
            machine = self._add_machine(self._host_factories[app], hostname)
        number = next(self._unit_ids[app])
        unit = entities.Unit(
            name=f"{app}/{number}",
            number=number,
            app=application,
            machine=machine,
            charm=application.charm,
            charm_seen=application.charm_version,
        )
        application.units[unit.name] = unit
        machine.units[unit.name] = unit
        self._units[unit.name] = unit
        self.wake(unit)
        return unit.name

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        """Remove a unit.

        A unit whose agent is lost or in error stays until it is back, unless it is removed by
        force: then it is gone at once, and whether the others hear of it is a matter of the
        release (`Behaviour.force_departs`).

        Args:
            unit: the unit.
            force: do not wait for its agent.
        """
        leaver = self._units[unit]
        leaver.forced = leaver.forced or force
        if leaver.forced and (not leaver.machine.up or leaver.error is not None):
            self._vanish(leaver, notify=self.behaviour.force_departs)
            return
        if leaver.dying:
            return
        leaver.dying = True
        if not leaver.installed and leaver.error is None:
            self._vanish(leaver, notify=True)
            return
        for local in list(leaver.relations.values()):
            self._begin_teardown(local)
        self._retract(leaver)
        self.wake(leaver)

    def remove_application(self, app: str, *, force: bool = False) -> None:
        """Remove an application with its units and relations.

        Args:
            app: the application.
            force: do not wait for agents that do not answer.
        """
        application = self.apps[app]
        application.dying = True
        for relation in list(application.relations.values()):
            if not relation.peer:
                self.remove_relation(relation.id)
        for unit in list(application.units):
            self.remove_unit(unit, force=force)
        self._forget_application(application)

    def integrate(self, one: str, two: str) -> int:
        """Relate two applications.

        Args:
            one: `app:endpoint`, or `app` where that leaves no doubt.
            two: likewise.

        Returns:
            The relation's id.

        Raises:
            ValueError: no endpoints of the two match, or several, or they are related already.
        """
        ends = self._match(one, two)
        if self._related(ends):
            raise ValueError(f"{one} and {two} are related already")
        relation = self._add_relation(*ends)
        for app, _ in ends:
            for unit in list(self.apps[app].units.values()):
                self._enter_scopes(unit)
        return relation.id

    def remove_relation(self, one: str | int, two: str = "") -> None:
        """Remove a relation.

        Args:
            one: its id, or one of its ends as for `integrate`.
            two: the other end.

        Raises:
            ValueError: there is no such relation.
        """
        if isinstance(one, int):
            relation = self._relations.get(one)
        else:
            relation = self._related(self._match(one, two))
        if relation is None or relation.peer:
            raise ValueError(f"there is no relation {one} {two}".rstrip())
        relation.dying = True
        for side in relation.sides:
            for local in list(side.scope.values()):
                self._begin_teardown(local)
                self.wake(local.unit)
        self._forget_relation(relation)

    def refresh(self, app: str, charm: charms.Charm) -> None:
        """Change an application's charm; each unit follows with its upgrade-charm hook.

        Args:
            app: the application.
            charm: the new charm.

        Raises:
            ValueError: the new charm lacks an endpoint that is in use.
        """
        application = self.apps[app]
        offered = {
            name for role in ("provides", "requires", "peers") for name in charm.endpoints(role)
        }
        for relation in application.relations.values():
            endpoint = relation.side(app).endpoint
            if endpoint not in offered:
                raise ValueError(f"would break relation {relation.id} on {app}:{endpoint}")
        application.charm = charm
        application.charm_version += 1
        self._add_peer_relations(application)
        for unit in application.units.values():
            self._enter_scopes(unit)
            self.wake(unit)

    def configure(self, app: str, **options: Any) -> None:
        """Change an application's configuration."""
        application = self.apps[app]
        application.config.update(options)
        application.config_version += 1
        for unit in application.units.values():
            self.wake(unit)

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

    def resolve(self, unit: str) -> None:
        """Let a failed hook be tried again now."""
        failed = self._units[unit]
        if failed.error is not None:
            failed.error.retry_at = self.now
            self.wake(failed)

    # What fate does.

    def kill_machine(self, unit: str) -> None:
        """Let the machine of a unit die. No hook runs anywhere because of that."""
        machine = self._units[unit].machine
        if not machine.up:
            return
        machine.up = False
        if isinstance(machine.host, hosts.Powered):
            machine.host.kill()
        for lost in machine.units.values():
            if lost.app.leader is lost:
                app = lost.app
                app.lease_ends = self.now + self._rng.uniform(
                    self._leases.shortest, self._leases.longest
                )
                self._at(app.lease_ends, lambda app=app: self._end_lease(app))

    def start_machine(self, unit: str) -> None:
        """Start a dead machine again."""
        machine = self._units[unit].machine
        if machine.up:
            return
        if isinstance(machine.host, hosts.Powered):
            machine.host.start()
        machine.up = True
        for back in list(machine.units.values()):
            back.rebooted = back.started and not back.dying
            if back.app.leader is back:
                back.app.lease_ends = None
            elif back.app.leader is None and back.installed:
                self._elect(back.app)
            if back.dying:
                self._retract(back)
            self._restart(back)

    def restart_agent(self, unit: str) -> None:
        """Restart a unit's agent: it forgets what it had read, and notices who is gone."""
        restarted = self._units[unit]
        if restarted.machine.up:
            self._restart(restarted)

    def depose(self, app: str, *, believing: bool = False) -> str | None:
        """Take the lease from an application's leader.

        Args:
            app: the application.
            believing: the old leader goes on believing for a while that it leads.

        Returns:
            The new leader: another unit if there is one that answers.
        """
        application = self.apps[app]
        old = application.leader
        if old is not None and believing:
            self.believe(old.name)
        self._elect(application, but=old)
        return self.leader(app)

    def set_leader(self, unit: str, *, believing: bool = False) -> None:
        """Give a unit the lease.

        Args:
            unit: the unit.
            believing: the old leader goes on believing for a while that it leads.
        """
        leader = self._units[unit]
        old = leader.app.leader
        if old is leader:
            return
        if old is not None and believing:
            self.believe(old.name)
        self._give_lease(leader.app, leader)

    def believe(self, unit: str, seconds: float | None = None) -> None:
        """Let a unit believe that it leads, whoever does.

        Its hooks then write the application's databag, and Juju refuses their flush.

        Args:
            unit: the unit.
            seconds: for how long; as long as a lease that was just confirmed by default.
        """
        self._units[unit].believes_until = self.now + (
            self._leases.belief if seconds is None else seconds
        )

    def advance(self, seconds: float) -> None:
        """Let time pass. Elections that fall due happen; hooks do not run."""
        self.now += seconds
        self._ring()

    # What can be seen.

    def leader(self, app: str) -> str | None:
        """Name the unit that holds an application's lease."""
        leader = self.apps[app].leader
        return None if leader is None else leader.name

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

    def pending(self) -> list[hooks.Due]:
        """Give the hooks that may run next on each unit, or will once a back-off is over."""
        return [
            due for unit in self._units.values() for due in resolver.candidates(unit, float("inf"))
        ]

    # Running.

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
        self, max_hooks: int | None = None, *, retry_failed: bool = False, wait: bool = True
    ) -> int:
        """Run hooks until there is nothing left to do.

        Args:
            max_hooks: as many at most; by default so many that a model of its size must be done.
            retry_failed: go on after a hook has failed, and try it again when its time comes.
            wait: when nothing may run at this moment, advance time to the next retry or election.

        Returns:
            How many hooks ran.

        Raises:
            HookFailed: a hook failed.
            NotSettled: there is still something to do.
        """
        limit = max_hooks or 2000 + 50 * len(self._units) ** 2
        ran = 0
        while ran < limit:
            errors = len(self.errors)
            if self.step() is None:
                if not wait or not self._timers:
                    return ran
                self.advance(max(0.0, self._timers[0][0] - self.now))
                continue
            ran += 1
            if not retry_failed and len(self.errors) > errors:
                raise hooks.HookFailed(self.errors[-1])
        tail = "\n".join(map(str, list(self.trace)[-20:]))
        raise hooks.NotSettled(f"not settled after {ran} hooks; the last were:\n{tail}")

    def update_status_round(
        self, max_hooks: int | None = None, *, retry_failed: bool = False
    ) -> int:
        """Let five minutes pass, update-status fall due on all units, and settle.

        Returns:
            How many hooks ran.
        """
        self.advance(_UPDATE_STATUS_INTERVAL)
        self.mark_update_status()
        return self.settle(max_hooks, retry_failed=retry_failed)

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

    def wake(self, unit: entities.Unit) -> None:
        """Note that a unit may have something to do."""
        self._awake.add(unit)

    def tell(self, relation: entities.Relation, about: entities.Unit) -> None:
        """Note that something of a unit may be news to those on the other side."""
        for local in relation.other(about.app.name).scope.values():
            if local.unit is not about:
                local.dirty.add(about.name)
                self.wake(local.unit)

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
        unit.machine.busy = True
        try:
            committed = self._dispatch(flight, params or {})
        finally:
            self._depth -= 1
            unit.machine.busy = False
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
        if due.kind == "install" and unit.app.leader is None:
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
            with self._contexts.context(unit.charm) as context:
                committed = bridge.run(context, self._describe(flight, params))
            # ops writes its own state to the machine's disk before Juju flushes the databags, so
            # that it stays even when Juju refuses those.
            unit.stored_states = committed.stored_states
            unit.deferred = committed.deferred
            unit.workload_version = committed.workload_version
            if unit.machine.up and unit.name in self._units:
                flight.flush()
            else:
                raise hooks.AgentKilled(f"{unit.name} died in mid-hook")
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
            params=params,
        )

    def _conclude(self, flight: running.Running) -> None:
        """Let the unit remember what it has seen, or that it has failed."""
        unit, hook = flight.unit, flight.hook
        if unit.name not in self._units:
            return
        if hook.outcome is hooks.Outcome.OK:
            if not flight.due.action:
                unit.error = None
            self._commit(flight)
        elif not flight.due.action:
            self._fail(unit, flight.due, hook.attempt)
        if unit.name in self._units and unit.machine.up:
            if hook.outcome is hooks.Outcome.KILLED:
                self._forget_what_was_read(unit)
            self._enter_scopes(unit)
            self.wake(unit)

    def _fail(self, unit: entities.Unit, due: hooks.Due, attempts: int) -> None:
        if unit.forced:
            self._vanish(unit, notify=self.behaviour.force_departs)
            return
        retry_at = self.now + _RETRIES[min(attempts, len(_RETRIES)) - 1]
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

    # Relations.

    def _match(self, one: str, two: str) -> tuple[tuple[str, str], tuple[str, str]]:
        found = [
            ((app_one, endpoint_one), (app_two, endpoint_two))
            for app_one, endpoint_one, role_one, interface_one in self._ends(one)
            for app_two, endpoint_two, role_two, interface_two in self._ends(two)
            if role_one != role_two and interface_one == interface_two and app_one != app_two
        ]
        if len(found) != 1:
            raise ValueError(f"{len(found)} pairs of endpoints match {one} and {two}")
        return found[0]

    def _ends(self, spec: str) -> Iterator[tuple[str, str, str, str]]:
        app, _, wanted = spec.partition(":")
        for role in ("provides", "requires"):
            for endpoint, interface in self.apps[app].charm.endpoints(role).items():
                if wanted in ("", endpoint):
                    yield app, endpoint, role, interface

    def _related(self, ends: tuple[tuple[str, str], tuple[str, str]]) -> entities.Relation | None:
        for relation in self._relations.values():
            if not relation.dying and {(s.app, s.endpoint) for s in relation.sides} == set(ends):
                return relation
        return None

    def _add_relation(self, *ends: tuple[str, str]) -> entities.Relation:
        sides = tuple(entities.Side(app, endpoint, self._new_bag()) for app, endpoint in ends)
        relation = entities.Relation(next(self._relation_ids), sides)
        self._relations[relation.id] = relation
        for side in sides:
            self.apps[side.app].relations[relation.id] = relation
        return relation

    def _add_peer_relations(self, app: entities.App) -> None:
        for endpoint in app.charm.endpoints("peers"):
            if not any(app.related(endpoint)):
                self._add_relation((app.name, endpoint))

    def _new_bag(self) -> entities.Bag:
        return entities.Bag(counted=self.behaviour.change_back_is_event)

    def _enter_scopes(self, unit: entities.Unit) -> None:
        """Let a unit enter the relations that it should be in, if its agent can."""
        if not (unit.installed and unit.machine.up and unit.error is None) or unit.dying:
            return
        for relation in unit.app.relations.values():
            if relation.dying or relation.id in unit.relations:
                continue
            endpoint = relation.side(unit.app.name).endpoint
            # A unit ignores an endpoint that the charm it still runs does not know.
            if any(endpoint in unit.charm.endpoints(r) for r in ("provides", "requires", "peers")):
                self._enter_scope(unit, relation, endpoint)

    def _enter_scope(
        self, unit: entities.Unit, relation: entities.Relation, endpoint: str
    ) -> None:
        remote = relation.other(unit.app.name)
        local = entities.Local(
            unit=unit,
            relation=relation,
            endpoint=endpoint,
            remote=remote,
            stub=bridge.relation_stub(
                relation.id, endpoint, None if relation.peer else remote.app
            ),
        )
        local.dirty = {name for name in remote.scope if name in relation.present}
        address = unit.machine.host.address
        bag = self._new_bag()
        bag.apply(
            {
                "egress-subnets": f"{address}/32",
                "ingress-address": address,
                "private-address": address,
            }
        )
        relation.bags[unit.name] = bag
        relation.side(unit.app.name).scope[unit.name] = local
        relation.present.add(unit.name)
        unit.relations[relation.id] = local
        self.tell(relation, unit)
        self.wake(unit)

    def _begin_teardown(self, local: entities.Local) -> None:
        # A relation that a unit never created ends without a hook there.
        if not local.created and local.unit.error is None:
            self._leave_scope(local, notify=True)

    def _retract(self, leaver: entities.Unit) -> None:
        """Let a dying unit's departure be seen at once, where Juju does so."""
        if not (self.behaviour.departs_before_broken and leaver.machine.up):
            return
        for local in leaver.relations.values():
            local.relation.present.discard(leaver.name)
            self.tell(local.relation, leaver)

    def _leave_scope(self, local: entities.Local, *, notify: bool) -> None:
        unit, relation = local.unit, local.relation
        unit.relations.pop(relation.id, None)
        relation.side(unit.app.name).scope.pop(unit.name, None)
        relation.present.discard(unit.name)
        if notify:
            self.tell(relation, unit)
        else:
            for other in relation.other(unit.app.name).scope.values():
                if unit.name in other.members:
                    other.ghosts.add(unit.name)
        self._forget_relation(relation)

    def _forget_relation(self, relation: entities.Relation) -> None:
        if relation.dying and not any(side.scope for side in relation.sides):
            self._relations.pop(relation.id, None)
            for side in relation.sides:
                app = self.apps.get(side.app)
                if app is not None:
                    app.relations.pop(relation.id, None)
                    self._forget_application(app)

    # Units and machines.

    def _plain_host(self, name: str) -> hosts.Host:
        number = len(self._machines) + 1
        return hosts.PlainHost(name, f"10.0.{number >> 8 & 255}.{number & 255}")

    def _add_machine(
        self, factory: Callable[[str], hosts.Host], hostname: str | None
    ) -> entities.Machine:
        number = next(self._machine_ids)
        host = factory(hostname or f"juju-{self.name}-{number}")
        self._machines[number] = entities.Machine(number, host)
        return self._machines[number]

    def _vanish(self, unit: entities.Unit, *, notify: bool) -> None:
        """Take a unit out of the model, and its machine if it was the last there."""
        for local in list(unit.relations.values()):
            self._leave_scope(local, notify=notify)
        app, machine = unit.app, unit.machine
        self._units.pop(unit.name)
        self._awake.discard(unit)
        app.units.pop(unit.name)
        machine.units.pop(unit.name)
        if not machine.units:
            self._machines.pop(machine.number)
            if isinstance(machine.host, hosts.Powered):
                machine.host.destroy()
        if app.leader is unit:
            self._elect(app)
        self._forget_application(app)

    def _forget_application(self, app: entities.App) -> None:
        between = (relation for relation in app.relations.values() if not relation.peer)
        if app.dying and not app.units and not any(between) and app.name in self.apps:
            for relation in app.relations.values():
                self._relations.pop(relation.id, None)
            self.apps.pop(app.name)

    def _restart(self, unit: entities.Unit) -> None:
        self._forget_what_was_read(unit)
        if unit.error is not None:
            # The back-off starts anew with the agent.
            unit.error = entities.Failure(unit.error.due, 1, self.now + _RETRIES[0])
            self._at(unit.error.retry_at, lambda: self.wake(unit))
        self._enter_scopes(unit)
        self.wake(unit)

    def _forget_what_was_read(self, unit: entities.Unit) -> None:
        unit.believes_until = 0.0
        for local in unit.relations.values():
            local.cache.clear()
            if self.behaviour.restart_departs:
                local.dirty |= local.ghosts
            else:
                for ghost in local.ghosts:
                    local.members.pop(ghost, None)
            local.ghosts.clear()

    # Leadership.

    def _elect(self, app: entities.App, *, but: entities.Unit | None = None) -> None:
        answering = [unit for unit in app.units.values() if unit.machine.up and unit.installed]
        others = [unit for unit in answering if unit is not but]
        electable = others or answering
        self._give_lease(app, self._rng.choice(electable) if electable else None)

    def _give_lease(self, app: entities.App, unit: entities.Unit | None) -> None:
        if app.leader is not None:
            # Juju tells nobody that it no longer leads.
            app.leader.leader_seen = False
        app.leader = unit
        app.lease_ends = None
        if unit is not None:
            self.wake(unit)

    def _end_lease(self, app: entities.App) -> None:
        if app.lease_ends is not None and app.lease_ends <= self.now:
            self._elect(app)

    # Time.

    def _at(self, time: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time, next(self._timer_ids), callback))

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()


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
