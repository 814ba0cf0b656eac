"""The wire: what each databag holds, read and written here alone.

Theory of operation. A consumer's unit writes a *report*. The distributor's leader reads them and
*publishes*: what it decides in its application's databag, which Juju guards by the lease and which
stays small; what it carries, join tokens above all, in its unit's databag, which a settled member
need not read. A unit that has given a host name and no `member` is *old*: it speaks only the keys
of patches 1 to 8, `hostname`, `mirror`, `mirror-*` and `bootstrap-app`.

    databag               key             value
    --------------------  --------------  ----------------------------------------------------
    consumer's unit       hostname        its host name
                          member          `true`, `false`, `unknown`; absent: old keys only
                          cluster         of a member: the first name in its list of members
                          failed          digest of the token with which its join failed
                          hold            members that are not online, while a join would do harm
                          gone            of the names in `left`, those that are no members
                          mirror          `up`: mirror my `mirror-*` keys; `down`: do not
                          mirror-KEY      a value to be mirrored; a token has a host name as KEY
    distributor's unit    mirror          `up` for the unit that mirrors
                          mirror-KEY      the mirrored value; for old units `empty` and `joined`
    distributor's app     leader          the number of the unit that mirrors
                          bootstrap-app   the one application that may bootstrap, for old units
                          bootstrap-host  the host name of the one unit that may bootstrap
                          waiting         host names without membership: `HOST` or `HOST=DIGEST`
                          formed          `true` once a cluster is known to exist
                          hold            as reported: while there is one, nobody joins
                          left            host names whose units have left the model
    any of these          generation      how often the databag took back what it said

Names are separated by spaces. What is unknown or cannot be used is left out when a databag is
read: it may come from any version, and from anybody's hands.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MIRROR_PREFIX = "mirror-"
EMPTY_STRING = "empty"
JOINED = "joined"

_GENERATION = "generation"
_CONSUMER_KEYS = frozenset(
    {"hostname", "member", "mirror", "cluster", "failed", "hold", "gone", _GENERATION}
)
_MAX_VALUE = 64 * 1024
_MAX_KEY = 256
# Linux has no host name of more than 64 characters.
_MAX_HOSTNAME = 64
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_KEY = re.compile(r"[!-<>-~]+", re.ASCII)
_TOKEN = re.compile(r"[!-,.-~][!-~]*", re.ASCII)
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
    """Tell whether microcluster accepts a text as the name of a member.

    Labels of letters, digits and hyphens, of which the last is no number; 64 characters at most.
    """
    labels = text.split(".")
    fits = len(text) <= _MAX_HOSTNAME and not labels[-1].isdigit()
    return fits and all(_LABEL.fullmatch(label) for label in labels)


def is_usable_token(text: str) -> bool:
    """Tell whether a text can be handed to `join` as an argument at all."""
    return len(text) <= _MAX_VALUE and _TOKEN.fullmatch(text) is not None


def looks_like_token(text: str) -> bool:
    """Tell whether a mirrored value is a join token: base64 of a JSON object with a secret."""
    try:
        content = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "secret" in content and is_usable_token(text)


def is_consumer_key(key: str) -> bool:
    """Tell whether a key of a consumer's unit is written by this library, and by nobody else."""
    return key in _CONSUMER_KEYS or key.startswith(MIRROR_PREFIX)


def changes(bag: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what to write into a databag so that it holds what is wanted, and nothing else.

    Juju 4 takes a databag that is again what it was for unchanged, and a unit that had read it in
    between would go on believing that. So each write that takes something back counts
    `generation` up. An empty value deletes its key.
    """
    before = {key: value for key, value in bag.items() if key != _GENERATION}
    updates = {k: v for k, v in wanted.items() if before.get(k) != v and k != _GENERATION}
    updates.update({key: "" for key in before if key not in wanted})
    if any(key in before for key in updates):
        generation = bag.get(_GENERATION, "")
        number = int(generation) if _NUMBER.fullmatch(generation) else 0
        updates[_GENERATION] = str(number + 1)
    return updates


@dataclasses.dataclass(frozen=True)
class Report:
    """What one unit of a consumer says in its databag, see the table above."""

    unit: str
    hostname: str = ""  # empty if it has given none that can be used
    has_reported: bool = False  # whether it has given a host name at all
    member: str = ""
    mirror: str = ""
    values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    cluster: str = ""
    failed: str = ""
    hold: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    @classmethod
    def from_bag(cls, unit: str, bag: Mapping[str, str]) -> Report:
        hostname, member, mirror = (bag.get(key, "") for key in ("hostname", "member", "mirror"))
        cluster, failed = bag.get("cluster", ""), bag.get("failed", "")
        return cls(
            unit=unit,
            hostname=hostname if is_hostname(hostname) else "",
            has_reported=bool(hostname),
            member=member if member in ("true", "false", "unknown") else "",
            mirror=mirror if mirror in ("up", "down") else "",
            values=_mirrored(bag),
            cluster=cluster if is_hostname(cluster) else "",
            failed=failed if _DIGEST.fullmatch(failed) else "",
            hold=_names(bag.get("hold", "")),
            gone=_names(bag.get("gone", "")),
        )

    def to_bag(self) -> dict[str, str]:
        bag = {
            "hostname": self.hostname,
            "member": self.member,
            "mirror": self.mirror,
            "cluster": self.cluster,
            "failed": self.failed,
            "hold": _text(self.hold),
            "gone": _text(self.gone),
            **{mirror_id(key): value for key, value in self.values.items()},
        }
        return {key: value for key, value in bag.items() if value}

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
    hold: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    mirrors: bool = False

    @classmethod
    def from_bags(cls, app_bag: Mapping[str, str], unit_bag: Mapping[str, str]) -> Published:
        leader, host = app_bag.get("leader", ""), app_bag.get("bootstrap-host", "")
        pairs = (word.partition("=")[::2] for word in app_bag.get("waiting", "").split())
        return cls(
            leader=leader if _NUMBER.fullmatch(leader) else "",
            bootstrap_app=app_bag.get("bootstrap-app", ""),
            bootstrap_host=host if is_hostname(host) else "",
            waiting={
                name: failed if _DIGEST.fullmatch(failed) else ""
                for name, failed in pairs
                if is_hostname(name)
            },
            formed=app_bag.get("formed") == "true",
            hold=_names(app_bag.get("hold", "")),
            left=_names(app_bag.get("left", "")),
            values=_mirrored(unit_bag),
            mirrors=unit_bag.get("mirror") == "up",
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
        names = (key for key, value in values.items() if value == EMPTY_STRING)
        return cls(
            bootstrap_app=app_bag.get("bootstrap-app", ""),
            waiting={name: "" for name in names if is_hostname(name)},
            formed=any(value != EMPTY_STRING for value in values.values()),
            values=values,
            mirrors=bool(unit_bags),
        )

    def to_app_bag(self) -> dict[str, str]:
        waiting = (f"{name}={failed}" if failed else name for name, failed in self.waiting.items())
        bag = {
            "leader": self.leader,
            "bootstrap-app": self.bootstrap_app,
            "bootstrap-host": self.bootstrap_host,
            "waiting": _text(waiting),
            "formed": "true" if self.formed else "",
            "hold": _text(self.hold),
            "left": _text(self.left),
        }
        return {key: value for key, value in bag.items() if value}

    def to_unit_bag(self) -> dict[str, str]:
        return {"mirror": "up", **{mirror_id(key): value for key, value in self.values.items()}}

    @property
    def is_silent(self) -> bool:
        """Whether nothing has been published yet, by a distributor of either kind."""
        return not (self.leader or self.mirrors)

    def token_for(self, hostname: str) -> str:
        """Return the token that is published for a host name; empty for none."""
        value = self.values.get(hostname, "")
        return value if value not in (EMPTY_STRING, JOINED) and is_usable_token(value) else ""


def offline_text(names: Iterable[str]) -> str:
    """Return that members are offline, fit for a status."""
    listed = sorted(names)
    text = ", ".join(listed)
    return f"member {text} is offline" if len(listed) == 1 else f"members {text} are offline"


def _mirrored(bag: Mapping[str, str]) -> dict[str, str]:
    """Return the values under `mirror-*` keys, by key without prefix."""
    values: dict[str, str] = {}
    for bag_key, value in bag.items():
        key = bag_key.removeprefix(MIRROR_PREFIX)
        is_key = key != bag_key and len(key) <= _MAX_KEY and _KEY.fullmatch(key)
        if is_key and 0 < len(value) <= _MAX_VALUE:
            values[key] = value
    return values


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in text.split() if is_hostname(name))


def _text(words: Iterable[str]) -> str:
    return " ".join(sorted(words))
