"""The distributor loses units, or is replaced; operators let it forget members."""

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, Capability, Cloud
from tests.scenarios import helpers


@pytest.mark.smoke
def test_leader_dies_and_comes_back(cloud: Cloud) -> None:
    """Another unit leads meanwhile, and the former leader's databag does no harm."""
    helpers.form(cloud, 3, distributors=2)
    former = helpers.kill_leader(cloud)
    helpers.grow(cloud, lost=[former])
    cloud.start_machine(former)
    helpers.expect_whole(cloud)
    cloud.remove_unit(helpers.leader(cloud))
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_former_leader_comes_back_with_a_token(cloud: LocalCloud) -> None:
    """It removes the token that was in its databag when it went down."""
    helpers.form(cloud, 3, distributors=2)
    newcomer = helpers.add_newcomer_that_dies_before_its_token(cloud)
    former = helpers.kill_leader(cloud)
    cloud.start_machine(newcomer)
    helpers.expect_whole(cloud, lost=[former])
    cloud.start_machine(former)
    helpers.expect_whole(cloud)


@pytest.mark.smoke
def test_all_units_are_replaced(cloud: Cloud) -> None:
    """The new units need nothing of the old ones' databags."""
    helpers.form(cloud, 3, distributors=2)
    lost = cloud.units(DISTRIBUTOR)
    for unit in lost:
        cloud.kill_machine(unit)
    cloud.settle()
    for unit in lost:
        cloud.remove_unit(unit, force=True)
    cloud.settle()
    for _ in range(2):
        cloud.add_unit(DISTRIBUTOR)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


def test_distributor_is_deployed_anew(cloud: Cloud) -> None:
    """A new distributor learns from the members that a cluster is formed."""
    helpers.form(cloud, 3)
    cloud.remove_application(DISTRIBUTOR)
    cloud.settle()
    cloud.add_unit(CONSUMER)
    cloud.deploy(DISTRIBUTOR, "another-distributor", units=1)
    cloud.integrate(CONSUMER, "another-distributor")
    helpers.expect_whole(cloud, distributor="another-distributor")


def test_member_leaves_before_the_next_leader_is_elected(cloud: Cloud) -> None:
    """The next leader publishes that the member has left."""
    helpers.form(cloud, 4, distributors=2)
    leader = helpers.leader(cloud)
    cloud.kill_machine(leader)
    leaver = helpers.follower(cloud)
    cloud.kill_machine(leaver)
    cloud.remove_unit(leaver, force=True)
    helpers.expect_whole(cloud, lost=[leader])


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_leader_is_removed_while_a_member_is_down(cloud: LocalCloud) -> None:
    """As its relations end, it does not publish that their units have left."""
    helpers.form_two(cloud, 4, 1, distributors=2)
    names = helpers.hostnames(cloud, "first", "second")
    cloud.wait()
    (dead,) = cloud.units("second")
    cloud.kill_machine(dead)
    cloud.settle()
    for _ in range(5):  # Which relation ends first is for chance to decide.
        former = helpers.leader(cloud)
        successor = helpers.another(cloud, former)
        cloud.pause_agent(successor)
        cloud.remove_unit(former)
        cloud.settle()
        cloud.resume_agent(successor)
        cloud.add_unit(DISTRIBUTOR)
        cloud.wait()
    cloud.start_machine(dead)
    helpers.expect_members(cloud, [*cloud.units("first"), *cloud.units("second")], names)
    helpers.expect_whole(cloud, "first", "second")


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_databag_of_departed_unit_is_refused(cloud: LocalCloud) -> None:
    """No hook of the distributor fails."""
    helpers.form(cloud, 3)
    leaver = helpers.communicator(cloud)
    cloud.juju.unreadable.add(leaver)
    cloud.remove_unit(leaver)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)
    assert not cloud.failed_hooks(helpers.leader(cloud))


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize(
    ("unit", "moment"),
    [
        pytest.param(DISTRIBUTOR, {"wrote": "bootstrap-host"}, id="grant"),
        pytest.param(CONSUMER, {"command": "bootstrap"}, id="bootstrap"),
        pytest.param(CONSUMER, {"command": "add"}, id="first-token"),
        pytest.param(CONSUMER, {"command": "join"}, id="first-join"),
    ],
)
def test_leader_dies_while_forming(cloud: LocalCloud, unit: str, moment: dict[str, str]) -> None:
    """The next leader grants no second bootstrap, and finds the tokens that were issued."""
    helpers.deploy(cloud, distributors=3)
    dead: list[str] = []

    def kill() -> None:
        dead.append(helpers.leader(cloud))
        cloud.kill_machine(dead[0])

    cloud.upon(kill, unit=unit, **moment)
    cloud.eventually("the death of the distributor's leader", lambda: bool(dead))
    helpers.expect_whole(cloud, lost=dead)
    cloud.remove_unit(dead[0], force=True)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_lost_member_is_forgotten_while_its_unit_stays(cloud: LocalCloud) -> None:
    """The newcomer that it kept waiting joins; the unit can be removed later."""
    helpers.form(cloud, 4)
    dead = helpers.communicator(cloud)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.juju.run_action(helpers.leader(cloud), "forget-member", host=cloud.hostname(dead))
    others = [unit for unit in cloud.units(CONSUMER) if unit != dead]
    helpers.expect_members(cloud, others, {cloud.hostname(unit) for unit in others})
    cloud.remove_unit(dead, force=True)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_lost_member_without_a_unit_is_forgotten(cloud: LocalCloud) -> None:
    """Its application is not related any more, so that nobody can know whether it comes back."""
    helpers.form_two(cloud, 3, 1)
    lost = cloud.units("second")[0]
    name = cloud.hostname(lost)

    def is_offline() -> bool:
        rows = cloud.juju.run_action(helpers.leader(cloud), "show-mirror").values()
        return any(row["host-name"] == name and row["state"] == "offline" for row in rows)

    cloud.remove_relation("second", DISTRIBUTOR)
    cloud.settle()
    cloud.kill_machine(lost)
    cloud.eventually(f"{name} among the rows", is_offline)
    cloud.juju.run_action(helpers.leader(cloud), "forget-member", host=name)
    helpers.expect_whole(cloud, "first")
    assert not is_offline()
