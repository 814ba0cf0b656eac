"""A machine in memory, with a daemon that answers the command line of a microcluster.

Theory of operation. A newcomer enters the database first, raft second, and is confirmed by every
member last. When a member cannot be reached, the last step of the older release fails and the
first two are not undone: the newcomer stays behind as a *ghost*, possibly one with a vote. The
newer release leaves no ghost, but a member that leaves there has its command cut off.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import subprocess
from typing import TYPE_CHECKING, Literal, TypeAlias

from tests.microclusters import commands, removal
from tests.microclusters.cluster import Member

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.microclusters.cluster import Cluster
    from tests.microclusters.commands import Fault, Moment, Outcome
    from tests.microclusters.fake import FakeMicrocluster

# Asked before and after each command, with the machine, the moment, and the words after the
# program's own (a token cut out); gives a `Fault` or None. It may raise: so dies an agent in
# mid-hook.
FaultPlan: TypeAlias = "Callable[[FakeMachine, Moment, tuple[str, ...]], Fault | None]"

# What comes of leaving a cluster of four or more while another member is down: the leaver stays a
# member; it stays and the cluster has no leader until the other is back; it is out after 16
# seconds, or at once.
DegradedLeave = Literal["stays", "stalls", "slow", "fast"]

# Seconds after which the daemon of a member that was removed by force while it was off ends.
END_OF_REMOVED = 31.0

# Seconds after an upgrade of all members for which each shows as unreachable.
BLIND = 27.0

# What a daemon that has just left answers, as its socket goes away and comes back.
_RESETTING = (commands.SHUTTING_DOWN, commands.CUT_SHORT, commands.NO_SOCKET)


class FakeMachine:
    """One machine, with a daemon that may be a member of one cluster.

    Attributes:
        destroyed: whether it was taken away for good.
        member: the row that the daemon believes to be its own; None on a fresh machine. It may be
            struck from the cluster meanwhile: removed by force while the machine was down.
        cluster: the cluster that the daemon believes to be in.
        faults: a plan in place of the microcluster's `faults`.
        stays_pending: set before a join, raft gives the member no place, and it is `PENDING` for
            good, though `ONLINE`.
        drops_packets: requests to this machine, up or down, are never answered instead of
            refused, nor are its own to others.
        schema: the version of the database's schema that the daemon comes with; see `refresh`.
        lists_without_itself: the daemon left in a way that it has not noticed: it lists the
            others for good.
        resets_for: for how many seconds the daemon starts anew once the command is over.
    """

    def __init__(self, world: FakeMicrocluster, name: str, address: str):
        self.name = name
        self.address = address
        self.command = list(world.command)
        self.running = True
        self.destroyed = False
        self.member: Member | None = None
        self.cluster: Cluster | None = None
        self.faults: FaultPlan | None = None
        self.stays_pending = False
        self.drops_packets = False
        self.schema = 1
        self.lists_without_itself = False
        self.resets_for = 0.0
        self._world = world
        # Until when the daemon answers each command with one of some errors.
        self._outages: list[tuple[float, tuple[str, ...]]] = []
        self._removed_since: float | None = None

    def __repr__(self) -> str:
        return f"<machine {self.name} at {self.address}>"

    @property
    def endpoint(self) -> str:
        """The address with the daemon's port."""
        return f"{self.address}:{commands.PORT}"

    @property
    def answers(self) -> bool:
        """Whether the daemon answers those of other machines."""
        return self.running and not self.drops_packets and not self._outage()

    @property
    def is_listed(self) -> bool:
        """Whether the cluster knows this daemon as the member that it takes itself for."""
        if self.member is None or self.cluster is None:
            return False
        return self.cluster.members.get(self.member.name) is self.member

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line, whose effect is immediate and whose time is `spend`'s.

        A command that takes longer than `timeout` has taken effect nevertheless: the daemon does
        the work, and it is only the client that is killed. A command line that no real program
        has, or that hangs for ever, fails the test.
        """
        __tracebackhide__ = True  # a failed test must not show the arguments: one may be a token
        if argv[0] != self.command[0]:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
        prefix, words = list(argv[: len(self.command)]), list(argv[len(self.command) :])
        assert prefix == self.command, f"{self.name}: not the cluster's command line"
        assert not self.destroyed, f"{self.name} was destroyed: nothing can run there"
        world, shown = self._world, commands.without_token(words)
        place = len(world.history)
        world.history.append(commands.Command(world.now, self.name, shown, None))
        outcome = self._ask("before", shown)
        if outcome is None:
            outcome = self._execute(words, shown)
            outcome = self._ask("after", shown) or outcome
        if timeout is not None and outcome.cost > timeout:
            world.spend(timeout)
            raise subprocess.TimeoutExpired(list(argv), timeout)
        assert outcome.cost < math.inf, f"{self.name}: {shown} hangs, and has no time limit"
        world.history[place] = world.history[place]._replace(code=outcome.code)
        world.spend(outcome.cost)
        if self.resets_for:
            # A daemon that left starts anew when the command is over.
            self._outages = [(world.now + self.resets_for, _RESETTING)]
            self.resets_for = 0.0
        return subprocess.CompletedProcess(
            list(argv), outcome.code, outcome.stdout, outcome.stderr
        )

    def kill(self) -> None:
        """Let the machine die at once; its data survives."""
        self._world.catch_up()
        self.running = False
        self._outages = []

    def start(self) -> None:
        """Start a killed machine again."""
        assert not self.running, f"{self.name} was not killed"
        assert not self.destroyed, f"{self.name} was destroyed"
        self.running = True
        self._boot([])

    def restart(self, *, refused: float = 1.0, opening: float = 0.5) -> None:
        """Restart the daemon, as a refresh of its snap does.

        Args:
            refused: seconds for which its socket refuses connections.
            opening: seconds after that for which it calls its database not yet initialized.
        """
        opens = self._world.now + refused
        self._boot(
            [
                (opens, (commands.SOCKET_REFUSED,)),
                (opens + opening, (commands.NOT_INITIALIZED,)),
            ]
        )

    def _boot(self, outages: list[tuple[float, tuple[str, ...]]]) -> None:
        self._world.catch_up()
        self._outages = outages
        knows_it = self.member is None or self.is_listed or self.lists_without_itself
        self._removed_since = None if knows_it else self._world.now

    def refresh(self) -> None:
        """Bring the daemon to the next schema.

        It waits, and does nothing but list, until all the members have been refreshed. When the
        last has been, all show as unreachable for a while, as after a reboot.
        """
        self._world.catch_up()
        self.schema += 1
        if self.cluster is not None and not self._awaits_upgrade(self.cluster):
            self.cluster.blind_until = self._world.now + BLIND

    def rename(self, name: str) -> None:
        """Give the machine another host name; a member keeps the name under which it joined."""
        self._world.check_name(name)
        self.name = name

    def destroy(self) -> None:
        """Take the machine away with its data."""
        self.kill()
        self.destroyed = True
        self.forget()
        if self in self._world.machines:
            self._world.machines.remove(self)

    def forget(self) -> None:
        """Reset the daemon: the machine is fresh again."""
        self.member = None
        self.cluster = None
        self.lists_without_itself = False
        self._removed_since = None

    def has_database(self, cluster: Cluster) -> bool:
        """Whether this daemon reaches a database that answers.

        Struck from the cluster by force while it was down, a daemon does not know it: it looks
        for the leader in vain (not measured; the others no longer trust its certificate).
        """
        if self.drops_packets:
            return self.is_listed and len(cluster.members) == 1
        return (self.is_listed or self.lists_without_itself) and cluster.quorum

    def _ask(self, moment: Moment, shown: tuple[str, ...]) -> Fault | None:
        plan = self.faults or self._world.faults
        return plan(self, moment, shown) if plan is not None else None

    def _execute(self, words: Sequence[str], shown: tuple[str, ...]) -> Outcome:
        """Do what the command line asks, if it is one that the real programs have."""
        __tracebackhide__ = True
        self._world.catch_up()
        name = words[1] if len(words) > 1 and commands.is_name(words[1]) else ""
        action: Callable[[], Outcome] | None = None
        match words:
            case ["bootstrap", *_]:
                action = self._bootstrap
            case ["add", _] if name:
                action = functools.partial(self._add, name, commands.TOKEN_LIFE)
            case ["add", _, "--timeout", seconds] if name and seconds.isdecimal():
                action = functools.partial(self._add, name, float(seconds))
            case ["join", token, *_]:
                action = functools.partial(self._join, token)
            case ["list", "-f", "json"]:
                action = self._list
            case ["remove", _] | ["remove", _, "--force"] if name:
                force = len(words) > 2
                action = functools.partial(removal.remove, self._world, self, name, force=force)
            case _:
                pass
        assert action is not None, f"{self.name}: no such command: {shown}"
        message = self._unavailable(words)
        return action() if message is None else commands.error(commands.AT_ONCE, message)

    def _unavailable(self, words: Sequence[str]) -> str | None:
        """What the daemon answers to each command as long as it does not work; None if it does."""
        world = self._world
        if not self.running:
            # Not measured: the client cannot reach its daemon.
            return commands.SOCKET_REFUSED
        if messages := self._outage():
            return messages[0] if len(messages) == 1 else world.rng.choice(messages)
        if self._removed_since is not None:
            if world.version.removed_keeps_starting:
                return commands.STILL_STARTING
            if world.now >= self._removed_since + END_OF_REMOVED:
                return commands.NO_SOCKET
        waits = self.cluster is not None and self._awaits_upgrade(self.cluster)
        return commands.AWAITS_UPGRADE if waits and words[0] != "list" else None

    def _outage(self) -> tuple[str, ...]:
        """What the daemon answers at the moment; nothing if it works."""
        now = self._world.now
        return next((messages for until, messages in self._outages if now < until), ())

    def _awaits_upgrade(self, cluster: Cluster) -> bool:
        """Whether a member has an older schema than this daemon."""
        return any(member.machine.schema < self.schema for member in cluster.members.values())

    def _bootstrap(self) -> Outcome:
        if self.cluster is not None:
            return commands.error(commands.AT_ONCE, commands.ONLINE)
        self._world.establish(self)
        return commands.done(1.7)

    def _add(self, name: str, life: float) -> Outcome:
        cluster = self.cluster
        if cluster is None:
            return commands.error(commands.AT_ONCE, commands.NOT_INITIALIZED)
        objection = commands.objection_to_name(name)
        if objection is not None:
            return commands.error(0.03, f"Error: {objection}")
        if not self.has_database(cluster):
            # Measured is only how the message ends.
            return self._without_quorum("Failed to begin transaction")
        delay = cluster.elect()
        if cluster.unsettled:
            cluster.unsettled = False
            return commands.error(5.02 + delay, commands.INCONSISTENT)
        record = cluster.tokens.get(name)
        if record is not None and record.expires > self._world.now:
            return commands.error(
                commands.AT_ONCE + delay,
                f'Error: unable to add server to microcluster, name "{name}" is taken:\n'
                'Failed to create "core_token_records" entry: '
                "UNIQUE constraint failed: core_token_records.name",
            )
        return commands.done(0.025 + delay, self._world.issue(cluster, name, life) + "\n")

    def _list(self) -> Outcome:
        cluster = self.cluster
        if cluster is None:
            return commands.error(commands.AT_ONCE, commands.NOT_INITIALIZED)
        if not self.has_database(cluster):
            return self._without_quorum(
                "Failed to get cluster members: Failed to begin transaction"
            )
        delay = cluster.elect()
        if cluster.silent(besides=self.member):
            return commands.error(commands.DEADLINE, commands.CLIENT_GAVE_UP)
        rows = [
            {
                "name": member.name,
                "address": member.address,
                "role": member.role,
                "status": self._status(cluster, member),
            }
            for member in cluster.members.values()
        ]
        # It asks each member in turn; that this takes 2 ms for each is a guess.
        cost = commands.AT_ONCE + delay + 0.002 * len(rows)
        return commands.done(cost, json.dumps(rows) + "\n")

    def _status(self, cluster: Cluster, member: Member) -> str:
        """A member's status, as this daemon sees it."""
        reached = member.online or (member is self.member and self.running)
        if not reached or self._world.now < cluster.blind_until:
            return "UNREACHABLE"
        if self._awaits_upgrade(cluster):
            return "NEEDS UPGRADE" if member.machine.schema < self.schema else "UPGRADING"
        return "ONLINE" if member.machine.schema <= self.schema else "UNREACHABLE"

    def _without_quorum(self, what: str) -> Outcome:
        cost = self._world.version.no_leader
        return commands.error(cost, f"Error: {what}: {commands.NO_QUORUM}")

    def _join(self, text: str) -> Outcome:
        if self.cluster is not None:
            return commands.error(commands.AT_ONCE, commands.ONLINE)
        token = commands.decode(text)
        if isinstance(token, str):
            return commands.error(commands.AT_ONCE, f"Error: {token}")
        addresses: list[str] = token["join_addresses"]
        if self.drops_packets:
            return commands.error(commands.DEADLINE, commands.TIMED_OUT)
        cluster = self._world.reach(addresses, token["fingerprint"])
        if cluster is None:
            # What Go prints for an error that nobody set, as the source has it there.
            objection = (commands.REFUSED_BY_PEER, "%!w(<nil>)")
        elif all(member.machine.schema < self.schema for member in cluster.members.values()):
            return commands.error(0.06, "Error: EOF")
        else:
            objection = self._objection(cluster, token["secret"])
            if objection is None:
                return self._enter(cluster)
        cost, last = objection
        tried = f"{len(addresses)} join attempts were unsuccessful"
        return commands.error(cost, f"Error: {tried}. Last error: {last}")

    def _objection(self, cluster: Cluster, secret: str) -> tuple[float, str] | None:
        """Why a cluster does not let this machine in, with the seconds until the answer."""
        if not cluster.quorum:
            # Not measured: as long as `add` and `list` take, and in their words.
            return self._world.version.no_leader, commands.NO_QUORUM
        taken = {member.address for member in cluster.members.values()}
        if self.endpoint in taken or self.endpoint in cluster.refused_addresses:
            return commands.REFUSED_BY_PEER, f'Remote with address "{self.endpoint}" exists'
        record = next((r for r in cluster.tokens.values() if r.secret == secret), None)
        if record is None:
            return commands.REFUSED_BY_PEER, commands.TOKEN_NOT_FOUND
        if record.expires <= self._world.now:
            del cluster.tokens[record.name]
            return commands.REFUSED_BY_PEER, commands.TOKEN_EXPIRED
        if record.name != self.name:
            return commands.REFUSED_BY_PEER, commands.WRONG_NAME
        if self.name in cluster.members:
            # From the source: the row collides, and the transaction that would use up the token
            # is undone with it.
            return commands.REFUSED_BY_PEER, 'This "core_cluster_members" entry already exists'
        del cluster.tokens[record.name]
        return None

    def _enter(self, cluster: Cluster) -> Outcome:
        """Become a member, or leave a ghost behind where a member cannot be reached."""
        delay = cluster.elect()
        dead = cluster.unreachable()
        wait = commands.DEADLINE if cluster.silent() else 0.0
        member = Member(self.name, self.endpoint, self, "PENDING", cluster.role_at_start())
        cluster.members[self.name] = member
        if dead is None or self._world.version.joins_while_degraded:
            if self.stays_pending:
                member.raft = None
            self.member, self.cluster = member, cluster
            return commands.done(min(4.0, 1.8 + 0.1 * len(cluster.members)) + delay + wait)
        self._world.place_ghost(member)
        others = len(cluster.members) - 1
        return commands.error(
            1.8 + delay + wait,
            f'Error: Failed to confirm new member "{self.name}" on any existing system '
            f"({others}): {removal.unanswered(dead)}",
        )
