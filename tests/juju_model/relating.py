"""The relations of a model: how they are made and end, and which units are in their scope.

An application of another model is in the same `apps` as all others. What makes it another model's
is that the two sides of its relation know each other under other names, which hook tools and
`goal-state` give; everything else here gives the real ones.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import ops.testing

from tests.juju_model import entities

if TYPE_CHECKING:
    from collections.abc import Iterator


class Relations:
    """The applications of a model, by name in `apps`, with what relates them."""

    def __init__(self, seed: int | random.Random, behaviour: entities.Behaviour) -> None:
        self.apps: dict[str, entities.App] = {}
        self.behaviour = behaviour
        # Nothing here is a secret.
        self._rng = seed if isinstance(seed, random.Random) else random.Random(seed)  # noqa: S311
        self._units: dict[str, entities.Unit] = {}
        self._relations: dict[int, entities.Relation] = {}
        self._relation_ids = itertools.count()
        # Those that may have something to do; a draw costs the same however many there are.
        self._awake: list[entities.Unit] = []

    # What an operator does.

    def integrate(self, one: str, two: str) -> None:
        """Relate two applications, each given as `app:endpoint`, or `app` where that is enough."""
        self._synchronise_all(self._add_relation(*self._match(one, two)))

    def consume(self, one: str, offered: str, *, alias: str) -> None:
        """Relate an application to one of another model, which offers it.

        The consumer sees an application `alias`, and its `goal-state` the offer's URL, without
        units; the other side sees an application `remote-<hex>`, which its `goal-state` does not
        name (read in Juju's source, and seen in the field; not measured).
        """
        relation = self._add_relation(*self._match(one, offered))
        consumer, offer = relation.sides
        offer.alias = alias
        consumer.alias = f"remote-{self._rng.getrandbits(128):032x}"
        self._synchronise_all(relation)

    def suspend(self, relation_id: int) -> None:
        """Suspend the relation of an offer: its units leave it, but it is not gone.

        That they get departed and broken was read in Juju's source, not measured.
        """
        self._relations[relation_id].suspended = True
        self._synchronise_all(self._relations[relation_id])

    def resume(self, relation_id: int) -> None:
        """Resume the relation of an offer: its units join it again, with fresh databags.

        That those of the applications are as they were was read in Juju's source, not measured.
        """
        relation = self._relations[relation_id]
        relation.suspended = False
        self._synchronise_all(relation)
        for side in relation.sides:
            for local in side.scope.values():
                # This one had not left yet.
                local.dirty |= local.remote.scope.keys() & relation.present

    def remove_relation(self, one: str | int, two: str = "") -> None:
        """Remove a relation, given by its id, or by its ends as for `integrate`."""
        relation = self._relations[one if isinstance(one, int) else self._related(one, two)]
        relation.dying = True
        self._synchronise_all(relation)
        self._forget_relation(relation)

    # What hooks in flight see and do.

    def has(self, unit: entities.Unit) -> bool:
        """Whether a unit is in the model still."""
        return self._units.get(unit.name) is unit

    def wake(self, unit: entities.Unit) -> None:
        """Note that a unit may have something to do."""
        if unit.awake_at is None and self.has(unit):
            unit.awake_at = len(self._awake)
            self._awake.append(unit)

    def _doze(self, unit: entities.Unit) -> None:
        """Note that a unit has nothing to do; the last one takes its place."""
        if unit.awake_at is not None:
            last = self._awake.pop()
            if last is not unit:
                self._awake[unit.awake_at] = last
                last.awake_at = unit.awake_at
            unit.awake_at = None

    def note_change(self, relation: entities.Relation, about: entities.Unit) -> None:
        """Note that something of a unit may be news to those on the other side."""
        for local in relation.other(about.app.name).scope.values():
            if local.unit is not about:
                local.dirty.add(about.name)
                self.wake(local.unit)

    # Who is in scope.

    def _match(self, one: str, two: str) -> tuple[tuple[str, str], tuple[str, str]]:
        [found] = (
            ((app_one, endpoint_one), (app_two, endpoint_two))
            for app_one, endpoint_one, role_one, interface_one in self._ends(one)
            for app_two, endpoint_two, role_two, interface_two in self._ends(two)
            if role_one != role_two and interface_one == interface_two
        )
        return found

    def _ends(self, spec: str) -> Iterator[tuple[str, str, str, str]]:
        app, _, wanted = spec.partition(":")
        for role in ("provides", "requires"):
            for endpoint, interface in self.apps[app].charm.endpoints(role).items():
                if wanted in ("", endpoint):
                    yield app, endpoint, role, interface

    def _related(self, one: str, two: str) -> int:
        ends = set(self._match(one, two))
        [found] = (
            relation.id
            for relation in self._relations.values()
            if not relation.dying
            and {(side.app, side.endpoint) for side in relation.sides} == ends
        )
        return found

    def _add_relation(self, *ends: tuple[str, str]) -> entities.Relation:
        sides = tuple(entities.Side(app, endpoint) for app, endpoint in ends)
        bags = {side.app: self._new_bag(side.app) for side in sides}
        relation = entities.Relation(next(self._relation_ids), sides, bags)
        self._relations[relation.id] = relation
        for side in sides:
            self.apps[side.app].relations[relation.id] = relation
        return relation

    def _add_peer_relations(self, app: entities.App) -> None:
        for endpoint in app.charm.endpoints("peers"):
            if not any(app.related(endpoint)):
                self._add_relation((app.name, endpoint))

    def _new_bag(self, owner: str) -> entities.Bag:
        return entities.Bag(owner, counted=self.behaviour.change_back_is_event)

    def _synchronise_all(self, relation: entities.Relation) -> None:
        """Let the units on both sides of a relation enter and leave it, and look at it."""
        for side in relation.sides:
            for unit in list(self.apps[side.app].units.values()):
                self._synchronise(unit)
                if relation.id in unit.relations:
                    self.wake(unit)

    def _synchronise(self, unit: entities.Unit) -> None:
        """Let a unit enter and leave the scopes that it should, if its agent can."""
        if unit.in_hook or unit.error is not None or not (unit.installed and unit.machine.up):
            return
        for local in list(unit.relations.values()):
            # A relation that a unit never created ends without a hook there.
            if not local.created and (unit.dying or local.relation.ends):
                self._leave_scope(local, notify=True)
        for relation in () if unit.dying else list(unit.app.relations.values()):
            if relation.id in unit.relations or relation.ends:
                continue
            # A unit ignores an endpoint that the charm it still runs does not know.
            if unit.charm.has_endpoint(relation.side(unit.app.name).endpoint):
                self._enter_scope(unit, relation)

    def _enter_scope(self, unit: entities.Unit, relation: entities.Relation) -> None:
        own, remote = relation.side(unit.app.name), relation.other(unit.app.name)
        endpoint, name = own.endpoint, remote.shown(remote.app)
        stub = ops.testing.Relation(endpoint, id=relation.id, remote_app_name=name)
        if relation.peer:
            stub = ops.testing.PeerRelation(endpoint, id=relation.id)
        local = entities.Local(unit, relation, endpoint, remote, stub)
        local.dirty = remote.scope.keys() & relation.present
        address = unit.machine.host.address
        bag = relation.bags[unit.name] = self._new_bag(unit.name)
        network = dict.fromkeys(("ingress-address", "private-address"), address)
        bag.apply({"egress-subnets": f"{address}/32", **network})
        own.scope[unit.name] = local
        relation.present.add(unit.name)
        unit.relations[relation.id] = local
        self.note_change(relation, unit)
        self.wake(unit)

    def _retract(self, leaver: entities.Unit) -> None:
        """Let a dying unit's departure be seen at once, where Juju does so."""
        if not (self.behaviour.departs_before_broken and leaver.machine.up):
            return
        for local in leaver.relations.values():
            local.relation.present.discard(leaver.name)
            self.note_change(local.relation, leaver)

    def _leave_scope(self, local: entities.Local, *, notify: bool) -> None:
        unit, relation = local.unit, local.relation
        unit.relations.pop(relation.id, None)
        relation.side(unit.app.name).scope.pop(unit.name, None)
        relation.present.discard(unit.name)
        if notify:
            self.note_change(relation, unit)
        for other in () if notify else relation.other(unit.app.name).scope.values():
            if unit.name in other.members:
                other.ghosts.add(unit.name)
        self._forget_relation(relation)

    def _forget_relation(self, relation: entities.Relation) -> None:
        if not relation.dying or any(side.scope for side in relation.sides):
            return
        self._relations.pop(relation.id, None)
        for side in relation.sides:
            if app := self.apps.get(side.app):
                app.relations.pop(relation.id, None)
                self._forget_application(app)

    def _forget_application(self, app: entities.App) -> None:
        between = (relation for relation in app.relations.values() if not relation.peer)
        if app.dying and not app.units and not any(between) and app.name in self.apps:
            for relation in app.relations.values():
                self._relations.pop(relation.id, None)
            self.apps.pop(app.name)
