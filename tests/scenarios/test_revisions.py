"""Charms with the earlier library, mixed with those of this one, and refreshed to them."""

from typing import Any

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import (
    CONSUMER,
    DISTRIBUTOR,
    EARLIER_CONSUMER,
    EARLIER_DISTRIBUTOR,
    Capability,
    Cloud,
)
from tests.scenarios import helpers

EARLIER: dict[str, Any] = {
    "consumer_charm": EARLIER_CONSUMER,
    "distributor_charm": EARLIER_DISTRIBUTOR,
}


@pytest.mark.smoke
@pytest.mark.requires(Capability.EARLIER_CHARMS)
@pytest.mark.parametrize("first", [CONSUMER, DISTRIBUTOR])
def test_refresh_one_after_the_other(cloud: Cloud, first: str) -> None:
    """The cluster stays whole at each step, and grows in between and at the end."""
    both = [CONSUMER, DISTRIBUTOR]
    helpers.deploy(cloud, distributors=2, **EARLIER)
    helpers.expect_whole(cloud, earlier=both)
    cloud.refresh(first, first)
    # Under an earlier distributor a consumer speaks the old keys, too.
    earlier = both if first == CONSUMER else [CONSUMER]
    helpers.expect_whole(cloud, earlier=earlier)
    helpers.grow(cloud, earlier=earlier)
    (second,) = set(both) - {first}
    cloud.refresh(second, second)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.EARLIER_CHARMS, Capability.FAULTS)
def test_refresh_both_as_the_cluster_forms(cloud: LocalCloud) -> None:
    """The refresh comes right after the bootstrap, with a newcomer among the units."""
    helpers.deploy(cloud, **EARLIER)

    def refresh() -> None:
        cloud.refresh(CONSUMER, CONSUMER)
        cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
        cloud.add_unit(CONSUMER)

    cloud.upon(refresh, unit=CONSUMER, command="bootstrap")
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.EARLIER_CHARMS)
@pytest.mark.parametrize(
    ("side", "earlier"),
    [("distributor", [CONSUMER, DISTRIBUTOR]), ("consumer", [CONSUMER])],
    ids=["distributor", "consumer"],
)
def test_one_side_is_earlier(cloud: Cloud, side: str, earlier: list[str]) -> None:
    """They form a cluster, which grows and shrinks."""
    charm = f"{side}_charm"
    helpers.deploy(cloud, distributors=2, **{charm: EARLIER[charm]})
    helpers.expect_whole(cloud, earlier=earlier)
    helpers.grow(cloud, earlier=earlier)
    cloud.remove_unit(helpers.communicator(cloud))
    helpers.expect_whole(cloud, earlier=earlier)
    helpers.grow(cloud, earlier=earlier)


@pytest.mark.requires(Capability.EARLIER_CHARMS)
@pytest.mark.parametrize("charms", [(CONSUMER, EARLIER_CONSUMER), (EARLIER_CONSUMER, CONSUMER)])
@pytest.mark.parametrize("distributor", [DISTRIBUTOR, EARLIER_DISTRIBUTOR])
def test_earlier_and_todays_consumers_share_a_distributor(
    cloud: Cloud, distributor: str, charms: tuple[str, str]
) -> None:
    """One application of each kind, in either order, forms one cluster, and both grow."""
    apps = ["first", "second"]
    for app, charm in zip(apps, charms, strict=True):
        cloud.deploy(charm, app, units=2)
    cloud.deploy(distributor, DISTRIBUTOR)
    for app in apps:
        cloud.integrate(app, DISTRIBUTOR)
    earlier = [*apps, DISTRIBUTOR]
    if distributor == DISTRIBUTOR:
        earlier = [apps[charms.index(EARLIER_CONSUMER)]]
    helpers.expect_whole(cloud, *apps, earlier=earlier)
    for app in apps:
        cloud.add_unit(app)
    helpers.expect_whole(cloud, *apps, earlier=earlier)
