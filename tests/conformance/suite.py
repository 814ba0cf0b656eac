"""The rows that every microcluster has to satisfy, written from measurements of real ones.

The reference is MicroOVN's command line over microcluster 2.0.5. The fake has to be as harsh as
that reference. Microcluster 3.0.0 differs in places, and a world made of LXD daemons is kinder in
others; each such place is a field of `Traits`, whose documentation says how the worlds differ, and
whose default is the reference.

To bind a world, subclass `ConformanceSuite` and give it the fixtures `cluster`, a fresh
`protocol.Microcluster`, and `world`, the `Traits` of that very cluster:

    class TestSomeWorld(suite.ConformanceSuite):
        @pytest.fixture
        def cluster(self) -> Iterator[protocol.Microcluster]: ...

        @pytest.fixture
        def world(self, cluster: protocol.Microcluster) -> suite.Traits: ...

Nothing here measures time, and nothing here shows a join token: a command's output is held in an
`Answer`, whose representation leaves it out, and a token in a `Token`, which shows a digest.
"""

from __future__ import annotations

import base64
import concurrent.futures
import dataclasses
import hashlib
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.microclusters import protocol

#: Seconds that any one command may take; a real one without quorum needs up to 30.
PATIENCE = 60.0

#: Seconds within which a real cluster has reassigned its roles: some heartbeats.
SETTLING = 60.0

#: What `add` can say, once, after a removal. Microcluster 3.0.0 does.
INCONSISTENT = "Membership consistency check failed after timeout"

#: Names that are no host names, and names that are.
BAD_NAMES = ("under_score", "1234", "a.1", "x" * 64)
GOOD_NAMES = ("Upper", "node.example.com", "7up", "x" * 63)

#: No base64: its length is wrong, at byte 8.
RUBBISH = "notatoken"


@dataclasses.dataclass(frozen=True)
class Token:
    """A join token that does not show itself.

    Args:
        text: the token as the command line printed it, without the line end.
    """

    text: str = dataclasses.field(repr=False)

    @property
    def digest(self) -> str:
        """The token's SHA-256 in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def well_formed(self) -> bool:
        """Whether it is base64 of a JSON object that has a secret and a fingerprint."""
        try:
            content: Any = json.loads(base64.b64decode(self.text, validate=True))
        except ValueError:
            return False
        return isinstance(content, dict) and {"secret", "fingerprint"} <= content.keys()

    def shows_in(self, answer: Answer) -> bool:
        """Whether a command printed this token."""
        return self.text in answer.stdout + answer.stderr

    def __repr__(self) -> str:
        return f"<token {self.digest[:12]}>"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What became of one command.

    Args:
        words: the sub-command and its arguments, a token cut out.
        code: the exit code, or None if the command did not end within `PATIENCE`.
        stderr: its standard error.
        stdout: its standard output, which may be a token and is therefore never shown.
    """

    words: tuple[str, ...]
    code: int | None
    stderr: str
    stdout: str = dataclasses.field(repr=False)

    @property
    def token(self) -> Token:
        """The token on the last line of the output."""
        return Token(self.stdout.strip().splitlines()[-1])


@dataclasses.dataclass(frozen=True)
class Member:
    """One member as `list -f json` shows it; the units are those of the reference."""

    name: str
    address: str
    role: str
    status: str


@dataclasses.dataclass(frozen=True)
class Refusals:
    """Regular expressions that a refused command's standard error has to match somewhere.

    An empty one matches all: the world has no wording of its own for that refusal.
    """

    already_member: str = ""
    not_member: str = ""
    name_taken: str = ""
    token_unknown: str = ""
    token_expired: str = ""
    token_of_other_name: str = ""
    rubbish: str = ""
    member_unreachable: str = ""
    no_such_member: str = ""
    no_quorum: str = ""
    join_unconfirmed: str = ""
    cannot_leave: str = ""
    only_member: str = ""
    cut_off: str = ""


def one_after_the_other(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Run the calls in turn: for a world whose commands take no time of ours."""
    return [call() for call in calls]


def in_threads(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Run the calls at the same moment: for a world of real daemons."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@dataclasses.dataclass(frozen=True)
class Traits:
    """Where a world differs from the measured microcluster, and how it lets time pass.

    Args:
        eventually: called with a predicate and a limit in seconds, it lets time pass until the
            predicate holds, and fails the test if it does not within the limit. A real world
            polls, and may take a predicate's AssertionError for "not yet", because no member
            answers during an election; the fake moves its own clock.
        at_once: runs several calls at the same moment, `in_threads` or `one_after_the_other`.
        refusals: what the world says when it refuses.
        joins_while_member_down: whether a newcomer can join while a member is dead. With
            microcluster 3.0.0 and LXD it can. With 2.0.5 the join fails, leaves a ghost member
            behind, and costs a cluster of three its quorum for as long as the dead one is down.
        cuts_off_leaver: whether `remove OWN-NAME` exits 1 although the member has left. So it
            does with microcluster 3.0.0.
        only_member_leaves: whether the only member can remove itself. LXD's can.
        checks_names: whether `add` refuses what is no host name. LXD does not.
        pending_after_join: whether a member shows as `PENDING` until the next heartbeat. LXD has
            no such role.
    """

    eventually: Callable[[Callable[[], bool], float], None]
    at_once: Callable[[Sequence[Callable[[], Answer]]], list[Answer]] = in_threads
    refusals: Refusals = dataclasses.field(default_factory=Refusals)
    joins_while_member_down: bool = False
    cuts_off_leaver: bool = False
    only_member_leaves: bool = False
    checks_names: bool = True
    pending_after_join: bool = True


def run(machine: protocol.Machine, *words: str | Token) -> Answer:
    """Run a sub-command on a machine, so that no token can show in a failed test.

    Args:
        machine: where to run it.
        words: what follows the program's own words, for example `"add", "node-2"`.
    """
    plain = [word.text if isinstance(word, Token) else word for word in words]
    shown = tuple(repr(word) if isinstance(word, Token) else word for word in words)
    try:
        done = machine.run([*machine.command, *plain], timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return Answer(shown, None, "", "")
    stderr = done.stderr
    for word in words:
        if isinstance(word, Token):
            stderr = stderr.replace(word.text, repr(word))
    return Answer(shown, done.returncode, stderr, done.stdout)


def succeed(machine: protocol.Machine, *words: str | Token) -> Answer:
    """Run a sub-command that has to exit 0."""
    answer = run(machine, *words)
    assert answer.code == 0, f"{machine.name}: {answer}"
    return answer


def refused(machine: protocol.Machine, *words: str | Token, because: str) -> Answer:
    """Run a sub-command that has to exit 1, with standard error that matches `because`."""
    answer = run(machine, *words)
    assert answer.code == 1, f"{machine.name}: {answer}"
    assert re.search(because, answer.stderr), f"{machine.name}: {answer}"
    return answer


def add(member: protocol.Machine, name: str) -> Token:
    """Let `member` issue a token for `name`, at a second try where a removal was just before."""
    answer = run(member, "add", name)
    if answer.code == 1 and re.search(INCONSISTENT, answer.stderr):
        answer = run(member, "add", name)
    assert answer.code == 0, f"{member.name}: {answer}"
    return answer.token


def members(machine: protocol.Machine) -> dict[str, Member]:
    """Ask a machine for its cluster's members, by name.

    The machine must answer, in the documented form.
    """
    rows: list[dict[str, Any]] = json.loads(succeed(machine, "list", "-f", "json").stdout)
    found = [Member(row["name"], row["address"], row["role"], row["status"]) for row in rows]
    by_name = {member.name: member for member in found}
    assert len(by_name) == len(found), f"a name is listed twice: {found}"
    return by_name


def online(machine: protocol.Machine) -> set[str]:
    """The names of the members that are online, by the word of `machine`."""
    return {name for name, member in members(machine).items() if member.status == "ONLINE"}


def voters(machine: protocol.Machine) -> set[str]:
    """The names of the voting members, by the word of `machine`."""
    return {name for name, member in members(machine).items() if member.role == "voter"}


def join(cluster: protocol.Microcluster, member: protocol.Machine, name: str) -> protocol.Machine:
    """Bring up a fresh machine and let it join `member`'s cluster."""
    newcomer = cluster.add_machine(name)
    succeed(newcomer, "join", add(member, name))
    return newcomer


def form(cluster: protocol.Microcluster, world: Traits, size: int) -> list[protocol.Machine]:
    """Form a cluster of `node-1` to `node-<size>`, and let it assign its roles."""
    first = cluster.add_machine("node-1")
    succeed(first, "bootstrap")
    nodes = [first, *(join(cluster, first, f"node-{i}") for i in range(2, size + 1))]
    settle(world, first, size)
    return nodes


def settle(world: Traits, member: protocol.Machine, size: int) -> None:
    """Wait until `size` members are online with their roles: three voters as soon as there are."""

    def settled() -> bool:
        listed = members(member).values()
        return (
            sum(row.status == "ONLINE" for row in listed) == size
            and all(row.role != "PENDING" for row in listed)
            and sum(row.role == "voter" for row in listed) >= (3 if size >= 3 else 1)
        )

    world.eventually(settled, SETTLING)


class ConformanceSuite:
    """One test for each measured row; a world subclasses it and gives `cluster` and `world`."""

    # bootstrap

    def test_bootstrap_makes_a_fresh_machine_the_only_member(
        self, cluster: protocol.Microcluster
    ) -> None:
        """A fresh node bootstraps, silently, and is the one member, online at its address."""
        node = cluster.add_machine("node-1")

        answer = succeed(node, "bootstrap")

        listed = members(node)
        assert set(listed) == {"node-1"}
        assert listed["node-1"].status == "ONLINE"
        assert listed["node-1"].address.startswith(node.address)
        assert not answer.stdout

    def test_bootstrap_on_a_member_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Neither the first member nor one that joined can bootstrap again."""
        for node in form(cluster, world, 2):
            refused(node, "bootstrap", because=world.refusals.already_member)

    # add

    def test_add_prints_a_token_while_the_only_member_is_still_pending(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """The first member issues at once, before any heartbeat has given it a role."""
        node = cluster.add_machine("node-1")
        succeed(node, "bootstrap")
        if world.pending_after_join:
            assert members(node)["node-1"].role == "PENDING"

        answer = succeed(node, "add", "node-2")

        assert answer.token.well_formed
        nothing_else = answer.stdout.split() == [answer.token.text]
        assert nothing_else

    def test_add_refuses_a_name_that_has_a_valid_token_and_does_not_show_it(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A second token is refused, the first stays good."""
        first, second = form(cluster, world, 2)
        newcomer = cluster.add_machine("node-3")
        token = add(first, "node-3")

        for node in (first, second):
            answer = refused(node, "add", "node-3", because=world.refusals.name_taken)
            assert not token.shows_in(answer)

        succeed(newcomer, "join", token)

    def test_add_gives_another_token_once_the_first_has_expired(
        self, cluster: protocol.Microcluster
    ) -> None:
        """An expired token does not hold its name."""
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")
        newcomer = cluster.add_machine("node-2")
        expired = add(first, "node-2")
        cluster.expire_tokens()

        token = add(first, "node-2")

        assert token.digest != expired.digest
        succeed(newcomer, "join", token)
        assert online(newcomer) == {"node-1", "node-2"}

    def test_add_for_a_member_exits_zero_with_a_useless_token(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """The cluster does not mind that the name is a member's already."""
        first, second = form(cluster, world, 2)

        token = add(first, "node-2")

        refused(second, "join", token, because=world.refusals.already_member)
        assert online(first) == {"node-1", "node-2"}

    def test_add_with_a_timeout_gives_a_token_that_works(
        self, cluster: protocol.Microcluster
    ) -> None:
        """A token's life can be set when it is issued."""
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")
        newcomer = cluster.add_machine("node-2")

        token = succeed(first, "add", "node-2", "--timeout", "600").token

        succeed(newcomer, "join", token)

    def test_add_on_a_machine_that_is_no_member_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A fresh machine can issue nothing."""
        fresh = cluster.add_machine("node-1")

        answer = refused(fresh, "add", "node-2", because=world.refusals.not_member)

        assert not answer.stdout

    def test_add_refuses_what_is_no_host_name(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Underscores, labels that are numbers or too long; not upper case or dots."""
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")

        for name in BAD_NAMES if world.checks_names else ():
            assert not refused(first, "add", name, because="^Error: ").stdout
        for name in GOOD_NAMES:
            assert add(first, name).well_formed

    # join

    def test_join_makes_a_fresh_machine_a_member(self, cluster: protocol.Microcluster) -> None:
        """Old and new member list the same cluster."""
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")

        second = join(cluster, first, "node-2")

        assert online(first) == online(second) == {"node-1", "node-2"}
        assert members(first)["node-2"].address.startswith(second.address)

    def test_join_on_a_member_is_refused_and_changes_nothing(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A member cannot join again, even with a token of its own cluster."""
        first, second = form(cluster, world, 2)
        token = add(first, "node-3")

        for node in (first, second):
            refused(node, "join", token, because=world.refusals.already_member)

        assert online(first) == {"node-1", "node-2"}

    def test_join_with_a_used_token_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A token is good once, even for a machine of the right name."""
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")
        second = cluster.add_machine("node-2")
        token = add(first, "node-2")
        succeed(second, "join", token)
        settle(world, first, 2)
        second.destroy()
        succeed(first, "remove", "node-2", "--force")
        impostor = cluster.add_machine("node-2")

        refused(impostor, "join", token, because=world.refusals.token_unknown)

        assert set(members(first)) == {"node-1"}

    def test_join_with_an_expired_token_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A machine whose token expired is still fresh, and joins with the next."""
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")
        newcomer = cluster.add_machine("node-2")
        token = add(first, "node-2")
        cluster.expire_tokens()

        refused(newcomer, "join", token, because=world.refusals.token_expired)

        refused(newcomer, "list", "-f", "json", because=world.refusals.not_member)
        succeed(newcomer, "join", add(first, "node-2"))

    def test_join_with_another_names_token_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A token is bound to a name."""
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")
        newcomer = cluster.add_machine("node-2")
        token = add(first, "node-3")

        refused(newcomer, "join", token, because=world.refusals.token_of_other_name)

        assert set(members(first)) == {"node-1"}
        refused(newcomer, "list", "-f", "json", because=world.refusals.not_member)

    def test_join_with_rubbish_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """What is no token is refused, and the machine can still bootstrap."""
        fresh = cluster.add_machine("node-1")

        refused(fresh, "join", RUBBISH, because=world.refusals.rubbish)

        succeed(fresh, "bootstrap")

    def test_two_machines_join_at_once(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Both succeed, and both are members for good."""
        (first,) = form(cluster, world, 1)
        newcomers = [cluster.add_machine(name) for name in ("node-2", "node-3")]
        tokens = [add(first, newcomer.name) for newcomer in newcomers]

        def joining(newcomer: protocol.Machine, token: Token) -> Callable[[], Answer]:
            return lambda: run(newcomer, "join", token)

        answers = world.at_once([joining(*pair) for pair in zip(newcomers, tokens, strict=True)])

        assert [answer.code for answer in answers] == [0, 0], answers
        settle(world, first, 3)
        assert online(first) == {"node-1", "node-2", "node-3"}

    # list

    def test_list_on_a_machine_that_is_no_member_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A fresh machine says that it is no member."""
        fresh = cluster.add_machine("node-1")

        refused(fresh, "list", "-f", "json", because=world.refusals.not_member)

    def test_three_of_four_members_vote(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Heartbeats make three voters; who comes later is a stand-by or a spare."""
        first, *_ = form(cluster, world, 4)

        world.eventually(lambda: len(voters(first)) == 3, SETTLING)

        others = [row.role for row in members(first).values() if row.role != "voter"]
        assert len(others) == 1
        assert others[0] in {"stand-by", "spare"}

    def test_a_member_that_was_killed_shows_as_unreachable(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """The others still list it, and still agree."""
        first, second, third = form(cluster, world, 3)

        third.kill()

        for witness in (first, second):
            assert online(witness) == {"node-1", "node-2"}
            assert members(witness)["node-3"].status == "UNREACHABLE"

    def test_the_cluster_survives_the_death_of_its_first_member(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """No member is special: the rest elect another database leader."""
        first, second, third = form(cluster, world, 3)

        first.kill()

        assert online(second) == online(third) == {"node-2", "node-3"}

    def test_a_killed_member_comes_back_with_its_data(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Started again it is online by everybody's word, its own included."""
        first, _, third = form(cluster, world, 3)
        third.kill()

        third.start()

        everyone = {"node-1", "node-2", "node-3"}
        world.eventually(lambda: online(first) == everyone, SETTLING)
        world.eventually(lambda: online(third) == everyone, SETTLING)

    def test_a_cluster_that_lost_its_quorum_answers_nothing(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """With two of three voters dead `list` and `add` fail; with one back they work again."""
        first, second, third = form(cluster, world, 3)
        second.kill()
        third.kill()

        answers = [run(first, "list", "-f", "json"), run(first, "add", "node-4")]

        for answer in answers:
            assert answer.code != 0, answer
            if answer.code is not None:
                assert re.search(world.refusals.no_quorum, answer.stderr), answer
        second.start()
        world.eventually(lambda: run(first, "list", "-f", "json").code == 0, SETTLING)
        world.eventually(lambda: {"node-1", "node-2"} <= online(first), SETTLING)

    # remove

    def test_a_removed_member_resets_itself_and_joins_again(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Removed by another, a live member is fresh again, and a new token takes it back."""
        first, second = form(cluster, world, 2)

        succeed(first, "remove", "node-2")

        assert set(members(first)) == {"node-1"}
        world.eventually(lambda: run(second, "list", "-f", "json").code == 1, SETTLING)
        refused(second, "list", "-f", "json", because=world.refusals.not_member)
        succeed(second, "join", add(first, "node-2"))
        assert online(first) == {"node-1", "node-2"}

    def test_a_member_can_remove_itself(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Also the first one, with the rest staying whole."""
        first, second, third = form(cluster, world, 3)

        if world.cuts_off_leaver:
            refused(first, "remove", "node-1", because=world.refusals.cut_off)
        else:
            succeed(first, "remove", "node-1")

        world.eventually(lambda: online(second) == {"node-2", "node-3"}, SETTLING)
        assert online(third) == {"node-2", "node-3"}

        def has_reset() -> bool:
            answer = run(first, "list", "-f", "json")
            reset = re.search(world.refusals.not_member, answer.stderr)
            return answer.code == 1 and reset is not None

        world.eventually(has_reset, SETTLING)

    def test_the_only_member_cannot_leave_unless_the_world_is_kind(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """It stays a member, force or none. In a kind world it can bootstrap another cluster."""
        (first,) = form(cluster, world, 1)
        if not world.only_member_leaves:
            for force in ((), ("--force",)):
                refused(first, "remove", "node-1", *force, because=world.refusals.only_member)
            assert online(first) == {"node-1"}
            return

        succeed(first, "remove", "node-1")

        refused(first, "list", "-f", "json", because=world.refusals.not_member)
        succeed(first, "bootstrap")

    def test_an_unreachable_member_is_not_removed_without_force(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """It stays a member until somebody insists."""
        first, _, third = form(cluster, world, 3)
        third.kill()

        refused(first, "remove", "node-3", because=world.refusals.member_unreachable)

        assert set(members(first)) == {"node-1", "node-2", "node-3"}
        succeed(first, "remove", "node-3", "--force")
        assert set(members(first)) == {"node-1", "node-2"}

    def test_removing_an_unknown_name_is_refused(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """With and without force."""
        (first,) = form(cluster, world, 1)

        refused(first, "remove", "nobody", because=world.refusals.no_such_member)
        refused(first, "remove", "nobody", "--force", because=world.refusals.no_such_member)

        assert set(members(first)) == {"node-1"}

    def test_one_of_three_cannot_leave_while_another_is_down(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """Refused after 30 s, and the leaver is still a member."""
        first, second, third = form(cluster, world, 3)
        third.kill()

        refused(second, "remove", "node-2", because=world.refusals.cannot_leave)

        assert "node-2" in members(first)

    # a member is down

    def test_a_join_while_a_member_is_down_costs_the_quorum_unless_the_world_is_kind(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """The rule that matters most: it comes back with the dead member only."""
        first, second, third = form(cluster, world, 3)
        newcomer = cluster.add_machine("node-4")
        token = add(first, "node-4")
        third.kill()

        if world.joins_while_member_down:
            succeed(newcomer, "join", token)
            world.eventually(lambda: online(first) == {"node-1", "node-2", "node-4"}, SETTLING)
            return

        refused(newcomer, "join", token, because=world.refusals.join_unconfirmed)
        for member in (first, second):
            refused(member, "list", "-f", "json", because=world.refusals.no_quorum)
            refused(member, "add", "node-5", because=world.refusals.no_quorum)
        third.start()
        world.eventually(lambda: "node-3" in online(first), SETTLING)
        assert members(first)["node-4"].status == "UNREACHABLE"

    def test_once_the_dead_member_is_removed_a_newcomer_joins(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """The cure: first the dead out, by force, then the token and the join."""
        first, second, third = form(cluster, world, 3)
        first.kill()

        succeed(second, "remove", "node-1", "--force")
        newcomer = join(cluster, second, "node-4")

        everyone = {"node-2", "node-3", "node-4"}
        settle(world, second, 3)
        assert online(second) == online(third) == online(newcomer) == everyone

    def test_the_same_host_name_comes_back(
        self, cluster: protocol.Microcluster, world: Traits
    ) -> None:
        """A machine destroyed and removed by force leaves its name to the next."""
        first, _, third = form(cluster, world, 3)
        third.destroy()
        succeed(first, "remove", "node-3", "--force")

        again = join(cluster, first, "node-3")

        settle(world, first, 3)
        assert online(again) == {"node-1", "node-2", "node-3"}
        assert members(first)["node-3"].address.startswith(again.address)
