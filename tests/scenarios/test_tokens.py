"""Tokens are issued, and are not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud

INCONSISTENT = "Error: Membership consistency check failed after timeout"


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize(("times", "at_once"), [(2, False), (1, True)])
def test_hook_dies_after_issuing_a_token(cloud: LocalCloud, times: int, *, at_once: bool) -> None:
    """The cluster issues no second token for hours, so the first is found on the disk."""
    helpers.form(cloud, 2)
    cloud.kill_agent(unit=CONSUMER, after="add", times=times, at_once=at_once)
    for _ in range(times):
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


@pytest.mark.requires(Capability.FAULTS)
def test_issuing_times_out(cloud: LocalCloud) -> None:
    """The communicator tries again."""
    helpers.form(cloud, 2)
    cloud.hang("add", unit=CONSUMER, times=2)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_cluster_refuses_to_issue_for_a_moment(cloud: LocalCloud) -> None:
    """Another newcomer gets its token in the same hook."""
    helpers.form(cloud, 3)
    communicator = helpers.communicator(cloud)
    cloud.pause_agent(communicator)
    newcomers = [cloud.add_unit(CONSUMER) for _ in range(2)]
    cloud.settle()
    cloud.fail_command("add", unit=communicator, errors=[INCONSISTENT], seconds=5.02)
    cloud.resume_agent(communicator)
    cloud.settle()
    assert any(cloud.members(newcomer) for newcomer in newcomers), "nobody was served"
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_issuer_is_removed_at_once(cloud: LocalCloud) -> None:
    """The distributor takes the token from the databag of the departing unit."""
    helpers.form(cloud, 3)
    issuer = helpers.communicator(cloud)
    cloud.upon(lambda: cloud.remove_unit(issuer), unit=issuer, wrote="mirror-")
    helpers.grow(cloud)
