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

RaftRole = Literal["voter", "stand-by", "spare"]
_ROLES: tuple[RaftRole, ...] = ("voter", "stand-by", "spare")

# How many members vote, and how many stand by, once there are enough of them.
PLACES = 3

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
    # The role in the database's own configuration; None if it has no place there.
    raft: RaftRole | None
    # The role that `list` shows, as of the last heartbeat.
    role: RaftRole | Literal["PENDING"] = "PENDING"

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

    text: str = dataclasses.field(repr=False)
    secret: str = dataclasses.field(repr=False)
    expires: float


class Cluster:
    """One cluster: its members, its tokens, its votes.

    Attributes:
        number: counts the bootstraps, from 1.
        refused_addresses: those that a ghost had, until the next heartbeat.
        unsettled: a member was removed a moment ago, so that the next `add` is refused.
        blind_until: the clock's time until which `list` shows each member as unreachable.
        stalled_by: a member without which the database does not answer, whoever else is online.
    """

    def __init__(self, number: int, fingerprint: str, born: float):
        self.number = number
        self.members: dict[str, Member] = {}
        self.fingerprint = fingerprint
        self.tokens: dict[str, TokenRecord] = {}
        self.refused_addresses: set[str] = set()
        self.unsettled = False
        self.blind_until = -math.inf
        self.stalled_by: Member | None = None
        self._next_heartbeat = born + HEARTBEAT

    def __repr__(self) -> str:
        return f"<cluster {self.number} of {', '.join(self.members)}; online: {self.online}>"

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
        """Do the heartbeats that have become due; as nothing changed since, one is enough.

        Roles are reassigned, and `list` shows them. That needs the quorum.
        """
        if now < self._next_heartbeat:
            return
        self._next_heartbeat += HEARTBEAT * ((now - self._next_heartbeat) // HEARTBEAT + 1)
        if not self.quorum:
            return
        self.unsettled = False
        self.stalled_by = None
        self._assign_roles()
        for member in self.members.values():
            member.role = member.raft or member.role
        self.refused_addresses.clear()

    def role_at_start(self) -> RaftRole:
        """The place that a newcomer takes in raft by itself."""
        placed = sum(m.raft is not None for m in self.members.values())
        vacant = len(self._online_with("voter")) < PLACES <= placed + 1
        return "voter" if vacant else "spare"

    def take_out(self, member: Member) -> None:
        """Strike a member from the database and from raft; the last vote passes to another."""
        del self.members[member.name]
        if member.online:
            member.machine.forget()
        if member.raft == "voter" and not self._online_with("voter"):
            self.pass_vote()

    def pass_vote(self) -> None:
        """Give the first online member that has no vote one, if there is any."""
        for heir in self._online_with("stand-by", "spare")[:1]:
            heir.raft = "voter"

    def _online_with(self, *roles: RaftRole) -> list[Member]:
        return [m for raft in roles for m in self.members.values() if m.raft == raft and m.online]

    def _assign_roles(self) -> None:
        """Give three the vote and let three stand by; fewer than three have one voter only.

        Only when a role is full do those who are dead lose it: a cluster of three keeps a dead
        voter, for there is nobody to take the vote.
        """
        placed = [m for m in self.members.values() if m.raft is not None]
        if len(placed) < PLACES:
            for member in self._online_with("voter")[1:]:
                member.raft = "spare"
            return
        for role in _ROLES[:2]:
            below = _ROLES[_ROLES.index(role) + 1 :]
            lacking = PLACES - len(self._online_with(role))
            for member in self._online_with(*below)[: max(lacking, 0)]:
                member.raft = role
            if len(self._online_with(role)) >= PLACES:
                for member in placed:
                    if member.raft == role and not member.online:
                        member.raft = "spare"
