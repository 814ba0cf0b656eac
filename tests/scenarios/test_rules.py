"""Scenarios for one rule each, which no other scenario notices when it is broken.

They look behind the cloud, and run on the model with a fake microcluster alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, EARLIER_CONSUMER, Capability
from tests.microclusters import fake
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud


pytestmark = pytest.mark.requires(Capability.FAKE_MACHINES)


def test_member_cannot_list_when_related_again(cloud: LocalCloud) -> None:
    """The bootstrap waits until the member can tell whether there is a cluster."""
    member, newcomer = helpers.let_newcomer_lead(cloud, 1)
    cloud.hang("list", unit=member, times=40)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.wait()
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    cloud.wait(40)
    helpers.expect_whole(cloud)


def test_unit_that_bootstrapped_is_removed_from_cluster(cloud: LocalCloud) -> None:
    """It joins again as a newcomer, also under a distributor that remembers nothing."""
    cloud.deploy(CONSUMER, units=3)
    cloud.deploy(DISTRIBUTOR, units=1)
    # The one that is seen first, too.
    first, other, _ = cloud.units(CONSUMER)
    cloud.juju.set_leader(first)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.expect_whole(cloud)
    cloud.wait(2)
    assert [ran.code for ran in cloud.commands(first, "bootstrap")] == [0]
    assert "bootstrap-host" not in cloud.bag(DISTRIBUTOR), "the permission to bootstrap stands"
    old = cloud.units(DISTRIBUTOR)[0]
    cloud.kill_machine(old)
    cloud.run(other, "remove", cloud.hostname(first))
    cloud.wait(2)
    cloud.remove_unit(old, force=True)
    new = cloud.add_unit(DISTRIBUTOR)
    shown = f"mirror-{cloud.hostname(first)}"
    cloud.upon(lambda: cloud.pause_agent(new), unit=new, wrote=shown)
    cloud.eventually("a mirror", lambda: shown in cloud.bag(new))
    cloud.settle()
    cloud.resume_agent(new)
    helpers.expect_whole(cloud)


def test_forms_and_grows_without_update_status(cloud: LocalCloud) -> None:
    """Relation events alone are enough."""
    helpers.deploy(cloud, 8)
    cloud.settle()
    _expect_all_members(cloud)
    cloud.wait(2)
    for _ in range(2):
        cloud.add_unit(CONSUMER)
    cloud.settle()
    _expect_all_members(cloud)


@pytest.mark.requires(Capability.FORCE_DEPARTS)
def test_lost_member_is_removed_without_update_status(cloud: LocalCloud) -> None:
    """Its vote counts in the quorum until then."""
    helpers.form(cloud, 4)
    cloud.wait(2)
    leaver = helpers.follower(cloud)
    name = cloud.hostname(leaver)
    cloud.kill_machine(leaver)
    cloud.remove_unit(leaver, force=True)
    cloud.settle()
    listed = helpers.member_names(cloud, helpers.communicator(cloud))
    assert name not in listed, f"{name} is still a member"


def test_communicator_that_cannot_list_keeps_its_report(cloud: LocalCloud) -> None:
    """Neither `hold` nor its membership changes because a command failed."""
    helpers.form(cloud, 4)
    unit = helpers.communicator(cloud)
    cloud.kill_machine(cloud.units(CONSUMER)[-1])
    cloud.eventually("a hold", lambda: "hold" in cloud.bag(unit))
    before = dict(cloud.bag(unit))
    cloud.machine(unit).faults = lambda _, moment, words: (
        fake.hangs() if moment == "before" and words[0] == "list" else None
    )
    cloud.wait()
    after = cloud.bag(unit)
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    assert not changed, f"{unit} has no list, and reports another {' and '.join(changed)}"


def test_error_with_a_token_in_it(cloud: LocalCloud) -> None:
    """The error is logged without the token."""
    helpers.form(cloud, 1)
    newcomer = cloud.add_unit(CONSUMER)

    def complain(
        machine: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
    ) -> fake.Fault | None:
        if moment != "before" or words[0] != "join":
            return None
        machine.faults = None
        shown = cloud.bag(helpers.leader(cloud))
        return fake.fails(f"Error: cannot use {shown[f'mirror-{machine.name}']}")

    cloud.machine(newcomer).faults = complain
    helpers.expect_whole(cloud)


def test_half_joined_unit_is_related_again(cloud: LocalCloud) -> None:
    """What the failed join left in the cluster is removed, though the report of it is lost."""
    helpers.form(cloud, 5)
    newcomer = helpers.add_sleeping_newcomer(cloud)
    others = [unit for unit in cloud.units(CONSUMER) if unit != newcomer]
    cloud.kill_machine(others[-1])
    for unit in others:
        cloud.pause_agent(unit)
    cloud.start_machine(newcomer)
    cloud.settle()
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.start_machine(others[-1])
    for unit in others:
        cloud.resume_agent(unit)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.expect_whole(cloud)


def test_one_newcomer_of_many_is_not_slow(cloud: LocalCloud) -> None:
    """It is published at update-status at the latest."""
    helpers.form(cloud, 4)
    cloud.wait(2)
    newcomer, *slow = [cloud.add_unit(CONSUMER) for _ in range(8)]
    for unit in slow:
        cloud.pause_agent(unit)
    cloud.eventually(f"{newcomer} is a member", lambda: bool(cloud.members(newcomer)))
    for unit in slow:
        cloud.resume_agent(unit)
    helpers.expect_whole(cloud)


def test_former_leader_mirrors_no_longer(cloud: LocalCloud) -> None:
    """Earlier consumers do not know which of two mirrors counts."""
    helpers.form(cloud, 2, distributors=2)
    old = helpers.leader(cloud)
    cloud.juju.set_leader(helpers.another(cloud, old))
    cloud.wait(2)
    mirror = cloud.bag(old).get("mirror")
    assert mirror == "down", f"{old} does not lead, and publishes mirror: {mirror}"


def test_two_of_three_leave_at_once(cloud: LocalCloud) -> None:
    """They have to leave the cluster, or the quorum would be lost."""
    helpers.form(cloud, 3)
    cloud.wait(2)
    for unit in cloud.units(CONSUMER)[1:]:
        cloud.remove_unit(unit)
    helpers.expect_whole(cloud)


def test_two_denials_with_a_list_in_between(cloud: LocalCloud) -> None:
    """A list between two denials cancels the first."""
    helpers.form(cloud, 3)
    unit = helpers.follower(cloud)
    before = len(_written(cloud, unit, "member"))
    for _ in range(2):
        cloud.wait(2)
        cloud.fail_command("list", unit=unit, errors=[fake.NOT_INITIALIZED])
    cloud.wait(2)
    after = _written(cloud, unit, "member")[before:]
    assert not after, f"{unit} has believed one denial"


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


@pytest.mark.requires(Capability.EARLIER_CHARMS)
def test_empty_application_before_an_earlier_one(cloud: LocalCloud) -> None:
    """Only its units show whether an application is an earlier one."""
    cloud.deploy(CONSUMER, "first", units=0)
    cloud.deploy(EARLIER_CONSUMER, "second", units=2)
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate("first", DISTRIBUTOR)
    cloud.integrate("second", DISTRIBUTOR)
    helpers.expect_whole(cloud, "second", earlier=["second"])


def test_formation_costs_few_hooks(cloud: LocalCloud) -> None:
    """Changes that are not urgent are published with those that are."""
    helpers.deploy(cloud, 8)
    cloud.settle()
    _expect_all_members(cloud)
    trace = cloud.juju.trace
    hooks = sum(h.unit.startswith(f"{CONSUMER}/") and h.kind == "relation-changed" for h in trace)
    assert hooks <= 3 * 8, f"the units of {CONSUMER} ran {hooks} hooks"


def test_denial_is_repeated_after_an_error(cloud: LocalCloud) -> None:
    """An error between two denials does not cancel the first."""
    helpers.form(cloud, 3)
    cloud.wait(2)
    unit = helpers.follower(cloud)
    cloud.run(helpers.communicator(cloud), "remove", cloud.hostname(unit))
    cloud.fail_command("list", unit=unit, errors=[fake.NOT_INITIALIZED, "Error: EOF"] * 10)
    cloud.wait(5)
    assert "false" in _written(cloud, unit, "member")[1:], f"{unit} has believed no denial"


def _written(cloud: LocalCloud, unit: str, key: str) -> list[str]:
    """Return all values that a unit's hooks have written under a key."""
    hooks = (hook for hook in cloud.juju.trace if hook.unit == unit)
    return [write.new or "" for hook in hooks for write in hook.writes if write.key == key]


def _expect_all_members(cloud: LocalCloud) -> None:
    outside = [unit for unit in cloud.units(CONSUMER) if not cloud.members(unit)]
    assert not outside, f"waiting for an update-status: {', '.join(outside)}"
