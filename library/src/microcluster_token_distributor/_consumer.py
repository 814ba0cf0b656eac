"""`TokenConsumer`, by which a charm's units become one cluster."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import ops

from microcluster_token_distributor import _cluster, _events, _membership, _wire, _workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

# How often a unit tries to join between two update-status hooks.
_TRIES = 2
_NOT_RELATED = "blocked integrate with microcluster-token-distributor"


class TokenConsumer(ops.Object):
    """Makes the units of a charm one cluster, with the help of a token distributor.

    Args:
        charm: the charm of the microcluster.
        relation_name: its endpoint, of the interface `worker-cluster`.
        command_name: the words before `bootstrap`, `add`, `join`, `list` and `remove`, such as
            `["microovn", "cluster"]`.
        workload: what to use instead of such commands.

    Attributes:
        on: its events, see `TokenConsumerEvents`.
        workload: what forms the cluster; a `CommandWorkload` has time limits as attributes.
        joins_while_degraded: as the workload says, see `Workload`; a charm may know better.
        bootstrap_args_func: takes nothing, and returns further arguments for `bootstrap`, as a
            list of texts; it is called after `prebootstrap`, each time.
        join_args_func: likewise for `join`, after the token, and after `prejoin`.
        leave_args_func: likewise for the `remove` of this unit, and after `preleave`.
    """

    on = _events.TokenConsumerEvents()  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    _stored = ops.StoredState()

    def __init__(
        self,
        charm: ops.CharmBase,
        relation_name: str,
        command_name: list[str] | None = None,
        *,
        workload: _workload.Workload | None = None,
    ):
        super().__init__(charm, relation_name)
        self.charm = charm
        self.relation_name = relation_name
        self.workload = workload or _workload.CommandWorkload(command_name or [])
        self.joins_while_degraded = self.workload.joins_while_degraded
        self.bootstrap_args_func: Callable[[], list[str]] = list
        self.join_args_func: Callable[[], list[str]] = list
        self.leave_args_func: Callable[[], list[str]] = list
        folder = charm.charm_dir / f".{relation_name}-tokens"
        self._cluster = _cluster.Cluster(self.workload, folder)
        self._memory: Any = self._stored
        # What the workload said last, and the name under which this unit joined.
        self._memory.set_default(in_cluster=False, hostname="")
        # Whether the workload has to be asked again, and whether it has said *no* to a member.
        self._memory.set_default(is_unsure=False, has_denied=False)
        # Tries to join since the last update-status, and whether a grant has been made use of.
        self._memory.set_default(tries=0, has_bootstrapped=False, failure="", status=_NOT_RELATED)
        # Whose joins failed, see `_membership.look_at_failed`.
        self._memory.set_default(failed="")

        observe, relation_events = self.framework.observe, charm.on[relation_name]
        observe(relation_events.relation_created, self._on_relation_created)
        observe(relation_events.relation_changed, self._on_relation_changed)
        observe(relation_events.relation_departed, self._on_relation_departed)
        observe(relation_events.relation_broken, self._on_relation_broken)
        observe(charm.on.upgrade_charm, self._on_upgrade_charm)
        observe(charm.on.update_status, self._on_update_status)
        observe(charm.on.remove, self._on_remove)

    # Handlers

    def _on_relation_created(self, event: ops.RelationCreatedEvent) -> None:
        self._reconcile(must_ask=True, new=event.relation)

    def _on_upgrade_charm(self, _: ops.UpgradeCharmEvent) -> None:
        self._reconcile(must_ask=True)

    def _on_relation_changed(self, event: ops.RelationChangedEvent) -> None:
        self._reconcile(about_unit=event.unit is not None)

    def _on_relation_departed(self, event: ops.RelationDepartedEvent) -> None:
        if event.departing_unit != self.charm.unit:
            self._reconcile(about_unit=True)
        elif not self._memory.in_cluster:
            # Being removed, it begins nothing. But it may have joined in a hook that died.
            self._memory.in_cluster = bool(self._ask().members)

    def _on_relation_broken(self, _: ops.RelationBrokenEvent) -> None:
        self._reconcile()

    def _on_update_status(self, _: ops.UpdateStatusEvent) -> None:
        # A join that failed is tried once more.
        self._memory.tries = min(self._memory.tries, _TRIES - 1)
        self._reconcile(must_ask=True, at_update_status=True)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        """Leave the cluster, while there is still a daemon that can.

        Raises:
            _cluster.LeaveRefusedError: the cluster refuses, for now; Juju tries the hook again.
        """
        if self._memory.in_cluster:
            self._cluster.leave(self._hostname, self.charm.unit.name, self._before_leave)
            self._memory.in_cluster = False

    # Offers to the charm

    @property
    def is_member(self) -> bool:
        """Whether this unit is a member, as the workload said last, in this hook or before."""
        return bool(self._memory.in_cluster)

    @property
    def status(self) -> ops.StatusBase:
        """What there is to say about the cluster in `collect-status`, as of the last look."""
        name, _, message = self._memory.status.partition(" ")
        return ops.StatusBase.from_name(name, message)

    def add_to_mirror(self, relation: ops.Relation, data: dict[str, str]) -> None:
        """Have values mirrored to the units of all related applications.

        Args:
            relation: the relation with the token distributor.
            data: the values by key, without prefix. A key has at most 256 printable ASCII
                characters, no `=`, and is nobody's host name. A value has at most 65,536
                characters; an empty one takes the key out of this unit's databag.
        """
        bag = relation.data[self.charm.unit]
        wanted = {**bag, **{_wire.mirror_id(key): value for key, value in data.items()}}
        if self.is_member:
            wanted["mirror"] = "up"
        if updates := _wire.changes(bag, {k: v for k, v in wanted.items() if v}):
            bag.update(updates)

    def find_mirrors(self, relation: ops.Relation) -> list[ops.Unit]:
        """Return the distributor's units that mirror."""
        units = sorted(relation.units, key=lambda unit: unit.name)
        return [unit for unit in units if relation.data[unit].get("mirror") == "up"]

    def get_relevant_mirror_data(
        self, relation: ops.Relation, keep_empty: bool = True
    ) -> dict[str, str]:
        """Return what is mirrored, by key without prefix; others' join tokens are among it.

        Args:
            relation: the relation with the token distributor.
            keep_empty: whether host names are among it for which `empty` is mirrored: no token.
        """
        bags = [relation.data[unit] for unit in self.find_mirrors(relation)]
        values = _wire.Published.from_old_bags({}, bags).values
        empty = _wire.EMPTY_STRING
        return {key: value for key, value in values.items() if keep_empty or value != empty}

    def find_value(self, relation: ops.Relation, key: str, keep_empty: bool = True) -> bool | str:
        """Return one value of `get_relevant_mirror_data`, or False for none."""
        return self.get_relevant_mirror_data(relation, keep_empty).get(key) or False

    def any_data_exists(self, relation: ops.Relation) -> bool:
        """Tell whether anything but `empty` is mirrored."""
        return bool(self.get_relevant_mirror_data(relation, keep_empty=False))

    # Helpers: what is seen

    @property
    def _hostname(self) -> str:
        """The name under which this unit joined, whatever its machine is called by now."""
        return (self._memory.in_cluster and self._memory.hostname) or _wire.get_hostname()

    def _relations(self) -> list[ops.Relation]:
        """Return the relations with a token distributor; one that only lingers does not count."""
        relations = [r for r in self.charm.model.relations[self.relation_name] if r.active]
        return sorted((r for r in relations if r.units), key=lambda r: r.id) or relations[:1]

    def _look(self, relation: ops.Relation, *, carried: bool) -> _membership.UnitState:
        """Read what there is to be seen, and no more: databags grow with the units.

        What the distributor's unit carries matters where a token may have come, and to no member.
        """
        memory, hostname = self._memory, self._hostname
        app_bag = relation.data[relation.app]
        published = _wire.Published.from_bags(app_bag, {})
        if not published.leader:
            bags = [relation.data[unit] for unit in self.find_mirrors(relation)]
            published = _wire.Published.from_old_bags(app_bag, bags)
        if published.leader and published.bootstrap_host != hostname:
            memory.has_bootstrapped = False
        granted = published.bootstrap_host == hostname and not memory.has_bootstrapped
        # By its number: an offer has another name.
        units = (u for u in relation.units if u.name.rpartition("/")[2] == published.leader)
        mirror = next(units, None)
        if mirror and not memory.in_cluster and (carried or published.formed or granted):
            published = _wire.Published.from_bags(app_bag, relation.data[mirror])
        # What is not seen yet might be the tokens of a cluster that exists.
        granted = granted and mirror is not None
        if not published.leader and hostname in published.waiting and not memory.in_cluster:
            # Under a distributor that speaks the old keys the leader may bootstrap.
            names = ("", self.charm.app.name)
            granted = published.bootstrap_app in names and self.charm.unit.is_leader()
        own = _wire.Report(self.charm.unit.name)
        return _membership.UnitState(hostname, own, published, is_granted=granted)

    def _own_report(self, relation: ops.Relation) -> _wire.Report:
        return _wire.Report.from_bag(self.charm.unit.name, relation.data[self.charm.unit])

    def _ask(self, *, confirms: bool = False) -> _membership.MembershipReport:
        was_member = self.is_member
        return self._cluster.ask(self._hostname, was_member=was_member, confirms=confirms)

    # Helpers: what is done

    def _reconcile(
        self,
        *,
        must_ask: bool = False,  # the workload, whatever is published
        new: ops.Relation | None = None,  # in which nothing can have been published yet
        about_unit: bool = False,  # the hook is about a unit of the distributor
        at_update_status: bool = False,
    ) -> None:
        """Do what there is to do, and report; nothing is run without need."""
        relations, memory = self._relations(), self._memory
        if not relations:
            memory.status = "active" if memory.in_cluster else _NOT_RELATED
            return
        relation = relations[0]
        state = _membership.UnitState(self._hostname, _wire.Report(""), _wire.Published())
        if relation == new:
            memory.has_bootstrapped = False
        else:
            state = self._look(relation, carried=about_unit or at_update_status)
        if memory.in_cluster:
            if about_unit and state.published.leader:
                return
            state.own = self._own_report(relation)
            # An earlier library has remembered no name.
            memory.hostname = memory.hostname or state.own.hostname
            state.hostname = self._hostname
        state.at_update_status = at_update_status
        state.joins_while_degraded = self.joins_while_degraded
        state.tokens = self._cluster.tokens.all()
        idle = _membership.is_idle(state, was_member=memory.in_cluster)
        if must_ask or memory.is_unsure or not idle:
            state.own = self._own_report(relation)
            state.answer = self._ask(confirms=at_update_status and memory.has_denied)
            cannot_tell = bool(state.answer.reason)
            memory.has_denied = state.answer.is_denial or (memory.has_denied and cannot_tell)
            memory.failed, state.suspects = _membership.look_at_failed(state, memory.failed)
            self._proceed(state)
            memory.is_unsure = bool(state.answer.reason)
            self._report(state, relation)
        state.failure = memory.failure
        memory.status = self._status(state, several=len(relations) > 1)

    def _proceed(self, state: _membership.UnitState) -> None:
        """Do what the workload's answer calls for."""
        memory, answer = self._memory, state.answer
        if answer.is_no:
            memory.in_cluster = False
            state.hostname = _wire.get_hostname()
            if not (state.offered or state.is_granted):
                memory.failure = ""
            if state.offered and not state.published.hold and memory.tries < _TRIES:
                memory.tries += 1
                self.on.prejoin.emit()
                failure = self._cluster.attempt(
                    self.workload.join, state.offered, self.join_args_func()
                )
                self._form(state, failure, bootstrapper=False)
            elif not state.offered and _membership.may_bootstrap(state):
                self.on.prebootstrap.emit()
                failure = self._cluster.attempt(
                    self.workload.bootstrap, self.bootstrap_args_func()
                )
                self._form(state, failure, bootstrapper=True)
        elif answer.members and not memory.in_cluster:
            # The hook in which it became a member died before it could say so.
            alone = len(answer.members) == 1
            self._become_member(state, bootstrapper=alone or state.is_granted)
        elif (
            state.at_update_status and memory.in_cluster and answer.reason and not answer.is_denial
        ):
            # A host that does not answer keeps the list from being had.
            self._remove(state, sorted(state.published.left - {state.hostname}))
        if state.acts:
            self._remove(state, _membership.removable(state))
            self._issue(state)

    def _form(self, state: _membership.UnitState, failure: str, *, bootstrapper: bool) -> None:
        """Find out whether this unit is a member now, however the command ended."""
        verb = "bootstrap" if bootstrapper else "join"
        state.answer = self._ask()
        if failure and not state.answer.members:
            logger.error("%s cannot %s the cluster: %s", state.hostname, verb, failure)
            self._memory.failure = f"{verb} failed: {failure}"
            state.rejected = "" if bootstrapper else _wire.digest(state.offered)
            return
        if not state.answer.members:
            reason = state.answer.reason or f"{verb} worked, and does not show yet"
            state.answer = _membership.MembershipReport(reason=reason)
        logger.info("%s is a member of the cluster: %s", state.hostname, verb)
        self._become_member(state, bootstrapper=bootstrapper)

    def _become_member(self, state: _membership.UnitState, *, bootstrapper: bool) -> None:
        """Remember that this unit is a member, and under which name; tell the charm."""
        memory = self._memory
        memory.in_cluster, memory.hostname = True, state.hostname
        memory.tries, memory.failure = 0, ""
        if bootstrapper:
            memory.has_bootstrapped = True
            self.on.bootstrapped.emit()
        self.on.joined.emit(bootstrapper=bootstrapper)

    def _issue(self, state: _membership.UnitState) -> None:
        """Issue tokens for who waits."""
        for name in _membership.to_issue(state):
            if name in state.answer.names or state.blocking:
                continue  # It has joined, or a member went down, meanwhile.
            failure = self._cluster.attempt(self._cluster.tokens.issue, self.workload, name)
            if not failure:
                logger.info("issued a token for %s", name)
                self.on.token_generated.emit()
                continue
            logger.info("no token for %s: %s", name, failure)
            answer = self._ask()
            if not answer.members:
                break  # The cluster has stopped answering: nobody else fares better.
            state.answer = answer

    def _remove(self, state: _membership.UnitState, names: Sequence[str]) -> None:
        """Remove members that are not online."""
        for name in names:
            failure = self._cluster.attempt(self.workload.remove, name, (), force=True)
            logger.info("removed %s, which is not online: %s", name, failure or "done")
        if names:
            state.answer = self._ask()

    def _report(self, state: _membership.UnitState, relation: ops.Relation) -> None:
        tokens = self._cluster.tokens.all()
        for name in state.answer.online & tokens.keys():
            self._cluster.tokens.drop(name)
            del tokens[name]
        # The charm may have written to it meanwhile, when it was told that the unit has joined.
        bag = relation.data[self.charm.unit]
        state.own, state.tokens = self._own_report(relation), tokens
        current = {key: value for key, value in bag.items() if _wire.is_consumer_key(key)}
        if updates := _wire.changes(current, _membership.report(state).to_bag()):
            bag.update(updates)

    def _before_leave(self) -> list[str]:
        self.on.preleave.emit()
        return self.leave_args_func()

    def _status(self, state: _membership.UnitState, *, several: bool) -> str:
        """Return the name of this unit's status, and its message behind it."""
        if several:
            return "blocked integrate with one token distributor, not with several"
        if state.answer.reason:
            return f"waiting cannot tell about the cluster: {state.answer.reason}"
        if self.is_member:
            paused = state.acts and state.published.waiting and state.blocking
            return (
                "active joins paused: " + _wire.offline_text(state.blocking)
                if paused
                else "active"
            )
        if not _wire.is_hostname(state.hostname):
            name = state.hostname
            return f"blocked no member can have the host name {name!r}: rename this machine"
        return "waiting " + _membership.waiting_reason(state)
