"""Host names change, come back, or cannot be used."""

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, Capability, Cloud
from tests.scenarios import helpers


@pytest.mark.requires(Capability.CHOOSES_HOST_NAMES)
@pytest.mark.parametrize("is_lost", [False, True])
def test_host_name_is_used_again(cloud: Cloud, *, is_lost: bool) -> None:
    """A new machine with the name of a member that left joins, and that of a lost one at once."""
    helpers.form(cloud, 3)
    leaver = helpers.follower(cloud)
    name = cloud.hostname(leaver)
    if is_lost:
        cloud.kill_machine(leaver)
    cloud.remove_unit(leaver, force=is_lost)
    if not is_lost:
        helpers.expect_whole(cloud)
    cloud.add_unit(CONSUMER, hostname=name)
    helpers.expect_whole(cloud)
    assert len(cloud.units(CONSUMER)) == 3


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_all_machines_are_renamed(cloud: LocalCloud) -> None:
    """They stay members under their first names, also when one reboots, and a newcomer joins."""
    helpers.form(cloud, 3)
    names = helpers.hostnames(cloud)
    for number, unit in enumerate(cloud.units(CONSUMER)):
        cloud.machine(unit).rename(f"renamed-{number}")
    cloud.wait(2)
    helpers.reboot(cloud, cloud.units(CONSUMER)[1])
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
def test_unusable_host_names(cloud: LocalCloud) -> None:
    """Each such unit is blocked with the reason; the others form a cluster, which grows."""
    helpers.deploy(cloud, 2)
    names = ("under_score", "1234", "a.1", "x" * 64)
    lost = {cloud.add_unit(CONSUMER, hostname=name): name for name in names}
    helpers.expect_whole(cloud, lost=lost)
    helpers.grow(cloud, lost=lost)
    for unit, name in lost.items():
        helpers.expect_status(cloud, unit, "blocked", name)


@pytest.mark.requires(Capability.FAKE_MACHINES)
@pytest.mark.parametrize("other", ["newcomer", "member"])
def test_two_units_have_one_host_name(cloud: LocalCloud, other: str) -> None:
    """The status names both units; once one is removed the other joins, or stays a member."""
    helpers.form(cloud, 2)
    first = cloud.units(CONSUMER)[-1]
    if other == "newcomer":
        first = cloud.add_unit(CONSUMER, hostname="twin")
    twin = cloud.add_unit(CONSUMER, hostname=cloud.hostname(first))
    helpers.expect_status(cloud, helpers.leader(cloud), "blocked", first, twin)
    cloud.wait(2)
    assert not all(map(cloud.members, (first, twin))), "both have joined under one name"
    cloud.remove_unit(twin)
    helpers.expect_whole(cloud)
