"""A cluster forms."""

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, QUIET_CONSUMER, Capability, Cloud
from tests.scenarios import helpers


@pytest.mark.smoke
def test_related_before_units_start(cloud: Cloud) -> None:
    """The relation is there before any agent runs."""
    helpers.form(cloud, 3, distributors=3)


def test_related_after_units_start(cloud: Cloud) -> None:
    """The units are blocked until they are related."""
    cloud.deploy(CONSUMER, units=3)
    cloud.settle()
    for unit in cloud.units(CONSUMER):
        helpers.expect_status(cloud, unit, "blocked")
        assert not cloud.members(unit), f"{unit} formed a cluster before it was allowed to"
    cloud.deploy(DISTRIBUTOR, units=1)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    helpers.expect_whole(cloud)


def test_seven_units(cloud: Cloud) -> None:
    """There are more units than voters and stand-bys."""
    helpers.form(cloud, 7)


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize(
    ("command", "times", "in_effect"),
    [
        ("bootstrap", 1, False),
        ("bootstrap", 1, True),
        ("join", 2, False),
        ("join", 1, True),
        ("add", 2, False),
    ],
)
def test_command_times_out(
    cloud: LocalCloud, command: str, times: int, *, in_effect: bool
) -> None:
    """It is tried again, unless it has worked; the same unit bootstraps."""
    cloud.hang(command, unit=CONSUMER, times=times, in_effect=in_effect)
    helpers.form(cloud, 3)


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize(
    ("command", "times", "at_once"),
    [("bootstrap", 1, False), ("join", 1, False), ("add", 2, False), ("add", 1, True)],
)
def test_hook_dies_after_command(
    cloud: LocalCloud, command: str, times: int, *, at_once: bool
) -> None:
    """The next hook finds the cluster, or the token, of which none is issued again for hours."""
    cloud.kill_agent(unit=CONSUMER, after=command, times=times, at_once=at_once)
    helpers.form(cloud, 3)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_machine_never_comes(cloud: LocalCloud) -> None:
    """The bootstrap waits for it until an update-status, and the status names it."""
    helpers.deploy(cloud, 2)
    late = cloud.juju.add_unit(CONSUMER, provisioned=False)
    cloud.settle()
    helpers.expect_status(cloud, helpers.leader(cloud), "waiting", late)
    assert not any(map(cloud.members, cloud.units(CONSUMER)))
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
    assert not any(map(cloud.members, cloud.units(CONSUMER)))
    cloud.remove_unit(broken, force=True)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize("members_are", ["slow", "down"])
@pytest.mark.parametrize("consumer_charm", [CONSUMER, QUIET_CONSUMER])
def test_newcomer_leads_under_a_new_distributor(
    cloud: LocalCloud, consumer_charm: str, members_are: str
) -> None:
    """It is not granted the bootstrap before the members report, also without a status."""
    helpers.deploy(cloud, 2, consumer_charm=consumer_charm)
    helpers.expect_members(cloud, cloud.units(CONSUMER), helpers.hostnames(cloud))
    cloud.remove_application(DISTRIBUTOR)
    cloud.settle()
    members = cloud.units(CONSUMER)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.settle()
    cloud.juju.set_leader(newcomer)
    slow = members_are == "slow"
    for unit in members:
        (cloud.pause_agent if slow else cloud.kill_machine)(unit)
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.wait(2)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    for unit in members:
        (cloud.resume_agent if slow else cloud.start_machine)(unit)
    helpers.expect_members(cloud, cloud.units(CONSUMER), helpers.hostnames(cloud))


@pytest.mark.requires(Capability.FAULTS)
@pytest.mark.parametrize("has_bootstrapped", [False, True])
def test_granted_unit_dies(cloud: LocalCloud, *, has_bootstrapped: bool) -> None:
    """Its grant is moved when it has left, but not if the cluster is on its disk."""
    helpers.deploy(cloud)
    granted: list[str] = []

    def kill() -> None:
        host = cloud.bag(DISTRIBUTOR, CONSUMER)["bootstrap-host"]
        granted.extend(u for u in cloud.units(CONSUMER) if cloud.hostname(u) == host)
        cloud.kill_machine(granted[0])

    if has_bootstrapped:
        cloud.upon(kill, unit=CONSUMER, command="bootstrap")
    else:
        cloud.upon(kill, unit=DISTRIBUTOR, wrote="bootstrap-host")
    cloud.eventually("the death of the unit that may bootstrap", lambda: bool(granted))
    cloud.wait(2)
    assert not any(map(cloud.members, cloud.units(CONSUMER)))
    if has_bootstrapped:
        cloud.start_machine(granted[0])
    else:
        cloud.remove_unit(granted[0], force=True)
    helpers.expect_whole(cloud)
