"""The distributor loses units, and the cluster does not mind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


@telling.story(protocol.Trait.FAULTS)
def its_leader_dies_right_after_the_grant(cloud: Cloud) -> None:
    """The next leader grants the bootstrap to nobody else."""
    _leader_dies(cloud, on=DISTRIBUTOR, wrote="bootstrap-host")


@telling.story(protocol.Trait.FAULTS)
def its_leader_dies_as_the_first_unit_bootstraps(cloud: Cloud) -> None:
    """The cluster exists, and no unit of the distributor has heard of it."""
    _leader_dies(cloud, on=CONSUMER, command="bootstrap")


@telling.story(protocol.Trait.FAULTS)
def its_leader_dies_as_the_first_token_is_issued(cloud: Cloud) -> None:
    """The next leader reads the tokens from the communicator's databag."""
    _leader_dies(cloud, on=CONSUMER, command="add")


@telling.story(protocol.Trait.FAULTS)
def its_leader_dies_as_the_first_newcomer_joins(cloud: Cloud) -> None:
    """Tokens are on show, and one is used already."""
    _leader_dies(cloud, on=CONSUMER, command="join")


@telling.story()
def its_leader_dies_when_all_is_done(cloud: Cloud) -> None:
    """Another unit takes over, before and after the dead one is removed."""
    telling.form(cloud, 3, distributors=3)
    dead = telling.leader(cloud, DISTRIBUTOR)
    cloud.kill_machine(dead)
    cloud.eventually("another leader", lambda: cloud.leader(DISTRIBUTOR) not in (dead, None))
    telling.expect_whole(cloud, lost=[dead])
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, lost=[dead])
    cloud.remove_unit(dead, force=True)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story()
def its_leader_comes_back(cloud: Cloud) -> None:
    """The old leader mirrors no longer, and what it still holds misleads nobody."""
    telling.form(cloud, 3, distributors=2)
    old = telling.leader(cloud, DISTRIBUTOR)
    cloud.kill_machine(old)
    cloud.eventually("another leader", lambda: cloud.leader(DISTRIBUTOR) not in (old, None))
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, lost=[old])
    cloud.start_machine(old)
    telling.expect_whole(cloud)
    cloud.remove_unit(telling.leader(cloud, DISTRIBUTOR))
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story()
def all_its_units_are_lost_and_replaced(cloud: Cloud) -> None:
    """Nothing that was in their databags is missed."""
    telling.form(cloud, 3, distributors=2)
    lost = cloud.units(DISTRIBUTOR)
    for unit in lost:
        cloud.kill_machine(unit)
    cloud.settle()
    for unit in lost:
        cloud.remove_unit(unit, force=True)
    cloud.settle()
    for _ in range(2):
        cloud.add_unit(DISTRIBUTOR)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story()
def it_is_removed_and_deployed_anew(cloud: Cloud) -> None:
    """The application's databag is gone, too: the cluster's members speak for it."""
    telling.form(cloud, 3)
    cloud.remove_application(DISTRIBUTOR)
    cloud.settle()
    cloud.add_unit(CONSUMER)
    cloud.deploy(DISTRIBUTOR, "another-distributor", units=1)
    cloud.integrate(CONSUMER, "another-distributor")
    telling.expect_whole(cloud, distributor="another-distributor")


@telling.story(protocol.Trait.FAULTS)
def the_leader_changes_before_who_left_is_removed(cloud: Cloud) -> None:
    """The next one was told of no departure, and yet knows of it."""
    telling.form(cloud, 4, distributors=2)
    powers = telling.faults(cloud)
    old = telling.leader(cloud, DISTRIBUTOR)
    leaver = telling.another(cloud, telling.communicator(cloud))
    others = [unit for unit in cloud.units(CONSUMER) if unit != leaver]
    cloud.kill_machine(leaver)
    for unit in others:
        powers.pause_agent(unit)
    cloud.remove_unit(leaver, force=True)
    cloud.settle()
    powers.make_leader(telling.another(cloud, old, leaver))
    cloud.wait()
    for unit in others:
        powers.resume_agent(unit)
    cloud.remove_unit(old)
    telling.expect_whole(cloud)


@telling.story()
def a_unit_leaves_while_the_next_leader_is_not_elected(cloud: Cloud) -> None:
    """The leader dies, a unit leaves by force, and its name is nobody's when another leads."""
    telling.form(cloud, 4, distributors=2)
    leader = telling.leader(cloud, DISTRIBUTOR)
    cloud.kill_machine(leader)
    leaver = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(leaver)
    cloud.remove_unit(leaver, force=True)
    telling.expect_whole(cloud, lost=[leader])


def _leader_dies(cloud: Cloud, *, on: str, command: str = "", wrote: str = "") -> None:
    """Let the distributor's leader die when something has happened while the cluster forms."""
    telling.deploy(cloud, distributors=3)
    dead: list[str] = []

    def die() -> None:
        dead.append(telling.leader(cloud, DISTRIBUTOR))
        cloud.kill_machine(dead[0])

    telling.faults(cloud).upon(die, unit=on, command=command, wrote=wrote)
    cloud.eventually("the death of the distributor's leader", lambda: bool(dead))
    telling.expect_whole(cloud, lost=dead)
    cloud.remove_unit(dead[0], force=True)
    telling.expect_whole(cloud)
