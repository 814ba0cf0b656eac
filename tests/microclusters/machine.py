"""A machine in memory, with a daemon that answers the command line of a microcluster."""

from __future__ import annotations

import errno
import math
import os
import subprocess
from typing import TYPE_CHECKING, TypeAlias

from tests.microclusters import commands, daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.microclusters.cluster import Cluster, Member
    from tests.microclusters.commands import Fault, Moment
    from tests.microclusters.fake import FakeMicrocluster

# Asked before and after each command, with the machine, the moment, and the words after the
# program's own (a token cut out). It may raise: so dies an agent in mid-hook.
FaultPlan: TypeAlias = "Callable[[FakeMachine, Moment, tuple[str, ...]], Fault | None]"


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
        lists_without_itself: the daemon has not noticed that it left, and lists the others.
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
        self.world = world
        # Until when the daemon answers each command with an error.
        self.outages: list[tuple[float, str]] = []

    @property
    def endpoint(self) -> str:
        """The address with the daemon's port."""
        return f"{self.address}:{commands.PORT}"

    @property
    def outage(self) -> str | None:
        """What the daemon answers at the moment to each command; None if it works."""
        if not self.running:
            # Not measured: the client cannot reach its daemon.
            return commands.SOCKET_REFUSED
        return next((error for until, error in self.outages if self.world.now < until), None)

    @property
    def answers(self) -> bool:
        """Whether the daemon answers those of other machines."""
        return not self.drops_packets and self.outage is None

    @property
    def is_listed(self) -> bool:
        """Whether the cluster knows this daemon as the member that it takes itself for."""
        return self.cluster is not None and self.member in self.cluster.members.values()

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
        words = list(argv[len(self.command) :])
        assert [*self.command, *words] == list(argv), f"{self.name}: not the command line"
        assert not self.destroyed, f"{self.name} was destroyed: nothing can run there"
        world, shown = self.world, tuple(words)
        if words[0] == "join":
            shown = ("join", "<token>", *words[2:])
        place = len(world.history)
        world.history.append(commands.Command(self.name, shown, None))
        outcome = self._ask("before", shown)
        if outcome is None:
            world.catch_up()
            try:
                outcome = daemon.execute(self, words)
            except commands.CommandError as error:
                outcome = commands.fails(f"Error: {error}", error.cost)
            outcome = self._ask("after", shown) or outcome
        if timeout is not None and outcome.cost > timeout:
            world.spend(timeout)
            raise subprocess.TimeoutExpired(list(argv), timeout)
        assert outcome.cost < math.inf, f"{self.name}: {shown} hangs, and has no time limit"
        world.history[place] = world.history[place]._replace(code=outcome.code)
        world.spend(outcome.cost)
        return subprocess.CompletedProcess(
            list(argv), outcome.code, outcome.stdout, outcome.stderr
        )

    def kill(self) -> None:
        """Let the machine die at once; its data survives."""
        self.world.catch_up()
        self.running = False
        self.outages = []

    def start(self) -> None:
        """Start a killed machine again."""
        assert not self.destroyed, f"{self.name} was destroyed"
        self.world.catch_up()
        self.running = True

    def restart(self, *, opening: float = 0.5) -> None:
        """Restart the daemon, as a refresh of its snap does.

        For a second its socket refuses connections, and for some seconds after that, `opening`, it
        calls its database not yet initialized.
        """
        self.world.catch_up()
        opens = self.world.now + 1.0
        opened = (opens + opening, commands.NOT_INITIALIZED)
        self.outages = [(opens, commands.SOCKET_REFUSED), opened]

    def refresh(self) -> None:
        """Bring the daemon to the next schema.

        After the last member's all show as unreachable for a while, as after a reboot.
        """
        self.schema += 1
        if self.cluster is not None:
            self.cluster.blind_until = self.world.now + 27.0

    def rename(self, name: str) -> None:
        """Give the machine another host name; a member keeps the name under which it joined."""
        self.name = name

    def destroy(self) -> None:
        """Take the machine away with its data."""
        self.kill()
        self.destroyed = True
        self.forget()
        self.world.machines = [other for other in self.world.machines if other is not self]

    def forget(self) -> None:
        """Reset the daemon: the machine is fresh again."""
        self.member = self.cluster = None
        self.lists_without_itself = False

    def enter(self, cluster: Cluster, member: Member) -> None:
        """Become a member."""
        self.cluster, self.member = cluster, member
        cluster.members[member.name] = member

    def _ask(self, moment: Moment, shown: tuple[str, ...]) -> Fault | None:
        plan = self.faults or self.world.faults
        return plan(self, moment, shown) if plan is not None else None
