"""Which hooks the model of Juju runs, in which order and about whom, as Juju does."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import ops
import pytest

from tests import juju_model
from tests.juju_model.stub_charms import Stub, stub
from tests.model.pairs import hooks, leader, pair, see, write

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_unit_starts_before_it_joins(seed: int) -> None:
    """Its relations are created before, also that with its peers."""
    with juju_model.Juju(seed) as juju:
        juju.deploy(stub("link", "peers"), "left")
        juju.deploy(stub("want"), "right", units=3)
        juju.integrate("left", "right")
        juju.settle()
        ran = hooks(juju)

    assert ran["left/0"][:6] == [
        *("install", "created", "created", "leader-elected", "config-changed", "start")
    ]
    for unit in ("right/0", "right/1", "right/2"):
        first = next(i for i, hook in enumerate(ran[unit]) if hook.startswith("joined"))
        assert ran[unit].index("start") < first
        assert ran[unit][first : first + 2] == ["joined left/0", "changed left/0"]


def test_created_comes_in_no_fixed_order_and_can_come_after_the_other_sides_joined() -> None:
    orders: set[tuple[str, ...]] = set()
    early: set[bool] = set()
    for seed in range(20):
        with juju_model.Juju(seed) as juju:
            juju.deploy(stub("link", "want", "peers"), "left")
            juju.settle()
            juju.deploy(stub("link", "want", "peers"), "right")
            juju.integrate("left:link", "right:want")
            juju.integrate("left:want", "right:link")
            juju.settle()
            created = [h for h in juju.trace if h.name.endswith("created") and h.unit == "right/0"]
            orders.add(tuple(hook.due.endpoint for hook in created))
            joined = next(h for h in juju.trace if h.kind == "relation-joined")
            early.add(joined.time < max(hook.time for hook in created))

    assert len(orders) > 2
    assert early == {True, False}


def test_units_join_one_by_one_in_the_order_of_their_names_as_strings() -> None:
    """`relation-list` has those joined so far and the one joining."""
    seen: list[tuple[str, list[str]]] = []

    def react(self: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationJoinedEvent):
            assert self.unit.name == "left/0"
            seen.append((event.unit.name, sorted(unit.name for unit in event.relation.units)))

    with juju_model.Juju() as juju:
        juju.deploy(stub("want"), "right", units=11)
        juju.deploy(stub("link", react=react), "left")
        juju.settle()
        juju.integrate("left", "right")
        juju.settle()

    in_order = sorted(f"right/{number}" for number in range(11))
    assert seen == [(unit, in_order[: i + 1]) for i, unit in enumerate(in_order)]


def late_news(juju: juju_model.Juju) -> None:
    """Let everything happen in the relation of `left/0` while it sleeps."""
    juju.set_leader("right/1")
    juju.settle()
    juju.kill_machine("left/0")
    juju.remove_unit("right/0")
    juju.add_unit("right")
    juju.settle()
    write(juju, "right/1", app=True, what="ever")
    write(juju, "right/2", what="ever")
    juju.start_machine("left/0")


def kill_and_force(juju: juju_model.Juju) -> None:
    """Remove a unit by force that has written just before its machine died."""
    write(juju, "right/0", what="ever")
    juju.kill_machine("right/0")
    juju.remove_unit("right/0", force=True)


def written_twice(second: str) -> Callable[[juju_model.Juju], object]:
    """Let a unit write, and write again before the others have looked."""
    return lambda juju: (write(juju, "right/0", k="1"), write(juju, "right/0", k=second))


def come_back_in_time(juju: juju_model.Juju) -> None:
    """Let a leader's machine reboot within its lease."""
    juju.kill_machine("right/0")
    juju.advance(20)
    juju.start_machine("right/0")


Happens = Callable[[juju_model.Juju], object]
# A fact: how the pair is made, what happens, and all hooks that follow. `right/0` leads.
FACTS: dict[str, tuple[dict[str, Any], Happens, list[str]]] = {
    "a write is one changed for each unit on the other side, whatever it wrote": (
        {"units": (2, 2)},
        lambda juju: write(juju, "right/0", one="1", two="2"),
        ["left/0: changed right/0", "left/1: changed right/0"],
    ),
    "a write that changes nothing is no event": (
        {},
        lambda juju: (write(juju, "right/0", k="1"), juju.settle(), write(juju, "right/0", k="1")),
        ["left/0: changed right/0"],
    ),
    "many writes become one event": (
        {},
        written_twice("2"),
        ["left/0: changed right/0"],
    ),
    "4.0: a value that changes and changes back is no event": ({}, written_twice(""), []),
    "3.6: a value that changes and changes back is an event": (
        {"version": "3.6"},
        written_twice(""),
        ["left/0: changed right/0"],
    ),
    "application data changed is about no unit": (
        {},
        lambda juju: write(juju, "right/0", app=True, k="1"),
        ["left/0: changed"],
    ),
    "a write is an event for peers and not for the writer": (
        {"left": stub("peers"), "units": (3, 0)},
        lambda juju: write(juju, "left/1", k="1"),
        ["left/0: changed left/1", "left/2: changed left/1"],
    ),
    "application data is an event for peers and not for the leader": (
        {"left": stub("peers"), "units": (3, 0)},
        lambda juju: write(juju, "left/0", app=True, k="1"),
        ["left/1: changed", "left/2: changed"],
    ),
    "departed comes before application changed, joined and changed": (
        {"units": (1, 3)},
        late_news,
        [
            "left/0: start, leader-elected, departed right/0, changed, "
            "joined right/3, changed right/3, changed right/2",
            "right/0: departed left/0, broken, stop, remove",
            "right/1: leader-elected",
            "right/3: install, created, config-changed, start, joined left/0, changed left/0",
        ],
    ),
    "a lost machine fires no hook anywhere": ({}, lambda juju: juju.kill_machine("right/1"), []),
    "a leader that is back in time keeps the lease, and starts again": (
        {},
        come_back_in_time,
        ["right/0: start"],
    ),
    "there is no hook for losing the lead": (
        {},
        lambda juju: juju.depose("right"),
        ["right/1: leader-elected"],
    ),
    "update-status comes when there is nothing else to do": (
        {"units": (1, 1)},
        lambda juju: (write(juju, "right/0", k="1"), juju.update_status_round()),
        ["left/0: changed right/0, update-status", "right/0: update-status"],
    ),
    "an agent that was dead runs no start hook": (
        {"units": (0, 2)},
        lambda juju: (
            juju.stop_agent("right/1"),
            juju.update_status_round(),
            juju.start_machine("right/1"),
            juju.update_status_round(),
        ),
        ["right/0: update-status, update-status", "right/1: update-status"],
    ),
    "a unit runs the old charm until upgrade-charm, and ignores new endpoints": (
        {"units": (2, 0)},
        lambda juju: (
            juju.set_leader("left/1"),
            juju.settle(),
            juju.kill_machine("left/0"),
            juju.refresh("left", stub("link", "peers")),
            juju.settle(),
            juju.start_machine("left/0"),
        ),
        [
            "left/0: start, upgrade-charm, created, config-changed, joined left/1, changed left/1",
            "left/1: leader-elected, upgrade-charm, created, config-changed, "
            "joined left/0, changed left/0",
        ],
    ),
    "a removed unit departs from every member, breaks, stops and is gone": (
        {"units": (2, 2)},
        lambda juju: juju.remove_unit("right/1"),
        [
            "left/0: departed right/1",
            "left/1: departed right/1",
            "right/1: departed left/0, departed left/1, broken, stop, remove",
        ],
    ),
    "4.0: a removed unit does not depart from its peers": (
        {"left": stub("peers"), "units": (2, 0)},
        lambda juju: juju.remove_unit("left/1"),
        ["left/1: departed left/0, stop, remove"],
    ),
    "3.6: a removed unit departs from its peers": (
        {"left": stub("peers"), "units": (2, 0), "version": "3.6"},
        lambda juju: juju.remove_unit("left/1"),
        ["left/0: departed left/1", "left/1: departed left/0, stop, remove"],
    ),
    "4.0: who is removed by force departs when the agent restarts, or never": (
        {"units": (2, 2)},
        lambda juju: (kill_and_force(juju), juju.settle(), juju.restart_agent("left/0")),
        ["left/0: departed right/0", "right/1: leader-elected"],
    ),
    "3.6: who is removed by force departs": (
        {"version": "3.6"},
        kill_and_force,
        ["left/0: departed right/0", "right/1: leader-elected"],
    ),
    "a removed relation is departed and broken on both sides": (
        {"units": (2, 2)},
        lambda juju: juju.remove_relation("left", "right"),
        [
            "left/0: departed right/0, departed right/1, broken",
            "left/1: departed right/0, departed right/1, broken",
            "right/0: departed left/0, departed left/1, broken",
            "right/1: departed left/0, departed left/1, broken",
        ],
    ),
    "a relation removed before it was created has no hook": (
        {"units": (1, 1)},
        lambda juju: (
            juju.deploy(stub("link"), "other", units=0),
            juju.integrate("other", "right"),
            juju.remove_relation("other", "right"),
        ),
        [],
    ),
    "a relation made again at once is another one": (
        {"units": (0, 1)},
        lambda juju: (juju.remove_relation("left", "right"), juju.integrate("left", "right")),
        ["right/0: created, broken"],
    ),
    "a unit whose machine never comes runs no hook and is removed without one": (
        {},
        lambda juju: (
            juju.add_unit("right", provisioned=False),
            juju.settle(),
            juju.remove_unit("right/2"),
        ),
        [],
    ),
    "a unit whose machine comes late starts like any other": (
        {"units": (0, 1)},
        lambda juju: (juju.add_unit("right", provisioned=False), juju.provision("right/1")),
        ["right/1: install, created, config-changed, start"],
    ),
    "a suspended offer is departed and broken on both sides, and not created by newcomers": (
        {"offer": True, "units": (2, 2)},
        lambda juju: (juju.suspend(0), juju.add_unit("right")),
        [
            "left/0: departed right/0, departed right/1, broken",
            "left/1: departed right/0, departed right/1, broken",
            "right/0: departed left/0, departed left/1, broken",
            "right/1: departed left/0, departed left/1, broken",
            "right/2: install, config-changed, start",
        ],
    ),
    "a resumed offer is created and joined again": (
        {"offer": True, "units": (1, 1)},
        lambda juju: (
            write(juju, "left/0", app=True, k="1"),
            write(juju, "left/0", k="1"),
            juju.suspend(0),
            juju.settle(),
            juju.resume(0),
        ),
        [
            "left/0: departed right/0, broken, created, joined right/0, changed right/0",
            "right/0: departed left/0, broken, created, changed, joined left/0, changed left/0",
        ],
    ),
    "an offer resumed before a unit has left it is joined again there": (
        {"offer": True, "units": (1, 2)},
        lambda juju: (
            juju.kill_machine("right/1"),
            juju.suspend(0),
            juju.settle(),
            juju.resume(0),
            juju.settle(),
            juju.start_machine("right/1"),
        ),
        [
            "left/0: departed right/0, departed right/1, broken, created, "
            "joined right/0, changed right/0, joined right/1, changed right/1",
            "right/0: departed left/0, broken, created, joined left/0, changed left/0",
            "right/1: start",
        ],
    ),
}


@pytest.mark.parametrize("fact", FACTS)
def test_hooks_that_follow(fact: str) -> None:
    options, happens, expected = FACTS[fact]
    with pair(**options) as juju:
        for app in ("left", "right"):
            if units := juju.units(app):
                juju.set_leader(units[0])
        juju.settle()
        since = len(juju.trace)

        happens(juju)
        juju.settle()

        ran = sorted(hooks(juju, since).items())
        assert [f"{unit}: {', '.join(hooked)}" for unit, hooked in ran] == expected


def test_other_relations_go_before_those_of_peers() -> None:
    for seed in SEEDS:
        with pair(seed, left=stub("link", "peers"), units=(1, 1)) as juju:
            juju.kill_machine("left/0")
            juju.add_unit("left")
            juju.add_unit("right")
            juju.settle()
            since = len(juju.trace)
            juju.start_machine("left/0")
            juju.settle()
            ran = [h.due.endpoint for h in list(juju.trace)[since:] if h.unit == "left/0"]

        assert [endpoint for endpoint in ran if endpoint] == ["link", "link", "peers", "peers"]


@pytest.mark.parametrize(("version", "early"), [("4.0", {False}), ("3.6", {False, True})])
def test_others_learn_of_a_leaver_after_its_broken_hook_or_in_3_6_before(
    version: str, early: set[bool]
) -> None:
    found: set[bool] = set()
    for seed in range(10):
        with pair(seed, version=version) as juju:
            juju.remove_unit("right/0")
            juju.settle()
            ends = {(hook.unit, hook.kind): hook.time for hook in juju.trace}
        found.add(ends["left/0", "relation-departed"] < ends["right/0", "relation-broken"])

    assert found == early


def test_a_lost_leader_is_replaced_after_31_to_66_seconds_and_a_removed_one_at_once() -> None:
    waits: list[float] = []
    for seed in range(20):
        with pair(seed, units=(0, 3)) as juju:
            old, killed = leader(juju, "right"), juju.now
            juju.kill_machine(old)
            juju.advance(30.9)
            assert juju.leader("right") == old
            juju.settle()
            last = juju.trace[-1]
            assert (last.kind, last.unit) == ("leader-elected", juju.leader("right"))
            waits.append(last.time - killed)
            juju.remove_unit(last.unit, force=True)
            juju.settle()
            assert juju.leader("right") not in (old, last.unit)

    assert 31 <= min(waits) < max(waits) <= 66


def test_a_leader_that_answers_its_predecessor_is_not_told_of_itself() -> None:
    def react(self: Stub, event: ops.EventBase) -> None:
        if not isinstance(event, ops.RelationChangedEvent) or event.unit is not None:
            return
        if self.unit.is_leader():
            event.relation.data[self.app]["by"] = self.unit.name

    with juju_model.Juju() as juju:
        juju.deploy(stub("peers", react=react), "left", units=2)
        juju.settle()
        old = leader(juju, "left")
        write(juju, old, app=True, by=old)
        new = juju.depose("left")
        assert new is not None
        since = len(juju.trace)
        juju.settle()

        assert hooks(juju, since) == {new: ["leader-elected", "changed"], old: ["changed"]}
        assert juju.bag("left", "peers") == {"by": new}


def test_a_removed_application_leaves_nothing_and_one_without_units_keeps_its_databag() -> None:
    with pair(units=(2, 1)) as juju:
        write(juju, "right/0", app=True, what="ever")
        juju.remove_unit("right/0")
        juju.settle()
        without = juju.leader("right")
        juju.add_unit("right")
        juju.settle()

        assert (without, juju.leader("right")) == (None, "right/1")
        assert juju.bag("right", "want") == {"what": "ever"}

        juju.remove_application("right")
        juju.settle()

        assert (set(juju.apps), juju.units("right"), list(juju.bags())) == ({"left"}, [], [])


def test_a_relation_made_again_has_fresh_databags_and_a_resumed_one_fresh_units() -> None:
    with pair(offer=True) as juju:
        for app in (True, False):
            write(juju, leader(juju, "right"), app=app, what="ever")
        juju.suspend(0)
        juju.settle()
        juju.resume(0)
        juju.settle()
        resumed = [juju.bag(owner, "want").get("what") for owner in ("right", "right/0")]
        juju.remove_relation("left", "right")
        juju.settle()
        again = juju.integrate("left", "right")
        juju.settle()

        assert resumed == ["ever", None]
        assert (again, juju.bag("right", "want")) == (1, {})
        assert juju.members("left/0", again) == ["right/0", "right/1"]


@pytest.mark.parametrize("whole", [False, True])
def test_a_removed_relation_can_linger_on_the_other_side(whole: bool) -> None:
    """Without units, with the application's databag, while an agent of those that left is lost."""
    with pair(units=(2, 1)) as juju:
        juju.set_leader("left/0")
        write(juju, "left/0", app=True, what="ever")
        juju.settle()
        juju.kill_machine("left/1")
        since = len(juju.trace)
        if whole:
            juju.remove_application("left", lingers=True)
        else:
            juju.remove_relation("left", "right", lingers_at="right")
        juju.settle()

        assert hooks(juju, since)["right/0"] == ["departed left/0", "departed left/1"]
        lingers = {"app": "left", "data": {"what": "ever"}, "units": {}}
        assert see(juju, "right/0")["relations"] == {"0": lingers}

        juju.remove_unit("left/1", force=True)
        juju.remove_relation(0)
        juju.settle()

        assert hooks(juju)["right/0"][-1] == "broken"
        assert (juju.relation_ids("right"), "left" in juju.apps) == ([], not whole)


def test_one_seed_always_gives_the_same_trace_and_two_give_different_ones() -> None:
    def trace(seed: int, unrelated: int) -> list[str]:
        random.seed(unrelated)
        with pair(seed, units=(3, 3)) as juju:
            juju.kill_machine(leader(juju, "right"))
            juju.settle()
            juju.remove_unit("left/1")
            juju.update_status_round()
            return [str(hook) for hook in juju.trace]

    assert trace(1, 1) == trace(1, 2)
    assert trace(1, 1) != trace(2, 1)
