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
                          offline         members that are not online, while a join does no harm
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
                          shared          `true` while units of several applications report
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
    from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence

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
