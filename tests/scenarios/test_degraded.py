"""While a member is offline, joins are paused: one would cost a small cluster its quorum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud


def test_newcomer_joins_once_offline_member_is_removed(cloud: Cloud) -> None:
    """It names the member that it waits for, and joins when that member is removed."""
    helpers.form(cloud, 3)
    dead = helpers.communicator(cloud)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.remove_unit(dead, force=True)
    helpers.expect_whole(cloud)


@pytest.mark.parametrize(
    "choose", [helpers.communicator, pytest.param(helpers.follower, marks=pytest.mark.smoke)]
)
def test_newcomer_waits_for_offline_member(cloud: Cloud, choose: Callable[[Cloud], str]) -> None:
    """It names the member that it waits for, and joins when that member is back."""
    helpers.form(cloud, 3)
    offline = choose(cloud)
    cloud.kill_machine(offline)
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, offline)
    cloud.start_machine(offline)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_token_is_not_used_once_a_member_is_offline(cloud: LocalCloud) -> None:
    """The newcomer's machine was down when the member went offline."""
    helpers.form(cloud, 3)
    newcomer = helpers.add_sleeping_newcomer(cloud)
    dead = helpers.follower(cloud)
    cloud.kill_machine(dead)
    helpers.expect_hold(cloud, dead)
    cloud.start_machine(newcomer)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_slow_newcomer_does_not_use_its_token(cloud: LocalCloud) -> None:
    """Its agent is paused with the databags in memory that it read before."""
    helpers.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.upon(lambda: cloud.pause_agent(newcomer), unit=newcomer, wrote="hostname")
    helpers.expect_token(cloud, newcomer)
    dead = helpers.communicator(cloud)
    cloud.kill_machine(dead)
    helpers.expect_hold(cloud, dead)
    cloud.resume_agent(newcomer)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_leader_dies_while_joins_are_paused(cloud: LocalCloud) -> None:
    """The next leader pauses joins, too, though the token is still published."""
    helpers.form(cloud, 3, distributors=2)
    newcomer = helpers.add_sleeping_newcomer(cloud)
    dead = helpers.follower(cloud)
    cloud.kill_machine(dead)
    old = helpers.leader(cloud)
    helpers.expect_hold(cloud, dead)
    cloud.kill_machine(old)
    helpers.expect_another_leader(cloud, old)
    cloud.start_machine(newcomer)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    helpers.expect_whole(cloud, lost=[old])


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_newcomer_waits_for_silent_host(cloud: LocalCloud) -> None:
    """No member can list the others while a host drops packets."""
    helpers.form(cloud, 3)
    names = helpers.hostnames(cloud)
    newcomer = helpers.add_sleeping_newcomer(cloud)
    silent = helpers.follower(cloud)
    helpers.go_silent(cloud, silent)
    cloud.wait(2)
    cloud.start_machine(newcomer)
    cloud.wait(3)
    helpers.expect_status(cloud, newcomer, "waiting")
    cloud.machine(silent).drops_packets = False
    others = [unit for unit in cloud.units(CONSUMER) if unit not in (silent, newcomer)]
    helpers.expect_members(cloud, others, names)
    cloud.start_machine(silent)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_newcomer_waits_without_communicators_agent(cloud: LocalCloud) -> None:
    """Another member pauses joins at update-status."""
    helpers.form(cloud, 3)
    communicator = helpers.communicator(cloud)
    cloud.juju.stop_agent(communicator)
    dead = helpers.another(cloud, communicator)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    cloud.start_machine(communicator)
    helpers.expect_whole(cloud)
