"""One cluster forms from nothing, whatever the size and the order of things."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR
BUNDLE = pathlib.Path(__file__).parents[1] / "integration" / "microovn_bundle.yaml"


@telling.story()
def one_unit_is_a_cluster(cloud: Cloud) -> None:
    """A single unit bootstraps."""
    telling.form(cloud, 1)


@telling.story()
def from_the_bundle(cloud: Cloud) -> None:
    """Three units form one cluster; each token was mirrored, for nothing else lets a unit join."""
    cloud.deploy_bundle(BUNDLE)
    telling.expect_whole(cloud, "microovn")
    units = cloud.units("microovn")
    assert len(units) == 3, f"the bundle should give 3 units, not these: {units}"


@telling.story()
def three_units_related_before_they_start(cloud: Cloud) -> None:
    """The relation is there before any agent runs."""
    telling.form(cloud, 3, distributors=3)


@telling.story()
def three_units_related_after_they_start(cloud: Cloud) -> None:
    """The units wait for a distributor until there is one."""
    cloud.deploy(CONSUMER, units=3)
    cloud.settle()
    for unit in cloud.units(CONSUMER):
        status, message = cloud.status(unit)
        assert status == "blocked", f"{unit} lacks a relation, and is {status}: {message!r}"
        assert not cloud.members(unit), f"{unit} formed a cluster before it was allowed to"
    cloud.deploy(DISTRIBUTOR, units=1)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    telling.expect_whole(cloud)


@telling.story()
def seven_units(cloud: Cloud) -> None:
    """There are more units than voters and stand-bys."""
    telling.form(cloud, 7)


@telling.story(protocol.Trait.FAULTS)
def a_unit_is_added_as_the_first_bootstraps(cloud: Cloud) -> None:
    """A unit that was not expected when the bootstrap was granted joins like the others."""
    telling.deploy(cloud, 2)

    def add() -> None:
        cloud.add_unit(CONSUMER)

    telling.faults(cloud).upon(add, unit=CONSUMER, command="bootstrap")
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_unit_that_may_bootstrap_dies_before_it_does(cloud: Cloud) -> None:
    """The grant goes to another unit once the first has left."""
    telling.deploy(cloud)
    chosen: list[str] = []

    def die() -> None:
        host = cloud.bag(DISTRIBUTOR, CONSUMER)["bootstrap-host"]
        chosen.extend(u for u in cloud.units(CONSUMER) if cloud.hostname(u) == host)
        cloud.kill_machine(chosen[0])

    telling.faults(cloud).upon(die, unit=DISTRIBUTOR, wrote="bootstrap-host")
    cloud.eventually("the death of the chosen unit", lambda: bool(chosen))
    telling.expect_no_member(cloud)
    cloud.remove_unit(chosen[0], force=True)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_unit_that_bootstrapped_dies_before_it_says_so(cloud: Cloud) -> None:
    """Its cluster is on its disk: the grant stays where it is."""
    telling.deploy(cloud)
    chosen: list[str] = []

    def die() -> None:
        host = cloud.bag(DISTRIBUTOR, CONSUMER)["bootstrap-host"]
        chosen.extend(u for u in cloud.units(CONSUMER) if cloud.hostname(u) == host)
        cloud.kill_machine(chosen[0])

    telling.faults(cloud).upon(die, unit=CONSUMER, command="bootstrap")
    cloud.eventually("a bootstrap", lambda: bool(chosen))
    cloud.wait(2)
    telling.expect_no_member(cloud)
    cloud.start_machine(chosen[0])
    telling.expect_whole(cloud)
