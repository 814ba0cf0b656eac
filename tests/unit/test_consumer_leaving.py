"""The consumer when its unit is removed: it leaves the cluster, or stays where it must."""

from __future__ import annotations

import pytest
from ops import testing

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import consumer, runner

LIST = consumer.LIST
REFUSED = runner.Answer(1, stderr="Error: context deadline exceeded")


def test_a_member_that_is_removed_leaves_the_cluster(unit: consumer.Unit) -> None:
    """By its own name and without force, while its daemon can still do so."""
    unit.relate()
    unit.remember(in_cluster=True)
    unit.lists(consumer.members("node-0", "node-1"))
    unit.expect("remove", "node-0")

    hook = unit.hook("remove")

    assert hook.calls == [LIST, ("remove", "node-0")]
    assert hook.limits == [30, 60]
    assert hook.events == []
    assert not hook.in_cluster
    assert hook.logged("INFO node-0 has left the cluster")


def test_a_member_that_cannot_tell_tries_to_leave(unit: consumer.Unit) -> None:
    """It goes in any case, and its vote with it if it does not leave."""
    unit.relate()
    unit.remember(in_cluster=True)
    unit.lists(consumer.prints("{]"))
    unit.expect("remove", "node-0")

    hook = unit.hook("remove")

    assert hook.calls == [LIST, ("remove", "node-0")]
    assert not hook.in_cluster


@pytest.mark.parametrize("answer", [consumer.NOT_A_MEMBER, consumer.NO_QUORUM])
def test_who_is_no_member_or_cannot_tell_leaves_nothing(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """A command that cannot succeed would only make the removal of the unit slow."""
    unit.relate()
    unit.lists(answer)

    assert unit.hook("remove").calls == [LIST]


def _refusal(unit: consumer.Unit, *lists: runner.Answer, other: str = "active") -> str:
    """Remove a unit that its cluster refuses to let go, and give the reason of the failed hook."""
    unit.relate()
    unit.remember(in_cluster=True)
    unit.lists(*lists)
    unit.expect("remove", "node-0", answers=[REFUSED])
    unit.commands.expect_goal_state({"lxd/0": "dying", "lxd/1": other})
    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")
    assert isinstance(caught.value.__cause__, lib.LeaveRefusedError)
    return str(caught.value.__cause__)


def test_a_member_that_the_cluster_does_not_let_go_stays(unit: consumer.Unit) -> None:
    """The hook fails, so that Juju tries it again: with the unit would go its vote."""
    refusal = _refusal(unit, consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")))

    assert refusal == "node-0 cannot leave the cluster yet: not online: node-1"


def test_a_member_that_may_not_go_before_it_has_a_role_stays(unit: consumer.Unit) -> None:
    """All are online, and the cluster says why itself."""
    members = consumer.members(("node-0", "PENDING", "ONLINE"), "node-1")

    refusal = _refusal(unit, members, other="dying")

    assert "cannot leave the cluster yet: Error: context deadline" in refusal


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")),
            consumer.NOT_A_MEMBER,
        ),
        (consumer.NO_QUORUM, consumer.NO_QUORUM),
    ],
    ids=["has left", "no quorum"],
)
def test_a_member_goes_where_its_staying_would_not_help(
    unit: consumer.Unit, first: runner.Answer, second: runner.Answer
) -> None:
    """A leave that failed after having taken effect, or a cluster that nobody can keep whole."""
    unit.relate()
    unit.remember(in_cluster=True)
    unit.lists(first, second)
    unit.expect("remove", "node-0", answers=[REFUSED])

    hook = unit.hook("remove")

    assert hook.calls == [LIST, ("remove", "node-0"), LIST]
    assert hook.logged("ERROR node-0 cannot leave the cluster: .*deadline")


@pytest.mark.parametrize(
    ("state", "reason"), [("ONLINE", "Error: context deadline"), ("UNREACHABLE", "node-1")]
)
def test_a_member_whose_cluster_stops_answering_as_it_leaves_stays(
    unit: consumer.Unit, state: str, reason: str
) -> None:
    """It answered just now, and the others need the vote that would go with the unit."""
    members = consumer.members("node-0", ("node-1", "voter", state))

    assert reason in _refusal(unit, members, consumer.NO_QUORUM)


def test_the_members_of_an_application_that_goes_as_a_whole_go(unit: consumer.Unit) -> None:
    """With nobody left to keep a quorum for, the operator is not made to wait."""
    unit.relate()
    unit.remember(in_cluster=True)
    unit.lists(consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")))
    unit.expect("remove", "node-0", answers=[REFUSED])
    unit.commands.expect_goal_state({"lxd/0": "dying", "lxd/1": "unknown"})

    hook = unit.hook("remove")

    assert hook.logged("ERROR node-0 cannot leave the cluster: .*deadline")


def test_a_member_whose_program_is_gone_goes_as_well(unit: consumer.Unit) -> None:
    """There is nothing that could be asked any more."""
    unit.relate()
    unit.remember(in_cluster=True)
    missing = runner.Answer(error=FileNotFoundError(2, "No such file or directory"))
    unit.lists(missing)
    unit.expect("remove", "node-0", answers=[missing])

    hook = unit.hook("remove")

    assert hook.logged("ERROR node-0 cannot leave the cluster: .*No such file")
