"""The command line that every microcluster has: how commands end, and where releases differ.

The wording is what was measured; where a measured message was cut short it follows the sources of
microcluster, LXD and Go. Times are in seconds.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Moment = Literal["before", "after"]

# The port on which daemons talk to each other.
PORT = 6686
# Until a request between daemons gives up, and until the client of a command does.
DEADLINE = 30.0
# What a command takes that is answered without any work.
AT_ONCE = 0.02

NOT_INITIALIZED = "Database is not yet initialized"
NO_QUORUM = "no available dqlite leader server found"
TIMED_OUT = "context deadline exceeded"
NO_SOCKET = "/var/snap/microovn/common/state/control.socket: no such file or directory"
SOCKET_REFUSED = "dial unix control.socket: connect: connection refused"


class Release(NamedTuple):
    """How a release of microcluster behaves: one of version 2, or of version 3."""

    is_v3: bool
    # After which `add` and `list` give up without a quorum, and `remove` without `--force`.
    no_leader: float
    no_leader_to_remove: float


# The releases that were measured.
RELEASES = {"2.0.5": Release(False, 10.5, 30.0), "3.0.0": Release(True, 5.5, 5.5)}


class CommandError(Exception):
    """A command exits with 1, after `cost` seconds, and prints the message."""

    def __init__(self, message: str, cost: float = AT_ONCE):
        super().__init__(message)
        self.cost = cost


class Outcome(NamedTuple):
    """How a command ends, after `cost` seconds."""

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    cost: float = AT_ONCE


# How a command goes wrong. Asked for *before* a command, it strikes instead of the command. Asked
# for *after* it, the command has taken effect, and the fault is all that the caller sees.
Fault = Outcome


def fails(stderr: str = "Error: injected", cost: float = AT_ONCE) -> Fault:
    """The command exits with 1 and prints `stderr`."""
    return Fault(1, "", f"{stderr}\n", cost)


class Command(NamedTuple):
    """A command that was run: where, with which words, and how it ended.

    `words` is what follows the program's own words, a token cut out. `code` is None if the command
    ran into its time limit, or the caller died.
    """

    machine: str
    words: tuple[str, ...]
    code: int | None
