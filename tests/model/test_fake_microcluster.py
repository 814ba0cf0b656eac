"""What the fake microcluster does beyond the suite that all microclusters pass.

Here are the measured harms that no real world in reach can show, the seconds that commands cost,
and the seams for faults and invariants.
"""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance import suite
from tests.microclusters import fake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.microclusters import protocol


@pytest.fixture
def cluster() -> fake.FakeMicrocluster:
    """A fake with a clock of its own."""
    return fake.FakeMicrocluster()


def form(cluster: fake.FakeMicrocluster, size: int) -> list[fake.FakeMachine]:
    """Form a cluster of `node-1` to `node-<size>`, with its roles assigned."""
    nodes = [cluster.add_machine(f"node-{i}") for i in range(1, size + 1)]
    suite.succeed(nodes[0], "bootstrap")
    for node in nodes[1:]:
        suite.succeed(node, "join", suite.add(nodes[0], node.name))
    cluster.advance(fake.HEARTBEAT)
    return nodes


def haunted(cluster: fake.FakeMicrocluster, *, size: int = 7) -> list[fake.FakeMachine]:
    """Form a cluster that keeps its quorum, kill its last, and let `ghost` fail to join.

    Gives the machines, that of the ghost last.
    """
    nodes = form(cluster, size)
    nodes[-1].kill()
    ghost = cluster.add_machine("ghost")
    suite.refused(ghost, "join", suite.add(nodes[0], "ghost"), because="Failed to confirm")
    return [*nodes, ghost]


def costs(cluster: fake.FakeMicrocluster) -> list[float]:
    """Have the seconds of each command from now on gathered in a list."""
    spent: list[float] = []
    cluster.on_spend = spent.append
    return spent


def test_it_has_the_form_that_all_microclusters_have(cluster: fake.FakeMicrocluster) -> None:
    """Type checkers hold the fake against the protocol here."""
    world: protocol.Microcluster = cluster
    machine: protocol.Machine = world.add_machine("node-1")

    world.close()

    assert machine.running


# time


def test_pending_ends_with_the_next_heartbeat(cluster: fake.FakeMicrocluster) -> None:
    """And not before."""
    node = cluster.add_machine("node-1")
    suite.succeed(node, "bootstrap")

    cluster.advance(9.9)
    before = suite.members(node)["node-1"].role
    cluster.advance(0.1)

    assert before == "PENDING"
    assert suite.members(node)["node-1"].role == "voter"


def test_roles_are_voters_then_stand_bys_then_spares(cluster: fake.FakeMicrocluster) -> None:
    """Eight members fill all three roles."""
    first, *_ = form(cluster, 8)

    roles = [member.role for member in suite.members(first).values()]

    assert sorted(roles) == ["spare"] * 2 + ["stand-by"] * 3 + ["voter"] * 3


def test_a_dead_voter_is_replaced_at_the_next_heartbeat(cluster: fake.FakeMicrocluster) -> None:
    """Five members outlive three of them, if they die slowly enough."""
    nodes = form(cluster, 5)

    for victim in nodes[:2]:
        victim.kill()
        cluster.advance(fake.HEARTBEAT)

    assert suite.voters(nodes[4]) == {"node-3", "node-4", "node-5"}


def test_two_voters_that_die_between_heartbeats_take_the_quorum_along(
    cluster: fake.FakeMicrocluster,
) -> None:
    """However many stand by."""
    nodes = form(cluster, 5)

    voters = [node for node in nodes if node.name in cluster.clusters[0].voters]
    survivor = next(node for node in nodes if node not in voters)

    for victim in voters[:2]:
        victim.kill()
    cluster.advance(fake.HEARTBEAT)

    assert not cluster.clusters[0].quorum
    suite.refused(survivor, "list", "-f", "json", because=fake.NO_QUORUM)


def test_somebody_elses_clock_is_not_moved() -> None:
    """A model that brings its clock moves it itself."""
    time = [100.0]
    cluster = fake.FakeMicrocluster(clock=lambda: time[0])
    node = cluster.add_machine("node-1")
    suite.succeed(node, "bootstrap")

    time[0] += 10.0

    assert suite.members(node)["node-1"].role == "voter"
    with pytest.raises(AssertionError, match="belongs to somebody else"):
        cluster.advance(1.0)


def test_a_token_lives_three_hours_unless_told_otherwise(cluster: fake.FakeMicrocluster) -> None:
    """`--timeout` sets another life."""
    (first,) = form(cluster, 1)
    usual = suite.add(first, "usual")
    brief = suite.succeed(first, "add", "brief", "--timeout", "60").token

    cluster.advance(60.0)
    after_a_minute = cluster.usable_tokens()
    cluster.advance(10800.0 - 61.0)
    just_before = cluster.usable_tokens()
    cluster.advance(1.0)

    assert brief.digest not in after_a_minute
    assert just_before == {usual.digest}
    assert cluster.usable_tokens() == set()


def test_a_join_with_an_expired_token_deletes_its_record(cluster: fake.FakeMicrocluster) -> None:
    """The attempt is the token's end, even for who looks into the database."""
    (first,) = form(cluster, 1)
    newcomer = cluster.add_machine("node-2")
    token = suite.add(first, "node-2")
    cluster.expire_tokens()
    kept = set(cluster.clusters[0].tokens)

    suite.refused(newcomer, "join", token, because="Token expired$")

    assert kept == {"node-2"}
    assert not cluster.clusters[0].tokens


# costs


@pytest.mark.parametrize(
    ("version", "seconds"),
    [("2.0.5", [10.5, 10.5, 10.5, 30.0, 30.0]), ("3.0.0", [5.5, 5.5, 5.5, 5.5, 30.0])],
)
def test_without_a_quorum_a_command_costs_many_seconds(version: str, seconds: list[float]) -> None:
    """Measured for `list`, `add` and `remove`; `join` is taken to wait like the first two."""
    cluster = fake.FakeMicrocluster(version=version)
    nodes = form(cluster, 3)
    newcomer = cluster.add_machine("node-4")
    token = suite.add(nodes[0], "node-4")
    spent = costs(cluster)
    nodes[1].kill()
    nodes[2].kill()

    suite.refused(nodes[0], "list", "-f", "json", because=fake.NO_QUORUM)
    suite.refused(nodes[0], "add", "node-5", because=fake.NO_QUORUM)
    suite.refused(newcomer, "join", token, because=fake.NO_QUORUM)
    suite.refused(nodes[0], "remove", "node-2", because="deadline exceeded$")
    suite.refused(nodes[0], "remove", "node-2", "--force", because="deadline exceeded$")

    assert spent == seconds


@pytest.mark.parametrize(
    ("version", "words", "seconds"),
    [
        ("2.0.5", ["list", "-f", "json"], 3.4),
        ("2.0.5", ["remove", "node-1", "--force"], 3.6),
        ("3.0.0", ["list", "-f", "json"], 5.4),
        ("3.0.0", ["remove", "node-1", "--force"], 6.2),
    ],
)
def test_the_first_command_after_the_leaders_death_is_slow(
    version: str, words: list[str], seconds: float
) -> None:
    """It waits for an election; those after it do not."""
    cluster = fake.FakeMicrocluster(version=version)
    first, second, _ = form(cluster, 3)
    spent = costs(cluster)
    first.kill()

    suite.succeed(second, *words)
    suite.members(second)

    assert spent == [pytest.approx(seconds, abs=0.1), pytest.approx(0.02, abs=0.1)]


@pytest.mark.parametrize(("version", "seconds"), [("2.0.5", [0.3, 0.2]), ("3.0.0", [0.9, 0.8])])
def test_a_removal_takes_less_than_a_second(version: str, seconds: list[float]) -> None:
    """Of a member that is online, and by force of one that is not."""
    cluster = fake.FakeMicrocluster(version=version)
    first, *_, fourth = form(cluster, 4)
    spent = costs(cluster)

    suite.succeed(first, "remove", "node-2")
    fourth.kill()
    suite.succeed(first, "remove", "node-4", "--force")

    assert spent == seconds


def test_a_command_slower_than_its_limit_is_killed_and_takes_effect_all_the_same(
    cluster: fake.FakeMicrocluster,
) -> None:
    """The daemon works on when the client is gone."""
    node = cluster.add_machine("node-1")
    spent = costs(cluster)

    with pytest.raises(subprocess.TimeoutExpired):
        node.run([*node.command, "bootstrap"], timeout=1.0)

    assert spent == [1.0]
    assert cluster.history[-1].code is None
    assert suite.online(node) == {"node-1"}


# harm


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_ghost_in_a_cluster_of_three_is_the_fourth_vote(victim: int) -> None:
    """The quorum is gone, whichever member was dead; neither chance nor time brings it back."""
    cluster = fake.FakeMicrocluster(ghost_role="spare")
    nodes = form(cluster, 3)
    witness = nodes[(victim + 1) % 3]
    newcomer = cluster.add_machine("node-4")
    token = suite.add(witness, "node-4")
    nodes[victim].kill()

    suite.refused(newcomer, "join", token, because=r"\(3\): .*connection refused$")
    cluster.advance(3600.0)

    assert len(cluster.clusters[0].voters) == 4
    assert cluster.clusters[0].ghosts == ["node-4"]
    suite.refused(witness, "list", "-f", "json", because=fake.NO_QUORUM)
    suite.refused(
        witness, "remove", "node-4", "--force", because="^Error: context deadline exceeded$"
    )


@pytest.mark.parametrize("role", ["spare", "PENDING", "voter"])
def test_a_ghost_in_a_larger_cluster_stays_behind_unreachable(role: Any) -> None:
    """Its machine is as fresh as before, and its address is refused, whatever the token."""
    cluster = fake.FakeMicrocluster(ghost_role=role)

    first, *_, ghost = haunted(cluster)

    shown = suite.members(first)["ghost"]
    assert (shown.role, shown.status) == (role, "UNREACHABLE")
    suite.refused(ghost, "list", "-f", "json", because=fake.NOT_INITIALIZED)
    suite.refused(
        ghost,
        "join",
        suite.add(first, "ghost"),
        because=f'Remote with address "{ghost.address}:6686" exists$',
    )


def test_chance_decides_which_role_a_ghost_has() -> None:
    """All three that were seen come up, and one seed always gives the same."""

    def role(seed: int) -> str:
        cluster = fake.FakeMicrocluster(seed=seed)
        first, *_ = haunted(cluster)
        return suite.members(first)["ghost"].role

    roles = [role(seed) for seed in range(20)]

    assert set(roles) == {"spare", "PENDING", "voter"}
    assert roles == [role(seed) for seed in range(20)]


def test_a_pending_ghost_is_pending_for_good_and_a_join_fails_while_it_is_there() -> None:
    """One ghost makes the next."""
    cluster = fake.FakeMicrocluster(ghost_role="PENDING")
    first, *_, dead, _ = haunted(cluster)
    dead.start()
    cluster.advance(3600.0)
    newcomer = cluster.add_machine("newcomer")

    suite.refused(newcomer, "join", suite.add(first, "newcomer"), because="Failed to confirm")

    assert suite.members(first)["ghost"].role == "PENDING"
    assert cluster.clusters[0].ghosts == ["ghost", "newcomer"]


def test_removing_a_ghost_while_another_is_dead_fails_and_takes_it_out() -> None:
    """Exit 1, yet it is gone; its address is refused as before, here for good."""
    cluster = fake.FakeMicrocluster(address_sticks=1.0)
    first, *_, ghost = haunted(cluster)

    suite.refused(first, "remove", "ghost", "--force", because="post-remove hook")
    cluster.advance(fake.HEARTBEAT)

    assert "ghost" not in suite.members(first)
    suite.succeed(first, "remove", "node-7", "--force")
    suite.refused(ghost, "join", suite.add(first, "ghost"), because="Remote with address")


def test_a_ghost_removed_when_all_others_are_online_can_join(
    cluster: fake.FakeMicrocluster,
) -> None:
    """With the dead member out first, or back, nothing of the ghost is left."""
    first, *_, dead, ghost = haunted(cluster)
    dead.start()

    suite.succeed(first, "remove", "ghost", "--force")

    suite.succeed(ghost, "join", suite.add(first, "ghost"))
    assert "ghost" in suite.online(first)


def test_a_refused_address_can_be_forgotten_with_a_heartbeat() -> None:
    """That was seen too."""
    cluster = fake.FakeMicrocluster(address_sticks=0.0)
    first, *_, ghost = haunted(cluster)
    suite.refused(first, "remove", "ghost", "--force", because="post-remove hook")
    suite.succeed(first, "remove", "node-7", "--force")

    cluster.advance(fake.HEARTBEAT)

    suite.succeed(ghost, "join", suite.add(first, "ghost"))


def test_a_name_that_is_a_members_cannot_join_and_keeps_its_token(
    cluster: fake.FakeMicrocluster,
) -> None:
    """A second machine of the same host name waits until the first is out."""
    first, second = form(cluster, 2)
    second.destroy()
    heir = cluster.add_machine("node-2")
    token = suite.add(first, "node-2")

    suite.refused(heir, "join", token, because='"core_cluster_members" entry already exists$')

    assert cluster.usable_tokens() == {token.digest}
    suite.succeed(first, "remove", "node-2", "--force")
    suite.succeed(heir, "join", token)


@pytest.mark.parametrize(
    ("version", "at_first", "later"),
    [
        ("2.0.5", fake.NO_QUORUM, "control.socket: no such file"),
        ("3.0.0", "Database is still starting$", "Database is still starting$"),
    ],
)
def test_a_member_removed_by_force_while_off_is_of_no_use(
    version: str, at_first: str, later: str
) -> None:
    """Started again it can neither list nor begin anew; the others go on."""
    cluster = fake.FakeMicrocluster(version=version)
    first, _, third = form(cluster, 3)
    third.kill()
    suite.succeed(first, "remove", "node-3", "--force")
    token = suite.add(first, "node-3")

    third.start()

    suite.refused(third, "list", "-f", "json", because=at_first)
    cluster.advance(31.0)
    suite.refused(third, "list", "-f", "json", because=later)
    suite.refused(third, "bootstrap", because=later)
    suite.refused(third, "join", token, because=later)
    assert suite.online(first) == {"node-1", "node-2"}


def test_nobody_is_removed_before_the_first_heartbeat(cluster: fake.FakeMicrocluster) -> None:
    """While all members are `PENDING`, a removal is refused."""
    first = cluster.add_machine("node-1")
    suite.succeed(first, "bootstrap")
    second = cluster.add_machine("node-2")
    suite.succeed(second, "join", suite.add(first, "node-2"))

    suite.refused(first, "remove", "node-2", because="no remaining non-pending members$")

    cluster.advance(fake.HEARTBEAT)
    suite.succeed(first, "remove", "node-2")


def test_removing_one_while_another_is_dead_fails_and_takes_it_out(
    cluster: fake.FakeMicrocluster,
) -> None:
    """An error after the fact, as with a ghost: here the member is online and resets itself."""
    nodes = form(cluster, 5)
    nodes[4].kill()

    suite.refused(nodes[0], "remove", "node-4", because="post-remove hook")

    assert set(suite.members(nodes[0])) == {"node-1", "node-2", "node-3", "node-5"}
    suite.refused(nodes[3], "list", "-f", "json", because=fake.NOT_INITIALIZED)
    suite.succeed(nodes[0], "remove", "node-5", "--force")
    suite.succeed(nodes[3], "join", suite.add(nodes[0], "node-4"))


def test_a_cluster_of_two_survives_the_leaving_of_its_only_voter(
    cluster: fake.FakeMicrocluster,
) -> None:
    """Its vote passes on; its death would have cost the quorum."""
    first, second = form(cluster, 2)
    assert cluster.clusters[0].voters == ["node-1"]

    suite.succeed(first, "remove", "node-1")

    assert suite.online(second) == {"node-2"}
    assert cluster.clusters[0].voters == ["node-2"]


def test_a_machine_that_stays_pending_is_online_and_has_no_vote(
    cluster: fake.FakeMicrocluster,
) -> None:
    """It neither counts for the quorum nor hinders a join."""
    first, *_ = form(cluster, 3)
    odd = cluster.add_machine("odd")
    odd.stays_pending = True

    suite.succeed(odd, "join", suite.add(first, "odd"))
    cluster.advance(3600.0)

    shown = suite.members(odd)["odd"]
    assert (shown.role, shown.status) == ("PENDING", "ONLINE")
    newcomer = cluster.add_machine("newcomer")
    suite.succeed(newcomer, "join", suite.add(first, "newcomer"))


# 3.0.0


@pytest.fixture
def newer() -> fake.FakeMicrocluster:
    """A fake of 3.0.0 whose `add` is not refused after a removal."""
    return fake.FakeMicrocluster(version="3.0.0", add_refusals=0.0)


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_newcomer_takes_the_vote_of_a_dead_member(
    newer: fake.FakeMicrocluster, victim: int
) -> None:
    """The dead voter becomes a spare, and nobody is a ghost."""
    nodes = form(newer, 3)
    witness = nodes[(victim + 1) % 3]
    nodes[victim].kill()
    newcomer = newer.add_machine("node-4")

    suite.succeed(newcomer, "join", suite.add(witness, "node-4"))
    newer.advance(fake.HEARTBEAT)

    assert suite.members(witness)[nodes[victim].name].role == "spare"
    assert suite.voters(newcomer) == {n.name for n in [*nodes, newcomer]} - {nodes[victim].name}
    assert not newer.clusters[0].ghosts


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_leaver_is_cut_off_and_its_daemon_starts_anew(size: int) -> None:
    """Exit 1, yet it has left; for a moment it gives one of three errors."""
    said: set[str] = set()
    spent: set[float] = set()
    for seed in range(20):
        cluster = fake.FakeMicrocluster(version="3.0.0", seed=seed)
        first, second, *_ = form(cluster, size)
        cluster.on_spend = spent.add

        suite.refused(first, "remove", "node-1", because="context canceled$")

        cluster.on_spend = None
        assert "node-1" not in suite.members(second)
        said.add(suite.run(first, "list", "-f", "json").stderr.strip())
        cluster.advance(0.25)
        suite.refused(first, "list", "-f", "json", because=fake.NOT_INITIALIZED)
    assert len(said) == 3
    assert all(any(part in text for part in ("shutting", "EOF", "no such")) for text in said)
    assert spent == ({0.3, 16.0} if size > 3 else {0.3})


@pytest.mark.parametrize(
    ("way", "seconds", "left", "answers"),
    [
        ("stays", 30.0, False, True),
        ("stalls", 30.0, False, False),
        ("slow", 16.0, True, True),
        ("fast", 0.1, True, True),
    ],
)
def test_one_of_four_leaves_while_another_is_down(
    newer: fake.FakeMicrocluster, way: Any, seconds: float, left: bool, answers: bool
) -> None:
    """Who got out so lists the others, for good; a stalled cluster awaits the dead member."""
    newer.degraded_leave = way
    first, second, _, fourth = form(newer, 4)
    fourth.kill()
    spent = costs(newer)

    answer = suite.run(second, "remove", "node-2")

    assert answer.code == 1
    assert spent == [seconds]
    assert (suite.run(first, "list", "-f", "json").code == 0) == answers
    if not answers:
        fourth.start()
    newer.advance(3600.0)
    expected = {"node-1", "node-3", "node-4"}
    if not left:
        expected.add("node-2")
    assert set(suite.members(second)) == set(suite.members(first)) == expected


def test_one_of_four_leaves_as_chance_decides() -> None:
    """Both that it stays and that it is out come up; with 2.0.5 it stays."""

    def left(version: str, seed: int) -> bool:
        cluster = fake.FakeMicrocluster(version=version, seed=seed)
        _, second, _, fourth = form(cluster, 4)
        fourth.kill()
        suite.run(second, "remove", "node-2")
        return "node-2" not in cluster.clusters[0].members

    assert {left("3.0.0", seed) for seed in range(20)} == {True, False}
    assert {left("2.0.5", seed) for seed in range(20)} == {False}


def test_the_first_add_after_a_removal_can_be_refused() -> None:
    """The next one passes, and so does one after a heartbeat."""
    cluster = fake.FakeMicrocluster(version="3.0.0", add_refusals=1.0)
    first, *_ = form(cluster, 4)
    suite.succeed(first, "remove", "node-3")
    spent = costs(cluster)

    suite.refused(first, "add", "node-5", because=suite.INCONSISTENT)

    assert spent == [5.02]
    suite.succeed(first, "add", "node-5")
    suite.succeed(first, "remove", "node-4")
    cluster.advance(fake.HEARTBEAT)
    suite.succeed(first, "add", "node-6")


# both versions


@pytest.fixture(params=["2.0.5", "3.0.0"])
def either(request: pytest.FixtureRequest) -> fake.FakeMicrocluster:
    """A fake of each version whose `add` is not refused after a removal."""
    return fake.FakeMicrocluster(version=request.param, add_refusals=0.0)


def test_an_unknown_version_is_refused() -> None:
    """There are two."""
    with pytest.raises(ValueError, match="microcluster 2"):
        fake.FakeMicrocluster(version="1.0")


def test_the_only_member_of_the_kind_release_takes_its_cluster_along(
    cluster: fake.FakeMicrocluster,
) -> None:
    """As with LXD, and no release of microcluster; it is the default."""
    (first,) = form(cluster, 1)

    suite.succeed(first, "remove", "node-1")

    assert cluster.version == fake.KIND
    assert not cluster.clusters
    suite.succeed(first, "bootstrap")


def test_a_replaced_machine_joins_once_its_name_is_free(either: fake.FakeMicrocluster) -> None:
    """At the old one's address it is refused, and its token stays good."""
    first, _, third = form(either, 3)
    third.destroy()
    heir = either.add_machine("node-3", third.address)
    token = suite.add(first, "node-3")

    suite.refused(heir, "join", token, because='Remote with address ".*" exists$')
    suite.succeed(first, "remove", "node-3", "--force")

    suite.succeed(heir, "join", token)
    assert suite.online(first) == {"node-1", "node-2", "node-3"}


def test_a_newcomer_with_a_newer_schema_keeps_its_token(either: fake.FakeMicrocluster) -> None:
    """It joins with that token once all members have been refreshed."""
    nodes = form(either, 2)
    newcomer = either.add_machine("node-3")
    newcomer.refresh()
    token = suite.add(nodes[0], "node-3")

    suite.refused(newcomer, "join", token, because="^Error: EOF$")
    suite.refused(nodes[0], "add", "node-3", because="UNIQUE")
    for node in nodes:
        node.refresh()

    suite.succeed(newcomer, "join", token)


def test_members_with_a_newer_schema_wait_for_the_others(either: fake.FakeMicrocluster) -> None:
    """Old and new see each other differently, until the last was refreshed."""
    nodes = form(either, 3)

    def seen(by: fake.FakeMachine) -> list[str]:
        return [member.status for member in suite.members(by).values()]

    nodes[0].refresh()
    nodes[1].refresh()
    of_new, of_old = seen(nodes[0]), seen(nodes[2])
    suite.refused(nodes[0], "add", "node-4", because="waiting for an upgrade$")
    nodes[2].refresh()

    assert of_new == ["UPGRADING", "UPGRADING", "NEEDS UPGRADE"]
    assert of_old == ["UNREACHABLE", "UNREACHABLE", "ONLINE"]
    assert seen(nodes[2]) == ["UNREACHABLE"] * 3
    either.advance(27.0)
    assert seen(nodes[0]) == ["ONLINE"] * 3


def test_after_a_reboot_of_all_each_is_unreachable_for_a_while(
    either: fake.FakeMicrocluster,
) -> None:
    """One says that it is no member, all are starting, all show as unreachable, all are well."""
    nodes = form(either, 3)

    either.reboot()

    said = sorted(suite.run(node, "list", "-f", "json").stderr.strip() for node in nodes)
    assert said == [fake.NOT_INITIALIZED] + ["Error: Database is still starting"] * 2
    either.advance(2.0)
    assert {member.status for member in suite.members(nodes[0]).values()} == {"UNREACHABLE"}
    either.advance(27.0)
    assert suite.online(nodes[1]) == {"node-1", "node-2", "node-3"}


def test_a_daemon_that_restarts_calls_itself_no_member(either: fake.FakeMicrocluster) -> None:
    """After its socket was refused, and before all is as it was."""
    first, second, _ = form(either, 3)

    second.restart(refused=1.0, opening=0.5)

    suite.refused(second, "list", "-f", "json", because="connection refused$")
    assert suite.online(first) == {"node-1", "node-3"}
    either.advance(1.0)
    suite.refused(second, "list", "-f", "json", because=fake.NOT_INITIALIZED)
    either.advance(0.5)
    assert suite.online(second) == {"node-1", "node-2", "node-3"}


@pytest.mark.parametrize("off", [True, False])
def test_a_host_that_drops_packets_makes_list_fail(
    either: fake.FakeMicrocluster, off: bool
) -> None:
    """After 30 s, until it answers again or was taken out; on itself there is no leader."""
    first, _, third = form(either, 3)
    third.drops_packets = True
    if off:
        third.kill()
    spent = costs(either)

    suite.refused(first, "list", "-f", "json", because="deadline exceeded$")
    suite.refused(first, "remove", "node-3", because="deadline exceeded$")
    suite.refused(first, "remove", "node-1", because="deadline exceeded$")
    suite.succeed(first, "add", "node-4")

    assert spent[:3] == [30.0, 30.0, 30.0]
    if not off:
        suite.refused(third, "list", "-f", "json", because=fake.NO_QUORUM)
    suite.succeed(first, "remove", "node-3", "--force")
    assert suite.online(first) == {"node-1", "node-2"}


def test_packets_that_flow_again_leave_no_trace(either: fake.FakeMicrocluster) -> None:
    """And a cluster of one needs no packets."""
    first, second = form(either, 2)
    second.drops_packets = True
    suite.refused(first, "list", "-f", "json", because="deadline exceeded$")

    second.drops_packets = False

    assert suite.online(first) == {"node-1", "node-2"}
    suite.succeed(first, "remove", "node-2")
    first.drops_packets = True
    assert set(suite.members(first)) == {"node-1"}


def test_a_newcomer_that_drops_packets_keeps_its_token(either: fake.FakeMicrocluster) -> None:
    """Its requests are never answered."""
    (first,) = form(either, 1)
    newcomer = either.add_machine("node-2")
    newcomer.drops_packets = True
    token = suite.add(first, "node-2")

    suite.refused(newcomer, "join", token, because="deadline exceeded$")

    assert either.usable_tokens() == {token.digest}


def test_a_workload_can_refuse_removals(either: fake.FakeMicrocluster) -> None:
    """Those without force that leave too few."""
    either.needed_after_removal = 3
    first, *_ = form(either, 4)

    suite.succeed(first, "remove", "node-4")
    suite.refused(first, "remove", "node-3", because="3 other members are needed$")
    suite.succeed(first, "remove", "node-3", "--force")

    assert suite.online(first) == {"node-1", "node-2"}


def test_a_renamed_machine_is_a_member_by_its_old_name(either: fake.FakeMicrocluster) -> None:
    """Commands go by that; only a later join goes by the new one."""
    first, second = form(either, 2)

    second.rename("other")
    second.kill()
    second.start()

    assert second.name == "other"
    assert suite.online(second) == {"node-1", "node-2"}
    suite.refused(second, "remove", "other", because="No remote exists")
    suite.run(second, "remove", "node-2")
    either.advance(1.0)
    suite.succeed(second, "join", suite.add(first, "other"))
    assert suite.online(first) == {"node-1", "other"}
    with pytest.raises(AssertionError, match="already"):
        first.rename("other")


# a strict fake


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        [],
        ["add"],
        ["add", ""],
        ["add", "--help"],
        ["add", "node-2", "--timeout", "soon"],
        ["list"],
        ["list", "--format", "yaml"],
        ["remove", "node-1", "--yes"],
        ["remove", "--force"],
    ],
)
def test_a_command_line_that_no_real_program_has_fails_the_test(
    cluster: fake.FakeMicrocluster, words: list[str]
) -> None:
    """Also where the machine is no member."""
    node = cluster.add_machine("node-1")

    with pytest.raises(AssertionError, match="no such"):
        node.run([*node.command, *words], timeout=1.0)


def test_another_command_of_the_same_program_fails_the_test(
    cluster: fake.FakeMicrocluster,
) -> None:
    """Only the cluster's own command is there."""
    node = cluster.add_machine("node-1")

    with pytest.raises(AssertionError, match="not the cluster's command line"):
        node.run(["microovn", "status"])


def test_there_is_no_other_program(cluster: fake.FakeMicrocluster) -> None:
    """As on any machine that lacks it."""
    node = cluster.add_machine("node-1")

    with pytest.raises(FileNotFoundError):
        node.run(["microceph", "cluster", "bootstrap"])


def test_bootstrap_and_join_take_further_arguments(cluster: fake.FakeMicrocluster) -> None:
    """As charms give them."""
    first = cluster.add_machine("node-1")
    second = cluster.add_machine("node-2")

    suite.succeed(first, "bootstrap", "--custom-encapsulation-ip", "10.1.0.1")
    suite.succeed(second, "join", suite.add(first, "node-2"), "--flag")

    assert suite.online(first) == {"node-1", "node-2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not-a-token", "illegal base64 data at input byte 3"),
        ("notatoken", "illegal base64 data at input byte 8"),
        ("", "unexpected end of JSON input"),
        ("aGVsbG8h", "invalid character"),
        (base64.b64encode(b"[]").decode(), "json: cannot unmarshal"),
        (base64.b64encode(b"{}").decode(), "0 join attempts were unsuccessful"),
    ],
)
def test_rubbish_is_refused_as_go_words_it(
    cluster: fake.FakeMicrocluster, text: str, message: str
) -> None:
    """Every text is answered."""
    node = cluster.add_machine("node-1")

    suite.refused(node, "join", text, because=f"^Error: {message}")


def test_a_token_that_leads_to_nobody_is_refused(cluster: fake.FakeMicrocluster) -> None:
    """Nobody who was a member when the token was issued is there any more."""
    (first,) = form(cluster, 1)
    newcomer = cluster.add_machine("node-2")
    token = suite.add(first, "node-2")
    first.kill()

    suite.refused(newcomer, "join", token, because="^Error: 1 join attempts were unsuccessful")

    first.start()
    suite.succeed(newcomer, "join", token)


# what invariants see


def test_a_token_holds_what_real_ones_do(cluster: fake.FakeMicrocluster) -> None:
    """A secret, a fingerprint, and all members' addresses."""
    first, second = form(cluster, 2)

    text = suite.add(first, "node-3").text

    content = json.loads(base64.b64decode(text))
    shape = {key: len(value) for key, value in content.items()}
    assert shape == {"secret": 64, "fingerprint": 64, "join_addresses": 2}
    assert content["join_addresses"] == [f"{first.address}:6686", f"{second.address}:6686"]


def test_two_bootstraps_are_two_clusters(cluster: fake.FakeMicrocluster) -> None:
    """Each with members of its own."""
    first = cluster.add_machine("node-1")
    second = cluster.add_machine("node-2")

    suite.succeed(first, "bootstrap")
    suite.succeed(second, "bootstrap")

    assert [list(one.members) for one in cluster.clusters] == [["node-1"], ["node-2"]]
    assert cluster.online_members() == ["node-1", "node-2"]


def test_a_cluster_lives_while_any_of_its_machines_exists(
    cluster: fake.FakeMicrocluster,
) -> None:
    """A dead machine may come back, a destroyed one will not."""
    first, second = form(cluster, 2)
    (formed,) = cluster.clusters

    first.kill()
    second.destroy()
    after_the_kill = formed.lives
    first.destroy()

    assert after_the_kill
    assert not formed.lives


def test_tokens_are_usable_until_used_or_expired_or_revoked(
    cluster: fake.FakeMicrocluster,
) -> None:
    """Known by their digests only."""
    (first,) = form(cluster, 1)
    newcomer = cluster.add_machine("used")
    used, revoked = suite.add(first, "used"), suite.add(first, "revoked")
    issued = cluster.usable_tokens()

    suite.succeed(newcomer, "join", used)
    after_the_join = cluster.usable_tokens()
    cluster.revoke_tokens()

    assert issued == {used.digest, revoked.digest}
    assert after_the_join == {revoked.digest}
    assert cluster.usable_tokens() == set()


def test_tokens_are_recognised_whole_and_in_part(cluster: fake.FakeMicrocluster) -> None:
    """Whatever a log line makes of them."""
    (first,) = form(cluster, 1)
    token = suite.add(first, "node-2")
    secret = json.loads(base64.b64decode(token.text))["secret"]
    shows = {
        "whole": cluster.shows_token(f"joined with {token.text}."),
        "cut": cluster.shows_token(f"argv: '{token.text[:30]}...'"),
        "secret": cluster.shows_token(f"secret={secret}"),
        "digest": cluster.shows_token(f"digest={token.digest}"),
        "no": cluster.shows_token("nothing to see"),
    }

    itself = cluster.is_token(token.text + "\n")

    assert shows == {"whole": True, "cut": True, "secret": True, "digest": False, "no": False}
    assert itself
    assert not cluster.is_token("empty")


def test_the_history_has_every_command_and_no_token(cluster: fake.FakeMicrocluster) -> None:
    """With the time, the machine and the exit code."""
    first = cluster.add_machine("node-1")
    second = cluster.add_machine("node-2")
    suite.succeed(first, "bootstrap")
    cluster.advance(5.0)

    suite.succeed(second, "join", suite.add(first, "node-2"))
    suite.run(second, "bootstrap")

    assert cluster.history == [
        (0.0, "node-1", ("bootstrap",), 0),
        (5.0, "node-1", ("add", "node-2"), 0),
        (5.0, "node-2", ("join", "<token>"), 0),
        (5.0, "node-2", ("bootstrap",), 1),
    ]
    assert not cluster.shows_token(repr((cluster.history, cluster.clusters, cluster.machines)))


def test_one_seed_gives_one_history() -> None:
    """Also the same tokens; another seed gives others."""

    def digests(seed: int) -> set[str]:
        cluster = fake.FakeMicrocluster(seed=seed)
        first, *_ = form(cluster, 2)
        suite.add(first, "node-3")
        return cluster.usable_tokens()

    assert digests(1) == digests(1)
    assert digests(1) != digests(2)


# faults


def strike(when: fake.Moment, word: str, fault: fake.Fault) -> fake.FaultPlan:
    """A plan in which a fault strikes each command of one kind."""

    def plan(
        machine: fake.FakeMachine,  # noqa: ARG001 - every plan is told
        moment: fake.Moment,
        words: Sequence[str],
    ) -> fake.Fault | None:
        return fault if (moment, words[0]) == (when, word) else None

    return plan


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (fake.fails("Error: oh"), 1),
        (fake.dies(9), -9),
        (fake.prints("!"), 0),
        (fake.hangs(), None),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_hides_whether_the_command_took_effect(
    cluster: fake.FakeMicrocluster, when: fake.Moment, fault: fake.Fault, code: int | None
) -> None:
    """Before, it did not; after, it did; the caller sees the same."""
    node = cluster.add_machine("node-1")
    node.faults = strike(when, "bootstrap", fault)

    answer = suite.run(node, "bootstrap")

    assert answer.code == code
    assert answer.stdout == fault.stdout
    assert bool(cluster.clusters) == (when == "after")
    assert cluster.history[-1].code == code


def test_faults_strike_everywhere_or_on_one_machine(cluster: fake.FakeMicrocluster) -> None:
    """A machine's own plan takes the place of the microcluster's."""
    cluster.faults = strike("before", "bootstrap", fake.fails("Error: oh"))
    node = cluster.add_machine("node-1")

    suite.refused(node, "bootstrap", because="oh")

    node.faults = strike("before", "list", fake.fails("Error: oh"))
    suite.succeed(node, "bootstrap")


def test_a_plan_may_raise_once_the_command_took_effect(cluster: fake.FakeMicrocluster) -> None:
    """So an agent dies in mid-hook: the member is there, and nobody was told."""

    def plan(machine: fake.FakeMachine, moment: fake.Moment, words: Sequence[str]) -> None:
        if moment == "after":
            raise InterruptedError(f"{machine.name} died at {words[0]}")

    node = cluster.add_machine("node-1")
    node.faults = plan

    with pytest.raises(InterruptedError, match="node-1 died at bootstrap"):
        node.run([*node.command, "bootstrap"])

    assert cluster.online_members() == ["node-1"]
    assert cluster.history[-1].code is None


def test_hanging_without_a_limit_fails_the_test(cluster: fake.FakeMicrocluster) -> None:
    """Each command needs one."""
    node = cluster.add_machine("node-1")
    node.faults = strike("before", "list", fake.hangs())

    with pytest.raises(AssertionError, match="has no time limit"):
        node.run([*node.command, "list", "-f", "json"])


def test_nothing_happens_on_a_destroyed_machine(cluster: fake.FakeMicrocluster) -> None:
    """Its name is free for another."""
    node = cluster.add_machine("node-1")
    node.destroy()

    with pytest.raises(AssertionError, match="was destroyed"):
        node.run([*node.command, "bootstrap"])
    with pytest.raises(AssertionError, match="was not killed"):
        node.start()

    assert cluster.add_machine("node-1").address != node.address


def test_a_name_is_given_to_one_machine_at_a_time(cluster: fake.FakeMicrocluster) -> None:
    """Host names tell machines apart."""
    cluster.add_machine("node-1")

    with pytest.raises(AssertionError, match="already"):
        cluster.add_machine("node-1")


def test_commands_on_a_killed_machine_cannot_reach_the_daemon(
    cluster: fake.FakeMicrocluster,
) -> None:
    """They tell nothing of the cluster."""
    (node,) = form(cluster, 1)
    node.kill()

    suite.refused(node, "list", "-f", "json", because="control.socket: connect: connection ref")
