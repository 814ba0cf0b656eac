"""The command line that every microcluster has: its outcomes, its messages, its arguments.

The wording is what was measured; where a measured message was cut short it follows the sources of
microcluster, LXD and Go, and a comment states it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import string
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Moment = Literal["before", "after"]

# The port on which daemons talk to each other.
PORT = 6686

# Seconds that a token is valid without `--timeout`.
TOKEN_LIFE = 10800.0

# Seconds until a request between daemons gives up, and until the client of a command does.
DEADLINE = 30.0

# Seconds of a command that is answered without any work, and of one that asks another machine.
AT_ONCE = 0.02
REFUSED_BY_PEER = 0.1

NOT_INITIALIZED = "Error: Database is not yet initialized"
STILL_STARTING = "Error: Database is still starting"
AWAITS_UPGRADE = "Error: Database is waiting for an upgrade"
ONLINE = "Error: Unable to initialize cluster: Database is online"
NO_QUORUM = "no available dqlite leader server found"
TIMED_OUT = "Error: context deadline exceeded"
TOKEN_NOT_FOUND = "CoreTokenRecord not found"  # noqa: S105 - a message, not a password
TOKEN_EXPIRED = "Token expired"  # noqa: S105 - a message, not a password
WRONG_NAME = "Joining server certificate SAN does not contain join token name"
CUT_OFF = 'Error: Delete "http://control.socket/core/1.0/cluster": context canceled'
ONLY_MEMBER = "Error: Cannot leave a cluster with 1 members"
ALL_PENDING = "Error: Cannot remove cluster members, there are no remaining non-pending members"
INCONSISTENT = "Error: Membership consistency check failed after timeout"

# How clients of a daemon that is not there word it: the ends were measured.
_ASKING = 'Error: Get "http://control.socket/core/1.0/cluster": '
SHUTTING_DOWN = "Error: Daemon is shutting down"
CUT_SHORT = _ASKING + "EOF"
NO_SOCKET = "Error: /var/snap/microovn/common/state/control.socket: no such file or directory"
SOCKET_REFUSED = "Error: dial unix control.socket: connect: connection refused"
CLIENT_GAVE_UP = _ASKING + "context deadline exceeded"

_BASE64 = set(string.ascii_letters + string.digits + "+/")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


class Outcome(NamedTuple):
    """How a command ends, after `cost` seconds."""

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    cost: float = AT_ONCE


# How a command goes wrong. Asked for *before* a command, it strikes instead of the command. Asked
# for *after* it, the command has taken effect, and the fault is all that the caller sees.
Fault = Outcome


def fails(stderr: str = "Error: injected", code: int = 1, cost: float = AT_ONCE) -> Fault:
    """The command exits with `code` and prints `stderr`."""
    return Fault(code, "", stderr + "\n", cost)


def dies(signal: int = 9) -> Fault:
    """The command is killed by a signal: a negative exit code, and no output."""
    return Fault(-signal)


def prints(rubbish: str) -> Fault:
    """The command exits 0, but prints something else."""
    return Fault(stdout=rubbish)


def hangs() -> Fault:
    """The command does not end; its time limit strikes."""
    return Fault(cost=math.inf)


def done(cost: float, stdout: str = "") -> Outcome:
    """The command exits 0 and prints `stdout`."""
    return Outcome(0, stdout, "", cost)


def error(cost: float, message: str) -> Outcome:
    """The command exits 1 and prints `message`."""
    return fails(message, cost=cost)


class Command(NamedTuple):
    """One line of the history: what was run, where, and how it ended.

    `time` is the clock's when the command began. `words` is what follows the program's own words,
    a token cut out. `code` is None if the command ran into its time limit, or the caller died.
    """

    time: float
    machine: str
    words: tuple[str, ...]
    code: int | None


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def without_token(words: Sequence[str]) -> tuple[str, ...]:
    """The words, with the token of a join cut out."""
    if words[:1] == ["join"] and len(words) > 1:
        return ("join", "<token>", *words[2:])
    return tuple(words)


def is_name(word: str) -> bool:
    """Whether a word is an argument, and not a flag."""
    return bool(word) and not word.startswith("-")


def decode(text: str) -> dict[str, Any] | str:
    """A token's content; or how Go words that a text is none."""
    try:
        content: dict[str, Any] = {"secret": "", "fingerprint": "", "join_addresses": []}
        return {**content, **json.loads(base64.b64decode(text, validate=True))}
    except (ValueError, TypeError):
        whole = len(text) // 4 * 4
        stray = next((i for i, c in enumerate(text) if c not in _BASE64), whole)
        return f"illegal base64 data at input byte {stray}"


def objection_to_name(name: str) -> str | None:
    """Why `add` refuses a name, or None. Which are refused was measured; the words are LXD's."""
    for label in name.split("."):
        if not 1 <= len(label) <= 63:
            return "Name must be 1-63 characters long"
        if label.isdecimal():
            return "Name cannot be a number"
        if not _LABEL.fullmatch(label):
            return "Name can only contain alphanumeric and hyphen characters"
    return None
