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

    suite.refused(newcomer, "join", token, because="CoreTokenRecord not found$")

    assert kept == {"node-2"}
    assert not cluster.clusters[0].tokens


# costs


def test_without_a_quorum_a_command_costs_many_seconds(cluster: fake.FakeMicrocluster) -> None:
    """Measured for `list`, `add` and `remove`; `join` is taken to wait like the first two."""
    nodes = form(cluster, 3)
    newcomer = cluster.add_machine("node-4")
    token = suite.add(nodes[0], "node-4")
    spent = costs(cluster)
    nodes[1].kill()
    nodes[2].kill()

    suite.refused(nodes[0], "list", "-f", "json", because=fake.NO_QUORUM)
    suite.refused(nodes[0], "add", "node-5", because=fake.NO_QUORUM)
    suite.refused(newcomer, "join", token, because=fake.NO_QUORUM)
    suite.refused(nodes[0], "remove", "node-2", "--force", because="deadline exceeded$")

    assert spent == [10.5, 10.5, 10.5, 30.0]


def test_the_first_command_after_the_leaders_death_takes_an_election(
    cluster: fake.FakeMicrocluster,
) -> None:
    """Those after it do not."""
    first, second, _ = form(cluster, 3)
    spent = costs(cluster)
    first.kill()

    suite.members(second)
    suite.members(second)

    assert spent[0] == pytest.approx(spent[1] + fake.ELECTION)


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
    """The quorum is gone for good, whichever member was dead; neither chance nor time helps."""
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
        because=f'Remote with address "{ghost.address}:6443" exists$',
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


def test_a_member_removed_by_force_while_it_was_down_knows_nothing_of_it(
    cluster: fake.FakeMicrocluster,
) -> None:
    """Back again it can tell nothing, and the survivors do not take it back."""
    first, _, third = form(cluster, 3)
    third.kill()
    suite.succeed(first, "remove", "node-3", "--force")

    third.start()

    suite.refused(third, "list", "-f", "json", because=fake.NO_QUORUM)
    suite.refused(third, "bootstrap", because="Database is online$")
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
    assert content["join_addresses"] == [f"{first.address}:6443", f"{second.address}:6443"]


def test_two_bootstraps_are_two_clusters(cluster: fake.FakeMicrocluster) -> None:
    """Each with members of its own; who left the last takes its cluster along."""
    first = cluster.add_machine("node-1")
    second = cluster.add_machine("node-2")

    suite.succeed(first, "bootstrap")
    suite.succeed(second, "bootstrap")

    assert [list(one.members) for one in cluster.clusters] == [["node-1"], ["node-2"]]
    assert cluster.online_members() == ["node-1", "node-2"]
    suite.succeed(first, "remove", "node-1")
    assert [one.number for one in cluster.clusters] == [2]


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
