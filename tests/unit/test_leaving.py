"""The consumer when its unit is removed: it leaves the cluster, or the hook fails."""

from __future__ import annotations

import pytest
from ops import testing

import microcluster_token_distributor as lib
from tests.unit import consumer, runner
from tests.unit.consumer import LIST, NO, NO_QUORUM, TOKEN_0, members

LEAVE = ("remove", "node-0", "--now")
TWO = ("node-0", "node-1")
ONE_DOWN = ("node-0", "node-1 voter UNREACHABLE")
CANCELED = runner.Answer(1, stderr="Error: context canceled")
CLOSING = [
    runner.Answer(1, stderr=f"Error: {text}")
    for text in ["Daemon is shutting down", "EOF", "dial unix control.socket: no such file"]
]


def refusal(unit: consumer.Unit) -> str:
    """Run the remove hook, which fails, and return why."""
    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")
    assert isinstance(caught.value.__cause__, lib.LeaveRefusedError)
    return str(caught.value.__cause__).removeprefix("node-0 cannot leave the cluster yet: ")


def leaving(
    unit: consumer.Unit, *answers: runner.Answer, ends: runner.Answer | None = None
) -> None:
    """Make it a member whose `list` answers in turn, with a `remove` that ends in some way."""
    unit.settle()
    unit.lists(*answers)
    unit.expect(*LEAVE, answers=[ends or runner.Answer()])


@pytest.mark.parametrize("related", [True, False])
def test_member_leaves_by_its_own_name(unit: consumer.Unit, related: bool) -> None:
    """With what the charm adds, and after it was told; at once where the cluster obeys."""
    leaving(unit, members(*TWO), NO)
    unit.rename("other")
    unit.goal(micro_0="dying", micro_1="active")
    if not related:
        unit.relate()

    hook = unit.hook("remove")

    assert hook.calls == [LIST, LEAVE, LIST]
    assert hook.events == ["preleave"]
    assert not hook.in_cluster
    assert "INFO node-0 has left the cluster" in hook.log
    assert unit.now == 0


@pytest.mark.parametrize("ends", [runner.Answer(), CANCELED])
def test_the_list_decides_whether_a_member_has_left(
    unit: consumer.Unit, ends: runner.Answer
) -> None:
    """Microcluster v3 exits with 1 and has left, and its daemon is away for a moment."""
    leaving(unit, members(*TWO), *CLOSING, members(*TWO), members("node-1"), ends=ends)
    unit.goal(micro_0="dying", micro_1="active")

    hook = unit.hook("remove")

    assert hook.calls == [LIST, LEAVE, *[LIST] * 5]
    assert unit.now == 1.0
    assert not hook.in_cluster


@pytest.mark.parametrize("ends", [consumer.REFUSED, CANCELED, runner.Answer()])
def test_the_only_member_goes_whatever_the_command_says(
    unit: consumer.Unit, ends: runner.Answer
) -> None:
    """Microcluster never lets it go, and nobody else is in need of it."""
    leaving(unit, members("node-0"), ends=ends)

    hook = unit.hook("remove")

    assert hook.calls == [LIST, LEAVE]
    assert not hook.in_cluster


@pytest.mark.parametrize(
    ("rows", "units"),
    [
        (ONE_DOWN, {"micro_0": "dying", "micro_1": "active"}),
        (ONE_DOWN, {"micro_0": "dying", "micro_1": "unknown"}),
        (ONE_DOWN, {"micro_0": "dying"}),
        (ONE_DOWN, None),
    ],
    ids=["active", "no status", "of another application", "goal-state fails"],
)
def test_with_a_member_down_a_leave_is_refused_untried(
    unit: consumer.Unit, rows: tuple[str, ...], units: dict[str, str] | None
) -> None:
    """It may take the quorum with it, while somebody stays."""
    leaving(unit, members(*rows))
    if units is None:
        unit.commands.expect("goal-state", "--format=json", answers=[consumer.REFUSED])
    else:
        unit.goal(**units)

    assert refusal(unit) == "member node-1 is offline"
    assert unit.commands.calls == [(*consumer.COMMAND, *LIST)]


def test_without_a_list_a_leave_is_refused_untried(unit: consumer.Unit) -> None:
    """It is asked for again for some seconds, since the daemon may be restarting."""
    leaving(unit, NO_QUORUM)
    unit.goal(micro_0="dying", micro_1="active")

    assert refusal(unit) == "Error: no available dqlite leader server found"
    assert unit.now == 5.0

    unit.lists(NO_QUORUM, members(*TWO), NO)
    assert unit.hook("remove").calls == [LIST, LIST, LEAVE, LIST]


def test_refused_member_stays_while_somebody_stays(unit: consumer.Unit) -> None:
    """However often; the reason is what the command said."""
    leaving(unit, members(*TWO), ends=consumer.REFUSED)
    unit.goal(micro_0="dying", micro_1="active")

    assert [refusal(unit) for _ in range(5)] == ["Error: refused"] * 5


@pytest.mark.parametrize("answer", [members(*TWO), members(*ONE_DOWN), NO_QUORUM])
def test_where_nobody_stays_a_member_goes_at_the_third_refusal(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """The operator who removes an application is not made to wait for ever."""
    leaving(unit, answer, ends=consumer.REFUSED)
    unit.goal(micro_0="dying", micro_1="dying")

    refusals = [refusal(unit) for _ in range(2)]
    hook = unit.hook("remove")

    assert refusals == ["Error: refused"] * 2
    assert LEAVE in hook.calls
    assert not hook.in_cluster


def test_who_is_out_already_only_looks(unit: consumer.Unit) -> None:
    """An operator may have removed it by hand; a starting daemon is given some seconds."""
    leaving(unit, NO)

    hook = unit.hook("remove")

    assert set(hook.calls) == {LIST}
    assert hook.events == []
    assert unit.now == 5.0


def test_who_never_joined_runs_nothing(unit: consumer.Unit) -> None:
    """A machine without the workload can be removed too."""
    departed, removed = unit.departs(), unit.hook("remove")

    assert (departed.calls, removed.calls) == ([LIST], [])


def test_who_joined_in_a_hook_that_died_leaves(unit: consumer.Unit) -> None:
    """Only the cluster knows of it."""
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    unit.lists(NO, members(*TWO), members(*TWO), members(*TWO), NO)
    unit.expect(*consumer.JOIN)
    unit.expect(*LEAVE)
    unit.goal(micro_0="dying", micro_1="active")
    unit.use(fails_at="joined")
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.changed()
    unit.use()

    hooks = [unit.departs(), unit.hook("remove")]

    assert [hook.events for hook in hooks] == [[], ["preleave"]]
    assert hooks[1].calls == [LIST, LEAVE, LIST]
