"""What a model holds, and the operations and faults that change it. Hooks are run by `juju`.

An operation or a fault changes the model and wakes the units to which it may be news; it runs no
hook itself. All are safe in mid-hook too, from a fault injector.
"""

from __future__ import annotations

import collections
import heapq
import itertools
from typing import TYPE_CHECKING

from tests.juju_model import entities, relating
from tests.juju_model.charms import PlainHost

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tests.juju_model import charms, hooks
    from tests.microclusters import protocol

# Seconds until another unit is elected when the leader's machine has died, at the least and at the
# most, and for which a deposed leader may go on believing that it leads.
_SHORTEST_LEASE = 31.0
_LONGEST_LEASE = 66.0
_BELIEF = 30.0

# Seconds until a failed hook is tried again; the last goes on for ever.
_RETRIES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)


class World(relating.Relations):
    """The applications, units, machines and relations of a model.

    Attributes:
        now: seconds of the model's time.
        unnamed: the units that `goal-state` leaves out where it names a related application's, as
            it does with subordinates of other principals.
        unreadable: the units whose databags are refused ("permission denied") once they departed
            or are gone, as was seen in the field; when Juju does so is not known.
    """

    def __init__(
        self, name: str, seed: int | random.Random, behaviour: entities.Behaviour
    ) -> None:
        super().__init__(seed, behaviour)
        self.name = name
        self.now = 0.0
        self.unnamed: set[str] = set()
        self.unreadable: set[str] = set()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_ids = itertools.count()
        self._machine_ids = itertools.count()
        # A unit's number is not used again, not even by another application of that name.
        self._unit_ids: dict[str, Iterator[int]] = collections.defaultdict(itertools.count)

    # What an operator does.

    def deploy(
        self,
        charm: charms.Charm,
        app: str | None = None,
        *,
        units: int = 1,
        host_factory: Callable[[str], protocol.Machine] | None = None,
    ) -> str:
        """Deploy a charm, by its own name by default; return the application's name.

        The machine of each unit is made by `host_factory`, given its host name.
        """
        name = app or str(charm.meta["name"])
        self.apps[name] = entities.App(name, charm, host_factory or PlainHost)
        self._add_peer_relations(self.apps[name])
        for _ in range(units):
            self.add_unit(name)
        return name

    def add_unit(self, app: str, *, hostname: str | None = None, provisioned: bool = True) -> str:
        """Add a unit, on a machine that may come only when it is `provision`ed."""
        of, machine_id, number = self.apps[app], next(self._machine_ids), next(self._unit_ids[app])
        host = of.host_factory(hostname or f"juju-{self.name}-{machine_id}")
        machine = entities.Machine(host, provisioned, provisioned, provisioned)
        unit = entities.Unit(f"{app}/{number}", number, of, machine, of.charm, of.charm_version)
        of.units[unit.name] = self._units[unit.name] = unit
        self.wake(unit)
        return unit.name

    def provision(self, unit: str) -> None:
        """Let the machine of a unit come at last."""
        waiting = self._units[unit]
        waiting.machine.provisioned = waiting.machine.powered = waiting.machine.up = True
        self.wake(waiting)

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        """Remove a unit.

        A unit whose agent is lost or in error stays until it is back, unless it is removed by
        force: then it is gone at once; `Behaviour.force_departs` is whether it departs.
        """
        leaver = self._units[unit]
        if force and (not leaver.machine.up or leaver.error is not None):
            self._vanish(leaver, notify=self.behaviour.force_departs)
            return
        if leaver.dying:
            return
        leaver.dying = True
        if not leaver.installed and leaver.error is None:
            self._vanish(leaver, notify=True)
            return
        self._synchronise(leaver)
        self._retract(leaver)
        self.wake(leaver)

    def remove_application(self, app: str) -> None:
        """Remove an application with its units and relations."""
        application = self.apps[app]
        application.dying = True
        for relation in list(application.relations.values()):
            if not relation.peer:
                self.remove_relation(relation.id)
        for unit in list(application.units):
            self.remove_unit(unit)
        self._forget_application(application)

    def refresh(self, app: str, charm: charms.Charm) -> None:
        """Change an application's charm; each unit follows with its upgrade-charm hook."""
        application = self.apps[app]
        application.charm = charm
        application.charm_version += 1
        self._add_peer_relations(application)
        for unit in application.units.values():
            self._synchronise(unit)
            self.wake(unit)

    # Faults.

    def kill_machine(self, unit: str) -> None:
        """Let the machine of a unit die. No hook runs anywhere because of that."""
        machine = self._units[unit].machine
        if machine.powered:
            machine.host.kill()
        machine.powered = False
        self.stop_agent(unit)

    def stop_agent(self, unit: str) -> None:
        """Let the agent of a unit's machine die, and not the machine: its programs go on."""
        lost = self._units[unit]
        if lost.machine.up and lost.app.leader is lost:
            app = lost.app
            app.lease_ends = self.now + self._rng.uniform(_SHORTEST_LEASE, _LONGEST_LEASE)
            self._at(app.lease_ends, lambda: self._end_lease(app))
        lost.machine.up = False

    def start_machine(self, unit: str) -> None:
        """Start a dead machine again, or its agent alone if only that is dead."""
        back = self._units[unit]
        machine = back.machine
        if not machine.lost:
            return
        if not machine.powered:
            machine.host.start()
            back.rebooted = True
        machine.powered = machine.up = True
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

    def depose(self, app: str, *, believing: bool = False) -> None:
        """Give an application's lease to another unit, if there is one that answers.

        The old leader may go on `believing` for a while that it leads.
        """
        application = self.apps[app]
        if believing and application.leader is not None:
            # Its hooks write the application's databag, and Juju refuses their flush.
            application.leader.believes_until = self.now + _BELIEF
        self._elect(application, but=application.leader)

    def set_leader(self, unit: str) -> None:
        """Give a unit the lease."""
        leader = self._units[unit]
        if leader.app.leader is not leader:
            self._give_lease(leader.app, leader)

    def leader(self, app: str) -> str | None:
        """Name the unit that holds an application's lease."""
        return leader.name if (leader := self.apps[app].leader) else None

    def advance(self, seconds: float) -> None:
        """Let time pass. Elections that fall due happen; hooks do not run."""
        self.now += seconds
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()

    # Units and machines.

    def _vanish(self, unit: entities.Unit, *, notify: bool) -> None:
        """Take a unit out of the model, and its machine if it was the last there."""
        for local in list(unit.relations.values()):
            self._leave_scope(local, notify=notify)
        app = unit.app
        self._units.pop(unit.name)
        app.units.pop(unit.name)
        self._doze(unit)
        unit.machine.host.destroy()
        if app.leader is unit:
            self._elect(app)
        self._forget_application(app)

    def _restart(self, unit: entities.Unit) -> None:
        self._forget_what_was_read(unit)
        if unit.error is not None:
            # The back-off starts anew with the agent.
            self._set_error(unit, unit.error.due, attempts=1)
        self._synchronise(unit)
        self.wake(unit)

    def _set_error(self, unit: entities.Unit, due: hooks.Due, attempts: int) -> None:
        retry_at = self.now + _RETRIES[min(attempts, len(_RETRIES)) - 1]
        unit.error = entities.Failure(due, attempts, retry_at)
        self._at(retry_at, lambda: self.wake(unit))

    def _forget_what_was_read(self, unit: entities.Unit) -> None:
        unit.believes_until = 0.0
        for local in unit.relations.values():
            local.cache.clear()
            # That the ghosts are gone then was measured on 4.0.15; that they depart was not.
            local.dirty |= local.ghosts
            local.ghosts.clear()

    # Leadership.

    def _elect(self, app: entities.App, *, but: entities.Unit | None = None) -> None:
        answering = [unit for unit in app.units.values() if unit.machine.up and unit.installed]
        electable = [unit for unit in answering if unit is not but] or answering
        self._give_lease(app, self._rng.choice(electable) if electable else None)

    def _give_lease(self, app: entities.App, unit: entities.Unit | None) -> None:
        if app.leader is not None:
            # There is no hook for losing the lead.
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
