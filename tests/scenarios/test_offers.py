"""The distributor and its consumers are in different models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_distributor_is_offered(cloud: LocalCloud) -> None:
    """Each model knows the other's application under another name."""
    _form_across_models(cloud)
    helpers.grow(cloud)
    cloud.remove_unit(helpers.communicator(cloud))
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_offer_is_suspended_and_resumed(cloud: LocalCloud) -> None:
    """A member that reboots meanwhile stays a member, and the cluster can grow afterwards."""
    _form_across_models(cloud)
    names = helpers.hostnames(cloud)
    (relation,) = (
        each.id for each in cloud.juju.apps[CONSUMER].relations.values() if each.across_models
    )
    cloud.juju.suspend(relation)
    cloud.wait()
    rebooted = helpers.follower(cloud)
    cloud.kill_machine(rebooted)
    cloud.wait()
    cloud.juju.resume(relation)
    cloud.wait(2)
    cloud.start_machine(rebooted)
    helpers.expect_members(cloud, cloud.units(CONSUMER), names)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_consumer_is_offered(cloud: LocalCloud) -> None:
    """Its units are never taken for gone, since goal-state does not name them."""
    cloud.deploy(CONSUMER, "near", units=3)
    cloud.deploy(CONSUMER, "far", units=3)
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate("near", DISTRIBUTOR)
    helpers.expect_whole(cloud, "near")
    cloud.juju.consume(DISTRIBUTOR, "far", alias="far-away")
    helpers.expect_whole(cloud, "near", "far")
    near, far = cloud.units("near")[-1], cloud.units("far")[-1]
    names = helpers.hostnames(cloud, "near", "far") - {cloud.hostname(near)}
    for unit in (near, far):
        cloud.kill_machine(unit)
    cloud.wait()
    for unit in (near, far):
        cloud.remove_unit(unit, force=True)
    cloud.wait(2)
    helpers.expect_members(cloud, [*cloud.units("near"), *cloud.units("far")], names)


def _form_across_models(cloud: LocalCloud) -> None:
    cloud.deploy(CONSUMER, units=3)
    cloud.deploy(DISTRIBUTOR)
    cloud.juju.consume(CONSUMER, DISTRIBUTOR, alias="tokens")
    helpers.expect_whole(cloud)
