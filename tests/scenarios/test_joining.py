"""Newcomers join, at the first attempt or a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, TOLERANT_CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud


@pytest.mark.requires(Capability.FAULTS)
def test_token_expires_before_it_is_used(cloud: LocalCloud) -> None:
    """It reports that the token failed, and gets another."""
    helpers.form(cloud, 2)
    newcomer = helpers.add_sleeping_newcomer(cloud)
    cloud.microcluster.expire_tokens()
    cloud.start_machine(newcomer)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize(("times", "has_worked"), [(2, False), (1, True)])
def test_join_times_out(cloud: LocalCloud, times: int, *, has_worked: bool) -> None:
    """The token is still valid and tried again, unless the unit finds out that it has joined."""
    helpers.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.hang("join", unit=newcomer, times=times, in_effect=has_worked)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_join_times_out_and_uses_up_its_token(cloud: LocalCloud) -> None:
    """Another token is issued for it."""
    helpers.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.hang("join", unit=newcomer)
    cloud.upon(cloud.microcluster.expire_tokens, unit=newcomer, command="join")
    cloud.upon(cloud.microcluster.expire_tokens, unit=newcomer, wrote="failed")
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_hook_dies_after_join(cloud: LocalCloud) -> None:
    """What the hook wrote is lost; the next hook reports all of it."""
    helpers.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.kill_agent(unit=newcomer, after="join")
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES, Capability.JOINS_WHILE_DEGRADED)
def test_tolerant_charm_joins_while_a_member_is_down(cloud: LocalCloud) -> None:
    """The charm has declared that its workload can do that."""
    helpers.deploy(cloud, consumer_charm=TOLERANT_CONSUMER)
    helpers.expect_whole(cloud)
    cloud.wait()
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
    """Each try uses up a token. There are two at once, then one at each update-status."""
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


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_join_works_at_last(cloud: LocalCloud) -> None:
    """It fails for half an hour, and uses up its token each time; then its cause is fixed."""
    helpers.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.spoil_joins(newcomer)
    cloud.wait(6)
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
