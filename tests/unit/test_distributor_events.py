"""The distributor's charm, one event at a time."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import ops.testing
import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor, runner

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
A, B, C = "node-a", "node-b", "node-c"
T1, T2 = sorted(distributor.token(C, number) for number in (1, 2))
D1, DJ = lib.digest(T1), lib.digest(JOINED)
says, offering, related = distributor.says, distributor.offering, distributor.related
our_bag, our_app_bag = distributor.our_bag, distributor.our_app_bag
formed, shown = distributor.formed, distributor.shown


# Each event on the leader, before there is a cluster


def test_created_the_leader_shows_an_empty_mirror(
    distributor_unit: distributor.Distributor,
) -> None:
    """There is nobody yet."""
    state = distributor_unit.hook("relation_created", related("microovn", {}))

    assert our_bag(state) == {"mirror": "up"}
    assert our_app_bag(state) == distributor.LEADER


def test_joined_a_unit_that_has_yet_to_speak_is_waited_for(
    distributor_unit: distributor.Distributor,
) -> None:
    """It enters the relation before it writes anything."""
    state = distributor_unit.hook("relation_joined", related("microovn", {0: {}}), unit=0)

    assert our_bag(state) == {"mirror": "up"}
    assert our_app_bag(state) == distributor.LEADER
    assert "the bootstrap waits for the word of microovn/0" in distributor_unit.log()


def test_joined_a_unit_that_spoke_is_answered(distributor_unit: distributor.Distributor) -> None:
    """And granted the bootstrap, since nobody else is there."""
    relation = related("microovn", {0: says(A, "false")}, candidate="microovn/0")

    state = distributor_unit.hook("relation_joined", relation, unit=0)

    assert our_bag(state) == shown({A: EMPTY})
    assert our_app_bag(state) == {
        **distributor.LEADER,
        "bootstrap-app": "microovn",
        "bootstrap-unit": "microovn/0",
    }
    assert "microovn/0 may bootstrap the cluster" in distributor_unit.log()


def test_changed_by_the_last_unit_awaited(distributor_unit: distributor.Distributor) -> None:
    """Then all have spoken, and none is a member."""
    relation = related(
        "microovn",
        {0: says(A, "false"), 1: says(B, "false")},
        candidate="microovn/0",
        ours=shown({A: EMPTY}),
        app_bag=distributor.LEADER,
    )

    state = distributor_unit.hook("relation_changed", relation, unit=1)

    assert our_bag(state) == shown({A: EMPTY, B: EMPTY})
    assert our_app_bag(state)["bootstrap-unit"] == "microovn/0"


def test_changed_by_one_that_is_not_the_last(distributor_unit: distributor.Distributor) -> None:
    """A third is in the model already."""
    relation = related(
        "microovn",
        {0: says(A, "false"), 1: says(B, "false")},
        candidate="microovn/0",
        ours=shown({A: EMPTY}),
        app_bag=distributor.LEADER,
    )
    goal = {**distributor.names_of([relation]), "microovn/2": "waiting"}

    state = distributor_unit.hook("relation_changed", relation, unit=1, goal=goal)

    assert our_bag(state) == shown({A: EMPTY})
    assert our_app_bag(state) == distributor.LEADER
    assert distributor_unit.memory[f"host-{B}"] == "waiting"


def test_changed_by_the_application_that_proposes(
    distributor_unit: distributor.Distributor,
) -> None:
    """The candidate is the only thing in an application's databag."""
    relation = related(
        "microovn",
        {0: says(A, "false")},
        candidate="microovn/0",
        ours=shown({A: EMPTY}),
        app_bag={**distributor.LEADER, "bootstrap-app": "microovn"},
    )

    state = distributor_unit.hook("relation_changed", relation)

    assert our_app_bag(state)["bootstrap-unit"] == "microovn/0"


def test_changed_by_the_application_after_the_grant(
    distributor_unit: distributor.Distributor,
) -> None:
    """Another leader proposes itself: the grant stays where it is."""
    relation = related(
        "microovn",
        {0: says(A, "false"), 1: says(B, "false")},
        candidate="microovn/1",
        ours=shown({A: EMPTY, B: EMPTY}),
        app_bag={
            **distributor.LEADER,
            "bootstrap-app": "microovn",
            "bootstrap-unit": "microovn/0",
        },
    )

    state = distributor_unit.hook("relation_changed", relation)

    assert our_app_bag(state)["bootstrap-unit"] == "microovn/0"
    assert {owner for owner, _ in distributor_unit.writes} == {distributor.MEMORY}


def test_departed_the_unit_that_was_granted_the_bootstrap(
    distributor_unit: distributor.Distributor,
) -> None:
    """It is granted anew, since nothing shows a cluster."""
    relation = related(
        "microovn",
        {0: says(A, "false"), 1: says(B, "false")},
        candidate="microovn/1",
        ours=shown({A: EMPTY, B: EMPTY}),
        app_bag={
            **distributor.LEADER,
            "bootstrap-app": "microovn",
            "bootstrap-unit": "microovn/0",
        },
    )

    state = distributor_unit.hook("relation_departed", relation, unit=0)

    assert our_bag(state) == shown({B: EMPTY})
    assert our_app_bag(state)["bootstrap-unit"] == "microovn/1"
    assert our_app_bag(state)["left"] == A


def test_departed_the_unit_that_was_granted_while_it_still_is_in_goal_state(
    distributor_unit: distributor.Distributor,
) -> None:
    """A dying unit is not up; on Juju 3 its hooks may still run, so that it may bootstrap."""
    relation = related(
        "microovn",
        {0: says(A, "false"), 1: says(B, "false")},
        candidate="microovn/1",
        ours=shown({A: EMPTY, B: EMPTY}),
        app_bag={
            **distributor.LEADER,
            "bootstrap-app": "microovn",
            "bootstrap-unit": "microovn/0",
        },
    )

    state = distributor_unit.hook(
        "relation_departed",
        relation,
        unit=0,
        goal={"microovn/0": "dying", "microovn/1": "active"},
    )

    assert our_bag(state) == shown({B: EMPTY})
    assert our_app_bag(state)["bootstrap-unit"] == "microovn/1"


def test_broken_the_application_that_might_have_bootstrapped(
    distributor_unit: distributor.Distributor,
) -> None:
    """The right goes to the next one."""
    going = related(
        "microovn",
        {},
        ours=shown({B: EMPTY}),
        app_bag={
            **distributor.LEADER,
            "bootstrap-app": "microovn",
            "bootstrap-unit": "microovn/0",
        },
    )
    staying = related(
        "sunbeam",
        {0: says(B, "false")},
        relation_id=2,
        candidate="sunbeam/0",
        ours=shown({B: EMPTY}),
        app_bag={
            **distributor.LEADER,
            "bootstrap-app": "microovn",
            "bootstrap-unit": "microovn/0",
        },
    )

    state = distributor_unit.hook("relation_broken", going, staying)

    assert our_app_bag(state, 2) == {
        **distributor.LEADER,
        "bootstrap-app": "sunbeam",
        "bootstrap-unit": "sunbeam/0",
    }


def test_broken_the_only_relation(distributor_unit: distributor.Distributor) -> None:
    """There is nobody left to show anything to."""
    state = distributor_unit.hook("relation_broken", formed())

    assert distributor_unit.writes == []
    assert state.unit_status == ops.testing.BlockedStatus(
        "integrate with a charm that forms a microcluster"
    )


# Each event on the leader, while there is a cluster


def test_changed_by_a_newcomer(distributor_unit: distributor.Distributor) -> None:
    """Its name is shown, and it is granted nothing."""
    relation = formed(says(C, "false"))

    state = distributor_unit.hook("relation_changed", relation, unit=2)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: EMPTY})
    assert our_app_bag(state) == {**distributor.LEADER, "bootstrap-app": "microovn"}
    assert {write for write in distributor_unit.writes if write[0] != distributor.MEMORY} == {
        (distributor.UNIT, f"mirror-{C}"),
    }


def test_changed_by_the_communicator(distributor_unit: distributor.Distributor) -> None:
    """Its token is shown."""
    relation = formed(says(C, "false"), values={C: EMPTY}, offers={C: T1})

    state = distributor_unit.hook("relation_changed", relation, unit=0)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: T1})


def test_changed_by_a_newcomer_that_joined(distributor_unit: distributor.Distributor) -> None:
    """Its token is of no more use."""
    relation = formed(says(C, "true"), values={C: T1}, offers={C: T1})

    state = distributor_unit.hook("relation_changed", relation, unit=2)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: JOINED})


def test_changed_by_a_newcomer_whose_join_failed(
    distributor_unit: distributor.Distributor,
) -> None:
    """The other communicator has a token in its databag that has not failed."""
    relation = formed(
        says(C, "false", failed=D1),
        {**offering("node-d", {C: T2})},
        values={C: T1, "node-d": JOINED},
        offers={C: T1},
    )

    state = distributor_unit.hook("relation_changed", relation, unit=2)

    values = {A: JOINED, B: JOINED, "node-d": JOINED, C: T2}
    assert our_bag(state) == {**shown(values), f"failed-{C}": D1}


def test_changed_by_a_newcomer_that_is_shown_joined(
    distributor_unit: distributor.Distributor,
) -> None:
    """Its machine was replaced under its old name: it needs another token."""
    relation = formed(says(C, "false", failed=DJ), values={C: JOINED})

    state = distributor_unit.hook("relation_changed", relation, unit=2)

    assert our_bag(state) == {**shown({A: JOINED, B: JOINED, C: JOINED}), f"failed-{C}": DJ}

    state = distributor_unit.hook(
        "relation_changed", *distributor.with_bag(state, 0, offering(A, {C: T1})), unit=0
    )

    assert our_bag(state)[f"mirror-{C}"] == T1


def test_changed_by_a_communicator_that_finds_members_down(
    distributor_unit: distributor.Distributor,
) -> None:
    """What all members that are up find is put together."""
    relation = formed(
        says("node-d", "true", mirror="up", hold="node-x"),
        values={"node-d": JOINED},
        hold="node-y node-z",
    )

    state = distributor_unit.hook("relation_changed", relation, unit=0)

    assert our_bag(state)["hold"] == "node-x node-y node-z"


def test_changed_by_a_communicator_that_finds_all_members_up_again(
    distributor_unit: distributor.Distributor,
) -> None:
    """Then nobody is held back, and who has read otherwise is told so."""
    relation = formed()
    distributor.bag(relation.local_unit_data)["hold"] = B

    state = distributor_unit.hook("relation_changed", relation, unit=0)

    assert our_bag(state) == {**shown({A: JOINED, B: JOINED}), "turns": "1"}


def test_changed_by_a_communicator_that_finds_a_member_gone(
    distributor_unit: distributor.Distributor,
) -> None:
    """Nobody needs to look for it any more."""
    relation = formed(left=f"{C} node-d", gone=C)

    state = distributor_unit.hook("relation_changed", relation, unit=0)

    assert our_app_bag(state)["left"] == "node-d"


def test_departed_a_member(distributor_unit: distributor.Distributor) -> None:
    """Its key goes, and the communicator is told to see to it."""
    relation = formed()

    state = distributor_unit.hook("relation_departed", relation, unit=1)

    assert our_bag(state) == shown({A: JOINED})
    assert our_app_bag(state) == {**distributor.LEADER, "bootstrap-app": "microovn", "left": B}


def test_departed_the_communicator(distributor_unit: distributor.Distributor) -> None:
    """What it found down is no longer of interest."""
    relation = formed(hold=B)
    distributor.bag(relation.local_unit_data)["hold"] = B

    state = distributor_unit.hook("relation_departed", relation, unit=0)

    assert our_bag(state) == {**shown({B: JOINED}), "turns": "1"}
    assert our_app_bag(state)["left"] == A


@pytest.mark.parametrize("event", distributor.SWEEPS)
def test_a_sweep_uses_up_the_grant(distributor_unit: distributor.Distributor, event: str) -> None:
    """A unit that drops out must not take it for leave to bootstrap another cluster."""
    relation = formed()
    distributor.bag(relation.local_app_data)["bootstrap-unit"] = "microovn/0"

    state = distributor_unit.hook(event, relation)

    assert our_app_bag(state) == {**distributor.LEADER, "bootstrap-app": "microovn"}


@pytest.mark.parametrize("event", [*distributor.SWEEPS, "relation_broken"])
def test_a_sweep_finds_out_who_was_removed_by_force(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """There was no departed event, and relation-list and the databag are as before."""
    relation = formed()
    other = related("sunbeam", {}, relation_id=2, ours=shown({A: JOINED, B: JOINED}))

    state = distributor_unit.hook(
        event, relation, other, about=other, goal={"microovn/0": "active"}
    )

    assert our_bag(state) == shown({A: JOINED})
    assert our_app_bag(state)["left"] == B


def test_who_was_removed_by_force_is_said_to_have_left_once(
    distributor_unit: distributor.Distributor,
) -> None:
    """Not again once it is gone from the cluster, however long Juju shows its databag."""
    goal = {"microovn/0": "active"}
    state = distributor_unit.hook("update_status", formed(), goal=goal)
    lefts = [our_app_bag(state).get("left", "")]
    for bag in (
        offering(A, {}),
        offering(A, {}, gone=B),
        offering(A, {}, gone=B),
        offering(A, {}),
    ):
        state = distributor_unit.hook(
            "update_status", *distributor.with_bag(state, 0, bag), goal=goal
        )
        lefts.append(our_app_bag(state).get("left", ""))
        assert our_bag(state) == shown({A: JOINED})

    assert lefts == [B, B, "", "", ""]


@pytest.mark.parametrize("event", distributor.SWEEPS)
@pytest.mark.parametrize("status", ["unknown", "dying"])
def test_who_is_lost_or_dying_has_not_left(
    distributor_unit: distributor.Distributor, event: str, status: str
) -> None:
    """It may come back, or take its leave itself."""
    state = distributor_unit.hook(
        event, formed(), goal={"microovn/0": "active", "microovn/1": status}
    )

    assert our_bag(state) == shown({A: JOINED, B: JOINED})
    assert "left" not in our_app_bag(state)


@pytest.mark.parametrize("event", distributor.SWEEPS)
def test_a_name_that_no_unit_has_any_more(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """Its departed event came while nobody led; what a charm itself mirrors stays."""
    relation = formed(values={C: T1, "node-d": JOINED, "node-e": EMPTY, "port": "6641"})

    state = distributor_unit.hook(event, relation)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, "port": "6641"})
    assert our_app_bag(state)["left"] == f"{C} node-d node-e"


@pytest.mark.parametrize("event", distributor.SWEEPS)
def test_a_name_that_a_unit_yet_to_be_seen_may_have(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """goal-state names one whose joined event is still to come."""
    relation = formed(values={C: T1, "node-d": JOINED})
    goal = {**distributor.names_of([relation]), "microovn/2": "active"}

    state = distributor_unit.hook(event, relation, goal=goal)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: T1, "node-d": JOINED})
    assert "left" not in our_app_bag(state)


@pytest.mark.parametrize("event", distributor.SWEEPS)
def test_a_name_that_a_unit_yet_to_speak_may_have(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """It is seen, and its databag is still empty."""
    state = distributor_unit.hook(event, formed({}, values={C: T1}))

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: T1})
    assert "left" not in our_app_bag(state)


@pytest.mark.parametrize("event", distributor.SWEEPS)
def test_without_goal_state_nobody_has_left_and_nothing_is_granted(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """An old Juju, or an error."""
    no_answer = runner.Answer(1, stderr="ERROR not available")
    cluster = formed(values={C: T1})
    fresh = related("microovn", {0: says(A, "false")}, candidate="microovn/0")

    state = distributor_unit.hook(event, cluster, goal=no_answer)
    fresh_state = distributor_unit.hook(event, fresh, goal=no_answer)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: T1})
    assert "left" not in our_app_bag(state)
    assert our_bag(fresh_state) == shown({A: EMPTY})
    assert our_app_bag(fresh_state) == distributor.LEADER


def test_a_name_comes_back_as_no_member(distributor_unit: distributor.Distributor) -> None:
    """What its earlier machine left in the cluster is still to be seen to."""
    state = distributor_unit.hook("relation_changed", formed(says(C, "false"), left=C), unit=2)

    assert our_bag(state)[f"mirror-{C}"] == EMPTY
    assert our_app_bag(state)["left"] == C


def test_a_name_comes_back_as_a_member(distributor_unit: distributor.Distributor) -> None:
    """It was but out of sight."""
    state = distributor_unit.hook("relation_changed", formed(says(C, "true"), left=C), unit=2)

    assert our_bag(state)[f"mirror-{C}"] == JOINED
    assert "left" not in our_app_bag(state)


# The grant's hardest moment


def test_a_live_cluster_is_related_again_with_a_newcomer_as_leader(
    distributor_unit: distributor.Distributor,
) -> None:
    """All databags are fresh; the newcomer is the first to be seen, and proposes itself."""
    goal = {f"microovn/{number}": "active" for number in range(3)}
    bags: dict[int, dict[str, str]] = {2: says(C, "false")}
    state = distributor_unit.hook(
        "relation_joined", related("microovn", bags, candidate="microovn/2"), unit=2, goal=goal
    )
    assert our_app_bag(state) == distributor.LEADER
    for number, bag in ((1, {}), (0, says(A, "unknown")), (1, says(B, "true"))):
        state = distributor_unit.hook(
            "relation_changed", *distributor.with_bag(state, number, bag), unit=number, goal=goal
        )

        assert "bootstrap-unit" not in our_app_bag(state)

    assert our_bag(state) == shown({A: EMPTY, B: JOINED, C: EMPTY})


def test_a_unit_that_cannot_tell_is_waited_for_though_its_machine_seems_lost(
    distributor_unit: distributor.Distributor,
) -> None:
    """It spoke once, and may be a member of a cluster."""
    relation = related(
        "microovn", {0: says(A, "false"), 1: says(B, "unknown")}, candidate="microovn/0"
    )

    state = distributor_unit.hook(
        "update_status", relation, goal={"microovn/0": "active", "microovn/1": "unknown"}
    )

    assert our_app_bag(state) == distributor.LEADER


@pytest.mark.parametrize("status", ["unknown", "dying"])
def test_a_silent_unit_that_is_not_up_is_not_waited_for(
    distributor_unit: distributor.Distributor, status: str
) -> None:
    """Else a machine that never came up would keep all others waiting."""
    relation = related("microovn", {0: says(A, "false"), 1: {}}, candidate="microovn/0")

    state = distributor_unit.hook(
        "update_status",
        relation,
        goal={"microovn/0": "active", "microovn/1": status, "microovn/2": status},
    )

    assert our_app_bag(state)["bootstrap-unit"] == "microovn/0"


# Several applications


def test_two_applications_see_each_other(distributor_unit: distributor.Distributor) -> None:
    """They form one cluster: a token of the one reaches the other, and no bag differs."""
    first = related("microovn", {0: offering(A, {C: T1}, hold="node-x")}, relation_id=4)
    second = related("sunbeam", {0: says(C, "false"), 1: says(B, "false")}, relation_id=9)

    state = distributor_unit.hook("leader_elected", first, second)

    assert our_bag(state, 4) == shown({A: JOINED, B: EMPTY, C: T1}, hold="node-x")
    assert our_bag(state, 9) == our_bag(state, 4)
    assert our_app_bag(state, 4) == {**distributor.LEADER, "bootstrap-app": "microovn"}
    assert our_app_bag(state, 9) == our_app_bag(state, 4)


def test_an_application_that_comes_later_sees_all(
    distributor_unit: distributor.Distributor,
) -> None:
    """From its first event on."""
    late = related("sunbeam", {}, relation_id=9)

    state = distributor_unit.hook("relation_created", formed(values={C: T1}), late, about=late)

    assert our_bag(state, 9) == our_bag(state, 1) == shown({A: JOINED, B: JOINED, C: T1})
    assert our_app_bag(state, 9) == our_app_bag(state, 1)


def test_the_first_application_leaves_a_cluster(distributor_unit: distributor.Distributor) -> None:
    """Its units were taken one by one; the others keep their cluster."""
    going = formed()
    staying = related(
        "sunbeam",
        {0: offering(C, {})},
        relation_id=2,
        ours=shown({A: JOINED, B: JOINED, C: JOINED}),
        app_bag={**distributor.LEADER, "bootstrap-app": "microovn"},
    )
    goal = {"sunbeam/0": "active"}
    state = distributor_unit.hook("relation_departed", going, staying, unit=0, goal=goal)
    state = distributor_unit.hook("relation_departed", *_without(state, 0), unit=1, goal=goal)
    state = distributor_unit.hook("relation_broken", *_without(state, 1), goal=goal)

    assert our_bag(state, 2) == shown({C: JOINED})
    assert our_app_bag(state, 2) == {
        **distributor.LEADER,
        "bootstrap-app": "microovn",
        "left": f"{A} {B}",
    }


# Leadership


@pytest.mark.parametrize(
    ("event", "number"), [event for event in distributor.EVENTS if event[0] != "leader_elected"]
)
@pytest.mark.parametrize("before", [{}, {"mirror": "down"}, {"mirror": "up"}, {"mirror": "odd"}])
def test_who_does_not_lead_says_so_if_it_ever_led(
    distributor_unit: distributor.Distributor,
    event: str,
    number: int | None,
    before: dict[str, str],
) -> None:
    """And writes nothing else, whatever the event."""
    values = {f"mirror-{C}": T1} if before else {}
    other = {"ours": {**before, **values}, "relation_id": 2}
    relations = [
        related("microovn", {0: says(A, "true")}, ours={**before, **values}),
        related("sunbeam", {0: says(B, "true")}, **cast("Any", other)),
    ]

    state = distributor_unit.hook(event, *relations, unit=number, leader=False)

    after = {**before, "mirror": "down"} if before else {}
    relation_ids = (2,) if event == "relation_broken" else (1, 2)
    for relation_id in relation_ids:
        assert our_bag(state, relation_id) == {**after, **values}
        assert our_app_bag(state, relation_id) == {}


def test_a_new_leader_takes_over_with_an_old_databag(
    distributor_unit: distributor.Distributor,
) -> None:
    """It led before: its values are old, its tokens better than nothing, the rest is in others."""
    relation = related(
        "microovn",
        {
            0: offering(A, {C: T2}),
            1: says(B, "true"),
            2: says(C, "false"),
            3: says("node-d", "false"),
        },
        ours={
            "mirror": "down",
            f"mirror-{A}": EMPTY,
            f"mirror-{C}": T1,
            "mirror-node-d": distributor.token("node-d"),
            "mirror-node-e": JOINED,
            f"failed-{B}": DJ,
            "hold": "node-x",
        },
        app_bag={
            "leader": "distributor/5",
            "bootstrap-app": "microovn",
            "bootstrap-unit": "microovn/0",
            "left": "node-f",
        },
    )

    state = distributor_unit.hook("leader_elected", relation)

    values = {A: JOINED, B: JOINED, C: T2, "node-d": distributor.token("node-d")}
    assert our_bag(state) == {**shown(values), "turns": "1"}
    assert our_app_bag(state) == {
        **distributor.LEADER,
        "bootstrap-app": "microovn",
        "left": "node-f",
    }


def test_who_leads_again_after_another_does_not_believe_its_old_databag(
    distributor_unit: distributor.Distributor,
) -> None:
    """It had no hook while the other led, so its databag still says that it is up."""
    relation = formed(says(C, "false"), values={C: T1}, offers={C: T2})
    distributor.bag(relation.local_app_data)["leader"] = "distributor/5"

    state = distributor_unit.hook("leader_elected", relation)

    assert our_bag(state)[f"mirror-{C}"] == T2


def test_a_member_departed_while_the_distributor_had_no_leader(
    distributor_unit: distributor.Distributor,
) -> None:
    """It is offline for ever, and would hold back all newcomers for ever."""
    state = distributor_unit.hook("update_status", formed())
    app_bag = {**our_app_bag(state), "leader": "distributor/5"}
    relation = related("microovn", {0: offering(A, {}, hold=B)}, app_bag=app_bag)

    state = distributor_unit.hook("leader_elected", relation)

    assert our_app_bag(state)["left"] == B

    gone = offering(A, {}, gone=B)
    state = distributor_unit.hook(
        "relation_changed", *distributor.with_bag(state, 0, gone), unit=0
    )
    state = distributor_unit.hook("update_status", *distributor.with_bag(state, 0, gone))

    assert "left" not in our_app_bag(state)


@pytest.mark.parametrize("number", [None, 0])
def test_a_new_leader_does_not_forget_whom_it_has_yet_to_see(
    distributor_unit: distributor.Distributor, number: int | None
) -> None:
    """It sees the units one by one, and none of the others has left for that."""
    distributor_unit.hook("update_status", formed(says(C, "true")))
    seen = {0: offering(A, {})} if number == 0 else {}
    relation = related("microovn", seen, app_bag={"leader": "distributor/5"})
    goal = {f"microovn/{index}": "active" for index in range(3)}

    event = "relation_created" if number is None else "relation_joined"

    state = distributor_unit.hook(event, relation, unit=number, goal=goal)

    assert "left" not in our_app_bag(state)

    whole = related(
        "microovn",
        {0: offering(A, {}), 1: says(B, "true")},
        ours=our_bag(state),
        app_bag=our_app_bag(state),
    )
    state = distributor_unit.hook("update_status", whole)

    assert our_bag(state) == shown({A: JOINED, B: JOINED})
    assert our_app_bag(state)["left"] == C


def test_a_new_leader_keeps_to_the_grant_of_the_one_before(
    distributor_unit: distributor.Distributor,
) -> None:
    """It is in the application's databag for that."""
    relation = related(
        "microovn",
        {0: says(A, "false"), 1: says(B, "false")},
        candidate="microovn/1",
        app_bag={
            "leader": "distributor/5",
            "bootstrap-app": "microovn",
            "bootstrap-unit": "microovn/0",
        },
    )

    state = distributor_unit.hook("leader_elected", relation)

    assert our_bag(state) == shown({A: EMPTY, B: EMPTY})
    assert our_app_bag(state) == {
        **distributor.LEADER,
        "bootstrap-app": "microovn",
        "bootstrap-unit": "microovn/0",
    }


def test_a_new_leader_without_a_leader_elected_event(
    distributor_unit: distributor.Distributor,
) -> None:
    """Any event will do: Juju may send another one first."""
    relation = formed(says(C, "false"), offers={C: T1})
    distributor.bag(relation.local_unit_data).clear()
    distributor.bag(relation.local_app_data)["leader"] = "distributor/5"

    state = distributor_unit.hook("relation_changed", relation, unit=1)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: T1})
    assert our_app_bag(state)["leader"] == distributor.UNIT


def test_the_leader_of_an_earlier_revision_goes_on(
    distributor_unit: distributor.Distributor,
) -> None:
    """After the upgrade it holds what it held, and says who leads."""
    held = {A: EMPTY, B: distributor.token(B), C: T1}
    bags = {
        0: says(A, mirror="up", **{f"mirror-{B}": distributor.token(B)}),
        1: says(B),
        2: says(C),
    }
    relation = related("microovn", bags, ours=shown(held), app_bag={"bootstrap-app": "microovn"})

    state = distributor_unit.hook("upgrade_charm", relation)

    assert our_bag(state) == shown(held)
    assert our_app_bag(state) == {**distributor.LEADER, "bootstrap-app": "microovn"}


@pytest.mark.parametrize("leader", [True, False])
@pytest.mark.parametrize("number", [0, 1])
def test_the_distributors_own_unit_departs(
    distributor_unit: distributor.Distributor,
    leader: bool,
    number: int,
) -> None:
    """A dying unit is told of each departed unit, and none of them is leaving."""
    relation = formed()

    state = distributor_unit.hook(
        "relation_departed", relation, unit=number, leader=leader, departing=distributor.UNIT
    )

    assert our_bag(state) == shown({A: JOINED, B: JOINED})
    assert our_app_bag(state) == {**distributor.LEADER, "bootstrap-app": "microovn"}
    assert distributor_unit.writes == []


# Names that two units have or had, and applications of other models


def test_of_two_units_of_one_name_the_one_that_is_no_member_departs(
    distributor_unit: distributor.Distributor,
) -> None:
    """The other one must not be removed from the cluster when it is offline for a moment."""
    relation = formed(says(B, "false"))

    state = distributor_unit.hook("relation_departed", relation, unit=2)

    assert our_bag(state) == shown({A: JOINED, B: JOINED})
    assert "left" not in our_app_bag(state)


def test_a_departure_is_told_when_another_member_has_the_name_for_long(
    distributor_unit: distributor.Distributor,
) -> None:
    """As of a unit removed by force, once the agent restarts; the member may be down just now."""
    relation = formed(says(B, "true"))

    state = distributor_unit.hook("relation_departed", relation, unit=1)

    assert our_bag(state) == shown({A: JOINED, B: JOINED})
    assert "left" not in our_app_bag(state)


def test_a_unit_that_is_kept_from_leaving_hides_nobody_who_left(
    distributor_unit: distributor.Distributor,
) -> None:
    """It has departed, and its cluster waits for one that nobody remembers but the memory."""
    relation = formed()
    distributor_unit.memory = {f"host-{C}": "known"}
    goal = {**distributor.names_of([relation]), "microovn/7": "dying"}

    state = distributor_unit.hook("update_status", relation, goal=goal)

    assert our_app_bag(state)["left"] == C


def test_a_lost_unit_that_has_not_been_heard_hides_who_left(
    distributor_unit: distributor.Distributor,
) -> None:
    """The name that is remembered may be its own."""
    relation = formed()
    distributor_unit.memory = {f"host-{C}": "known"}
    goal = {**distributor.names_of([relation]), "microovn/7": "unknown"}

    state = distributor_unit.hook("update_status", relation, goal=goal)

    assert "left" not in our_app_bag(state)


def test_a_ghosts_successor_keeps_its_token(distributor_unit: distributor.Distributor) -> None:
    """The communicator that issued it is lost, and the cluster issues no other for hours."""
    relation = formed(says(C, "true"), says(C, "false"), values={C: T1})
    goal = {"microovn/0": "active", "microovn/1": "active", "microovn/3": "active"}

    state = distributor_unit.hook("update_status", relation, goal=goal)

    assert our_bag(state)[f"mirror-{C}"] == T1
    assert "left" not in our_app_bag(state)


@pytest.mark.parametrize("event", distributor.SWEEPS)
def test_an_application_of_another_model(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """On the offering side of a relation across models, goal-state does not mention it."""
    remote = related("remote-5c1e", {0: says(C, "true")}, relation_id=2)
    goal = distributor.goal_state({"microovn/0": "active", "microovn/1": "active"}, ["microovn"])

    state = distributor_unit.hook(event, formed(values={C: JOINED}), remote, goal=goal)

    assert our_bag(state) == shown({A: JOINED, B: JOINED, C: JOINED})
    assert "left" not in our_app_bag(state)


def test_a_live_cluster_in_another_model_is_related_again(
    distributor_unit: distributor.Distributor,
) -> None:
    """goal-state does not name its units: that none has been seen yet says nothing."""
    local = related("microovn", {0: says(A, "false")}, candidate="microovn/0")
    remote = related("remote-5c1e", {0: {}}, relation_id=2)
    goal = distributor.goal_state({"microovn/0": "active"}, ["microovn"])

    state = distributor_unit.hook("update_status", local, remote, goal=goal)

    assert our_app_bag(state) == distributor.LEADER


# Helpers


def _without(state: ops.testing.State, number: int) -> list[ops.testing.Relation]:
    """Give the relations without a unit of the first application."""
    first, *others = distributor.relations_of(state)
    bags = {unit: bag for unit, bag in first.remote_units_data.items() if unit != number}
    return [dataclasses.replace(first, remote_units_data=bags), *others]
