"""The rows that every microcluster has to satisfy, written from measurements of real ones.

The reference is MicroOVN's command line over microcluster 2.0.5. The fake has to be as harsh as
that reference. Microcluster 3.0.0 differs in places, and a world made of LXD daemons is kinder in
others, see `Traits.version`.

A world subclasses `ConformanceSuite` and gives it the fixtures `cluster`, a fresh
`protocol.Microcluster`, and `world`, the `Traits` of that very cluster. Nothing here measures
time.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.microclusters.protocol import Machine, Microcluster

# Seconds within which a real cluster has reassigned its roles: some heartbeats.
SETTLING = 60.0

# How `add` can be refused, once, after a removal. Microcluster 3.0.0 does.
INCONSISTENT = "Membership consistency check failed after timeout"

LIST = ("list", "-f", "json")


@dataclasses.dataclass(frozen=True)
class Traits:
    """Where a world differs from the measured microcluster, and how it lets time pass."""

    # Called with a predicate, it lets time pass until that holds, and fails the test if it does
    # not within `SETTLING`. A real world polls, and may take a predicate's AssertionError for "not
    # yet", because no member answers during an election.
    eventually: Callable[[Callable[[], bool]], None]
    # What a refused command's standard error has to match somewhere, by what refuses it.
    refusals: dict[str, str]
    # Of microcluster, or "LXD". With 2.0.5 a join while a member is dead fails, leaves a ghost
    # behind, and costs a cluster of three its quorum for as long as the dead one is down. With
    # 3.0.0 `remove OWN-NAME` exits 1 although the member has left. LXD lets the only member go,
    # takes any name for a host name, and has no role `PENDING`, which a member has until the next
    # heartbeat.
    version: str


def run(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a sub-command on a machine; one without a quorum needs up to 30 seconds."""
    return machine.run([*machine.command, *words], timeout=60.0)


def succeed(machine: Machine, *words: str) -> str:
    """Run a sub-command that has to exit 0, and return what it prints."""
    done = run(machine, *words)
    assert done.returncode == 0, f"{machine.name}: {words[0]}: {done.stderr}"
    return done.stdout


def refused(machine: Machine, *words: str, because: str) -> None:
    """Run a sub-command that has to exit 1, print nothing, and complain of `because`."""
    done = run(machine, *words)
    assert done.returncode == 1, f"{machine.name}: {words[0]}: {done.stderr}"
    assert re.search(because, done.stderr), f"{machine.name}: {words[0]}: {done.stderr}"
    assert not done.stdout


def add(member: Machine, name: str) -> str:
    """Let `member` issue a token for `name`, at a second try where a removal was just before."""
    done = run(member, "add", name)
    if INCONSISTENT in done.stderr:
        done = run(member, "add", name)
    assert done.returncode == 0, f"{member.name}: {done.stderr}"
    return done.stdout.strip()


def members(machine: Machine) -> dict[str, dict[str, str]]:
    """Ask a machine for the rows of its cluster's members, by name."""
    rows = json.loads(succeed(machine, *LIST))
    by_name = {row["name"]: row for row in rows}
    assert len(by_name) == len(rows), f"a name is listed twice: {rows}"
    return by_name


def online(machine: Machine) -> set[str]:
    """The names of the members that are online, as `machine` lists them."""
    return {name for name, row in members(machine).items() if row["status"] == "ONLINE"}


def voters(machine: Machine) -> set[str]:
    """The names of the voting members, as `machine` lists them."""
    return {name for name, row in members(machine).items() if row["role"] == "voter"}


def join(cluster: Microcluster, member: Machine, name: str) -> Machine:
    """Bring up a fresh machine and let it join `member`'s cluster."""
    newcomer = cluster.add_machine(name)
    succeed(newcomer, "join", add(member, name))
    return newcomer


def form(cluster: Microcluster, world: Traits, size: int) -> list[Machine]:
    """Form a cluster of `node-1` to `node-<size>`, and let it assign its roles."""
    first = cluster.add_machine("node-1")
    succeed(first, "bootstrap")
    nodes = [first, *(join(cluster, first, f"node-{i}") for i in range(2, size + 1))]
    settle(world, first, size)
    return nodes


def settle(world: Traits, member: Machine, size: int) -> None:
    """Wait until `size` members are online with their roles: three voters as soon as there are."""

    def settled() -> bool:
        assigned = all(row["role"] != "PENDING" for row in members(member).values())
        enough = len(voters(member)) >= (3 if size >= 3 else 1)
        return len(online(member)) == size and assigned and enough

    world.eventually(settled)


class ConformanceSuite:
    """The measured rows; a world subclasses it and gives `cluster` and `world`."""

    def test_fresh_machine_bootstraps(self, cluster: Microcluster, world: Traits) -> None:
        """It issues tokens at once, before any heartbeat has given it a role."""
        node = cluster.add_machine("node-1")
        for words in (("add", "node-2"), LIST):
            refused(node, *words, because=world.refusals["not a member"])
        # No base64: its length is wrong, at byte 8.
        refused(node, "join", "notatoken", because=world.refusals["rubbish"])

        assert not succeed(node, "bootstrap")

        assert online(node) == {"node-1"}
        row = members(node)["node-1"]
        assert row["address"].startswith(node.address)
        assert world.version == "LXD" or row["role"] == "PENDING"
        (token,) = succeed(node, "add", "node-2").split()
        assert {"secret", "fingerprint"} <= json.loads(base64.b64decode(token)).keys()
        for name in () if world.version == "LXD" else ("under_score", "1234", "a.1", "x" * 64):
            refused(node, "add", name, because="^Error: ")
        for name in ("Upper", "node.example.com", "7up", "x" * 63):
            assert add(node, name)

    def test_fresh_machines_join(self, cluster: Microcluster, world: Traits) -> None:
        first, second, third = map(cluster.add_machine, ("node-1", "node-2", "node-3"))
        succeed(first, "bootstrap")
        tokens = [
            succeed(first, "add", node.name, "--timeout", "600").strip()
            for node in (second, third)
        ]

        succeed(second, "join", tokens[0])
        refused(third, "join", add(first, "node-4"), because=world.refusals["another's token"])
        refused(third, *LIST, because=world.refusals["not a member"])
        succeed(third, "join", tokens[1])

        settle(world, first, 3)
        for node in (first, second, third):
            assert online(node) == {"node-1", "node-2", "node-3"}
            assert members(first)[node.name]["address"].startswith(node.address)

    def test_tokens_of_members_and_newcomers(self, cluster: Microcluster, world: Traits) -> None:
        """One for a member's name is of no use. One that is valid holds its name, unseen."""
        first, second = form(cluster, world, 2)
        useless, token = add(first, "node-2"), add(first, "node-3")

        for node in (first, second):
            refused(node, "bootstrap", because=world.refusals["member"])
            refused(node, "join", useless, because=world.refusals["member"])
            refused(node, "add", "node-3", because=world.refusals["name taken"])
            assert token not in run(node, "add", "node-3").stderr

        succeed(cluster.add_machine("node-3"), "join", token)

    def test_expired_token_is_refused_and_does_not_hold_its_name(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        (first,) = form(cluster, world, 1)
        newcomers = [cluster.add_machine(name) for name in ("node-2", "node-3")]
        expired = [add(first, newcomer.name) for newcomer in newcomers]
        cluster.expire_tokens()

        # Before another is issued, and without a try before that.
        refused(newcomers[0], "join", expired[0], because=world.refusals["expired token"])
        refused(newcomers[0], *LIST, because=world.refusals["not a member"])
        for newcomer in newcomers:
            succeed(newcomer, "join", add(first, newcomer.name))

        assert online(first) == {"node-1", "node-2", "node-3"}

    def test_killed_members_are_unreachable_until_they_are_back(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        """While one of three is down no other can leave, and without two there is no quorum."""
        first, second, third = form(cluster, world, 3)

        third.kill()
        for witness in (first, second):
            assert online(witness) == {"node-1", "node-2"}
            assert members(witness)["node-3"]["status"] == "UNREACHABLE"
        refused(second, "remove", "node-2", because=world.refusals["cannot leave"])
        second.kill()
        for words in (LIST, ("add", "node-4")):
            refused(first, *words, because=world.refusals["no quorum"])
        second.start()
        third.start()

        for node in (first, third):
            world.eventually(lambda node=node: online(node) == {"node-1", "node-2", "node-3"})

    def test_removed_member_resets_itself_and_joins_again(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        """Its former token is of no use."""
        first = cluster.add_machine("node-1")
        second = cluster.add_machine("node-2")
        succeed(first, "bootstrap")
        token = add(first, "node-2")
        succeed(second, "join", token)
        settle(world, first, 2)

        succeed(first, "remove", "node-2")

        assert set(members(first)) == {"node-1"}
        world.eventually(lambda: run(second, *LIST).returncode == 1)
        refused(second, *LIST, because=world.refusals["not a member"])
        refused(second, "join", token, because=world.refusals["used token"])
        succeed(second, "join", add(first, "node-2"))
        assert online(first) == {"node-1", "node-2"}

    def test_member_removes_itself(self, cluster: Microcluster, world: Traits) -> None:
        first, second, third = form(cluster, world, 3)

        if world.version == "3.0.0":
            refused(first, "remove", "node-1", because="context canceled$")
        else:
            succeed(first, "remove", "node-1")

        world.eventually(lambda: online(second) == {"node-2", "node-3"})
        assert online(third) == {"node-2", "node-3"}
        not_a_member = re.compile(world.refusals["not a member"])
        world.eventually(lambda: bool(not_a_member.search(run(first, *LIST).stderr)))

    def test_only_member_cannot_leave_unless_the_world_is_kind(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        (first,) = form(cluster, world, 1)
        for force in ((), ("--force",)):
            refused(first, "remove", "nobody", *force, because=world.refusals["nobody"])
            if world.version != "LXD":
                refused(first, "remove", "node-1", *force, because=world.refusals["alone"])
        assert online(first) == {"node-1"}

        if world.version == "LXD":
            succeed(first, "remove", "node-1")
            refused(first, *LIST, because=world.refusals["not a member"])
            succeed(first, "bootstrap")

    def test_unreachable_member_is_removed_by_force_and_leaves_its_name(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        """No member is special: the others elect another database leader."""
        first, second, third = form(cluster, world, 3)
        first.destroy()

        refused(second, "remove", "node-1", because=world.refusals["unreachable"])
        assert set(members(second)) == {"node-1", "node-2", "node-3"}
        succeed(second, "remove", "node-1", "--force")
        assert set(members(third)) == {"node-2", "node-3"}

        again = join(cluster, second, "node-1")
        settle(world, second, 3)
        assert online(again) == {"node-1", "node-2", "node-3"}
        assert members(second)["node-1"]["address"].startswith(again.address)

    def test_join_while_a_member_is_down_costs_the_quorum_unless_the_world_is_kind(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        """It comes back with the dead member only."""
        first, second, third = form(cluster, world, 3)
        newcomer = cluster.add_machine("node-4")
        token = add(first, "node-4")
        third.kill()

        if world.version != "2.0.5":
            succeed(newcomer, "join", token)
            world.eventually(lambda: online(first) == {"node-1", "node-2", "node-4"})
            return

        refused(newcomer, "join", token, because=world.refusals["unconfirmed"])
        for member in (first, second):
            refused(member, *LIST, because=world.refusals["no quorum"])
            refused(member, "add", "node-5", because=world.refusals["no quorum"])
        third.start()
        world.eventually(lambda: "node-3" in online(first))
        assert members(first)["node-4"]["status"] == "UNREACHABLE"
