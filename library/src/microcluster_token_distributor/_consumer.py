"""`TokenConsumer`, by which a charm's units become one cluster."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any

import ops

from microcluster_token_distributor import _events, _membership, _wire, _workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

# How often a unit tries to join between two update-status hooks; and how often a workload that
# refuses to let a unit go is asked, where no unit stays.
_TRIES = 2
_LEAVE_TRIES = 3
# Seconds for which a daemon that may be restarting is asked again, and between two questions.
_SETTLE_LIMIT = 5.0
_SETTLE_PAUSE = 0.25
_NOT_RELATED = "blocked integrate with microcluster-token-distributor"


class LeaveRefusedError(Exception):
    """The cluster does not let this unit go yet; the message says why, and holds no token.

    It is raised in the `remove` hook, which thereby fails, and which Juju tries again.
    """


def _no_args() -> list[str]:
    return []


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
        self.bootstrap_args_func: Callable[[], list[str]] = _no_args
        self.join_args_func: Callable[[], list[str]] = _no_args
        self.leave_args_func: Callable[[], list[str]] = _no_args
        self._folder = charm.charm_dir / f".{relation_name}-tokens"
        self._tokens = _workload.TokenStore(self._folder)
        self._memory: Any = self._stored
        # What the workload said last, and the name under which this unit joined.
        self._memory.set_default(in_cluster=False, hostname="")
        # Whether the workload has to be asked again, and whether it has said *no* to a member.
        self._memory.set_default(is_unsure=False, has_denied=False)
        # Tries to join since the last update-status, and the relation in which it bootstrapped.
        self._memory.set_default(tries=0, bootstrapped_in=-1, status=_NOT_RELATED)

        observe, relation_events = self.framework.observe, charm.on[relation_name]
        observe(relation_events.relation_created, self._on_relation_created)
        observe(relation_events.relation_changed, self._on_relation_changed)
        observe(relation_events.relation_departed, self._on_relation_departed)
        observe(relation_events.relation_broken, self._on_relation_broken)
        observe(charm.on.upgrade_charm, self._on_upgrade_charm)
        observe(charm.on.update_status, self._on_update_status)
        observe(charm.on.remove, self._on_remove)

    # Handlers

    def _on_relation_created(self, _: ops.RelationCreatedEvent) -> None:
        self._reconcile(must_ask=True, is_new=True)

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

    def _on_upgrade_charm(self, _: ops.UpgradeCharmEvent) -> None:
        self._reconcile(must_ask=True)

    def _on_update_status(self, _: ops.UpdateStatusEvent) -> None:
        # A join that failed is tried once more.
        self._memory.tries = min(self._memory.tries, _TRIES - 1)
        self._reconcile(must_ask=True, at_update_status=True)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        """Leave the cluster, while there is still a daemon that can.

        Raises:
            LeaveRefusedError: the cluster refuses, for now. Juju tries the hook again; a unit that
                went all the same would take its vote with it, and maybe the others' quorum.
        """
        if self._memory.in_cluster:
            self._leave(self._hostname)
            self._memory.in_cluster = False

    # Offers to the charm

    @property
    def is_member(self) -> bool:
        """Whether this unit is a member, as the workload said last, in this hook or before."""
        return bool(self._memory.in_cluster)

    @property
    def joins_while_degraded(self) -> bool:
        """Whether a newcomer may join while a member is offline, see `Workload`."""
        return self.workload.joins_while_degraded

    @joins_while_degraded.setter
    def joins_while_degraded(self, value: bool) -> None:
        self.workload.joins_while_degraded = value

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
                characters, without spaces and `=`, and is nobody's host name. A value has at most
                65,536 characters; an empty one takes the key out of this unit's databag.
        """
        bag = relation.data[self.charm.unit]
        bag.update({_wire.mirror_id(key): value for key, value in data.items()})
        if self.is_member and bag.get("mirror") != "up":
            bag["mirror"] = "up"

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

    def _published(self, relation: ops.Relation, *, carried: bool) -> _wire.Published:
        """Return what the distributor publishes.

        Args:
            relation: the relation with it.
            carried: whether what it carries in its unit's databag matters. That is left out for a
                member, which need not know others' tokens.
        """
        app_bag = relation.data[relation.app]
        published = _wire.Published.from_bags(app_bag, {})
        if not published.leader:
            bags = [relation.data[unit] for unit in self.find_mirrors(relation)]
            return _wire.Published.from_old_bags(app_bag, bags)
        mirror = self._mirror(relation, published)
        is_granted = published.bootstrap_host == self._hostname
        if mirror and not self.is_member and (carried or published.formed or is_granted):
            return _wire.Published.from_bags(app_bag, relation.data[mirror])
        return published

    @staticmethod
    def _mirror(relation: ops.Relation, published: _wire.Published) -> ops.Unit | None:
        """Return the distributor's unit that counts. By its number: an offer has another name."""
        units = (u for u in relation.units if u.name.rpartition("/")[2] == published.leader)
        return next(units, None)

    def _own_report(self, relation: ops.Relation) -> _wire.Report:
        unit = self.charm.unit
        return _wire.Report.from_bag(unit.name, relation.data[unit])

    def _ask(self, *, confirms: bool = False) -> _membership.MembershipReport:
        """Ask the workload; `confirms` as for `_membership.believe`."""
        try:
            members = self.workload.members()
        except _workload.WorkloadError as error:
            logger.warning("cannot list the members of the cluster: %s", error)
            return _membership.MembershipReport(reason=_summary(error))
        was_member = self.is_member
        return _membership.believe(
            members, self._hostname, was_member=was_member, confirms=confirms
        )

    @staticmethod
    def _try(act: Callable[..., None], *args: Any, **options: Any) -> str:
        """Have the workload do something, and return why it did not; empty if it did."""
        try:
            act(*args, **options)
        except _workload.WorkloadError as error:
            return _summary(error)
        return ""

    # Helpers: what is done

    def _reconcile(
        self,
        *,
        must_ask: bool = False,
        is_new: bool = False,
        about_unit: bool = False,
        at_update_status: bool = False,
    ) -> None:
        """Do what there is to do, and report; nothing is run without need.

        Args:
            must_ask: whether the workload has to be asked, whatever is published.
            is_new: whether nothing can have been published for this unit yet.
            about_unit: whether the hook is about a unit of the distributor.
            at_update_status: whether it is an update-status.
        """
        relations, memory = self._relations(), self._memory
        if not relations:
            memory.status = "active" if memory.in_cluster else _NOT_RELATED
            return
        relation = relations[0]
        published = _wire.Published()
        if not is_new:
            published = self._published(relation, carried=about_unit or at_update_status)
        if memory.in_cluster and about_unit and published.leader:
            return
        if published.leader and published.bootstrap_host != self._hostname:
            memory.bootstrapped_in = -1
        needs_own = must_ask or memory.in_cluster
        state = _membership.UnitState(
            self._hostname,
            self._own_report(relation) if needs_own else _wire.Report(self.charm.unit.name),
            published,
            at_update_status=at_update_status,
            joins_while_degraded=self.joins_while_degraded,
            tokens=self._tokens.all(),
        )
        is_idle = _membership.is_idle(state, was_member=memory.in_cluster)
        if must_ask or memory.is_unsure or not is_idle or self._may_bootstrap(state, relation):
            answer = self._ask(confirms=at_update_status and memory.has_denied)
            memory.has_denied = answer.is_denial or (memory.has_denied and not answer.members)
            state = self._proceed(dataclasses.replace(state, answer=answer), relation)
            memory.is_unsure = bool(state.answer.reason)
            self._report(state, relation)
        elif memory.in_cluster:
            return
        memory.status = self._status(state, several=len(relations) > 1)

    def _may_bootstrap(self, state: _membership.UnitState, relation: ops.Relation) -> bool:
        published, memory = state.published, self._memory
        if memory.in_cluster or memory.bootstrapped_in == relation.id:
            return False
        if published.leader and self._mirror(relation, published) is None:
            return False  # It might carry tokens already, of a cluster that exists.
        leads = published.mirrors and not published.leader and self.charm.unit.is_leader()
        return _membership.may_bootstrap(state, self.charm.app.name if leads else "")

    def _proceed(
        self, state: _membership.UnitState, relation: ops.Relation
    ) -> _membership.UnitState:
        """Do what the workload's answer calls for, and return the state after it."""
        memory = self._memory
        if state.answer.is_no:
            memory.in_cluster = False
            state = dataclasses.replace(state, hostname=_wire.get_hostname())
            if state.offered and not state.published.hold and memory.tries < _TRIES:
                state = self._join(state, relation)
            elif self._may_bootstrap(state, relation):
                state = self._bootstrap(state, relation)
        elif state.answer.members and not memory.in_cluster:
            # The hook in which it became a member died before it could say so.
            alone = len(state.answer.members) == 1
            granted = self._may_bootstrap(state, relation)
            self._become_member(state, relation, bootstrapper=alone or granted)
        elif state.at_update_status and memory.in_cluster and not state.answer.members:
            # A host that does not answer keeps the list from being had.
            state = self._remove(state, sorted(state.published.left - {state.hostname}))
        return self._act(state) if state.acts else state

    def _join(self, state: _membership.UnitState, relation: ops.Relation) -> _membership.UnitState:
        self._memory.tries += 1
        self.on.prejoin.emit()
        failure = self._try(self.workload.join, state.offered, self.join_args_func())
        # A join can take effect however its command ended.
        state = dataclasses.replace(state, answer=self._ask())
        if failure and not state.answer.members:
            logger.error("%s cannot join the cluster: %s", state.hostname, failure)
            return dataclasses.replace(state, rejected=_wire.digest(state.offered))
        logger.info("%s has joined the cluster", state.hostname)
        self._become_member(state, relation, bootstrapper=False)
        return state

    def _bootstrap(
        self, state: _membership.UnitState, relation: ops.Relation
    ) -> _membership.UnitState:
        self.on.prebootstrap.emit()
        failure = self._try(self.workload.bootstrap, self.bootstrap_args_func())
        state = dataclasses.replace(state, answer=self._ask())
        if failure and not state.answer.members:
            logger.error("%s cannot bootstrap: %s", state.hostname, failure)
            return state
        logger.info("%s has bootstrapped the cluster", state.hostname)
        self._become_member(state, relation, bootstrapper=True)
        return state

    def _become_member(
        self, state: _membership.UnitState, relation: ops.Relation, *, bootstrapper: bool
    ) -> None:
        """Remember that this unit is a member, and under which name; tell the charm."""
        memory = self._memory
        memory.in_cluster, memory.hostname, memory.tries = True, state.hostname, 0
        if bootstrapper:
            memory.bootstrapped_in = relation.id
            self.on.bootstrapped.emit()
        self.on.joined.emit(bootstrapper=bootstrapper)

    def _act(self, state: _membership.UnitState) -> _membership.UnitState:
        """Remove who has left, and issue tokens for who waits."""
        state = self._remove(state, _membership.removable(state))
        for name in _membership.to_issue(state):
            if name in state.answer.names:
                continue  # It has joined meanwhile.
            failure = self._try(self._tokens.issue, self.workload, name)
            if not failure:
                logger.info("issued a token for %s", name)
                self.on.token_generated.emit()
                continue
            logger.info("no token for %s: %s", name, failure)
            answer = self._ask()
            if not answer.members:
                break  # The cluster has stopped answering: nobody else fares better.
            state = dataclasses.replace(state, answer=answer)
        return state

    def _remove(self, state: _membership.UnitState, names: Sequence[str]) -> _membership.UnitState:
        """Remove members that are not online, and return the state after it."""
        for name in names:
            failure = self._try(self.workload.remove, name, (), force=True)
            logger.info("removed %s from the cluster, being offline: %s", name, failure or "done")
        return dataclasses.replace(state, answer=self._ask()) if names else state

    def _report(self, state: _membership.UnitState, relation: ops.Relation) -> None:
        tokens = self._tokens.all()
        for name in state.answer.online & tokens.keys():
            self._tokens.drop(name)
            del tokens[name]
        # The charm may have written to it meanwhile, when it was told that the unit has joined.
        bag = relation.data[self.charm.unit]
        state = dataclasses.replace(state, own=self._own_report(relation), tokens=tokens)
        current = {key: value for key, value in bag.items() if _wire.is_consumer_key(key)}
        if updates := _wire.changes(current, _membership.report(state).to_bag()):
            bag.update(updates)

    def _leave(self, hostname: str) -> None:
        """Leave the cluster; raise where that is refused, and would harm those who stay."""
        answer = self._ask_until(lambda answer: bool(answer.members))
        if answer.is_no:
            return
        alone = answer.names == {hostname}
        stays = not alone and self._somebody_stays(answer)
        offline = answer.offline - {hostname}
        if stays and (offline or answer.reason):
            reason = answer.reason or _membership.offline_text(offline)
            raise LeaveRefusedError(f"{hostname} cannot leave the cluster yet: {reason}")
        if answer.reason:
            return
        self.on.preleave.emit()
        args = self.leave_args_func()
        failure = self._try(self.workload.remove, hostname, args, force=False)
        # The only member goes whatever the command said, and another whenever it is out.
        if alone or self._ask_until(lambda answer: answer.is_no).is_no:
            logger.info("%s has left the cluster", hostname)
        elif stays or self._count_refusal() < _LEAVE_TRIES:
            raise LeaveRefusedError(f"{hostname} cannot leave the cluster yet: {failure}")

    def _ask_until(
        self, is_expected: Callable[[_membership.MembershipReport], bool]
    ) -> _membership.MembershipReport:
        """Ask until the answer is the expected one, or for some seconds."""
        give_up = time.monotonic() + _SETTLE_LIMIT
        while True:
            answer = self._ask(confirms=True)
            if is_expected(answer) or time.monotonic() >= give_up:
                return answer
            time.sleep(_SETTLE_PAUSE)

    def _somebody_stays(self, answer: _membership.MembershipReport) -> bool:
        """Tell whether a cluster is left to be kept whole when this unit goes."""
        units = _workload.goal_statuses("units")
        if units is None:
            return True
        staying = {name for name, status in units.items() if status != "dying"}
        # The members beyond this application's units are those of another.
        return bool(staying - {self.charm.unit.name}) or len(answer.members) > len(units)

    def _count_refusal(self) -> int:
        """Count a refusal to let this unit go. A hook that fails keeps nothing but its files."""
        path = self._folder.with_name(f"{self._folder.name}-refusals")
        path.parent.mkdir(parents=True, exist_ok=True)
        count = 1 + (path.stat().st_size if path.exists() else 0)
        path.write_text("x" * count)
        return count

    def _status(self, state: _membership.UnitState, *, several: bool) -> str:
        """Return the name of this unit's status, and its message behind it."""
        if several:
            return "blocked integrate with one token distributor, not with several"
        if state.answer.reason:
            return f"waiting cannot tell about the cluster: {state.answer.reason}"
        if state.answer.members:
            paused = state.acts and state.published.waiting and state.blocking
            text = _membership.offline_text(state.blocking) if paused else ""
            return f"active joins paused: {text}" if paused else "active"
        if not _wire.is_hostname(state.hostname):
            name = state.hostname
            return f"blocked no member can have the host name {name!r}: rename this machine"
        return "waiting " + _membership.waiting_reason(state)


def _summary(error: Exception) -> str:
    """Return the last line of a complaint, short enough for a status."""
    line = (str(error).strip().splitlines() or [""])[-1].strip()
    return (line if len(line) <= 120 else f"{line[:117]}...") or "no reason given"
