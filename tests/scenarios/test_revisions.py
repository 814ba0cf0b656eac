"""Charms with the earlier library, mixed with those of this one, and refreshed to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import (
    CONSUMER,
    DISTRIBUTOR,
    EARLIER_CONSUMER,
    EARLIER_DISTRIBUTOR,
    Capability,
)
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud


@pytest.mark.requires(Capability.EARLIER_CHARMS)
def test_refresh_distributor_first(cloud: Cloud) -> None:
    """The cluster stays whole at each step, and grows at the end."""
    _form_earlier(cloud)
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    helpers.expect_whole(cloud, earlier=[CONSUMER])
    cloud.refresh(CONSUMER, CONSUMER)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


@pytest.mark.smoke
@pytest.mark.requires(Capability.EARLIER_CHARMS)
def test_refresh_distributor_alone(cloud: Cloud) -> None:
    """The units keep the earlier library, the cluster stays whole, and a newcomer joins it."""
    _form_earlier(cloud)
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    helpers.expect_whole(cloud, earlier=[CONSUMER])
    helpers.grow(cloud, earlier=[CONSUMER])


@pytest.mark.requires(Capability.EARLIER_CHARMS)
def test_refresh_consumer_first(cloud: Cloud) -> None:
    """The cluster stays whole at each step, and grows in between and at the end."""
    _form_earlier(cloud)
    cloud.refresh(CONSUMER, CONSUMER)
    helpers.expect_whole(cloud, earlier=[CONSUMER, DISTRIBUTOR])
    helpers.grow(cloud, earlier=[CONSUMER, DISTRIBUTOR])
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.EARLIER_CHARMS)
def test_refresh_both_at_once(cloud: Cloud) -> None:
    """Both sides are refreshed in any order, with a newcomer among the units."""
    _form_earlier(cloud)
    cloud.add_unit(CONSUMER)
    cloud.refresh(CONSUMER, CONSUMER)
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.EARLIER_CHARMS, Capability.FAULTS)
def test_refresh_both_as_the_cluster_forms(cloud: LocalCloud) -> None:
    """The refresh comes right after the bootstrap."""
    helpers.deploy(cloud, consumer_charm=EARLIER_CONSUMER, distributor_charm=EARLIER_DISTRIBUTOR)

    def refresh() -> None:
        cloud.refresh(CONSUMER, CONSUMER)
        cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)

    cloud.upon(refresh, unit=CONSUMER, command="bootstrap")
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.EARLIER_CHARMS)
def test_earlier_distributor_serves_todays_consumers(cloud: Cloud) -> None:
    """They form a cluster, which grows and shrinks."""
    helpers.deploy(cloud, distributor_charm=EARLIER_DISTRIBUTOR)
    earlier = [CONSUMER, DISTRIBUTOR]
    helpers.expect_whole(cloud, earlier=earlier)
    helpers.grow(cloud, earlier=earlier)
    cloud.remove_unit(helpers.communicator(cloud))
    helpers.expect_whole(cloud, earlier=earlier)
    helpers.grow(cloud, earlier=earlier)


@pytest.mark.requires(Capability.EARLIER_CHARMS)
def test_todays_distributor_serves_earlier_consumers(cloud: Cloud) -> None:
    """They form a cluster, which grows and shrinks."""
    helpers.deploy(cloud, distributors=2, consumer_charm=EARLIER_CONSUMER)
    helpers.expect_whole(cloud, earlier=[CONSUMER])
    helpers.grow(cloud, earlier=[CONSUMER])
    cloud.remove_unit(helpers.communicator(cloud))
    helpers.expect_whole(cloud, earlier=[CONSUMER])


@pytest.mark.requires(Capability.EARLIER_CHARMS)
@pytest.mark.parametrize("first", [CONSUMER, EARLIER_CONSUMER])
@pytest.mark.parametrize("distributor", [DISTRIBUTOR, EARLIER_DISTRIBUTOR])
def test_earlier_and_todays_consumers_share_a_distributor(
    cloud: Cloud, distributor: str, first: str
) -> None:
    """One application of each kind, in either order, forms one cluster, and both grow."""
    charms = {
        "first": first,
        "second": CONSUMER if first == EARLIER_CONSUMER else EARLIER_CONSUMER,
        DISTRIBUTOR: distributor,
    }
    cloud.deploy(charms["first"], "first", units=2)
    cloud.deploy(charms["second"], "second", units=2)
    cloud.deploy(distributor, DISTRIBUTOR)
    cloud.integrate("first", DISTRIBUTOR)
    cloud.integrate("second", DISTRIBUTOR)
    earlier = [app for app, charm in charms.items() if charm.startswith("earlier-")]
    if distributor == EARLIER_DISTRIBUTOR:
        earlier = list(charms)
    helpers.expect_whole(cloud, "first", "second", earlier=earlier)
    cloud.add_unit("first")
    cloud.add_unit("second")
    helpers.expect_whole(cloud, "first", "second", earlier=earlier)


def _form_earlier(cloud: Cloud) -> None:
    """Form a cluster of earlier charms, in applications that can be refreshed."""
    helpers.deploy(
        cloud,
        distributors=2,
        consumer_charm=EARLIER_CONSUMER,
        distributor_charm=EARLIER_DISTRIBUTOR,
    )
    helpers.expect_whole(cloud, earlier=[CONSUMER, DISTRIBUTOR])
