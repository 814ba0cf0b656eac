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
from tests.conformance.suite import LIST
from tests.microclusters import fake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


VERSIONS = ("2.0.5", "3.0.0")


@pytest.fixture
def cluster() -> fake.FakeMicrocluster:
    """A fake of 2.0.5 with a clock of its own."""
    return fake.FakeMicrocluster()


@pytest.fixture(params=VERSIONS)
def either(request: pytest.FixtureRequest) -> fake.FakeMicrocluster:
    """A fake of each version."""
    return fake.FakeMicrocluster(version=request.param)


def form(cluster: fake.FakeMicrocluster, size: int) -> list[fake.FakeMachine]:
    """Form a cluster of `node-1` to `node-<size>`, with its roles assigned."""
    nodes = [cluster.add_machine(f"node-{i}") for i in range(1, size + 1)]
    suite.succeed(nodes[0], "bootstrap")
    for node in nodes[1:]:
        suite.succeed(node, "join", suite.add(nodes[0], node.name))
    cluster.advance(fake.HEARTBEAT)
    return nodes


def form_with_ghost(cluster: fake.FakeMicrocluster) -> list[fake.FakeMachine]:
    """Kill the last of seven and let `ghost` fail to join; that machine is the last given."""
    nodes = form(cluster, 7)
    nodes[-1].kill()
    ghost = cluster.add_machine("ghost")
    suite.refused(ghost, "join", suite.add(nodes[0], "ghost"), because="Failed to confirm")
    return [*nodes, ghost]


def costs(cluster: fake.FakeMicrocluster) -> list[float]:
    """Return a list that gets the seconds of each command from now on."""
    spent: list[float] = []
    cluster.on_spend = spent.append
    return spent


def outcomes(find: Callable[[fake.FakeMicrocluster], str], version: str = "2.0.5") -> set[str]:
    """Return what is found with each of twenty seeds, and always the same with one."""

    def found() -> list[str]:
        clusters = (fake.FakeMicrocluster(seed=seed, version=version) for seed in range(20))
        return [find(cluster) for cluster in clusters]

    assert found() == found()
    return set(found())


# Roles


def test_roles_are_given_at_heartbeats(cluster: fake.FakeMicrocluster) -> None:
    """Three voters, three stand-bys, spares; until then a member is `PENDING`."""
    node = cluster.add_machine("node-0")
    suite.succeed(node, "bootstrap")
    cluster.advance(9.9)
    before = suite.members(node)["node-0"].role
    for number in range(1, 8):
        suite.join(cluster, node, f"node-{number}")
    cluster.advance(0.1)

    roles = [member.role for member in suite.members(node).values()]
    assert before == "PENDING"
    assert sorted(roles) == ["spare"] * 2 + ["stand-by"] * 3 + ["voter"] * 3


@pytest.mark.parametrize("pause", [fake.HEARTBEAT, 0.0])
def test_a_dead_voter_is_replaced_at_the_next_heartbeat(
    cluster: fake.FakeMicrocluster, pause: float
) -> None:
    """Two that die between heartbeats take the quorum along, however many stand by."""
    nodes = form(cluster, 5)
    voters = [node for node in nodes if node.name in suite.voters(nodes[0])]
    survivors = [node for node in nodes if node not in voters[:2]]

    for victim in voters[:2]:
        victim.kill()
        cluster.advance(pause)
    cluster.advance(fake.HEARTBEAT)

    if pause:
        assert suite.voters(survivors[0]) == {node.name for node in survivors}
    else:
        suite.refused(survivors[0], *LIST, because=fake.NO_QUORUM)


def test_a_cluster_of_two_has_one_voter_whose_leaving_it_survives(
    cluster: fake.FakeMicrocluster,
) -> None:
    first, second = form(cluster, 2)
    before = suite.voters(first)

    suite.succeed(first, "remove", "node-1")
    cluster.advance(fake.HEARTBEAT)

    assert (before, suite.voters(second)) == ({"node-1"}, {"node-2"})


def test_a_machine_that_stays_pending_is_online_and_has_no_vote(
    cluster: fake.FakeMicrocluster,
) -> None:
    first, *_ = form(cluster, 3)
    odd = cluster.add_machine("odd")
    odd.stays_pending = True

    suite.succeed(odd, "join", suite.add(first, "odd"))
    cluster.advance(3600.0)

    shown = suite.members(odd)["odd"]
    assert (shown.role, shown.status) == ("PENDING", "ONLINE")
    suite.join(cluster, first, "newcomer")


def test_nobody_is_removed_before_the_first_heartbeat(cluster: fake.FakeMicrocluster) -> None:
    first = cluster.add_machine("node-1")
    suite.succeed(first, "bootstrap")
    suite.join(cluster, first, "node-2")

    suite.refused(first, "remove", "node-2", because="no remaining non-pending members$")

    cluster.advance(fake.HEARTBEAT)
    suite.succeed(first, "remove", "node-2")


# Tokens


def test_a_token_has_the_content_and_the_life_of_real_ones(cluster: fake.FakeMicrocluster) -> None:
    first, second = form(cluster, 2)
    usual = suite.add(first, "usual")
    brief = suite.succeed(first, "add", "brief", "--timeout", "60").token
    content = json.loads(base64.b64decode(usual.text))

    cluster.advance(60.0)
    after_a_minute = cluster.usable_tokens()
    cluster.advance(10800.0 - 60.0)

    assert (after_a_minute, cluster.usable_tokens()) == ({usual.digest}, set())
    assert brief.digest not in after_a_minute
    assert sorted(content) == ["fingerprint", "join_addresses", "secret"]
    assert len(content["secret"]) == len(content["fingerprint"]) == 64
    assert content["join_addresses"] == [f"{first.address}:6686", f"{second.address}:6686"]


def test_which_tokens_are_usable_is_known_and_how_one_shows(
    cluster: fake.FakeMicrocluster,
) -> None:
    (first,) = form(cluster, 1)
    used, expired, revoked = (suite.add(first, name) for name in ("used", "expired", "revoked"))
    suite.succeed(cluster.add_machine("used"), "join", used)
    after_the_join = cluster.usable_tokens()
    cluster.expire_tokens()
    kept = set(cluster.clusters[0].tokens)
    suite.refused(cluster.add_machine("expired"), "join", expired, because="Token expired$")
    after_the_try = set(cluster.clusters[0].tokens)
    cluster.revoke_tokens()
    text = used.text
    secret = json.loads(base64.b64decode(text))["secret"]

    shown = [f"joined with {text}.", f"argv: '{text[:30]}...'", f"secret={secret}"]
    assert [cluster.shows_token(each) for each in shown] == [True] * 3
    assert not any(map(cluster.shows_token, [used.digest, "nothing to see"]))
    assert [cluster.is_token(each) for each in (f"{text}\n", "empty")] == [True, False]
    assert after_the_join == {expired.digest, revoked.digest}
    assert (kept, after_the_try) == ({"expired", "revoked"}, {"revoked"})
    assert (cluster.usable_tokens(), cluster.clusters[0].tokens) == (set(), {})
    assert not cluster.shows_token(repr((cluster.history, cluster.clusters, cluster.machines)))


def test_a_refused_newcomer_keeps_its_token(either: fake.FakeMicrocluster) -> None:
    """Whose own packets are dropped, that nobody answers, or whose name a member has."""
    first, second = form(either, 2)
    second.destroy()
    suite.succeed(first, "remove", "node-2", "--force")
    newcomer = either.add_machine("node-2")
    token = suite.add(first, "node-2")

    newcomer.drops_packets = True
    suite.refused(newcomer, "join", token, because="deadline exceeded$")
    newcomer.drops_packets = False
    first.kill()
    suite.refused(newcomer, "join", token, because="^Error: 1 join attempts were unsuccessful")
    first.start()
    suite.succeed(newcomer, "join", token)
    newcomer.destroy()
    heir = either.add_machine("node-2")
    token = suite.add(first, "node-2")
    suite.refused(heir, "join", token, because='"core_cluster_members" entry already exists$')

    assert either.usable_tokens() == {token.digest}


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


# Seconds


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

    suite.refused(nodes[0], *LIST, because=fake.NO_QUORUM)
    suite.refused(nodes[0], "add", "node-5", because=fake.NO_QUORUM)
    suite.refused(newcomer, "join", token, because=fake.NO_QUORUM)
    suite.refused(nodes[0], "remove", "node-2", because="deadline exceeded$")
    suite.refused(nodes[0], "remove", "node-2", "--force", because="deadline exceeded$")

    assert spent == seconds


@pytest.mark.parametrize(
    ("version", "seconds", "election"),
    [("2.0.5", [0.3, 0.2], 3.4), ("3.0.0", [0.9, 0.8], 5.4)],
)
def test_a_removal_is_quick_and_the_first_command_after_the_leaders_death_is_slow(
    version: str, seconds: list[float], election: float
) -> None:
    """It waits for an election; those after it do not."""
    cluster = fake.FakeMicrocluster(version=version)
    first, *_, fourth = form(cluster, 4)
    spent = costs(cluster)
    suite.succeed(first, "remove", "node-2")
    fourth.kill()
    suite.succeed(first, "remove", "node-4", "--force")
    assert spent == seconds

    cluster = fake.FakeMicrocluster(version=version)
    first, second, _ = form(cluster, 3)
    spent = costs(cluster)
    first.kill()
    for _ in range(2):
        suite.members(second)
    assert spent == [pytest.approx(election, abs=0.1), pytest.approx(0.02, abs=0.1)]


def test_a_command_slower_than_its_limit_is_killed_and_takes_effect_all_the_same(
    cluster: fake.FakeMicrocluster,
) -> None:
    node = cluster.add_machine("node-1")
    spent = costs(cluster)

    with pytest.raises(subprocess.TimeoutExpired):
        node.run([*node.command, "bootstrap"], timeout=1.0)

    assert spent == [1.0]
    assert cluster.history[-1].code is None
    assert suite.online(node) == {"node-1"}


# Ghosts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_ghost_in_a_cluster_of_three_is_the_fourth_vote(seed: int, victim: int) -> None:
    """The quorum is gone, whichever member was dead; neither chance nor time brings it back."""
    cluster = fake.FakeMicrocluster(seed=seed)
    nodes = form(cluster, 3)
    witness = nodes[(victim + 1) % 3]
    newcomer = cluster.add_machine("node-4")
    token = suite.add(witness, "node-4")
    nodes[victim].kill()

    suite.refused(newcomer, "join", token, because=r"\(3\): .*connection refused$")
    cluster.advance(3600.0)

    assert cluster.clusters[0].ghosts == ["node-4"]
    suite.refused(witness, *LIST, because=fake.NO_QUORUM)
    suite.refused(witness, "remove", "node-4", "--force", because="^Error: context deadline exc")


def test_a_ghost_in_a_larger_cluster_stays_behind_unreachable() -> None:
    """In one of three roles; its machine is fresh, its address is refused, it makes the next."""

    def role(cluster: fake.FakeMicrocluster) -> str:
        first, *_, dead, ghost = form_with_ghost(cluster)
        shown = suite.members(first)["ghost"]
        assert shown.status == "UNREACHABLE"
        suite.refused(ghost, *LIST, because=fake.NOT_INITIALIZED)
        exists = f'Remote with address "{ghost.address}:6686" exists$'
        suite.refused(ghost, "join", suite.add(first, "ghost"), because=exists)
        dead.start()
        cluster.advance(3600.0)
        assert shown.role != "PENDING" or suite.members(first)["ghost"].role == "PENDING"
        newcomer = cluster.add_machine("newcomer")
        token = suite.add(first, "newcomer")
        suite.refused(newcomer, "join", token, because="Failed to confirm")
        assert cluster.clusters[0].ghosts == ["ghost", "newcomer"]
        return shown.role

    assert outcomes(role) == {"spare", "PENDING", "voter"}


def test_removing_a_ghost_while_another_is_dead_fails_and_takes_it_out() -> None:
    """Exit 1, yet it is gone; its address is refused for good, or until the next heartbeat."""

    def comes_back(cluster: fake.FakeMicrocluster) -> str:
        first, *_, ghost = form_with_ghost(cluster)
        suite.refused(first, "remove", "ghost", "--force", because="post-remove hook")
        assert "ghost" not in suite.members(first)
        suite.succeed(first, "remove", "node-7", "--force")
        cluster.advance(fake.HEARTBEAT)
        return str(suite.run(ghost, "join", suite.add(first, "ghost")).code)

    assert outcomes(comes_back) == {"0", "1"}


def test_a_ghost_removed_when_all_others_are_online_can_join(
    cluster: fake.FakeMicrocluster,
) -> None:
    first, *_, dead, ghost = form_with_ghost(cluster)
    dead.start()

    suite.succeed(first, "remove", "ghost", "--force")

    suite.succeed(ghost, "join", suite.add(first, "ghost"))
    assert "ghost" in suite.online(first)


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
    suite.refused(third, *LIST, because="control.socket: connect: connection refused$")
    suite.succeed(first, "remove", "node-3", "--force")
    token = suite.add(first, "node-3")

    third.start()

    suite.refused(third, *LIST, because=at_first)
    cluster.advance(31.0)
    for words in (LIST, ("bootstrap",), ("join", token)):
        suite.refused(third, *words, because=later)
    assert suite.online(first) == {"node-1", "node-2"}


# 3.0.0


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_newcomer_takes_the_vote_of_a_dead_member(victim: int) -> None:
    cluster = fake.FakeMicrocluster(version="3.0.0")
    nodes = form(cluster, 3)
    witness = nodes[(victim + 1) % 3]
    nodes[victim].kill()

    newcomer = suite.join(cluster, witness, "node-4")
    cluster.advance(fake.HEARTBEAT)

    assert suite.members(witness)[nodes[victim].name].role == "spare"
    assert suite.voters(newcomer) == {n.name for n in [*nodes, newcomer]} - {nodes[victim].name}
    assert not cluster.clusters[0].ghosts


@pytest.mark.parametrize("size", [3, 4])
def test_a_leaver_is_cut_off_and_its_daemon_starts_anew(size: int) -> None:
    """Exit 1, yet it has left; for a moment it gives one of three errors."""
    spent: set[float] = set()

    def complaint(cluster: fake.FakeMicrocluster) -> str:
        first, second, *_ = form(cluster, size)
        cluster.on_spend = spent.add
        suite.refused(first, "remove", "node-1", because="context canceled$")
        cluster.on_spend = None
        assert "node-1" not in suite.members(second)
        text = suite.run(first, *LIST).stderr.split()
        cluster.advance(0.25)
        suite.refused(first, *LIST, because=fake.NOT_INITIALIZED)
        return text[-1]

    assert outcomes(complaint, "3.0.0") == {"down", "EOF", "directory"}
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
    way: Any, seconds: float, left: bool, answers: bool
) -> None:
    """Who got out so lists the others, for good; a stalled cluster awaits the dead member."""
    cluster = fake.FakeMicrocluster(version="3.0.0")
    cluster.degraded_leave = way
    first, second, _, fourth = form(cluster, 4)
    fourth.kill()
    spent = costs(cluster)

    answer = suite.run(second, "remove", "node-2")

    assert (answer.code, spent) == (1, [seconds])
    assert (suite.run(first, *LIST).code == 0) == answers
    if not answers:
        fourth.start()
    cluster.advance(3600.0)
    expected = {"node-1", "node-3", "node-4", *(["node-2"] if not left else [])}
    assert set(suite.members(second)) == set(suite.members(first)) == expected


def test_one_of_four_leaves_as_chance_decides_and_with_2_0_5_it_stays() -> None:
    def stays(cluster: fake.FakeMicrocluster) -> str:
        _, second, _, fourth = form(cluster, 4)
        fourth.kill()
        suite.run(second, "remove", "node-2")
        return str("node-2" in cluster.clusters[0].members)

    assert outcomes(stays, "3.0.0") == {"True", "False"}
    assert outcomes(stays) == {"True"}


def test_the_first_add_after_a_removal_can_be_refused() -> None:
    """The next one passes, and so does one after a heartbeat."""

    def refused(cluster: fake.FakeMicrocluster) -> str:
        first, *_ = form(cluster, 4)
        suite.run(first, "remove", "node-3")
        spent = costs(cluster)
        answers = [suite.run(first, "add", f"node-{number}") for number in (5, 6)]
        assert answers[1].code == 0
        assert (spent[0] == 5.02) == (suite.INCONSISTENT in answers[0].stderr)
        suite.run(first, "remove", "node-4")
        cluster.advance(fake.HEARTBEAT)
        suite.succeed(first, "add", "node-7")
        return str(answers[0].code)

    assert outcomes(refused, "3.0.0") == {"0", "1"}
    assert outcomes(refused) == {"0"}


# Upgrades, hosts, names


def test_a_newer_schema_waits_for_the_other_members(either: fake.FakeMicrocluster) -> None:
    """A newcomer keeps its token; members see each other differently until all are refreshed."""
    nodes = form(either, 3)
    newcomer = either.add_machine("node-4")
    newcomer.refresh()
    token = suite.add(nodes[0], "node-4")

    def seen(by: fake.FakeMachine) -> list[str]:
        return [member.status for member in suite.members(by).values()]

    suite.refused(newcomer, "join", token, because="^Error: EOF$")
    nodes[0].refresh()
    nodes[1].refresh()
    of_new, of_old = seen(nodes[0]), seen(nodes[2])
    suite.refused(nodes[0], "add", "node-4", because="waiting for an upgrade$")
    suite.refused(nodes[2], "add", "node-4", because="UNIQUE")
    nodes[2].refresh()

    assert of_new == ["UPGRADING", "UPGRADING", "NEEDS UPGRADE"]
    assert of_old == ["UNREACHABLE", "UNREACHABLE", "ONLINE"]
    assert seen(nodes[2]) == ["UNREACHABLE"] * 3
    either.advance(27.0)
    assert seen(nodes[0]) == ["ONLINE"] * 3
    suite.succeed(newcomer, "join", token)


def test_a_daemon_that_restarts_calls_itself_no_member(either: fake.FakeMicrocluster) -> None:
    """After its socket was refused, and before all is as it was."""
    first, second, _ = form(either, 3)

    second.restart(refused=1.0, opening=0.5)

    suite.refused(second, *LIST, because="connection refused$")
    assert suite.online(first) == {"node-1", "node-3"}
    either.advance(1.0)
    suite.refused(second, *LIST, because=fake.NOT_INITIALIZED)
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

    for words in (LIST, ("remove", "node-3"), ("remove", "node-1")):
        suite.refused(first, *words, because="deadline exceeded$")
    suite.succeed(first, "add", "node-4")

    assert spent[:3] == [30.0, 30.0, 30.0]
    if not off:
        suite.refused(third, *LIST, because=fake.NO_QUORUM)
        third.drops_packets = False
        assert suite.online(first) == {"node-1", "node-2", "node-3"}
        third.drops_packets = True
    suite.succeed(first, "remove", "node-3", "--force")
    assert suite.online(first) == {"node-1", "node-2"}


def test_a_workload_can_refuse_removals_that_leave_too_few(either: fake.FakeMicrocluster) -> None:
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

    assert suite.online(second) == {"node-1", "node-2"}
    suite.refused(second, "remove", "other", because="No remote exists")
    suite.run(second, "remove", "node-2")
    either.advance(1.0)
    suite.succeed(second, "join", suite.add(first, "other"))
    assert suite.online(first) == {"node-1", "other"}


# A strict fake


# What invariants see, and faults


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
    """It did if it strikes after; a machine's own plan goes before the microcluster's."""

    def plan(_: fake.FakeMachine, moment: fake.Moment, words: Sequence[str]) -> fake.Fault | None:
        return fault if (moment, words[0]) == (when, "bootstrap") else None

    node = cluster.add_machine("node-1")
    cluster.faults, node.faults = lambda _m, _w, _s: fake.fails("the other plan"), plan

    answer = suite.run(node, "bootstrap")

    assert (answer.code, answer.stdout) == (code, fault.stdout)
    assert bool(cluster.clusters) == (when == "after")
    assert cluster.history[-1].code == code
    if code is None:
        with pytest.raises(AssertionError, match="has no time limit"):
            node.run([*node.command, "bootstrap"])
