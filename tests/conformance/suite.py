"""The rows that every microcluster has to satisfy, written from measurements of real ones.

The reference is MicroOVN's command line over microcluster 2.0.5. The fake has to be as harsh as
that reference. Microcluster 3.0.0 differs in places, and a world made of LXD daemons is kinder in
others; each such place is a field of `Traits`, whose default is the reference.

A world subclasses `ConformanceSuite` and gives it the fixtures `cluster`, a fresh
`protocol.Microcluster`, and `world`, the `Traits` of that very cluster.

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

    from tests.microclusters.protocol import Machine, Microcluster

# Seconds that any one command may take; a real one without quorum needs up to 30.
PATIENCE = 60.0

# Seconds within which a real cluster has reassigned its roles: some heartbeats.
SETTLING = 60.0

# How `add` can be refused, once, after a removal. Microcluster 3.0.0 does.
INCONSISTENT = "Membership consistency check failed after timeout"

LIST = ("list", "-f", "json")


@dataclasses.dataclass(frozen=True)
class Token:
    """A join token that does not show itself."""

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
    """What became of one command; no code means that it did not end within `PATIENCE`."""

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
    """One member as `list -f json` shows it."""

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
    """Where a world differs from the measured microcluster, and how it lets time pass."""

    # Called with a predicate and a limit in seconds, it lets time pass until the predicate holds,
    # and fails the test if it does not within the limit. A real world polls, and may take a
    # predicate's AssertionError for "not yet", because no member answers during an election.
    eventually: Callable[[Callable[[], bool], float], None]
    at_once: Callable[[Sequence[Callable[[], Answer]]], list[Answer]] = in_threads
    refusals: Refusals = dataclasses.field(default_factory=Refusals)
    # A newcomer can join while a member is dead, as with microcluster 3.0.0 and LXD. With 2.0.5
    # the join fails, leaves a ghost member behind, and costs a cluster of three its quorum for as
    # long as the dead one is down.
    joins_while_member_down: bool = False
    # `remove OWN-NAME` exits 1 although the member has left, as with microcluster 3.0.0.
    cuts_off_leaver: bool = False
    # The only member can remove itself, as LXD's can.
    only_member_leaves: bool = False
    # `add` refuses what is no host name. LXD does not.
    checks_names: bool = True
    # A member shows as `PENDING` until the next heartbeat. LXD has no such role.
    pending_after_join: bool = True


def run(machine: Machine, *words: str | Token) -> Answer:
    """Run a sub-command on a machine, so that no token can show in a failed test."""
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


def succeed(machine: Machine, *words: str | Token) -> Answer:
    """Run a sub-command that has to exit 0."""
    answer = run(machine, *words)
    assert answer.code == 0, f"{machine.name}: {answer}"
    return answer


def refused(machine: Machine, *words: str | Token, because: str) -> Answer:
    """Run a sub-command that has to exit 1, with standard error that matches `because`."""
    answer = run(machine, *words)
    assert answer.code == 1, f"{machine.name}: {answer}"
    assert re.search(because, answer.stderr), f"{machine.name}: {answer}"
    return answer


def add(member: Machine, name: str) -> Token:
    """Let `member` issue a token for `name`, at a second try where a removal was just before."""
    answer = run(member, "add", name)
    if answer.code == 1 and re.search(INCONSISTENT, answer.stderr):
        answer = run(member, "add", name)
    assert answer.code == 0, f"{member.name}: {answer}"
    return answer.token


def members(machine: Machine) -> dict[str, Member]:
    """Ask a machine for its cluster's members, by name."""
    rows: list[dict[str, Any]] = json.loads(succeed(machine, *LIST).stdout)
    found = [Member(row["name"], row["address"], row["role"], row["status"]) for row in rows]
    by_name = {member.name: member for member in found}
    assert len(by_name) == len(found), f"a name is listed twice: {found}"
    return by_name


def online(machine: Machine) -> set[str]:
    """The names of the members that are online, as `machine` lists them."""
    return {name for name, member in members(machine).items() if member.status == "ONLINE"}


def voters(machine: Machine) -> set[str]:
    """The names of the voting members, as `machine` lists them."""
    return {name for name, member in members(machine).items() if member.role == "voter"}


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
        listed = members(member).values()
        return (
            sum(row.status == "ONLINE" for row in listed) == size
            and all(row.role != "PENDING" for row in listed)
            and sum(row.role == "voter" for row in listed) >= (3 if size >= 3 else 1)
        )

    world.eventually(settled, SETTLING)


class ConformanceSuite:
    """The measured rows; a world subclasses it and gives `cluster` and `world`."""

    def test_fresh_machine_bootstraps(self, cluster: Microcluster, world: Traits) -> None:
        node = cluster.add_machine("node-1")
        for words in (("add", "node-2"), LIST):
            assert not refused(node, *words, because=world.refusals.not_member).stdout
        # No base64: its length is wrong, at byte 8.
        refused(node, "join", "notatoken", because=world.refusals.rubbish)

        assert not succeed(node, "bootstrap").stdout

        [member] = members(node).values()
        assert (member.name, member.status) == ("node-1", "ONLINE")
        assert member.address.startswith(node.address)
        # It issues tokens at once, before any heartbeat has given it a role.
        assert not world.pending_after_join or member.role == "PENDING"
        answer = succeed(node, "add", "node-2")
        assert answer.token.well_formed
        nothing_else = answer.stdout.split() == [answer.token.text]
        assert nothing_else

    def test_fresh_machine_joins(self, cluster: Microcluster) -> None:
        first = cluster.add_machine("node-1")
        succeed(first, "bootstrap")
        second = cluster.add_machine("node-2")

        succeed(second, "join", succeed(first, "add", "node-2", "--timeout", "600").token)

        assert online(first) == online(second) == {"node-1", "node-2"}
        assert members(first)["node-2"].address.startswith(second.address)

    def test_member_can_neither_bootstrap_nor_join(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        """The cluster does not mind to issue a token for a member's name; it is useless."""
        first, second = form(cluster, world, 2)
        token = add(first, "node-2")

        for node in (first, second):
            refused(node, "bootstrap", because=world.refusals.already_member)
            refused(node, "join", token, because=world.refusals.already_member)

        assert online(first) == {"node-1", "node-2"}

    def test_valid_token_holds_its_name_and_is_not_shown_again(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        first, second = form(cluster, world, 2)
        newcomer = cluster.add_machine("node-3")
        token = add(first, "node-3")

        for node in (first, second):
            answer = refused(node, "add", "node-3", because=world.refusals.name_taken)
            assert not token.shows_in(answer)

        succeed(newcomer, "join", token)

    def test_expired_token_is_refused_and_does_not_hold_its_name(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        (first,) = form(cluster, world, 1)
        newcomers = [cluster.add_machine(name) for name in ("node-2", "node-3")]
        expired = [add(first, newcomer.name) for newcomer in newcomers]
        cluster.expire_tokens()

        # Before another is issued, and without a try before that.
        refused(newcomers[0], "join", expired[0], because=world.refusals.token_expired)
        refused(newcomers[0], *LIST, because=world.refusals.not_member)
        for newcomer in newcomers:
            succeed(newcomer, "join", add(first, newcomer.name))

        assert online(first) == {"node-1", "node-2", "node-3"}

    def test_token_is_good_once_and_for_its_name(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        (first,) = form(cluster, world, 1)
        second = cluster.add_machine("node-2")
        token, other = add(first, "node-2"), add(first, "node-3")

        refused(second, "join", other, because=world.refusals.token_of_other_name)
        refused(second, *LIST, because=world.refusals.not_member)
        succeed(second, "join", token)
        settle(world, first, 2)
        second.destroy()
        succeed(first, "remove", "node-2", "--force")
        again = cluster.add_machine("node-2")
        refused(again, "join", token, because=world.refusals.token_unknown)

        assert set(members(first)) == {"node-1"}

    def test_add_refuses_what_is_no_host_name(self, cluster: Microcluster, world: Traits) -> None:
        (first,) = form(cluster, world, 1)

        for name in ("under_score", "1234", "a.1", "x" * 64) if world.checks_names else ():
            assert not refused(first, "add", name, because="^Error: ").stdout
        for name in ("Upper", "node.example.com", "7up", "x" * 63):
            assert add(first, name).well_formed

    def test_two_machines_join_at_once(self, cluster: Microcluster, world: Traits) -> None:
        (first,) = form(cluster, world, 1)
        newcomers = [cluster.add_machine(name) for name in ("node-2", "node-3")]
        tokens = [add(first, newcomer.name) for newcomer in newcomers]

        def joining(newcomer: Machine, token: Token) -> Callable[[], Answer]:
            return lambda: run(newcomer, "join", token)

        answers = world.at_once([joining(*pair) for pair in zip(newcomers, tokens, strict=True)])

        assert [answer.code for answer in answers] == [0, 0], answers
        settle(world, first, 3)
        assert online(first) == {"node-1", "node-2", "node-3"}

    def test_three_of_four_members_vote(self, cluster: Microcluster, world: Traits) -> None:
        first, *_ = form(cluster, world, 4)

        world.eventually(lambda: len(voters(first)) == 3, SETTLING)

        [other] = [row.role for row in members(first).values() if row.role != "voter"]
        assert other in {"stand-by", "spare"}

    def test_killed_member_is_unreachable_until_it_is_back(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        first, second, third = form(cluster, world, 3)

        third.kill()
        for witness in (first, second):
            assert online(witness) == {"node-1", "node-2"}
            assert members(witness)["node-3"].status == "UNREACHABLE"
        third.start()

        everyone = {"node-1", "node-2", "node-3"}
        world.eventually(lambda: online(first) == everyone, SETTLING)
        world.eventually(lambda: online(third) == everyone, SETTLING)

    def test_without_a_quorum_nothing_is_answered(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        first, second, third = form(cluster, world, 3)
        second.kill()
        third.kill()

        answers = [run(first, *LIST), run(first, "add", "node-4")]

        for answer in answers:
            assert answer.code != 0, answer
            if answer.code is not None:
                assert re.search(world.refusals.no_quorum, answer.stderr), answer
        second.start()
        world.eventually(lambda: run(first, *LIST).code == 0, SETTLING)
        world.eventually(lambda: {"node-1", "node-2"} <= online(first), SETTLING)

    def test_removed_member_resets_itself_and_joins_again(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        first, second = form(cluster, world, 2)

        succeed(first, "remove", "node-2")

        assert set(members(first)) == {"node-1"}
        world.eventually(lambda: run(second, *LIST).code == 1, SETTLING)
        refused(second, *LIST, because=world.refusals.not_member)
        succeed(second, "join", add(first, "node-2"))
        assert online(first) == {"node-1", "node-2"}

    def test_member_removes_itself(self, cluster: Microcluster, world: Traits) -> None:
        first, second, third = form(cluster, world, 3)

        if world.cuts_off_leaver:
            refused(first, "remove", "node-1", because=world.refusals.cut_off)
        else:
            succeed(first, "remove", "node-1")

        world.eventually(lambda: online(second) == {"node-2", "node-3"}, SETTLING)
        assert online(third) == {"node-2", "node-3"}

        def has_reset() -> bool:
            answer = run(first, *LIST)
            reset = re.search(world.refusals.not_member, answer.stderr)
            return answer.code == 1 and reset is not None

        world.eventually(has_reset, SETTLING)

    def test_only_member_cannot_leave_unless_the_world_is_kind(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        (first,) = form(cluster, world, 1)
        for force in ((), ("--force",)):
            refused(first, "remove", "nobody", *force, because=world.refusals.no_such_member)
        if not world.only_member_leaves:
            for force in ((), ("--force",)):
                refused(first, "remove", "node-1", *force, because=world.refusals.only_member)
            assert online(first) == {"node-1"}
            return

        succeed(first, "remove", "node-1")

        refused(first, *LIST, because=world.refusals.not_member)
        succeed(first, "bootstrap")

    def test_unreachable_member_is_removed_by_force_and_leaves_its_name(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        first, _, third = form(cluster, world, 3)
        third.destroy()

        refused(first, "remove", "node-3", because=world.refusals.member_unreachable)
        assert set(members(first)) == {"node-1", "node-2", "node-3"}
        succeed(first, "remove", "node-3", "--force")
        assert set(members(first)) == {"node-1", "node-2"}

        again = join(cluster, first, "node-3")
        settle(world, first, 3)
        assert online(again) == {"node-1", "node-2", "node-3"}
        assert members(first)["node-3"].address.startswith(again.address)

    def test_one_of_three_cannot_leave_while_another_is_down(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        first, second, third = form(cluster, world, 3)
        third.kill()

        refused(second, "remove", "node-2", because=world.refusals.cannot_leave)

        assert "node-2" in members(first)

    def test_join_while_a_member_is_down_costs_the_quorum_unless_the_world_is_kind(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        """It comes back with the dead member only."""
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
            refused(member, *LIST, because=world.refusals.no_quorum)
            refused(member, "add", "node-5", because=world.refusals.no_quorum)
        third.start()
        world.eventually(lambda: "node-3" in online(first), SETTLING)
        assert members(first)["node-4"].status == "UNREACHABLE"

    def test_once_the_dead_first_member_is_removed_a_newcomer_joins(
        self, cluster: Microcluster, world: Traits
    ) -> None:
        first, second, third = form(cluster, world, 3)
        first.kill()
        # No member is special: the rest elect another database leader.
        assert online(second) == online(third) == {"node-2", "node-3"}

        succeed(second, "remove", "node-1", "--force")
        newcomer = join(cluster, second, "node-4")

        everyone = {"node-2", "node-3", "node-4"}
        settle(world, second, 3)
        assert online(second) == online(third) == online(newcomer) == everyone
