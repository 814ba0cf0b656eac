"""What happened in the field and made somebody wait for ever, or say the wrong thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR
FIELD = protocol.Trait.FIELD
FAULTS = protocol.Trait.FAULTS
CHOOSES_HOST_NAMES = protocol.Trait.CHOOSES_HOST_NAMES

INCONSISTENT = "Error: Membership consistency check failed after timeout"
BAD_NAMES = ("under_score", "1234", "a.1", "x" * 64)


# Units leave.


@telling.story(FIELD)
def the_only_unit_is_removed(cloud: Cloud) -> None:
    """Its cluster lets nobody go, but there is nobody left to be kept whole."""
    telling.form(cloud, 1)
    (unit,) = cloud.units(CONSUMER)
    cloud.remove_application(CONSUMER)
    cloud.eventually("no unit is left", lambda: not cloud.units(CONSUMER))
    assert not telling.field(cloud).failed_hooks(unit)


@telling.story(FIELD)
def a_unit_that_has_left_says_so(cloud: Cloud) -> None:
    """On microcluster v3 the command fails and has worked, and the daemon restarts."""
    telling.form(cloud, 4)
    leaver = telling.communicator(cloud)
    cloud.remove_unit(leaver)
    telling.expect_whole(cloud)
    assert not telling.field(cloud).failed_hooks(leaver)
    assert "cannot leave" not in telling.field(cloud).log(leaver)


@telling.story(FIELD)
def a_unit_does_not_try_to_leave_while_another_is_down(cloud: Cloud) -> None:
    """On microcluster v3 the mere attempt can cost the quorum."""
    telling.form(cloud, 4)
    names = telling.hostnames(cloud)
    dead = telling.communicator(cloud)
    leaver = telling.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    cloud.remove_unit(leaver)
    cloud.wait(2)
    assert not telling.field(cloud).commands(leaver, "remove")
    telling.expect_members(cloud, [u for u in cloud.units(CONSUMER) if u != dead], names)
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


@telling.story(FIELD, protocol.Trait.JOINS_WHILE_DEGRADED)
def a_member_is_taken_out_by_hand_while_another_is_down(cloud: Cloud) -> None:
    """Its own list, for good, has everybody but itself: it is no member, and says so."""
    telling.form(cloud, 4)
    dead = telling.communicator(cloud)
    leaver = telling.another(cloud, dead)
    cloud.kill_machine(dead)
    cloud.settle()
    telling.field(cloud).leave_by_hand(leaver)
    cloud.wait(2)
    status, message = cloud.status(leaver)
    assert status == "waiting", f"{leaver} takes itself for a member: {status}, {message!r}"
    assert "cannot tell" not in message


@telling.story(FIELD)
def an_application_goes_though_its_workload_refuses(cloud: Cloud) -> None:
    """It refuses each removal that leaves fewer than three, and they go at the third try."""
    telling.form(cloud, 3)
    telling.field(cloud).refuse_removals(3)
    cloud.remove_application(CONSUMER)
    cloud.eventually("no unit is left", lambda: not cloud.units(CONSUMER))


@telling.story(FIELD)
def a_unit_leaves_with_arguments_of_its_charm(cloud: Cloud) -> None:
    """The workload refuses the removal, but not with what the charm adds to the command."""
    telling.deploy(cloud, consumer_charm=protocol.FORCEFUL_CONSUMER)
    telling.expect_whole(cloud)
    cloud.wait()
    telling.field(cloud).refuse_removals(3)
    leaver = telling.communicator(cloud)
    cloud.remove_unit(leaver)
    telling.expect_whole(cloud)
    assert not telling.field(cloud).failed_hooks(leaver)


# Units join.


@telling.story(FIELD, protocol.Trait.JOINS_WHILE_DEGRADED)
def a_newcomer_joins_while_a_member_is_down(cloud: Cloud) -> None:
    """Its charm says that the workload can do that."""
    telling.deploy(cloud, consumer_charm=protocol.TOLERANT_CONSUMER)
    telling.expect_whole(cloud)
    cloud.wait()
    dead = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(dead)
    newcomer = cloud.add_unit(CONSUMER)
    units = [unit for unit in cloud.units(CONSUMER) if unit != dead]
    telling.expect_members(cloud, units, telling.hostnames(cloud))
    telling.expect_status(cloud, newcomer, "active")
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_join_never_works(cloud: Cloud) -> None:
    """It uses up its token each time; it is tried twice, then once at each update-status."""
    telling.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    field = telling.field(cloud)
    field.spoil_joins(newcomer)
    cloud.settle()
    assert len(field.commands(newcomer, "join")) in (1, 2)
    for _ in range(5):
        before = len(field.commands(newcomer, "join"))
        cloud.wait()
        assert len(field.commands(newcomer, "join")) <= before + 1
    telling.expect_status(cloud, newcomer, "waiting", "join failed")
    assert len(field.commands(newcomer, "join")) > 2, "it has given up"


@telling.story(FIELD)
def a_join_works_at_last(cloud: Cloud) -> None:
    """It failed for half an hour, and used up its token each time; then its cause is mended."""
    telling.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    telling.field(cloud).spoil_joins(newcomer)
    cloud.wait(6)
    telling.field(cloud).spoil_joins(newcomer, spoils=False)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_newcomers_daemon_is_newer_than_the_clusters(cloud: Cloud) -> None:
    """The join does not use up the token: once all are refreshed the same one is good."""
    telling.form(cloud, 3)
    members, field = cloud.units(CONSUMER), telling.field(cloud)
    newcomer = cloud.add_unit(CONSUMER)
    field.refresh_daemon(newcomer)
    cloud.wait(3)
    assert not cloud.members(newcomer), f"{newcomer} has joined a cluster of an older schema"
    telling.expect_status(cloud, newcomer, "waiting", "join failed", "EOF")
    issued = [ran for unit in members for ran in field.commands(unit, "add") if ran.code == 0]
    assert sum(ran.words[1] == cloud.hostname(newcomer) for ran in issued) == 1
    for unit in members:
        field.refresh_daemon(unit)
        cloud.settle()
    telling.expect_whole(cloud)


@telling.story(FIELD, FAULTS)
def a_token_is_refused_for_a_moment(cloud: Cloud) -> None:
    """The cluster checks its members after a removal; the next newcomer is served all the same."""
    telling.form(cloud, 3)
    communicator, faults = telling.communicator(cloud), telling.faults(cloud)
    faults.pause_agent(communicator)
    newcomers = [cloud.add_unit(CONSUMER) for _ in range(2)]
    cloud.settle()
    telling.field(cloud).answer("add", unit=communicator, errors=[INCONSISTENT], seconds=5.02)
    faults.resume_agent(communicator)
    cloud.settle()
    assert any(cloud.members(newcomer) for newcomer in newcomers), "nobody was served"
    telling.expect_whole(cloud)


@telling.story(FIELD, CHOOSES_HOST_NAMES)
def host_names_that_no_member_can_have(cloud: Cloud) -> None:
    """Each such unit is blocked, and says why; the others join."""
    telling.deploy(cloud, 2)
    first = cloud.add_unit(CONSUMER, hostname=BAD_NAMES[0])
    lost = {first: BAD_NAMES[0]}
    telling.expect_status(cloud, first, "blocked", BAD_NAMES[0])
    telling.expect_whole(cloud, lost=lost)
    for name in BAD_NAMES[1:]:
        lost[cloud.add_unit(CONSUMER, hostname=name)] = name
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud, lost=lost)
    for unit, name in lost.items():
        telling.expect_status(cloud, unit, "blocked", name)


@telling.story(FIELD, CHOOSES_HOST_NAMES)
def two_machines_have_one_host_name(cloud: Cloud) -> None:
    """The status names both units; once one is removed the other joins."""
    telling.form(cloud, 2)
    telling.field(cloud).allow_same_names()
    twins = [cloud.add_unit(CONSUMER, hostname="twin") for _ in range(2)]
    telling.expect_status(cloud, telling.leader(cloud, DISTRIBUTOR), "blocked", "twin", *twins)
    cloud.wait(2)
    assert not all(cloud.members(unit) for unit in twins), "both have joined under one name"
    cloud.remove_unit(twins[0])
    telling.expect_whole(cloud)


@telling.story(FIELD, CHOOSES_HOST_NAMES)
def a_newcomer_has_the_host_name_of_a_member(cloud: Cloud) -> None:
    """The status names both units, and the member stays one when the newcomer is removed."""
    telling.form(cloud, 2)
    telling.field(cloud).allow_same_names()
    member = cloud.units(CONSUMER)[-1]
    twin = cloud.add_unit(CONSUMER, hostname=cloud.hostname(member))
    telling.expect_status(cloud, telling.leader(cloud, DISTRIBUTOR), "blocked", member, twin)
    cloud.remove_unit(twin)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_machine_never_comes(cloud: Cloud) -> None:
    """The bootstrap waits for it, and says so, until an update-status; it joins when it comes."""
    telling.deploy(cloud, 2)
    late = telling.field(cloud).add_unprovisioned_unit(CONSUMER)
    cloud.settle()
    status, message = cloud.status(telling.leader(cloud, DISTRIBUTOR))
    assert status == "waiting"
    assert late in message
    assert not any(cloud.members(unit) for unit in cloud.units(CONSUMER))
    telling.expect_whole(cloud, lost=[late])
    telling.field(cloud).provision(late)
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_first_unit_is_in_error(cloud: Cloud) -> None:
    """It might be a member of a cluster: the bootstrap waits for it, and the status names it."""
    telling.deploy(cloud, 3)
    broken = cloud.units(CONSUMER)[1]
    telling.field(cloud).break_hooks(broken)
    cloud.settle()
    telling.expect_status(cloud, telling.leader(cloud, DISTRIBUTOR), "waiting", broken)
    cloud.wait(2)
    telling.expect_no_member(cloud)
    cloud.remove_unit(broken, force=True)
    telling.expect_whole(cloud)


# Other models.


@telling.story(FIELD)
def the_distributor_is_offered_to_another_model(cloud: Cloud) -> None:
    """Each side knows the other under another name; the cluster forms, grows and shrinks."""
    cloud.deploy(CONSUMER, units=3)
    cloud.deploy(DISTRIBUTOR)
    telling.field(cloud).consume(CONSUMER, DISTRIBUTOR, alias="tokens")
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)
    cloud.remove_unit(telling.communicator(cloud))
    telling.expect_whole(cloud)


@telling.story(FIELD)
def a_consumer_is_offered_to_the_distributors_model(cloud: Cloud) -> None:
    """Who of it has left cannot be told: its units are not judged, and those of others are."""
    cloud.deploy(CONSUMER, "near", units=3)
    cloud.deploy(CONSUMER, "far", units=3)
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate("near", DISTRIBUTOR)
    telling.expect_whole(cloud, "near")
    url = "admin/default.far-cluster"
    telling.field(cloud).consume(DISTRIBUTOR, "far", alias="far-away", url=url)
    telling.expect_whole(cloud, "near", "far")
    near, far = cloud.units("near")[-1], cloud.units("far")[-1]
    names = telling.hostnames(cloud, "near", "far") - {cloud.hostname(near)}
    for unit in (near, far):
        cloud.kill_machine(unit)
    cloud.wait()
    for unit in (near, far):
        cloud.remove_unit(unit, force=True)
    cloud.wait(2)
    telling.expect_members(cloud, [*cloud.units("near"), *cloud.units("far")], names)


# The distributor.


@telling.story(FIELD)
def the_databag_of_a_departed_unit_is_refused(cloud: Cloud) -> None:
    """It says nothing, and no hook fails."""
    telling.form(cloud, 3)
    leaver = telling.communicator(cloud)
    telling.field(cloud).refuse_bag(leaver)
    cloud.remove_unit(leaver)
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)
    assert not telling.field(cloud).failed_hooks(telling.leader(cloud, DISTRIBUTOR))


@telling.story(FIELD)
def the_relation_of_a_removed_distributor_lingers(cloud: Cloud) -> None:
    """It is empty, and does not count beside another."""
    cloud.deploy(CONSUMER, units=2)
    cloud.deploy(DISTRIBUTOR, "first-distributor")
    cloud.integrate(CONSUMER, "first-distributor")
    telling.expect_whole(cloud, distributor="first-distributor")
    telling.field(cloud).remove_application_in_part("first-distributor")
    cloud.settle()
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(FIELD, FAULTS)
def the_issuer_of_a_token_is_removed_at_once(cloud: Cloud) -> None:
    """The token is taken from its databag as it departs: the cluster issues no other for hours."""
    telling.form(cloud, 3)
    issuer = telling.communicator(cloud)
    telling.faults(cloud).upon(lambda: cloud.remove_unit(issuer), unit=issuer, wrote="mirror-")
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(FIELD, FAULTS)
def a_former_leader_comes_back_with_a_token(cloud: Cloud) -> None:
    """It takes out of its databag what was there when it went down."""
    telling.form(cloud, 3, distributors=2)
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    former = telling.leader(cloud, DISTRIBUTOR)
    cloud.kill_machine(former)
    cloud.eventually("another leader", lambda: cloud.leader(DISTRIBUTOR) not in (former, None))
    cloud.start_machine(newcomer)
    telling.expect_whole(cloud, lost=[former])
    cloud.start_machine(former)
    telling.expect_whole(cloud)
