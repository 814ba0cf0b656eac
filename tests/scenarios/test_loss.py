"""Machines, networks, daemons and agents are lost: some come back, others are removed by force.

While a member is offline, joins are paused: one would cost a small cluster its quorum.
"""

from collections.abc import Callable

import pytest

from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, Capability, Cloud
from tests.microclusters import fake
from tests.scenarios import helpers

SOCKET_REFUSED = "Error: dial unix control.socket: connect: connection refused"


@pytest.mark.smoke
@pytest.mark.parametrize("ending", ["comes-back", "removed"])
@pytest.mark.parametrize("choose", [helpers.communicator, helpers.follower])
def test_newcomer_waits_for_offline_member(
    cloud: Cloud, choose: Callable[[Cloud], str], ending: str
) -> None:
    """It names the member that it waits for, and joins once that is online or removed."""
    helpers.form(cloud, 3)
    offline = choose(cloud)
    cloud.kill_machine(offline)
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, offline)
    if ending == "removed":
        cloud.remove_unit(offline, force=True)
    else:
        cloud.start_machine(offline)
    helpers.expect_whole(cloud)
    helpers.grow(cloud)


@pytest.mark.requires(Capability.FAULTS)
def test_token_is_not_used_once_a_member_is_offline(cloud: LocalCloud) -> None:
    """The newcomer's machine was down meanwhile; the next leader pauses joins, too."""
    helpers.form(cloud, 3, distributors=2)
    newcomer = helpers.add_newcomer_that_dies_before_its_token(cloud)
    dead = helpers.follower(cloud)
    cloud.kill_machine(dead)
    helpers.expect_hold(cloud, dead)
    former = helpers.kill_leader(cloud)
    cloud.start_machine(newcomer)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    helpers.expect_whole(cloud, lost=[former])


@pytest.mark.requires(Capability.FAKE_MACHINES)
@pytest.mark.parametrize("ending", ["comes-back", "removed"])
def test_host_goes_silent(cloud: LocalCloud, ending: str) -> None:
    """It drops packets, so no member can list the others; a newcomer waits for it."""
    helpers.form(cloud, 3)
    names = helpers.hostnames(cloud)
    newcomer = helpers.add_newcomer_that_dies_before_its_token(cloud)
    silent = helpers.follower(cloud)
    cloud.kill_machine(silent)
    cloud.machine(silent).drops_packets = True
    cloud.wait(2)
    cloud.start_machine(newcomer)
    cloud.wait(3)
    helpers.expect_status(cloud, newcomer, "waiting")
    if ending == "removed":
        cloud.remove_unit(silent, force=True)
    else:
        cloud.machine(silent).drops_packets = False
        others = [unit for unit in cloud.units(CONSUMER) if unit not in (silent, newcomer)]
        helpers.expect_members(cloud, others, names)
        cloud.start_machine(silent)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
@pytest.mark.parametrize("agent", ["dead", "error"])
def test_communicators_agent_is_lost(cloud: LocalCloud, agent: str) -> None:
    """At update-status another member issues tokens, pauses joins and removes who has left."""
    helpers.form(cloud, 4)
    communicator = helpers.communicator(cloud)
    if agent == "dead":
        cloud.juju.stop_agent(communicator)
    else:
        cloud.break_hooks(communicator)
    cloud.add_unit(CONSUMER)
    helpers.expect_members(cloud, cloud.units(CONSUMER), helpers.hostnames(cloud))
    dead = helpers.another(cloud, communicator)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    helpers.expect_waiting(cloud, newcomer, dead)
    cloud.remove_unit(dead, force=True)
    helpers.expect_members(cloud, cloud.units(CONSUMER), helpers.hostnames(cloud))


def test_two_of_five_are_lost(cloud: Cloud) -> None:
    """Two machines die one after the other, and both are removed by force."""
    helpers.form(cloud, 5)
    first = helpers.communicator(cloud)
    cloud.kill_machine(first)
    helpers.expect_hold(cloud, first)
    second = helpers.another(cloud, first)

    def online_voters() -> int:
        return sum(member.online and member.role == "voter" for member in cloud.members(second))

    # Before a stand-by is promoted, a second loss costs the quorum.
    cloud.eventually("three online voters", lambda: online_voters() == 3)
    cloud.kill_machine(second)
    helpers.expect_hold(cloud, first, second)
    cloud.remove_unit(first, force=True)
    cloud.remove_unit(second, force=True)
    helpers.expect_whole(cloud)


def test_quorum_is_lost_and_regained(cloud: Cloud) -> None:
    """No unit bootstraps or leaves while the cluster cannot list its members."""
    helpers.form(cloud, 3)
    units = cloud.units(CONSUMER)
    for unit in units[:2]:
        cloud.kill_machine(unit)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.wait()
    assert not cloud.members(newcomer), f"{newcomer} is a member of a cluster of its own"
    for unit in units[:2]:
        cloud.start_machine(unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_daemon_restarts_during_refresh(cloud: LocalCloud) -> None:
    """It denies its membership as it restarts, then its machine is down; it stays a member."""
    helpers.form(cloud, 3)
    unit = helpers.follower(cloud)
    errors = [SOCKET_REFUSED, *[fake.NOT_INITIALIZED] * 9]
    cloud.fail_command("list", unit=unit, errors=errors)
    cloud.refresh(CONSUMER, CONSUMER)
    cloud.settle()
    cloud.kill_machine(unit)
    cloud.fail_command("list", unit=unit, errors=[])
    cloud.wait(3)
    cloud.start_machine(unit)
    helpers.expect_whole(cloud)


@pytest.mark.requires(Capability.FAKE_MACHINES)
def test_daemon_denies_membership_twice(cloud: LocalCloud) -> None:
    """A list between two denials cancels the first; an error does not."""
    helpers.form(cloud, 3)
    unit = helpers.follower(cloud)

    def denials() -> int:
        hooks = (hook for hook in cloud.juju.trace if hook.unit == unit)
        return sum((w.key, w.new) == ("member", "false") for hook in hooks for w in hook.writes)

    before = denials()
    for _ in range(2):
        cloud.wait(2)
        cloud.fail_command("list", unit=unit, errors=[fake.NOT_INITIALIZED])
    cloud.wait(2)
    assert denials() == before, f"{unit} has believed one denial"
    cloud.run(helpers.communicator(cloud), "remove", cloud.hostname(unit))
    cloud.fail_command("list", unit=unit, errors=[fake.NOT_INITIALIZED, "Error: EOF"] * 10)
    cloud.wait(5)
    assert denials() > before, f"{unit} has believed no denial"
