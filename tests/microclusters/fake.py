"""A microcluster in memory, as harsh as the real ones that were measured.

The reference is MicroOVN's command line over dqlite, with microcluster 2.0.5 or 3.0.0: exit codes,
standard error and the seconds that each command takes are those measured. Where a measured message
was cut short, or nothing was measured, the fake follows microcluster's source, and a comment says
so. `docs/reference/measured.md` is the record.

The theory of operation is in `cluster` (members, votes, time) and `machine` (the commands).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import random
import re
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from tests.microclusters.cluster import HEARTBEAT, Cluster, Member, TokenRecord
from tests.microclusters.commands import (
    NO_QUORUM,
    NOT_INITIALIZED,
    STILL_STARTING,
    Command,
    Fault,
    Moment,
    dies,
    digest,
    fails,
    hangs,
    prints,
)
from tests.microclusters.machine import DegradedLeave, FakeMachine, FaultPlan, Outage
from tests.microclusters.releases import KIND, V2, V3, Release

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "HEARTBEAT",
    "KIND",
    "NOT_INITIALIZED",
    "NO_QUORUM",
    "V2",
    "V3",
    "Cluster",
    "Command",
    "FakeMachine",
    "FakeMicrocluster",
    "Fault",
    "FaultPlan",
    "Member",
    "Moment",
    "Release",
    "dies",
    "fails",
    "hangs",
    "prints",
]

_T = TypeVar("_T")

_TOKEN_START = base64.b64encode(b'{"secret"').decode()[:12]
_HEX = re.compile(r"[0-9a-f]{64}")

#: Seconds after a reboot until every daemon has started, as measured for one that says so.
_STARTING = 2.0


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
        version: microcluster's version, `2.0.5` or `3.0.0`, or a release of your own. The default
            is 2.0.5, but for its only member, which can leave.
        degraded_leave: with 3.0.0, what comes of leaving a cluster of four or more while a member
            is down; None for chance to decide.
        add_refusals: with 3.0.0, how likely it is, from 0 to 1, that the first `add` after a
            removal is refused.
        needed_after_removal: how many members the workload wants to keep; it refuses a removal
            without `--force` that leaves fewer. MicroCeph wants 3.

    Attributes:
        clusters: all clusters that have a member, in the order of their bootstraps. A cluster
            whose every machine was destroyed stays in the list, but does not live.
        machines: all machines that were not destroyed.
        history: every command, in the order in which they ran.
        now: the clock's time in seconds.
        on_spend: what was given as `spend`.
        version: what that release does, as a `Release`.
        unique_names: whether no two machines may have the same host name.
    """

    #: Seconds after a reboot or an upgrade of all members for which each shows as unreachable.
    BLIND: Final = 27.0

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
        version: str | Release = KIND,
        degraded_leave: DegradedLeave | None = None,
        add_refusals: float = 0.5,
        needed_after_removal: int = 0,
    ):
        self.clusters: list[Cluster] = []
        self.machines: list[FakeMachine] = []
        self.history: list[Command] = []
        self.command = tuple(command)
        self.faults = faults
        self.ghost_role: Literal["voter", "spare", "PENDING"] | None = ghost_role
        self.address_sticks = address_sticks
        self.version = version if isinstance(version, Release) else Release.of(version)
        self.degraded_leave: DegradedLeave | None = degraded_leave
        self.add_refusals = add_refusals
        self.needed_after_removal = needed_after_removal
        self.unique_names = True
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

    def add_machine(self, name: str, address: str | None = None) -> FakeMachine:
        """Bring up a fresh machine.

        Args:
            name: its host name.
            address: that of a machine which it replaces; None for one that no other ever had.
        """
        self.check_name(name)
        if address is None:
            self._created += 1
            address = str(ipaddress.IPv4Address("10.0.0.0") + self._created)
        machine = FakeMachine(self, name, address)
        if machine.endpoint in self._by_endpoint:
            raise AssertionError(f"{address} is in use")
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

    def reboot(self) -> None:
        """Let all machines go down and come back at the same moment, as after a power cut.

        One daemon says for a moment that it is not a member, all say that they are starting, and
        after that each member shows as unreachable, itself included, for a while.
        """
        self.catch_up()
        now = self.now
        members = [machine for machine in self.machines if machine.cluster is not None]
        first = self.choose(members) if members else None
        for machine in self.machines:
            outages: list[Outage] = []
            if machine is first:
                outages.append(Outage(now + 0.25, (NOT_INITIALIZED,)))
            if machine in members:
                outages.append(Outage(now + _STARTING, (STILL_STARTING,)))
            machine.reboot(outages)
        for cluster in self.clusters:
            cluster.blind_until = now + _STARTING + self.BLIND

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
        return digest(text.strip()) in self._digests

    def shows_token(self, text: str) -> bool:
        """Whether the text has the beginning of a token in it, or the secret of one."""
        return _TOKEN_START in text or any(run in self._secrets for run in _HEX.findall(text))

    # The rest is what the machines need.

    def catch_up(self) -> None:
        """Do the heartbeats that have become due."""
        now = self.now
        for cluster in self.clusters:
            cluster.catch_up(now)

    def choose(self, options: Sequence[_T]) -> _T:
        """Let chance choose, if there is a choice."""
        return options[0] if len(options) == 1 else self._rng.choice(options)

    def happens(self, likelihood: float) -> bool:
        """Let chance decide, if it is uncertain."""
        return likelihood > 0 and self._rng.random() < likelihood

    def between(self, low: float, high: float) -> float:
        """Let chance choose a number of seconds."""
        return self._rng.uniform(low, high)

    def take_out(self, cluster: Cluster, member: Member) -> None:
        """Strike a member from its cluster."""
        cluster.take_out(member)
        if self.version.checks_membership:
            cluster.unsettled = self.happens(self.add_refusals)

    def check_name(self, name: str) -> None:
        """Check that no other machine has that host name, where that may not be."""
        if self.unique_names and any(machine.name == name for machine in self.machines):
            raise AssertionError(f"there is a machine {name} already")

    def note(self, command: Command) -> int:
        """Write a command into the history; gives its place there."""
        self.history.append(command)
        return len(self.history) - 1

    def spend(self, seconds: float) -> None:
        """Let a command take its time."""
        if self.on_spend is not None:
            self.on_spend(seconds)

    def discard(self, machine: FakeMachine) -> None:
        """Forget a destroyed machine."""
        if machine in self.machines:
            self.machines.remove(machine)
            del self._by_endpoint[machine.endpoint]

    def establish(self, machine: FakeMachine) -> None:
        """Make a cluster of one."""
        self._bootstraps += 1
        cluster = Cluster(self._bootstraps, self._hex(), self.now, self.version)
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
        its_digest = digest(text)
        cluster.tokens[name] = TokenRecord(name, secret, self.now + life, its_digest)
        self._digests.add(its_digest)
        self._secrets.add(secret)
        return text

    def reach(self, addresses: Sequence[str], fingerprint: str) -> Cluster | None:
        """The cluster that answers at one of the addresses and has that certificate."""
        for address in addresses:
            machine = self._by_endpoint.get(address)
            if machine is None or machine.member is None or not machine.member.online:
                continue
            cluster = machine.cluster
            if cluster is None or cluster.members.get(machine.member.name) is not machine.member:
                continue
            if cluster.fingerprint == fingerprint:
                return cluster
        return None

    def place_ghost(self, ghost: Member) -> None:
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
