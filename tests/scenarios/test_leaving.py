"""Members leave, or are not let go."""

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, FORCEFUL_CONSUMER, QUIET_CONSUMER, Capability, Cloud
from tests.scenarios import helpers


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_first_member_leaves_before_roles_are_given(cloud: LocalCloud) -> None:
    """The cluster refuses to remove a member while members have no role; the hook tries again."""
    helpers.deploy(cloud, 2)
    helpers.expect_whole(cloud)
    cloud.remove_unit(helpers.leader(cloud, CONSUMER))
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


def test_application_is_removed_with_a_lost_machine(cloud: Cloud) -> None:
    """The cluster refuses each removal, but no unit stays, so the units go nevertheless."""
    helpers.form(cloud, 3)
    dead = helpers.follower(cloud)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_application(CONSUMER)
    cloud.eventually(f"only {dead} is left", lambda: cloud.units(CONSUMER) in ([], [dead]))


@pytest.mark.requires(Capability.FAKE_MACHINES)
@pytest.mark.parametrize("units", [1, 3])
def test_application_is_removed_though_workload_refuses(cloud: LocalCloud, units: int) -> None:
    """An only member goes at once, and no hook fails; of several the last at the third try."""
    helpers.form(cloud, units)
    if units > 1:
        cloud.fake.needed_after_removal = 3
    first = cloud.units(CONSUMER)[0]
    cloud.remove_application(CONSUMER)
    cloud.eventually("no unit is left", lambda: not cloud.units(CONSUMER))
    if units == 1:
        assert not cloud.failed_hooks(first)


@pytest.mark.requires(Capability.FAKE_MACHINES)
@pytest.mark.parametrize("consumer_charm", [CONSUMER, FORCEFUL_CONSUMER])
def test_leave_that_worked_is_no_failure(cloud: LocalCloud, consumer_charm: str) -> None:
    """On microcluster v3 the command works, fails nevertheless, and the daemon restarts.

    A workload that refuses accepts the removal because of an argument that the charm adds.
    """
    helpers.form(cloud, 3, consumer_charm=consumer_charm)
    if consumer_charm == FORCEFUL_CONSUMER:
        cloud.fake.needed_after_removal = 3
    leaver = helpers.communicator(cloud)
    cloud.remove_unit(leaver)
    helpers.expect_whole(cloud)
    assert not cloud.failed_hooks(leaver)


def test_member_is_not_let_go_while_another_is_down(cloud: Cloud) -> None:
    """Without it, a cluster of three would lose its quorum."""
    helpers.form(cloud, 3)
    dead = helpers.communicator(cloud)
    leaver = helpers.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.settle()
    survivor = cloud.units(CONSUMER)[-1]
    assert cloud.members(survivor), f"{survivor} is left without a quorum by {leaver}"
    cloud.start_machine(dead)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
@pytest.mark.parametrize("consumer_charm", [CONSUMER, QUIET_CONSUMER])
@pytest.mark.parametrize("is_silent", [False, True])
def test_no_leave_is_tried_while_a_member_is_lost(
    cloud: LocalCloud, consumer_charm: str, *, is_silent: bool
) -> None:
    """On microcluster v3 the attempt alone can cost the quorum.

    No list can be had while a host is silent; of a charm without statuses goal-state cannot tell
    who is lost.
    """
    helpers.deploy(cloud, 3, consumer_charm=consumer_charm)
    names = helpers.hostnames(cloud)
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)
    cloud.wait(2)
    lost = helpers.communicator(cloud)
    leaver = helpers.another(cloud, lost)
    cloud.kill_machine(lost)
    cloud.machine(lost).drops_packets = is_silent
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.wait(2)
    assert not cloud.commands(leaver, "remove")
    cloud.machine(lost).drops_packets = False
    survivor = cloud.units(CONSUMER)[-1]
    helpers.expect_members(cloud, [survivor], names)
    cloud.start_machine(lost)
    helpers.expect_members(cloud, [lost, survivor], names - {cloud.hostname(leaver)})


@pytest.mark.requires(Capability.FAKE_MACHINES, Capability.JOINS_WHILE_DEGRADED)
def test_member_is_removed_by_hand_while_another_is_down(cloud: LocalCloud) -> None:
    """Its daemon goes on listing the others, without itself: it reports that it is no member."""
    helpers.form(cloud, 4)
    dead = helpers.communicator(cloud)
    leaver = helpers.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.fake.degraded_leave = "fast"
    cloud.run(leaver, "remove", cloud.hostname(leaver))
    cloud.wait(2)
    status, message = cloud.status(leaver)
    assert status == "waiting", f"{leaver} takes itself for a member: {status}, {message!r}"
    assert "cannot tell" not in message
