"""A cluster in memory: its members, its votes, its tokens.

Theory of operation. A *cluster* has a database that lists its members and its unused tokens, and a
raft configuration that gives some members a vote. These two can differ, and so can the role that
`list` shows, which only a *heartbeat* brings up to date. The database answers while a majority of
the votes is alive. Time is a clock that somebody else moves: heartbeats that are due are caught up
with at the next command or mishap, so that time can pass at no cost.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.microclusters.machine import FakeMachine
    from tests.microclusters.releases import Release

Role = Literal["voter", "stand-by", "spare", "PENDING"]
RaftRole = Literal["voter", "stand-by", "spare"]

# How many members vote, and how many stand by, once there are enough of them.
VOTERS = 3
STAND_BYS = 3

# Seconds between a cluster's heartbeats.
HEARTBEAT = 10.0


@dataclasses.dataclass(eq=False)
class Member:
    """A row of a cluster's database."""

    name: str
    # With the port.
    address: str
    # Where its daemon runs; with a ghost that daemon knows of no cluster.
    machine: FakeMachine
    # The role that `list` shows, as of the last heartbeat.
    role: Role
    # The role in the database's own configuration; None if it has no place there.
    raft: RaftRole | None

    @property
    def online(self) -> bool:
        """Whether the member answers the others."""
        return self.machine.answers and self.machine.member is self

    @property
    def ghost(self) -> bool:
        """Whether the machine exists and yet does not know that it is this member."""
        return not self.machine.destroyed and self.machine.member is not self


@dataclasses.dataclass(eq=False)
class TokenRecord:
    """A token that was issued and not yet used."""

    name: str
    secret: str = dataclasses.field(repr=False)
    expires: float
    digest: str


class Cluster:
    """One cluster: its members, its tokens, its votes.

    Attributes:
        number: counts the bootstraps, from 1.
        members: by name, in the order in which they joined.
        unsettled: a member was removed a moment ago, so that the next `add` is refused.
        blind_until: the clock's time until which `list` shows each member as unreachable.
        stalled_by: a member without which no leader is elected, whoever else is online.
    """

    def __init__(self, number: int, fingerprint: str, born: float, release: Release):
        self.number = number
        self.members: dict[str, Member] = {}
        self.fingerprint = fingerprint
        self.leader: Member | None = None
        self.tokens: dict[str, TokenRecord] = {}
        self.refused_addresses: dict[str, bool] = {}
        self.unsettled = False
        self.blind_until = -math.inf
        self.stalled_by: Member | None = None
        self._release = release
        self._born = born
        self._rounds = 0

    def __repr__(self) -> str:
        listed = ", ".join(
            f"{m.name} {m.role} {'ONLINE' if m.online else 'UNREACHABLE'}"
            for m in self.members.values()
        )
        return f"<cluster {self.number}: {listed}>"

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
        if self.stalled_by is not None and not self.stalled_by.online:
            return False
        voters = [m for m in self.members.values() if m.raft == "voter"]
        return 2 * sum(m.online for m in voters) > len(voters)

    @property
    def lives(self) -> bool:
        """Whether any member is left whose machine exists, up or down."""
        return any(m.machine.member is m for m in self.members.values())

    def unreachable(self, besides: Member | None = None) -> Member | None:
        """The first member that is not online, other than `besides`."""
        return next((m for m in self.members.values() if not m.online and m is not besides), None)

    def silent(self, besides: Member | None = None) -> bool:
        """Whether a request to any member, other than `besides`, is never answered."""
        return any(m.machine.drops_packets and m is not besides for m in self.members.values())

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
        self.unsettled = False
        self.stalled_by = None
        self.elect()
        self._assign_roles()
        for member in self.members.values():
            if member.raft is not None:
                member.role = member.raft
        self.refused_addresses = {a: True for a, good in self.refused_addresses.items() if good}

    def elect(self) -> float:
        """Elect a leader if there is none; gives the seconds that it takes."""
        if self.leader is not None and self.leader.online and self.leader.raft == "voter":
            return 0.0
        had_one = self.leader is not None
        voters = (m for m in self.members.values() if m.raft == "voter" and m.online)
        self.leader = next(voters, None)
        return self._release.election if had_one else 0.0

    def role_at_start(self) -> RaftRole:
        """The place that a newcomer, already counted as a member, takes in raft by itself."""
        in_raft = 1 + sum(m.raft is not None for m in self.members.values())
        if in_raft < VOTERS:
            return "spare"
        if len(self._online_with("voter")) < VOTERS:
            return "voter"
        return "stand-by" if len(self._online_with("stand-by")) < STAND_BYS else "spare"

    def take_out(self, member: Member) -> None:
        """Strike a member from the database and from raft; the last vote passes to another."""
        del self.members[member.name]
        if member.online:
            member.machine.forget()
        if self.leader is member:
            self.leader = None
        if member.raft == "voter" and not self._online_with("voter"):
            self.pass_vote()
        self.elect()

    def pass_vote(self) -> None:
        """Give the first online member that has no vote one, if there is any."""
        for heir in (self._online_with("stand-by") + self._online_with("spare"))[:1]:
            heir.raft = "voter"

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
