"""The scenario of the demonstration, on a cloud on this machine."""

from __future__ import annotations

import collections
import contextlib
import subprocess
import time
from typing import TYPE_CHECKING

from microcluster_token_distributor import _wire
from tests.clouds import local, protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests import juju_model

CONSUMER = "lxd"
DISTRIBUTOR = "distributor"
"""The applications."""

# Seconds. LXD calls a killed member offline 11 s after its last heartbeat, which it may have sent
# 10 s after the one before.
_NOTICE_LIMIT = 60


class Failure(Exception):  # noqa: N818 - named for what it is to the viewer
    """The scenario did not end as it must. Its text holds no value of a databag."""


class Scenario:
    """Forms a cluster on an empty cloud, scales it out, and takes machines away from it.

    `check` raises an exception if the scenario has to end early. That a cloud is fake is said at
    both ends.
    """

    def __init__(self, cloud: local.LocalCloud, check: Callable[[], None], *, fake: bool):
        self._cloud = cloud
        self._check = check
        self._started = time.monotonic()
        self._where = "a FAKE microcluster" if fake else "real LXD daemons"
        self._fake = fake
        self._machines = "fake machines" if fake else "LXD daemons"
        self._statuses: dict[str, tuple[str, str]] = {}
        self._issuers: dict[str, str] = {}
        # Digests of the tokens that were seen in databags on their way.
        self._seen: set[str] = set()
        cloud.juju.on_hook.append(self._show_hook)

    def run(self) -> None:
        """Run it from the beginning to the end.

        Raises:
            Failure: something is not as it must be, above all the list of members at the end.
        """
        self._say(
            "On a FAKE microcluster, in memory: no daemon runs, no real token is issued."
            if self._fake
            else "On real LXD daemons, each with an address and a directory of its own."
        )
        self._say("Each hook runs the real charm; Juju itself is a model in memory.")
        self._form()
        self._scale_out()
        self._lose_distributor_leader()
        self._replace_communicator()
        self._sum_up()

    # The parts of the scenario

    def _form(self) -> None:
        self._heading("Three machines, and a distributor beside them: one cluster forms")
        self._say("The distributor has three units, so that it can lose its leader later.")
        self._happened(f"{CONSUMER}: three {self._machines} start")
        self._cloud.deploy(protocol.CONSUMER, CONSUMER, units=3)
        self._cloud.deploy(protocol.DISTRIBUTOR, DISTRIBUTOR, units=3)
        self._cloud.integrate(CONSUMER, DISTRIBUTOR)
        self._expect_whole(3)
        self._say("Three units have formed one cluster.")

    def _scale_out(self) -> None:
        self._heading("Two more machines: five")
        self._happened(f"{CONSUMER}: two {self._machines} start")
        for _ in range(2):
            self._cloud.add_unit(CONSUMER)
        self._expect_whole(5)
        self._say("Five units are one cluster.")

    def _lose_distributor_leader(self) -> None:
        leader = self._leader()
        self._heading(f"The distributor's leader, {leader}, is killed")
        self._cloud.kill_machine(leader)
        self._happened(f"{leader} is lost; its lease runs out")
        self._cloud.settle()
        successor = self._leader()
        if successor == leader:
            raise Failure(f"no unit leads in the place of {leader}")
        self._happened(f"{successor} leads in its place")
        self._cloud.remove_unit(leader, force=True)
        self._expect_whole(5)
        self._say("The cluster is the same as before.")

    def _replace_communicator(self) -> None:
        dead = self._communicator()
        name = self._cloud.hostname(dead)
        self._heading(f"The communicator, {dead} on {name}, is killed (kill -9)")
        self._cloud.kill_machine(dead)
        self._happened("wait until the cluster itself notices")
        self._wait_until_noticed(name)
        self._happened(f"the cluster lists {name} as not online")

        newcomer = self._cloud.add_unit(CONSUMER)
        self._heading(f"{newcomer} is added, and must wait until {name} is online or removed")
        self._eventually(
            f"{newcomer} waits for {name}",
            lambda: (status := self._cloud.status(newcomer))[0] == "waiting" and name in status[1],
        )
        if self._members(newcomer):
            raise Failure(f"{newcomer} has joined while {name} is down")

        self._heading(f"{dead} is removed by force, and {newcomer} joins")
        self._cloud.remove_unit(dead, force=True)
        self._happened("no unit gets a departed event (as on Juju 4); update-status runs")
        self._eventually(f"{newcomer} is a member", lambda: bool(self._members(newcomer)))

    def _sum_up(self) -> None:
        lists = self._lists_when_done(5)
        self._heading("The cluster's own list of members")
        for member in next(iter(lists.values()), ()):
            online = "online" if member.online else "NOT ONLINE"
            self._say(f"{member.name:<16} {member.role:<10} {online}")
        if fault := self._fault(lists, 5):
            raise Failure(fault)
        self._say("It is right: the machines of all five units, online, and no other.")
        self._heading("The units")
        self._show_units(lists)
        self._heading("Summary")
        verbs = self._verbs()
        hooks = len(self._cloud.juju.trace)
        self._say(
            f"On {self._where}, {time.monotonic() - self._started:.0f} s, {hooks} hooks.\n"
            f"{verbs['bootstrap']} bootstrap, {verbs['add']} tokens issued, "
            f"{verbs['join']} joins, {verbs['remove']} member removed."
        )
        if left := self._tokens_left():
            raise Failure(f"a token is left in the databag of {', '.join(left)}")
        # Otherwise the search for tokens would prove nothing.
        if len(self._seen) != verbs["add"]:
            raise Failure(f"{verbs['add']} tokens were issued, {len(self._seen)} seen in databags")
        bags = sum(1 for _ in self._cloud.juju.bags())
        self._say(
            f"All {verbs['add']} tokens were seen on their way; "
            f"none is left in any of {bags} databags."
        )

    # What must be so

    def _expect_whole(self, size: int) -> None:
        if fault := self._fault(self._lists_when_done(size), size):
            raise Failure(fault)

    def _lists_when_done(self, size: int) -> Mapping[str, Sequence[protocol.Member]]:
        """Return the lists once they are right and no token is left, or when time is up."""
        lists: dict[str, Sequence[protocol.Member]] = {}

        def are_right() -> bool:
            lists.clear()
            lists.update({unit: self._members(unit) for unit in self._cloud.units(CONSUMER)})
            # Used tokens are taken out of the databags at update-status.
            return not self._fault(lists, size) and not self._tokens_left()

        # The caller shows what is wrong.
        with contextlib.suppress(AssertionError):
            self._cloud.eventually("the list of members is right", are_right)
        return lists

    def _fault(self, lists: Mapping[str, Sequence[protocol.Member]], size: int) -> str:
        """Say what is wrong with the list of members, as each unit's machine gives it."""
        expected = sorted(self._cloud.hostname(unit) for unit in lists)
        if len(expected) != size:
            return f"there are {len(expected)} units, not {size}"
        for unit, members in lists.items():
            names = sorted(member.name for member in members)
            wrong = f"the list that {unit} gives is wrong"
            if names != expected:
                has, wanted = ", ".join(names) or "no member", ", ".join(expected)
                return f"{wrong}: it has {has}; it should have {wanted}"
            if offline := [member.name for member in members if not member.online]:
                return f"{wrong}: not online: {', '.join(offline)}"
            if pending := [member.name for member in members if member.role == "PENDING"]:
                return f"{wrong}: PENDING: {', '.join(pending)}"
        return ""

    def _tokens_left(self) -> list[str]:
        """Name the owners of the databags that hold a token."""
        return sorted(
            {
                bag.owner
                for bag in self._cloud.juju.bags()
                for value in bag.data.values()
                if _wire.looks_like_token(value) or _wire.digest(value) in self._seen
            }
        )

    def _eventually(self, what: str, seen: Callable[[], bool]) -> None:
        try:
            self._cloud.eventually(what, seen)
        except AssertionError:
            raise Failure(f"this did not happen: {what}") from None

    def _wait_until_noticed(self, name: str) -> None:
        units = self._cloud.units(CONSUMER)
        witness = next(unit for unit in units if self._cloud.juju.unit(unit).machine.up)
        deadline = time.monotonic() + _NOTICE_LIMIT
        while time.monotonic() < deadline:
            self._check()
            if any(m.name == name and not m.online for m in self._members(witness)):
                return
            time.sleep(1)
        raise Failure(f"the cluster has not noticed that {name} is down")

    # Questions to the cloud

    def _members(self, unit: str) -> list[protocol.Member]:
        """Return the list that a unit's machine gives; empty if it gives none."""
        try:
            return self._cloud.members(unit)
        except (subprocess.TimeoutExpired, ValueError):
            return []

    def _leader(self) -> str:
        leader = self._cloud.leader(DISTRIBUTOR)
        if leader is None:
            raise Failure("no unit of the distributor leads")
        return leader

    def _communicator(self) -> str:
        members = self._members(self._cloud.units(CONSUMER)[0])
        voters = [m.name for m in members if m.role == "voter" and m.online]
        for unit in self._cloud.units(CONSUMER):
            if voters and self._cloud.hostname(unit) == min(voters):
                return unit
        raise Failure("no unit is the communicator")

    def _verbs(self) -> collections.Counter[str]:
        """Count the cluster's commands that hooks ran with success."""
        trace = self._cloud.juju.trace
        return collections.Counter(words[0] for hook in trace for words in _words(hook))

    def _on_machine(self, name: str) -> str:
        """Return the unit on the machine of a host name, with that name."""
        for unit in self._cloud.units(CONSUMER):
            if self._cloud.hostname(unit) == name:
                return f"{unit} ({name})"
        return name

    # What is shown

    def _say(self, text: str) -> None:
        print(text, flush=True)

    def _heading(self, text: str) -> None:
        self._say(f"\n== {text}")

    def _happened(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._started:6.1f} s  {text}")

    def _show_units(self, lists: Mapping[str, Sequence[protocol.Member]]) -> None:
        roles = {member.name: member.role for row in lists.values() for member in row}
        rows = [("Unit", "Machine", "Cluster", "Status", "Message")]
        for application in (CONSUMER, DISTRIBUTOR):
            for unit in self._cloud.units(application):
                star = "*" if self._cloud.leader(application) == unit else ""
                name = self._cloud.hostname(unit)
                rows.append((unit + star, name, roles.get(name, ""), *self._cloud.status(unit)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._say("  ".join(cells).rstrip())

    def _show_hook(self, hook: juju_model.Hook) -> None:
        for words in _words(hook):
            self._show_command(hook.unit, *words)
        for write in hook.writes:
            self._show_write(hook.unit, write)
        self._show_statuses()

    def _show_command(self, unit: str, verb: str, name: str = "", *_: str) -> None:
        hostname = self._cloud.hostname(unit)
        if verb == "bootstrap":
            self._happened(f"{unit} ({hostname}) bootstraps the cluster")
        elif verb == "add":
            self._issuers[name] = unit
            self._happened(f"{unit} issues a token for {self._on_machine(name)}")
        elif verb == "join":
            issuer = self._issuers.get(hostname, "an unknown unit")
            self._happened(f"{unit} ({hostname}) joins with the token that {issuer} issued")
        elif verb == "remove":
            self._happened(f"{unit} removes {name}: not online, and its unit is gone")

    def _show_write(self, unit: str, write: juju_model.Write) -> None:
        value = write.new or ""
        key = write.key.removeprefix(_wire.MIRROR_PREFIX)
        distributes = write.owner.partition("/")[0] == DISTRIBUTOR
        if _wire.looks_like_token(value):
            self._seen.add(_wire.digest(value))
            if distributes:
                self._happened(f"{unit} publishes the token for {self._on_machine(key)}")
        elif write.key == "bootstrap-host" and value:
            self._happened(f"{unit} grants the bootstrap to {self._on_machine(value)} alone")
        elif write.key == "hold" and value and distributes:
            self._happened(f"{unit} pauses joins: {value} is offline")

    def _show_statuses(self) -> None:
        """Show the status of each unit that has begun to wait for another."""
        everyone = self._cloud.units(CONSUMER)
        awaited = {name for unit in everyone for name in (unit, self._cloud.hostname(unit))}
        for unit in everyone:
            status, message = self._cloud.status(unit)
            if self._statuses.get(unit) == (status, message):
                continue
            self._statuses[unit] = (status, message)
            if status == "waiting" and awaited & set(message.split()):
                self._happened(f"{unit} shows: {message}")


def _words(hook: juju_model.Hook) -> list[list[str]]:
    """Return the words of the cluster's commands that a hook ran with success.

    The second word of `join` is a token: it is never shown.
    """
    prefix = len(local.COMMAND)
    return [
        list(command.argv[prefix:])
        for command in hook.commands
        if list(command.argv[:prefix]) == local.COMMAND and command.returncode == 0
    ]
