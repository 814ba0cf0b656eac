"""The cluster grows and shrinks with its application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


@telling.story()
def out_and_in(cloud: Cloud) -> None:
    """Two units are added at once, then two others removed at once."""
    telling.form(cloud, 3)
    for _ in range(2):
        cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)
    for unit in cloud.units(CONSUMER)[1:3]:
        cloud.remove_unit(unit)
    telling.expect_whole(cloud)
    _expect_units(cloud, 3)


@telling.story()
def to_zero_and_back(cloud: Cloud) -> None:
    """All units are removed; the next ones form a new cluster."""
    telling.form(cloud, 3)
    for unit in cloud.units(CONSUMER):
        cloud.remove_unit(unit)
    cloud.settle()
    _expect_units(cloud, 0)
    for _ in range(2):
        cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story()
def to_zero_one_by_one_and_back(cloud: Cloud) -> None:
    """Each unit sees the others go; the next one forms a new cluster."""
    telling.form(cloud, 2)
    cloud.wait()
    for unit in cloud.units(CONSUMER):
        cloud.remove_unit(unit)
        telling.expect_whole(cloud)
    _expect_units(cloud, 0)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story()
def the_leader_of_the_consumer_leaves(cloud: Cloud) -> None:
    """Juju's leader is removed, and the communicator too, and the cluster still grows."""
    telling.form(cloud, 4)
    cloud.remove_unit(telling.leader(cloud, CONSUMER))
    telling.expect_whole(cloud)
    cloud.remove_unit(telling.communicator(cloud))
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)
    _expect_units(cloud, 3)


@telling.story(protocol.Trait.PENDING_AT_FIRST)
def the_first_member_leaves_as_soon_as_another_has_joined(cloud: Cloud) -> None:
    """A cluster whose members have no roles yet refuses to let any go; it must not be lost."""
    telling.form(cloud, 2, settled=False)
    cloud.remove_unit(telling.leader(cloud, CONSUMER))
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story()
def one_comes_while_another_leaves(cloud: Cloud) -> None:
    """A unit is replaced in one go."""
    telling.form(cloud, 3)
    cloud.add_unit(CONSUMER)
    cloud.remove_unit(telling.communicator(cloud))
    telling.expect_whole(cloud)
    _expect_units(cloud, 3)


@telling.story(protocol.Trait.CHOOSES_HOST_NAMES)
def a_host_name_comes_back(cloud: Cloud) -> None:
    """A unit leaves; a new machine of the same name is a newcomer like any other."""
    telling.form(cloud, 3)
    leaver = cloud.units(CONSUMER)[1]
    name = cloud.hostname(leaver)
    cloud.remove_unit(leaver)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER, hostname=name)
    telling.expect_whole(cloud)
    _expect_units(cloud, 3)


@telling.story(protocol.Trait.CHOOSES_HOST_NAMES)
def a_host_name_comes_back_before_its_loss_is_noticed(cloud: Cloud) -> None:
    """A machine is lost, and replaced by one of the same name, without a pause between."""
    telling.form(cloud, 3)
    loser = telling.another(cloud, telling.communicator(cloud))
    name = cloud.hostname(loser)
    cloud.kill_machine(loser)
    cloud.remove_unit(loser, force=True)
    cloud.add_unit(CONSUMER, hostname=name)
    telling.expect_whole(cloud)
    _expect_units(cloud, 3)


@telling.story(protocol.Trait.FAULTS)
def a_newcomer_leaves_before_it_joined(cloud: Cloud) -> None:
    """A unit is removed with its token unused: nobody can use it any more."""
    telling.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    cloud.remove_unit(newcomer, force=True)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)
    _expect_units(cloud, 3)


@telling.story()
def an_application_goes_though_one_of_its_machines_is_lost(cloud: Cloud) -> None:
    """The cluster lets nobody go, but with nobody left to be kept whole they go all the same."""
    telling.form(cloud, 3)
    dead = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_application(CONSUMER)
    cloud.eventually(f"only {dead} is left", lambda: cloud.units(CONSUMER) in ([], [dead]))


@telling.story(protocol.Trait.FAULTS)
def three_units_are_replaced_and_one_cannot_leave_at_first(cloud: Cloud) -> None:
    """It tries again: else the others, and those that come, would wait for it for good."""
    telling.form(cloud, 3)
    cloud.wait(2)
    first, *others = cloud.units(CONSUMER)
    powers = telling.faults(cloud)
    powers.hang("remove", unit=first)
    for unit in others:
        powers.pause_agent(unit)
    for unit in (first, *others):
        cloud.remove_unit(unit)
    cloud.settle()
    cloud.add_unit(CONSUMER)
    for unit in others:
        powers.resume_agent(unit)
    telling.expect_whole(cloud)


def _expect_units(cloud: Cloud, number: int) -> None:
    units = cloud.units(CONSUMER)
    assert len(units) == number, f"there should be {number} units, and these are left: {units}"
