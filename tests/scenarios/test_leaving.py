"""Members leave, or are not let go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, FORCEFUL_CONSUMER, QUIET_CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud


@pytest.mark.requires(Capability.PENDING_MEMBERS)
def test_first_member_leaves_before_roles_are_given(cloud: LocalCloud) -> None:
    """The cluster refuses to remove a member while members have no role; the hook tries again."""
    helpers.form(cloud, 2, settled=False)
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
def test_only_unit_is_removed(cloud: LocalCloud) -> None:
    """The cluster refuses to remove its only member, but no hook fails."""
    helpers.form(cloud, 1)
    (unit,) = cloud.units(CONSUMER)
    cloud.remove_application(CONSUMER)
    cloud.eventually("no unit is left", lambda: not cloud.units(CONSUMER))
    assert not cloud.failed_hooks(unit)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_leave_that_worked_is_no_failure(cloud: LocalCloud) -> None:
    """On microcluster v3 the command works, fails nevertheless, and the daemon restarts."""
    helpers.form(cloud, 4)
    leaver = helpers.communicator(cloud)
    cloud.remove_unit(leaver)
    helpers.expect_whole(cloud)
    assert not cloud.failed_hooks(leaver)
    assert "cannot leave" not in cloud.log(leaver)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_no_leave_is_tried_while_a_member_is_down(cloud: LocalCloud) -> None:
    """On microcluster v3 the attempt alone can cost the quorum."""
    helpers.form(cloud, 4)
    names = helpers.hostnames(cloud)
    dead = helpers.communicator(cloud)
    leaver = helpers.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.wait(2)
    assert not cloud.commands(leaver, "remove")
    helpers.expect_members(cloud, [u for u in cloud.units(CONSUMER) if u != dead], names)
    cloud.start_machine(dead)
    helpers.expect_whole(cloud)


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


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_application_is_removed_though_workload_refuses(cloud: LocalCloud) -> None:
    """It refuses each removal that leaves fewer than three; the units go at the third try."""
    helpers.form(cloud, 3)
    cloud.fake.needed_after_removal = 3
    cloud.remove_application(CONSUMER)
    cloud.eventually("no unit is left", lambda: not cloud.units(CONSUMER))


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_leave_with_arguments_of_the_charm(cloud: LocalCloud) -> None:
    """The workload accepts the removal because of an argument that the charm adds."""
    helpers.deploy(cloud, consumer_charm=FORCEFUL_CONSUMER)
    helpers.expect_whole(cloud)
    cloud.wait()
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
def test_member_is_not_let_go_while_a_host_is_silent(cloud: LocalCloud) -> None:
    """No member can list the others, and without it the quorum would be lost."""
    helpers.form(cloud, 3)
    silent = helpers.communicator(cloud)
    leaver = helpers.another(cloud, silent)
    names = helpers.hostnames(cloud)
    helpers.go_silent(cloud, silent)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.settle()
    cloud.machine(silent).drops_packets = False
    assert helpers.member_names(cloud, cloud.units(CONSUMER)[-1]) == names
    cloud.start_machine(silent)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_member_is_not_let_go_without_statuses(cloud: LocalCloud) -> None:
    """The charm sets no status, so goal-state cannot tell that a unit is lost."""
    helpers.deploy(cloud, consumer_charm=QUIET_CONSUMER)
    names = helpers.hostnames(cloud)
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)
    cloud.wait(2)
    dead = helpers.communicator(cloud)
    leaver = helpers.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.wait()
    assert helpers.member_names(cloud, cloud.units(CONSUMER)[-1]) == names
    cloud.start_machine(dead)
    names.remove(cloud.hostname(leaver))
    helpers.expect_members(cloud, [u for u in cloud.units(CONSUMER) if u != leaver], names)
