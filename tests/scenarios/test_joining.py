"""Newcomers join, at the first attempt or a later one, by tokens that are not lost."""

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, TOLERANT_CONSUMER, Capability
from tests.scenarios import helpers


@pytest.mark.requires(Capability.FAULTS)
def test_token_expires_before_it_is_used(cloud: LocalCloud) -> None:
    """It reports that the token failed, and gets another."""
    helpers.form(cloud, 2)
    newcomer = helpers.add_newcomer_that_dies_before_its_token(cloud)
    cloud.microcluster.expire_tokens()
    cloud.start_machine(newcomer)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_newcomer_leaves_before_it_joined(cloud: LocalCloud) -> None:
    """Its unused token is withdrawn."""
    helpers.form(cloud, 2)
    newcomer = helpers.add_newcomer_that_dies_before_its_token(cloud)
    cloud.remove_unit(newcomer, force=True)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_machine_dies_for_good_after_issuing_a_token(cloud: LocalCloud) -> None:
    """The token is lost with the machine; the newcomer waits until it expires, no longer."""
    helpers.form(cloud, 3)
    issuer = helpers.communicator(cloud)
    cloud.upon(lambda: cloud.kill_machine(issuer), unit=issuer, command="add")
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, issuer)
    cloud.remove_unit(issuer, force=True)
    cloud.wait(2)
    cloud.microcluster.expire_tokens()
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_issuer_is_removed_at_once(cloud: LocalCloud) -> None:
    """The distributor takes the token from the databag of the departing unit."""
    helpers.form(cloud, 3)
    issuer = helpers.communicator(cloud)
    cloud.upon(lambda: cloud.remove_unit(issuer), unit=issuer, wrote="mirror-")
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_cluster_refuses_to_issue_for_a_moment(cloud: LocalCloud) -> None:
    """Another newcomer gets its token in the same hook."""
    helpers.form(cloud, 3)
    communicator = helpers.communicator(cloud)
    cloud.pause_agent(communicator)
    newcomers = [cloud.add_unit(CONSUMER) for _ in range(2)]
    cloud.settle()
    error = "Error: Membership consistency check failed after timeout"
    cloud.fail_command("add", unit=communicator, errors=[error], seconds=5.02)
    cloud.resume_agent(communicator)
    cloud.settle()
    assert any(cloud.members(newcomer) for newcomer in newcomers), "nobody was served"
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES, Capability.JOINS_WHILE_DEGRADED)
def test_tolerant_charm_joins_while_a_member_is_down(cloud: LocalCloud) -> None:
    """The charm has declared that its workload can do that."""
    helpers.form(cloud, consumer_charm=TOLERANT_CONSUMER)
    dead = helpers.follower(cloud)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    units = [unit for unit in cloud.units(CONSUMER) if unit != dead]
    helpers.expect_members(cloud, units, helpers.hostnames(cloud))
    helpers.expect_status(cloud, newcomer, "active")
    cloud.start_machine(dead)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_join_never_works(cloud: LocalCloud) -> None:
    """Each try uses up a token: two at once, then one at each update-status, until it works."""
    helpers.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.spoil_joins(newcomer)
    cloud.settle()
    assert len(cloud.commands(newcomer, "join")) in (1, 2)
    for _ in range(5):
        before = len(cloud.commands(newcomer, "join"))
        cloud.wait()
        assert len(cloud.commands(newcomer, "join")) <= before + 1
    helpers.expect_status(cloud, newcomer, "waiting", "join failed")
    assert len(cloud.commands(newcomer, "join")) > 2, "it has given up"
    cloud.machine(newcomer).faults = None
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_newcomers_daemon_is_newer(cloud: LocalCloud) -> None:
    """The failed join leaves the token unused, and it works once all daemons are refreshed."""
    helpers.form(cloud, 3)
    members = cloud.units(CONSUMER)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.machine(newcomer).refresh()
    cloud.wait(3)
    assert not cloud.members(newcomer), f"{newcomer} has joined a cluster of an older schema"
    helpers.expect_status(cloud, newcomer, "waiting", "join failed", "EOF")
    issued = [ran for unit in members for ran in cloud.commands(unit, "add") if ran.code == 0]
    assert sum(ran.words[1] == cloud.hostname(newcomer) for ran in issued) == 1
    for unit in members:
        cloud.machine(unit).refresh()
        cloud.settle()
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_newcomers_machine_dies_as_it_joins(cloud: LocalCloud) -> None:
    """It is published as waiting, and is a member, which must not be removed."""
    helpers.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    name = cloud.hostname(newcomer)
    cloud.upon(lambda: cloud.kill_machine(newcomer), unit=newcomer, command="join")
    cloud.wait(3)
    removed = [ran.machine for ran in cloud.fake.history if ran.words[:2] == ("remove", name)]
    assert not removed, f"{removed[0]} has removed {name}"
    cloud.start_machine(newcomer)
    helpers.expect_whole(cloud)
