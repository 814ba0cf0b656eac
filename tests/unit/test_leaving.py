"""The consumer when its unit is removed: it leaves the cluster, or the hook fails."""

from __future__ import annotations

import pytest
from ops import testing

import microcluster_token_distributor as lib
from tests.unit import consumer, runner
from tests.unit.consumer import LIST, NO, NO_QUORUM, REFUSED, members

DONE = runner.Answer()
LEAVE = ("remove", "node-0", "--now")
TWO = members("node-0", "node-1")
ONE_DOWN = members("node-0", "node-1 voter UNREACHABLE")
CANCELED = runner.Answer(1, stderr="Error: context canceled")
CLOSING = [
    runner.Answer(1, stderr=f"Error: {text}")
    for text in ["Daemon is shutting down", "EOF", "dial unix control.socket: no such file"]
]
STAYS = {"micro_0": "dying", "micro_1": "active"}


def leaving(unit: consumer.Unit, *answers: runner.Answer, ends: runner.Answer = REFUSED) -> None:
    """Make it a member whose `list` answers in turn, with a `remove` that ends in some way."""
    unit.settle()
    unit.lists(*answers)
    unit.expect(*LEAVE, answers=[ends])
    unit.goal(**STAYS)


def refusal(unit: consumer.Unit) -> str:
    """Run the remove hook, which fails, and return why."""
    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")
    assert isinstance(caught.value.__cause__, lib.LeaveRefusedError)
    return str(caught.value.__cause__).removeprefix("node-0 cannot leave the cluster yet: ")


@pytest.mark.parametrize("related", [True, False])
def test_member_leaves_by_its_own_name(unit: consumer.Unit, related: bool) -> None:
    """With the charm's arguments, and after its event; at once where the cluster obeys."""
    leaving(unit, TWO, NO, ends=DONE)
    unit.rename("other")
    unit.relate(*[unit.relation] * related)

    hook = unit.hook("remove")

    assert (hook.calls, hook.events) == ([LIST, LEAVE, LIST], ["preleave"])
    assert (hook.in_cluster, unit.now) == (False, 0)
    assert "action=cluster_leave node=node-0" in hook.log


@pytest.mark.parametrize("ends", [DONE, CANCELED])
def test_list_decides_whether_a_member_has_left(unit: consumer.Unit, ends: runner.Answer) -> None:
    """Microcluster v3 exits with 1 and has left, and its daemon is away for a moment."""
    leaving(unit, TWO, *CLOSING, TWO, members("node-1"), ends=ends)

    hook = unit.hook("remove")

    assert hook.calls == [LIST, LEAVE, *[LIST] * 5]
    assert (hook.in_cluster, unit.now) == (False, 1)


@pytest.mark.parametrize("ends", [REFUSED, CANCELED, DONE])
def test_only_member_goes_whatever_the_command_says(
    unit: consumer.Unit, ends: runner.Answer
) -> None:
    """Microcluster never lets it go, and nobody else is in need of it."""
    leaving(unit, members("node-0"), ends=ends)

    hook = unit.hook("remove")

    assert (hook.calls, hook.in_cluster) == ([LIST, LEAVE], False)


@pytest.mark.parametrize(
    "units",
    [STAYS, {"micro_0": "dying", "micro_1": "unknown"}],
    ids=["active", "no status"],
)
def test_with_a_member_down_a_leave_is_refused_untried(
    unit: consumer.Unit, units: dict[str, str]
) -> None:
    """It may take the quorum with it, while somebody stays."""
    leaving(unit, ONE_DOWN)
    unit.goal(**units)

    assert refusal(unit) == "member node-1 is offline"
    assert unit.commands.calls == [(*consumer.COMMAND, *LIST)]


def test_without_a_list_a_leave_is_refused_untried(unit: consumer.Unit) -> None:
    """It is asked for again for some seconds, since the daemon may be restarting."""
    leaving(unit, NO_QUORUM, ends=DONE)

    assert refusal(unit) == "Error: no available dqlite leader server found"
    assert unit.now == 5
    unit.lists(NO_QUORUM, TWO, NO)
    assert unit.hook("remove").calls == [LIST, LIST, LEAVE, LIST]


def test_refused_member_stays_while_somebody_stays(unit: consumer.Unit) -> None:
    """However often; the reason is the command's, or that of the list where it gave none."""
    leaving(unit, TWO)

    assert [refusal(unit) for _ in range(5)] == ["Error: refused"] * 5
    unit.expect(*LEAVE)
    unit.lists(TWO, NO_QUORUM)
    assert refusal(unit)


@pytest.mark.parametrize("answer", [TWO, ONE_DOWN, NO_QUORUM])
def test_where_nobody_stays_a_member_goes_at_the_third_refusal(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """The operator who removes an application is not made to wait for ever."""
    leaving(unit, answer)
    unit.goal(micro_0="dying", micro_1="dying")

    refusals = [refusal(unit) for _ in range(2)]
    hook = unit.hook("remove")

    assert refusals == ["Error: refused"] * 2
    assert (LEAVE in hook.calls, hook.in_cluster) == (True, False)
    assert "goes without leaving the cluster: Error: refused" in hook.log


@pytest.mark.parametrize("answer", [TWO, ONE_DOWN, NO_QUORUM])
def test_beside_another_application_a_member_goes_at_the_eighth_refusal(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """The other's members get the time to remove those that have gone before."""
    leaving(unit, answer)
    unit.publish(formed="true", shared="true")
    unit.hook("update_status")
    unit.goal(micro_0="dying", micro_1="dying")

    assert all(refusal(unit) for _ in range(7))
    hook = unit.hook("remove")

    assert (LEAVE in hook.calls, hook.in_cluster) == (answer is TWO, False)


def test_only_the_refusals_count_after_which_nobody_stays(unit: consumer.Unit) -> None:
    """A unit that was kept for long is not let go at once when all others are removed too."""
    leaving(unit, TWO)
    for _ in range(5):
        refusal(unit)
    unit.goal(micro_0="dying", micro_1="dying")

    assert [refusal(unit) for _ in range(2)]
    assert not unit.hook("remove").in_cluster


def test_who_is_out_already_only_looks(unit: consumer.Unit) -> None:
    """An operator may have removed it by hand; a starting daemon is given some seconds."""
    leaving(unit, NO)

    hook = unit.hook("remove")

    assert (set(hook.calls), hook.events, unit.now) == ({LIST}, [], 5)


def test_who_never_joined_runs_nothing(unit: consumer.Unit) -> None:
    """A machine without the workload can be removed too."""
    assert unit.departed("micro/0").calls == [LIST]
    assert unit.hook("remove").calls == []


def test_who_joined_in_a_hook_that_died_leaves(unit: consumer.Unit) -> None:
    """Only the cluster knows of it."""
    unit.offer()
    unit.use(fails_at="joined")
    unit.lists(NO, TWO, TWO, TWO, NO)
    unit.expect(*LEAVE)
    unit.goal(**STAYS)
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.changed()

    departed, removed = unit.departed("micro/0"), unit.hook("remove")

    assert (departed.events, removed.events) == ([], ["preleave"])
    assert removed.calls == [LIST, LEAVE, LIST]
