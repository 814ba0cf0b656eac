"""The fake microcluster passes the suite that LXD daemons pass too, and is harsher.

Here are also the measured harms that no real world in reach can show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from tests.conformance import suite
from tests.conformance.suite import LIST, add, refused, succeed
from tests.microclusters import fake
from tests.microclusters.cluster import HEARTBEAT
from tests.microclusters.commands import NO_QUORUM, NOT_INITIALIZED

if TYPE_CHECKING:
    from collections.abc import Callable

JOINING = r"^Error: \d+ join attempts were unsuccessful\. Last error: "

# How the reference words it, as far as it was measured.
REFUSALS = {
    "member": "^Error: Unable to initialize cluster: Database is online$",
    "not a member": "^Error: Database is not yet initialized$",
    "name taken": r'name "[^"]+" is taken:\n.*UNIQUE .* failed: core_token_records\.name$',
    "used token": JOINING + "CoreTokenRecord not found$",
    "expired token": JOINING + "Token expired$",
    "another's token": JOINING + ".*certificate SAN does not contain join token name$",
    "rubbish": "^Error: illegal base64 data at input byte 8$",
    "unreachable": "^Error: .*connection refused$",
    "nobody": '^Error: No remote exists with the given name "nobody"$',
    "no quorum": "^Error: .*no available dqlite leader server found$",
    "unconfirmed": r'new member "node-4" on any .* system \(3\): .*connection refused$',
    "cannot leave": "^Error: .*context deadline exceeded$",
    "alone": "^Error: Cannot leave a cluster with 1 members$",
}


@pytest.fixture(params=["2.0.5", "3.0.0"])
def cluster(request: pytest.FixtureRequest) -> fake.FakeMicrocluster:
    """A fake of each version, with a clock of its own."""
    return fake.FakeMicrocluster(version=request.param)


class TestFakeMicrocluster(suite.ConformanceSuite):
    @pytest.fixture
    def world(self, cluster: fake.FakeMicrocluster) -> suite.Traits:
        def eventually(predicate: Callable[[], bool]) -> None:
            for _ in range(int(suite.SETTLING)):
                if predicate():
                    return
                cluster.advance(1.0)
            assert predicate()

        return suite.Traits(eventually, REFUSALS, cluster.version)


def form(cluster: fake.FakeMicrocluster, size: int) -> list[fake.FakeMachine]:
    """Form a cluster of `node-1` to `node-<size>`, with its roles assigned."""
    nodes = [cluster.add_machine(f"node-{i}") for i in range(1, size + 1)]
    succeed(nodes[0], "bootstrap")
    for node in nodes[1:]:
        succeed(node, "join", add(nodes[0], node.name))
    cluster.advance(HEARTBEAT)
    return nodes


def outcomes(find: Callable[[fake.FakeMicrocluster], object], version: str) -> set[object]:
    """Return what is found with each of twenty seeds."""
    return {find(fake.FakeMicrocluster(seed=seed, version=version)) for seed in range(20)}


def test_roles_are_given_at_heartbeats(cluster: fake.FakeMicrocluster) -> None:
    """Voters that die between two of them take the quorum along, however many stand by."""
    first, *nodes = form(cluster, 8)
    roles = [row["role"] for row in suite.members(first).values()]
    assert sorted(roles) == ["spare"] * 2 + ["stand-by"] * 3 + ["voter"] * 3

    second, third = (node for node in nodes if node.name in suite.voters(first))
    second.kill()
    cluster.advance(HEARTBEAT)
    voters = suite.voters(first)
    assert len(voters - {second.name}) == 3
    third.kill()
    next(node for node in nodes if node.running and node.name in voters).kill()
    refused(first, *LIST, because=NO_QUORUM)


def test_a_ghost_stays_behind_until_it_is_removed() -> None:
    """In one of three roles; its machine is fresh, its address is refused, it makes the next."""

    def role(cluster: fake.FakeMicrocluster) -> str:
        first, *_, dead = form(cluster, 7)
        ghost, newcomer = map(cluster.add_machine, ("ghost", "newcomer"))
        dead.kill()
        refused(ghost, "join", add(first, "ghost"), because="Failed to confirm")
        shown = suite.members(first)["ghost"]
        assert shown["status"] == "UNREACHABLE"
        refused(ghost, *LIST, because=NOT_INITIALIZED)
        refused(ghost, "join", add(first, "ghost"), because='Remote with address ".*" exists$')
        dead.start()
        refused(newcomer, "join", add(first, "newcomer"), because="Failed to confirm")
        assert cluster.clusters[0].ghosts == ["ghost", "newcomer"]
        # The removal of one fails while the other is dead, and takes it out.
        refused(first, "remove", "newcomer", "--force", because="post-remove hook")
        succeed(first, "remove", "ghost", "--force")
        token = add(first, "newcomer")
        refused(newcomer, "join", token, because='Remote with address ".*" exists$')
        cluster.advance(HEARTBEAT)
        succeed(newcomer, "join", token)
        return shown["role"]

    assert outcomes(role, "2.0.5") == {"spare", "PENDING", "voter"}


def test_a_member_removed_by_force_while_off_is_of_no_use(cluster: fake.FakeMicrocluster) -> None:
    """Started again it can neither list nor begin anew; the others go on."""
    first, _, third = form(cluster, 3)
    third.kill()
    succeed(first, "remove", "node-3", "--force")
    token = add(first, "node-3")

    third.start()

    for words in (LIST, ("bootstrap",), ("join", token)):
        refused(third, *words, because="control.socket: no such file|Database is still starting$")
    assert suite.online(first) == {"node-1", "node-2"}


@pytest.mark.parametrize(
    ("way", "left", "answers"),
    [("stays", set[str](), True), ("stalls", set[str](), False), ("fast", {"node-2"}, True)],
)
def test_one_of_four_leaves_while_another_is_down(
    way: Literal["stays", "stalls", "fast"], left: set[str], answers: bool
) -> None:
    """Who got out so lists the others, for good; a stalled cluster awaits the dead member."""
    v3 = fake.FakeMicrocluster(version="3.0.0")
    v3.degraded_leave = way
    first, second, _, fourth = form(v3, 4)
    fourth.kill()

    refused(second, "remove", "node-2", because="deadline exceeded$|context canceled$")

    assert (suite.run(first, *LIST).returncode == 0) == answers
    fourth.start()
    everyone = {"node-1", "node-2", "node-3", "node-4"}
    assert suite.online(second) == suite.online(first) == everyone - left


def test_the_first_add_after_a_removal_can_be_refused() -> None:
    def is_refused(cluster: fake.FakeMicrocluster) -> bool:
        first, *_ = form(cluster, 4)
        succeed(first, "remove", "node-3")
        done = suite.run(first, "add", "node-5")
        succeed(first, "add", "node-6")
        return suite.INCONSISTENT in done.stderr

    assert outcomes(is_refused, "3.0.0") == {False, True}
    assert outcomes(is_refused, "2.0.5") == {False}


def test_a_host_that_drops_packets_makes_list_fail(cluster: fake.FakeMicrocluster) -> None:
    """Until it was taken out; on itself there is no leader."""
    first, _, third = form(cluster, 3)
    third.drops_packets = True

    for words in (LIST, ("remove", "node-3"), ("remove", "node-1")):
        refused(first, *words, because="deadline exceeded$")
    refused(third, *LIST, because=NO_QUORUM)
    succeed(first, "remove", "node-3", "--force")
    assert suite.online(first) == {"node-1", "node-2"}
