"""The model of Juju takes units, relations and applications away as Juju does."""

from __future__ import annotations

from typing import Any

import ops
import pytest

from tests import juju_model
from tests.juju_model import toys
from tests.model.pairs import kinds, names, pair, write, writer

SEEDS = range(5)


def test_departed_names_the_leaver_and_its_data_is_still_readable() -> None:
    """While `relation-list` no longer names it."""
    seen: list[tuple[str, Any, str, list[str]]] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent):
            members = sorted(unit.name for unit in event.relation.units)
            what = event.relation.data[event.unit].get("what", "-")
            seen.append((self.unit.name, event.departing_unit, what, members))

    with pair(
        left=toys.provider("left", react), right=writer(toys.requirer, "right"), units=(1, 2)
    ) as juju:
        write(juju, "right/0", what="ever")
        juju.remove_unit("right/0")
        juju.settle()

    assert [(u, leaver.name, what, rest) for u, leaver, what, rest in seen] == [
        ("left/0", "right/0", "ever", ["right/1"])
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_a_dying_unit_departs_itself_for_every_member_then_breaks_stops_and_is_removed(
    number: int,
) -> None:
    """With unit number 0, which `ops.testing` cannot tell from none, and another."""
    leavers: list[Any] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent) and self.app.name == "right":
            leavers.append(event.departing_unit)

    with pair(right=toys.requirer("right", react), units=(3, 2)) as juju:
        since = len(juju.trace)
        juju.remove_unit(f"right/{number}")
        juju.settle()
        run = names(juju, f"right/{number}", since)
        left = juju.units("right")

    assert run == [
        "relation-departed left/0",
        "relation-departed left/1",
        "relation-departed left/2",
        "relation-broken",
        "stop",
        "remove",
    ]
    assert [leaver.name for leaver in leavers] == [f"right/{number}"] * 3
    assert left == [f"right/{1 - number}"]


def test_in_4_x_the_others_hear_of_a_leaver_only_after_its_broken() -> None:
    """For all seeds."""
    for seed in SEEDS:
        with pair(seed, units=(2, 2)) as juju:
            since = len(juju.trace)
            juju.remove_unit("right/0")
            juju.settle()
            order = kinds(list(juju.trace)[since:])

        broken = order.index("right/0 relation-broken None")
        assert broken < order.index("left/0 relation-departed right/0")
        assert broken < order.index("left/1 relation-departed right/0")


def test_in_3_x_the_others_may_hear_of_a_leaver_while_it_still_works() -> None:
    """For some seed."""

    def early(seed: int) -> bool:
        with pair(seed, units=(2, 2), version="3.6") as juju:
            since = len(juju.trace)
            juju.remove_unit("right/0")
            juju.settle()
            order = kinds(list(juju.trace)[since:])
        broken = order.index("right/0 relation-broken None")
        return order.index("left/0 relation-departed right/0") < broken

    assert any(early(seed) for seed in range(10))


@pytest.mark.parametrize(("version", "told"), [("4.0", False), ("3.6", True)])
def test_peers_of_a_removed_unit_hear_of_it_in_3_x_and_not_in_4_0_15(
    version: str,
    told: bool,
) -> None:
    """On 4.0.15 the removed unit stays in `relation-list`."""
    with juju_model.Juju(version=version) as juju:
        juju.deploy(toys.toy("left"), units=2)
        juju.settle()
        since = len(juju.trace)
        juju.remove_unit("left/0")
        juju.settle()
        run = names(juju, "left/1", since)
        known = juju.members("left/1", 0)

    assert ("relation-departed left/0" in run) is told
    assert (known == []) is told


def test_removed_by_force_on_4_0_15_leaves_a_ghost_until_the_agent_restarts() -> None:
    """Its data can be read, and no hook runs."""
    with pair(right=writer(toys.requirer, "right"), units=(1, 2)) as juju:
        write(juju, "right/0", what="ever")
        juju.kill_machine("right/0")
        juju.settle()
        since = len(juju.trace)
        juju.remove_unit("right/0", force=True)
        juju.settle()
        run = names(juju, "left/0", since)
        known = juju.members("left/0", 0)
        data = juju.bag("right/0", relation_id=0)
        juju.restart_agent("left/0")
        juju.settle()

        assert (run, known, data["what"]) == ([], ["right/0", "right/1"], "ever")
        assert juju.members("left/0", 0) == ["right/1"]


def test_a_ghost_is_not_departed_even_when_it_had_news() -> None:
    """It wrote, and was gone before the other side had looked."""
    with pair(right=writer(toys.requirer, "right"), units=(1, 2)) as juju:
        since = len(juju.trace)
        juju.run_action("right/0", "do", app=False, data={"what": "ever"})
        juju.kill_machine("right/0")
        juju.remove_unit("right/0", force=True)
        juju.settle()

        assert names(juju, "left/0", since) == []
        assert juju.members("left/0", 0) == ["right/0", "right/1"]


def test_removed_by_force_gives_departed_where_juju_does_so() -> None:
    """Without waiting for any restart."""
    behaviour = juju_model.Behaviour(force_departs=True)
    with pair(units=(1, 2), behaviour=behaviour) as juju:
        juju.kill_machine("right/0")
        juju.remove_unit("right/0", force=True)
        juju.settle()

        assert names(juju, "left/0")[-1] == "relation-departed right/0"


def test_a_removed_relation_is_departed_and_broken_on_both_sides() -> None:
    """And is gone when both sides are through."""
    with pair(units=(2, 2)) as juju:
        since = len(juju.trace)
        juju.remove_relation("left", "right")
        juju.settle()
        left, right = names(juju, "left/0", since), names(juju, "right/1", since)

        assert left == [
            "relation-departed right/0",
            "relation-departed right/1",
            "relation-broken",
        ]
        assert right == ["relation-departed left/0", "relation-departed left/1", "relation-broken"]
        assert juju.relation_ids("left") == []


def test_a_relation_removed_before_its_created_hook_has_no_hook_at_all() -> None:
    """On neither side."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.provider())
        juju.deploy(toys.requirer())
        juju.settle()
        since = len(juju.trace)
        juju.integrate("left", "right")
        juju.remove_relation("left", "right")
        juju.settle()

        assert len(juju.trace) == since
        assert juju.relation_ids("left") == []


def test_a_relation_made_again_has_fresh_databags() -> None:
    """And a new id."""
    with pair(right=writer(toys.requirer, "right")) as juju:
        write(juju, "right/0", what="ever")
        juju.remove_relation("left", "right")
        juju.settle()
        again = juju.integrate("left", "right")
        juju.settle()

        assert again == 1
        assert "what" not in juju.bag("right/0", "want")
        assert juju.members("left/0", again) == ["right/0", "right/1"]


def test_a_relation_removed_and_made_again_at_once_is_another_relation() -> None:
    """The old one ends beside the new."""
    with pair() as juju:
        juju.remove_relation("left", "right")
        again = juju.integrate("left", "right")
        juju.settle()

        assert juju.relation_ids("right") == [again]
        assert juju.members("right/0", again) == ["left/0"]


def test_a_removed_application_leaves_nothing_behind() -> None:
    """Not even its databags."""
    with pair(units=(2, 2)) as juju:
        juju.remove_application("right")
        juju.settle()
        views = list(juju.bags())

        assert set(juju.apps) == {"left"}
        assert juju.units("right") == []
        assert views == []


def test_an_application_scaled_to_zero_and_back_keeps_its_databag() -> None:
    """The new unit has a new number and leads."""
    with pair(right=writer(toys.requirer, "right"), units=(1, 1)) as juju:
        write(juju, "right/0", app=True, what="ever")
        juju.remove_unit("right/0")
        juju.settle()
        leader = juju.leader("right")
        back = juju.add_unit("right")
        juju.settle()

        assert (leader, back) == (None, "right/1")
        assert juju.leader("right") == "right/1"
        assert juju.bag("right", "want") == {"what": "ever"}
