"""Charms with the earlier library, mixed with those of this one, and refreshed to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR
EARLIER_CONSUMER = protocol.EARLIER_CONSUMER
EARLIER_DISTRIBUTOR = protocol.EARLIER_DISTRIBUTOR


@telling.story(protocol.Trait.EARLIER_CHARMS)
def earlier_charms_are_refreshed_distributor_first(cloud: Cloud) -> None:
    """The cluster stays whole at each step, and grows at the end."""
    _form_earlier(cloud)
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    telling.expect_whole(cloud, earlier=[CONSUMER])
    cloud.refresh(CONSUMER, CONSUMER)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def an_earlier_distributor_is_refreshed_alone(cloud: Cloud) -> None:
    """The units keep the earlier library, the cluster stays whole, and a newcomer joins it."""
    _form_earlier(cloud)
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    telling.expect_whole(cloud, earlier=[CONSUMER])
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, earlier=[CONSUMER])


@telling.story(protocol.Trait.EARLIER_CHARMS)
def earlier_charms_are_refreshed_consumer_first(cloud: Cloud) -> None:
    """The cluster stays whole at each step, and grows in between and at the end."""
    _form_earlier(cloud)
    cloud.refresh(CONSUMER, CONSUMER)
    telling.expect_whole(cloud, earlier=[CONSUMER, DISTRIBUTOR])
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, earlier=[CONSUMER, DISTRIBUTOR])
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def earlier_charms_are_refreshed_at_once(cloud: Cloud) -> None:
    """Both sides follow in whatever order, with a newcomer among them."""
    _form_earlier(cloud)
    cloud.add_unit(CONSUMER)
    cloud.refresh(CONSUMER, CONSUMER)
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.EARLIER_CHARMS, protocol.Trait.FAULTS)
def earlier_charms_are_refreshed_as_the_cluster_forms(cloud: Cloud) -> None:
    """The first unit has just bootstrapped."""
    telling.deploy(cloud, consumer_charm=EARLIER_CONSUMER, distributor_charm=EARLIER_DISTRIBUTOR)

    def refresh() -> None:
        cloud.refresh(CONSUMER, CONSUMER)
        cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)

    telling.faults(cloud).upon(refresh, unit=CONSUMER, command="bootstrap")
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def an_earlier_distributor_serves_todays_consumers(cloud: Cloud) -> None:
    """They form a cluster, which grows and shrinks."""
    telling.deploy(cloud, distributor_charm=EARLIER_DISTRIBUTOR)
    earlier = [CONSUMER, DISTRIBUTOR]
    telling.expect_whole(cloud, earlier=earlier)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, earlier=earlier)
    cloud.remove_unit(telling.communicator(cloud))
    telling.expect_whole(cloud, earlier=earlier)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, earlier=earlier)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def todays_distributor_serves_earlier_consumers(cloud: Cloud) -> None:
    """They form a cluster, which grows and shrinks."""
    telling.deploy(cloud, distributors=2, consumer_charm=EARLIER_CONSUMER)
    telling.expect_whole(cloud, earlier=[CONSUMER])
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, earlier=[CONSUMER])
    cloud.remove_unit(telling.communicator(cloud))
    telling.expect_whole(cloud, earlier=[CONSUMER])


@telling.story(protocol.Trait.EARLIER_CHARMS)
def earlier_and_todays_consumers_share_todays_distributor(cloud: Cloud) -> None:
    """One application of each kind; today's is related second."""
    _mix(cloud, DISTRIBUTOR, EARLIER_CONSUMER, CONSUMER)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def todays_and_earlier_consumers_share_todays_distributor(cloud: Cloud) -> None:
    """One application of each kind; today's is related first."""
    _mix(cloud, DISTRIBUTOR, CONSUMER, EARLIER_CONSUMER)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def earlier_and_todays_consumers_share_an_earlier_distributor(cloud: Cloud) -> None:
    """One application of each kind; today's is related second."""
    _mix(cloud, EARLIER_DISTRIBUTOR, EARLIER_CONSUMER, CONSUMER)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def todays_and_earlier_consumers_share_an_earlier_distributor(cloud: Cloud) -> None:
    """One application of each kind; today's is related first."""
    _mix(cloud, EARLIER_DISTRIBUTOR, CONSUMER, EARLIER_CONSUMER)


def _form_earlier(cloud: Cloud) -> None:
    """Form a cluster of earlier charms, in applications that can be refreshed."""
    telling.deploy(
        cloud,
        distributors=2,
        consumer_charm=EARLIER_CONSUMER,
        distributor_charm=EARLIER_DISTRIBUTOR,
    )
    telling.expect_whole(cloud, earlier=[CONSUMER, DISTRIBUTOR])


def _mix(cloud: Cloud, distributor: str, first: str, second: str) -> None:
    cloud.deploy(first, "first", units=2)
    cloud.deploy(second, "second", units=2)
    cloud.deploy(distributor, DISTRIBUTOR, units=1)
    cloud.integrate("first", DISTRIBUTOR)
    cloud.integrate("second", DISTRIBUTOR)
    earlier = [
        application
        for application, charm in (
            ("first", first),
            ("second", second),
            (DISTRIBUTOR, distributor),
        )
        if charm != CONSUMER and charm != DISTRIBUTOR
    ]
    if distributor == EARLIER_DISTRIBUTOR:
        earlier = ["first", "second", DISTRIBUTOR]
    telling.expect_whole(cloud, "first", "second", earlier=earlier)
    cloud.add_unit("first")
    cloud.add_unit("second")
    telling.expect_whole(cloud, "first", "second", earlier=earlier)
