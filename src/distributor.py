"""The distributor's endpoint: reads reports, asks the rules what to publish, and writes it."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import TYPE_CHECKING, Any

import ops

import bootstrap
import goal as goal_module
import mirror
from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # A unit, and its relation with the distributor.
    Place = tuple[ops.Relation, ops.Unit]

logger = logging.getLogger(__name__)

_LEDGER_PREFIX = "unit-"
_JUJUS_KEYS = frozenset({"egress-subnets", "ingress-address", "private-address"})
_NOT_RELATED = "blocked integrate with a charm that forms a microcluster"
_READY = "active ready to take over from the leader"


@dataclasses.dataclass
class _View:
    """What the leader sees in a hook."""

    relations: Sequence[ops.Relation]  # with the consumers, the first related first
    published: _wire.Published  # without values where they do not matter
    full: bool  # whether all reports were read anew, and everything is to be published
    at_update_status: bool
    # Of the units that are seen and have not departed, and of those that are departing right now.
    reports: dict[str, _wire.Report] = dataclasses.field(default_factory=dict[str, _wire.Report])
    leaving: Sequence[_wire.Report] = ()
    carried: bool = False  # whether the mirrored values matter
    goal: goal_module.Goal | None = None  # None where it was not asked, or cannot be had
    ledger: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    @property
    def reported(self) -> list[_wire.Report]:
        return [report for report in self.reports.values() if report.has_reported]

    def has_departed(self, unit: str) -> bool:
        return mirror.has_departed(unit, self.ledger, self.goal, self.published)


class Distributor(ops.Object):
    """Mirrors host names and tokens between the units of the related applications.

    Its leader does. What the units have reported, tokens left out, is kept as a cache; what is
    published is read from the databags each time, since Juju may have refused to write it.

    Args:
        charm: the distributor's charm.
        relation_name: its endpoint, of the interface `worker-cluster`.
        peers: the endpoint of its peer relation, which holds the ledger.
    """

    _stored = ops.StoredState()

    def __init__(self, charm: ops.CharmBase, relation_name: str, peers: str):
        super().__init__(charm, relation_name)
        self.charm = charm
        self.relation_name = relation_name
        self.peers = peers
        self._memory: Any = self._stored
        # The reports, as JSON; empty for none. The units that there are going to be.
        self._memory.set_default(reports="", expected="")
        # The clusters of the last update-status, and whether there are several for good.
        self._memory.set_default(clusters="", is_divided=False)
        self._memory.set_default(is_dying=False, status=_READY)
        observe, relation_events = self.framework.observe, charm.on[relation_name]
        for event in (charm.on.leader_elected, charm.on.upgrade_charm, charm.on.update_status):
            observe(event, self._on_full_read)
        observe(relation_events.relation_changed, self._on_relation_changed)
        observe(relation_events.relation_departed, self._on_relation_departed)
        observe(relation_events.relation_broken, self._on_relation_broken)

    # Handlers

    def _on_full_read(self, event: ops.EventBase) -> None:
        at_update_status = isinstance(event, ops.UpdateStatusEvent)
        self._reconcile(full=True, at_update_status=at_update_status)

    def _on_relation_changed(self, event: ops.RelationChangedEvent) -> None:
        if event.unit:
            self._reconcile(changed=(event.relation, event.unit))

    def _on_relation_departed(self, event: ops.RelationDepartedEvent) -> None:
        if event.departing_unit == self.charm.unit:
            # It is this unit that leaves: the others stay where they are.
            self._memory.is_dying = True
        else:
            self._reconcile(departing=(event.relation, event.unit))

    def _on_relation_broken(self, _: ops.RelationBrokenEvent) -> None:
        self._reconcile()

    # Offers to the charm

    @property
    def status(self) -> ops.StatusBase:
        """What this unit has to say in `collect-status`, as of the last look."""
        return ops.StatusBase.from_name(*self._memory.status.split(" ", 1))

    def describe(self) -> list[dict[str, str]]:
        """Return a row for each unit: `unit`, `application`, `host-name` and `state`.

        The state is one of `waiting`, `token offered`, `join failed`, `joined` and `left`. No
        token is in it. Only a leader can tell.
        """
        view = self._look(self._relations(), full=True)
        self._gather_evidence(view)
        rows = [
            (unit, goal_module.app_of(unit), report.hostname, _state_of(report, view.published))
            for unit, report in sorted(view.reports.items())
        ]
        rows += [("", "", name, "left") for name in sorted(view.published.left)]
        keys = ("unit", "application", "host-name", "state")
        return [dict(zip(keys, row, strict=True)) for row in rows]

    # Helpers: what is seen

    def _relations(self) -> list[ops.Relation]:
        relations = [r for r in self.charm.model.relations[self.relation_name] if r.active]
        return sorted(relations, key=lambda relation: relation.id)

    def _look(
        self,
        relations: Sequence[ops.Relation],
        *,
        full: bool = False,
        at_update_status: bool = False,
        changed: Place | None = None,
        departing: Place | None = None,
    ) -> _View:
        """Read what has to be read, for the arguments of `_reconcile`."""
        number = str(goal_module.number_of(self.charm.unit.name))
        bags = (relation.data[self.charm.app] for relation in relations)
        decided = (_wire.Published.from_bags(bag, {}) for bag in bags)
        published = next((each for each in decided if each.leader), _wire.Published())
        # Who leads now may have missed what happened while another unit did.
        full = full or not self._memory.reports or published.leader not in ("", number)
        view = _View(relations, published, full, at_update_status)
        remembered = {} if full else _from_memory(self._memory.reports)
        for place in ((relation, unit) for relation in relations for unit in relation.units):
            name = place[1].name
            if full or place == changed:
                view.reports[name] = self._read(*place)
            elif name in remembered:
                view.reports[name] = remembered[name]
        view.leaving = [self._read(*departing)] if departing else []
        waits = changed is not None and not view.reports[changed[1].name].is_member
        offers = changed is not None and bool(view.reports[changed[1].name].offers)
        has_old = any(report.is_old for report in view.reports.values())
        view.carried = full or bool(departing) or waits or offers or has_old
        if view.carried and published.leader == number:
            unit_bags = [relation.data[self.charm.unit] for relation in relations]
            mirrors = [bag for bag in unit_bags if bag.get("mirror") == "up"]
            values = _wire.Published.from_old_bags({}, mirrors[:1]).values
            view.published = dataclasses.replace(published, values=values)
        if waits and not full:
            # Its token may have been issued before it was heard of; tokens are not remembered.
            for place in ((relation, unit) for relation in relations for unit in relation.units):
                report = view.reports.get(place[1].name)
                if report is not None and report.mirror == "up":
                    view.reports[report.unit] = self._read(*place)
        return view

    def _read(self, relation: ops.Relation, unit: ops.Unit) -> _wire.Report:
        try:
            return _wire.Report.from_bag(unit.name, relation.data[unit])
        except ops.ModelError as error:
            # Seen of units that have departed; it is no evidence of anything.
            logger.warning("cannot read what %s reports: %s", unit.name, error)
            return _wire.Report(unit.name)

    def _gather_evidence(self, view: _View) -> None:
        """Learn who has left, and leave out what they have reported."""
        view.goal = goal_module.Goal.ask(self.relation_name)
        relation = self.charm.model.get_relation(self.peers)
        bag: Mapping[str, str] = relation.data[self.charm.app] if relation else {}
        ledger = {k.removeprefix(_LEDGER_PREFIX): v for k, v in bag.items()}
        view.ledger = {unit: name for unit, name in ledger.items() if unit not in bag}
        named = frozenset(view.goal.units if view.goal else ())
        if view.goal:
            self._memory.expected = " ".join(sorted(view.goal.units.keys() - view.goal.dying))
        hosts = {view.reports[unit].hostname for unit in view.reports.keys() & named} - {""}
        for unit, report in list(view.reports.items()):
            # Juju 4 goes on to list a unit that was removed by force, another of its name beside.
            is_outdated = unit not in named and report.hostname in hosts
            if is_outdated or view.has_departed(unit):
                del view.reports[unit]

    # Helpers: what follows

    def _reconcile(self, **about: Any) -> None:
        """Publish what follows from what is reported, or as much of it as is due.

        Args:
            about: `full` to read all reports anew, and to publish everything;
                `at_update_status`; the unit that has `changed`, or is `departing`, with its
                relation.
        """
        relations, memory = self._relations(), self._memory
        if memory.is_dying:
            return
        if not self.charm.unit.is_leader():
            self._step_down(relations, thorough=bool(about.get("full")))
            return
        if not relations:
            memory.reports, memory.status = "", _NOT_RELATED
            return
        view = self._look(relations, **about)
        if view.full or view.leaving:
            self._gather_evidence(view)
        clusters = " ".join(mirror.clusters(view.reported))
        if view.at_update_status:
            # Two update-status hooks have to say so: a first member may just have changed.
            memory.is_divided = " " in clusters and clusters == memory.clusters
            memory.clusters = clusters
        following, awaited = self._follow(view)
        if view.goal is None and self._needs_evidence(view, following):
            self._gather_evidence(view)
            following, awaited = self._follow(view)
        self._publish(view, following)
        memory.reports = _to_memory(view.reports)
        memory.status = self._status_of(view, following, awaited)

    def _follow(self, view: _View) -> tuple[_wire.Published, tuple[str, ...]]:
        """Return what is to be published, and for whose report the bootstrap waits."""
        reports, published = view.reported, view.published
        if view.at_update_status and self._is_dissolved(view):
            published = dataclasses.replace(
                published, formed=False, bootstrap_app="", bootstrap_host=""
            )
        following = mirror.publish(
            published, reports, view.ledger, view.goal, is_divided=self._memory.is_divided
        )
        apps = [self._app_of(view, relation) for relation in view.relations]
        grant = bootstrap.decide(
            following, apps, view.ledger, view.goal, at_update_status=view.at_update_status
        )
        following = dataclasses.replace(
            following,
            leader=str(goal_module.number_of(self.charm.unit.name)),
            bootstrap_app=grant.app,
            bootstrap_host=grant.host,
        )
        if view.carried:
            values = mirror.values(following, reports, view.leaving)
            following = dataclasses.replace(following, values=values)
        return following, grant.awaited

    @staticmethod
    def _is_dissolved(view: _View) -> bool:
        """Tell whether no cluster is left: all say so, but who is being removed may yet stay."""
        reports = view.reported
        if view.goal is None or not (reports and view.published.formed):
            return False
        silent = view.goal.dying - {report.unit for report in reports}
        return not silent and all(report.member == "false" for report in reports)

    @staticmethod
    def _app_of(view: _View, relation: ops.Relation) -> bootstrap.App:
        units = frozenset(u.name for u in relation.units if not view.has_departed(u.name))
        reports = tuple(report for report in view.reported if report.unit in units)
        return bootstrap.App(relation.app.name, units, reports)

    def _needs_evidence(self, view: _View, following: _wire.Published) -> bool:
        """Tell whether something hangs on what goal-state says."""
        units, expected = len(view.reported), len(self._memory.expected.split())
        if not following.formed and not following.bootstrap_app:
            return units >= expected
        return mirror.are_newcomers_due(view.published, following, units, expected)

    def _publish(self, view: _View, following: _wire.Published) -> None:
        """Write what is due, and the ledger, which costs the consumers nothing."""
        published, expected = view.published, len(self._memory.expected.split())
        has_something = following.formed or following.bootstrap_app or published.leader
        app_due = view.full or mirror.is_app_due(
            published, following, len(view.reported), expected
        )
        unit_due = view.full or mirror.is_unit_due(published, following)
        # A new consumer takes a distributor that names no leader for an old one.
        app_due = bool(has_something) and (app_due or (unit_due and not published.leader))
        for relation in view.relations if app_due else ():
            _write(relation.data[self.charm.app], following.to_app_bag())
        for relation in view.relations if unit_due and has_something else ():
            _write(relation.data[self.charm.unit], following.to_unit_bag())
        if app_due and following.bootstrap_host not in ("", published.bootstrap_host):
            logger.info("%s may bootstrap the cluster", following.bootstrap_host)
        if app_due and following.left - published.left:
            logger.info("these have left the model: %s", sorted(following.left - published.left))
        peers = self.charm.model.get_relation(self.peers) if view.goal else None
        if peers is None or view.goal is None:
            return
        left = following.left if app_due else published.left
        if self._memory.is_divided:
            left = frozenset(view.ledger.values())  # They are to be dealt with later.
        present = frozenset(unit.name for relation in view.relations for unit in relation.units)
        ledger = mirror.enter(view.ledger, left, view.reported, view.goal, present)
        gone = dict.fromkeys(view.ledger.keys() - ledger.keys(), "")
        rows = {**ledger, **gone}.items()
        updates = {_LEDGER_PREFIX + unit: v for unit, v in rows if view.ledger.get(unit) != v}
        if updates:
            peers.data[self.charm.app].update(updates)

    def _step_down(self, relations: Sequence[ops.Relation], *, thorough: bool) -> None:
        """Publish nothing any more: another unit leads."""
        if thorough or self._memory.reports:
            for relation in relations:
                bag = relation.data[self.charm.unit]
                if bag.get("mirror", "down") != "down":
                    _write(bag, {"mirror": "down"})
            self._memory.reports, self._memory.status = "", _READY

    def _status_of(self, view: _View, following: _wire.Published, awaited: Sequence[str]) -> str:
        """Return the name of the leader's status, and its message behind it."""
        reports = view.reported
        for name, same in sorted(mirror.by_host(reports).items()):
            if len(same) > 1:
                units = " and ".join(sorted(report.unit for report in same))
                return f"blocked {units} have the same host name, {name}: rename one machine"
        if self._memory.is_divided:
            names = " and ".join(mirror.clusters(reports))
            return f"blocked several clusters are related, those of {names}: keep one"
        if not following.formed:
            known = set(self._memory.expected.split())
            awaited = awaited or sorted(known - {report.unit for report in reports})
            return _bootstrap_status(following, awaited if reports else ())
        count = f"{_count(len(reports), 'unit')} in {_count(len(view.relations), 'application')}"
        hold = ", ".join(sorted(following.hold))
        if hold and following.waiting:
            blind = sorted(report.hostname for report in reports if report.hostname in report.hold)
            text = f"no list of members on {', '.join(blind)}" if blind else ""
            return f"waiting joins paused: {text or _wire.offline_text(following.hold)}"
        failed = ", ".join(sorted(name for name, token in following.waiting.items() if token))
        if failed:
            return f"waiting join failed, see the log of the unit on: {failed}"
        if following.waiting:
            return f"waiting {count}, {len(following.waiting)} not in the cluster yet"
        return f"active {count}, offline: {hold}" if hold else f"active {count}"


def _bootstrap_status(following: _wire.Published, awaited: Sequence[str]) -> str:
    if chosen := following.bootstrap_host or following.bootstrap_app:
        return f"waiting waiting for {chosen} to bootstrap"
    if awaited:
        return f"waiting the bootstrap waits for {', '.join(awaited)}"
    return "active no unit has given its host name yet"


def _write(bag: ops.RelationDataContent, wanted: Mapping[str, str]) -> None:
    # Juju puts addresses of its own into a unit's databag.
    current = {key: value for key, value in bag.items() if key not in _JUJUS_KEYS}
    if updates := _wire.changes(current, wanted):
        bag.update(updates)


def _state_of(report: _wire.Report, published: _wire.Published) -> str:
    if report.is_member:
        return "joined"
    if report.failed:
        return "join failed"
    return "token offered" if published.token_for(report.hostname) else "waiting"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _to_memory(reports: Mapping[str, _wire.Report]) -> str:
    """Return reports as JSON, without what is mirrored: tokens may be among that."""
    bags: dict[str, dict[str, str]] = {}
    for unit, report in reports.items():
        bags[unit] = dataclasses.replace(report, values={}).to_bag()
        if report.has_reported and not report.hostname:
            bags[unit]["hostname"] = "?"  # one that cannot be used
    return json.dumps(bags)


def _from_memory(text: str) -> dict[str, _wire.Report]:
    """Return the reports of which `_to_memory` made a text."""
    return {unit: _wire.Report.from_bag(unit, bag) for unit, bag in json.loads(text).items()}
