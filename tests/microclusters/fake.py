"""A microcluster in memory, as harsh as the real ones that were measured.

The reference is MicroOVN's command line over dqlite, with microcluster 2.0.5 or 3.0.0: exit codes
and standard error are those measured, and so are the seconds where a time limit can strike. The
record is `docs/reference/measured.md`. Where it has nothing, the fake follows the source, and a
comment states it.

The theory of operation is in `cluster` (members, votes, time) and `daemon` (the commands).
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import itertools
import json
import random
import re
from typing import TYPE_CHECKING, Literal

from tests.microclusters.cluster import Cluster, TokenRecord
from tests.microclusters.cluster import Member as Member
from tests.microclusters.commands import NOT_INITIALIZED as NOT_INITIALIZED
from tests.microclusters.commands import RELEASES, Command
from tests.microclusters.commands import Fault as Fault
from tests.microclusters.commands import Moment as Moment
from tests.microclusters.commands import fails as fails
from tests.microclusters.machine import FakeMachine, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TOKEN_START = base64.b64encode(b'{"secret"').decode()[:12]
_HEX = re.compile(r"[0-9a-f]{64}")


class FakeMicrocluster:
    """Machines in memory, and the clusters that they form.

    Everything is a function of the seed and of the calls made.

    Args:
        clock: gives the time in seconds; by default one of its own, which `advance` moves.
        seed: where secrets and the little that chance decides come from.
        spend: called with the seconds that each command takes, once it has taken effect.
        command: the words before the sub-command.
        version: microcluster's version, `2.0.5` or `3.0.0`.

    Attributes:
        clusters: all clusters, in the order of their bootstraps.
        machines: all machines that were not destroyed.
        history: every command, in the order in which they ran.
        faults: asked before and after each command on a machine that has no `faults` of its own.
        degraded_leave: with 3.0.0, what comes of leaving a cluster of four or more while a member
            is down. It `stays` a member; it stays, and the cluster has no leader until the other
            is back (`stalls`); it is out (`fast`). None for chance to decide.
        needed_after_removal: how many members the workload wants to keep; it refuses a removal
            without `--force` that leaves fewer. MicroCeph wants 3.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        seed: int | random.Random = 0,
        spend: Callable[[float], None] = lambda _: None,
        command: Sequence[str] = ("microovn", "cluster"),
        version: str = "2.0.5",
    ):
        self.clusters: list[Cluster] = []
        self.machines: list[FakeMachine] = []
        self.history: list[Command] = []
        self.command = tuple(command)
        self.faults: FaultPlan | None = None
        self.version = version
        self.release = RELEASES[version]
        self.degraded_leave: Literal["stays", "stalls", "fast"] | None = None
        self.needed_after_removal = 0
        self.spend = spend
        # Nothing here is a secret.
        self.rng = seed if isinstance(seed, random.Random) else random.Random(seed)  # noqa: S311
        self._clock = clock or (lambda: self._own_time)
        self._own_time = 0.0
        self._addresses = map(ipaddress.IPv4Address, itertools.count(0x0A000001))
        self._tokens: set[str] = set()
        self._secrets: set[str] = set()

    @property
    def now(self) -> float:
        """The time in seconds."""
        return self._clock()

    def add_machine(self, name: str) -> FakeMachine:
        """Bring up a fresh machine, at an address that no other ever had."""
        machine = FakeMachine(self, name, str(next(self._addresses)))
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
        self._own_time += seconds
        self.catch_up()

    def online_members(self) -> list[str]:
        """The names of the members that are online, in all clusters, sorted."""
        return sorted(name for cluster in self.clusters for name in cluster.online)

    def usable_tokens(self) -> set[str]:
        """SHA-256 digests, in hexadecimal, of the tokens with which a machine could still join."""
        return {
            hashlib.sha256(record.text.encode()).hexdigest()
            for cluster in self.clusters
            for record in cluster.tokens.values()
            if record.expires > self.now
        }

    def is_token(self, text: str) -> bool:
        """Whether the text is a token that was ever issued here."""
        return text in self._tokens

    def shows_token(self, text: str) -> bool:
        """Whether the text has the beginning of a token in it, or the secret of one."""
        return _TOKEN_START in text or any(run in self._secrets for run in _HEX.findall(text))

    # The rest is what the machines need.

    def catch_up(self) -> None:
        """Do the heartbeats that have become due."""
        for cluster in self.clusters:
            cluster.catch_up(self.now)

    def establish(self) -> Cluster:
        """Make a cluster without members."""
        cluster = Cluster(len(self.clusters) + 1, self._hex(), self.now)
        self.clusters.append(cluster)
        return cluster

    def issue(self, cluster: Cluster, name: str, life: float) -> str:
        """Make a token and its record."""
        secret = self._hex()
        content = {
            "secret": secret,
            "fingerprint": cluster.fingerprint,
            "join_addresses": [member.address for member in cluster.members.values()],
        }
        text = base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()
        cluster.tokens[name] = TokenRecord(text, secret, self.now + life)
        self._tokens.add(text)
        self._secrets.add(secret)
        return text

    def reach(self, addresses: Sequence[str], fingerprint: str) -> Cluster | None:
        """The cluster that answers at one of the addresses and has that certificate."""
        for machine in self.machines:
            cluster = machine.cluster
            if cluster is None or cluster.fingerprint != fingerprint or not machine.is_listed:
                continue
            if machine.answers and machine.endpoint in addresses:
                return cluster
        return None

    def _hex(self) -> str:
        return self.rng.randbytes(32).hex()
