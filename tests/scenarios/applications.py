"""Several applications form one cluster, and relations come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


@telling.story()
def two_form_one_cluster_and_the_first_leaves(cloud: Cloud) -> None:
    """The second goes on without the one that bootstrapped, and scales."""
    telling.form_two(cloud, 2, 2)
    cloud.remove_application("first")
    telling.expect_whole(cloud, "second")
    for _ in range(2):
        cloud.add_unit("second")
    telling.expect_whole(cloud, "second")
    cloud.remove_unit(telling.communicator(cloud, "second"))
    telling.expect_whole(cloud, "second")


@telling.story()
def the_second_joins_later(cloud: Cloud) -> None:
    """Its units join the cluster that is there."""
    cloud.deploy(CONSUMER, "first", units=2)
    cloud.deploy(DISTRIBUTOR, units=2)
    cloud.integrate("first", DISTRIBUTOR)
    telling.expect_whole(cloud, "first")
    cloud.deploy(CONSUMER, "second", units=2)
    cloud.integrate(DISTRIBUTOR, "second")
    telling.expect_whole(cloud, "first", "second")


@telling.story()
def the_first_has_no_units(cloud: Cloud) -> None:
    """The application that was related first never bootstraps; the second does."""
    telling.form_two(cloud, 0, 2)
    cloud.add_unit("first")
    telling.expect_whole(cloud, "first", "second")


@telling.story()
def the_relation_is_made_again_with_a_newcomer(cloud: Cloud) -> None:
    """The databags are all fresh; the cluster is not, and the newcomer joins it."""
    telling.form(cloud, 3)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.add_unit(CONSUMER)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_relation_is_made_again_with_a_newcomer_that_leads(cloud: Cloud) -> None:
    """It proposes itself for the bootstrap, and must not be granted it."""
    telling.let_newcomer_lead(cloud, 3)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_relation_is_made_again_while_the_members_are_slow(cloud: Cloud) -> None:
    """Only the newcomer has been heard: nothing is granted until the others are."""
    *members, newcomer = telling.let_newcomer_lead(cloud, 2)
    powers = telling.faults(cloud)
    for unit in members:
        powers.pause_agent(unit)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.wait(2)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    for unit in members:
        powers.resume_agent(unit)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_relation_is_made_again_while_the_members_are_down(cloud: Cloud) -> None:
    """Machines that are down may come back, and their cluster with them."""
    *members, newcomer = telling.let_newcomer_lead(cloud, 2)
    for unit in members:
        cloud.kill_machine(unit)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.wait(2)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    for unit in members:
        cloud.start_machine(unit)
    telling.expect_whole(cloud)


@telling.story()
def a_new_application_is_related_before_the_cluster_is_again(cloud: Cloud) -> None:
    """The newcomers' application is the first related, and its leader proposes itself."""
    telling.form(cloud, 3)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.deploy(CONSUMER, "newcomers", units=2)
    cloud.settle()
    cloud.integrate("newcomers", DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    telling.expect_whole(cloud, CONSUMER, "newcomers")


@telling.story()
def one_of_two_applications_goes_its_own_way(cloud: Cloud) -> None:
    """Its units are still members, and the first ones by name, but nobody hears them."""
    telling.form_two(cloud, 2, 3)
    cloud.remove_relation("first", DISTRIBUTOR)
    cloud.settle()
    newcomer = cloud.add_unit("second")
    cloud.eventually(f"{newcomer} is a member", lambda: bool(cloud.members(newcomer)))


@telling.story()
def one_of_two_applications_comes_back(cloud: Cloud) -> None:
    """Its units left the distributor's sight, and are there again: nobody has left."""
    telling.form_two(cloud, 2, 2)
    cloud.remove_relation("first", DISTRIBUTOR)
    cloud.settle()
    cloud.integrate("first", DISTRIBUTOR)
    telling.expect_whole(cloud, "first", "second")
