"""Form and keep one microcluster through a token distributor.

A microcluster (MicroOVN, MicroCeph, Sunbeam, LXD) forms by join tokens: one node bootstraps, a
member issues a token for a named newcomer, and the newcomer joins with it, once. The charm
`microcluster-token-distributor` carries names and tokens between the units, so that they need no
peer relation: a star instead of a mesh.

This is the library of the interface `worker-cluster`, for both of its sides. Any charm may require
it, by a `TokenConsumer`; the distributor alone provides it, by `TokenDistributorProvides`.

Getting started
---------------

A charm for a microcluster requires an endpoint of the interface `worker-cluster` and creates a
`TokenConsumer`:

    class MicroCharm(ops.CharmBase):
        def __init__(self, framework: ops.Framework):
            super().__init__(framework)
            self.cluster = TokenConsumer(self, "cluster", ["microovn", "cluster"])
            framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

        def _on_collect_unit_status(self, event: ops.CollectStatusEvent):
            event.add_status(self.cluster.status)

The library bootstraps, issues, joins, leaves and heals; it never sets a status itself. A charm
needs `TokenConsumer`, its events, `LeaveRefusedError`, `mirror_id` and `get_hostname`. All else is
public for the tests of this file, and may change with any patch.

Theory of operation
-------------------

Both sides *reconcile*: from what is visible now they work out what should be written or run, the
same way whatever the event was. The rules are pure functions over plain values, in the first
half of this file; the two classes at its end read bags, run commands and write bags.

The wire. A consumer's unit publishes its `hostname` and whether it is a `member`. The leader of
the distributor shows `mirror-<hostname>: empty` to all. The *communicator*, one of the members,
puts a token under `mirror-<hostname>` into its own bag and says `mirror: up`; the distributor
shows that token; the newcomer takes it. Once the newcomer says `member: true`, the distributor
shows `joined` in the token's place. A distributor never replaces a value that it holds, save

    what it holds    gives way to       on whose word
    ---------------  -----------------  ------------------------------------------------
    `empty`          a token            a member that says `mirror: up`
    anything         `joined`           the unit of that host name: `member: true`
    a used or        another token      the unit of that host name: `failed`, the digest
    spoilt value                        of the value that got it nowhere
    anything         nothing            the unit of that host name left the model

so that a token that was used, expired, revoked or lost is replaced without anybody reading error
texts. A unit that is shown `joined` and is no member (its machine was replaced) says that
`joined` failed, and is treated alike.

What is taken back. Juju keeps for a unit what it read of another's databag, until it tells it of
a change; and a databag that is again what it was is no change to Juju 4. So each unit counts in
`turns` how often it took back a `hold`, a `gone` or a doubt, or turned its `mirror`: nobody is
held back for ever by what was read in between.

When it is shown. Each write of the distributor wakes every unit of every consumer, so a write for
each newcomer would cost n^2 hooks. Newcomers that come in a burst are shown together: once all
are there that `goal-state` names, or half as many as are shown already; a handful at once. Used
tokens go with the next write, or with the last newcomer that joins. What is put off is remembered
on the peer relation, and shown by the next update-status at the latest.

Who bootstraps. The distributor grants it, to one unit, proposed by the leader of its application,
and only when it has heard from every unit that `goal-state` names and none is, or might be, a
member. The grant can be given anew only once that unit has left and nothing shows a cluster: no
member, nobody `joined`, and no token but such as failed.

Who issues. The alphabetically first member that is an online voter. Two at once do no harm: the
cluster's own database refuses a second token for a name.

Who joins, and when not. On a real microcluster, a join while any member is down can cost the
cluster its quorum for good. So the communicator issues tokens only while every member is online;
otherwise it names those who are not in `hold`, the distributor shows that to all, and no newcomer
joins. Members whose units left the model, and which the cluster itself reports as not online, are
removed; nobody else ever is.

Who leaves. A unit that is removed leaves the cluster in its `remove` hook. Where the cluster
refuses, because a member is down, or stops answering as the unit tries, the hook fails and is
tried again: with the unit would go its vote. A cluster that does not answer at all is left.

Three answers. The workload says that this node is a member, or that it is not, or nothing of use
(its quorum is lost, it hangs, it prints rubbish). On the third, a unit changes nothing. A member
that is told that it is none believes it when it is told again. A newcomer whose join failed asks
once more before it says so: a join can take effect, however its command ended.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import functools
import hashlib
import json
import logging
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any, cast

import ops

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

# The unique Charmhub library identifier, never change it
LIBID = "ec674038842544928b4e21ee6e199666"

# Increment this major API version when introducing breaking changes
LIBAPI = 0

# Increment this PATCH version before using `charmcraft publish-lib` or reset
# to 0 if you are raising the major API version
LIBPATCH = 9

logger = logging.getLogger(__name__)

MIRROR_PREFIX = "mirror-"
"""What a databag's key starts with when its value is mirrored."""
FAILED_PREFIX = "failed-"
"""What the distributor's key for a newcomer's failed values starts with."""
HOST_PREFIX = "host-"
"""What the key for a host name starts with that the distributor's units keep for each other: its
value is `joined`, `waiting` for a newcomer that is not shown yet, `empty` or `offered` for one
that is, or `known`."""
NAMED_PREFIX = "named-"
"""What the key for an application starts with, likewise: `true` once `goal-state` named a unit."""
EMPTY_STRING = "empty"
"""What a mirror shows for a host name while there is no token for it."""
JOINED = "joined"
"""What a mirror shows for a host name once its unit is a member."""
WAITING = "waiting"
"""What the distributor's units remember of a newcomer that is not shown yet."""
OFFERED = "offered"
"""What they remember of a newcomer that is shown a token; `empty` is one that is shown none."""
KNOWN = "known"
"""What they remember of any other host name, of which too much is to be said for one word."""
TALLY = "tally"
"""The key under which they keep how many host names there are, and in what state."""

_MAX_VALUE = 64 * 1024
_MAX_KEY = 256
# Linux has no host name of more than 64 characters.
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
# What Juju calls an application of another model.
_FOREIGN = re.compile(r"remote-[0-9a-f]+", re.ASCII)
_KEY = re.compile(r"[!-<>-~]+", re.ASCII)
_TOKEN = re.compile(r"[!-,.-~][!-~]*", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
# One value is shown at a time; two, while Juju brings the news of the second.
_MAX_DIGESTS = 8
# Long runs of what tokens, secrets and fingerprints are written in.
_SECRET = re.compile(r"[A-Za-z0-9+/_=-]{40,}")

# So few newcomers are shown as they come; of more, so large a part of those shown before.
_HANDFUL = 5
_SHARE = 0.5

# Seconds. A `list` or an `add` takes 10.5 s on a cluster that has lost its quorum, a `remove`
# 30 s; a join has been measured at 4 s and does real work on the workload's side.
_ASK_LIMIT = 30
_REMOVE_LIMIT = 60
_FORM_LIMIT = 300
_GOAL_STATE_LIMIT = 30
_HOOK_TOOL_LIMIT = 30
# Seconds. A command that fails after this long has waited for a quorum: do not queue up more.
_SLOW_FAILURE = 5


# Names and tokens


def mirror_id(hostname: str) -> str:
    """Return the databag key under which a value for `hostname` is mirrored."""
    return f"{MIRROR_PREFIX}{hostname}"


def get_hostname() -> str:
    """Return this machine's host name, which is also its name in the cluster."""
    return os.uname().nodename


def digest(value: str) -> str:
    """Return the SHA-256 of a mirrored value, in hexadecimal: it names a token without it."""
    return hashlib.sha256(value.encode()).hexdigest()


def is_hostname(text: str) -> bool:
    """Tell whether a text can serve as the name of a member.

    It is handed to commands as an argument and becomes part of a databag's key: letters, digits,
    dots, underscores and hyphens, letters or digits at both ends, at most 64 characters.
    """
    return _HOSTNAME.fullmatch(text) is not None


def is_usable_token(text: str) -> bool:
    """Tell whether a text can be handed to `join` as an argument at all."""
    return len(text) <= _MAX_VALUE and _TOKEN.fullmatch(text) is not None


def looks_like_token(text: str) -> bool:
    """Tell whether a mirrored value is a join token: base64 of a JSON object with a secret."""
    if not is_usable_token(text):
        return False
    try:
        content = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "secret" in content


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in text.split() if is_hostname(name))


def _digests(text: str) -> frozenset[str]:
    digests = sorted(word for word in _words(text) if _DIGEST.fullmatch(word))
    return frozenset(digests[:_MAX_DIGESTS])


def _text(words: Iterable[str]) -> str:
    return " ".join(sorted(words))


def _redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Cut tokens out of a text that is to be logged: the known ones and whatever looks alike."""
    for secret in secrets:
        text = text.replace(secret, "[cut]")
    return _SECRET.sub("[cut]", text)


def _summary(text: str) -> str:
    """Return the last line of a command's complaint, short enough for a status."""
    lines = text.strip().splitlines()
    line = lines[-1].strip() if lines else ""
    return line if len(line) <= 120 else f"{line[:117]}..."


# The wire


@dataclasses.dataclass(frozen=True)
class ConsumerUnit:
    """What one unit of a consumer says in its databag.

    Attributes:
        name: the unit, such as `microovn/0`.
        hostname: its host name; empty when it has given none, or none that can be used.
        spoke: whether it has given a host name at all.
        member: `true`, `false` or `unknown`, as it says itself; empty for a library before
            patch 9, which does not say.
        mirror: `up` when its `mirror-*` keys are to be mirrored, `down` when no longer.
        offers: these values, by key without prefix.
        failed: digests of the values that got it nowhere.
        hold: host names of the members that it finds to be not online.
        gone: of the host names in `left`, those that it no longer finds in the cluster.
    """

    name: str
    hostname: str = ""
    spoke: bool = False
    member: str = ""
    mirror: str = ""
    offers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    failed: frozenset[str] = frozenset()
    hold: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    @classmethod
    def from_bag(cls, name: str, bag: Mapping[str, str]) -> ConsumerUnit:
        """Read a databag. What is unknown or unusable in it is left out."""
        hostname = bag.get("hostname", "")
        member = bag.get("member", "")
        return cls(
            name=name,
            hostname=hostname if is_hostname(hostname) else "",
            spoke=bool(hostname),
            member=member if member in ("true", "false", "unknown") else "",
            mirror=bag.get("mirror", ""),
            offers=_mirrored(bag),
            failed=_digests(bag.get("failed", "")),
            hold=_names(bag.get("hold", "")),
            gone=_names(bag.get("gone", "")),
        )

    @property
    def up(self) -> bool:
        """Whether it speaks for the cluster, as certainly no unit does that is not a member."""
        return self.mirror == "up" and self.member != "false"

    @property
    def is_member(self) -> bool:
        """Whether the unit says that it is a member."""
        return self.member == "true"


def _mirrored(bag: Mapping[str, str]) -> dict[str, str]:
    """Return the values under `mirror-*` keys, by key without prefix; absurd ones are left out."""
    values: dict[str, str] = {}
    for bag_key, value in bag.items():
        if not bag_key.startswith(MIRROR_PREFIX):
            continue
        key = bag_key[len(MIRROR_PREFIX) :]
        if len(key) <= _MAX_KEY and _KEY.fullmatch(key) and 0 < len(value) <= _MAX_VALUE:
            values[key] = value
    return values


@dataclasses.dataclass(frozen=True)
class Mirror:
    """What a distributor shows, the same in all its relations.

    Attributes:
        values: the mirrored values by key without prefix: a token, `empty` or `joined` for a
            host name, anything for the other keys.
        failed: by host name, the digests of the values that got its unit nowhere, as text.
        hold: host names of the members that are not online: while there is one, nobody joins.
        left: host names whose units left the model and that may still be members.
        leader: the unit whose databag counts; empty for a distributor before patch 9.
        bootstrap_app: the one application that may bootstrap.
        bootstrap_unit: the one unit that may bootstrap.
    """

    values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    hold: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    leader: str = ""
    bootstrap_app: str = ""
    bootstrap_unit: str = ""

    @classmethod
    def from_bags(
        cls, unit_bags: Iterable[Mapping[str, str]], app_bags: Iterable[Mapping[str, str]]
    ) -> Mirror:
        """Read the databags of a distributor.

        Args:
            unit_bags: its unit's bags (or several units' bags, where it cannot be told which of
                them leads). Where they differ, a value wins over `empty`.
            app_bags: its application's bags.
        """
        values: dict[str, str] = {}
        failed: dict[str, str] = {}
        hold: frozenset[str] = frozenset()
        for bag in unit_bags:
            for key, value in _mirrored(bag).items():
                if values.get(key, EMPTY_STRING) == EMPTY_STRING:
                    values[key] = value
            for key, value in bag.items():
                name = key[len(FAILED_PREFIX) :]
                if key.startswith(FAILED_PREFIX) and is_hostname(name):
                    failed[name] = _text(_words(failed.get(name, "")) | _words(value))
            hold |= _names(bag.get("hold", ""))
        app: dict[str, str] = {}
        left: frozenset[str] = frozenset()
        for bag in app_bags:
            left |= _names(bag.get("left", ""))
            for key in ("leader", "bootstrap-app", "bootstrap-unit"):
                app[key] = app.get(key) or bag.get(key, "")
        return cls(
            values=values,
            failed=failed,
            hold=hold,
            left=left,
            leader=app.get("leader", ""),
            bootstrap_app=app.get("bootstrap-app", ""),
            bootstrap_unit=app.get("bootstrap-unit", ""),
        )

    def unit_bag(self) -> dict[str, str]:
        """Return the databag of the distributor's unit that shows this."""
        bag = {"mirror": "up"}
        bag.update({mirror_id(key): value for key, value in sorted(self.values.items())})
        bag.update({f"{FAILED_PREFIX}{key}": text for key, text in sorted(self.failed.items())})
        if self.hold:
            bag["hold"] = _text(self.hold)
        return bag

    def app_bag(self) -> dict[str, str]:
        """Return the databag of the distributor's application that shows this."""
        bag = {
            "leader": self.leader,
            "bootstrap-app": self.bootstrap_app,
            "bootstrap-unit": self.bootstrap_unit,
            "left": _text(self.left),
        }
        return {key: value for key, value in bag.items() if value}

    def is_spoilt(self, hostname: str) -> bool:
        """Tell whether the unit of a host name has said that the value shown failed."""
        value = self.values.get(hostname)
        return value is not None and digest(value) in _words(self.failed.get(hostname, ""))

    def wants_token(self, hostname: str) -> bool:
        """Tell whether the unit of a host name waits for a token, the first or another."""
        return self.values.get(hostname) == EMPTY_STRING or self.is_spoilt(hostname)

    @property
    def hosts(self) -> set[str]:
        """The host names that the next leader has to know of: those shown, and those that left."""
        return _hosts(self.values) | self.left

    @property
    def shows_cluster(self) -> bool:
        """Whether any value shows that a cluster exists; a charm's own values do not.

        A token that failed does not: all who could issue another may have left.
        """
        return any(
            value == JOINED or (looks_like_token(value) and not self.is_spoilt(key))
            for key, value in self.values.items()
        )


def _managed_by_distributor(key: str) -> bool:
    return key in ("mirror", "hold") or key.startswith((MIRROR_PREFIX, FAILED_PREFIX))


# The distributor's rules


class Reading(enum.Enum):
    """How much of the units' databags the distributor has read."""

    ONE_EVENT = "what the event is about"
    ALL_SEEN = "every unit that it can see; there may be more"
    ALL_THERE_ARE = "every unit that there is, as goal-state says"


def reflect(
    held: Mirror,
    heard: Iterable[ConsumerUnit],
    departed: Iterable[ConsumerUnit] = (),
    *,
    reading: Reading = Reading.ONE_EVENT,
    takes_over: bool = False,
    remembered: Collection[str] = (),
) -> Mirror:
    """Work out what the mirror shows, from what it held and what was read.

    The order of the units makes no difference, and doing it twice changes nothing.

    Args:
        held: what this unit of the distributor shows so far.
        heard: units that were read and are in the model.
        departed: units that left the model.
        reading: whether `heard` is all there is.
        takes_over: whether this unit did not lead until now, so that what it holds may be old:
            its tokens are then used only where nobody has a better value.
        remembered: host names that an earlier leader has shown.
    """
    heard = list(heard)
    draft = _Draft(held, heard, takes_over=takes_over)
    draft.forget(departed)
    if reading is Reading.ALL_THERE_ARE:
        draft.forget_all_others(remembered)
    if reading is not Reading.ONE_EVENT:
        draft.hold = frozenset[str]().union(*(unit.hold for unit in heard if unit.up))
    draft.take_names()
    draft.take_farewells(heard)
    draft.take_offers(heard, for_all=reading is not Reading.ALL_THERE_ARE)
    return draft.mirror()


class _Draft:
    """A mirror that is being worked out; each method is one of `reflect`'s rules."""

    def __init__(self, held: Mirror, heard: Iterable[ConsumerUnit], *, takes_over: bool):
        self.held = held
        self.takes_over = takes_over
        self.values = {} if takes_over else dict(held.values)
        self.failed = {} if takes_over else dict(held.failed)
        self.hold = held.hold
        self.left = set(held.left)
        self.absent: set[str] = set()
        self.by_name: dict[str, list[ConsumerUnit]] = {}
        for unit in heard:
            if unit.hostname:
                self.by_name.setdefault(unit.hostname, []).append(unit)

    def mirror(self) -> Mirror:
        """Return what has been worked out."""
        return dataclasses.replace(
            self.held,
            values=self.values,
            failed=self.failed,
            hold=self.hold,
            left=frozenset(self.left),
        )

    def forget(self, departed: Iterable[ConsumerUnit]) -> None:
        """Show nothing for a unit that left, and say that it did."""
        for name in {unit.hostname for unit in departed if unit.hostname}:
            # On some versions of Juju a unit can be seen for long after it left: once is enough.
            if name in self.by_name:
                # Another unit has its name now; what is shown for that one is not touched.
                if self.values.get(name) == JOINED and not self._has_member(name):
                    self._leave(name)
            else:
                self.absent.add(name)
                if self.takes_over or name in self.values:
                    self._leave(name)

    def forget_all_others(self, remembered: Iterable[str]) -> None:
        """Treat host names that no unit has any more as those of units that left."""
        for name in {*_hosts(self.values), *remembered} - set(self.by_name):
            self._leave(name)

    def take_names(self) -> None:
        """Show each host name: `joined` for a member, else a value or why there has to be one."""
        for name, units in self.by_name.items():
            self.values.setdefault(name, EMPTY_STRING)
            self.failed.pop(name, None)
            complaints = frozenset[str]().union(*(unit.failed for unit in units))
            if self._has_member(name):
                self.values[name] = JOINED
            elif complaints:
                self.failed[name] = _text(complaints)
            # A name that came back is in nobody's way, unless its unit says that it is no member:
            # a member of that name is then what an earlier machine left behind.
            if any(unit.member != "false" for unit in units):
                self.left.discard(name)

    def take_farewells(self, heard: Iterable[ConsumerUnit]) -> None:
        """Drop from `left` who is no longer in the cluster, as its communicator says."""
        for unit in heard:
            # A member that is down itself says nothing new.
            if unit.up and unit.hostname not in self.hold:
                self.left -= unit.gone

    def take_offers(self, heard: Iterable[ConsumerUnit], *, for_all: bool) -> None:
        """Show the values that members want mirrored, where nothing better is shown already.

        Args:
            heard: the units.
            for_all: whether a token may be for a unit that has not been heard of yet.
        """
        offers: dict[str, set[str]] = {}
        for unit in heard:
            for key, value in unit.offers.items() if unit.up else ():
                gone = self.absent | self.left | unit.gone
                nobodys = key in gone or not for_all
                if key not in self.values and nobodys and looks_like_token(value):
                    continue
                if value not in (EMPTY_STRING, JOINED):
                    offers.setdefault(key, set()).add(value)
        for key, candidates in offers.items():
            if not self._has_member(key):
                self._choose(key, candidates)
        if self.takes_over:
            # What this unit held when it led before is better than nothing.
            for key, value in self.held.values.items():
                if self.values.get(key) == EMPTY_STRING and looks_like_token(value):
                    self._choose(key, {value})

    def _has_member(self, name: str) -> bool:
        return any(unit.is_member for unit in self.by_name.get(name, ()))

    def _leave(self, hostname: str) -> None:
        self.values.pop(hostname, None)
        self.failed.pop(hostname, None)
        self.left.add(hostname)

    def _choose(self, key: str, candidates: Collection[str]) -> None:
        """Keep the value held, unless it is `empty` or spoilt and there is one that is neither."""
        spoilt = _words(self.failed.get(key, ""))
        fresh = sorted(value for value in candidates if digest(value) not in spoilt)
        current = self.values.get(key, EMPTY_STRING)
        if current == EMPTY_STRING or digest(current) in spoilt:
            self.values[key] = fresh[0] if fresh else current


def _hosts(values: Mapping[str, str]) -> set[str]:
    """Return the keys under which something is shown for a host name."""
    return {
        key
        for key, value in values.items()
        if value in (EMPTY_STRING, JOINED) or looks_like_token(value)
    }


def recall(shown: Mirror, remembered: Mapping[str, str]) -> Mirror:
    """Return what the mirror would show if everything were shown that has been heard.

    Args:
        shown: what it shows.
        remembered: by host name, a state as `HOST_PREFIX` has it.
    """
    values = dict(shown.values)
    for name, state in remembered.items():
        if state == JOINED:
            values[name] = JOINED
        elif state == WAITING:
            values.setdefault(name, EMPTY_STRING)
    return dataclasses.replace(shown, values=values)


def to_remember(shown: Mirror, heard: Mirror) -> dict[str, str]:
    """Return what `recall` and the next leader need: a state for each host name.

    Args:
        shown: what the mirror shows.
        heard: what it would show if everything were shown that has been heard.
    """
    states: dict[str, str] = {}
    for name in filter(is_hostname, heard.hosts):
        value = heard.values.get(name)
        if value is None or name in heard.failed:
            states[name] = KNOWN
        elif value == JOINED:
            states[name] = JOINED
        elif name not in shown.values:
            states[name] = WAITING
        else:
            states[name] = EMPTY_STRING if value == EMPTY_STRING else OFFERED
    return states


def unsettle(states: Mapping[str, str]) -> dict[str, str]:
    """Return what to remember instead of states that tell what was shown by another leader."""
    return {name: KNOWN for name, state in states.items() if state in (EMPTY_STRING, OFFERED)}


def state_after(state: str | None, unit: ConsumerUnit) -> str | None:
    """Tell from one unit's word, and what is remembered of its host name, what to remember next.

    Args:
        state: what is remembered; None for nothing.
        unit: a unit in the model, with a host name that is not in `left`.

    Returns:
        None where that is not enough to tell.
    """
    speaks_of_others = unit.mirror or unit.offers or unit.hold or unit.gone
    if speaks_of_others or unit.failed or state not in _STATES:
        return None
    if unit.is_member:
        return JOINED
    # Two units of one host name, or one that was a member until now.
    return None if state == JOINED else state or WAITING


_STATES = (None, JOINED, WAITING, EMPTY_STRING, OFFERED)


@dataclasses.dataclass(frozen=True)
class Tally:
    """How many host names there are, and in what state.

    It lets a leader that has read one unit's databag tell what that means for the whole.

    Attributes:
        hosts: how many have been heard.
        unshown: those of them that are not shown yet.
        joined: those that are members'.
        waiting: those for which there is no token, or no other one yet.
        cluster: whether anything shows that a cluster exists.
        failed: those whose token got their units nowhere.
        hold: the members that are not online.
    """

    hosts: int = 0
    unshown: int = 0
    joined: int = 0
    waiting: int = 0
    cluster: bool = False
    failed: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()

    @classmethod
    def of(cls, shown: Mirror, heard: Mirror) -> Tally:
        """Count what is shown, and what has been heard besides.

        Args:
            shown: what the mirror shows.
            heard: what it would show if everything were shown that has been heard.
        """
        hosts = _hosts(heard.values)
        spoilt = {name for name in hosts if heard.is_spoilt(name)}
        waiting = {name for name in hosts if heard.values[name] == EMPTY_STRING}
        waiting |= {name for name in spoilt if heard.values[name] == JOINED}
        return cls(
            hosts=len(hosts),
            unshown=len(hosts - shown.values.keys()),
            joined=sum(heard.values[name] == JOINED for name in hosts),
            waiting=len(waiting),
            cluster=heard.shows_cluster,
            failed=tuple(sorted(spoilt - waiting)),
            hold=tuple(sorted(heard.hold)),
        )

    def moved(self, before: str | None, after: str) -> Tally:
        """Count again once a host name is in another state, as `state_after` has it."""
        joins = after == JOINED and before != JOINED
        waited = before in (EMPTY_STRING, WAITING)
        return dataclasses.replace(
            self,
            hosts=self.hosts + (before is None),
            unshown=self.unshown + (before is None),
            joined=self.joined + joins,
            waiting=self.waiting + (after == WAITING and before is None) - (joins and waited),
            cluster=self.cluster or joins,
        )

    def is_due(self, expected: int | None, *, granted: bool) -> bool:
        """Tell whether it is time to show what nobody waits for.

        Args:
            expected: how many units there are to be; None where there is no telling.
            granted: whether some unit may bootstrap.
        """
        if not self.unshown:
            return self.joined == self.hosts
        if not granted and not self.cluster:
            # Nobody can do anything for them before one may bootstrap.
            return False
        before = self.hosts - self.unshown
        more = 0 if expected is None else expected - self.hosts
        few = self.unshown + more <= _HANDFUL
        return more <= 0 or few or self.unshown >= _SHARE * before

    def to_text(self) -> str:
        """Return what `from_text` reads: all that is not as in a new tally, as JSON."""
        return json.dumps(
            {
                field.name: value
                for field in dataclasses.fields(self)
                if (value := getattr(self, field.name)) != field.default
            },
            sort_keys=True,
        )

    @classmethod
    def from_text(cls, text: str) -> Tally | None:
        """Return the tally that `to_text` wrote; None for any other text."""
        try:
            content: Any = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, dict):
            return None
        values: dict[str, Any] = {
            name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
            for name, value in cast("dict[str, Any]", content).items()
        }
        empty = dataclasses.asdict(cls())
        if any(type(values[name]) is not type(empty.get(name, cls)) for name in values):
            return None
        names = [*values.get("failed", ()), *values.get("hold", ())]
        if not all(isinstance(name, str) and is_hostname(name) for name in names):
            return None
        return cls(**values)


def is_pressing(shown: Mirror, heard: Mirror) -> bool:
    """Tell whether somebody waits to be shown what has been heard.

    Nobody does for a token that has been used, and a newcomer does so no more than all others.
    """
    if dataclasses.replace(shown, values={}) != dataclasses.replace(heard, values={}):
        return True
    return any(
        before != after and after != JOINED and (before is not None or after != EMPTY_STRING)
        for before, after in (
            (shown.values.get(key), heard.values.get(key))
            for key in {*shown.values, *heard.values}
        )
    )


def is_due(shown: Mirror, heard: Mirror, expected: int | None) -> bool:
    """Tell whether to show now what has been heard. Each time wakes every unit of every consumer.

    Newcomers that come in a burst are shown together: when all are there that are expected, or
    enough of them. A used token is taken out of sight with the next write, or with the last one.
    What is not due is shown by the next update-status at the latest.

    Args:
        shown: what the mirror shows.
        heard: what it would show.
        expected: how many units there are to be; None where there is no telling.
    """
    granted = bool(heard.bootstrap_unit)
    return is_pressing(shown, heard) or Tally.of(shown, heard).is_due(expected, granted=granted)


def is_conflict(held: Mirror, unit: ConsumerUnit) -> bool:
    """Tell whether what one unit says can be settled only by reading all the others too."""
    value = held.values.get(unit.hostname)
    return (
        # Somebody is down, or back up: several members may be saying so.
        (unit.hold != held.hold and unit.mirror != "")
        # Two units of one host name, or one that was a member until now.
        or (value == JOINED and not unit.is_member)
        # Another token for it may be in the bag of some member already.
        or (value is not None and digest(value) in unit.failed)
    )


@dataclasses.dataclass(frozen=True)
class ConsumerApp:
    """One related application, as far as the grant of the bootstrap is concerned.

    Attributes:
        name: the application.
        candidate: the unit that its leader proposes; empty for none.
        units: its units that were read.
    """

    name: str
    candidate: str = ""
    units: Sequence[ConsumerUnit] = ()


@dataclasses.dataclass(frozen=True)
class Grant:
    """Who may bootstrap.

    Attributes:
        app: the one application that may, for libraries that know no more than that.
        unit: the one unit that may.
        awaited: the units without whose word nothing can be granted.
    """

    app: str = ""
    unit: str = ""
    awaited: frozenset[str] = frozenset()


def grant(mirror: Mirror, apps: Sequence[ConsumerApp], expected: Collection[str] | None) -> Grant:
    """Decide who may bootstrap: the one decision that cannot be taken back.

    Args:
        mirror: what the distributor shows, this reading of all units included.
        apps: the related applications, the first related first.
        expected: the units that `goal-state` names as up, in all relations; None where there is
            no telling.
    """
    current = Grant(mirror.bootstrap_app, mirror.bootstrap_unit)
    units = [unit for app in apps for unit in app.units]
    if any(unit.is_member for unit in units):
        # The grant is used up: were it left standing, a unit that drops out of the cluster one
        # day could take it for permission to bootstrap another.
        return Grant(current.app or apps[0].name)
    if mirror.shows_cluster or any(unit.up for unit in units):
        return Grant(current.app or apps[0].name, current.unit)
    names = {unit.name for unit in units}
    if current.unit and (expected is None or current.unit in names.union(expected)):
        return current
    doubtful = {unit.name for unit in units if unit.member == "unknown"}
    spoke = {unit.name for unit in units if unit.spoke}
    awaited = (frozenset(expected or ()) - spoke) | doubtful
    if expected is None or awaited or not names:
        return Grant(awaited=awaited)
    populated = [app for app in apps if app.units]
    chosen = next((app for app in populated if app.name == current.app), populated[0])
    proposed = chosen.candidate in {unit.name for unit in chosen.units if unit.hostname}
    return Grant(chosen.name, chosen.candidate if proposed else "")


# The consumer's rules


@dataclasses.dataclass(frozen=True)
class Member:
    """One row of the workload's own list of members."""

    name: str
    role: str
    status: str

    @property
    def online(self) -> bool:
        """Whether the cluster reaches it."""
        return self.status.upper() == "ONLINE"


class Membership(enum.Enum):
    """What the workload says when asked whether this node is a member."""

    MEMBER = "a member"
    NOT_A_MEMBER = "certainly not a member"
    UNKNOWN = "cannot tell"


@dataclasses.dataclass(frozen=True)
class Workload:
    """The workload's answer.

    Attributes:
        membership: which of the three answers it is.
        members: the members of the cluster, where there is a list of them.
        reason: why it cannot be told, fit for a status.
        doubted: whether it said for the first time that this node, a member until now, is none.
    """

    membership: Membership
    members: tuple[Member, ...] = ()
    reason: str = ""
    doubted: bool = False

    def find(self, name: str) -> Member | None:
        """Return the member of a name, if there is one."""
        return next((member for member in self.members if member.name == name), None)


def parse_members(text: str, hostname: str) -> Workload:
    """Read what `list -f json` printed on a node of a cluster.

    Args:
        text: a JSON list of objects with `name`, `role` and `status`.
        hostname: this node's name, which has to be among them: a node that the list does not
            name might be anything.
    """
    try:
        rows: Any = json.loads(text)
    except (ValueError, RecursionError):
        return Workload(Membership.UNKNOWN, reason="its list of members is not JSON")
    unusable = Workload(Membership.UNKNOWN, reason="its list of members has an unknown shape")
    if not isinstance(rows, list) or not rows:
        return unusable
    members: list[Member] = []
    for row in cast("list[Any]", rows):
        if not isinstance(row, dict):
            return unusable
        fields = cast("dict[str, Any]", row)
        texts = [fields.get("name"), fields.get("role", ""), fields.get("status")]
        if not all(isinstance(text, str) for text in texts):
            return unusable
        members.append(Member(*cast("list[str]", texts)))
    workload = Workload(Membership.MEMBER, tuple(sorted(members, key=lambda m: m.name)))
    if workload.find(hostname) is None:
        reason = f"its list of members lacks {hostname}"
        return Workload(Membership.UNKNOWN, workload.members, reason)
    return workload


def doubt(workload: Workload, said: str) -> Workload:
    """Return the answer of a workload that made this node a member once, as far as it is trusted.

    A daemon that has just been started can say for a moment that it is no member, until it opens
    its database. What follows from that word cannot be taken back, so it has to be said in two
    hooks on end; this unit's databag remembers the first.

    Args:
        workload: the answer.
        said: what the databag says under `member`.
    """
    if workload.membership is not Membership.NOT_A_MEMBER or said in ("unknown", "false"):
        return workload
    reason = "it says to be no member any more, and is asked again"
    return Workload(Membership.UNKNOWN, reason=reason, doubted=True)


def presume(bag: Mapping[str, str], shown: Mirror | None, unit: str) -> Workload | None:
    """Return the workload's answer where nothing depends on it, or None where it has to be asked.

    To ask takes a member up to 0.3 s, or ten once its quorum is lost, and most hooks are about
    others: nobody waits for a token or holds one, nobody has left, and this unit may do nothing.
    Whether its word still holds is found out by the hooks that are about no relation.

    Args:
        bag: this unit's own databag.
        shown: what the distributor shows.
        unit: this unit's name.
    """
    name = bag.get("hostname", "")
    busy = {"hold", "gone", "failed"} & set(bag)
    if shown is None or shown.hold or shown.failed or busy:
        return None
    if any(looks_like_token(value) for value in _mirrored(bag).values()):
        return None
    if bag.get("member") == "true" and not shown.left:
        settled = all(shown.values[each] == JOINED for each in _hosts(shown.values))
        return Workload(Membership.MEMBER) if settled and name in shown.values else None
    if bag.get("member") == "false" and shown.values.get(name, EMPTY_STRING) == EMPTY_STRING:
        # An earlier distributor names no unit, and might let this one bootstrap.
        able = not shown.leader or shown.bootstrap_unit == unit
        return None if able else Workload(Membership.NOT_A_MEMBER)
    return None


@dataclasses.dataclass(frozen=True)
class Join:
    """Join the cluster with a token."""

    token: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Bootstrap the cluster."""


@dataclasses.dataclass(frozen=True)
class Remove:
    """Remove a member that is not online and whose unit is gone, or never came to be one."""

    name: str


@dataclasses.dataclass(frozen=True)
class ListAgain:
    """Ask for the members once more, since they may have changed."""


@dataclasses.dataclass(frozen=True)
class Issue:
    """Issue a token for a newcomer."""

    name: str


Step = Join | Bootstrap | Remove | ListAgain | Issue


@dataclasses.dataclass(frozen=True)
class Situation:
    """All that a consumer's unit decides on.

    Attributes:
        unit: this unit's name.
        app: its application's name.
        leads: whether it leads its application.
        hostname: its host name.
        workload: the workload's answer.
        shown: what the distributor shows; None while there is none to be seen.
        bag: this unit's own databag.
        kept: tokens that were issued on this machine, by the host name they are for.
        tried: the steps taken in this hook.
        spoilt: digests of the values that got this unit nowhere in this hook.
        stalled: whether the cluster has stopped answering in this hook.
    """

    unit: str
    app: str
    leads: bool
    hostname: str
    workload: Workload
    shown: Mirror | None
    bag: Mapping[str, str] = dataclasses.field(repr=False)
    kept: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    tried: tuple[Step, ...] = ()
    spoilt: frozenset[str] = frozenset()
    stalled: bool = False

    @property
    def is_member(self) -> bool:
        """Whether this unit is a member."""
        return self.workload.membership is Membership.MEMBER

    @property
    def offered(self) -> str:
        """The value that the distributor shows for this unit; empty for none."""
        return self.shown.values.get(self.hostname, "") if self.shown else ""

    @property
    def offline(self) -> tuple[str, ...]:
        """The members that are not online."""
        return tuple(member.name for member in self.workload.members if not member.online)

    @property
    def is_communicator(self) -> bool:
        """Whether this unit speaks for the cluster.

        The first online voter does, by name; while there is no voter yet (a node takes up to ten
        seconds to become one), the first online member. A member that the distributor does not
        know has no way to speak.
        """
        online = [
            member
            for member in self.workload.members
            if member.online
            and (
                member.name == self.hostname
                or self.shown is None
                or member.name in self.shown.values
            )
        ]
        voters = [member.name for member in online if member.role == "voter"]
        names = voters or [member.name for member in online]
        return self.is_member and bool(names) and min(names) == self.hostname


def next_step(situation: Situation) -> Step | None:
    """Return what to do next, or None when there is nothing more to do in this hook.

    A step is never returned twice for one hook.
    """
    return next(
        (step for step in _steps(situation) if step not in situation.tried),
        None,
    )


def _steps(situation: Situation) -> Iterable[Step]:
    shown = situation.shown
    if shown is None or situation.stalled or not is_hostname(situation.hostname):
        return
    if situation.workload.membership is Membership.NOT_A_MEMBER:
        if not shown.hold:
            if situation.offered not in ("", EMPTY_STRING, JOINED) and is_usable_token(
                situation.offered
            ):
                yield Join(situation.offered)
                # A join that took effect, however it ended, must not be said to have failed: on
                # that word, a member of this name that goes down is removed.
                yield ListAgain()
            if may_bootstrap(situation):
                yield Bootstrap()
    elif situation.is_communicator:
        yield from (Remove(name) for name in removable(situation))
        if any(isinstance(step, Remove) for step in situation.tried):
            yield ListAgain()
        if not situation.offline:
            yield from (Issue(name) for name in needy(situation))


def may_bootstrap(situation: Situation) -> bool:
    """Tell whether this unit, no member, may bootstrap the cluster."""
    shown = situation.shown
    if shown is None or shown.shows_cluster or situation.hostname not in shown.values:
        return False
    if shown.leader:
        return shown.bootstrap_unit == situation.unit
    # A distributor from before patch 9 names an application at most.
    return situation.leads and shown.bootstrap_app in ("", situation.app)


def removable(situation: Situation) -> list[str]:
    """Return the members that are to be removed by force.

    Never an online one. The others only when their unit left the model, or when the unit of that
    name says that it failed to join: it is then half joined, or an earlier machine's remains.
    """
    shown = situation.shown
    return [
        name
        for name in situation.offline
        if shown is not None
        and name != situation.hostname
        and is_hostname(name)
        and (name in shown.left or shown.is_spoilt(name))
    ]


def needy(situation: Situation) -> list[str]:
    """Return the newcomers for whom a token has to be issued."""
    shown = situation.shown
    return [
        name
        for name in sorted(shown.values if shown else ())
        if shown is not None
        and is_hostname(name)
        and shown.wants_token(name)
        and situation.workload.find(name) is None
        and (
            name not in situation.kept
            or digest(situation.kept[name]) in _words(shown.failed.get(name, ""))
        )
    ]


def tokens_to_publish(situation: Situation) -> dict[str, str]:
    """Return the tokens that belong into this member's databag, by host name."""
    shown = situation.shown
    published = _published_tokens(situation)
    tokens: dict[str, str] = {}
    for name, token in {**published, **situation.kept}.items():
        member = situation.workload.find(name)
        if member is not None and member.online:
            continue
        if shown is None:
            if name in published:
                tokens[name] = published[name]
            continue
        spoilt = digest(token) in _words(shown.failed.get(name, ""))
        mirrored = shown.values.get(name) == token and name not in shown.left
        if mirrored or (shown.wants_token(name) and not spoilt):
            tokens[name] = token
    return tokens


def _published_tokens(situation: Situation) -> dict[str, str]:
    return {
        key: value
        for key, value in _mirrored(situation.bag).items()
        if key in situation.kept or looks_like_token(value)
    }


def consumer_bag(situation: Situation) -> dict[str, str]:
    """Return what this unit's databag should hold, other libraries' keys left out.

    Keys that a charm put there by `TokenConsumer.add_to_mirror` stay.
    """
    bag = {"hostname": situation.hostname} if situation.hostname else {}
    membership = situation.workload.membership
    if membership is Membership.UNKNOWN:
        # Nothing is taken back that was said while it could be told.
        kept = {key: value for key, value in situation.bag.items() if _managed_by_consumer(key)}
        if situation.workload.doubted:
            kept["member"] = "unknown"
        return {"member": "unknown", **kept, **bag}
    others = {
        mirror_id(key): value
        for key, value in _mirrored(situation.bag).items()
        if key not in _published_tokens(situation)
    }
    if membership is Membership.NOT_A_MEMBER:
        bag.update(others)
        bag["member"] = "false"
        failed = _failed(situation)
        if failed:
            bag["failed"] = _text(failed)
        if "mirror" in situation.bag:
            bag["mirror"] = "down"
        return bag
    tokens = tokens_to_publish(situation)
    bag.update(others)
    bag.update({mirror_id(name): token for name, token in tokens.items()})
    bag["member"] = "true"
    if situation.is_communicator:
        gone = situation.shown.left if situation.shown else frozenset[str]()
        bag["hold"] = _text(situation.offline)
        bag["gone"] = _text(name for name in gone if situation.workload.find(name) is None)
    if situation.is_communicator or others or tokens:
        bag["mirror"] = "up"
    elif "mirror" in situation.bag:
        bag["mirror"] = "down"
    return {key: value for key, value in bag.items() if value}


def _failed(situation: Situation) -> frozenset[str]:
    """Return the digests of the shown values that got this unit, no member, nowhere."""
    before = _words(situation.bag.get("failed", ""))
    offered = situation.offered
    if situation.shown is None:
        return before
    if situation.hostname in situation.shown.hold:
        # Everybody waits for a member of this unit's name, which this unit is not: an earlier
        # machine left it behind, or a join that failed half-way. This word has it removed.
        return frozenset({digest(offered or EMPTY_STRING)})
    if offered in ("", EMPTY_STRING):
        return frozenset()
    if offered == JOINED or not is_usable_token(offered):
        return frozenset({digest(offered)})
    return frozenset({digest(offered)}) & (before | situation.spoilt)


def _managed_by_consumer(key: str) -> bool:
    return key in ("hostname", "member", "mirror", "failed", "hold", "gone") or key.startswith(
        MIRROR_PREFIX
    )


def bootstrap_candidate(situation: Situation) -> str | None:
    """Return the unit that a leader proposes for the bootstrap, or None to leave it as it is."""
    able = is_hostname(situation.hostname)
    willing = situation.workload.membership is Membership.NOT_A_MEMBER
    return situation.unit if situation.leads and able and willing else None


def somebody_stays(workload: Workload, goal_state: Mapping[str, Any] | None) -> bool:
    """Tell whether a cluster is left to be kept whole when this unit goes.

    Args:
        workload: the answer of this unit, a member.
        goal_state: what `goal-state` says; None where there is no telling.
    """
    units = (goal_state or {}).get("units")
    if not isinstance(units, dict):
        return True
    rows = cast("dict[str, Any]", units)
    going = [name for name in rows if _status_in(rows[name]) in ("dying", "unknown")]
    # The members beyond this application's units are those of another.
    return len(going) < len(rows) or len(workload.members) > len(rows)


# Commands


class LeaveRefusedError(Exception):
    """The cluster does not let this unit go yet; the message says why, and holds no token.

    It is raised in the `remove` hook, which thereby fails, and which Juju tries again.
    """


@dataclasses.dataclass(frozen=True)
class _Result:
    """How a command ended, fit for a log: tokens are cut out of `reason`."""

    ok: bool
    reason: str = ""
    seconds: float = 0.0
    stdout: str = dataclasses.field(default="", repr=False)


def _run(
    argv: Sequence[str],
    limit: float,
    *,
    secrets: Iterable[str] = (),
    into: pathlib.Path | None = None,
) -> _Result:
    """Run a command under a time limit, and report how it ended without raising.

    Args:
        argv: the command line.
        limit: seconds before it is killed.
        secrets: texts to be cut out of what it complained.
        into: a file, made readable by root alone, that takes its output as it is printed, so that
            the output outlives this process.
    """
    started = time.monotonic()
    stdout = subprocess.PIPE  # a negative number
    try:
        if into is not None:
            stdout = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        done = subprocess.run(  # noqa: S603 (no shell, and names are checked)
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # Neither the exception nor its cause is logged: both hold the command line.
        return _Result(False, f"no answer within {limit:g} s", time.monotonic() - started)
    except OSError as error:
        return _Result(False, f"cannot run {argv[0]}: {error.strerror}")
    except ValueError:
        return _Result(False, "an argument holds a null character")
    finally:
        if stdout >= 0:
            os.close(stdout)
    seconds = time.monotonic() - started
    reason = _redact(done.stderr or "", secrets).strip()
    if done.returncode < 0:
        reason = f"killed by signal {-done.returncode}. {reason}".strip()
    elif done.returncode > 0:
        reason = reason or f"exit code {done.returncode}"
    return _Result(done.returncode == 0, reason, seconds, done.stdout or "")


def _goal_state() -> dict[str, Any] | None:
    """Return what `goal-state` says, or None where there is none to be had."""
    result = _run(["goal-state", "--format=json"], _GOAL_STATE_LIMIT)
    try:
        state: Any = json.loads(result.stdout) if result.ok else None
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", state) if isinstance(state, dict) else None


def _status_in(row: Any) -> Any:
    """Return the status in a row of what `goal-state` says."""
    return cast("dict[str, Any]", row).get("status") if isinstance(row, dict) else None


class _TokenStore:
    """The tokens issued on this machine, each in a file of its own that root alone can read.

    A token is on disk before the hook goes on, since the cluster issues no second one while the
    first is valid: a hook that dies between issuing and publishing must not lose it.
    """

    _NEW = "~"  # ends the name of a file that is being written; no host name ends so

    def __init__(self, folder: pathlib.Path):
        self._folder = folder

    def prepare(self, name: str) -> pathlib.Path:
        """Return the file into which a new token for a host name is to be printed.

        Raises:
            OSError: there is no place for it.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._new(name)

    def settle(self, name: str) -> str | None:
        """Keep what was printed for a host name if it can be a token, and return it."""
        token = self._read(self._new(name))
        if not is_usable_token(token):
            self.discard(name)
            return None
        self._new(name).replace(self._folder / name)
        return token

    def discard(self, name: str) -> None:
        """Forget what was printed for a host name."""
        self._new(name).unlink(missing_ok=True)

    def put(self, name: str, token: str) -> None:
        """Keep a token that came from elsewhere.

        Raises:
            OSError: there is no place for it.
        """
        new = self.prepare(name)
        new.touch(mode=0o600)
        new.write_text(token)
        self.settle(name)

    def all(self) -> dict[str, str]:
        """Return the tokens by host name, those included that a dead hook left behind."""
        if not self._folder.is_dir():
            return {}
        for new in self._folder.glob(f"*{self._NEW}"):
            name = new.name[: -len(self._NEW)]
            # Nobody knows how the command ended that printed it.
            if looks_like_token(self._read(new)):
                self.settle(name)
            else:
                self.discard(name)
        tokens = {file.name: self._read(file) for file in self._folder.iterdir()}
        return {name: token for name, token in tokens.items() if is_usable_token(token)}

    def drop(self, name: str) -> None:
        """Forget the token for a host name."""
        (self._folder / name).unlink(missing_ok=True)

    def _new(self, name: str) -> pathlib.Path:
        return self._folder / f"{name}{self._NEW}"

    @staticmethod
    def _read(file: pathlib.Path) -> str:
        try:
            return file.read_text(errors="replace").strip()
        except OSError:
            return ""


def count_turns(bag: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what a unit's databag is to hold, so that it never is again what it was.

    Juju keeps for a unit what it has read of another one's databag, until it tells it of a change;
    and a databag that is again what the unit was told of last is no change to Juju 4. Who has read
    a `hold` in between would believe it for ever. So the databag counts how often it took back
    what comes and goes.

    Args:
        bag: what it holds.
        wanted: what it is to hold besides.
    """
    before = bag.get("turns", "")
    turns = int(before) if _COUNT.fullmatch(before) else 0
    doubted = bag.get("member") == "unknown" != wanted.get("member")
    came = [key for key in ("hold", "gone", "mirror") if key in bag]
    if doubted or any(bag[key] != wanted.get(key) for key in came):
        turns += 1
    return {**wanted, "turns": str(turns)} if turns else dict(wanted)


def _write(
    bag: ops.RelationDataContent, wanted: Mapping[str, str], obsolete: Iterable[str]
) -> None:
    """Make a databag hold what is wanted, in one call at most, and none that changes nothing."""
    changes = {key: value for key, value in wanted.items() if bag.get(key) != value}
    changes.update(dict.fromkeys(sorted(set(obsolete) - set(wanted)), ""))
    if changes:
        bag.update(changes)


def _active_relations(charm: ops.CharmBase, relation_name: str) -> list[ops.Relation]:
    relations = [relation for relation in charm.model.relations[relation_name] if relation.active]
    return sorted(relations, key=lambda relation: relation.id)


# The distributor's side


class TokenDistributorProvides(ops.Object):
    """Mirrors host names and tokens between the units of the related applications.

    Args:
        charm: the distributor's charm.
        relation_name: its endpoint, of the interface `worker-cluster`.
    """

    def __init__(self, charm: ops.CharmBase, relation_name: str):
        super().__init__(charm, relation_name)
        self.charm = charm
        self.relation_name = relation_name
        self._memory = _Memory(charm)
        relation_events = charm.on[relation_name]
        for event in (
            charm.on.leader_elected,
            charm.on.upgrade_charm,
            charm.on.config_changed,
            charm.on.update_status,
            relation_events.relation_broken,
        ):
            self.framework.observe(event, self._on_sweep)
        for event in (
            relation_events.relation_created,
            relation_events.relation_joined,
            relation_events.relation_changed,
        ):
            self.framework.observe(event, self._on_relation_event)
        self.framework.observe(relation_events.relation_departed, self._on_relation_departed)

    # Handlers

    def _on_sweep(self, _: ops.EventBase) -> None:
        if self._leads():
            self._sweep()

    def _on_relation_event(self, event: ops.RelationEvent) -> None:
        if self._leads():
            unit = event.unit
            self._hear(event.relation, self._read(event.relation, unit) if unit else None)

    def _on_relation_departed(self, event: ops.RelationDepartedEvent) -> None:
        if event.departing_unit == self.charm.unit:
            # It is this unit that leaves: the others stay where they are.
            return
        if self._leads() and event.unit:
            departed = self._read(event.relation, event.unit)
            self._hear(event.relation, None, departed=departed)

    # Offers to the charm

    @property
    def status(self) -> ops.StatusBase:
        """What this unit has to say in `collect-status`, read from its own databags."""
        relations = self._relations()
        if not relations:
            return ops.BlockedStatus("integrate with a charm that forms a microcluster")
        if not self.charm.unit.is_leader():
            return ops.ActiveStatus("ready to take over from the leader")
        tally, granted = self._tally(relations)
        applications = len({relation.app.name for relation in relations})
        count = f"{_count(tally.hosts, 'unit')} in {_count(applications, 'application')}"
        offline = ", ".join(tally.hold)
        if offline and (tally.waiting or tally.joined < tally.hosts):
            return ops.WaitingStatus(f"no unit can join until online: {offline}")
        if tally.failed:
            failed = ", ".join(tally.failed)
            return ops.WaitingStatus(f"join failed, another token is due: {failed}")
        if not tally.cluster and tally.hosts:
            return self._bootstrap_status(granted)
        if tally.waiting:
            return ops.WaitingStatus(f"{count}, {tally.waiting} without a token yet")
        if offline:
            return ops.ActiveStatus(f"{count}, not online: {offline}")
        return ops.ActiveStatus(count if tally.hosts else "no unit has given its host name yet")

    def describe(self) -> list[dict[str, str]]:
        """Return a row for each unit: `unit`, `application`, `host-name` and `state`.

        The state is one of `waiting`, `token offered`, `join failed`, `joined` and `left`. No
        token is in it. Only a leader can tell.
        """
        relations = self._relations()
        mirror = self._held(self._shown(relations))
        goal = self._goal(relations)
        rows: list[dict[str, str]] = []
        seen: set[str] = set()
        for relation, unit in self._units(relations):
            name = unit.hostname
            state = self._state(mirror, name)
            if goal is not None and goal.lacks(unit.name):
                state = "left"
            seen.add(name)
            rows.append(
                {
                    "unit": unit.name,
                    "application": relation.app.name,
                    "host-name": name,
                    "state": state,
                }
            )
        rows.extend(
            {"unit": "", "application": "", "host-name": name, "state": "left"}
            for name in sorted(mirror.left - seen)
        )
        return rows

    # Helpers

    def _relations(self) -> list[ops.Relation]:
        return _active_relations(self.charm, self.relation_name)

    def _leads(self) -> bool:
        """Tell whether to mirror. Who leads no longer says so in its own databags."""
        if self.charm.unit.is_leader():
            return True
        for relation in self._relations():
            bag = relation.data[self.charm.unit]
            if bag.get("mirror", "down") != "down":
                bag["mirror"] = "down"
        return False

    def _shown(self, relations: Sequence[ops.Relation]) -> Mirror:
        return Mirror.from_bags(
            [relation.data[self.charm.unit] for relation in relations],
            [relation.data[self.charm.app] for relation in relations],
        )

    def _held(self, shown: Mirror) -> Mirror:
        """Return what is shown, and what has been heard since."""
        return recall(shown, self._memory.states())

    def _tally(self, relations: Sequence[ops.Relation]) -> tuple[Tally, str]:
        """Return how many host names there are, and the unit that may bootstrap."""
        app_bags = [relation.data[self.charm.app] for relation in relations]
        granted = Mirror.from_bags([], app_bags).bootstrap_unit
        tally = self._memory.tally()
        if tally is None:
            shown = self._shown(relations)
            tally = Tally.of(shown, self._held(shown))
        return tally, granted

    def _takes_over(self, relations: Sequence[ops.Relation], held: Mirror) -> bool:
        """Tell whether this unit did not lead until now, so that its own databags are old."""
        if held.leader:
            return held.leader != self.charm.unit.name
        bags = [relation.data[self.charm.unit] for relation in relations]
        return all(bag.get("mirror") != "up" for bag in bags)

    def _read(self, relation: ops.Relation, unit: ops.Unit) -> ConsumerUnit:
        bag = relation.data[unit]
        said = ConsumerUnit.from_bag(unit.name, bag)
        if said.spoke and not said.hostname:
            logger.warning("%s gives a host name that cannot be used", unit.name)
        return said

    def _units(self, relations: Sequence[ops.Relation]) -> list[tuple[ops.Relation, ConsumerUnit]]:
        return [
            (relation, self._read(relation, unit))
            for relation in relations
            for unit in sorted(relation.units, key=lambda unit: unit.name)
        ]

    def _hear(
        self,
        relation: ops.Relation,
        unit: ConsumerUnit | None,
        departed: ConsumerUnit | None = None,
    ) -> None:
        """Mirror what one unit says, or read them all where that is not enough."""
        relations = self._relations()
        if unit is not None and self._puts_off(relations, relation, unit):
            return
        shown = self._shown(relations)
        held = self._held(shown)
        if (
            self._takes_over(relations, shown)
            or not self._memory.has_asked_of(relation)
            or (unit is not None and is_conflict(held, unit))
            or (departed is not None and self._is_missed(relations, held, departed))
        ):
            self._sweep(departed, patient=True)
            return
        heard = reflect(held, [unit] if unit else [], [departed] if departed else [])
        tally = Tally.of(shown, heard)
        expected = self._expected(relations, tally, heard.bootstrap_unit)
        if self._may_be_granted(tally, heard.bootstrap_unit, expected):
            self._sweep(departed, patient=True)
            return
        forgotten = held.hosts - heard.hosts
        self._show(relations, shown, heard, forgotten, at_once=is_due(shown, heard, expected))

    def _puts_off(
        self, relations: Sequence[ops.Relation], relation: ops.Relation, unit: ConsumerUnit
    ) -> bool:
        """Note what one unit says where nothing is to be shown for it yet; tell whether it was so.

        It reads a few keys. The databags, that of the distributor's unit among them, grow with the
        units: were they read whole whenever one of these speaks, it would cost n^2 bytes.
        """
        app_bags = [relation.data[self.charm.app] for relation in relations]
        tally = self._memory.tally()
        if (
            tally is None
            or any(bag.get("leader") != self.charm.unit.name for bag in app_bags)
            or not self._memory.has_asked_of(relation)
        ):
            return False
        if not unit.spoke and not unit.mirror:
            # It has entered the relation, and says nothing.
            return True
        shown = Mirror.from_bags([], app_bags)
        if not unit.hostname or unit.hostname in shown.left:
            return False
        before = self._memory.state(unit.hostname)
        after = state_after(before, unit)
        if after is None:
            return False
        tally = tally.moved(before, after)
        granted = shown.bootstrap_unit
        expected = self._expected(relations, tally, granted)
        if self._may_be_granted(tally, granted, expected):
            return False
        if tally.is_due(expected, granted=bool(granted)):
            return False
        self._memory.note({unit.hostname: after}, tally)
        return True

    @staticmethod
    def _may_be_granted(tally: Tally, granted: str, expected: int | None) -> bool:
        """Tell whether all may have spoken, so that one of them may bootstrap."""
        return not granted and not tally.cluster and (expected is None or expected <= tally.hosts)

    def _is_missed(
        self, relations: Sequence[ops.Relation], held: Mirror, departed: ConsumerUnit
    ) -> bool:
        """Tell whether a unit's departure can be settled only by reading all the others."""
        if departed.up or departed.name == held.bootstrap_unit:
            return True
        if held.values.get(departed.hostname) != JOINED:
            return False
        if not departed.is_member:
            return True
        # Juju may tell of it long after the unit left, when another one has its name.
        goal = self._goal(relations)
        return goal is None or goal.lacks(departed.name)

    def _sweep(self, departed: ConsumerUnit | None = None, *, patient: bool = False) -> None:
        """Mirror what all the units say.

        Args:
            departed: the unit whose departure it is about.
            patient: whether to show it only where that is due.
        """
        relations = self._relations()
        if not relations:
            return
        held = self._shown(relations)
        goal = self._goal(relations)
        heard: list[ConsumerUnit] = []
        gone = [departed] if departed else []
        apps: list[ConsumerApp] = []
        for relation in relations:
            units: list[ConsumerUnit] = []
            for _, unit in self._units([relation]):
                if departed is not None and unit.name == departed.name:
                    continue
                # On a real Juju a unit removed by force stays in relation-list with its data.
                if goal is not None and goal.lacks(unit.name):
                    gone.append(unit)
                else:
                    units.append(unit)
            heard.extend(units)
            candidate = relation.data[relation.app].get("bootstrap-candidate", "")
            apps.append(ConsumerApp(relation.app.name, candidate, tuple(units)))
        remembered = self._memory.states()
        if goal is not None:
            self._memory.note_goal(goal, relations)
        spoke = {unit.name for unit in heard if unit.spoke}
        takes_over = self._takes_over(relations, held)
        # A unit that is dying may have departed, and yet be kept from leaving its cluster.
        complete = goal is not None and not goal.strangers and goal.up | goal.lost <= spoke
        mirror = reflect(
            held,
            heard,
            gone,
            reading=Reading.ALL_THERE_ARE if complete else Reading.ALL_SEEN,
            takes_over=takes_over,
            remembered=remembered,
        )
        granted = grant(mirror, apps, goal.expects(apps, remembered) if goal else None)
        if granted.awaited:
            logger.info("the bootstrap waits for the word of %s", _text(granted.awaited))
        if granted.unit and granted.unit != held.bootstrap_unit:
            logger.info("%s may bootstrap the cluster", granted.unit)
        mirror = dataclasses.replace(
            mirror, bootstrap_app=granted.app, bootstrap_unit=granted.unit
        )
        expected = len(goal.up) if goal else None
        at_once = not patient or takes_over or is_due(held, mirror, expected)
        # Whom this unit has not heard of yet is not forgotten.
        forgotten = remembered.keys() - mirror.hosts if complete else set[str]()
        self._show(relations, held, mirror, forgotten, at_once=at_once)

    def _show(
        self,
        relations: Sequence[ops.Relation],
        shown: Mirror,
        heard: Mirror,
        forgotten: Collection[str],
        *,
        at_once: bool,
    ) -> None:
        """Show what has been heard, or remember it for later.

        Args:
            relations: the distributor's.
            shown: what it shows so far.
            heard: what it is to show.
            forgotten: host names that are nobody's any more.
            at_once: whether to show it now; where nothing can be remembered, it is now or never.
        """
        bags = [relation.data[self.charm.unit] for relation in relations]
        # An application that has just been related sees nothing yet.
        unseen = any(bag.get("mirror") != "up" for bag in bags)
        at_once = at_once or unseen or not self._memory.exists
        after = heard if at_once else shown
        before = self._memory.states()
        states = {**before, **unsettle(before), **to_remember(after, heard)}
        states.update(dict.fromkeys(forgotten & before.keys(), ""))
        self._memory.note(states, Tally.of(after, recall(after, states)))
        if not at_once:
            return
        mirror = dataclasses.replace(heard, leader=self.charm.unit.name)
        for relation in relations:
            unit_bag = relation.data[self.charm.unit]
            wanted = count_turns(unit_bag, mirror.unit_bag())
            _write(unit_bag, wanted, filter(_managed_by_distributor, list(unit_bag)))
            app_bag = relation.data[self.charm.app]
            _write(
                app_bag,
                mirror.app_bag(),
                {"bootstrap-unit", "bootstrap-app", "left"} & set(app_bag),
            )

    def _expected(
        self, relations: Sequence[ops.Relation], tally: Tally, granted: str
    ) -> int | None:
        """Return how many units there are to be, where that matters; None for no telling.

        Asking takes the longer, the more there are. While many are yet to come it is not asked
        again how many.
        """
        if not tally.unshown and (granted or tally.cluster):
            return None
        known = self._memory.expected()
        if known is not None and known > tally.hosts + _HANDFUL:
            return known
        goal = self._goal(relations)
        if goal is None:
            return None
        self._memory.note_goal(goal, relations)
        return len(goal.up)

    @functools.cached_property
    def _goal_state(self) -> dict[str, Any] | None:
        """What `goal-state` says; it is asked once in a hook, however often that is needed."""
        return _goal_state()

    def _goal(self, relations: Sequence[ops.Relation]) -> _Goal | None:
        """Return which consumers' units the model is to have; None where there is no telling."""
        state = self._goal_state
        if state is None:
            return None
        apps = {
            relation.app.name: bool(relation.units) and not self._memory.has_named(relation.app)
            for relation in relations
        }
        return _Goal.parse(state, self.relation_name, apps)

    @staticmethod
    def _state(mirror: Mirror, name: str) -> str:
        value = mirror.values.get(name, EMPTY_STRING)
        if value == EMPTY_STRING:
            return "waiting"
        if mirror.is_spoilt(name):
            return "waiting" if value == JOINED else "join failed"
        return "joined" if value == JOINED else "token offered"

    @staticmethod
    def _bootstrap_status(granted: str) -> ops.StatusBase:
        if granted:
            return ops.WaitingStatus(f"waiting for {granted} to bootstrap")
        return ops.WaitingStatus("waiting to hear from all units before one may bootstrap")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclasses.dataclass(frozen=True)
class _Goal:
    """Which consumers' units the model has or is going to have.

    Attributes:
        named: all of them.
        up: those without the units that are dying, or whose machine is lost.
        lost: those whose machine is lost.
        strangers: related applications whose units `goal-state` does not name though they are
            there: those of other models, and subordinate ones.
    """

    named: frozenset[str]
    up: frozenset[str]
    lost: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()

    @classmethod
    def parse(
        cls, state: Mapping[str, Any], relation_name: str, apps: Mapping[str, bool]
    ) -> _Goal | None:
        """Read what `goal-state` printed.

        Args:
            state: that.
            relation_name: the distributor's endpoint.
            apps: the related applications, and whether they have units that can be seen and that
                `goal-state` may not name, as it never has.

        Returns:
            None where it has another shape, or lacks an application of this model.
        """
        foreign = {app for app in apps if _FOREIGN.fullmatch(app)}
        relations = state.get("relations")
        if not isinstance(relations, dict):
            return None
        none: dict[str, Any] = {}
        goals = cast("dict[str, Any]", relations).get(relation_name, none if foreign else None)
        if not isinstance(goals, dict):
            return None
        rows = cast("dict[str, Any]", goals)
        if not set(apps) - foreign <= set(rows):
            return None
        named = {name for name in rows if "/" in name and name.split("/")[0] in apps}
        lost = {name for name in named if _status_in(rows[name]) == "unknown"}
        up = {name for name in named - lost if _status_in(rows[name]) != "dying"}
        present = {name.split("/")[0] for name in named}
        strangers = {app for app, seen in apps.items() if seen and app not in present} | foreign
        return cls(*map(frozenset[str], (named, up, lost, strangers)))

    def lacks(self, unit: str) -> bool:
        """Tell whether a unit has left the model."""
        return unit not in self.named and unit.split("/")[0] not in self.strangers

    def expects(
        self, apps: Collection[ConsumerApp], remembered: Collection[str]
    ) -> frozenset[str] | None:
        """Return the units to be heard before the bootstrap is granted; None for no telling.

        Args:
            apps: the related applications.
            remembered: host names that an earlier leader has shown. While one of them is nobody's
                who was heard, it may be that of a lost machine, with a cluster on its disk.
        """
        strangers = [app for app in apps if app.name in self.strangers]
        if not all(app.units for app in strangers):
            return None
        heard = {unit.hostname for app in apps for unit in app.units}
        lost = self.lost if set(remembered) - heard else frozenset[str]()
        return self.up.union(lost, *({unit.name for unit in app.units} for app in strangers))


class _Memory:
    """What the distributor's units keep for each other, in their peer relation.

    The departure of a unit is told once. A leader that dies may take the news with it; one that is
    not elected yet may have been told, and yet not lead. And what is put off has to be kept until
    it is shown. So it is kept among the distributor's own units, which are few: it costs the
    consumers nothing. Without a peer relation nothing is kept, and nothing put off.

    Single keys are read and written by the hook tools themselves, since ops knows whole databags
    alone, and this one grows with the consumers' units. Where that does not work, ops is asked.

    Args:
        charm: the distributor's charm.
    """

    def __init__(self, charm: ops.CharmBase):
        self._charm = charm
        self._read: dict[str, str] = {}
        # Whether ops has a copy, which it would not know to be old.
        self._whole = False

    @property
    def exists(self) -> bool:
        """Whether there is a peer relation."""
        return self._relation() is not None

    def states(self) -> dict[str, str]:
        """Return a state for each host name, see `HOST_PREFIX`."""
        states = {
            key[len(HOST_PREFIX) :]: state
            for key, state in self._bag().items()
            if key.startswith(HOST_PREFIX)
        }
        return {name: state for name, state in states.items() if is_hostname(name)}

    def state(self, hostname: str) -> str | None:
        """Return the state of one host name; None where none is kept."""
        return self._get(f"{HOST_PREFIX}{hostname}") or None

    def tally(self) -> Tally | None:
        """Return how many host names there are; None where it is not kept."""
        return Tally.from_text(self._get(TALLY))

    def expected(self) -> int | None:
        """Return how many units `goal-state` named last; None for no telling."""
        text = self._get("expected")
        return int(text) if text.isdecimal() else None

    def has_asked_of(self, relation: ops.Relation) -> bool:
        """Tell whether `goal-state` was asked since an application has units, as far as known."""
        key = f"{NAMED_PREFIX}{relation.app.name}"
        return not self.exists or not relation.units or self._get(key) != ""

    def has_named(self, app: ops.Application) -> bool:
        """Tell whether `goal-state` has ever named a unit of an application."""
        return self._get(f"{NAMED_PREFIX}{app.name}") == "true"

    def note(self, states: Mapping[str, str], tally: Tally) -> None:
        """Keep states of host names, nothing for an empty one, and how many there are."""
        keys = {f"{HOST_PREFIX}{name}": state for name, state in sorted(states.items())}
        self._put({**keys, TALLY: tally.to_text()})

    def note_goal(self, goal: _Goal, relations: Sequence[ops.Relation]) -> None:
        """Keep how many units there are to be, and whose units `goal-state` names.

        Once it does not name them any more, they have left.
        """
        named = {name.split("/")[0] for name in goal.named}
        wanted = {f"{NAMED_PREFIX}{app}": "true" for app in sorted(named)}
        for relation in relations:
            key = f"{NAMED_PREFIX}{relation.app.name}"
            if relation.units and key not in wanted and not self._get(key):
                wanted[key] = "false"
        self._put({**wanted, "expected": str(len(goal.up))})

    def _relation(self) -> ops.Relation | None:
        for endpoint in self._charm.meta.peers:
            for relation in self._charm.model.relations[endpoint]:
                return relation
        return None

    def _bag(self) -> Mapping[str, str]:
        relation = self._relation()
        if relation is None:
            return {}
        self._whole = True
        return relation.data[self._charm.app]

    def _get(self, key: str) -> str:
        """Return the value of a key; empty for none."""
        relation = self._relation()
        if relation is None:
            return ""
        if self._whole:
            return self._bag().get(key, "")
        if key not in self._read:
            argv = ["relation-get", "--format=json", "-r", f"{relation.name}:{relation.id}"]
            result = _run([*argv, "--app", key, self._charm.app.name], _HOOK_TOOL_LIMIT)
            try:
                value: Any = json.loads(result.stdout or "null") if result.ok else False
            except ValueError:
                value = False
            if value is not None and not isinstance(value, str):
                return self._bag().get(key, "")
            self._read[key] = value or ""
        return self._read[key]

    def _put(self, wanted: Mapping[str, str]) -> None:
        relation = self._relation()
        if relation is None:
            return
        changes = {key: value for key, value in wanted.items() if self._get(key) != value}
        if not changes:
            return
        if not self._whole:
            argv = ["relation-set", "-r", f"{relation.name}:{relation.id}", "--app"]
            words = [f"{key}={value}" for key, value in changes.items()]
            if _run([*argv, *words], _HOOK_TOOL_LIMIT).ok:
                self._read.update(changes)
                return
        relation.data[self._charm.app].update(changes)
        self._whole = True


# The consumer's side


class ClusterBootstrappedEvent(ops.EventBase):
    """This unit has bootstrapped the cluster."""


class TokenGeneratedEvent(ops.EventBase):
    """This unit has issued a token for a newcomer."""


class ClusterJoinedEvent(ops.EventBase):
    """This unit has become a member.

    Attributes:
        bootstrapper: whether it bootstrapped the cluster itself. Where the hook in which it became
            a member died before it could say so, this is a guess: yes, if it was granted the
            bootstrap, or is the cluster's only member.
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


class TokenConsumerEvents(ops.ObjectEvents):
    """What a `TokenConsumer` tells its charm of."""

    bootstrapped = ops.EventSource(ClusterBootstrappedEvent)
    token_generated = ops.EventSource(TokenGeneratedEvent)
    joined = ops.EventSource(ClusterJoinedEvent)
    prebootstrap = ops.EventSource(ClusterPreBootstrapEvent)
    prejoin = ops.EventSource(ClusterPreJoinEvent)


def _no_args() -> list[str]:
    return []


class TokenConsumer(ops.Object):
    """Makes the units of a charm one cluster, with the help of a token distributor.

    Args:
        charm: the charm of the microcluster.
        relation_name: its endpoint, of the interface `worker-cluster`.
        command_name: the words before `bootstrap`, `add`, `join`, `list` and `remove`, such as
            `["microovn", "cluster"]`.

    Attributes:
        on: its events, see `TokenConsumerEvents`.
        bootstrap_args_func: takes nothing, and returns further arguments for `bootstrap`, as a
            list of texts; it is called after `prebootstrap`, each time.
        join_args_func: likewise for `join`, after the token, and after `prejoin`.
    """

    on = TokenConsumerEvents()  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    _stored = ops.StoredState()

    not_a_member = re.compile(
        r"not (yet )?(been )?(initiali[sz]ed|bootstrapped)|(isn't|not) (yet )?part of a cluster",
        re.IGNORECASE,
    )
    """What is searched for in the standard error of the workload's `list`, tokens cut out: where
    it is found, this node is certainly not a member."""

    def __init__(self, charm: ops.CharmBase, relation_name: str, command_name: list[str]):
        super().__init__(charm, relation_name)
        self.charm = charm
        self.relation_name = relation_name
        self.command_name = command_name
        self.bootstrap_args_func: Callable[[], list[str]] = _no_args
        self.join_args_func: Callable[[], list[str]] = _no_args
        self._tokens = _TokenStore(charm.charm_dir / f".{relation_name}-tokens")
        self._situation: Situation | None = None
        # A copy of what the workload said last, for charms that read it. Where the two differ,
        # this unit has joined, or dropped out, and nobody has been told yet.
        self._stored.set_default(in_cluster=False)

        relation_events = charm.on[relation_name]
        for event in (
            relation_events.relation_created,
            relation_events.relation_joined,
            relation_events.relation_changed,
            relation_events.relation_departed,
            relation_events.relation_broken,
            charm.on.leader_elected,
            charm.on.config_changed,
            charm.on.start,
            charm.on.upgrade_charm,
            charm.on.update_status,
        ):
            self.framework.observe(event, self._on_any_event)
        self.framework.observe(charm.on.remove, self._on_remove)

    # Handlers

    def _on_any_event(self, event: ops.EventBase) -> None:
        if (
            isinstance(event, ops.RelationDepartedEvent)
            and event.departing_unit == self.charm.unit
        ):
            # This unit is being removed: it must not begin anything.
            return
        if not (isinstance(event, ops.RelationEvent) and self._presume()):
            self._reconcile()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        """Leave the cluster, while there is still a daemon that can.

        Raises:
            LeaveRefusedError: the cluster refuses, for now. Juju tries the hook again; a unit that
                went all the same would take its vote with it, and maybe the others' quorum.
        """
        hostname = get_hostname()
        workload = self._ask(hostname)
        # Where there is no telling, a member that was tries: it is gone after this hook anyway,
        # and a vote that goes with it is missed by the others.
        silent = workload.membership is Membership.UNKNOWN and not workload.members
        if workload.membership is not Membership.MEMBER and not (silent and self._in_cluster):
            return
        result = self._command("remove", hostname, limit=_REMOVE_LIMIT)
        if result.ok:
            self._in_cluster = False
            logger.info("%s has left the cluster", hostname)
            return
        logger.error("%s cannot leave the cluster: %s", hostname, result.reason)
        again = self._ask(hostname)
        # A cluster that answered just now is likely to answer the next try.
        if again.membership is not Membership.UNKNOWN or silent:
            workload = again
        if workload.membership is not Membership.MEMBER:
            return
        down = ", ".join(member.name for member in workload.members if not member.online)
        # With all members online there is nothing to wait for but another try.
        if not down or somebody_stays(workload, _goal_state()):
            reason = f"not online: {down}" if down else _summary(result.reason)
            raise LeaveRefusedError(f"{hostname} cannot leave the cluster yet: {reason}")

    # Offers to the charm

    @property
    def is_member(self) -> bool:
        """Whether this unit is a member, as the workload said last, in this hook or before."""
        return self._in_cluster

    @property
    def status(self) -> ops.StatusBase:
        """What this unit has to say about the cluster in `collect-status`.

        Where the library has not looked in this hook, as in `install` or an action, this runs
        `list`, which may take up to 30 s.
        """
        relations = _active_relations(self.charm, self.relation_name)
        situation = self._situation or self._look(relations)
        workload = situation.workload
        if not is_hostname(situation.hostname):
            return ops.BlockedStatus("this machine's host name cannot be a member's name")
        if not relations:
            if situation.is_member:
                return ops.ActiveStatus()
            return ops.BlockedStatus("integrate with microcluster-token-distributor")
        if len(relations) > 1:
            return ops.BlockedStatus("integrate with one token distributor, not with several")
        if workload.membership is Membership.UNKNOWN:
            return ops.WaitingStatus(f"cannot tell about the cluster: {workload.reason}")
        if situation.is_member:
            wanted = [
                name
                for name in (situation.shown.values if situation.shown else ())
                if situation.shown and situation.shown.wants_token(name)
            ]
            if situation.is_communicator and situation.offline and wanted:
                names = ", ".join(situation.offline)
                return ops.ActiveStatus(f"no unit can join until online: {names}")
            return ops.ActiveStatus()
        return ops.WaitingStatus(self._what_it_waits_for(situation))

    def add_to_mirror(self, relation: ops.Relation, data: dict[str, str]) -> None:
        """Have values mirrored to the units of all related applications.

        Args:
            relation: the relation with the token distributor.
            data: the values by key, without prefix. A key has at most 256 printable ASCII
                characters, without spaces and `=`, and is nobody's host name. A value has at most
                65,536 characters, and is neither `empty` nor `joined`; an empty one takes the key
                out of this unit's databag, not out of the mirror. What is beyond that is not
                mirrored.
        """
        bag = relation.data[self.charm.unit]
        _write(bag, {mirror_id(key): value for key, value in data.items()}, ())
        if self._in_cluster and bag.get("mirror") != "up":
            bag["mirror"] = "up"

    def find_mirrors(self, relation: ops.Relation) -> list[ops.Unit]:
        """Return the distributor's units that mirror."""
        return sorted(
            (unit for unit in relation.units if relation.data[unit].get("mirror") == "up"),
            key=lambda unit: unit.name,
        )

    def get_relevant_mirror_data(
        self, relation: ops.Relation, keep_empty: bool = True
    ) -> dict[str, str]:
        """Return what is mirrored, by key without prefix; others' join tokens are among it.

        Args:
            relation: the relation with the token distributor.
            keep_empty: whether host names without a token are among them.
        """
        shown = self._shown(relation)
        values: Mapping[str, str] = shown.values if shown else {}
        return {key: value for key, value in values.items() if keep_empty or value != EMPTY_STRING}

    def find_value(self, relation: ops.Relation, key: str, keep_empty: bool = True) -> bool | str:
        """Return the value mirrored under a key without prefix, or False for none.

        Args:
            relation: the relation with the token distributor.
            key: the key, without prefix.
            keep_empty: whether `empty`, of a host name without a token, counts as a value.
        """
        return self.get_relevant_mirror_data(relation, keep_empty).get(key) or False

    def any_data_exists(self, relation: ops.Relation) -> bool:
        """Tell whether anything but `empty` is mirrored."""
        return bool(self.get_relevant_mirror_data(relation, keep_empty=False))

    # Helpers

    @property
    def _in_cluster(self) -> bool:
        return bool(cast("Any", self._stored).in_cluster)

    @_in_cluster.setter
    def _in_cluster(self, value: bool) -> None:
        cast("Any", self._stored).in_cluster = value

    def _command(
        self,
        *args: str,
        limit: float = _ASK_LIMIT,
        secrets: Iterable[str] = (),
        into: pathlib.Path | None = None,
    ) -> _Result:
        return _run([*self.command_name, *args], limit, secrets=secrets, into=into)

    def _ask(self, hostname: str) -> Workload:
        result = self._command("list", "-f", "json")
        if result.ok:
            return parse_members(result.stdout, hostname)
        if self.not_a_member.search(result.reason):
            return Workload(Membership.NOT_A_MEMBER)
        logger.warning("cannot list the members of the cluster: %s", result.reason)
        return Workload(Membership.UNKNOWN, reason=_summary(result.reason))

    def _shown(self, relation: ops.Relation) -> Mirror | None:
        """Return what the distributor shows, or None while none of its units does."""
        app_bag = relation.data[relation.app]
        named = app_bag.get("leader", "")
        mirrors = self.find_mirrors(relation)
        # Juju can tell who leads before it tells what that unit shows, and another one that still
        # says `mirror: up` may have died long ago.
        units = [unit for unit in mirrors if unit.name == named] if named else mirrors
        if not units:
            return None
        return Mirror.from_bags([relation.data[unit] for unit in units], [app_bag])

    def _look(self, relations: Sequence[ops.Relation]) -> Situation:
        relation = relations[0] if relations else None
        hostname = get_hostname()
        bag = dict(relation.data[self.charm.unit]) if relation else {}
        workload = self._ask(hostname)
        if self._in_cluster:
            workload = doubt(workload, bag.get("member", ""))
        return self._situation_of(
            hostname, workload, self._shown(relation) if relation else None, bag
        )

    def _situation_of(
        self,
        hostname: str,
        workload: Workload,
        shown: Mirror | None,
        bag: Mapping[str, str],
    ) -> Situation:
        return Situation(
            unit=self.charm.unit.name,
            app=self.charm.app.name,
            leads=self.charm.unit.is_leader(),
            hostname=hostname,
            workload=workload,
            shown=shown,
            bag=bag,
            kept=self._tokens.all(),
        )

    def _presume(self) -> bool:
        """Tell whether there is nothing to do, however the workload would answer."""
        relations = _active_relations(self.charm, self.relation_name)
        hostname = get_hostname()
        if len(relations) != 1:
            return False
        bag = dict(relations[0].data[self.charm.unit])
        shown = self._shown(relations[0])
        workload = presume(bag, shown, self.charm.unit.name)
        if (
            workload is None
            or self._in_cluster != (workload.membership is Membership.MEMBER)
            or bag.get("hostname") != hostname
            or self._tokens.all()
        ):
            return False
        self._situation = self._situation_of(hostname, workload, shown, bag)
        return True

    def _reconcile(self) -> None:
        relations = _active_relations(self.charm, self.relation_name)
        if len(relations) > 1:
            logger.warning("several token distributors are related: only the first is used")
        situation = self._look(relations)
        self._announce(situation)
        while (step := next_step(situation)) is not None:
            situation = self._take(step, situation)
            situation = dataclasses.replace(situation, tried=(*situation.tried, step))
        self._situation = situation
        if relations:
            self._publish(relations[0], situation)

    def _announce(self, situation: Situation) -> None:
        """Tell the charm of a join, or of its loss, that no hook has told it of."""
        membership = situation.workload.membership
        if membership is Membership.NOT_A_MEMBER:
            self._in_cluster = False
        elif membership is Membership.MEMBER and not self._in_cluster:
            granted = situation.shown is not None and (
                situation.shown.bootstrap_unit == situation.unit
            )
            self._tell_joined(bootstrapper=granted or len(situation.workload.members) == 1)

    def _tell_joined(self, *, bootstrapper: bool) -> None:
        self._in_cluster = True
        if bootstrapper:
            self.on.bootstrapped.emit()
        self.on.joined.emit(bootstrapper=bootstrapper)

    def _take(self, step: Step, situation: Situation) -> Situation:
        """Take one step, and return the situation after it."""
        if isinstance(step, Join):
            return self._join(step.token, situation)
        if isinstance(step, Bootstrap):
            return self._bootstrap(situation)
        if isinstance(step, Remove):
            self._remove(step.name)
            return situation
        if isinstance(step, ListAgain):
            situation = dataclasses.replace(situation, workload=self._ask(situation.hostname))
            if situation.is_member:
                self._announce(situation)
            return situation
        return self._issue(step.name, situation)

    def _join(self, token: str, situation: Situation) -> Situation:
        self.on.prejoin.emit()
        result = self._command(
            "join", token, *self.join_args_func(), limit=_FORM_LIMIT, secrets=[token]
        )
        if not result.ok:
            logger.error("%s cannot join the cluster: %s", situation.hostname, result.reason)
            return dataclasses.replace(situation, spoilt=situation.spoilt | {digest(token)})
        logger.info("%s has joined the cluster", situation.hostname)
        self._tell_joined(bootstrapper=False)
        return self._as_member(situation)

    def _bootstrap(self, situation: Situation) -> Situation:
        self.on.prebootstrap.emit()
        result = self._command("bootstrap", *self.bootstrap_args_func(), limit=_FORM_LIMIT)
        if not result.ok:
            logger.error("%s cannot bootstrap: %s", situation.hostname, result.reason)
            return situation
        logger.info("%s has bootstrapped the cluster", situation.hostname)
        self._tell_joined(bootstrapper=True)
        return self._as_member(situation, Member(situation.hostname, "PENDING", "ONLINE"))

    @staticmethod
    def _as_member(situation: Situation, *members: Member) -> Situation:
        """Return the situation of a unit that has just become a member."""
        workload = Workload(Membership.MEMBER, members)
        return dataclasses.replace(situation, workload=workload)

    def _remove(self, name: str) -> None:
        result = self._command("remove", name, "--force", limit=_REMOVE_LIMIT)
        if result.ok:
            logger.info("removed %s, which is not online, from the cluster", name)
        else:
            logger.warning("removing %s from the cluster: %s", name, result.reason)

    def _issue(self, name: str, situation: Situation) -> Situation:
        try:
            result = self._command("add", name, into=self._tokens.prepare(name))
        except OSError as error:
            logger.error("no place to keep a token for %s: %s", name, error.strerror)
            return situation
        # What a command printed that failed all the same is looked at by the next hook.
        token = self._tokens.settle(name) if result.ok else None
        if token is not None:
            logger.info("issued a token for %s", name)
            self.on.token_generated.emit()
            return dataclasses.replace(situation, kept={**situation.kept, name: token})
        reason = result.reason or "it printed no token"
        logger.warning("no token for %s: %s", name, reason)
        if result.seconds > _SLOW_FAILURE:
            # The cluster has stopped answering: nobody else fares better in this hook.
            return dataclasses.replace(situation, stalled=True)
        return situation

    def _publish(self, relation: ops.Relation, situation: Situation) -> None:
        bag = relation.data[self.charm.unit]
        # The charm may have written to it meanwhile, when it was told that the unit has joined.
        situation = dataclasses.replace(situation, bag=dict(bag))
        wanted = consumer_bag(situation)
        for name, token in _published_tokens(situation).items():
            if mirror_id(name) not in wanted and name not in situation.kept and is_hostname(name):
                # Taken out of sight, but still the only one that the cluster will issue for hours.
                try:
                    self._tokens.put(name, token)
                except OSError:
                    wanted[mirror_id(name)] = token
        for name in situation.kept:
            member = situation.workload.find(name)
            if member is not None and member.online:
                self._tokens.drop(name)
        wanted = count_turns(bag, wanted)
        _write(bag, wanted, filter(_managed_by_consumer, list(bag)))
        candidate = bootstrap_candidate(situation)
        if candidate is not None:
            _write(relation.data[self.charm.app], {"bootstrap-candidate": candidate}, ())

    @staticmethod
    def _what_it_waits_for(situation: Situation) -> str:
        shown = situation.shown
        if shown is None:
            return "waiting for the token distributor"
        if shown.hold:
            return f"waits to join until online: {', '.join(sorted(shown.hold))}"
        if any(isinstance(step, Bootstrap) for step in situation.tried):
            return "bootstrap failed and will be tried again, see the log"
        if any(isinstance(step, Join) for step in situation.tried):
            return "join failed and will be tried again, see the log"
        if not shown.shows_cluster:
            if shown.bootstrap_unit == situation.unit:
                return "waiting for the token distributor to show its host name"
            if shown.bootstrap_unit:
                return f"waiting for {shown.bootstrap_unit} to bootstrap"
            return "waiting for a unit to be allowed to bootstrap"
        return "waiting for a token"
