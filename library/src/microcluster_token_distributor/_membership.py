"""What a unit of a consumer does next: pure functions over what it sees.

Theory of operation. The workload gives one of three answers: this unit is a member, with the list
of all members; it is not; it cannot be told. On the third nothing changes. A *no* from a unit that
was a member, and a list without it, are believed when an update-status hears them again: a daemon
that has just started says so for a moment.

    a unit that       does
    ----------------  ------------------------------------------------------------------------
    is not a member   joins with the token published for it, unless it is held back; else
                      bootstraps if it was granted that; else waits
    is a member       if it acts: removes who has left, or failed to join half-way, and is not
                      online; then issues tokens for who waits; reports who is not online

The *communicator* acts in every hook: the alphabetically first member that is an online voter, or
is online where no voter is. At update-status every online member acts, so that a communicator
whose agent is dead stops nobody. Two at once do no harm: the database refuses a second token.

A join while a member is down costs a small cluster of microcluster v2 its quorum for good. There
the acting member issues no token and reports `hold`, and no newcomer joins.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from microcluster_token_distributor import _workload


@dataclasses.dataclass(frozen=True)
class MembershipReport:
    """The workload's answer, as far as it is believed."""

    members: tuple[_workload.Member, ...] = ()  # none where this unit is not one, or cannot tell
    reason: str = ""  # why it cannot tell, fit for a status
    is_denial: bool = False  # whether that is because a *no* has to be heard again

    @property
    def is_no(self) -> bool:
        return not (self.members or self.reason)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(member.name for member in self.members)

    @property
    def online(self) -> frozenset[str]:
        return frozenset(member.name for member in self.members if member.online)

    @property
    def offline(self) -> frozenset[str]:
        return self.names - self.online

    @property
    def communicator(self) -> str:
        """The name of the member that acts in every hook; empty if none is online."""
        voters = {m.name for m in self.members if m.online and m.role == "voter"}
        return min(voters or self.online, default="")


def believe(
    members: Sequence[_workload.Member],
    names: Collection[str],
    *,
    was_member: bool,
    confirms: bool,
) -> MembershipReport:
    """Return the workload's answer as far as it is believed; the unit may have several names.

    A *no* has no members. One that `confirms` an earlier one is believed.
    """
    if any(member.name in names for member in members):
        return MembershipReport(tuple(members))
    if confirms or not (members or was_member):
        return MembershipReport()
    without_it = f"lists members without {' or '.join(names)}"
    said = without_it if members else "says that it is in no cluster"
    return MembershipReport((), f"the workload {said}; it is asked again at update-status", True)


@dataclasses.dataclass
class UnitState:
    """All that a unit of a consumer decides on; it changes with what is done in the hook."""

    hostname: str  # its name in the cluster, or the one under which it is going to join
    own: _wire.Report  # what it has reported so far
    published: _wire.Published
    is_granted: bool = False  # whether it may bootstrap, as far as the distributor is concerned
    answer: MembershipReport = MembershipReport()
    at_update_status: bool = False
    joins_while_degraded: bool = False
    # Those that are on this machine's disk, by the host name that they are for.
    tokens: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    suspects: frozenset[str] = frozenset()  # see `look_at_failed`
    rejected: str = ""  # the digest of the token with which a join failed in this hook

    @property
    def is_communicator(self) -> bool:
        return self.answer.communicator == self.hostname

    @property
    def acts(self) -> bool:
        """Whether this unit acts in this hook."""
        is_online = self.hostname in self.answer.online
        return self.is_communicator or (self.at_update_status and is_online)

    @property
    def blocking(self) -> frozenset[str]:
        """The members that are not online, where a join would do harm, or is one of their name."""
        offline = self.answer.offline
        return offline & self.published.waiting.keys() if self.joins_while_degraded else offline

    @property
    def offered(self) -> str:
        """The token that is published for this unit; empty for none."""
        return self.published.token_for(self.hostname)

    @property
    def issued(self) -> dict[str, str]:
        """The tokens that this unit has issued, by host name, those in its databag included."""
        mirrored = {k: v for k, v in self.own.values.items() if _wire.looks_like_token(v)}
        return {**mirrored, **self.tokens}


def is_idle(state: UnitState, *, was_member: bool) -> bool:
    """Tell whether there is nothing to do or to report, however the workload would answer."""
    own, published = state.own, state.published
    if was_member:
        to_judge = own.hold or own.offline or own.gone or own.failed or state.issued
        return own.member == "true" and not (published.waiting or published.left or to_judge)
    return not may_bootstrap(state) and state.hostname not in {*published.values, *published.hold}


def may_bootstrap(state: UnitState) -> bool:
    """Tell whether this unit, not a member, may bootstrap the cluster."""
    published = state.published
    # A grant to an earlier unit of this name is told by what else is published.
    is_known = state.hostname in published.waiting
    carried = any(_wire.looks_like_token(value) for value in published.values.values())
    return state.is_granted and is_known and not (published.formed or carried or published.hold)


def removable(state: UnitState) -> list[str]:
    """Return the members to be removed by force: none that is online, and never this unit.

    The others when their unit has left the model, or, at update-status, when they are suspects.
    """
    failed = state.suspects if state.at_update_status else frozenset[str]()
    return sorted(state.answer.offline & (state.published.left | failed) - {state.hostname})


def look_at_failed(state: UnitState, before: str) -> tuple[str, frozenset[str]]:
    """Return what a unit remembers of those whose joins failed, and who of them is a suspect.

    Whose join failed is half joined, or has the name of a member that an earlier machine has left
    behind. But what is published may be out of date: it may have joined since. A suspect has been
    looked at before, and never been seen online. The memory holds words `HOST=DIGEST`, with a `+`
    for who has been online.
    """
    known, waiting = before.split(), state.published.waiting.items()
    words = {name: f"{name}={failed}" for name, failed in waiting if failed}
    joined = {n for n, word in words.items() if n in state.answer.online or f"{word}+" in known}
    suspects = frozenset(n for n, word in words.items() if word in known) - joined
    return " ".join(f"{w}+" if n in joined else w for n, w in words.items()), suspects


def to_issue(state: UnitState) -> list[str]:
    """Return the newcomers for whom a token has to be issued."""
    if state.blocking or not state.answer.members:
        return []
    issued = state.issued
    return [
        name
        for name, failed in sorted(state.published.waiting.items())
        if name not in state.answer.names
        and (name not in issued or _wire.digest(issued[name]) == failed)
    ]


def report(state: UnitState) -> _wire.Report:
    """Return what this unit is to report."""
    own, answer = state.own, state.answer
    hold = _hold(state)
    if answer.reason:
        hostname, member = own.hostname or state.hostname, own.member or "unknown"
        return dataclasses.replace(own, hostname=hostname, member=member, hold=hold)
    is_member = bool(answer.members)
    for_hosts = {*answer.names, *state.issued}
    values = {key: value for key, value in own.values.items() if key not in for_hosts}
    values.update(_tokens(state) if is_member else {})
    return _wire.Report(
        own.unit,
        state.hostname,
        member="true" if is_member else "false",
        values=values,
        mirror="up" if is_member and values else "down" if own.mirror else "",
        cluster=min(answer.names, default=""),
        failed="" if is_member else _failed(state),
        hold=hold,
        offline=answer.offline - hold if state.is_communicator else frozenset[str](),
        gone=state.published.left - answer.names if state.is_communicator else frozenset[str](),
    )


def _hold(state: UnitState) -> frozenset[str]:
    """Return for whom to hold newcomers back. Who has reported it judges it anew in every hook.

    Where no list can be had while somebody waits, a member does so in its own name.
    """
    own, blocking = state.own.hold, state.blocking
    if state.answer.reason:
        was_member = state.own.member == "true" and not state.joins_while_degraded
        waits = state.at_update_status and bool(state.published.waiting) and was_member
        return own | {state.hostname} if waits else own
    if state.is_communicator:
        return blocking
    return (own & blocking) | (blocking - state.published.hold if state.acts else frozenset[str]())


def _tokens(state: UnitState) -> dict[str, str]:
    """Return the tokens that a member has mirrored: those that are not used."""
    published = state.published
    return {
        name: token
        for name, token in state.issued.items()
        if name not in state.answer.online
        if published.is_silent or name in published.waiting or published.values.get(name) == token
    }


def _failed(state: UnitState) -> str:
    """Return the digest of the token that got this unit, not a member, nowhere."""
    value = state.published.values.get(state.hostname, "")
    if state.hostname in state.published.hold:
        # Everybody waits for a member of this unit's name, which this unit is not: a join that
        # failed half-way left it behind, or an earlier machine. This report has it removed; one
        # that followed each token in turn would have no end.
        return state.own.failed or _wire.digest(value or _wire.EMPTY_STRING)
    is_new = bool(state.offered) and _wire.digest(state.offered) != state.own.failed
    return state.rejected or ("" if is_new else state.own.failed)


def waiting_reason(state: UnitState, failure: str) -> str:
    """Return what a unit that is not a member waits for, after a failure if any, for a status."""
    published = state.published
    if published.is_silent:
        return "waiting for the token distributor"
    if published.hold:
        return "waiting to join: " + _wire.offline_text(published.hold)
    if failure:
        return f"{failure}, to be tried again"
    if published.formed or state.offered:
        return "waiting for a token"
    chosen = published.bootstrap_host or published.bootstrap_app
    return f"waiting for {chosen or 'a unit to be allowed'} to bootstrap"
