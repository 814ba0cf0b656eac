"""What happened in the field and cost a member, or the quorum: it costs neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR
FIELD = protocol.Trait.FIELD
FAULTS = protocol.Trait.FAULTS
OTHER_DISTRIBUTOR = "other-distributor"

SOCKET_REFUSED = "Error: dial unix control.socket: connect: connection refused"
NOT_INITIALIZED = "Error: Database is not yet initialized"


# A machine's host name changes.


@telling.story(FIELD)
def a_renamed_machine_reboots(cloud: Cloud) -> None:
    """It stays the member that it was under its first name."""
    telling.form(cloud, 3)
    names = telling.hostnames(cloud)
    renamed = telling.another(cloud, telling.communicator(cloud))
    telling.field(cloud).rename_machine(renamed, "renamed")
    cloud.wait(2)
    _be_down_for_a_while(cloud, renamed)
    telling.expect_members(cloud, cloud.units(CONSUMER), names)
    newcomer = cloud.add_unit(CONSUMER)
    names.add(cloud.hostname(newcomer))
    telling.expect_members(cloud, cloud.units(CONSUMER), names)


@telling.story(FIELD)
def a_machine_has_a_qualified_name_after_its_boot(cloud: Cloud) -> None:
    """Its first hook sees another name, before it is down once more; it stays a member."""
    telling.form(cloud, 3)
    unit = telling.another(cloud, telling.communicator(cloud))
    name = cloud.hostname(unit)
    cloud.kill_machine(unit)
    telling.field(cloud).rename_machine(unit, f"{name}.example.com")
    cloud.start_machine(unit)
    cloud.settle()
    cloud.kill_machine(unit)
    telling.field(cloud).rename_machine(unit, name)
    cloud.wait(3)
    cloud.start_machine(unit)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def all_machines_are_renamed(cloud: Cloud) -> None:
    """Somebody speaks for the cluster all the same: a newcomer joins."""
    telling.form(cloud, 3)
    names = telling.hostnames(cloud)
    for number, unit in enumerate(cloud.units(CONSUMER)):
        telling.field(cloud).rename_machine(unit, f"renamed-{number}")
    cloud.wait(2)
    telling.expect_members(cloud, cloud.units(CONSUMER), names)
    newcomer = cloud.add_unit(CONSUMER)
    names.add(cloud.hostname(newcomer))
    telling.expect_members(cloud, cloud.units(CONSUMER), names)


# A relation ends, or its units are out of sight.


@telling.story(FIELD)
def the_relation_of_one_application_is_removed(cloud: Cloud) -> None:
    """One of its machines reboots, and stays a member of the other's cluster."""
    telling.form_two(cloud, 2, 2)
    names = telling.hostnames(cloud, "first", "second")
    cloud.remove_relation("second", DISTRIBUTOR)
    cloud.wait()
    _be_down_for_a_while(cloud, cloud.units("second")[0])
    units = [*cloud.units("first"), *cloud.units("second")]
    telling.expect_members(cloud, units, names)
    cloud.integrate("second", DISTRIBUTOR)
    telling.expect_whole(cloud, "first", "second")


@telling.story(FIELD, FAULTS)
def the_distributors_leader_is_removed_while_a_member_is_down(cloud: Cloud) -> None:
    """As it goes, one relation after the other, it says of nobody that they have left."""
    telling.form_two(cloud, 4, 1, distributors=2)
    names = telling.hostnames(cloud, "first", "second")
    cloud.wait()
    (dead,) = cloud.units("second")
    cloud.kill_machine(dead)
    cloud.settle()
    for _ in range(5):  # Which relation ends first is for chance to decide.
        former = telling.leader(cloud, DISTRIBUTOR)
        successor = telling.another(cloud, former)
        telling.faults(cloud).pause_agent(successor)
        cloud.remove_unit(former)
        cloud.settle()
        telling.faults(cloud).resume_agent(successor)
        cloud.add_unit(DISTRIBUTOR)
        cloud.wait()
    cloud.start_machine(dead)
    telling.expect_members(cloud, [*cloud.units("first"), *cloud.units("second")], names)
    telling.expect_whole(cloud, "first", "second")


@telling.story(FIELD)
def an_offer_is_suspended_and_resumed(cloud: Cloud) -> None:
    """A member that reboots meanwhile stays one, and the cluster grows afterwards."""
    _form_across_models(cloud)
    field = telling.field(cloud)
    names = telling.hostnames(cloud)
    field.suspend(CONSUMER)
    cloud.wait()
    rebooted = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(rebooted)
    cloud.wait()
    field.resume(CONSUMER)
    cloud.wait(2)
    cloud.start_machine(rebooted)
    telling.expect_members(cloud, cloud.units(CONSUMER), names)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def goal_state_names_some_units_only(cloud: Cloud) -> None:
    """The others have not left: one that reboots stays a member."""
    telling.deploy(cloud)
    unnamed = cloud.units(CONSUMER)[1:]
    for unit in unnamed:
        telling.field(cloud).leave_unnamed(unit)
    telling.expect_whole(cloud)
    for unit in unnamed:
        _be_down_for_a_while(cloud, unit)
        telling.expect_whole(cloud)


# A daemon, a network, an agent.


@telling.story(FIELD)
def a_daemon_restarts_while_the_charm_is_refreshed(cloud: Cloud) -> None:
    """Its socket refuses, then it says that it is in no cluster, then its machine goes down."""
    telling.form(cloud, 3)
    unit = telling.another(cloud, telling.communicator(cloud))
    errors = [SOCKET_REFUSED, *[NOT_INITIALIZED] * 9]
    telling.field(cloud).answer("list", unit=unit, errors=errors)
    cloud.refresh(CONSUMER, CONSUMER)
    cloud.settle()
    cloud.kill_machine(unit)
    telling.field(cloud).answer("list", unit=unit, errors=[])
    cloud.wait(3)
    cloud.start_machine(unit)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_daemon_says_once_that_it_is_in_no_cluster(cloud: Cloud) -> None:
    """It restarts during an update-status; the next one hears that it is a member."""
    telling.form(cloud, 3)
    unit = telling.another(cloud, telling.communicator(cloud))
    telling.field(cloud).answer("list", unit=unit, errors=[NOT_INITIALIZED])
    cloud.wait(2)
    _be_down_for_a_while(cloud, unit)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_silent_host_is_removed_by_force(cloud: Cloud) -> None:
    """It drops packets, and no list can be had; it is taken out of the cluster all the same."""
    telling.form(cloud, 3)
    dead = telling.another(cloud, telling.communicator(cloud))
    _fall_silent(cloud, dead)
    cloud.wait()
    cloud.remove_unit(dead, force=True)
    telling.expect_whole(cloud)


@telling.story(FIELD, FAULTS)
def a_newcomer_waits_for_a_silent_host(cloud: Cloud) -> None:
    """It was given a token in time, but no list can be had: it joins when the host is back."""
    telling.form(cloud, 3)
    names = telling.hostnames(cloud)
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    silent = telling.another(cloud, telling.communicator(cloud))
    _fall_silent(cloud, silent)
    cloud.wait(2)
    cloud.start_machine(newcomer)
    cloud.wait(3)
    telling.expect_status(cloud, newcomer, "waiting")
    telling.field(cloud).drop_packets(silent, drops=False)
    others = [unit for unit in cloud.units(CONSUMER) if unit not in (silent, newcomer)]
    telling.expect_members(cloud, others, names)
    cloud.start_machine(silent)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_member_is_not_let_go_while_a_host_is_silent(cloud: Cloud) -> None:
    """No list can be had; were it gone all the same, so were the quorum."""
    telling.form(cloud, 3)
    silent = telling.communicator(cloud)
    leaver = telling.another(cloud, silent)
    names = telling.hostnames(cloud)
    _fall_silent(cloud, silent)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.settle()
    telling.field(cloud).drop_packets(silent, drops=False)
    assert {member.name for member in cloud.members(cloud.units(CONSUMER)[-1])} == names
    cloud.start_machine(silent)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_newcomer_joins_though_the_communicators_agent_is_dead(cloud: Cloud) -> None:
    """Another member issues its token at update-status."""
    _form_without(cloud, in_error=False)


@telling.story(FIELD)
def a_newcomer_joins_though_the_communicators_agent_is_in_error(cloud: Cloud) -> None:
    """Another member issues its token at update-status."""
    _form_without(cloud, in_error=True)


@telling.story(FIELD)
def a_member_is_removed_though_the_communicators_agent_is_dead(cloud: Cloud) -> None:
    """Another member takes out what is left of it."""
    telling.form(cloud, 4)
    names = telling.hostnames(cloud)
    communicator = telling.communicator(cloud)
    telling.field(cloud).stop_agent(communicator)
    dead = telling.another(cloud, communicator)
    names.remove(cloud.hostname(dead))
    cloud.kill_machine(dead)
    cloud.wait()
    cloud.remove_unit(dead, force=True)
    telling.expect_members(cloud, cloud.units(CONSUMER), names)


@telling.story(FIELD)
def a_newcomer_waits_though_the_communicators_agent_is_dead(cloud: Cloud) -> None:
    """Another member holds it back while a machine is down."""
    telling.form(cloud, 3)
    communicator = telling.communicator(cloud)
    telling.field(cloud).stop_agent(communicator)
    dead = telling.another(cloud, communicator)
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    telling.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    cloud.start_machine(communicator)
    telling.expect_whole(cloud)


# A charm that sets no status.


@telling.story(FIELD)
def units_without_a_status_are_not_lost(cloud: Cloud) -> None:
    """While one is down, another is not let go: it would take the quorum along."""
    telling.deploy(cloud, consumer_charm=protocol.QUIET_CONSUMER)
    names = telling.hostnames(cloud)
    telling.expect_members(cloud, cloud.units(CONSUMER), names)
    cloud.wait(2)
    dead = telling.communicator(cloud)
    leaver = telling.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.wait()
    assert {member.name for member in cloud.members(cloud.units(CONSUMER)[-1])} == names
    cloud.start_machine(dead)
    names.remove(cloud.hostname(leaver))
    telling.expect_members(cloud, [u for u in cloud.units(CONSUMER) if u != leaver], names)


@telling.story(FIELD, FAULTS)
def slow_units_without_a_status_are_waited_for(cloud: Cloud) -> None:
    """Under a new distributor nobody bootstraps while the members of a cluster say nothing yet."""
    telling.deploy(cloud, 2, consumer_charm=protocol.QUIET_CONSUMER)
    telling.expect_members(cloud, cloud.units(CONSUMER), telling.hostnames(cloud))
    cloud.remove_application(DISTRIBUTOR)
    cloud.settle()
    members = cloud.units(CONSUMER)
    newcomer = cloud.add_unit(CONSUMER)
    cloud.settle()
    telling.faults(cloud).make_leader(newcomer)
    for unit in members:
        telling.faults(cloud).pause_agent(unit)
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.wait(2)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    for unit in members:
        telling.faults(cloud).resume_agent(unit)
    telling.expect_members(cloud, cloud.units(CONSUMER), telling.hostnames(cloud))


# Two clusters.


@telling.story(FIELD)
def two_clusters_meet(cloud: Cloud) -> None:
    """The status names both; nobody joins, and nobody is removed, until one is taken away."""
    firsts, seconds = _two_clusters(cloud)
    cloud.remove_relation("second", OTHER_DISTRIBUTOR)
    cloud.settle()
    cloud.integrate("second", DISTRIBUTOR)
    leader = telling.leader(cloud, DISTRIBUTOR)
    telling.expect_status(cloud, leader, "blocked", min(firsts), min(seconds))
    newcomer = cloud.add_unit("first")
    dead = cloud.units("second")[-1]
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(dead, force=True)
    cloud.wait(3)
    assert not cloud.members(newcomer), f"{newcomer} has joined one of two clusters"
    telling.expect_members(cloud, [u for u in cloud.units("first") if u != newcomer], firsts)
    telling.expect_members(cloud, cloud.units("second"), seconds)
    cloud.remove_relation("second", DISTRIBUTOR)
    telling.expect_whole(cloud, "first")


# Helpers.


def _be_down_for_a_while(cloud: Cloud, unit: str) -> None:
    """Let a machine be down for as long as it takes to remove it from the cluster."""
    cloud.kill_machine(unit)
    cloud.wait(3)
    cloud.start_machine(unit)
    cloud.wait()


def _fall_silent(cloud: Cloud, unit: str) -> None:
    cloud.kill_machine(unit)
    telling.field(cloud).drop_packets(unit)


def _form_across_models(cloud: Cloud) -> None:
    cloud.deploy(CONSUMER, units=3)
    cloud.deploy(DISTRIBUTOR)
    telling.field(cloud).consume(CONSUMER, DISTRIBUTOR, alias="tokens")
    telling.expect_whole(cloud)


def _form_without(cloud: Cloud, *, in_error: bool) -> None:
    """Let a cluster grow while the hooks of its communicator do not run, and its daemon does."""
    telling.form(cloud, 3)
    communicator, field = telling.communicator(cloud), telling.field(cloud)
    (field.break_hooks if in_error else field.stop_agent)(communicator)
    cloud.add_unit(CONSUMER)
    telling.expect_members(cloud, cloud.units(CONSUMER), telling.hostnames(cloud))


def _two_clusters(cloud: Cloud) -> tuple[Collection[str], Collection[str]]:
    """Form two clusters, the second of three, and return the names of their members."""
    for app, distributor in (("first", DISTRIBUTOR), ("second", OTHER_DISTRIBUTOR)):
        cloud.deploy(CONSUMER, app, units=3)
        cloud.deploy(DISTRIBUTOR, distributor)
        cloud.integrate(app, distributor)
        telling.expect_whole(cloud, app, distributor=distributor)
    return telling.hostnames(cloud, "first"), telling.hostnames(cloud, "second")
