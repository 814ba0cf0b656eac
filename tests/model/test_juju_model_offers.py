"""The model of Juju relates applications across models, and lets relations rest or linger."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import ops
import pytest

from tests import juju_model
from tests.juju_model import toys
from tests.model.pairs import names, pair, write, writer

if TYPE_CHECKING:
    from collections.abc import Generator

URL = "admin/other.mctd"
# Which application consumes the offer of the other.
DIRECTIONS = [("right:want", "left:link"), ("left:link", "right:want")]
SINCE = {"since": "2026-01-01 00:00:00Z"}


def report(self: toys.Toy, event: ops.EventBase) -> None:
    """React to an action with all that can be seen of the relations; else write the own name."""
    endpoint = next(iter(self.meta.relations))
    if not isinstance(event, ops.ActionEvent):
        for relation in self.model.relations[endpoint]:
            relation.data[self.unit]["unit"] = self.unit.name
        return
    told = subprocess.run(
        ["goal-state", "--format", "json"],  # noqa: S607 - the model's
        check=True,
        capture_output=True,
        text=True,
    )
    seen = {
        relation.id: {
            "app": relation.app.name,
            "data": dict(relation.data[relation.app]),
            "units": {u.name: relation.data[u].get("unit") for u in relation.units},
        }
        for relation in self.model.relations[endpoint]
    }
    results = {"goal": json.loads(told.stdout)["relations"], "seen": seen}
    event.set_results({"report": json.dumps(results)})


def asked(juju: juju_model.Juju, unit: str) -> dict[str, Any]:
    """Ask a unit whose charm reports what it sees."""
    return json.loads(juju.run_action(unit, "do")["report"])


@contextlib.contextmanager
def across(
    one: str = DIRECTIONS[0][0],
    offered: str = DIRECTIONS[0][1],
    left: juju_model.Charm | None = None,
    right: juju_model.Charm | None = None,
) -> Generator[juju_model.Juju]:
    """Settle a model where one application consumes the other as `mctd`, by relation 0."""
    with juju_model.Juju() as juju:
        juju.deploy(left or toys.provider("left", report), units=2)
        juju.deploy(right or toys.requirer("right", report), units=2)
        assert juju.consume(one, offered, alias="mctd", url=URL) == 0
        juju.settle()
        yield juju


@pytest.mark.parametrize(("one", "offered"), DIRECTIONS)
def test_each_side_of_an_offer_sees_the_other_under_another_name(one: str, offered: str) -> None:
    """The consumer by the offer's name, the offerer by one that Juju has made up."""
    consumer, offerer = one.partition(":")[0], offered.partition(":")[0]
    with across(one, offered) as juju:
        (at_consumer,) = asked(juju, f"{consumer}/0")["seen"].values()
        (at_offerer,) = asked(juju, f"{offerer}/0")["seen"].values()

    assert at_consumer["app"] == "mctd"
    assert at_consumer["units"] == {"mctd/0": f"{offerer}/0", "mctd/1": f"{offerer}/1"}
    prefix, _, digits = at_offerer["app"].partition("-")
    assert (prefix, len(digits), int(digits, 16) >= 0) == ("remote", 32, True)
    assert at_offerer["units"] == {f"{at_offerer['app']}/{n}": f"{consumer}/{n}" for n in range(2)}


@pytest.mark.parametrize(("one", "offered"), DIRECTIONS)
def test_goal_state_names_an_offer_without_units_and_no_consumer(one: str, offered: str) -> None:
    """The offer by its URL."""
    with across(one, offered) as juju:
        at_consumer = asked(juju, f"{one.partition(':')[0]}/0")["goal"]
        at_offerer = asked(juju, f"{offered.partition(':')[0]}/0")["goal"]

    assert at_consumer == {one.partition(":")[2]: {URL: {"status": "joined", **SINCE}}}
    assert at_offerer == {}


def test_events_across_models_have_the_other_names() -> None:
    """And the data of who departs can be read under that name alone."""
    seen: list[tuple[str, str, str, str]] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        report(self, event)
        if isinstance(event, ops.RelationDepartedEvent):
            assert event.departing_unit is not None
            data = event.relation.data[event.unit]
            seen.append((event.app.name, event.unit.name, event.departing_unit.name, data["unit"]))
            with pytest.raises(ops.ModelError, match="no settings"):
                self.model._backend.relation_get(0, "left/0", is_app=False)  # pyright: ignore[reportPrivateUsage]

    with across(right=toys.requirer("right", react)) as juju:
        juju.remove_unit("left/1")
        juju.settle()
        hooks = [hook for hook in juju.trace if hook.kind == "relation-departed"]

    assert seen == [("mctd", "mctd/1", "mctd/1", "left/1")] * 2
    # The records of hooks, as all that is seen from outside, have the real names.
    assert {hook.remote_unit for hook in hooks if hook.unit == "right/0"} == {"left/1"}


def test_a_dying_unit_departs_itself_across_models() -> None:
    """Under its own name."""
    leavers: list[str] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent) and self.unit.name == "right/1":
            assert event.departing_unit is not None
            leavers.append(f"{event.departing_unit.name} {event.unit.name}")

    with across(right=toys.requirer("right", react)) as juju:
        juju.remove_unit("right/1")
        juju.settle()

    assert leavers == ["right/1 mctd/0", "right/1 mctd/1"]


def test_a_suspended_offer_is_departed_and_broken_on_both_sides_and_resumed() -> None:
    """With the same id and application's databag, but fresh databags of the units."""
    left, right = writer(toys.provider, "left"), writer(toys.requirer, "right")
    with across(left=left, right=right) as juju:
        leader = juju.leader("left")
        assert leader is not None
        write(juju, leader, app=True, what="ever")
        write(juju, "left/0", what="ever")
        since = len(juju.trace)
        juju.suspend(0)
        late = juju.add_unit("right")
        juju.settle()
        suspended = [names(juju, unit, since) for unit in ("left/0", "right/0")]
        unrelated = names(juju, late)
        since = len(juju.trace)
        juju.resume(0)
        juju.settle()
        resumed = names(juju, "right/0", since)

        assert suspended == [
            [*(f"relation-departed {there}/{n}" for n in range(2)), "relation-broken"]
            for there in ("right", "left")
        ]
        assert unrelated == ["install", "config-changed", "start"]
        assert resumed == [
            "relation-created",
            "relation-changed",
            *(f"relation-{kind} left/{n}" for n in range(2) for kind in ("joined", "changed")),
        ]
        assert juju.bag("left", "link") == {"what": "ever"}
        assert "what" not in juju.bag("left/0", "link")
        assert juju.members("left/0", 0) == ["right/0", "right/1", late]


def test_a_suspended_offer_is_out_of_sight() -> None:
    """`goal-state` alone names it to the consumer, as suspended."""
    with across() as juju:
        juju.suspend(0)
        juju.settle()

        assert asked(juju, "left/0") == {"goal": {}, "seen": {}}
        assert asked(juju, "right/0") == {
            "goal": {"want": {URL: {"status": "suspended", **SINCE}}},
            "seen": {},
        }


def test_an_offer_resumed_before_a_unit_has_left_is_joined_again_there() -> None:
    """By a unit that had departed from some, and by one that slept."""
    with across() as juju:
        juju.kill_machine("right/1")
        juju.suspend(0)
        while "relation-departed left/0" not in names(juju, "right/0"):
            juju.step()
        since = len(juju.trace)
        juju.resume(0)
        juju.settle()
        juju.start_machine("right/1")
        juju.settle()

        assert [hook for hook in names(juju, "right/0", since) if hook.endswith("left/0")] == [
            "relation-joined left/0",
            "relation-changed left/0",
        ]
        for unit in ("right/0", "right/1"):
            assert juju.members(unit, 0) == ["left/0", "left/1"]


def test_a_suspended_relation_can_be_removed() -> None:
    """And is gone at once, for nobody is in it."""
    with across() as juju:
        juju.suspend(0)
        juju.settle()
        juju.remove_relation("right", "left")

        assert juju.relation_ids("left") == juju.relation_ids("right") == []


def test_what_is_no_offer_cannot_be_suspended_and_no_name_is_taken_twice() -> None:
    """As Juju refuses both."""
    with pair() as juju:
        for refused in (juju.suspend, juju.resume):
            with pytest.raises(ValueError, match="not one of an offer"):
                refused(0)
        with pytest.raises(ValueError, match="an application left already"):
            juju.consume("right:want", "left:link", alias="left")


@pytest.mark.parametrize("whole", [False, True])
def test_a_removed_relation_can_linger_on_the_other_side(whole: bool) -> None:
    """Without units, with the application's databag, while an agent of those that left is lost."""
    left = writer(toys.provider, "left")
    with pair(left=left, right=toys.requirer("right", report), units=(2, 1)) as juju:
        leader = juju.leader("left")
        assert leader is not None
        write(juju, leader, app=True, what="ever")
        lost = next(unit for unit in juju.units("left") if unit != leader)
        juju.kill_machine(lost)
        since = len(juju.trace)
        if whole:
            juju.remove_application("left", lingers=True)
        else:
            juju.remove_relation("left", "right", lingers_at="right")
        juju.settle()
        run = names(juju, "right/0", since)
        seen = asked(juju, "right/0")["seen"]
        new = juju.deploy(toys.provider(), "new")
        other = juju.integrate(new, "right")
        juju.settle()
        beside = asked(juju, "right/0")["seen"]

        assert run == ["relation-departed left/0", "relation-departed left/1"]
        assert seen == {"0": {"app": "left", "data": {"what": "ever"}, "units": {}}}
        assert set(beside) == {"0", str(other)}

        juju.remove_unit(lost, force=True)
        juju.remove_relation(0)
        juju.settle()

        assert names(juju, "right/0")[-1] == "relation-broken"
        assert juju.relation_ids("right") == [other]
        assert ("left" in juju.apps) is not whole
