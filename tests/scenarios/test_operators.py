"""An operator says that a member is lost for good, where Juju cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import juju_model
from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud

# Actions are run on the model of Juju.
pytestmark = pytest.mark.requires(Capability.FAULTS)


def test_lost_member_is_forgotten_while_its_unit_stays(cloud: LocalCloud) -> None:
    """The newcomer that it kept waiting joins; the unit can be removed later."""
    helpers.form(cloud, 4)
    dead = helpers.communicator(cloud)
    name = cloud.hostname(dead)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, dead)

    _forget(cloud, name)

    others = [unit for unit in cloud.units(CONSUMER) if unit != dead]
    helpers.expect_members(cloud, others, {cloud.hostname(unit) for unit in others})
    cloud.remove_unit(dead, force=True)
    helpers.expect_whole(cloud)


def test_lost_member_without_a_unit_is_forgotten(cloud: LocalCloud) -> None:
    """Its application is not related any more, so that nobody can know whether it comes back."""
    helpers.form_two(cloud, 3, 1)
    lost = cloud.units("second")[0]
    name = cloud.hostname(lost)
    cloud.remove_relation("second", DISTRIBUTOR)
    cloud.settle()
    cloud.kill_machine(lost)
    cloud.eventually(f"{name} among the rows", lambda: name in _rows(cloud, "offline"))

    _forget(cloud, name)

    helpers.expect_whole(cloud, "first")
    assert name not in _rows(cloud, "offline", "left")


def test_member_that_is_online_is_not_forgotten(cloud: LocalCloud) -> None:
    """Nor is one that is back, nor a name that is no member's."""
    helpers.form(cloud, 4)
    member = helpers.follower(cloud)
    name = cloud.hostname(member)
    for wrong in (name, "nobody"):
        with pytest.raises(juju_model.ActionFailed, match="is no member that is offline"):
            _forget(cloud, wrong)
    cloud.kill_machine(member)
    helpers.expect_hold(cloud, member)
    # All agents are busy until it is back.
    for unit in cloud.units(CONSUMER):
        cloud.pause_agent(unit)
    _forget(cloud, name)
    cloud.start_machine(member)
    for unit in cloud.units(CONSUMER):
        cloud.resume_agent(unit)
    helpers.expect_whole(cloud)


def _forget(cloud: LocalCloud, name: str) -> None:
    cloud.juju.run_action(helpers.leader(cloud), "forget-member", host=name)


def _rows(cloud: LocalCloud, *states: str) -> set[str]:
    """Return the host names that `show-mirror` has in some states."""
    rows = cloud.juju.run_action(helpers.leader(cloud), "show-mirror").values()
    return {row["host-name"] for row in rows if row["state"] in states}
