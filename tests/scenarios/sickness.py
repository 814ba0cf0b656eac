"""While a member is down, nobody joins: it would cost a small cluster its quorum for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


@telling.story()
def a_newcomer_waits_for_the_communicator(cloud: Cloud) -> None:
    """It says for whom, and joins when that member is back."""
    telling.form(cloud, 3)
    _newcomer_waits(cloud, telling.communicator(cloud))


@telling.story()
def a_newcomer_waits_for_another_member(cloud: Cloud) -> None:
    """It says for whom, and joins when that member is back."""
    telling.form(cloud, 3)
    _newcomer_waits(cloud, telling.another(cloud, telling.communicator(cloud)))


@telling.story()
def a_newcomer_joins_once_the_dead_member_is_removed(cloud: Cloud) -> None:
    """It says for whom it waits, and joins when the operator has given that member up."""
    telling.form(cloud, 3)
    dead = telling.communicator(cloud)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    telling.expect_waiting(cloud, newcomer, dead)
    cloud.remove_unit(dead, force=True)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_token_issued_in_health_is_not_used_in_sickness(cloud: Cloud) -> None:
    """The newcomer slept while a member died and the communicator noticed."""
    telling.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    dead = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(dead)
    telling.expect_hold(cloud, dead)
    cloud.start_machine(newcomer)
    telling.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_slow_newcomer_does_not_use_its_token_in_sickness(cloud: Cloud) -> None:
    """Its agent was not restarted, and remembers what it had read while all was well."""
    telling.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    telling.pause_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    dead = telling.communicator(cloud)
    cloud.kill_machine(dead)
    telling.expect_hold(cloud, dead)
    telling.faults(cloud).resume_agent(newcomer)
    telling.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_distributor_dies_while_it_holds_newcomers_back(cloud: Cloud) -> None:
    """Its successor holds them back as well, although the token is there to be taken."""
    telling.form(cloud, 3, distributors=2)
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    dead = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(dead)
    old = telling.leader(cloud, DISTRIBUTOR)
    telling.expect_hold(cloud, dead)
    cloud.kill_machine(old)
    cloud.eventually("another leader", lambda: cloud.leader(DISTRIBUTOR) not in (old, None))
    cloud.start_machine(newcomer)
    telling.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    telling.expect_whole(cloud, lost=[old])


@telling.story()
def a_member_is_removed_while_another_is_down(cloud: Cloud) -> None:
    """A cluster of three refuses to let it go; were it gone all the same, so were the quorum."""
    telling.form(cloud, 3)
    dead = telling.communicator(cloud)
    leaver = telling.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.settle()
    survivor = cloud.units(CONSUMER)[-1]
    assert cloud.members(survivor), f"{survivor} is left without a quorum by {leaver}"
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


def _newcomer_waits(cloud: Cloud, dead: str) -> None:
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    telling.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    telling.expect_whole(cloud)
