"""Form and keep one microcluster through a token distributor.

A charm for a microcluster (MicroOVN, MicroCeph, Sunbeam, LXD) requires an endpoint of interface
`worker-cluster`, which the charm `microcluster-token-distributor` provides, and a consumer:

    class MicroCharm(ops.CharmBase):
        def __init__(self, framework: ops.Framework):
            super().__init__(framework)
            self.cluster = TokenConsumer(self, "cluster", ["microovn", "cluster"])
            framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

        def _on_collect_unit_status(self, event: ops.CollectStatusEvent):
            event.add_status(self.cluster.status)
"""

# Made from the package microcluster-token-distributor: change that instead.

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any, Protocol

import ops

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence

__all__ = [
    "ClusterBootstrappedEvent",
    "ClusterJoinedEvent",
    "ClusterPreBootstrapEvent",
    "ClusterPreJoinEvent",
    "ClusterPreLeaveEvent",
    "CommandWorkload",
    "LeaveRefusedError",
    "Member",
    "TokenConsumer",
    "TokenConsumerEvents",
    "TokenGeneratedEvent",
    "Workload",
    "WorkloadError",
    "get_hostname",
    "mirror_id",
]

# The unique Charmhub library identifier, never change it
LIBID = "ec674038842544928b4e21ee6e199666"

# Increment this major API version when introducing breaking changes
LIBAPI = 0

# Increment this PATCH version before using `charmcraft publish-lib` or reset
# to 0 if you are raising the major API version
LIBPATCH = 9

logger = logging.getLogger(__name__)


# --- _wire ---------------------------------------------------------------------------------------
# The wire: what each databag holds, read and written here alone.
#
# Theory of operation. A consumer's unit writes a *report*. The distributor's leader reads them and
# *publishes*: what it decides in its application's databag, which Juju guards by the lease and which
# stays small; what it carries, join tokens above all, in its unit's databag, which a settled member
# need not read. A unit that has given a host name and no `member` is *old*: it speaks only the keys
# of patches 1 to 8, `hostname`, `mirror`, `mirror-*` and `bootstrap-app`.
#
#     databag               key             value
#     --------------------  --------------  ----------------------------------------------------
#     consumer's unit       hostname        its host name
#                           member          `true`, `false`, `unknown`; absent: old keys only
#                           cluster         of a member: the first name in its list of members
#                           failed          digest of the token with which its join failed
#                           hold            members that are not online, while a join would do harm
#                           offline         members that are not online, while a join does no harm
#                           gone            of the names in `left`, those that are no members
#                           mirror          `up`: mirror my `mirror-*` keys; `down`: do not
#                           mirror-KEY      a value to be mirrored; a token has a host name as KEY
#     distributor's unit    mirror          `up` for the unit that mirrors
#                           mirror-KEY      the mirrored value; for old units `empty` and `joined`
#     distributor's app     leader          the number of the unit that mirrors
#                           bootstrap-app   the one application that may bootstrap, for old units
#                           bootstrap-host  the host name of the one unit that may bootstrap
#                           waiting         host names without membership: `HOST` or `HOST=DIGEST`
#                           formed          `true` once a cluster is known to exist
#                           shared          `true` while units of several applications report
#                           hold            as reported: while there is one, nobody joins
#                           left            host names whose units have left the model
#     any of these          generation      how often the databag took back what it said
#
# Names are separated by spaces. What is unknown or cannot be used is left out when a databag is
# read: it may come from any version, and from anybody's hands.

MIRROR_PREFIX = "mirror-"
EMPTY_STRING = "empty"
JOINED = "joined"
# A security event, as MicroOVN logs its own: by OWASP's Application Logging Vocabulary.
ADMIN_EVENT = 'security=true category=AUTHZ event=authz_admin action=%s node=%s msg="%s"'

# The keys of the table above, but for `generation`.
_OURS = re.compile(
    "hostname|member|cluster|failed|hold|offline|gone|mirror(-.*)?"
    "|leader|bootstrap-app|bootstrap-host|waiting|formed|shared|left",
    re.DOTALL,
)
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_WORD = re.compile(r"[!-<>-~]{1,256}", re.ASCII)
_TOKEN = re.compile(r"[!-,.-~][!-~]{0,65535}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def mirror_id(hostname: str) -> str:
    """Return the databag key under which a value for `hostname` is mirrored."""
    return f"{MIRROR_PREFIX}{hostname}"


def get_hostname() -> str:
    """Return this machine's host name, under which it joins the cluster."""
    return os.uname().nodename


def digest(value: str) -> str:
    """Return the SHA-256 of a token, in hexadecimal: it names the token without showing it."""
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()


def is_hostname(text: str) -> bool:
    """Tell whether microcluster accepts a text as a member's name: the last label is no number."""
    labels = text.split(".")
    fits = len(text) <= 64 and not labels[-1].isdigit()
    return fits and all(_LABEL.fullmatch(label) for label in labels)


def is_usable_token(text: str) -> bool:
    """Tell whether a text can be handed to `join` as an argument at all."""
    return text not in (EMPTY_STRING, JOINED) and _TOKEN.fullmatch(text) is not None


def looks_like_token(text: str) -> bool:
    """Tell whether a mirrored value is a join token: base64 of a JSON object with a secret."""
    try:
        content = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "secret" in content and is_usable_token(text)


def write(bag: MutableMapping[str, str], wanted: Mapping[str, str]) -> None:
    """Have a databag hold what is wanted under the keys above, and nothing else under them.

    Juju 4 takes a databag that is again what it was for unchanged, and who had read it in between
    would go on believing that: so each write that takes something back counts `generation` up.
    """
    before, after = (
        {key: v for key, v in each.items() if v and _OURS.fullmatch(key)} for each in (bag, wanted)
    )
    keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    updates = {key: after.get(key, "") for key in keys}
    if before.keys() & updates.keys():
        generation = _take(bag, "generation", _NUMBER.fullmatch)
        updates["generation"] = str(int(generation or "0") + 1)
    if updates:
        bag.update(updates)


@dataclasses.dataclass(frozen=True)
class Report:
    """What one unit of a consumer says in its databag, see the table above."""

    unit: str
    hostname: str = ""  # empty if it has given none that can be used
    member: str = ""
    mirror: str = ""
    values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    cluster: str = ""
    failed: str = ""
    hold: frozenset[str] = frozenset()
    offline: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    @classmethod
    def from_bag(cls, unit: str, bag: Mapping[str, str]) -> Report:
        return cls(
            unit=unit,
            hostname=_take(bag, "hostname", is_hostname),
            member=_take(bag, "member", ("true", "false", "unknown").__contains__),
            mirror=_take(bag, "mirror", ("up", "down").__contains__),
            values=_mirrored(bag),
            cluster=_take(bag, "cluster", is_hostname),
            failed=_take(bag, "failed", _DIGEST.fullmatch),
            hold=_names(bag, "hold"),
            offline=_names(bag, "offline"),
            gone=_names(bag, "gone"),
        )

    def to_bag(self) -> dict[str, str]:
        bag = {
            "hostname": self.hostname,
            "member": self.member,
            "mirror": self.mirror,
            "cluster": self.cluster,
            "failed": self.failed,
            "hold": _text(self.hold),
            "offline": _text(self.offline),
            "gone": _text(self.gone),
            **{mirror_id(key): value for key, value in self.values.items()},
        }
        return {key: value for key, value in bag.items() if value}

    @property
    def has_reported(self) -> bool:
        return bool(self.hostname or self.member)

    @property
    def is_old(self) -> bool:
        """Whether the unit speaks only the keys of patches 1 to 8."""
        return self.has_reported and not self.member

    @property
    def is_member(self) -> bool:
        """Whether the unit is in a cluster, as far as it can say: an old one only by mirroring."""
        return self.member == "true" or (self.is_old and self.mirror == "up")

    @property
    def offers(self) -> Mapping[str, str]:
        """What it wants to be mirrored now."""
        return self.values if self.mirror == "up" and self.member != "false" else {}


@dataclasses.dataclass(frozen=True)
class Published:
    """What a distributor publishes, the same in all its relations, see the table above."""

    leader: str = ""  # empty for an old distributor, or where nothing has been published yet
    bootstrap_app: str = ""
    bootstrap_host: str = ""
    # Each with the digest of the token with which its join failed, or an empty text.
    waiting: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    formed: bool = False
    shared: bool = False
    hold: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)

    @classmethod
    def from_bags(cls, app_bag: Mapping[str, str], unit_bag: Mapping[str, str]) -> Published:
        pairs = (word.partition("=")[::2] for word in app_bag.get("waiting", "").split())
        return cls(
            leader=_take(app_bag, "leader", _NUMBER.fullmatch),
            bootstrap_app=_take(app_bag, "bootstrap-app", _WORD.fullmatch),
            bootstrap_host=_take(app_bag, "bootstrap-host", is_hostname),
            waiting={
                name: failed if _DIGEST.fullmatch(failed) else ""
                for name, failed in pairs
                if is_hostname(name)
            },
            formed=app_bag.get("formed") == "true",
            shared=app_bag.get("shared") == "true",
            hold=_names(app_bag, "hold"),
            left=_names(app_bag, "left"),
            values=_mirrored(unit_bag),
        )

    @classmethod
    def from_old_bags(
        cls, app_bag: Mapping[str, str], unit_bags: Sequence[Mapping[str, str]]
    ) -> Published:
        """Read an old distributor, whose units that say `mirror: up` all count."""
        values: dict[str, str] = {}
        for bag in unit_bags:
            for key, value in _mirrored(bag).items():
                if values.get(key, EMPTY_STRING) == EMPTY_STRING:
                    values[key] = value
        return cls(
            bootstrap_app=_take(app_bag, "bootstrap-app", _WORD.fullmatch),
            waiting={k: "" for k, v in values.items() if v == EMPTY_STRING and is_hostname(k)},
            formed=any(value != EMPTY_STRING for value in values.values()),
            values=values,
        )

    def to_app_bag(self) -> dict[str, str]:
        waiting = (f"{name}={failed}" if failed else name for name, failed in self.waiting.items())
        bag = {
            "leader": self.leader,
            "bootstrap-app": self.bootstrap_app,
            "bootstrap-host": self.bootstrap_host,
            "waiting": _text(waiting),
            "formed": "true" if self.formed else "",
            "shared": "true" if self.shared else "",
            "hold": _text(self.hold),
            "left": _text(self.left),
        }
        return {key: value for key, value in bag.items() if value}

    def to_unit_bag(self) -> dict[str, str]:
        return {"mirror": "up", **{mirror_id(key): value for key, value in self.values.items()}}

    @property
    def is_silent(self) -> bool:
        """Whether nothing has been published yet, by a distributor of either kind."""
        return not (self.leader or self.bootstrap_app or self.values)

    def token_for(self, hostname: str) -> str:
        """Return the token that is published for a host name; empty for none."""
        return _take(self.values, hostname, is_usable_token)


def offline_text(names: Iterable[str]) -> str:
    """Return that members are offline, fit for a status; empty if there are none."""
    text = ", ".join(sorted(names))
    return f"members {text} are offline" if "," in text else text and f"member {text} is offline"


def _mirrored(bag: Mapping[str, str]) -> dict[str, str]:
    """Return the values under `mirror-*` keys, by key without prefix."""
    values: dict[str, str] = {}
    for bag_key, value in bag.items():
        key = bag_key.removeprefix(MIRROR_PREFIX)
        if key != bag_key and _WORD.fullmatch(key) and 0 < len(value) <= 65536:
            values[key] = value
    return values


def _take(bag: Mapping[str, str], key: str, is_usable: Callable[[str], object]) -> str:
    value = bag.get(key, "")
    return value if is_usable(value) else ""


def _names(bag: Mapping[str, str], key: str) -> frozenset[str]:
    return frozenset(name for name in bag.get(key, "").split() if is_hostname(name))


def _text(words: Iterable[str]) -> str:
    return " ".join(sorted(words))


# --- _membership ---------------------------------------------------------------------------------
# What a unit of a consumer does next: pure functions over what it sees.
#
# Theory of operation. The workload gives one of three answers: this unit is a member, with the list
# of all members; it is not; it cannot be told. On the third nothing changes. A *no* from a unit that
# was a member, and a list without it, are believed when an update-status hears them again: a daemon
# that has just started says so for a moment.
#
#     a unit that       does
#     ----------------  ------------------------------------------------------------------------
#     is not a member   joins with the token published for it, unless it is held back; else
#                       bootstraps if it was granted that; else waits
#     is a member       if it acts: removes who has left, or failed to join half-way, and is not
#                       online; then issues tokens for who waits; reports who is not online
#
# The *communicator* acts in every hook: the alphabetically first member that is an online voter, or
# is online where no voter is. At update-status every online member acts, so that a communicator
# whose agent is dead stops nobody. Two at once do no harm: the database refuses a second token.
#
# A join while a member is down costs a small cluster of microcluster v2 its quorum for good. There
# the acting member issues no token and reports `hold`, and no newcomer joins.

@dataclasses.dataclass(frozen=True)
class MembershipReport:
    """The workload's answer, as far as it is believed."""

    members: tuple[Member, ...] = ()  # none where this unit is not one, or cannot tell
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
    members: Sequence[Member],
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
    own: Report  # what it has reported so far
    published: Published
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
        mirrored = {k: v for k, v in self.own.values.items() if looks_like_token(v)}
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
    carried = any(looks_like_token(value) for value in published.values.values())
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
        and (name not in issued or digest(issued[name]) == failed)
    ]


def report(state: UnitState) -> Report:
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
    return Report(
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
        return state.own.failed or digest(value or EMPTY_STRING)
    is_new = bool(state.offered) and digest(state.offered) != state.own.failed
    return state.rejected or ("" if is_new else state.own.failed)


def waiting_reason(state: UnitState, failure: str) -> str:
    """Return what a unit that is not a member waits for, after a failure if any, for a status."""
    published = state.published
    if published.is_silent:
        return "waiting for the token distributor"
    if published.hold:
        return "waiting to join: " + offline_text(published.hold)
    if failure:
        return f"{failure}, to be tried again"
    if published.formed or state.offered:
        return "waiting for a token"
    chosen = published.bootstrap_host or published.bootstrap_app
    return f"waiting for {chosen or 'a unit to be allowed'} to bootstrap"


# --- _workload -----------------------------------------------------------------------------------
# The workload: what a charm's microcluster is asked to do, and how a unit leaves it.
#
# A `Workload` answers one question, who the members are, and does four things. A `CommandWorkload`
# does them by the commands that MicroOVN and its kin share: under a time limit, without a shell, and
# what they complain of is reported with tokens cut out.
#
# Leaving. The only member goes, whatever the command says. While another is offline, or there is no
# list, and a unit stays, leaving is refused: with the unit goes its vote. Else it is tried, and the
# daemon asked until it says so: it may be restarting, and a command that failed may have worked. Who
# is still a member fails its hook; where its whole application goes, a limited number of times.

# Long runs of what tokens, secrets and fingerprints are written in.
_SECRET = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_SETTLE_LIMIT = 5.0  # seconds for which a daemon that may be restarting is asked again


class WorkloadError(Exception):
    """The workload did not do what it was asked to, or cannot tell; the message holds no token."""


class LeaveRefusedError(Exception):
    """The cluster does not let this unit go yet: the `remove` hook fails, and is tried again."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One row of the cluster's own list of members.

    Attributes:
        name: its name, the host name under which it joined.
        role: `voter`, `stand-by`, `spare` or `PENDING`; anything else counts as no voter.
        status: `ONLINE`, in any case, if the cluster reaches it.
    """

    name: str
    role: str
    status: str

    @property
    def online(self) -> bool:
        """Whether the cluster reaches it."""
        return self.status.upper() == "ONLINE"


class Workload(Protocol):
    """A microcluster on this machine, for charms that do not reach it by a `CommandWorkload`.

    Each method raises a `WorkloadError` where it did not work, or where that cannot be told.

    Attributes:
        joins_while_degraded: whether a newcomer may join while a member is offline. On
            microcluster v2 (MicroOVN 24.03) such a join can cost the cluster its quorum for good;
            on v3 (MicroOVN 26.03) it does no harm.
    """

    joins_while_degraded: bool

    def members(self) -> Sequence[Member]:
        """Return the members of the cluster; none if this machine is certainly not in one."""
        ...

    def bootstrap(self, args: Sequence[str]) -> None:
        """Form a cluster of this machine, with what the charm's `bootstrap_args_func` returned."""

    def issue(self, name: str, path: pathlib.Path, args: Sequence[str] = ()) -> None:
        """Issue a join token for a newcomer, and refuse while an earlier one can still be used.

        The path is that of an empty file that only root can read. The token has to be in it at
        once: this process may be killed at any moment, and the cluster issues no other. The
        arguments are what the charm's `add_args_func` returned.
        """

    def join(self, token: str, args: Sequence[str]) -> None:
        """Join the cluster, with what the charm's `join_args_func` returned."""

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        """Remove a member, by `force` where it is not online.

        Where this machine leaves, the arguments are what the charm's `leave_args_func` returned.
        """


class CommandWorkload:
    """A workload with the commands `bootstrap`, `add`, `join`, `list -f json` and `remove`.

    Args:
        command_name: the words before them, such as `["microovn", "cluster"]`.

    Attributes:
        joins_while_degraded: see `Workload`.
        not_a_member: what is searched for in the standard error of `list`: where it is found,
            this machine is certainly not a member.
        list_limit: seconds that `list` and `add` may take; they take 10 s without a quorum.
        remove_limit: seconds that `remove` may take.
        form_limit: seconds that `bootstrap` and `join` may take.
    """

    def __init__(self, command_name: Sequence[str]):
        self.command_name = list(command_name)
        self.joins_while_degraded = False
        self.not_a_member = re.compile(
            r"not (yet )?(been )?(initiali[sz]ed|bootstrapped)"
            r"|(isn't|not) (yet )?part of a cluster",
            re.IGNORECASE,
        )
        self.list_limit = 30.0
        self.remove_limit = 60.0
        self.form_limit = 300.0

    def members(self) -> Sequence[Member]:
        try:
            text = run([*self.command_name, "list", "-f", "json"], self.list_limit)
        except WorkloadError as error:
            if self.not_a_member.search(str(error)):
                return ()
            raise
        try:
            rows = [(row["name"], row.get("role", ""), row["status"]) for row in json.loads(text)]
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            rows = []
        if not rows or not all(isinstance(text, str) for row in rows for text in row):
            raise WorkloadError("its list of members cannot be read")
        return tuple(Member(*row) for row in rows)

    def bootstrap(self, args: Sequence[str]) -> None:
        run([*self.command_name, "bootstrap", *args], self.form_limit)

    def issue(self, name: str, path: pathlib.Path, args: Sequence[str] = ()) -> None:
        run([*self.command_name, "add", name, *args], self.list_limit, into=path)

    def join(self, token: str, args: Sequence[str]) -> None:
        run([*self.command_name, "join", token, *args], self.form_limit, secret=token)

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        options = [*args, *(["--force"] if force else [])]
        run([*self.command_name, "remove", name, *options], self.remove_limit)


class TokenStore:
    """The tokens issued on this machine, each in a file of its own that only root can read.

    A token is on disk before the hook goes on: the cluster issues no other while it can be used,
    so a hook that dies must not lose it.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def issue(self, workload: Workload, name: str, args: Sequence[str] = ()) -> None:
        """Have a token issued, and keep it."""
        path = self.folder / name
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.drop(name)
            path.touch(mode=0o600)
        except OSError as error:
            raise WorkloadError(f"no place to keep a token: {error.strerror}") from None
        workload.issue(name, path, args)
        if not self.all(name):
            raise WorkloadError("it printed no token")

    def all(self, pattern: str = "*") -> dict[str, str]:
        """Return the tokens by host name, those that a pattern names."""
        tokens = {p.name: p.read_text(errors="replace").strip() for p in self.folder.glob(pattern)}
        return {name: token for name, token in tokens.items() if is_usable_token(token)}

    def drop(self, name: str) -> None:
        """Forget the token for a host name."""
        (self.folder / name).unlink(missing_ok=True)


def run(
    argv: Sequence[str], limit: float, *, secret: str = "", into: pathlib.Path | None = None
) -> str:
    """Run a command for `limit` seconds at most, and return what it printed.

    It is written `into` a file at once, to outlive this process. Complaints lack the `secret`.
    """
    try:
        with into.open("wb") if into else contextlib.nullcontext(subprocess.PIPE) as stdout:
            done: Any = subprocess.run(  # noqa: S603 (no shell, and names are checked)
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                timeout=limit,
                check=False,
            )
    # None of these is its cause: they hold the command line.
    except subprocess.TimeoutExpired:
        raise WorkloadError(f"no answer within {limit:g} s") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "an argument cannot be used")
        raise WorkloadError(f"cannot run {argv[0]}: {reason}") from None
    # In a charm's tests anything may stand in the place of `subprocess.run`.
    output, complaint, code = done.stdout, done.stderr, done.returncode
    if code == 0:
        return str(output or "")
    reason = complaint.strip() if isinstance(complaint, str) else ""
    reason = _SECRET.sub("[cut]", reason.replace(secret, "[cut]") if secret else reason)
    raise WorkloadError(reason or f"exit code {code}")


def ask(
    workload: Workload, names: Collection[str], was_member: bool, confirms: bool
) -> MembershipReport:
    """Ask who is a member, see `_membership.believe`."""
    try:
        members = workload.members()
    except WorkloadError as error:
        logger.warning("cannot list the members of the cluster: %s", error)
        return MembershipReport(reason=_summary(error))
    return believe(members, names, was_member=was_member, confirms=confirms)


def attempt(act: Callable[..., None], *args: Any, **options: Any) -> str:
    """Have the workload do something, and return why it did not; empty if it did."""
    try:
        act(*args, **options)
    except WorkloadError as error:
        return _summary(error)
    return ""


def leave(
    workload: Workload,
    hostname: str,
    app: ops.Application,
    is_shared: bool,
    refusals: pathlib.Path,
    prepare: Callable[[], list[str]],
) -> None:
    """Leave the cluster; `prepare` is called before, and returns arguments for `remove`."""
    answer = _ask_until(workload, hostname, left=False)
    if answer.is_no:
        return
    # Who is added after the first refusal is a newcomer: those that go leave nobody behind.
    is_last = app.planned_units() == 0 or refusals.exists()
    alone, failure = answer.names == frozenset({hostname}), ""
    if is_shared or not is_last:
        failure = answer.reason or offline_text(answer.offline - {hostname})
    if not failure:
        failure = attempt(workload.remove, hostname, prepare(), force=False)
        again = answer if alone else _ask_until(workload, hostname, left=True)
        if alone or again.is_no:
            logger.info(ADMIN_EVENT, "cluster_leave", hostname, "has left")
            return
        failure = failure or again.reason or "it is still a member"
    if is_last:
        # A hook that fails keeps nothing but its files. In the ten minutes until the eighth time
        # the other application's members can remove who has gone before.
        with refusals.open("a") as file:
            file.write("x")
            if file.tell() >= (8 if is_shared else 3):
                logger.warning("%s goes without leaving the cluster: %s", hostname, failure)
                return
    raise LeaveRefusedError(f"{hostname} cannot leave the cluster yet: {failure}")


def _ask_until(workload: Workload, hostname: str, *, left: bool) -> MembershipReport:
    give_up = time.monotonic() + _SETTLE_LIMIT
    while True:
        answer = ask(workload, [hostname], True, True)
        is_sure = answer.is_no if left else bool(answer.members)
        if is_sure or time.monotonic() >= give_up:
            return answer
        time.sleep(0.25)


def _summary(error: Exception) -> str:
    """Return the last line of a complaint, short enough for a status."""
    line = (str(error).strip().splitlines() or [""])[-1].strip()
    return (line if len(line) <= 120 else f"{line[:117]}...") or "no reason given"


# --- _consumer -----------------------------------------------------------------------------------
# `TokenConsumer`, by which a charm's units become one cluster.

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
        workload: Workload | None = None,
    ):
        super().__init__(charm, relation_name)
        self.charm = charm
        self.relation_name = relation_name
        self.workload = workload or CommandWorkload(command_name or [])
        self.joins_while_degraded = self.workload.joins_while_degraded
        self.bootstrap_args_func: Callable[[], list[str]] = list
        self.join_args_func: Callable[[], list[str]] = list
        self.add_args_func: Callable[[], list[str]] = list
        self.leave_args_func: Callable[[], list[str]] = list
        self._tokens = TokenStore(charm.charm_dir / f".{relation_name}-tokens")
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
            leave(self.workload, *args, self._before_leave)
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
        wanted = {**bag, **{mirror_id(key): value for key, value in data.items()}}
        if self.is_member:
            wanted["mirror"] = "up"
        write(bag, wanted)

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
        values = Published.from_old_bags({}, bags).values
        return {k: v for k, v in values.items() if keep_empty or v != EMPTY_STRING}

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
        return (self._memory.in_cluster and self._memory.hostname) or get_hostname()

    def _relations(self) -> list[ops.Relation]:
        """Return the relations with a token distributor; one that only lingers does not count."""
        relations = [r for r in self.charm.model.relations[self.relation_name] if r.active]
        return sorted((r for r in relations if r.units), key=lambda r: r.id) or relations[:1]

    def _look(self, relation: ops.Relation, *, at_update_status: bool) -> UnitState:
        """Read what there is to be seen; what the distributor's unit carries is for no member."""
        memory, hostname = self._memory, self._hostname
        app_bag = relation.data[relation.app]
        published = Published.from_bags(app_bag, {})
        memory.is_shared = published.shared
        if published.leader:
            # By its number: an offer has another name.
            number = f"/{published.leader}"
            mirror = next((u for u in relation.units if u.name.endswith(number)), None)
            if mirror and not memory.in_cluster:
                published = Published.from_bags(app_bag, relation.data[mirror])
            # What is not seen yet might be the tokens of a cluster that exists.
            granted = mirror is not None and published.bootstrap_host == hostname
        else:
            bags = [relation.data[unit] for unit in self.find_mirrors(relation)]
            published = Published.from_old_bags(app_bag, bags)
            # Under a distributor that speaks the old keys the leader may bootstrap.
            is_chosen = published.bootstrap_app in ("", self.charm.app.name)
            granted = is_chosen and hostname in published.waiting and self.charm.unit.is_leader()
        return UnitState(
            hostname,
            self._own_report(relation),
            published,
            is_granted=granted and not memory.has_bootstrapped,
            at_update_status=at_update_status,
            joins_while_degraded=self.joins_while_degraded,
            tokens=self._tokens.all(),
        )

    def _own_report(self, relation: ops.Relation) -> Report:
        return Report.from_bag(self.charm.unit.name, relation.data[self.charm.unit])

    def _ask(self, *, confirms: bool = False) -> MembershipReport:
        # A hook that died as it became a member has kept nothing but what it had reported before.
        names = dict.fromkeys([self._hostname, self._memory.hostname or self._hostname])
        return ask(self.workload, names, self.is_member, confirms)

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
        if about_unit and memory.in_cluster and Published.from_bags(app_bag, {}).leader:
            return
        # An earlier library has remembered no name.
        memory.hostname = memory.hostname or self._own_report(relation).hostname
        state = self._look(relation, at_update_status=at_update_status)
        idle = is_idle(state, was_member=memory.in_cluster)
        if must_ask or memory.is_unsure or not idle:
            state.answer = self._ask(confirms=at_update_status and memory.has_denied)
            if not state.answer.reason or state.answer.is_denial:
                memory.has_denied = state.answer.is_denial
            memory.failed, state.suspects = look_at_failed(state, memory.failed)
            self._proceed(state)
            memory.is_unsure = bool(state.answer.reason)
            self._report(state, relation)
        memory.status = self._status(state, several=len(relations) > 1)

    def _proceed(self, state: UnitState) -> None:
        """Do what the workload's answer calls for."""
        memory, answer = self._memory, state.answer
        is_blind = answer.reason and not answer.is_denial
        if answer.is_no:
            memory.in_cluster = False
            state.hostname = get_hostname()
            if not (state.offered or state.is_granted):
                memory.failure = ""
            if state.offered and not state.published.hold and memory.tries < _TRIES:
                memory.tries += 1
                self.on.prejoin.emit()
                args = self.join_args_func()
                failure = attempt(self.workload.join, state.offered, args)
                self._form(state, "join", failure)
            elif not state.offered and may_bootstrap(state):
                self.on.prebootstrap.emit()
                args = self.bootstrap_args_func()
                self._form(state, "bootstrap", attempt(self.workload.bootstrap, args))
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
            self._remove(state, removable(state))
            self._issue(state)

    def _form(self, state: UnitState, verb: str, failure: str) -> None:
        """Find out whether this unit is a member now, however the command ended."""
        state.answer = self._ask()
        if failure and not state.answer.members:
            logger.error("%s cannot %s the cluster: %s", state.hostname, verb, failure)
            self._memory.failure = f"{verb} failed: {failure}"
            state.rejected = digest(state.offered) if state.offered else ""
            return
        if not state.answer.members:
            reason = state.answer.reason or f"{verb} worked, and does not show yet"
            state.answer = MembershipReport(reason=reason)
        logger.info(ADMIN_EVENT, f"cluster_{verb}", state.hostname, "is a member now")
        self._become_member(state, bootstrapper=verb == "bootstrap")

    def _become_member(self, state: UnitState, *, bootstrapper: bool) -> None:
        """Remember that this unit is a member, and under which name; tell the charm."""
        self._memory.in_cluster, self._memory.hostname = True, state.hostname
        self._memory.tries, self._memory.failure = 0, ""
        if bootstrapper:
            self._memory.has_bootstrapped = True
            self.on.bootstrapped.emit()
        self.on.joined.emit(bootstrapper=bootstrapper)

    def _issue(self, state: UnitState) -> None:
        """Issue tokens for who waits."""
        for name in to_issue(state):
            if name in state.answer.names or state.blocking:
                continue  # It has joined, or a member went down, meanwhile.
            args = self.add_args_func()
            if failure := attempt(self._tokens.issue, self.workload, name, args):
                logger.info("no token for %s: %s", name, failure)
                answer = self._ask()
                if not answer.members:
                    break  # The cluster has stopped answering: nobody else fares better.
                state.answer = answer
            else:
                logger.info(_ISSUED_EVENT, name)
                self.on.token_generated.emit()

    def _remove(self, state: UnitState, names: Sequence[str]) -> None:
        """Remove members that are not online, and list them again after each removal."""
        has_list = bool(state.answer.members)
        for name in names:
            if has_list and name not in state.answer.offline:
                continue  # It is back, or another one of its name has joined.
            failure = attempt(self.workload.remove, name, (), force=True)
            logger.info(ADMIN_EVENT, "cluster_remove", name, failure or "was not online")
            state.answer = self._ask()

    def _report(self, state: UnitState, relation: ops.Relation) -> None:
        for name in state.answer.online & self._tokens.all().keys():
            self._tokens.drop(name)
        # The charm may have written to it meanwhile, when it was told that the unit has joined.
        state.own, state.tokens = self._own_report(relation), self._tokens.all()
        write(relation.data[self.charm.unit], report(state).to_bag())

    def _before_leave(self) -> list[str]:
        self.on.preleave.emit()
        return self.leave_args_func()

    def _status(self, state: UnitState, *, several: bool) -> str:
        """Return the name of this unit's status, and its message behind it."""
        if several:
            return "blocked integrate with one token distributor, not with several"
        if state.answer.reason:
            return f"waiting cannot tell about the cluster: {state.answer.reason}"
        if self.is_member:
            if state.acts and state.published.waiting and state.blocking:
                return "active joins paused: " + offline_text(state.blocking)
            return "active"
        if not is_hostname(state.hostname):
            return f"blocked no member can be called {state.hostname!r}: rename this machine"
        return "waiting " + waiting_reason(state, self._memory.failure)
