"""A cluster forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, QUIET_CONSUMER, Capability
from tests.scenarios import helpers

if TYPE_CHECKING:
    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud


def test_one_unit(cloud: Cloud) -> None:
    """A single unit bootstraps."""
    helpers.form(cloud, 1)


@pytest.mark.smoke
def test_related_before_units_start(cloud: Cloud) -> None:
    """The relation is there before any agent runs."""
    helpers.form(cloud, 3, distributors=3)


def test_related_after_units_start(cloud: Cloud) -> None:
    """The units are blocked until they are related."""
    cloud.deploy(CONSUMER, units=3)
    cloud.settle()
    for unit in cloud.units(CONSUMER):
        status, message = cloud.status(unit)
        assert status == "blocked", f"{unit} lacks a relation, and is {status}: {message!r}"
        assert not cloud.members(unit), f"{unit} formed a cluster before it was allowed to"
    cloud.deploy(DISTRIBUTOR, units=1)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.expect_whole(cloud)


def test_seven_units(cloud: Cloud) -> None:
    """There are more units than voters and stand-bys."""
    helpers.form(cloud, 7)


@pytest.mark.requires(Capability.FAULTS)
def test_unit_is_added_during_bootstrap(cloud: LocalCloud) -> None:
    """A unit that comes after the grant joins like the others."""
    helpers.deploy(cloud, 2)

    def add() -> None:
        cloud.add_unit(CONSUMER)

    cloud.upon(add, unit=CONSUMER, command="bootstrap")
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize("has_worked", [False, True])
def test_bootstrap_times_out(cloud: LocalCloud, *, has_worked: bool) -> None:
    """The same unit tries again, unless it finds out that it has bootstrapped."""
    helpers.deploy(cloud)
    cloud.hang("bootstrap", unit=CONSUMER, in_effect=has_worked)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_hook_dies_after_bootstrap(cloud: LocalCloud) -> None:
    """The next hook finds the cluster."""
    helpers.deploy(cloud)
    cloud.kill_agent(unit=CONSUMER, after="bootstrap")
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_machine_never_comes(cloud: LocalCloud) -> None:
    """The bootstrap waits for it until an update-status, and the status names it."""
    helpers.deploy(cloud, 2)
    late = cloud.juju.add_unit(CONSUMER, provisioned=False)
    cloud.settle()
    status, message = cloud.status(helpers.leader(cloud))
    assert status == "waiting"
    assert late in message
    assert not any(cloud.members(unit) for unit in cloud.units(CONSUMER))
    helpers.expect_whole(cloud, lost=[late])
    cloud.juju.provision(late)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_unit_in_error_delays_bootstrap(cloud: LocalCloud) -> None:
    """The bootstrap waits for it, since it may be a member already; the status names it."""
    helpers.deploy(cloud, 3)
    broken = cloud.units(CONSUMER)[1]
    cloud.break_hooks(broken)
    cloud.settle()
    helpers.expect_status(cloud, helpers.leader(cloud), "waiting", broken)
    cloud.wait(2)
    helpers.expect_no_member(cloud)
    cloud.remove_unit(broken, force=True)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_slow_units_without_status_delay_bootstrap(cloud: LocalCloud) -> None:
    """No unit bootstraps under a new distributor before the members have reported."""
    helpers.deploy(cloud, 2, consumer_charm=QUIET_CONSUMER)
    helpers.expect_members(cloud, cloud.units(CONSUMER), helpers.hostnames(cloud))
    cloud.remove_application(DISTRIBUTOR)
    cloud.settle()
    members = cloud.units(CONSUMER)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.settle()
    cloud.juju.set_leader(newcomer)
    for unit in members:
        cloud.pause_agent(unit)
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.wait(2)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    for unit in members:
        cloud.resume_agent(unit)
    helpers.expect_members(cloud, cloud.units(CONSUMER), helpers.hostnames(cloud))


@pytest.mark.requires(Capability.FAULTS)
def test_granted_unit_dies_before_it_bootstraps(cloud: LocalCloud) -> None:
    """The grant goes to another unit once the first has left."""
    helpers.deploy(cloud)
    dead = _granted_unit_dies(cloud, unit=DISTRIBUTOR, wrote="bootstrap-host")
    helpers.expect_no_member(cloud)
    cloud.remove_unit(dead, force=True)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_unit_dies_as_it_has_bootstrapped(cloud: LocalCloud) -> None:
    """The grant is not moved: the cluster is on the unit's disk."""
    helpers.deploy(cloud)
    dead = _granted_unit_dies(cloud, unit=CONSUMER, command="bootstrap")
    cloud.wait(2)
    helpers.expect_no_member(cloud)
    cloud.start_machine(dead)
    helpers.expect_whole(cloud)


def _granted_unit_dies(cloud: LocalCloud, *, unit: str, command: str = "", wrote: str = "") -> str:
    """Kill the unit that may bootstrap, at a moment of a hook; returns the unit."""
    granted: list[str] = []

    def kill() -> None:
        host = cloud.bag(DISTRIBUTOR, CONSUMER)["bootstrap-host"]
        granted.extend(u for u in cloud.units(CONSUMER) if cloud.hostname(u) == host)
        cloud.kill_machine(granted[0])

    cloud.upon(kill, unit=unit, command=command, wrote=wrote)
    cloud.eventually("the death of the unit that may bootstrap", lambda: bool(granted))
    return granted[0]
