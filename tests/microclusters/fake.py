"""A microcluster in memory, as harsh as the real ones that were measured.

The reference is MicroOVN's command line over dqlite, with microcluster 2.0.5 or 3.0.0: exit codes,
standard error and the seconds that each command takes are those measured. Where a measured message
was cut short, or nothing was measured, the fake follows microcluster's source, and a comment
states it. `docs/reference/measured.md` is the record.

The theory of operation is in `cluster` (members, votes, time) and `machine` (the commands).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import random
import re
from typing import TYPE_CHECKING

from tests.microclusters.cluster import HEARTBEAT, Cluster, Member, TokenRecord
from tests.microclusters.commands import (
    NO_QUORUM,
    NOT_INITIALIZED,
    Command,
    Fault,
    Moment,
    dies,
    digest,
    fails,
    hangs,
    prints,
)
from tests.microclusters.machine import DegradedLeave, FakeMachine, FaultPlan
from tests.microclusters.releases import RELEASES, Release

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "HEARTBEAT",
    "NOT_INITIALIZED",
    "NO_QUORUM",
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

_TOKEN_START = base64.b64encode(b'{"secret"').decode()[:12]
_HEX = re.compile(r"[0-9a-f]{64}")


class FakeMicrocluster:
    """Machines in memory, and the clusters that they form.

    Everything is a function of the seed and of the calls made.

    Args:
        clock: gives the time in seconds. By default the fake has a clock of its own, which
            `advance` moves.
        seed: where secrets and the little that chance decides come from: a number, or the
            generator itself.
        spend: called with the seconds that each command takes, once it has taken effect; a model
            moves its clock by that. By default commands take no time.
        command: the words before the sub-command.
        version: microcluster's version, `2.0.5` or `3.0.0`.
        address_sticks: how likely it is, from 0 to 1, that the address of a ghost, removed while
            another member is dead, is refused for good, instead of until the next heartbeat. Both
            were seen.

    Attributes:
        clusters: all clusters that have a member, in the order of their bootstraps. A cluster
            whose every machine was destroyed stays in the list, but does not live.
        machines: all machines that were not destroyed.
        history: every command, in the order in which they ran.
        faults: asked before and after each command on a machine that has no `faults` of its own.
        degraded_leave: with 3.0.0, what comes of leaving a cluster of four or more while a member
            is down; None for chance to decide.
        needed_after_removal: how many members the workload wants to keep; it refuses a removal
            without `--force` that leaves fewer. MicroCeph wants 3.
        unique_names: whether no two machines may have the same host name.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        seed: int | random.Random = 0,
        spend: Callable[[float], None] | None = None,
        command: Sequence[str] = ("microovn", "cluster"),
        version: str = "2.0.5",
        address_sticks: float = 0.5,
    ):
        self.clusters: list[Cluster] = []
        self.machines: list[FakeMachine] = []
        self.history: list[Command] = []
        self.command = tuple(command)
        self.faults: FaultPlan | None = None
        self.version = RELEASES[version]
        self.address_sticks = address_sticks
        self.degraded_leave: DegradedLeave | None = None
        self.needed_after_removal = 0
        self.unique_names = True
        self.on_spend = spend
        self.rng = seed if isinstance(seed, random.Random) else random.Random(seed)  # noqa: S311 - it has to be the same each time
        self._clock = clock
        self._own_time = 0.0
        self._bootstraps = 0
        self._created = 0
        self._digests: set[str] = set()
        self._secrets: set[str] = set()

    @property
    def now(self) -> float:
        """The time in seconds."""
        return self._own_time if self._clock is None else self._clock()

    def add_machine(self, name: str, address: str | None = None) -> FakeMachine:
        """Bring up a fresh machine, at an address that no other ever had or that of its choice."""
        self.check_name(name)
        if address is None:
            self._created += 1
            address = str(ipaddress.IPv4Address("10.0.0.0") + self._created)
        machine = FakeMachine(self, name, address)
        self.machines.append(machine)
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
        assert self._clock is None, "the clock belongs to somebody else"
        self._own_time += seconds
        self.catch_up()

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
        for cluster in self.clusters:
            cluster.catch_up(self.now)

    def happens(self, likelihood: float) -> bool:
        """Let chance decide, if it is uncertain."""
        return likelihood > 0 and self.rng.random() < likelihood

    def take_out(self, cluster: Cluster, member: Member) -> None:
        """Strike a member from its cluster."""
        cluster.take_out(member)
        # How often the next `add` is refused is a guess.
        cluster.unsettled = self.version.checks_membership and self.happens(0.5)

    def check_name(self, name: str) -> None:
        taken = any(machine.name == name for machine in self.machines)
        assert not (self.unique_names and taken), f"there is a machine {name} already"

    def spend(self, seconds: float) -> None:
        """Let a command take its time."""
        if self.on_spend is not None:
            self.on_spend(seconds)

    def establish(self, machine: FakeMachine) -> None:
        """Make a cluster of one."""
        self._bootstraps += 1
        cluster = Cluster(self._bootstraps, self._hex(), self.now, self.version)
        member = Member(machine.name, machine.endpoint, machine, "PENDING", "voter")
        cluster.members[machine.name] = cluster.leader = member
        machine.member, machine.cluster = member, cluster
        self.clusters.append(cluster)

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
        machines = {machine.endpoint: machine for machine in self.machines}
        for address in addresses:
            machine = machines.get(address)
            if machine is None or not machine.answers or not machine.is_listed:
                continue
            if machine.cluster is not None and machine.cluster.fingerprint == fingerprint:
                return machine.cluster
        return None

    def place_ghost(self, ghost: Member) -> None:
        """Give the ghost of a failed join its role.

        With fewer than three voters alive it took a vote as it started: that is how a cluster of
        three loses its quorum. Else three roles were seen; `PENDING` is one that raft never knew.
        """
        if ghost.raft == "voter":
            ghost.role = "voter"
            return
        ghost.role = self.rng.choice(("spare", "PENDING", "voter"))
        ghost.raft = None if ghost.role == "PENDING" else ghost.role

    def _hex(self) -> str:
        return self.rng.randbytes(32).hex()
