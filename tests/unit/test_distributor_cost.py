"""What the distributor's hooks cost: the databags that they read, the keys that they write."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import ops.testing

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
A, B, C = "node-a", "node-b", "node-c"
T1, T2 = sorted(distributor.token(C, number) for number in (1, 2))
D1, DJ = lib.digest(T1), lib.digest(JOINED)
says, offering, related = distributor.says, distributor.offering, distributor.related
our_bag, our_app_bag = distributor.our_bag, distributor.our_app_bag
formed, shown = distributor.formed, distributor.shown


@pytest.mark.parametrize(("event", "number"), distributor.EVENTS)
@pytest.mark.parametrize("situation", ["before", "granted", "formed", "held", "taken over"])
def test_nothing_is_written_twice(
    distributor_unit: distributor.Distributor, event: str, number: int | None, situation: str
) -> None:
    """The same event over what it left behind writes nothing, not even the same again."""
    newcomers = {0: says(A, "false"), 1: says(B, "false")}
    relation = {
        "before": related("microovn", newcomers),
        "granted": related("microovn", newcomers, candidate="microovn/1"),
        "formed": formed(
            says(C, "false", failed=D1), values={C: T1}, offers={C: T2}, left="node-x"
        ),
        "held": formed(says(C, "false"), hold=f"{B} node-x", offers={C: T1}),
        "taken over": related(
            "microovn",
            newcomers,
            ours={"mirror": "down", f"mirror-{A}": JOINED, "hold": "node-q"},
            app_bag={"leader": "distributor/5", "left": "node-z"},
        ),
    }[situation]
    other = related("sunbeam", {0: says("node-s", "false")}, relation_id=2)
    first = distributor_unit.hook(event, relation, other, unit=number)
    if event != "relation_broken":
        assert distributor_unit.writes

    second = distributor_unit.hook(event, *distributor.relations_of(first), unit=number)

    assert distributor_unit.writes == []
    assert distributor.relations_of(second) == distributor.relations_of(first)
    assert our_bag(first, 2)["mirror"] == "up"


def test_the_keys_of_others_in_our_databag_stay(distributor_unit: distributor.Distributor) -> None:
    """Juju's own, and those of another library or of a later patch."""
    others = {"egress-subnets": "10.0.0.1/32", "schema": "2"}
    relation = formed(values={C: EMPTY})
    distributor.bag(relation.local_unit_data).update(others)
    distributor.bag(relation.local_app_data)["schema"] = "2"

    state = distributor_unit.hook("update_status", relation)

    assert our_bag(state) == {**others, **shown({A: JOINED, B: JOINED})}
    assert our_app_bag(state)["schema"] == "2"


FIFTY = range(50)


def fifty(**ours: Any) -> ops.testing.Relation:
    """Make a relation with a cluster of 49 units, and a newcomer as the last."""
    bags = {number: says(f"node-{number}", "true") for number in FIFTY}
    bags[0] = offering("node-0", {})
    bags[49] = says("node-49", "false")
    values = {**{f"node-{number}": JOINED for number in FIFTY}, "node-49": EMPTY}
    return related(
        "microovn",
        bags,
        ours=shown(values, **ours),
        app_bag={**distributor.LEADER, "bootstrap-app": "microovn"},
    )


@pytest.mark.parametrize(
    ("event", "number", "bag"),
    [
        pytest.param("relation_changed", 7, says("node-7", "true"), id="a member"),
        pytest.param("relation_changed", 49, says("node-49", "true"), id="one that joined"),
        pytest.param("relation_changed", 49, says("node-49", "false"), id="a newcomer"),
        pytest.param(
            "relation_changed",
            0,
            offering("node-0", {"node-49": distributor.token("node-49")}),
            id="the communicator",
        ),
        pytest.param("relation_joined", 49, {}, id="one that has yet to speak"),
        pytest.param("relation_departed", 7, says("node-7", "true"), id="one that departed"),
    ],
)
def test_an_ordinary_event_reads_one_databag_of_fifty(
    distributor_unit: distributor.Distributor, event: str, number: int, bag: dict[str, str]
) -> None:
    """That of the unit that it is about, and the distributor's own three."""
    distributor_unit.memory = {"named-microovn": "true", "expected": "50"}
    relation = fifty()
    cast("dict[int, dict[str, str]]", relation.remote_units_data)[number] = bag
    leaving = {"microovn/7": "dying"} if event == "relation_departed" else {}

    distributor_unit.hook(
        event, relation, unit=number, goal={**distributor.names_of([relation]), **leaving}
    )

    assert sorted(distributor_unit.reads) == [
        distributor.APP,
        distributor.UNIT,
        distributor.MEMORY,
        f"microovn/{number}",
    ]


def test_an_applications_change_reads_no_units_databag(
    distributor_unit: distributor.Distributor,
) -> None:
    """Once there is a cluster, nobody's proposal is of interest."""
    distributor_unit.memory = {"named-microovn": "true"}

    distributor_unit.hook("relation_changed", fifty())

    assert sorted(distributor_unit.reads) == [
        distributor.APP,
        distributor.UNIT,
        distributor.MEMORY,
    ]


TALLY = lib.Tally(50, joined=40, waiting=1, cluster=True)


@pytest.mark.parametrize(
    ("number", "bag", "state", "after", "tally"),
    [
        pytest.param(7, says("node-7", "true"), JOINED, JOINED, TALLY, id="a member"),
        pytest.param(
            7,
            says("node-7", "true"),
            lib.OFFERED,
            JOINED,
            dataclasses.replace(TALLY, joined=41),
            id="one that joined",
        ),
        pytest.param(
            7,
            says("node-7", "true"),
            EMPTY,
            JOINED,
            dataclasses.replace(TALLY, joined=41, waiting=0),
            id="one that joined without a token",
        ),
        pytest.param(7, says("node-7", "false"), EMPTY, EMPTY, TALLY, id="one that waits"),
        pytest.param(
            7,
            says("node-7", "false"),
            "",
            lib.WAITING,
            dataclasses.replace(TALLY, hosts=51, unshown=1, waiting=2),
            id="a newcomer",
        ),
        pytest.param(7, {}, EMPTY, EMPTY, TALLY, id="one that has yet to speak"),
    ],
)
def test_what_is_put_off_costs_a_few_keys(
    distributor_unit: distributor.Distributor,
    number: int,
    bag: dict[str, str],
    state: str,
    after: str,
    tally: lib.Tally,
) -> None:
    """No databag is read that grows with the units, and none is written."""
    before = {"named-microovn": "true", "expected": "99", "tally": TALLY.to_text()}
    distributor_unit.memory = {**before, **({"host-node-7": state} if state else {})}
    relation = fifty()
    cast("dict[int, dict[str, str]]", relation.remote_units_data)[number] = bag

    distributor_unit.hook("relation_changed", relation, unit=number)

    assert sorted(distributor_unit.reads) == [distributor.APP, f"microovn/{number}"]
    assert set(distributor_unit.keys) <= {"tally", "named-microovn", "host-node-7", "expected"}
    assert {owner for owner, _ in distributor_unit.writes} <= {distributor.MEMORY}
    assert distributor_unit.memory == {**before, "host-node-7": after, "tally": tally.to_text()}


@pytest.mark.parametrize(
    ("bag", "more", "ours"),
    [
        pytest.param(offering("node-7", {}), {}, {}, id="one that speaks for the cluster"),
        pytest.param(
            says("node-7", "false"), {"host-node-7": JOINED}, {}, id="no member any more"
        ),
        pytest.param(says("node-7", "true"), {"host-node-7": lib.KNOWN}, {}, id="much to be said"),
        pytest.param(says("="), {}, {}, id="no host name"),
        pytest.param(says("node-7", "true"), {"named-microovn": ""}, {}, id="an application anew"),
        pytest.param(says("node-7", "true"), {"tally": "{}"}, {}, id="the last newcomer"),
        pytest.param(says("node-7", "true"), {}, {"left": "node-7"}, id="one that came back"),
        pytest.param(says("node-7", "true"), {}, {"leader": "distributor/9"}, id="a new leader"),
    ],
)
def test_what_a_few_keys_do_not_settle(
    distributor_unit: distributor.Distributor,
    bag: dict[str, str],
    more: dict[str, str],
    ours: dict[str, str],
) -> None:
    """There is something to be shown, or another unit's word to be heard."""
    keys = {"named-microovn": "true", "expected": "99", "tally": TALLY.to_text(), **more}
    distributor_unit.memory = {key: value for key, value in keys.items() if value}
    relation = fifty()
    cast("dict[int, dict[str, str]]", relation.remote_units_data)[7] = bag
    distributor.bag(relation.local_app_data).update(ours)

    distributor_unit.hook("relation_changed", relation, unit=7)

    assert distributor.UNIT in distributor_unit.reads


def test_without_the_tools_whole_databags_are_read(
    distributor_unit: distributor.Distributor,
) -> None:
    """The result is the same."""
    distributor_unit.memory = {
        "named-microovn": "true",
        "expected": "99",
        "tally": TALLY.to_text(),
    }
    distributor_unit.has_tools = False
    relation = fifty()
    cast("dict[int, dict[str, str]]", relation.remote_units_data)[7] = says("node-7", "true")

    distributor_unit.hook("relation_changed", relation, unit=7)

    assert distributor.MEMORY in distributor_unit.reads
    assert distributor_unit.memory["host-node-7"] == JOINED
    moved = dataclasses.replace(TALLY, hosts=51, unshown=1, joined=41)
    assert distributor_unit.memory["tally"] == moved.to_text()


@pytest.mark.parametrize(
    ("number", "bag"),
    [
        pytest.param(0, offering("node-0", {}, hold="node-3"), id="somebody is down"),
        pytest.param(7, says("node-7", "false"), id="one dropped out"),
        pytest.param(49, says("node-49", "false", failed=lib.digest(EMPTY)), id="a failure"),
    ],
)
def test_a_conflict_is_settled_by_reading_all(
    distributor_unit: distributor.Distributor, number: int, bag: dict[str, str]
) -> None:
    """Each databag once."""
    relation = fifty()
    cast("dict[int, dict[str, str]]", relation.remote_units_data)[number] = bag

    distributor_unit.hook("relation_changed", relation, unit=number)

    assert sorted(distributor_unit.reads) == sorted(
        [
            distributor.APP,
            distributor.MEMORY,
            distributor.UNIT,
            "microovn",
            *(f"microovn/{index}" for index in FIFTY),
        ]
    )


def test_before_there_is_a_cluster_most_events_read_one_databag(
    distributor_unit: distributor.Distributor,
) -> None:
    """Only the last unit that goal-state names makes it worth while to read all."""
    bags = {number: says(f"node-{number}", "false") for number in FIFTY}
    goal = {f"microovn/{number}": "active" for number in FIFTY}

    states = [
        (
            our_app_bag(state).get("bootstrap-unit"),
            sum(name.startswith("microovn/") for name in distributor_unit.reads),
        )
        for state in _speak_in_turn(distributor_unit, bags, goal)
    ]

    assert states == [(None, 1)] * 49 + [("microovn/0", 50)]


def test_goal_state_is_asked_once_in_a_hook(distributor_unit: distributor.Distributor) -> None:
    """Also in one that finds out in the end that all units have to be read."""
    goal = {"microovn/0": "active", "microovn/1": "active"}
    bags = {0: says(A, "false"), 1: says(B, "false")}

    states = [
        (our_app_bag(state).get("bootstrap-unit"), distributor_unit.asked)
        for state in _speak_in_turn(distributor_unit, bags, goal)
    ]

    assert states == [(None, 1), ("microovn/0", 1)]


def _speak_in_turn(
    unit: distributor.Distributor, bags: Mapping[int, Mapping[str, str]], goal: Mapping[str, str]
) -> Iterator[ops.testing.State]:
    """Relate an application, let its units speak one by one, and give the state after each."""
    state = unit.hook(
        "relation_created", related("microovn", {}, candidate="microovn/0"), goal=goal
    )
    for number, bag in bags.items():
        state = unit.hook(
            "relation_changed", *distributor.with_bag(state, number, bag), unit=number, goal=goal
        )
        yield state
