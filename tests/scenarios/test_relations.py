"""The relation ends and is made again, or shows only some units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud


def test_made_again_with_a_newcomer(cloud: Cloud) -> None:
    """All databags are new; the newcomer joins the existing cluster."""
    helpers.form(cloud, 3)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.add_unit(CONSUMER)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_made_again_with_a_newcomer_that_leads(cloud: LocalCloud) -> None:
    """A newcomer that leads must not bootstrap a second cluster."""
    helpers.let_newcomer_lead(cloud, 3)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize("members_are", ["slow", "down"])
def test_made_again_before_members_report(cloud: LocalCloud, members_are: str) -> None:
    """The bootstrap is not granted meanwhile."""
    *members, newcomer = helpers.let_newcomer_lead(cloud, 2)
    slow = members_are == "slow"
    for unit in members:
        (cloud.pause_agent if slow else cloud.kill_machine)(unit)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.wait(2)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    for unit in members:
        (cloud.resume_agent if slow else cloud.start_machine)(unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_relation_of_removed_distributor_lingers(cloud: LocalCloud) -> None:
    """An empty relation does not count beside another."""
    cloud.deploy(CONSUMER, units=2)
    cloud.deploy(DISTRIBUTOR, "first-distributor")
    cloud.integrate(CONSUMER, "first-distributor")
    helpers.expect_whole(cloud, distributor="first-distributor")
    for unit in cloud.units("first-distributor"):
        cloud.remove_unit(unit)
    cloud.settle()
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_goal_state_names_some_units_only(cloud: LocalCloud) -> None:
    """The others have not left: they stay members when they reboot."""
    helpers.deploy(cloud)
    unnamed = cloud.units(CONSUMER)[1:]
    for unit in unnamed:
        cloud.juju.unnamed.add(unit)
    helpers.expect_whole(cloud)
    for unit in unnamed:
        helpers.reboot(cloud, unit)
        helpers.expect_whole(cloud)
