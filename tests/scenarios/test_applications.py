"""Several applications form one cluster, also across models; relations end and are made again."""

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, Capability, Cloud
from tests.scenarios import helpers


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
    helpers.deploy(cloud, 2, application="first", distributors=2)
    helpers.expect_whole(cloud, "first")
    cloud.deploy(CONSUMER, "second", units=2)
    cloud.integrate(DISTRIBUTOR, "second")
    helpers.expect_whole(cloud, "first", "second")


def test_first_has_no_units(cloud: Cloud) -> None:
    """The second application bootstraps if the first has no units."""
    helpers.form_two(cloud, 0, 2)
    cloud.add_unit("first")
    helpers.expect_whole(cloud, "first", "second")


def test_relation_of_one_is_made_again(cloud: Cloud) -> None:
    """Its units have not left meanwhile, and a member of the other application issues tokens."""
    helpers.form_two(cloud, 2, 3)
    cloud.remove_relation("first", DISTRIBUTOR)
    cloud.settle()
    newcomer = cloud.add_unit("second")
    cloud.eventually(f"{newcomer} is a member", lambda: bool(cloud.members(newcomer)))
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
def test_relation_of_removed_distributor_lingers(cloud: LocalCloud) -> None:
    """An empty relation does not count beside another."""
    helpers.deploy(cloud, 2, distributor="first-distributor")
    helpers.expect_whole(cloud, distributor="first-distributor")
    for unit in cloud.units("first-distributor"):
        cloud.remove_unit(unit)
    cloud.settle()
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_goal_state_names_some_units_only(cloud: LocalCloud) -> None:
    """The others have not left: they stay members when they reboot."""
    helpers.deploy(cloud)
    unnamed = cloud.units(CONSUMER)[1:]
    cloud.juju.unnamed.update(unnamed)
    helpers.expect_whole(cloud)
    for unit in unnamed:
        helpers.reboot(cloud, unit)
        helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_two_clusters_meet(cloud: LocalCloud) -> None:
    """The status names both. No unit joins or is removed until one cluster is unrelated again."""
    names: list[set[str]] = []
    for app, distributor in (("first", DISTRIBUTOR), ("second", "other-distributor")):
        helpers.deploy(cloud, application=app, distributor=distributor)
        helpers.expect_whole(cloud, app, distributor=distributor)
        names.append(helpers.hostnames(cloud, app))
    cloud.remove_relation("second", "other-distributor")
    cloud.settle()
    cloud.integrate("second", DISTRIBUTOR)
    helpers.expect_status(cloud, helpers.leader(cloud), "blocked", *map(min, names))
    newcomer = cloud.add_unit("first")
    dead = cloud.units("second")[-1]
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(dead, force=True)
    cloud.wait(3)
    assert not cloud.members(newcomer), f"{newcomer} has joined one of two clusters"
    helpers.expect_members(cloud, cloud.units("first")[:-1], names[0])
    helpers.expect_members(cloud, cloud.units("second"), names[1])
    cloud.remove_relation("second", DISTRIBUTOR)
    helpers.expect_whole(cloud, "first")


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_distributor_is_offered(cloud: LocalCloud) -> None:
    """Each model knows the other's application by another name; the offer is once suspended.

    A member that reboots meanwhile stays a member, and the cluster can grow afterwards.
    """
    cloud.deploy(CONSUMER, units=3)
    cloud.deploy(DISTRIBUTOR)
    cloud.juju.consume(CONSUMER, DISTRIBUTOR, alias="tokens")
    helpers.expect_whole(cloud)
    [relation] = cloud.juju.apps[CONSUMER].relations
    names = helpers.hostnames(cloud)
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
    cloud.remove_unit(helpers.communicator(cloud))
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_consumer_is_offered(cloud: LocalCloud) -> None:
    """Its units are never taken for gone, since goal-state does not name them."""
    cloud.deploy(CONSUMER, "far", units=3)
    helpers.deploy(cloud, application="near")
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
