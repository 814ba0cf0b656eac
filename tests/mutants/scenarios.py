"""Stories told for the sake of one rule each, which nothing else would miss.

Unlike those that users meet, they look behind the cloud where they have to, and are told on the
model alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import local, protocol
from tests.microclusters import fake
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests import juju_model
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


@telling.story(protocol.Trait.FAULTS)
def the_unit_that_bootstrapped_dies_before_it_says_so(cloud: Cloud) -> None:
    """Its cluster is on its disk: another leader's proposal comes too late."""
    telling.deploy(cloud)
    first: list[str] = []

    def die() -> None:
        first.append(telling.leader(cloud, CONSUMER))
        cloud.kill_machine(first[0])

    telling.faults(cloud).upon(die, unit=CONSUMER, command="bootstrap")
    cloud.eventually("a bootstrap", lambda: bool(first))
    cloud.eventually("another leader", lambda: cloud.leader(CONSUMER) not in (first[0], None))
    cloud.wait(2)
    for unit in cloud.units(CONSUMER):
        assert not cloud.members(unit), f"{unit} has bootstrapped a second cluster"
    cloud.start_machine(first[0])
    telling.expect_whole(cloud)


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
def goal_state_fails_when_the_relation_is_made_again(cloud: Cloud) -> None:
    """Who is yet to be heard is not known without it."""
    members = telling.let_newcomer_lead(cloud, 2)
    newcomer = members.pop()
    juju = _local(cloud).juju
    juju.has_goal_state = False
    for unit in members:
        telling.faults(cloud).pause_agent(unit)
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    cloud.wait(2)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    juju.has_goal_state = True
    for unit in members:
        telling.faults(cloud).resume_agent(unit)
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


@telling.story(protocol.Trait.FAULTS)
def a_newcomer_that_cannot_join_leads_under_an_earlier_distributor(cloud: Cloud) -> None:
    """That its application may bootstrap stands in the earlier distributor's databag for good."""
    telling.deploy(cloud, 2, distributor_charm=protocol.EARLIER_DISTRIBUTOR)
    earlier = [CONSUMER, DISTRIBUTOR]
    telling.expect_whole(cloud, earlier=earlier)
    newcomer = cloud.add_unit(CONSUMER)
    powers = telling.faults(cloud)
    powers.upon(lambda: powers.make_leader(newcomer), unit=newcomer, wrote="hostname")
    powers.hang("join", unit=newcomer, times=2)
    telling.expect_whole(cloud, earlier=earlier)


@telling.story()
def one_of_two_applications_goes_its_own_way(cloud: Cloud) -> None:
    """Its units are still members, and the first ones by name, but nobody hears them."""
    telling.form_two(cloud, 2, 3)
    cloud.remove_relation("first", DISTRIBUTOR)
    cloud.settle()
    newcomer = cloud.add_unit("second")
    cloud.eventually(f"{newcomer} is a member", lambda: bool(cloud.members(newcomer)))


@telling.story()
def a_departure_is_told_while_the_next_leader_is_not_elected(cloud: Cloud) -> None:
    """The leader dies, a unit leaves by force, and its name is nobody's when another leads."""
    telling.form(cloud, 4, distributors=2)
    leader = telling.leader(cloud, DISTRIBUTOR)
    cloud.kill_machine(leader)
    leaver = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(leaver)
    cloud.remove_unit(leaver, force=True)
    telling.expect_whole(cloud, lost=[leader])


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
def one_of_two_applications_comes_back(cloud: Cloud) -> None:
    """Its units left the distributor's sight, and are there again: nobody has left."""
    telling.form_two(cloud, 2, 2)
    cloud.remove_relation("first", DISTRIBUTOR)
    cloud.settle()
    cloud.integrate("first", DISTRIBUTOR)
    telling.expect_whole(cloud, "first", "second")


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
def a_member_prints_rubbish_when_the_relation_is_made_again(cloud: Cloud) -> None:
    """Rubbish is no answer to the question whether there is a cluster."""
    member, newcomer = telling.let_newcomer_lead(cloud, 1)

    def babble(
        _: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
    ) -> fake.Fault | None:
        return fake.prints("{]") if moment == "before" and words[0] == "list" else None

    _machine(cloud, member).faults = babble
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.wait(3)
    assert not cloud.members(newcomer), f"{newcomer} has bootstrapped a second cluster"
    _machine(cloud, member).faults = None
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_communicator_that_cannot_tell_says_what_it_said(cloud: Cloud) -> None:
    """Whom it holds newcomers back for is as true as it was, and so is that it is a member."""
    telling.form(cloud, 4)
    unit = telling.communicator(cloud)
    cloud.kill_machine(cloud.units(CONSUMER)[-1])
    cloud.eventually("a hold", lambda: "hold" in cloud.bag(unit))
    before = dict(cloud.bag(unit))
    _hang_whenever_asked(cloud, unit)
    cloud.wait()
    said = cloud.bag(unit)
    changed = sorted(key for key in {*before, *said} if before.get(key) != said.get(key))
    assert not changed, f"{unit} cannot tell, and says something else under {changed}"


@telling.story(protocol.Trait.FAULTS)
def one_member_speaks_for_all(cloud: Cloud) -> None:
    """Else each newcomer would cost as many commands as there are members."""
    telling.form(cloud, 4)
    cloud.wait(2)
    mirror = telling.leader(cloud, DISTRIBUTOR)
    newcomer = cloud.add_unit(CONSUMER)
    name = cloud.hostname(newcomer)
    powers = telling.faults(cloud)
    # Slow enough for all members to see that somebody waits.
    powers.upon(lambda: powers.pause_agent(mirror), unit=mirror, wrote=f"mirror-{name}")
    cloud.settle()
    speakers = [
        command.machine for command in _history(cloud) if command.words[:2] == ("add", name)
    ]
    assert len(speakers) == 1, f"{', '.join(speakers)} were to issue a token for {name}"
    powers.resume_agent(mirror)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_removal_fails_at_first(cloud: Cloud) -> None:
    """It is tried again; who is still a member is not gone."""
    telling.form(cloud, 4)
    leaver = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(leaver)
    telling.faults(cloud).hang("remove", unit=CONSUMER, times=2)
    cloud.remove_unit(leaver, force=True)
    telling.expect_whole(cloud)


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
def many_tokens_fail_one_after_the_other(cloud: Cloud) -> None:
    """What a newcomer says of the first ones is not in the way of the last."""
    telling.form(cloud, 1)
    newcomer = cloud.add_unit(CONSUMER)
    powers = telling.faults(cloud)
    failures: list[str] = []

    def fail() -> None:
        powers.expire_tokens()
        failures.append(newcomer)
        if len(failures) < 4:
            powers.upon(fail, unit=CONSUMER, command="add")

    powers.upon(fail, unit=CONSUMER, command="add")
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_next_leader_of_the_distributor_has_not_been_seen(cloud: Cloud) -> None:
    """What the one before shows does not count any more: it is told to wait since."""
    telling.form(cloud, 3)
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    old = telling.leader(cloud, DISTRIBUTOR)
    cloud.kill_machine(old)
    new = cloud.add_unit(DISTRIBUTOR)
    cloud.eventually(
        "another leader",
        lambda: cloud.bag(DISTRIBUTOR).get("leader") == new.rpartition("/")[2],
    )
    dead = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(dead)
    cloud.eventually("a hold", lambda: "hold" in cloud.bag(DISTRIBUTOR))
    cloud.start_machine(newcomer)
    telling.expect_waiting(cloud, newcomer, dead)
    cloud.start_machine(dead)
    telling.expect_whole(cloud, lost=[old])


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


@telling.story(protocol.Trait.CHOOSES_HOST_NAMES)
def a_namesake_comes_while_there_is_no_relation(cloud: Cloud) -> None:
    """Everybody waits for the earlier machine, and nobody remembers that its unit has left."""
    telling.form(cloud, 4)
    cloud.wait(2)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    loser = cloud.units(CONSUMER)[-1]
    name = cloud.hostname(loser)
    cloud.kill_machine(loser)
    cloud.remove_unit(loser, force=True)
    cloud.add_unit(CONSUMER, hostname=name)
    cloud.settle()
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_new_leader_of_the_distributor_hears_one_unit_after_the_other(cloud: Cloud) -> None:
    """Those of whom it has only heard that an earlier leader knew them have not left."""
    _hears_one_after_the_other(cloud, has_goal_state=True)


@telling.story(protocol.Trait.FAULTS)
def a_new_leader_hears_one_unit_after_the_other_without_goal_state(cloud: Cloud) -> None:
    """Even less so."""
    _hears_one_after_the_other(cloud, has_goal_state=False)


def _hears_one_after_the_other(cloud: Cloud, *, has_goal_state: bool) -> None:
    telling.form(cloud, 4)
    cloud.wait(2)
    juju = _local(cloud).juju
    juju.has_goal_state = has_goal_state
    said: list[str] = []

    def listen(hook: juju_model.Hook) -> None:
        # It may be taken back at once, and has misled whoever has read it.
        said.extend(write.new for write in hook.writes if write.key == "left" and write.new)

    juju.on_hook.append(listen)
    old = telling.leader(cloud, DISTRIBUTOR)
    telling.faults(cloud).make_leader(cloud.add_unit(DISTRIBUTOR))
    cloud.settle()
    juju.on_hook.remove(listen)
    assert not said, f"nobody has left, and yet {said[0]} is said to have"
    juju.has_goal_state = True
    cloud.remove_unit(old)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def who_spoke_for_the_cluster_is_taken_out_of_it(cloud: Cloud) -> None:
    """It says so, and has no values mirrored until it is a member again."""
    telling.form(cloud, 3)
    cloud.wait(2)
    speaker = telling.communicator(cloud)
    powers = telling.faults(cloud)
    said: list[str] = []

    def listen() -> None:
        bag = cloud.bag(speaker)
        if bag.get("member") == "false":
            said.append(bag.get("mirror", "nothing"))
        else:
            powers.upon(listen, unit=speaker, wrote="member")

    powers.upon(listen, unit=speaker, wrote="member")
    _command(cloud, telling.another(cloud, speaker), "remove", cloud.hostname(speaker))
    telling.expect_whole(cloud)
    assert said == ["down"], f"{speaker} is no member, and says mirror: {', '.join(said)}"


@telling.story(protocol.Trait.FAULTS)
def the_leader_of_the_distributor_leaves_while_a_member_is_down(cloud: Cloud) -> None:
    """It sees all units depart, and they are where they were."""
    telling.form(cloud, 4, distributors=2)
    dead = telling.another(cloud, telling.communicator(cloud))
    cloud.kill_machine(dead)
    cloud.remove_unit(telling.leader(cloud, DISTRIBUTOR))
    cloud.wait(2)
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


@telling.story()
def the_last_unit_of_an_application_is_removed_by_force(cloud: Cloud) -> None:
    """An application without units is still of this model, and its last unit has left."""
    telling.form_two(cloud, 3, 1)
    cloud.wait(2)
    unit = cloud.units("second")[0]
    cloud.kill_machine(unit)
    cloud.remove_unit(unit, force=True)
    telling.expect_whole(cloud, "first", "second")


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
def a_member_is_taken_out_of_the_cluster(cloud: Cloud) -> None:
    """It is shown as joined, and says that this has got it nowhere."""
    telling.form(cloud, 3)
    cloud.wait(2)
    speaker = telling.communicator(cloud)
    _command(cloud, speaker, "remove", cloud.hostname(telling.another(cloud, speaker)))
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def who_has_to_stay_is_online_while_the_others_cannot_tell(cloud: Cloud) -> None:
    """Its unit has departed, and the cluster has refused to let it go."""
    telling.form(cloud, 4)
    speaker = telling.communicator(cloud)
    leaver, dead = [unit for unit in cloud.units(CONSUMER) if unit != speaker][:2]
    cloud.kill_machine(dead)
    cloud.wait()
    cloud.remove_unit(leaver)
    cloud.settle()
    telling.faults(cloud).hang("list", unit=speaker, times=2)
    cloud.wait(2)
    cloud.start_machine(dead)
    telling.expect_whole(cloud)


@telling.story()
def two_of_three_leave_at_once(cloud: Cloud) -> None:
    """Were they gone without a word, so were the quorum."""
    telling.form(cloud, 3)
    cloud.wait(2)
    for unit in cloud.units(CONSUMER)[1:]:
        cloud.remove_unit(unit)
    telling.expect_whole(cloud)


@telling.story()
def a_unit_cannot_leave_while_the_next_leader_is_not_elected(cloud: Cloud) -> None:
    """It has departed: nobody waits for its word to know that another one has left."""
    telling.form(cloud, 4, distributors=2)
    cloud.wait(2)
    leader = telling.leader(cloud, DISTRIBUTOR)
    speaker = telling.communicator(cloud)
    lost, leaver = [unit for unit in cloud.units(CONSUMER) if unit != speaker][:2]
    cloud.kill_machine(lost)
    cloud.remove_unit(leaver)
    cloud.settle()
    cloud.kill_machine(leader)
    cloud.remove_unit(lost, force=True)
    telling.expect_whole(cloud, lost=[leader])


@telling.story(
    protocol.Trait.FAULTS, protocol.Trait.CHOOSES_HOST_NAMES, protocol.Trait.EARLIER_CHARMS
)
def a_leader_comes_back_with_the_token_of_who_left(cloud: Cloud) -> None:
    """A namesake with an earlier library would never say that it has got it nowhere."""
    telling.form(cloud, 3, distributors=2)
    earlier = [cloud.deploy(protocol.EARLIER_CONSUMER, "earlier", units=1)]
    cloud.integrate("earlier", DISTRIBUTOR)
    telling.expect_whole(cloud, CONSUMER, *earlier, earlier=earlier)
    powers = telling.faults(cloud)
    first = telling.leader(cloud, DISTRIBUTOR)
    powers.make_leader(telling.another(cloud, first))
    cloud.wait(2)
    leaver = cloud.units("earlier")[0]
    name = cloud.hostname(leaver)
    cloud.remove_unit(leaver)
    cloud.wait(2)
    namesake = cloud.add_unit("earlier", hostname=name)
    telling.fall_asleep_once_named(cloud, namesake)
    cloud.wait()
    powers.make_leader(first)
    cloud.wait(2)
    cloud.start_machine(namesake)
    cloud.eventually(f"{namesake} is a member", lambda: bool(cloud.members(namesake)))


@telling.story(protocol.Trait.FAULTS)
def three_units_are_replaced_and_one_cannot_leave_at_first(cloud: Cloud) -> None:
    """It tries again: else the others, and those that come, would wait for it for good."""
    telling.form(cloud, 3)
    cloud.wait(2)
    first, *others = cloud.units(CONSUMER)
    powers = telling.faults(cloud)
    powers.hang("remove", unit=first)
    for unit in others:
        powers.pause_agent(unit)
    for unit in (first, *others):
        cloud.remove_unit(unit)
    cloud.settle()
    cloud.add_unit(CONSUMER)
    for unit in others:
        powers.resume_agent(unit)
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
    """Which keys an application speaks is known from its units alone."""
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
