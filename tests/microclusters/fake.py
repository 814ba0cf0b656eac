"""A microcluster in memory, as harsh as the real ones that were measured.

The reference is MicroOVN's command line over microcluster 2.0.4 and dqlite. Exit codes, standard
error and the seconds that each command takes are those measured; where a measured message was cut
short, or nothing was measured, the fake follows microcluster's source, and a comment says so.

Theory of operation. A *cluster* has a database that lists its members and its unused tokens, and a
raft configuration that gives some members a vote. These two can differ, and so can the role that
`list` shows, which only a *heartbeat* brings up to date. The database answers while a majority of
the votes is alive. Time is a clock that somebody else moves: heartbeats that are due are caught up
with at the next command or mishap, so that time can pass at no cost.

A newcomer enters the database first, raft second, and is confirmed by every member last. When a
member cannot be reached, the last step fails and the first two are not undone: the newcomer stays
behind as a *ghost*, possibly one with a vote.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import errno
import functools
import hashlib
import ipaddress
import json
import math
import os
import random
import re
import string
import subprocess
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Role = Literal["voter", "stand-by", "spare", "PENDING"]
RaftRole = Literal["voter", "stand-by", "spare"]
Moment = Literal["before", "after"]

#: Asked before and after each command: see `FakeMachine.faults`.
FaultPlan: TypeAlias = "Callable[[FakeMachine, Moment, tuple[str, ...]], Fault | None]"

#: How many members vote, and how many stand by, once there are enough of them.
VOTERS = 3
STAND_BYS = 3

#: Seconds between a cluster's heartbeats.
HEARTBEAT = 10.0

#: Seconds that a token is valid if `add` is not told otherwise.
TOKEN_LIFE = 10800.0

#: Seconds until a command gives up when the database has no leader.
NO_LEADER = 10.5

#: Seconds until a request between daemons gives up.
DEADLINE = 30.0

#: Seconds that the first command takes longer after the database's leader died.
ELECTION = 3.4

#: Seconds of a command that is answered without any work, and of one that asks another machine.
AT_ONCE = 0.02
REFUSED_BY_PEER = 0.1

NOT_INITIALIZED = "Error: Database is not yet initialized"
ONLINE = "Error: Unable to initialize cluster: Database is online"
NO_QUORUM = "no available dqlite leader server found"
TOKEN_NOT_FOUND = "CoreTokenRecord not found"  # noqa: S105 - a message, not a password
WRONG_NAME = "Joining server certificate SAN does not contain join token name"

_BASE64 = set(string.ascii_letters + string.digits + "+/")
_TOKEN_START = base64.b64encode(b'{"secret"').decode()[:12]
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Fault:
    """How a command goes wrong, made with one of the functions below.

    Asked for *before* a command, it strikes instead of the command. Asked for *after* it, the
    command has taken effect, and the fault is all that the caller sees.
    """

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    cost: float = AT_ONCE


def fails(stderr: str = "Error: injected", code: int = 1, cost: float = AT_ONCE) -> Fault:
    """The command exits with `code` and says `stderr`, after `cost` seconds."""
    return Fault(code=code, stderr=stderr + "\n", cost=cost)


def dies(signal: int = 9) -> Fault:
    """The command is killed by a signal: a negative exit code, and no output."""
    return Fault(code=-signal)


def prints(rubbish: str) -> Fault:
    """The command exits 0, but prints something else."""
    return Fault(stdout=rubbish)


def hangs() -> Fault:
    """The command does not end; its time limit strikes."""
    return Fault(cost=math.inf)


class Command(NamedTuple):
    """One line of the history: what was run, where, and how it ended.

    `time` is the clock's when the command began. `words` is what follows the program's own words,
    a token cut out. `code` is None if the caller was told none: the command ran into its time
    limit, or the caller died.
    """

    time: float
    machine: str
    words: tuple[str, ...]
    code: int | None


class _Outcome(NamedTuple):
    """What a command would give if nothing disturbed it; `cost` in seconds."""

    code: int
    stdout: str
    stderr: str
    cost: float


def _done(cost: float, stdout: str = "") -> _Outcome:
    return _Outcome(0, stdout, "", cost)


def _error(cost: float, message: str) -> _Outcome:
    return _Outcome(1, "", message + "\n", cost)


@dataclasses.dataclass(eq=False)
class Member:
    """A row of a cluster's database.

    Args:
        name: the member's name.
        address: its address with the port, `IP:6443`.
        machine: where its daemon runs; with a ghost that daemon knows of no cluster.
        role: the role that `list` shows, as of the last heartbeat.
        raft: the role in the database's own configuration; None if it has no place there.
    """

    name: str
    address: str
    machine: FakeMachine
    role: Role
    raft: RaftRole | None

    @property
    def online(self) -> bool:
        """Whether the member answers the others."""
        return self.machine.running and self.machine.member is self

    @property
    def ghost(self) -> bool:
        """Whether the machine exists and yet does not know that it is this member."""
        return not self.machine.destroyed and self.machine.member is not self


@dataclasses.dataclass(eq=False)
class _TokenRecord:
    """A token that was issued and not yet used; the clock's `expires` ends its life."""

    name: str
    secret: str = dataclasses.field(repr=False)
    expires: float
    digest: str


class Cluster:
    """One cluster: its members, its tokens, its votes.

    Attributes:
        number: counts the bootstraps, from 1.
        members: by name, in the order in which they joined.
    """

    def __init__(self, number: int, fingerprint: str, born: float):
        self.number = number
        self.members: dict[str, Member] = {}
        self.fingerprint = fingerprint
        self.leader: Member | None = None
        self.tokens: dict[str, _TokenRecord] = {}
        self.refused_addresses: dict[str, bool] = {}
        self._born = born
        self._rounds = 0

    def __repr__(self) -> str:
        listed = ", ".join(
            f"{m.name} {m.role} {'ONLINE' if m.online else 'UNREACHABLE'}"
            for m in self.members.values()
        )
        return f"<cluster {self.number}: {listed}>"

    @property
    def voters(self) -> list[str]:
        """The names of those that have a vote, dead or alive."""
        return [m.name for m in self.members.values() if m.raft == "voter"]

    @property
    def online(self) -> list[str]:
        """The names of the members that are online."""
        return [m.name for m in self.members.values() if m.online]

    @property
    def ghosts(self) -> list[str]:
        """The names of those that a failed join left behind."""
        return [m.name for m in self.members.values() if m.ghost]

    @property
    def quorum(self) -> bool:
        """Whether a majority of the votes is alive, so that the database answers."""
        voters = [m for m in self.members.values() if m.raft == "voter"]
        return 2 * sum(m.online for m in voters) > len(voters)

    @property
    def lives(self) -> bool:
        """Whether any member is left whose machine exists, up or down."""
        return any(m.machine.member is m for m in self.members.values())

    def unreachable(self, besides: Member | None = None) -> Member | None:
        """The first member that is not online, other than `besides`."""
        return next((m for m in self.members.values() if not m.online and m is not besides), None)

    def catch_up(self, now: float) -> None:
        """Do the heartbeats that have become due; as nothing changed since, one is enough."""
        rounds = math.floor((now - self._born) / HEARTBEAT)
        if rounds > self._rounds:
            self._rounds = rounds
            self.beat()

    def beat(self) -> None:
        """Do a heartbeat: roles are reassigned, and `list` shows them. It needs the quorum."""
        if not self.quorum:
            return
        self.elect()
        self._assign_roles()
        for member in self.members.values():
            if member.raft is not None:
                member.role = member.raft
        for address in [a for a, for_good in self.refused_addresses.items() if not for_good]:
            del self.refused_addresses[address]

    def elect(self) -> float:
        """Elect a leader if there is none; gives the seconds that it takes."""
        if self.leader is not None and self.leader.online and self.leader.raft == "voter":
            return 0.0
        had_one = self.leader is not None
        voters = (m for m in self.members.values() if m.raft == "voter" and m.online)
        self.leader = next(voters, None)
        return ELECTION if had_one else 0.0

    def role_at_start(self) -> RaftRole:
        """The place that a newcomer, already counted as a member, takes in raft by itself."""
        in_raft = 1 + sum(m.raft is not None for m in self.members.values())
        if in_raft < VOTERS:
            return "spare"
        if len(self._online_with("voter")) < VOTERS:
            return "voter"
        return "stand-by" if len(self._online_with("stand-by")) < STAND_BYS else "spare"

    def take_out(self, member: Member) -> None:
        """Strike a member from the database and from raft; its vote passes to another."""
        del self.members[member.name]
        if member.machine.member is member and member.machine.running:
            member.machine.forget()
        if self.leader is member:
            self.leader = None
        if member.raft == "voter" and not self._online_with("voter"):
            candidates = self._online_with("stand-by") + self._online_with("spare")
            for heir in candidates[:1]:
                heir.raft = "voter"
        self.elect()

    def _online_with(self, raft: str) -> list[Member]:
        return [m for m in self.members.values() if m.raft == raft and m.online]

    def _assign_roles(self) -> None:
        """Give three the vote and let three stand by; fewer than three have one voter only."""
        placed = [m for m in self.members.values() if m.raft is not None]
        if len(placed) < VOTERS:
            for member in placed:
                member.raft = "voter" if member is self.leader else "spare"
            return
        self._fill("voter", VOTERS, ("stand-by", "spare"))
        self._fill("stand-by", STAND_BYS, ("spare",))

    def _fill(
        self, role: Literal["voter", "stand-by"], wanted: int, reserves: tuple[str, ...]
    ) -> None:
        """Bring the number of online members of a role to `wanted`.

        Only when it is full do those of the role who are dead lose it: a cluster of three keeps a
        dead voter, for there is nobody to take the vote.
        """
        lacking = wanted - len(self._online_with(role))
        if lacking > 0:
            candidates = [m for raft in reserves for m in self._online_with(raft)]
            for member in candidates[:lacking]:
                member.raft = role
            if len(candidates) < lacking:
                return
        for member in self.members.values():
            if member.raft == role and not member.online:
                member.raft = "spare"


class FakeMachine:
    """One machine, with a daemon that may be a member of one cluster.

    Attributes:
        destroyed: whether it was taken away for good.
        member: the row that the daemon believes to be its own; None on a fresh machine. It may be
            struck from the cluster meanwhile: removed by force while the machine was down.
        cluster: the cluster that the daemon believes to be in.
        faults: asked before and after each command, with this machine, the moment, and the words
            after the program's own (a token cut out); gives a `Fault`, or None for none. It may
            raise: so dies an agent in mid-hook. None leaves it to the microcluster's `faults`.
        stays_pending: set before a join, raft gives the member no place, and it is `PENDING` for
            good, though `ONLINE`.
    """

    def __init__(self, world: FakeMicrocluster, name: str, address: str):
        self.destroyed = False
        self.member: Member | None = None
        self.cluster: Cluster | None = None
        self.faults: FaultPlan | None = None
        self.stays_pending = False
        self._world = world
        self._name = name
        self._address = address
        self._running = True

    def __repr__(self) -> str:
        return f"<machine {self._name} at {self._address}>"

    @property
    def name(self) -> str:
        """The host name."""
        return self._name

    @property
    def address(self) -> str:
        """The IP address."""
        return self._address

    @property
    def endpoint(self) -> str:
        """The address with the daemon's port."""
        return f"{self._address}:6443"

    @property
    def command(self) -> list[str]:
        """The words before the sub-command."""
        return list(self._world.command)

    @property
    def running(self) -> bool:
        """Whether the machine is up."""
        return self._running

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line, whose effect is immediate and whose time `spend` is told.

        A command that takes longer than `timeout` has taken effect nevertheless: the daemon does
        the work, and it is only the client that is killed.

        Args:
            argv: the whole command line.
            timeout: seconds.

        Raises:
            AssertionError: no real program has such a command line; or it hangs for ever.
            FileNotFoundError: it is another program.
            subprocess.TimeoutExpired: it takes longer than `timeout`.
        """
        __tracebackhide__ = True  # a failed test must not show the arguments: one may be a token
        if argv[0] != self.command[0]:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
        if list(argv[: len(self._world.command)]) != self.command:
            raise AssertionError(f"{self._name}: not the cluster's command line")
        if self.destroyed:
            raise AssertionError(f"{self._name} was destroyed: nothing can run there")
        words = list(argv[len(self._world.command) :])
        shown = _without_token(words)
        place = self._world.note(Command(self._world.now, self._name, shown, None))
        fault = self._ask("before", shown)
        if fault is None:
            outcome = self._execute(words, shown)
            fault = self._ask("after", shown)
            if fault is not None:
                outcome = _suffer(fault)
        else:
            outcome = _suffer(fault)
        if timeout is not None and outcome.cost > timeout:
            self._world.spend(timeout)
            raise subprocess.TimeoutExpired(list(argv), timeout)
        if math.isinf(outcome.cost):
            raise AssertionError(f"{self._name}: {shown} hangs, and has no time limit")
        self._world.history[place] = self._world.history[place]._replace(code=outcome.code)
        self._world.spend(outcome.cost)
        code, stdout, stderr, _ = outcome
        return subprocess.CompletedProcess(list(argv), code, stdout, stderr)

    def kill(self) -> None:
        """Let the machine die at once; its data survives."""
        self._world.catch_up()
        self._running = False

    def start(self) -> None:
        """Start a killed machine again."""
        if self._running or self.destroyed:
            raise AssertionError(f"{self._name} was not killed")
        self._world.catch_up()
        self._running = True

    def destroy(self) -> None:
        """Take the machine away with its data."""
        self.kill()
        self.destroyed = True
        self.forget()
        self._world.release(self)

    def forget(self) -> None:
        """Reset the daemon: the machine is fresh again."""
        self.member = None
        self.cluster = None

    def _ask(self, moment: Moment, shown: tuple[str, ...]) -> Fault | None:
        plan = self.faults or self._world.faults
        return plan(self, moment, shown) if plan is not None else None

    def _execute(self, words: Sequence[str], shown: tuple[str, ...]) -> _Outcome:
        """Do what the command line says, if it is one that the real programs have."""
        __tracebackhide__ = True
        self._world.catch_up()
        match words:
            case ["bootstrap", *_]:
                action = self._bootstrap
            case ["add", name, *options] if _is_name(name):
                life = _life(options, shown)
                action = functools.partial(self._add, name, life)
            case ["join", token, *_]:
                action = functools.partial(self._join, token)
            case ["list", "-f" | "--format", "json"]:
                action = self._list
            case ["remove", name] if _is_name(name):
                action = functools.partial(self._remove, name, force=False)
            case ["remove", name, "--force"] | ["remove", "--force", name] if _is_name(name):
                action = functools.partial(self._remove, name, force=True)
            case _:
                raise AssertionError(f"{self._name}: no such command: {shown}")
        if not self._running:
            # Not measured: the client cannot reach its daemon.
            return _error(AT_ONCE, "Error: dial unix control.socket: connect: connection refused")
        return action()

    def _bootstrap(self) -> _Outcome:
        if self.cluster is not None:
            return _error(AT_ONCE, ONLINE)
        self._world.establish(self)
        return _done(1.7)

    def _add(self, name: str, life: float) -> _Outcome:
        cluster = self.cluster
        if cluster is None:
            return _error(AT_ONCE, NOT_INITIALIZED)
        if not self._has_database(cluster):
            # Measured is only how the message ends.
            return _error(NO_LEADER, f"Error: Failed to begin transaction: {NO_QUORUM}")
        delay = cluster.elect()
        record = cluster.tokens.get(name)
        if record is not None and record.expires > self._world.now:
            return _error(
                AT_ONCE + delay,
                f'Error: Unable to add server to MicroCluster, name "{name}" is taken:\n'
                'Failed to create "core_token_records" entry: '
                "UNIQUE constraint failed: core_token_records.name",
            )
        return _done(0.025 + delay, self._world.issue(cluster, name, life) + "\n")

    def _list(self) -> _Outcome:
        cluster = self.cluster
        if cluster is None:
            return _error(AT_ONCE, NOT_INITIALIZED)
        if not self._has_database(cluster):
            return _error(
                NO_LEADER,
                "Error: Failed to get cluster members: Failed to begin transaction: " + NO_QUORUM,
            )
        delay = cluster.elect()
        rows = [
            {
                "name": member.name,
                "address": member.address,
                "role": member.role,
                "status": "ONLINE" if member.online else "UNREACHABLE",
            }
            for member in cluster.members.values()
        ]
        # It asks each member in turn; that this takes 2 ms for each is a guess.
        return _done(AT_ONCE + delay + 0.002 * len(rows), json.dumps(rows) + "\n")

    def _join(self, text: str) -> _Outcome:
        if self.cluster is not None:
            return _error(AT_ONCE, ONLINE)
        token = _decode(text)
        if isinstance(token, str):
            return _error(AT_ONCE, f"Error: {token}")
        addresses: list[str] = token["join_addresses"]
        cluster = self._world.reach(addresses, token["fingerprint"])
        if cluster is None:
            # What Go prints for an error that nobody set, as the source has it there.
            objection = (REFUSED_BY_PEER, "%!w(<nil>)")
        else:
            objection = self._objection(cluster, token["secret"])
            if objection is None:
                return self._enter(cluster)
        cost, last = objection
        tried = f"{len(addresses)} join attempts were unsuccessful"
        return _error(cost, f"Error: {tried}. Last error: {last}")

    def _objection(self, cluster: Cluster, secret: str) -> tuple[float, str] | None:
        """Why a cluster does not let this machine in, with the seconds it takes to say so."""
        if not cluster.quorum:
            # Not measured: as long as `add` and `list` take, and in their words.
            return NO_LEADER, NO_QUORUM
        taken = {member.address for member in cluster.members.values()}
        if self.endpoint in taken or self.endpoint in cluster.refused_addresses:
            return REFUSED_BY_PEER, f'Remote with address "{self.endpoint}" exists'
        record = next((r for r in cluster.tokens.values() if r.secret == secret), None)
        if record is None:
            return REFUSED_BY_PEER, TOKEN_NOT_FOUND
        if record.expires <= self._world.now:
            del cluster.tokens[record.name]
            return REFUSED_BY_PEER, TOKEN_NOT_FOUND
        if record.name != self._name:
            return 1.7, WRONG_NAME
        if self._name in cluster.members:
            # From the source: the row collides, and the transaction that would use up the token
            # is undone with it.
            return REFUSED_BY_PEER, 'This "core_cluster_members" entry already exists'
        del cluster.tokens[record.name]
        return None

    def _enter(self, cluster: Cluster) -> _Outcome:
        """Become a member, or, when any member cannot be reached, leave a ghost behind."""
        delay = cluster.elect()
        dead = cluster.unreachable()
        member = Member(self._name, self.endpoint, self, "PENDING", cluster.role_at_start())
        cluster.members[self._name] = member
        if dead is None:
            if self.stays_pending:
                member.raft = None
            self.member, self.cluster = member, cluster
            return _done(min(4.0, 1.8 + 0.1 * len(cluster.members)) + delay)
        self._world.haunt(member)
        others = len(cluster.members) - 1
        return _error(
            1.8 + delay,
            f'Error: Failed to confirm new member "{self._name}" on any existing system '
            f"({others}): {_unanswered(dead)}",
        )

    def _remove(self, name: str, *, force: bool) -> _Outcome:
        cluster = self.cluster
        if cluster is None:
            # Not measured: in the words of `add` and `list`.
            return _error(AT_ONCE, NOT_INITIALIZED)
        target = cluster.members.get(name)
        if target is None:
            return _error(AT_ONCE, f'Error: No remote exists with the given name "{name}"')
        if not self._has_database(cluster):
            return _error(DEADLINE, "Error: context deadline exceeded")
        if len(cluster.members) == 1:
            self._world.dissolve(cluster)
            return _done(0.2)
        return self._remove_one(cluster, target, force=force, delay=cluster.elect())

    def _remove_one(
        self, cluster: Cluster, target: Member, *, force: bool, delay: float
    ) -> _Outcome:
        if all(member.role == "PENDING" for member in cluster.members.values()):
            # From the source; it lasts until the first heartbeat.
            return _error(
                AT_ONCE + delay,
                "Error: Cannot remove cluster members, there are no remaining non-pending members",
            )
        dead = cluster.unreachable(besides=target)
        if target is self.member and dead is not None:
            return _error(DEADLINE, "Error: context deadline exceeded")
        if not target.online and not force:
            return _error(0.05 + delay, f"Error: {_unanswered(target)}")
        cost = (1.0 if target.online else 0.2) + delay
        ghost = target.ghost
        cluster.take_out(target)
        if dead is None:
            return _done(cost)
        # The hook that follows a removal runs on every member, and the dead one fails it: an
        # error after the fact. Measured for ghosts; for others it follows from the source.
        if ghost:
            self._world.refuse_address(cluster, target.address)
        return _error(cost, f"Error: Failed to run post-remove hook: {_unanswered(dead)}")

    def _has_database(self, cluster: Cluster) -> bool:
        """Whether this daemon reaches a database that answers.

        Struck from the cluster by force while it was down, a daemon does not know it: it looks
        for the leader in vain (not measured; the others no longer trust its certificate).
        """
        known = self.member is not None and cluster.members.get(self._name) is self.member
        return known and cluster.quorum


def _suffer(fault: Fault) -> _Outcome:
    """What a fault makes of a command."""
    return _Outcome(fault.code, fault.stdout, fault.stderr, fault.cost)


class FakeMicrocluster:
    """Machines in memory, and the clusters that they form.

    Everything is a function of the seed and of the calls made.

    Args:
        clock: gives the time in seconds. By default the fake has a clock of its own, which
            `advance` moves.
        seed: where secrets and the little that chance decides come from: a number, or the
            generator itself.
        spend: told how many seconds each command takes, once it has taken effect; a model moves
            its clock by that. By default commands take no time.
        command: the words before the sub-command.
        faults: asked before and after each command on a machine that has no `faults` of its own.
        ghost_role: the role in which a failed join leaves its ghost, unless fewer than three
            voters are alive, which always makes it a voter; None for chance to decide.
        address_sticks: how likely it is, from 0 to 1, that the address of a ghost, removed while
            another member is dead, is refused for good, instead of until the next heartbeat. Both
            were seen.

    Attributes:
        clusters: all clusters that have a member, in the order of their bootstraps. A cluster
            whose every machine was destroyed stays in the list, but does not live.
        machines: all machines that were not destroyed.
        history: every command, in the order in which they ran.
        now: the clock's time in seconds.
        on_spend: what was given as `spend`.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        seed: int | random.Random = 0,
        spend: Callable[[float], None] | None = None,
        command: Sequence[str] = ("microovn", "cluster"),
        faults: FaultPlan | None = None,
        ghost_role: Literal["voter", "spare", "PENDING"] | None = None,
        address_sticks: float = 0.5,
    ):
        self.clusters: list[Cluster] = []
        self.machines: list[FakeMachine] = []
        self.history: list[Command] = []
        self.command = tuple(command)
        self.faults = faults
        self.ghost_role: Literal["voter", "spare", "PENDING"] | None = ghost_role
        self.address_sticks = address_sticks
        self._clock = clock
        self.on_spend = spend
        self._own_time = 0.0
        self._rng = seed if isinstance(seed, random.Random) else random.Random(seed)  # noqa: S311 - it has to be the same each time
        self._bootstraps = 0
        self._created = 0
        self._by_endpoint: dict[str, FakeMachine] = {}
        self._digests: set[str] = set()
        self._secrets: set[str] = set()

    @property
    def now(self) -> float:
        """The time in seconds."""
        return self._own_time if self._clock is None else self._clock()

    def add_machine(self, name: str) -> FakeMachine:
        """Bring up a fresh machine, with an address that no other ever had."""
        if any(machine.name == name for machine in self.machines):
            raise AssertionError(f"there is a machine {name} already")
        self._created += 1
        machine = FakeMachine(self, name, str(ipaddress.IPv4Address("10.0.0.0") + self._created))
        self.machines.append(machine)
        self._by_endpoint[machine.endpoint] = machine
        return machine

    def expire_tokens(self) -> None:
        """Let all unused tokens reach the end of their life."""
        for cluster in self.clusters:
            for record in cluster.tokens.values():
                record.expires = min(record.expires, self.now)

    def revoke_tokens(self) -> None:
        """Drop all unused tokens, as an operator can with a database client."""
        for cluster in self.clusters:
            cluster.tokens.clear()

    def close(self) -> None:
        """Do nothing: memory needs no cleaning up."""

    def advance(self, seconds: float) -> None:
        """Move the fake's own clock."""
        if self._clock is not None:
            raise AssertionError("the clock belongs to somebody else")
        self._own_time += seconds
        self.catch_up()

    def beat(self) -> None:
        """Do a heartbeat in every cluster, though none be due."""
        for cluster in self.clusters:
            cluster.beat()

    def members(self) -> Mapping[str, Member]:
        """The members of all clusters by name; of two with one name that of the later cluster."""
        return {name: m for cluster in self.clusters for name, m in cluster.members.items()}

    def online_members(self) -> list[str]:
        """The names of the members that are online, in all clusters, sorted."""
        return sorted(name for cluster in self.clusters for name in cluster.online)

    def usable_tokens(self) -> set[str]:
        """SHA-256 digests, in hexadecimal, of the tokens with which a machine could still join."""
        return {
            record.digest
            for cluster in self.clusters
            for record in cluster.tokens.values()
            if record.expires > self.now
        }

    def is_token(self, text: str) -> bool:
        """Whether the text is a token that was ever issued here."""
        return _digest(text.strip()) in self._digests

    def shows_token(self, text: str) -> bool:
        """Whether the text has the beginning of a token in it, or the secret of one."""
        return _TOKEN_START in text or any(run in self._secrets for run in _HEX.findall(text))

    # The rest is what the machines need.

    def catch_up(self) -> None:
        """Do the heartbeats that have become due."""
        now = self.now
        for cluster in self.clusters:
            cluster.catch_up(now)

    def note(self, command: Command) -> int:
        """Write a command into the history; gives its place there."""
        self.history.append(command)
        return len(self.history) - 1

    def spend(self, seconds: float) -> None:
        """Let a command take its time."""
        if self.on_spend is not None:
            self.on_spend(seconds)

    def release(self, machine: FakeMachine) -> None:
        """Forget a destroyed machine."""
        if machine in self.machines:
            self.machines.remove(machine)
            del self._by_endpoint[machine.endpoint]

    def establish(self, machine: FakeMachine) -> None:
        """Make a cluster of one."""
        self._bootstraps += 1
        cluster = Cluster(self._bootstraps, self._hex(), self.now)
        member = Member(machine.name, machine.endpoint, machine, "PENDING", "voter")
        cluster.members[machine.name] = member
        cluster.leader = member
        machine.member, machine.cluster = member, cluster
        self.clusters.append(cluster)

    def dissolve(self, cluster: Cluster) -> None:
        """Let the last member leave."""
        for member in cluster.members.values():
            member.machine.forget()
        self.clusters.remove(cluster)

    def issue(self, cluster: Cluster, name: str, life: float) -> str:
        """Make a token and its record."""
        secret = self._hex()
        content = {
            "secret": secret,
            "fingerprint": cluster.fingerprint,
            "join_addresses": [member.address for member in cluster.members.values()],
        }
        text = base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()
        digest = _digest(text)
        cluster.tokens[name] = _TokenRecord(name, secret, self.now + life, digest)
        self._digests.add(digest)
        self._secrets.add(secret)
        return text

    def reach(self, addresses: Sequence[str], fingerprint: str) -> Cluster | None:
        """The cluster that answers at one of the addresses and has that certificate."""
        for address in addresses:
            machine = self._by_endpoint.get(address)
            if machine is None or machine.member is None or not machine.member.online:
                continue
            cluster = machine.cluster
            if cluster is None or cluster.members.get(machine.name) is not machine.member:
                continue
            if cluster.fingerprint == fingerprint:
                return cluster
        return None

    def haunt(self, ghost: Member) -> None:
        """Give the ghost of a failed join its role.

        With fewer than three voters alive it took a vote as it started: that is how a cluster of
        three loses its quorum. Else three roles were seen; `PENDING` is one that raft never knew.
        """
        if ghost.raft == "voter":
            ghost.role = "voter"
            return
        ghost.role = self.ghost_role or self._rng.choice(("spare", "PENDING", "voter"))
        ghost.raft = None if ghost.role == "PENDING" else ghost.role

    def refuse_address(self, cluster: Cluster, address: str) -> None:
        """Let a cluster go on refusing the address of a ghost that it no longer lists."""
        cluster.refused_addresses[address] = self._rng.random() < self.address_sticks

    def _hex(self) -> str:
        return self._rng.randbytes(32).hex()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _without_token(words: Sequence[str]) -> tuple[str, ...]:
    """The words, with the token of a join cut out."""
    if words[:1] == ["join"] and len(words) > 1:
        return ("join", "<token>", *words[2:])
    return tuple(words)


def _is_name(word: str) -> bool:
    """Whether a word can be a member's name, and not a flag."""
    return bool(word) and not word.startswith("-")


def _life(options: Sequence[str], shown: tuple[str, ...]) -> float:
    """The life of a token, in seconds, by what follows `add NAME`."""
    match options:
        case []:
            return TOKEN_LIFE
        case ["--timeout", seconds] if seconds.isdecimal():
            return float(seconds)
        case _:
            raise AssertionError(f"add has no such options: {shown}")


def _unanswered(member: Member) -> str:
    """What a request to a member that cannot be reached ends in, as Go words it."""
    return (
        f'Post "https://{member.address}/core/internal": '
        f"dial tcp {member.address}: connect: connection refused"
    )


def _decode(text: str) -> dict[str, Any] | str:
    """A token's content; or what Go says about a text that is no token."""
    stray = next((i for i, c in enumerate(text.rstrip("=")) if c not in _BASE64), None)
    if stray is None and len(text) % 4:
        stray = len(text) - len(text) % 4
    if stray is not None:
        return f"illegal base64 data at input byte {stray}"
    try:
        content: Any = json.loads(base64.b64decode(text))
    except binascii.Error:
        return f"illegal base64 data at input byte {len(text.rstrip('='))}"
    except ValueError:
        return "unexpected end of JSON input" if not text else "invalid character in JSON input"
    if not isinstance(content, dict):
        return "json: cannot unmarshal into a token"
    empty: dict[str, Any] = {"secret": "", "fingerprint": "", "join_addresses": []}
    return {**empty, **cast("dict[str, Any]", content)}
