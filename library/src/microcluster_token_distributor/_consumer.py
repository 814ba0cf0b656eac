"""`TokenConsumer`, by which a charm's units become one cluster."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import ops

from microcluster_token_distributor import _membership, _wire, _workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

# How often a unit tries to join between two update-status hooks.
_TRIES = 2
_ISSUED_EVENT = "security=true category=AUTHN event=authn_token_created node=%s"
_NOT_RELATED = "blocked integrate with microcluster-token-distributor"


class ClusterBootstrappedEvent(ops.EventBase):
    """This unit has bootstrapped the cluster."""


class TokenGeneratedEvent(ops.EventBase):
    """This unit has issued a token for a newcomer."""


class ClusterJoinedEvent(ops.EventBase):
    """This unit has become a member; `bootstrapper` says whether by bootstrapping the cluster.

    Where the hook died in which it became a member, that is a guess: yes, if it was granted the
    bootstrap, or is the only member.
    """

    def __init__(self, handle: ops.Handle, bootstrapper: bool = False):
        super().__init__(handle)
        self.bootstrapper = bootstrapper

    def snapshot(self) -> dict[str, Any]:
        """Return what a deferral has to keep."""
        return {"bootstrapper": self.bootstrapper}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take up what a deferral has kept; an earlier library kept nothing."""
        self.bootstrapper = bool((snapshot or {}).get("bootstrapper", False))


class ClusterPreBootstrapEvent(ops.EventBase):
    """This unit is about to bootstrap the cluster."""


class ClusterPreJoinEvent(ops.EventBase):
    """This unit is about to try to join the cluster."""


class ClusterPreLeaveEvent(ops.EventBase):
    """This unit is about to try to leave the cluster."""


class TokenConsumerEvents(ops.ObjectEvents):
    """What a `TokenConsumer` emits."""

    bootstrapped = ops.EventSource(ClusterBootstrappedEvent)
    token_generated = ops.EventSource(TokenGeneratedEvent)
    joined = ops.EventSource(ClusterJoinedEvent)
    prebootstrap = ops.EventSource(ClusterPreBootstrapEvent)
    prejoin = ops.EventSource(ClusterPreJoinEvent)
    preleave = ops.EventSource(ClusterPreLeaveEvent)


class TokenConsumer(ops.Object):
    """Makes the units of a charm one cluster, with the help of a token distributor.

    Args:
        charm: the charm of the microcluster.
        relation_name: its endpoint, of the interface `worker-cluster`.
        command_name: the words before `bootstrap`, `add`, `join`, `list` and `remove`, such as
            `["microovn", "cluster"]`.
        workload: what to use instead of such commands.

    Attributes:
        workload: what forms the cluster; a `CommandWorkload` has time limits as attributes.
        joins_while_degraded: as the workload says, see `Workload`; a charm may know better.
        bootstrap_args_func: takes nothing, and returns further arguments for `bootstrap`, as a
            list of texts; it is called after `prebootstrap`, each time.
        join_args_func: likewise for `join`, after the token, and after `prejoin`.
        add_args_func: likewise for `add`, after the name, such as `["--timeout", "600"]`.
        leave_args_func: likewise for the `remove` of this unit, and after `preleave`.
    """

    on = TokenConsumerEvents()  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
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
        self.add_args_func: Callable[[], list[str]] = list
        self.leave_args_func: Callable[[], list[str]] = list
        self._tokens = _workload.TokenStore(charm.charm_dir / f".{relation_name}-tokens")
        self._memory: Any = self._stored
        # What the workload said last, its name there, whether this relation had it bootstrap.
        self._memory.set_default(in_cluster=False, hostname="", has_bootstrapped=False)
        # Whether the workload has to be asked again, and whether it has said *no* to a member.
        self._memory.set_default(is_unsure=False, has_denied=False, is_shared=False)
        # Tries to join since the last update-status; whose joins failed, see `look_at_failed`.
        self._memory.set_default(tries=0, failed="", failure="", status=_NOT_RELATED)
        observe, relation_events = self.framework.observe, charm.on[relation_name]
        observe(relation_events.relation_created, self._on_start)
        observe(relation_events.relation_changed, self._on_relation_event)
        observe(relation_events.relation_departed, self._on_relation_departed)
        observe(relation_events.relation_broken, self._on_relation_event)
        observe(charm.on.upgrade_charm, self._on_start)
        observe(charm.on.update_status, self._on_update_status)
        observe(charm.on.remove, self._on_remove)

    # Handlers

    def _on_start(self, _: ops.EventBase) -> None:
        self._reconcile(must_ask=True)

    def _on_relation_event(self, event: ops.RelationEvent) -> None:
        self._reconcile(about_unit=event.unit is not None)

    def _on_relation_departed(self, event: ops.RelationDepartedEvent) -> None:
        if event.departing_unit != self.charm.unit:
            self._reconcile(about_unit=True)
        elif not self._memory.in_cluster:
            # Being removed, it begins nothing. But it may have joined in a hook that died.
            self._memory.in_cluster = bool(self._ask().members)

    def _on_update_status(self, _: ops.UpdateStatusEvent) -> None:
        # A join that failed is tried once more.
        self._memory.tries = min(self._memory.tries, _TRIES - 1)
        self._reconcile(must_ask=True, at_update_status=True)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        # Where the cluster refuses, the hook fails, and Juju tries it again.
        if self._memory.in_cluster:
            refusals = self.charm.charm_dir / f".{self.relation_name}-refusals"
            args = (self._hostname, self.charm.app, bool(self._memory.is_shared), refusals)
            _workload.leave(self.workload, *args, self._before_leave)
            self._memory.in_cluster = False

    # Offers to the charm

    @property
    def is_member(self) -> bool:
        """Whether this unit is a member, as the workload said last, in this hook or before."""
        return bool(self._memory.in_cluster)

    @property
    def status(self) -> ops.StatusBase:
        """What there is to say about the cluster in `collect-status`, as of the last look."""
        return ops.StatusBase.from_name(*self._memory.status.partition(" ")[::2])

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
        _wire.write(bag, wanted)

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
        return {k: v for k, v in values.items() if keep_empty or v != _wire.EMPTY_STRING}

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

    def _look(self, relation: ops.Relation, *, at_update_status: bool) -> _membership.UnitState:
        """Read what there is to be seen; what the distributor's unit carries is for no member."""
        memory, hostname = self._memory, self._hostname
        app_bag = relation.data[relation.app]
        published = _wire.Published.from_bags(app_bag, {})
        memory.is_shared = published.shared
        if published.leader:
            # By its number: an offer has another name.
            number = f"/{published.leader}"
            mirror = next((u for u in relation.units if u.name.endswith(number)), None)
            if mirror and not memory.in_cluster:
                published = _wire.Published.from_bags(app_bag, relation.data[mirror])
            # What is not seen yet might be the tokens of a cluster that exists.
            granted = mirror is not None and published.bootstrap_host == hostname
        else:
            bags = [relation.data[unit] for unit in self.find_mirrors(relation)]
            published = _wire.Published.from_old_bags(app_bag, bags)
            # Under a distributor that speaks the old keys the leader may bootstrap.
            is_chosen = published.bootstrap_app in ("", self.charm.app.name)
            granted = is_chosen and hostname in published.waiting and self.charm.unit.is_leader()
        return _membership.UnitState(
            hostname,
            self._own_report(relation),
            published,
            is_granted=granted and not memory.has_bootstrapped,
            at_update_status=at_update_status,
            joins_while_degraded=self.joins_while_degraded,
            tokens=self._tokens.all(),
        )

    def _own_report(self, relation: ops.Relation) -> _wire.Report:
        return _wire.Report.from_bag(self.charm.unit.name, relation.data[self.charm.unit])

    def _ask(self, *, confirms: bool = False) -> _membership.MembershipReport:
        # A hook that died as it became a member has kept nothing but what it had reported before.
        names = dict.fromkeys([self._hostname, self._memory.hostname or self._hostname])
        return _workload.ask(self.workload, names, self.is_member, confirms)

    # Helpers: what is done

    def _reconcile(
        self,
        *,
        must_ask: bool = False,  # the workload, whatever is published
        about_unit: bool = False,  # the hook is about a unit of the distributor
        at_update_status: bool = False,
    ) -> None:
        """Do what there is to do, and report; nothing is run without need."""
        relations, memory = self._relations(), self._memory
        if not relations:
            memory.status = "active" if memory.in_cluster else _NOT_RELATED
            memory.has_bootstrapped = False
            return
        relation = relations[0]
        app_bag = relation.data[relation.app]
        if about_unit and memory.in_cluster and _wire.Published.from_bags(app_bag, {}).leader:
            return
        # An earlier library has remembered no name.
        memory.hostname = memory.hostname or self._own_report(relation).hostname
        state = self._look(relation, at_update_status=at_update_status)
        idle = _membership.is_idle(state, was_member=memory.in_cluster)
        if must_ask or memory.is_unsure or not idle:
            state.answer = self._ask(confirms=at_update_status and memory.has_denied)
            if not state.answer.reason or state.answer.is_denial:
                memory.has_denied = state.answer.is_denial
            memory.failed, state.suspects = _membership.look_at_failed(state, memory.failed)
            self._proceed(state)
            memory.is_unsure = bool(state.answer.reason)
            self._report(state, relation)
        memory.status = self._status(state, several=len(relations) > 1)

    def _proceed(self, state: _membership.UnitState) -> None:
        """Do what the workload's answer calls for."""
        memory, answer = self._memory, state.answer
        is_blind = answer.reason and not answer.is_denial
        if answer.is_no:
            memory.in_cluster = False
            state.hostname = _wire.get_hostname()
            if not (state.offered or state.is_granted):
                memory.failure = ""
            if state.offered and not state.published.hold and memory.tries < _TRIES:
                memory.tries += 1
                self.on.prejoin.emit()
                args = self.join_args_func()
                failure = _workload.attempt(self.workload.join, state.offered, args)
                self._form(state, "join", failure)
            elif not state.offered and _membership.may_bootstrap(state):
                self.on.prebootstrap.emit()
                args = self.bootstrap_args_func()
                self._form(state, "bootstrap", _workload.attempt(self.workload.bootstrap, args))
        elif answer.members and not memory.in_cluster:
            # The hook in which it became a member died before it could say so.
            if state.hostname not in answer.names:
                state.hostname = memory.hostname
            alone = len(answer.members) == 1
            self._become_member(state, bootstrapper=alone or state.is_granted)
        elif state.at_update_status and is_blind and memory.in_cluster:
            # A host that does not answer keeps the list from being had.
            self._remove(state, sorted(state.published.left - {state.hostname}))
        if state.acts:
            self._remove(state, _membership.removable(state))
            self._issue(state)

    def _form(self, state: _membership.UnitState, verb: str, failure: str) -> None:
        """Find out whether this unit is a member now, however the command ended."""
        state.answer = self._ask()
        if failure and not state.answer.members:
            logger.error("%s cannot %s the cluster: %s", state.hostname, verb, failure)
            self._memory.failure = f"{verb} failed: {failure}"
            state.rejected = _wire.digest(state.offered) if state.offered else ""
            return
        if not state.answer.members:
            reason = state.answer.reason or f"{verb} worked, and does not show yet"
            state.answer = _membership.MembershipReport(reason=reason)
        logger.info(_wire.ADMIN_EVENT, f"cluster_{verb}", state.hostname, "is a member now")
        self._become_member(state, bootstrapper=verb == "bootstrap")

    def _become_member(self, state: _membership.UnitState, *, bootstrapper: bool) -> None:
        """Remember that this unit is a member, and under which name; tell the charm."""
        self._memory.in_cluster, self._memory.hostname = True, state.hostname
        self._memory.tries, self._memory.failure = 0, ""
        if bootstrapper:
            self._memory.has_bootstrapped = True
            self.on.bootstrapped.emit()
        self.on.joined.emit(bootstrapper=bootstrapper)

    def _issue(self, state: _membership.UnitState) -> None:
        """Issue tokens for who waits."""
        for name in _membership.to_issue(state):
            if name in state.answer.names or state.blocking:
                continue  # It has joined, or a member went down, meanwhile.
            args = self.add_args_func()
            if failure := _workload.attempt(self._tokens.issue, self.workload, name, args):
                logger.info("no token for %s: %s", name, failure)
                answer = self._ask()
                if not answer.members:
                    break  # The cluster has stopped answering: nobody else fares better.
                state.answer = answer
            else:
                logger.info(_ISSUED_EVENT, name)
                self.on.token_generated.emit()

    def _remove(self, state: _membership.UnitState, names: Sequence[str]) -> None:
        """Remove members that are not online, and list them again after each removal."""
        has_list = bool(state.answer.members)
        for name in names:
            if has_list and name not in state.answer.offline:
                continue  # It is back, or another one of its name has joined.
            failure = _workload.attempt(self.workload.remove, name, (), force=True)
            logger.info(_wire.ADMIN_EVENT, "cluster_remove", name, failure or "was not online")
            state.answer = self._ask()

    def _report(self, state: _membership.UnitState, relation: ops.Relation) -> None:
        for name in state.answer.online & self._tokens.all().keys():
            self._tokens.drop(name)
        # The charm may have written to it meanwhile, when it was told that the unit has joined.
        state.own, state.tokens = self._own_report(relation), self._tokens.all()
        _wire.write(relation.data[self.charm.unit], _membership.report(state).to_bag())

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
            if state.acts and state.published.waiting and state.blocking:
                return "active joins paused: " + _wire.offline_text(state.blocking)
            return "active"
        if not _wire.is_hostname(state.hostname):
            return f"blocked no member can be called {state.hostname!r}: rename this machine"
        return "waiting " + _membership.waiting_reason(state, self._memory.failure)
