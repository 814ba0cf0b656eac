"""Host names change, come back, or cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud

BAD_NAMES = ("under_score", "1234", "a.1", "x" * 64)


@pytest.mark.requires(Capability.CHOOSES_HOST_NAMES)
def test_host_name_is_used_again(cloud: Cloud) -> None:
    """A new machine with the name of a member that left joins."""
    helpers.form(cloud, 3)
    leaver = cloud.units(CONSUMER)[1]
    name = cloud.hostname(leaver)
    cloud.remove_unit(leaver)
    helpers.expect_whole(cloud)
    cloud.add_unit(CONSUMER, hostname=name)
    helpers.expect_whole(cloud)
    helpers.expect_units(cloud, 3)


@pytest.mark.requires(Capability.CHOOSES_HOST_NAMES)
def test_host_name_is_used_again_at_once(cloud: Cloud) -> None:
    """A lost machine is replaced by one of the same name without a pause."""
    helpers.form(cloud, 3)
    loser = helpers.follower(cloud)
    name = cloud.hostname(loser)
    cloud.kill_machine(loser)
    cloud.remove_unit(loser, force=True)
    cloud.add_unit(CONSUMER, hostname=name)
    helpers.expect_whole(cloud)
    helpers.expect_units(cloud, 3)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_renamed_machine_reboots(cloud: LocalCloud) -> None:
    """It stays a member under its first name, also when it reboots."""
    helpers.form(cloud, 3)
    names = helpers.hostnames(cloud)
    renamed = helpers.follower(cloud)
    cloud.machine(renamed).rename("renamed")
    cloud.wait(2)
    helpers.reboot(cloud, renamed)
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)
    newcomer = cloud.add_unit(CONSUMER)
    names.add(cloud.hostname(newcomer))
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_qualified_name_after_boot(cloud: LocalCloud) -> None:
    """It stays a member, also when it goes down again before its name is as it was."""
    helpers.form(cloud, 3)
    unit = helpers.follower(cloud)
    name = cloud.hostname(unit)
    cloud.kill_machine(unit)
    cloud.machine(unit).rename(f"{name}.example.com")
    cloud.start_machine(unit)
    cloud.settle()
    cloud.kill_machine(unit)
    cloud.machine(unit).rename(name)
    cloud.wait(3)
    cloud.start_machine(unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_all_machines_are_renamed(cloud: LocalCloud) -> None:
    """There is still a communicator: a newcomer joins."""
    helpers.form(cloud, 3)
    names = helpers.hostnames(cloud)
    for number, unit in enumerate(cloud.units(CONSUMER)):
        cloud.machine(unit).rename(f"renamed-{number}")
    cloud.wait(2)
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)
    newcomer = cloud.add_unit(CONSUMER)
    names.add(cloud.hostname(newcomer))
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_unusable_host_names(cloud: LocalCloud) -> None:
    """Each such unit is blocked with the reason; the others join."""
    helpers.deploy(cloud, 2)
    first = cloud.add_unit(CONSUMER, hostname=BAD_NAMES[0])
    lost = {first: BAD_NAMES[0]}
    helpers.expect_status(cloud, first, "blocked", BAD_NAMES[0])
    helpers.expect_whole(cloud, lost=lost)
    for name in BAD_NAMES[1:]:
        lost[cloud.add_unit(CONSUMER, hostname=name)] = name
    helpers.grow(cloud, lost=lost)
    for unit, name in lost.items():
        helpers.expect_status(cloud, unit, "blocked", name)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_two_newcomers_have_one_host_name(cloud: LocalCloud) -> None:
    """The status names both units; once one is removed the other joins."""
    helpers.form(cloud, 2)
    twins = [cloud.add_unit(CONSUMER, hostname="twin") for _ in range(2)]
    helpers.expect_status(cloud, helpers.leader(cloud), "blocked", "twin", *twins)
    cloud.wait(2)
    assert not all(cloud.members(unit) for unit in twins), "both have joined under one name"
    cloud.remove_unit(twins[0])
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_newcomer_has_the_host_name_of_a_member(cloud: LocalCloud) -> None:
    """The status names both units, and the member stays one when the newcomer is removed."""
    helpers.form(cloud, 2)
    member = cloud.units(CONSUMER)[-1]
    twin = cloud.add_unit(CONSUMER, hostname=cloud.hostname(member))
    helpers.expect_status(cloud, helpers.leader(cloud), "blocked", member, twin)
    cloud.remove_unit(twin)
    helpers.expect_whole(cloud)
