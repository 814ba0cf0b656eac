"""Several applications form one cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud

OTHER_DISTRIBUTOR = "other-distributor"


def test_first_of_two_leaves(cloud: Cloud) -> None:
    """The second application keeps the cluster, and can still grow and shrink."""
    helpers.form_two(cloud, 2, 2)
    cloud.remove_application("first")
    helpers.expect_whole(cloud, "second")
    for _ in range(2):
        cloud.add_unit("second")
    helpers.expect_whole(cloud, "second")
    cloud.remove_unit(helpers.communicator(cloud, "second"))
    helpers.expect_whole(cloud, "second")


@pytest.mark.smoke
def test_second_joins_later(cloud: Cloud) -> None:
    """Its units join the existing cluster."""
    cloud.deploy(CONSUMER, "first", units=2)
    cloud.deploy(DISTRIBUTOR, units=2)
    cloud.integrate("first", DISTRIBUTOR)
    helpers.expect_whole(cloud, "first")
    cloud.deploy(CONSUMER, "second", units=2)
    cloud.integrate(DISTRIBUTOR, "second")
    helpers.expect_whole(cloud, "first", "second")


def test_first_has_no_units(cloud: Cloud) -> None:
    """The second application bootstraps if the first has no units."""
    helpers.form_two(cloud, 0, 2)
    cloud.add_unit("first")
    helpers.expect_whole(cloud, "first", "second")


def test_relation_of_one_is_removed_and_the_other_grows(cloud: Cloud) -> None:
    """A member of the other application issues the token."""
    helpers.form_two(cloud, 2, 3)
    cloud.remove_relation("first", DISTRIBUTOR)
    cloud.settle()
    newcomer = cloud.add_unit("second")
    cloud.eventually(f"{newcomer} is a member", lambda: bool(cloud.members(newcomer)))


def test_relation_of_one_is_made_again(cloud: Cloud) -> None:
    """Units that the distributor does not see for a while have not left."""
    helpers.form_two(cloud, 2, 2)
    cloud.remove_relation("first", DISTRIBUTOR)
    cloud.settle()
    cloud.integrate("first", DISTRIBUTOR)
    helpers.expect_whole(cloud, "first", "second")


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_relation_of_one_is_removed_and_a_machine_reboots(cloud: LocalCloud) -> None:
    """The machine stays a member of the cluster."""
    helpers.form_two(cloud, 2, 2)
    names = helpers.hostnames(cloud, "first", "second")
    cloud.remove_relation("second", DISTRIBUTOR)
    cloud.wait()
    helpers.reboot(cloud, cloud.units("second")[0])
    units = [*cloud.units("first"), *cloud.units("second")]
    helpers.expect_members(cloud, units, names)
    cloud.integrate("second", DISTRIBUTOR)
    helpers.expect_whole(cloud, "first", "second")


def test_new_application_is_related_before_the_cluster(cloud: Cloud) -> None:
    """Newcomers that are related first must not bootstrap a second cluster."""
    helpers.form(cloud, 3)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.deploy(CONSUMER, "newcomers", units=2)
    cloud.settle()
    cloud.integrate("newcomers", DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.expect_whole(cloud, CONSUMER, "newcomers")


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_two_clusters_meet(cloud: LocalCloud) -> None:
    """The status names both. No unit joins or is removed until one cluster is unrelated again."""
    firsts, seconds = _form_two_clusters(cloud)
    cloud.remove_relation("second", OTHER_DISTRIBUTOR)
    cloud.settle()
    cloud.integrate("second", DISTRIBUTOR)
    leader = helpers.leader(cloud)
    helpers.expect_status(cloud, leader, "blocked", min(firsts), min(seconds))
    newcomer = cloud.add_unit("first")
    dead = cloud.units("second")[-1]
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(dead, force=True)
    cloud.wait(3)
    assert not cloud.members(newcomer), f"{newcomer} has joined one of two clusters"
    helpers.expect_members(cloud, [u for u in cloud.units("first") if u != newcomer], firsts)
    helpers.expect_members(cloud, cloud.units("second"), seconds)
    cloud.remove_relation("second", DISTRIBUTOR)
    helpers.expect_whole(cloud, "first")


def _form_two_clusters(cloud: LocalCloud) -> tuple[set[str], set[str]]:
    """Form two clusters of three and return the names of their members."""
    for app, distributor in (("first", DISTRIBUTOR), ("second", OTHER_DISTRIBUTOR)):
        cloud.deploy(CONSUMER, app, units=3)
        cloud.deploy(DISTRIBUTOR, distributor)
        cloud.integrate(app, distributor)
        helpers.expect_whole(cloud, app, distributor=distributor)
    return helpers.hostnames(cloud, "first"), helpers.hostnames(cloud, "second")
