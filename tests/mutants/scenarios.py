"""Scenarios for one rule each, which no other notices when it is broken.

Unlike those of `tests.scenarios` they look behind the cloud where they have to, and run on the
model alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import local, protocol
from tests.microclusters import fake
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


@telling.story(protocol.Trait.FAULTS)
def a_member_cannot_tell_when_the_relation_is_made_again(cloud: Cloud) -> None:
    """Whether there is a cluster is not known until it can."""
    member, newcomer = telling.let_newcomer_lead(cloud, 1)
    telling.faults(cloud).hang("list", unit=member, times=40)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.wait()
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    cloud.wait(40)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_unit_that_bootstrapped_is_taken_out_of_the_cluster(cloud: Cloud) -> None:
    """It is a newcomer now, even where nobody remembers anything any more."""
    powers = telling.faults(cloud)
    cloud.deploy(CONSUMER, units=3)
    cloud.deploy(DISTRIBUTOR, units=1)
    # The one that is seen first, too.
    first, other, _ = cloud.units(CONSUMER)
    powers.make_leader(first)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    telling.expect_whole(cloud)
    cloud.wait(2)
    assert _runs(cloud, first, "bootstrap")
    assert "bootstrap-host" not in cloud.bag(DISTRIBUTOR), "the permission to bootstrap stands"
    old = cloud.units(DISTRIBUTOR)[0]
    cloud.kill_machine(old)
    _command(cloud, other, "remove", cloud.hostname(first))
    cloud.wait(2)
    cloud.remove_unit(old, force=True)
    new = cloud.add_unit(DISTRIBUTOR)
    shown = f"mirror-{cloud.hostname(first)}"
    powers.upon(lambda: powers.pause_agent(new), unit=new, wrote=shown)
    cloud.eventually("a mirror", lambda: shown in cloud.bag(new))
    cloud.settle()
    powers.resume_agent(new)
    telling.expect_whole(cloud)


@telling.story()
def it_forms_and_grows_without_update_status(cloud: Cloud) -> None:
    """Nobody waits five minutes for what the events of the relation bring in seconds."""
    telling.deploy(cloud, 8)
    cloud.settle()
    _expect_all_members(cloud)
    cloud.wait(2)
    for _ in range(2):
        cloud.add_unit(CONSUMER)
    cloud.settle()
    _expect_all_members(cloud)


@telling.story(protocol.Trait.FORCE_DEPARTS)
def a_lost_member_is_removed_without_update_status(cloud: Cloud) -> None:
    """Its cluster counts on its vote until then."""
    telling.form(cloud, 4)
    cloud.wait(2)
    leaver = telling.another(cloud, telling.communicator(cloud))
    name = cloud.hostname(leaver)
    cloud.kill_machine(leaver)
    cloud.remove_unit(leaver, force=True)
    cloud.settle()
    members = cloud.members(telling.communicator(cloud))
    assert name not in {member.name for member in members}, f"{name} is still a member"


@telling.story(protocol.Trait.FAULTS)
def a_communicator_without_a_list_reports_what_it_did(cloud: Cloud) -> None:
    """Its `hold` is as true as it was, and so is that it is a member."""
    telling.form(cloud, 4)
    unit = telling.communicator(cloud)
    cloud.kill_machine(cloud.units(CONSUMER)[-1])
    cloud.eventually("a hold", lambda: "hold" in cloud.bag(unit))
    before = dict(cloud.bag(unit))
    _hang_whenever_asked(cloud, unit)
    cloud.wait()
    after = cloud.bag(unit)
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    assert not changed, f"{unit} has no list, and reports another {' and '.join(changed)}"


@telling.story(protocol.Trait.FAULTS)
def a_cluster_complains_of_a_token(cloud: Cloud) -> None:
    """What it complains of is logged, but for the token."""
    telling.form(cloud, 1)
    newcomer = cloud.add_unit(CONSUMER)

    def complain(
        machine: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
    ) -> fake.Fault | None:
        if moment != "before" or words[0] != "join":
            return None
        machine.faults = None
        shown = cloud.bag(telling.leader(cloud, DISTRIBUTOR))
        return fake.fails(f"Error: cannot use {shown[f'mirror-{machine.name}']}")

    _machine(cloud, newcomer).faults = complain
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_half_joined_unit_is_related_again(cloud: Cloud) -> None:
    """Everybody waits for what it left behind, and nobody remembers that its token failed."""
    telling.form(cloud, 5)
    _fake(cloud).address_sticks = 0.0
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    others = [unit for unit in cloud.units(CONSUMER) if unit != newcomer]
    cloud.kill_machine(others[-1])
    powers = telling.faults(cloud)
    for unit in others:
        powers.pause_agent(unit)
    cloud.start_machine(newcomer)
    cloud.settle()
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.start_machine(others[-1])
    for unit in others:
        powers.resume_agent(unit)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def many_newcomers_are_slow_and_one_is_not(cloud: Cloud) -> None:
    """It is not worth waking everybody for it at once; but no later than at update-status."""
    telling.form(cloud, 4)
    cloud.wait(2)
    newcomer, *slow = [cloud.add_unit(CONSUMER) for _ in range(8)]
    powers = telling.faults(cloud)
    for unit in slow:
        powers.pause_agent(unit)
    cloud.eventually(f"{newcomer} is a member", lambda: bool(cloud.members(newcomer)))
    for unit in slow:
        powers.resume_agent(unit)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_leader_of_the_distributor_is_deposed(cloud: Cloud) -> None:
    """Of two mirrors, those who do not know which one counts might read the old one."""
    telling.form(cloud, 2, distributors=2)
    old = telling.leader(cloud, DISTRIBUTOR)
    telling.faults(cloud).make_leader(telling.another(cloud, old))
    cloud.wait(2)
    said = cloud.bag(old).get("mirror")
    assert said == "down", f"{old} does not lead, and says mirror: {said}"


@telling.story()
def two_of_three_leave_at_once(cloud: Cloud) -> None:
    """Were they gone without a word, so were the quorum."""
    telling.form(cloud, 3)
    cloud.wait(2)
    for unit in cloud.units(CONSUMER)[1:]:
        cloud.remove_unit(unit)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def goal_state_fails_while_a_unit_cannot_leave(cloud: Cloud) -> None:
    """Somebody may stay: it is refused for as long as it takes."""
    telling.form(cloud, 3)
    leaver, dead, _ = cloud.units(CONSUMER)
    cloud.kill_machine(dead)
    _local(cloud).juju.has_goal_state = False
    cloud.remove_unit(leaver)
    cloud.wait(3)
    assert leaver in cloud.units(CONSUMER), f"{leaver} took its vote with it"
    _local(cloud).juju.has_goal_state = True
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FIELD)
def a_daemon_denies_its_membership_twice_with_a_list_in_between(cloud: Cloud) -> None:
    """The second time is a first time again."""
    telling.form(cloud, 3)
    unit = telling.another(cloud, telling.communicator(cloud))
    before = len(_written(cloud, unit, "member"))
    for _ in range(2):
        cloud.wait(2)
        telling.field(cloud).answer("list", unit=unit, errors=[fake.NOT_INITIALIZED])
    cloud.wait(2)
    after = _written(cloud, unit, "member")[before:]
    assert not after, f"{unit} has believed one denial"


@telling.story(protocol.Trait.FAULTS)
def a_daemon_is_reset_before_its_bootstrap_is_published(cloud: Cloud) -> None:
    """Another relation's grant is another one."""
    telling.deploy(cloud, 1)
    unit, lost = cloud.units(CONSUMER)[0], cloud.units(DISTRIBUTOR)[0]
    telling.faults(cloud).upon(lambda: cloud.kill_machine(lost), unit=unit, command="bootstrap")
    cloud.eventually("a cluster", lambda: bool(cloud.members(unit)))
    cloud.remove_unit(lost, force=True)
    cloud.remove_application(DISTRIBUTOR)
    cloud.settle()
    _machine(cloud, unit).forget()
    cloud.deploy(DISTRIBUTOR, "another-distributor")
    cloud.integrate(CONSUMER, "another-distributor")
    telling.expect_whole(cloud, distributor="another-distributor")


@telling.story(protocol.Trait.FAULTS)
def a_newcomers_machine_dies_as_it_joins(cloud: Cloud) -> None:
    """It still waits for a token, as far as anybody knows, and is a member all the same."""
    telling.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    name = cloud.hostname(newcomer)
    telling.faults(cloud).upon(lambda: cloud.kill_machine(newcomer), unit=newcomer, command="join")
    cloud.wait(3)
    removed = [c.machine for c in _history(cloud) if c.words[:2] == ("remove", name)]
    assert not removed, f"{removed[0]} has removed {name}"
    cloud.start_machine(newcomer)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.EARLIER_CHARMS)
def the_first_application_has_no_units_and_the_second_is_earlier(cloud: Cloud) -> None:
    """Whether an application is an earlier one is known from its units alone."""
    cloud.deploy(CONSUMER, "first", units=0)
    cloud.deploy(protocol.EARLIER_CONSUMER, "second", units=2)
    cloud.deploy(DISTRIBUTOR)
    cloud.integrate("first", DISTRIBUTOR)
    cloud.integrate("second", DISTRIBUTOR)
    telling.expect_whole(cloud, "second", earlier=["second"])


@telling.story()
def a_formation_costs_few_hooks(cloud: Cloud) -> None:
    """What nobody waits for is published with what somebody does."""
    telling.deploy(cloud, 8)
    cloud.settle()
    _expect_all_members(cloud)
    trace = _local(cloud).juju.trace
    hooks = sum(h.unit.startswith(f"{CONSUMER}/") and h.kind == "relation-changed" for h in trace)
    assert hooks <= 3 * 8, f"the units of {CONSUMER} ran {hooks} hooks"


@telling.story(protocol.Trait.FIELD)
def a_denial_is_repeated_after_an_error(cloud: Cloud) -> None:
    """What the daemon said before it failed for once is not forgotten."""
    telling.form(cloud, 3)
    cloud.wait(2)
    unit = telling.another(cloud, telling.communicator(cloud))
    _command(cloud, telling.communicator(cloud), "remove", cloud.hostname(unit))
    telling.field(cloud).answer(
        "list", unit=unit, errors=[fake.NOT_INITIALIZED, "Error: EOF"] * 10
    )
    cloud.wait(5)
    assert "false" in _written(cloud, unit, "member")[1:], f"{unit} has believed no denial"


def _written(cloud: Cloud, unit: str, key: str) -> list[str]:
    """Return all values that a unit's hooks have written under a key."""
    hooks = (hook for hook in _local(cloud).juju.trace if hook.unit == unit)
    return [write.new or "" for hook in hooks for write in hook.writes if write.key == key]


def _expect_all_members(cloud: Cloud) -> None:
    outside = [unit for unit in cloud.units(CONSUMER) if not cloud.members(unit)]
    assert not outside, f"waiting for an update-status: {', '.join(outside)}"


def _local(cloud: Cloud) -> local.LocalCloud:
    assert isinstance(cloud, local.LocalCloud)
    return cloud


def _fake(cloud: Cloud) -> fake.FakeMicrocluster:
    microcluster = _local(cloud).microcluster
    assert isinstance(microcluster, fake.FakeMicrocluster)
    return microcluster


def _machine(cloud: Cloud, unit: str) -> fake.FakeMachine:
    machine = _local(cloud).juju.host(unit)
    assert isinstance(machine, fake.FakeMachine)
    return machine


def _hang_whenever_asked(cloud: Cloud, unit: str) -> None:
    """Let a unit's daemon list the members no more."""

    def hang(
        _: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
    ) -> fake.Fault | None:
        return fake.hangs() if moment == "before" and words[0] == "list" else None

    _machine(cloud, unit).faults = hang


def _history(cloud: Cloud) -> list[fake.Command]:
    return _fake(cloud).history


def _command(cloud: Cloud, unit: str, *words: str) -> None:
    _local(cloud).juju.host(unit).run([*local.COMMAND, *words], timeout=60)


def _runs(cloud: Cloud, unit: str, verb: str) -> bool:
    """Tell whether a unit's machine has run a command of the cluster with success."""
    return any(
        command.machine == cloud.hostname(unit) and command.words[0] == verb and command.code == 0
        for command in _history(cloud)
    )
