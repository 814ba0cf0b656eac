"""The cluster grows and shrinks with its application."""

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, Capability, Cloud
from tests.scenarios import helpers


@pytest.mark.smoke
def test_out_and_in(cloud: Cloud) -> None:
    """Two units are added, then two others removed at once, and the consumer's leader."""
    helpers.form(cloud, 3)
    for _ in range(2):
        helpers.grow(cloud)
    for unit in cloud.units(CONSUMER)[1:3]:
        cloud.remove_unit(unit)
    helpers.expect_whole(cloud)
    cloud.remove_unit(helpers.leader(cloud, CONSUMER))
    helpers.expect_whole(cloud)
    assert len(cloud.units(CONSUMER)) == 2
    helpers.grow(cloud)


@pytest.mark.parametrize("at_once", [False, True])
def test_to_zero_and_back(cloud: Cloud, *, at_once: bool) -> None:
    """All units are removed; the next ones form a new cluster."""
    helpers.form(cloud, 3 if at_once else 2)
    for unit in cloud.units(CONSUMER):
        cloud.remove_unit(unit)
        if not at_once:
            helpers.expect_whole(cloud)
    cloud.settle()
    assert not cloud.units(CONSUMER)
    for _ in range(2):
        helpers.grow(cloud)


# Not on LXD: of its last two members one sometimes cannot remove itself, and the quorum is lost.
@pytest.mark.requires(Capability.FAULTS, Capability.FAKE_MACHINES)
def test_three_units_are_replaced_and_one_leave_times_out(cloud: LocalCloud) -> None:
    """It tries again; otherwise the newcomers would wait for it for good."""
    helpers.form(cloud, 3)
    cloud.wait(2)
    first, *others = cloud.units(CONSUMER)
    cloud.hang("remove", unit=first)
    for unit in others:
        cloud.pause_agent(unit)
    for unit in (first, *others):
        cloud.remove_unit(unit)
    cloud.settle()
    cloud.add_unit(CONSUMER)
    for unit in others:
        cloud.resume_agent(unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_member_without_a_role_blocks_nothing(cloud: LocalCloud) -> None:
    """A member that stays PENDING counts like the others."""
    helpers.form(cloud, 2)
    cloud.machine(cloud.add_unit(CONSUMER)).stays_pending = True
    helpers.expect_whole(cloud)
    helpers.grow(cloud)
    cloud.remove_unit(helpers.communicator(cloud))
    helpers.expect_whole(cloud)
