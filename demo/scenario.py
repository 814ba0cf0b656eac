"""The scenario of the demonstration, on a cloud on this machine."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING

from microcluster_token_distributor import _wire
from tests.clouds import local
from tests.scenarios import helpers
from tests.scenarios.helpers import CONSUMER, DISTRIBUTOR

if TYPE_CHECKING:
    from tests import juju_model


class Scenario:
    """Forms a cluster on an empty cloud, scales it out, and takes machines away from it.

    Args:
        cloud: the cloud.
        where: what its machines are, in a few words.
    """

    def __init__(self, cloud: local.LocalCloud, where: str):
        self._cloud = cloud
        self._where = where
        self._started = time.monotonic()
        self._statuses: dict[str, tuple[str, str]] = {}
        self._issuers: dict[str, str] = {}
        # How often hooks ran each of the cluster's commands with success.
        self._counts: collections.Counter[str] = collections.Counter()
        cloud.juju.on_hook.append(self._show_hook)

    def run(self) -> None:
        """Run it from the beginning to the end.

        Raises:
            AssertionError: something is not as it must be. No value of a databag is in its text.
        """
        cloud = self._cloud
        print(
            f"On {self._where}. Each hook runs the real charm; Juju itself is a model in memory."
        )

        self._heading("Three machines, and a distributor with three units: one cluster forms")
        helpers.form(cloud, 3, distributors=3)
        self._happened("three units are one cluster")

        self._heading("Two more machines: five")
        for _ in range(2):
            cloud.add_unit(CONSUMER)
        helpers.expect_whole(cloud)
        self._happened("five units are one cluster")

        self._heading(f"The distributor's leader, {helpers.leader(cloud)}, is killed")
        former = helpers.kill_leader(cloud)
        self._happened(f"{helpers.leader(cloud)} leads in its place")
        cloud.remove_unit(former, force=True)
        helpers.expect_whole(cloud)
        self._happened("the cluster is the same as before")

        dead = helpers.communicator(cloud)
        name = cloud.hostname(dead)
        self._heading(f"{dead} on {name}, which issues the tokens, is killed (kill -9)")
        cloud.kill_machine(dead)
        # LXD calls a member offline up to 21 s after it was killed.
        self._happened("wait until the cluster itself notices")
        cloud.eventually(
            f"the cluster lists {name} as not online",
            lambda: not all(m.online for m in cloud.members(helpers.another(cloud, dead))),
        )
        self._happened(f"the cluster lists {name} as not online")
        newcomer = cloud.add_unit(CONSUMER)
        self._heading(f"{newcomer} is added, and must wait until {name} is online or removed")
        helpers.expect_waiting(cloud, newcomer, dead)

        self._heading(f"{dead} is removed by force, and {newcomer} joins")
        cloud.remove_unit(dead, force=True)
        helpers.expect_whole(cloud)
        self._sum_up()

    def _sum_up(self) -> None:
        cloud, counts = self._cloud, self._counts
        roles = {m.name: m.role for m in cloud.members(cloud.units(CONSUMER)[0])}
        self._heading("The units, and their roles in the cluster's own list of members")
        for unit in [*cloud.units(CONSUMER), *cloud.units(DISTRIBUTOR)]:
            name, status = cloud.hostname(unit), cloud.status(unit)
            row = f"{unit:32}  {name:11}  {roles.get(name, ''):8}  {status[0]:7}  {status[1]}"
            print(row.rstrip())
        print(
            "The list is right: the machines of all five units, online, and no other.\n"
            "No token is left in a databag.\n"
            f"{counts['bootstrap']} bootstrap, {counts['add']} tokens issued, "
            f"{counts['join']} joins, {counts['remove']} member removed, on {self._where}."
        )

    # What is shown

    def _heading(self, text: str) -> None:
        print(f"\n== {text}", flush=True)

    def _happened(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.1f} s  {text}", flush=True)

    def _on_machine(self, name: str) -> str:
        """Return the unit on the machine of a host name, with that name."""
        for unit in self._cloud.units(CONSUMER):
            if self._cloud.hostname(unit) == name:
                return f"{unit} ({name})"
        return name

    def _show_hook(self, hook: juju_model.Hook) -> None:
        prefix = len(local.COMMAND)
        for command in hook.commands:
            if list(command.argv[:prefix]) == local.COMMAND and command.returncode == 0:
                self._show_command(hook.unit, *command.argv[prefix:])
        for write in hook.writes:
            self._show_write(hook.unit, write)
        self._show_statuses()

    def _show_command(self, unit: str, verb: str, name: str = "", *_: str) -> None:
        self._counts[verb] += 1
        hostname = self._cloud.hostname(unit)
        if verb == "bootstrap":
            self._happened(f"{unit} ({hostname}) bootstraps the cluster")
        elif verb == "add":
            self._issuers[name] = unit
            self._happened(f"{unit} issues a token for {self._on_machine(name)}")
        elif verb == "join":
            # `name` is the token.
            issuer = self._issuers[hostname]
            self._happened(f"{unit} ({hostname}) joins with the token that {issuer} issued")
        elif verb == "remove":
            self._happened(f"{unit} removes {name}: not online, and its unit is gone")

    def _show_write(self, unit: str, write: juju_model.Write) -> None:
        if not write.new or write.owner.partition("/")[0] != DISTRIBUTOR:
            return
        if _wire.looks_like_token(write.new):
            key = write.key.removeprefix(_wire.MIRROR_PREFIX)
            self._happened(f"{unit} publishes the token for {self._on_machine(key)}")
        elif write.key == "bootstrap-host":
            self._happened(f"{unit} grants the bootstrap to {self._on_machine(write.new)} alone")
        elif write.key == "hold":
            self._happened(f"{unit} pauses joins: {write.new} is offline")

    def _show_statuses(self) -> None:
        """Show the status of each unit that has begun to wait for a member."""
        for unit in self._cloud.units(CONSUMER):
            status = self._cloud.status(unit)
            if status != self._statuses.get(unit):
                self._statuses[unit] = status
                if status[1].startswith("waiting to join"):
                    self._happened(f"{unit} shows: {status[1]}")
