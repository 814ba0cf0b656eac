"""Machines of the cluster are lost: some come back, others are removed by force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER


@telling.story()
def the_communicator_dies_and_comes_back(cloud: Cloud) -> None:
    """Another member speaks for the cluster, and then one of them does."""
    telling.form(cloud, 3)
    dead = telling.communicator(cloud)
    cloud.kill_machine(dead)
    telling.expect_hold(cloud, dead)
    cloud.start_machine(dead)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FORCE_DEPARTS)
def the_communicator_is_removed_by_force(cloud: Cloud) -> None:
    """The distributor hears of it, and the next communicator removes what is left of it."""
    _removed_by_force(cloud, speaks=True)


@telling.story(protocol.Trait.FORCE_DEPARTS)
def another_member_is_removed_by_force(cloud: Cloud) -> None:
    """The distributor hears of it, and the communicator removes what is left of it."""
    _removed_by_force(cloud, speaks=False)


@telling.story(protocol.Trait.FORCE_IS_SILENT)
def the_communicator_is_removed_by_force_in_silence(cloud: Cloud) -> None:
    """The distributor is never told, and finds out."""
    _removed_by_force(cloud, speaks=True)


@telling.story(protocol.Trait.FORCE_IS_SILENT)
def another_member_is_removed_by_force_in_silence(cloud: Cloud) -> None:
    """The distributor is never told, and finds out."""
    _removed_by_force(cloud, speaks=False)


@telling.story()
def two_of_five_are_lost(cloud: Cloud) -> None:
    """Two machines die one after the other, and both are removed by force."""
    telling.form(cloud, 5)
    first = telling.communicator(cloud)
    cloud.kill_machine(first)
    telling.expect_hold(cloud, first)
    second = telling.another(cloud, first)
    # Before a stand-by is promoted, a second loss costs the quorum.
    cloud.eventually("three online voters", lambda: _online_voters(cloud, second) == 3)
    cloud.kill_machine(second)
    telling.expect_hold(cloud, first, second)
    cloud.remove_unit(first, force=True)
    cloud.remove_unit(second, force=True)
    telling.expect_whole(cloud)


@telling.story()
def the_quorum_is_lost_and_regained(cloud: Cloud) -> None:
    """Nobody does anything rash while the cluster cannot be asked."""
    telling.form(cloud, 3)
    units = cloud.units(CONSUMER)
    for unit in units[:2]:
        cloud.kill_machine(unit)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.wait()
    assert not cloud.members(newcomer), f"{newcomer} is a member of a cluster of its own"
    for unit in units[:2]:
        cloud.start_machine(unit)
    telling.expect_whole(cloud)


def _removed_by_force(cloud: Cloud, *, speaks: bool) -> None:
    telling.form(cloud, 3)
    dead = telling.communicator(cloud)
    if not speaks:
        dead = telling.another(cloud, dead)
    cloud.kill_machine(dead)
    telling.expect_hold(cloud, dead)
    cloud.remove_unit(dead, force=True)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


def _online_voters(cloud: Cloud, unit: str) -> int:
    return sum(member.online and member.role == "voter" for member in cloud.members(unit))
