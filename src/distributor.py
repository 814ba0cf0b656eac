"""The distributor's endpoint: reads reports, asks the rules what to publish, and writes it."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import TYPE_CHECKING, Any

import ops
from ops import hookcmds

import bootstrap
import mirror
from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

logger = logging.getLogger(__name__)

# The keys of the peer relation: the ledger's, and the members that an operator has had forgotten.
_LEDGER_PREFIX = "unit-"
_FORGOTTEN = "forgotten"
_NOT_RELATED = "blocked integrate with a charm that forms a microcluster"
_READY = "active ready to take over from the leader"


@dataclasses.dataclass
class _View:
    """What the leader sees in a hook."""

    relations: Sequence[ops.Relation]  # with the consumers, the first related first
    published: _wire.Published  # without values where they do not matter
    full: bool  # whether all reports were read anew, and everything is to be published
    at_update_status: bool
    units: frozenset[str]  # that Juju lists, some of which may have departed
    # Of those that have reported and not departed, and of those that are departing right now.
    reports: dict[str, _wire.Report] = dataclasses.field(default_factory=dict[str, _wire.Report])
    leaving: Sequence[_wire.Report] = ()
    carried: bool = False  # whether the mirrored values matter
    goal: mirror.Goal | None = None  # None where it was not asked, or cannot be had
    ledger: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    departed: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()


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
        self._number = charm.unit.name.rpartition("/")[2]
        self._memory: Any = self._stored
        # The reports, as JSON; empty for none. The units that there are going to be. The clusters
        # of the last update-status, and whether there are several for good.
        self._memory.set_default(reports="", expected=[], clusters=[], is_divided=False)
        self._memory.set_default(is_dying=False, status=_READY)
        observe, relation_events = self.framework.observe, charm.on[relation_name]
        for event in (charm.on.leader_elected, charm.on.upgrade_charm, charm.on.update_status):
            observe(event, self._on_full_read)
        observe(relation_events.relation_changed, self._on_relation_changed)
        observe(relation_events.relation_departed, self._on_relation_departed)
        observe(relation_events.relation_broken, self._on_relation_broken)

    # Handlers

    def _on_full_read(self, event: ops.EventBase) -> None:
        self._reconcile(full=True, at_update_status=isinstance(event, ops.UpdateStatusEvent))

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
        """Return a row for each unit: `unit`, `host-name` and `state`; no token is in it.

        The state is one of `waiting`, `token offered`, `join failed` and `joined`; or `left` or
        `offline` for a member without a unit.

        Raises:
            ValueError: another unit leads.
        """
        view = self._look_at_all()
        silent = {unit: _wire.Report(unit) for unit in view.units - view.departed}
        rows = [
            (unit, report.hostname, _state_of(report, view.published))
            for unit, report in sorted({**silent, **view.reports}.items())
        ]
        left, hosts = view.published.left, {report.hostname for report in view.reports.values()}
        lost = mirror.offline(view.reports.values()) - hosts
        rows += [("", name, "left" if name in left else "offline") for name in sorted(left | lost)]
        return [dict(zip(("unit", "host-name", "state"), row, strict=True)) for row in rows]

    def forget(self, name: str) -> None:
        """Have a member removed from its cluster that is not online, whatever goal-state says.

        Raises:
            ValueError: no member of that name is offline, or another unit leads.
        """
        view = self._look_at_all()
        if name not in (offline := mirror.offline(view.reports.values())):
            known = ", ".join(sorted(offline)) or "none"
            raise ValueError(f"{name!r} is no member that is offline; those are: {known}")
        logger.info(_wire.ADMIN_EVENT, "forget_member", name, "by an operator's word")
        self._peers_bag[_FORGOTTEN] = " ".join(sorted({*view.forgotten, name}))
        self._reconcile(full=True)

    # Helpers: what is seen

    def _relations(self) -> list[ops.Relation]:
        relations = [r for r in self.charm.model.relations[self.relation_name] if r.active]
        return sorted(relations, key=lambda relation: relation.id)

    @property
    def _peers_bag(self) -> MutableMapping[str, str]:
        relation = self.charm.model.get_relation(self.peers)
        return relation.data[self.charm.app] if relation else {}

    def _look_at_all(self) -> _View:
        if not self.charm.unit.is_leader():
            raise ValueError(f"only the leader can: run it on {self.charm.app.name}/leader")
        view = self._look(self._relations(), full=True)
        self._gather_evidence(view)
        return view

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
        bag: Mapping[str, str] = relations[0].data[self.charm.app] if relations else {}
        published = _wire.Published.from_bags(bag, {})
        # Who leads now may have missed what happened while another unit did.
        is_ours = published.leader in ("", self._number)
        full = full or not self._memory.reports or not is_ours
        places = {unit.name: (rel, unit) for rel in relations for unit in rel.units}
        view = _View(relations, published, full, at_update_status, frozenset(places))
        bags: dict[str, dict[str, str]] = {} if full else json.loads(self._memory.reports)
        reports = {unit: _wire.Report.from_bag(unit, bags[unit]) for unit in bags}
        new = set(places) if full else {changed[1].name} if changed else set[str]()
        reports.update({unit: self._read(*places[unit]) for unit in new})
        waits = not full and any(not reports[unit].is_member for unit in new)
        if waits:
            # The token may have been issued before its unit was heard of; none is remembered.
            givers = [unit for unit in places.keys() & reports if reports[unit].mirror == "up"]
            reports.update({unit: self._read(*places[unit]) for unit in givers})
        view.reports = {u: reports[u] for u in places if u in reports and reports[u].has_reported}
        view.leaving = [self._read(*departing)] if departing else []
        view.carried = bool(full or departing or waits) or any(
            report.offers or report.is_old for report in view.reports.values()
        )
        if view.carried and is_ours and relations:
            view.published = _wire.Published.from_bags(bag, relations[0].data[self.charm.unit])
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
        try:
            rows = hookcmds.goal_state().relations.get(self.relation_name, {})
            view.goal = mirror.Goal.of({name: row.status for name, row in rows.items()})
        except (hookcmds.Error, OSError, ValueError, LookupError) as error:
            logger.warning("cannot tell which units the model has: %s", error)
        bag, prefix = self._peers_bag, _LEDGER_PREFIX
        view.ledger = {k.removeprefix(prefix): v for k, v in bag.items() if k.startswith(prefix)}
        view.forgotten = frozenset(bag.get(_FORGOTTEN, "").split())
        if view.goal is None:
            return
        view.departed = view.goal.departed(view.ledger)
        self._memory.expected = sorted(view.goal.units.keys() - view.goal.dying)
        named = view.reports.keys() & view.goal.units.keys()
        hosts = {view.reports[unit].hostname for unit in named} - {""}
        for unit, report in list(view.reports.items()):
            # Juju 4 goes on to list a unit that was removed by force, another of its name beside.
            if unit in view.departed or (unit not in named and report.hostname in hosts):
                del view.reports[unit]

    # Helpers: what follows

    def _reconcile(self, **about: Any) -> None:
        """Publish what follows from what is reported, or as much of it as is due.

        A `full` one reads all reports anew, and publishes everything. Else it is about the unit
        that has `changed` or is `departing`, with its relation.
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
        clusters = mirror.clusters(view.reports.values())
        if view.at_update_status:
            # Two update-status hooks have to say so: a first member may just have changed.
            memory.is_divided = len(clusters) > 1 and clusters == memory.clusters
            memory.clusters = clusters
        following, awaited = self._follow(view)
        if view.goal is None and self._needs_evidence(view, following):
            self._gather_evidence(view)
            following, awaited = self._follow(view)
        self._publish(view, following)
        # Without the values: tokens may be among them.
        bags = {u: dataclasses.replace(r, values={}).to_bag() for u, r in view.reports.items()}
        memory.reports = json.dumps(bags)
        memory.status = self._status_of(view, following, awaited)

    def _follow(self, view: _View) -> tuple[_wire.Published, Sequence[str]]:
        """Return what is to be published, and for whose report the bootstrap waits."""
        reports, published = view.reports.values(), view.published
        is_dissolved = published.formed and mirror.is_dissolved(reports, view.goal)
        if view.at_update_status and is_dissolved:
            published = _wire.Published(values=published.values)
        following = mirror.publish(
            dataclasses.replace(published, leader=self._number),
            reports,
            view.ledger,
            view.goal,
            forgotten=view.forgotten,
            is_divided=self._memory.is_divided,
        )
        apps: list[bootstrap.App] = []
        for relation in view.relations:
            units = frozenset(unit.name for unit in relation.units) - view.departed
            own = [report for report in reports if report.unit in units]
            apps.append(bootstrap.App(relation.app.name, units, own))
        following, awaited = bootstrap.grant(
            following, apps, view.ledger, view.goal, at_update_status=view.at_update_status
        )
        if view.carried:
            values = mirror.values(following, reports, view.leaving)
            following = dataclasses.replace(following, values=values)
        return following, awaited

    def _needs_evidence(self, view: _View, following: _wire.Published) -> bool:
        """Tell whether something hangs on what goal-state says."""
        units, expected = len(view.reports), len(self._memory.expected)
        if not following.formed and not following.bootstrap_app:
            return units >= expected
        return mirror.are_newcomers_due(view.published, following, units, expected)

    def _publish(self, view: _View, following: _wire.Published) -> None:
        """Write what is due, and the ledger, which costs the consumers nothing."""
        published, units, expected = view.published, len(view.reports), len(self._memory.expected)
        has_something = bool(following.formed or following.bootstrap_app or published.leader)
        unit_due = has_something and (view.full or mirror.is_unit_due(published, following))
        app_due = has_something and (
            view.full
            or mirror.is_app_due(published, following, units, expected)
            # A new consumer takes a distributor that names no leader for an old one.
            or (unit_due and not published.leader)
        )
        for relation in view.relations if app_due else ():
            _wire.write(relation.data[self.charm.app], following.to_app_bag())
        for relation in view.relations if unit_due else ():
            _wire.write(relation.data[self.charm.unit], following.to_unit_bag())
        if app_due:
            names = {name: unit for unit, name in view.ledger.items()}
            names.update({report.hostname: report.unit for report in view.reports.values()})
            event, host = _wire.ADMIN_EVENT, following.bootstrap_host
            if host not in ("", published.bootstrap_host):
                logger.info(event, "grant_bootstrap", host, f"{names[host]} may bootstrap")
            for name in sorted(following.left - published.left):
                logger.info(event, "mark_left", name, f"{names.get(name)} has left")
        if view.goal is None or self._memory.is_divided:
            return  # Where it is divided, who has left is dealt with later.
        left = following.left if app_due else published.left
        ledger = mirror.enter(view.ledger, left, view.reports.values(), view.goal, view.units)
        bag = self._peers_bag
        wanted = dict.fromkeys((key for key in bag if key.startswith(_LEDGER_PREFIX)), "")
        wanted.update({_LEDGER_PREFIX + unit: name for unit, name in ledger.items()})
        wanted[_FORGOTTEN] = " ".join(sorted(view.forgotten & following.left))
        if updates := {key: v for key, v in sorted(wanted.items()) if bag.get(key, "") != v}:
            bag.update(updates)

    def _step_down(self, relations: Sequence[ops.Relation], *, thorough: bool) -> None:
        """Publish nothing any more: another unit leads."""
        if thorough or self._memory.reports:
            for bag in (relation.data[self.charm.unit] for relation in relations):
                if bag.get("mirror", "down") != "down":
                    _wire.write(bag, {"mirror": "down"})
            self._memory.reports, self._memory.status = "", _READY

    def _status_of(self, view: _View, following: _wire.Published, awaited: Sequence[str]) -> str:
        """Return the name of the leader's status, and its message behind it."""
        reports = view.reports.values()
        for name, same in sorted(mirror.by_host(reports).items()):
            if len(same) > 1:
                units = " and ".join(sorted(report.unit for report in same))
                return f"blocked {units} have the same host name, {name}: rename one machine"
        if self._memory.is_divided:
            names = " and ".join(mirror.clusters(reports))
            return f"blocked several clusters are related, those of {names}: keep one"
        if not following.formed:
            if chosen := following.bootstrap_host or following.bootstrap_app:
                return f"waiting waiting for {chosen} to bootstrap"
            missing = awaited or sorted({*self._memory.expected} - view.reports.keys())
            if reports and missing:
                return f"waiting the bootstrap waits for {', '.join(missing)}"
            return "active no unit has given its host name yet"
        count = f"{sum(r.is_member for r in reports)} of {len(reports)} units in the cluster"
        if following.hold and following.waiting:
            blind = {report.hostname for report in reports if report.hostname in report.hold}
            # The one that does not complain is down, or not in the cluster's network.
            others = {report.hostname for report in reports if report.is_member} - blind
            names, check = (", ".join(sorted(each)) for each in (blind, others))
            text = f"no list of members on {names}; check {check or 'all machines'}"
            return f"waiting joins paused: {text if blind else _wire.offline_text(following.hold)}"
        if failed := sorted(name for name, token in following.waiting.items() if token):
            return f"waiting join failed, see the log of the unit on: {', '.join(failed)}"
        if following.waiting:
            return f"waiting {count}"
        lost = ", ".join(sorted(mirror.offline(reports)))
        return f"active {count}, offline: {lost}" if lost else f"active {count}"


def _state_of(report: _wire.Report, published: _wire.Published) -> str:
    if report.is_member:
        return "joined"
    if report.failed:
        return "join failed"
    return "token offered" if published.token_for(report.hostname) else "waiting"
