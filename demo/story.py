"""The story that the demonstration tells, against a cloud on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from demo import screen
from tests.clouds import local, protocol

if TYPE_CHECKING:
    from tests import juju_model

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR

# Seconds. LXD calls a killed member offline 11 s after its last heartbeat, which it may have sent
# 10 s after the one before.
_NOTICE_LIMIT = 60


class Failure(Exception):  # noqa: N818 - named for what it is to the reader of the story
    """The story did not go as it should."""


class Story:
    """Forms a cluster, and does to it what befalls clusters.

    Args:
        cloud: on which it happens.
        view: where it is shown.
    """

    def __init__(self, cloud: local.LocalCloud, view: screen.Screen):
        self._cloud = cloud
        self._view = view
        cloud.juju.on_hook.append(self._show_hook)

    def tell(self) -> None:
        """Tell it from the beginning to the end.

        Raises:
            Failure: something is not as it has to be, the list of members at the end above all.
        """
        self._form()
        self._scale_out()
        self._lose_distributor_leader()
        newcomer = self._add_while_member_is_down()
        self._remove_dead_unit(newcomer)
        self._sum_up()

    # The parts of the story

    def _form(self) -> None:
        self._view.heading("Three units and a distributor: one cluster forms")
        self._cloud.deploy(CONSUMER, units=3)
        self._cloud.deploy(DISTRIBUTOR, units=3)
        self._cloud.integrate(CONSUMER, DISTRIBUTOR)
        self._cloud.settle()
        self._expect_whole("three units have formed one cluster", 3)

    def _scale_out(self) -> None:
        self._view.heading("Two units more: five")
        for _ in range(2):
            self._cloud.add_unit(CONSUMER)
        self._cloud.settle()
        self._expect_whole("five units are one cluster", 5)

    def _lose_distributor_leader(self) -> None:
        leader = self._leader()
        self._view.heading(f"The distributor's leader, {leader}, is killed")
        self._cloud.kill_machine(leader)
        self._cloud.settle()
        successor = self._leader()
        if successor == leader:
            raise Failure(f"nobody leads in the place of {leader}")
        self._view.happened(f"{successor} leads in its place")
        self._cloud.remove_unit(leader, force=True)
        self._cloud.settle()
        self._expect_whole("the cluster does not mind", 5)

    def _add_while_member_is_down(self) -> str:
        victim = self._communicator()
        name = self._cloud.hostname(victim)
        self._view.heading(f"The communicator, {victim} on {name}, is killed (kill -9)")
        self._cloud.kill_machine(victim)
        self._view.happened("waiting until the cluster itself notices")
        self._wait_until_noticed(name)
        self._view.happened(f"the cluster lists {name} as not online")

        newcomer = self._cloud.add_unit(CONSUMER)
        self._view.heading(f"{newcomer} is added, and must wait until {name} is online or removed")
        self._cloud.settle()
        status, message = self._cloud.status(newcomer)
        self._view.say(f"{newcomer} is {status}: {message}")
        if status != "waiting" or name not in message or self._cloud.members(newcomer):
            raise Failure(f"{newcomer} does not wait for {name}")
        return newcomer

    def _remove_dead_unit(self, newcomer: str) -> None:
        dead = self._lost_unit()
        self._view.heading(f"{dead} is removed by force, and {newcomer} joins")
        self._cloud.remove_unit(dead, force=True)
        self._view.happened("no unit is told that it departed; update-status comes round")
        try:
            self._cloud.eventually(
                f"{newcomer} is a member", lambda: bool(self._cloud.members(newcomer))
            )
        except AssertionError as error:
            raise Failure(str(error)) from None

    def _sum_up(self) -> None:
        self._cloud.settle()
        self._view.heading("The cluster's own list of members")
        members = self._cloud.members(self._cloud.units(CONSUMER)[0])
        for member in members:
            online = "online" if member.online else "NOT ONLINE"
            self._view.say(f"{member.name:<16} {member.role:<10} {online}")
        self._view.heading("The units")
        self._view.table(self._rows())
        self._expect_whole("five units, one cluster, no ghosts", 5)
        commands = [self._words(hook) for hook in self._cloud.juju.trace]
        verbs = [words[0] for hook_words in commands for words in hook_words]
        self._view.heading("Summary")
        self._view.say(
            f"{len(self._cloud.juju.trace)} hooks, {verbs.count('bootstrap')} bootstrap, "
            f"{verbs.count('add')} tokens issued, {verbs.count('join')} joins, "
            f"{verbs.count('remove')} member removed"
        )

    # What is seen

    def _expect_whole(self, what: str, size: int) -> None:
        """Check the cluster's own list, as each unit's machine gives it."""
        units = self._cloud.units(CONSUMER)
        names = sorted(self._cloud.hostname(unit) for unit in units)
        for unit in units:
            members = self._cloud.members(unit)
            if len(names) != size or [member.name for member in members] != names:
                raise Failure(f"{unit} does not list {size} members, one for each unit")
            if not all(member.online for member in members):
                raise Failure(f"{unit} lists a member that is not online")
        self._view.say(f"So {what}.")

    def _leader(self) -> str:
        leader = self._cloud.leader(DISTRIBUTOR)
        if leader is None:
            raise Failure("no unit of the distributor leads")
        return leader

    def _communicator(self) -> str:
        for unit in self._cloud.units(CONSUMER):
            if self._cloud.bag(unit).get("mirror") == "up":
                return unit
        raise Failure("no unit is the communicator")

    def _lost_unit(self) -> str:
        for unit in self._cloud.units(CONSUMER):
            if not self._cloud.juju.unit(unit).machine.up:
                return unit
        raise Failure("no machine is lost")

    def _wait_until_noticed(self, name: str) -> None:
        witness = next(
            unit for unit in self._cloud.units(CONSUMER) if self._cloud.juju.unit(unit).machine.up
        )
        deadline = time.monotonic() + _NOTICE_LIMIT
        while time.monotonic() < deadline:
            if any(m.name == name and not m.online for m in self._cloud.members(witness)):
                return
            time.sleep(1)
        raise Failure(f"the cluster has not noticed that {name} is down")

    def _rows(self) -> list[screen.Row]:
        rows: list[screen.Row] = []
        roles = self._roles()
        for application in (CONSUMER, DISTRIBUTOR):
            for unit in self._cloud.units(application):
                status, message = self._cloud.status(unit)
                name = self._cloud.hostname(unit)
                star = "*" if self._cloud.leader(application) == unit else ""
                rows.append(screen.Row(unit + star, name, status, message, roles.get(name, "")))
        return rows

    def _roles(self) -> dict[str, str]:
        for unit in self._cloud.units(CONSUMER):
            if self._cloud.juju.unit(unit).machine.up and (members := self._cloud.members(unit)):
                return {
                    member.name: member.role if member.online else "not online"
                    for member in members
                }
        return {}

    # What is shown as it happens

    def _show_hook(self, hook: juju_model.Hook) -> None:
        for words in self._words(hook):
            verb, name = words[0], words[1] if len(words) > 1 else ""
            line = {
                "bootstrap": f"{hook.unit} bootstraps the cluster",
                "add": f"{hook.unit} issues a token for {name}",
                "join": f"{hook.unit} joins with its token",
                "remove": f"{hook.unit} removes {name}, which is not online",
            }.get(verb)
            if line:
                self._view.happened(line)
        for write in hook.writes:
            if write.key == "bootstrap-unit" and write.new:
                self._view.happened(f"{hook.unit} grants the bootstrap to {write.new}")
            elif write.key == "hold" and write.new and hook.unit.startswith(DISTRIBUTOR):
                self._view.happened(f"{hook.unit} tells newcomers to wait for {write.new}")
        self._view.units(self._cheap_rows())

    def _cheap_rows(self) -> list[screen.Row]:
        """Return the rows from databags alone: to ask a daemon after each hook takes too long."""
        return [
            screen.Row(
                unit + ("*" if self._cloud.leader(application) == unit else ""),
                self._cloud.hostname(unit),
                *self._cloud.status(unit),
                "member" if self._cloud.bag(unit).get("member") == "true" else "",
            )
            for application in (CONSUMER, DISTRIBUTOR)
            for unit in self._cloud.units(application)
        ]

    @staticmethod
    def _words(hook: juju_model.Hook) -> list[list[str]]:
        """Return the words of the cluster's commands that a hook ran with success."""
        prefix = len(local.COMMAND)
        return [
            list(command.argv[prefix:])
            for command in hook.commands
            if list(command.argv[:prefix]) == local.COMMAND and command.returncode == 0
        ]
