"""Daemons and agents restart, or stop for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud

SOCKET_REFUSED = "Error: dial unix control.socket: connect: connection refused"
NOT_INITIALIZED = "Error: Database is not yet initialized"


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_daemon_restarts_during_refresh(cloud: LocalCloud) -> None:
    """It denies its membership as it restarts, then its machine is down; it stays a member."""
    helpers.form(cloud, 3)
    unit = helpers.follower(cloud)
    errors = [SOCKET_REFUSED, *[NOT_INITIALIZED] * 9]
    cloud.fail_command("list", unit=unit, errors=errors)
    cloud.refresh(CONSUMER, CONSUMER)
    cloud.settle()
    cloud.kill_machine(unit)
    cloud.fail_command("list", unit=unit, errors=[])
    cloud.wait(3)
    cloud.start_machine(unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_daemon_denies_membership_once(cloud: LocalCloud) -> None:
    """A single denial is not believed."""
    helpers.form(cloud, 3)
    unit = helpers.follower(cloud)
    cloud.fail_command("list", unit=unit, errors=[NOT_INITIALIZED])
    cloud.wait(2)
    helpers.reboot(cloud, unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
@pytest.mark.parametrize("agent", ["dead", "error"])
def test_newcomer_joins_without_communicators_agent(cloud: LocalCloud, agent: str) -> None:
    """Another member issues its token at update-status."""
    helpers.form(cloud, 3)
    communicator = helpers.communicator(cloud)
    if agent == "dead":
        cloud.juju.stop_agent(communicator)
    else:
        cloud.break_hooks(communicator)
    cloud.add_unit(CONSUMER)
    helpers.expect_members(cloud, cloud.units(CONSUMER), helpers.hostnames(cloud))
