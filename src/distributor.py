"""The distributor's endpoint: reads reports, asks the rules what to publish, and writes it."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import TYPE_CHECKING, Any, cast

import ops

import bootstrap
import goal as goal_module
import mirror
from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

_LEDGER_PREFIX = "unit-"
_JUJUS_KEYS = frozenset({"egress-subnets", "ingress-address", "private-address"})


@dataclasses.dataclass
class _View:
    """What the leader sees in a hook.

    Attributes:
        relations: with the consumers, the first related first.
        published: what is published; without values where they do not matter.
        reports: by unit, of those that have reported and have not departed.
        leaving: reports of units that are departing right now.
        full: whether all reports were read anew, and everything is to be published.
        carried: whether the mirrored values matter.
        at_update_status: whether the hook is an update-status.
        goal: what goal-state says; None where it was not asked, or cannot be had.
        ledger: see `mirror.publish`; empty where goal-state was not asked.
    """

    relations: Sequence[ops.Relation]
    published: _wire.Published
    reports: dict[str, _wire.Report]
    leaving: Sequence[_wire.Report] = ()
    full: bool = False
    carried: bool = False
    at_update_status: bool = False
    goal: goal_module.Goal | None = None
    ledger: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    @property
    def present(self) -> frozenset[str]:
        """The units that Juju lists as related, whether they have left or not."""
        return frozenset(unit.name for relation in self.relations for unit in relation.units)


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
        # The reports, as JSON; empty for none. How many units there are going to be.
        self._memory.set_default(reports="", expected=0)
        # The clusters of the last update-status, and whether there are several for good.
        self._memory.set_default(clusters="", is_divided=False)
        self._memory.set_default(is_dying=False, status="maintenance starting")
        relation_events = charm.on[relation_name]
        for event in (charm.on.leader_elected, charm.on.upgrade_charm, charm.on.update_status):
            self.framework.observe(event, self._on_full_read)
        self.framework.observe(charm.on.start, self._on_start)
        self.framework.observe(relation_events.relation_changed, self._on_relation_changed)
        self.framework.observe(relation_events.relation_departed, self._on_relation_departed)
        self.framework.observe(relation_events.relation_broken, self._on_relation_broken)

    # Handlers

    def _on_full_read(self, event: ops.EventBase) -> None:
        at_update_status = isinstance(event, ops.UpdateStatusEvent)
        self._reconcile(full=True, at_update_status=at_update_status)

    def _on_start(self, _: ops.StartEvent) -> None:
        if not self.charm.unit.is_leader():
            self._memory.status = _READY

    def _on_relation_changed(self, event: ops.RelationChangedEvent) -> None:
        if event.unit is not None:
            self._reconcile(changed=(event.relation, event.unit))

    def _on_relation_departed(self, event: ops.RelationDepartedEvent) -> None:
        if event.departing_unit == self.charm.unit:
            # It is this unit that leaves: the others stay where they are.
            self._memory.is_dying = True
        elif event.unit is not None:
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
        goal, ledger = self._evidence()
        rows: list[dict[str, str]] = []
        for unit, report in sorted(view.reports.items()):
            gone = mirror.has_departed(unit, ledger, goal, view.published)
            state = "left" if gone else _state_of(report, view.published)
            rows.append(_row(unit, report.hostname, state))
        seen = {row["host-name"] for row in rows}
        return [*rows, *(_row("", name, "left") for name in sorted(view.published.left - seen))]

    # Helpers: what is seen

    @property
    def _memory(self) -> Any:
        return self._stored

    @property
    def _number(self) -> str:
        return str(goal_module.number_of(self.charm.unit.name))

    def _relations(self) -> list[ops.Relation]:
        relations = [r for r in self.charm.model.relations[self.relation_name] if r.active]
        return sorted(relations, key=lambda relation: relation.id)

    def _look(
        self,
        relations: Sequence[ops.Relation],
        *,
        full: bool = False,
        at_update_status: bool = False,
        changed: tuple[ops.Relation, ops.Unit] | None = None,
        departing: tuple[ops.Relation, ops.Unit] | None = None,
    ) -> _View:
        """Read what has to be read, for the arguments of `_reconcile`."""
        app_bags = (relation.data[self.charm.app] for relation in relations)
        decided = (_wire.Published.from_bags(bag, {}) for bag in app_bags)
        published = next((each for each in decided if each.leader), _wire.Published())
        # Who leads now may have missed what happened while another unit did.
        full = full or not self._memory.reports or published.leader not in ("", self._number)
        view = _View(relations, published, {}, full=full, at_update_status=at_update_status)
        view.leaving = [self._read(*departing)] if departing else []
        remembered = {} if full else _from_memory(self._memory.reports)
        for relation in relations:
            for unit in relation.units:
                if full or (changed is not None and unit == changed[1]):
                    view.reports[unit.name] = self._read(relation, unit)
                elif unit.name in remembered:
                    view.reports[unit.name] = remembered[unit.name]
        report = view.reports.get(changed[1].name) if changed else None
        moves = report is not None and (bool(report.offers) or not report.is_member)
        view.carried = full or bool(departing) or moves
        if view.carried and published.leader == self._number:
            bags = [relation.data[self.charm.unit] for relation in relations]
            bag = next((bag for bag in bags if bag.get("mirror") == "up"), {})
            values = _wire.Published.from_bags({}, bag).values
            view.published = dataclasses.replace(published, values=values)
        if report is not None and not report.is_member and not full:
            # A token may have been issued before its unit was heard of.
            self._read_offers(view)
        return view

    def _read(self, relation: ops.Relation, unit: ops.Unit) -> _wire.Report:
        try:
            return _wire.Report.from_bag(unit.name, relation.data[unit])
        except ops.ModelError as error:
            # Seen of units that have departed; it is no evidence of anything.
            logger.warning("cannot read what %s reports: %s", unit.name, error)
            return _wire.Report(unit.name)

    def _read_offers(self, view: _View) -> None:
        """Read again who mirrors, since tokens are not remembered."""
        for relation in view.relations:
            for unit in relation.units:
                if unit.name in view.reports and view.reports[unit.name].mirror == "up":
                    view.reports[unit.name] = self._read(relation, unit)

    def _evidence(self) -> tuple[goal_module.Goal | None, dict[str, str]]:
        """Return what goal-state says of the consumers' units, and the ledger."""
        goal = goal_module.Goal.ask(self.relation_name)
        if goal is not None:
            self._memory.expected = goal.staying
        relation = self.charm.model.get_relation(self.peers)
        bag: Mapping[str, str] = relation.data[self.charm.app] if relation else {}
        prefix = _LEDGER_PREFIX
        return goal, {k.removeprefix(prefix): v for k, v in bag.items() if k.startswith(prefix)}

    def _gather_evidence(self, view: _View) -> None:
        """Learn who has left, and leave out what they have reported."""
        goal, ledger = view.goal, view.ledger = self._evidence()
        named = goal.units if goal else {}
        hosts = {view.reports[unit].hostname for unit in view.reports.keys() & named}
        for unit, report in list(view.reports.items()):
            # Juju 4 goes on to list a unit that was removed by force, another of its name beside.
            is_outdated = unit not in named and report.hostname in hosts - {""}
            if is_outdated or mirror.has_departed(unit, ledger, goal, view.published):
                del view.reports[unit]

    # Helpers: what follows

    def _reconcile(self, **about: Any) -> None:
        """Publish what follows from what is reported, or as much of it as is due.

        Args:
            about: `full` to read all reports anew, and to publish everything;
                `at_update_status`; the unit that has `changed`, or is `departing`, with its
                relation.
        """
        relations = self._relations()
        if self._memory.is_dying:
            return
        if not self.charm.unit.is_leader():
            self._step_down(relations, thorough=bool(about.get("full")))
            return
        if not relations:
            self._memory.reports = ""
            self._memory.status = _NOT_RELATED
            return
        view = self._look(relations, **about)
        if view.full or view.leaving:
            self._gather_evidence(view)
        self._judge_clusters(view)
        following, awaited = self._follow(view)
        if view.goal is None and self._needs_evidence(view, following):
            self._gather_evidence(view)
            following, awaited = self._follow(view)
        self._publish(view, following)
        self._memory.reports = _to_memory(view.reports)
        self._memory.status = self._status_of(view, following, awaited)

    def _judge_clusters(self, view: _View) -> None:
        """Find out whether there are several clusters: two update-status hooks have to say so."""
        seen = mirror.clusters(list(view.reports.values()))
        if view.at_update_status:
            text = " ".join(sorted(seen))
            self._memory.is_divided = len(seen) > 1 and text == self._memory.clusters
            self._memory.clusters = text
        elif len(seen) < 2:
            self._memory.is_divided = False

    def _follow(self, view: _View) -> tuple[_wire.Published, tuple[str, ...]]:
        """Return what is to be published, and for whose report the bootstrap waits."""
        reports = [report for report in view.reports.values() if report.has_reported]
        published = view.published
        if view.at_update_status and self._is_dissolved(view, reports):
            published = dataclasses.replace(
                published, formed=False, bootstrap_app="", bootstrap_host=""
            )
        following = mirror.publish(
            published,
            reports,
            view.ledger,
            view.goal,
            is_divided=self._memory.is_divided,
        )
        grant = bootstrap.decide(
            following,
            self._apps(view),
            view.ledger,
            view.goal,
            at_update_status=view.at_update_status,
        )
        following = dataclasses.replace(
            following,
            leader=self._number,
            bootstrap_app=grant.app,
            bootstrap_host=grant.host,
        )
        if view.carried:
            values = mirror.values(following, reports, view.leaving)
            following = dataclasses.replace(following, values=values)
        return following, grant.awaited

    def _apps(self, view: _View) -> list[bootstrap.App]:
        return [
            bootstrap.App(
                relation.app.name,
                frozenset(
                    unit.name
                    for unit in relation.units
                    if not mirror.has_departed(unit.name, view.ledger, view.goal, view.published)
                ),
                tuple(
                    view.reports[unit.name]
                    for unit in relation.units
                    if unit.name in view.reports and view.reports[unit.name].has_reported
                ),
            )
            for relation in view.relations
        ]

    @staticmethod
    def _is_dissolved(view: _View, reports: Sequence[_wire.Report]) -> bool:
        """Tell whether no cluster is left: all say so, and nobody who is leaving is silent."""
        if view.goal is None or not reports:
            return False
        dying = {unit for unit, status in view.goal.units.items() if status == "dying"}
        silent = dying - {report.unit for report in reports}
        return not silent and all(report.member == "false" for report in reports)

    def _needs_evidence(self, view: _View, following: _wire.Published) -> bool:
        """Tell whether something hangs on what goal-state says."""
        units = sum(report.has_reported for report in view.reports.values())
        expected = self._memory.expected
        if not following.formed and not following.bootstrap_app:
            return units >= expected
        return mirror.newcomers_are_due(view.published, following, units, expected)

    def _publish(self, view: _View, following: _wire.Published) -> None:
        published = view.published
        units = sum(report.has_reported for report in view.reports.values())
        due = mirror.due(published, following, units, self._memory.expected)
        has_something = following.formed or following.bootstrap_app or published.leader
        if not (has_something and (due.app or due.unit or view.full)):
            self._enter(view, published.left)
            return
        if following.bootstrap_host not in ("", published.bootstrap_host):
            logger.info("%s may bootstrap the cluster", following.bootstrap_host)
        for name in sorted(following.left - published.left):
            logger.info("the unit of %s has left the model", name)
        for relation in view.relations:
            if due.app or view.full or published.leader != self._number:
                _write(relation.data[self.charm.app], following.to_app_bag())
            if due.unit or (view.full and view.carried):
                _write(relation.data[self.charm.unit], following.to_unit_bag())
        self._enter(view, following.left if due.app or view.full else published.left)

    def _enter(self, view: _View, left: frozenset[str]) -> None:
        """Keep the ledger, in the peers' databag: that costs the consumers nothing."""
        if view.goal is None:
            return
        relation = self.charm.model.get_relation(self.peers)
        if relation is None:
            return
        reports = list(view.reports.values())
        ledger = mirror.enter(view.ledger, left, reports, view.goal, view.present)
        wanted = {_LEDGER_PREFIX + unit: name for unit, name in ledger.items()}
        wanted.update({_LEDGER_PREFIX + unit: "" for unit in view.ledger.keys() - ledger.keys()})
        before = {_LEDGER_PREFIX + unit: name for unit, name in view.ledger.items()}
        if updates := {key: name for key, name in wanted.items() if before.get(key) != name}:
            relation.data[self.charm.app].update(updates)

    def _step_down(self, relations: Sequence[ops.Relation], *, thorough: bool) -> None:
        """Publish nothing any more: another unit leads."""
        if not (thorough or self._memory.reports):
            return
        for relation in relations:
            bag = relation.data[self.charm.unit]
            if bag.get("mirror", "down") != "down":
                _write(bag, {"mirror": "down"})
        self._memory.reports = ""
        self._memory.status = _READY

    def _status_of(self, view: _View, following: _wire.Published, awaited: Sequence[str]) -> str:
        """Return the name of the leader's status, and its message behind it."""
        reports = [report for report in view.reports.values() if report.has_reported]
        hosts = mirror.by_host(reports)
        for name, same in sorted(hosts.items()):
            if len(same) > 1:
                units = " and ".join(sorted(report.unit for report in same))
                return f"blocked {units} have the same host name, {name}: rename one machine"
        if self._memory.is_divided:
            names = " and ".join(sorted(mirror.clusters(reports)))
            return f"blocked several clusters are related, those of {names}: keep one"
        count = f"{_count(len(reports), 'unit')} in {_count(len(view.relations), 'application')}"
        offline = f"{', '.join(sorted(following.hold))}"
        plural = "members" if len(following.hold) > 1 else "member"
        verb = "are" if len(following.hold) > 1 else "is"
        if following.hold and following.waiting:
            return f"waiting joins paused: {plural} {offline} {verb} offline"
        failed = sorted(name for name, digest in following.waiting.items() if digest)
        if failed:
            return f"waiting join failed, see the log of the unit on: {', '.join(failed)}"
        if not following.formed:
            if following.bootstrap_host:
                return f"waiting waiting for {following.bootstrap_host} to bootstrap"
            if following.bootstrap_app:
                return f"waiting waiting for {following.bootstrap_app} to bootstrap"
            if awaited:
                return f"waiting the bootstrap waits for {', '.join(awaited)}"
            if not view.present:
                return "active no unit is related yet"
            return "waiting waiting for units to report their host names"
        if following.waiting:
            return f"waiting {count}, {len(following.waiting)} not in the cluster yet"
        if following.hold:
            return f"active {count}, offline: {offline}"
        return f"active {count}"


_NOT_RELATED = "blocked integrate with a charm that forms a microcluster"
_READY = "active ready to take over from the leader"


def _write(bag: ops.RelationDataContent, wanted: Mapping[str, str]) -> None:
    # Juju puts addresses of its own into a unit's databag.
    current = {key: value for key, value in bag.items() if key not in _JUJUS_KEYS}
    if updates := _wire.changes(current, wanted):
        bag.update(updates)


def _row(unit: str, hostname: str, state: str) -> dict[str, str]:
    app = goal_module.app_of(unit)
    return {"unit": unit, "application": app, "host-name": hostname, "state": state}


def _state_of(report: _wire.Report, published: _wire.Published) -> str:
    if report.is_member:
        return "joined"
    if report.failed:
        return "join failed"
    return "token offered" if published.token_for(report.hostname) else "waiting"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _to_memory(reports: Mapping[str, _wire.Report]) -> str:
    """Return reports as text, without what is mirrored: tokens may be among that."""
    rows = [
        {
            field.name: sorted(cast("frozenset[str]", value))
            if isinstance(value, frozenset)
            else value
            for field in dataclasses.fields(report)
            if field.name != "values" and (value := getattr(report, field.name))
        }
        for report in reports.values()
    ]
    return json.dumps(rows)


def _from_memory(text: str) -> dict[str, _wire.Report]:
    """Return the reports of which `_to_memory` made a text."""
    reports: dict[str, _wire.Report] = {}
    for row in cast("list[dict[str, Any]]", json.loads(text)):
        sets = {name: frozenset(row[name]) for name in ("hold", "gone") if name in row}
        reports[row["unit"]] = _wire.Report(**{**row, **sets})
    return reports
