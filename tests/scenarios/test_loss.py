"""Machines are lost: some come back, others are removed by force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud


@pytest.mark.smoke
def test_communicator_comes_back(cloud: Cloud) -> None:
    """Another member is the communicator meanwhile."""
    helpers.form(cloud, 3)
    dead = helpers.communicator(cloud)
    cloud.kill_machine(dead)
    helpers.expect_hold(cloud, dead)
    cloud.start_machine(dead)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


def test_two_of_five_are_lost(cloud: Cloud) -> None:
    """Two machines die one after the other, and both are removed by force."""
    helpers.form(cloud, 5)
    first = helpers.communicator(cloud)
    cloud.kill_machine(first)
    helpers.expect_hold(cloud, first)
    second = helpers.another(cloud, first)
    # Before a stand-by is promoted, a second loss costs the quorum.
    cloud.eventually("three online voters", lambda: _online_voters(cloud, second) == 3)
    cloud.kill_machine(second)
    helpers.expect_hold(cloud, first, second)
    cloud.remove_unit(first, force=True)
    cloud.remove_unit(second, force=True)
    helpers.expect_whole(cloud)


def test_quorum_is_lost_and_regained(cloud: Cloud) -> None:
    """No unit bootstraps or leaves while the cluster cannot list its members."""
    helpers.form(cloud, 3)
    units = cloud.units(CONSUMER)
    for unit in units[:2]:
        cloud.kill_machine(unit)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.wait()
    assert not cloud.members(newcomer), f"{newcomer} is a member of a cluster of its own"
    for unit in units[:2]:
        cloud.start_machine(unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_silent_host_is_removed_by_force(cloud: LocalCloud) -> None:
    """It drops packets, so no member can list the others; it is removed nevertheless."""
    helpers.form(cloud, 3)
    dead = helpers.follower(cloud)
    helpers.go_silent(cloud, dead)
    cloud.wait()
    cloud.remove_unit(dead, force=True)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_member_is_removed_without_communicators_agent(cloud: LocalCloud) -> None:
    """Another member removes it from the cluster."""
    helpers.form(cloud, 4)
    names = helpers.hostnames(cloud)
    communicator = helpers.communicator(cloud)
    cloud.juju.stop_agent(communicator)
    dead = helpers.another(cloud, communicator)
    names.remove(cloud.hostname(dead))
    cloud.kill_machine(dead)
    cloud.wait()
    cloud.remove_unit(dead, force=True)
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)


@pytest.mark.parametrize(
    "choose", [pytest.param(helpers.communicator, marks=pytest.mark.smoke), helpers.follower]
)
def test_member_is_removed_by_force(cloud: Cloud, choose: Callable[[Cloud], str]) -> None:
    """The communicator removes the member, whether or not Juju reports the departure."""
    helpers.form(cloud, 3)
    dead = choose(cloud)
    cloud.kill_machine(dead)
    helpers.expect_hold(cloud, dead)
    cloud.remove_unit(dead, force=True)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


def _online_voters(cloud: Cloud, unit: str) -> int:
    return sum(member.online and member.role == "voter" for member in cloud.members(unit))
