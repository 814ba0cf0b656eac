"""What the model of Juju promises a charm: the facts on which the charms' safety hangs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import ops
import pytest

from tests import juju_model
from tests.juju_model import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

ROLES = {"link": "provides", "want": "requires", "peers": "peers"}


class Stub(ops.CharmBase):
    """Calls `react` upon each event, and `act` in its action."""

    stored = ops.StoredState()

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.stored.set_default(count=0)
        for name, event in self.on.events().items():
            if not name.startswith("collect_"):
                framework.observe(event, self._on_any)

    @property
    def link(self) -> ops.Relation:
        """The first relation on its first endpoint."""
        return self.model.relations[next(iter(self.meta.relations))][0]

    def react(self, event: ops.EventBase) -> object: ...

    def act(self) -> object: ...

    def _on_any(self, event: ops.EventBase) -> None:
        if isinstance(event, ops.ActionEvent):
            self.act()
        else:
            self.react(event)


def stub(
    *endpoints: str, react: Callable[[Stub, ops.EventBase], object] = Stub.react
) -> juju_model.Charm:
    """Make a charm with some of the endpoints in `ROLES`."""
    meta = {ROLES[name]: {name: {"interface": "stub"}} for name in endpoints}
    charm_type = type("Reacting", (Stub,), {"react": react})
    return juju_model.Charm(charm_type, {"name": "stub", **meta}, {"act": {}})


@contextlib.contextmanager
def pair(
    seed: int = 0,
    *,
    left: juju_model.Charm | None = None,
    right: juju_model.Charm | None = None,
    units: tuple[int, int] = (1, 2),
    offer: bool = False,
    **options: Any,
) -> Generator[juju_model.Juju]:
    """Settle a model in which `left` provides for `right`, maybe by an offer; the first lead."""
    with juju_model.Juju(seed, **options) as juju:
        juju.deploy(left or stub("link"), "left", units=units[0])
        juju.deploy(right or stub("want"), "right", units=units[1])
        if offer:
            juju.consume("right:want", "left:link", alias="offered")
        elif juju.apps["left"].charm.has_endpoint("link"):
            juju.integrate("left:link", "right:want")
        juju.settle()
        for app in ("left", "right"):
            for unit in juju.units(app)[:1]:
                juju.set_leader(unit)
        juju.settle()
        yield juju


def hooks(juju: juju_model.Juju, since: int = 0) -> dict[str, list[str]]:
    """Return the hooks by unit, without `relation-`, each with the unit that it was about."""
    found: dict[str, list[str]] = {}
    for hook in juju.trace[since:]:
        if hook.kind != "action":
            name = f"{hook.kind.removeprefix('relation-')} {hook.remote_unit or ''}".rstrip()
            found.setdefault(hook.unit, []).append(name)
    return found


def ask(juju: juju_model.Juju, unit: str, act: Callable[[Stub], Any]) -> Any:
    """Let a unit do something now, and return what comes of it."""
    answers: list[Any] = []

    def answer(self: Stub) -> None:
        answers.append(act(self))

    with mock.patch.object(Stub, "act", answer):
        juju.run_action(unit, "act")
    return answers[0]


def write(juju: juju_model.Juju, unit: str, *, app: bool = False, **data: str) -> None:
    """Let a unit write to its databag, or its application's."""
    ask(juju, unit, lambda self: self.link.data[self.app if app else self.unit].update(data))


def goal_state(juju: juju_model.Juju, unit: str, endpoint: str) -> str:
    """Return what a unit's `goal-state` names on an endpoint, with the statuses."""
    done = ask(juju, unit, lambda _: subprocess.run(["goal-state"], check=True))  # noqa: S607
    named = json.loads(done.stdout)["relations"].get(endpoint, {})
    return ", ".join(f"{name} {entry['status']}" for name, entry in named.items())


# A fact: how the pair is made, what happens, and all hooks that follow. The first units lead.
FACTS: dict[str, tuple[dict[str, Any], Callable[[juju_model.Juju], object], list[str]]] = {
    "a write is one changed for each unit on the other side, whatever it wrote": (
        {"units": (2, 2)},
        lambda juju: write(juju, "right/0", one="1", two="2"),
        ["left/0: changed right/0", "left/1: changed right/0"],
    ),
    "4.0: a value that changes and changes back is no event": (
        {},
        lambda juju: (write(juju, "right/0", k="1"), write(juju, "right/0", k="")),
        [],
    ),
    "application data is an event about no unit, and none for the writer": (
        {"left": stub("peers"), "units": (3, 0)},
        lambda juju: write(juju, "left/0", app=True, k="1"),
        ["left/1: changed", "left/2: changed"],
    ),
    "departed comes before application changed, joined and changed": (
        {},
        lambda juju: (
            juju.kill_machine("left/0"),
            write(juju, "right/1", k="1"),
            juju.remove_unit("right/0"),
            juju.add_unit("right"),
            juju.settle(),
            write(juju, "right/2", app=True, k="1"),
            juju.start_machine("left/0"),
        ),
        [
            "left/0: start, leader-elected, departed right/0, changed, joined right/2, "
            "changed right/2, changed right/1",
            "right/0: departed left/0, broken, stop, remove",
            "right/2: install, created, leader-elected, config-changed, start, joined left/0, "
            "changed left/0",
        ],
    ),
    "a lost machine fires no hook anywhere": ({}, lambda juju: juju.kill_machine("right/1"), []),
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
    "4.0: who is removed by force departs when the agent restarts": (
        {"units": (2, 2)},
        lambda juju: (
            juju.kill_machine("right/0"),
            juju.remove_unit("right/0", force=True),
            juju.settle(),
            juju.restart_agent("left/0"),
        ),
        ["left/0: departed right/0", "right/1: leader-elected"],
    ),
    "a suspended offer is departed and broken, and joined anew when it is resumed": (
        {"offer": True, "units": (1, 1)},
        lambda juju: (
            write(juju, "left/0", app=True, k="1"),
            juju.suspend(0),
            juju.settle(),
            juju.resume(0),
        ),
        [
            "left/0: departed right/0, broken, created, joined right/0, changed right/0",
            "right/0: departed left/0, broken, created, changed, joined left/0, changed left/0",
        ],
    ),
}


@pytest.mark.parametrize("fact", FACTS)
def test_hooks_that_follow(fact: str) -> None:
    options, happens, expected = FACTS[fact]
    with pair(**options) as juju:
        since = len(juju.trace)
        happens(juju)
        juju.settle()

        ran = sorted(hooks(juju, since).items())
        assert [f"{unit}: {', '.join(hooked)}" for unit, hooked in ran] == expected


def test_units_join_one_by_one_in_the_order_of_their_names_as_strings() -> None:
    """`relation-list` has those joined so far and the one joining."""
    seen: list[tuple[str, list[str]]] = []

    def react(_: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationJoinedEvent):
            seen.append((event.unit.name, sorted(unit.name for unit in event.relation.units)))

    with juju_model.Juju() as juju:
        juju.deploy(stub("want"), "right", units=11)
        juju.deploy(stub("link", react=react), "left")
        juju.settle()
        juju.integrate("left", "right")
        juju.settle()

    in_order = sorted(f"right/{number}" for number in range(11))
    assert seen == [(unit, in_order[: i + 1]) for i, unit in enumerate(in_order)]


def test_who_departs_is_named_and_can_still_be_read() -> None:
    """On the unit that leaves it is that one itself, even number 0."""
    seen: list[tuple[str, str, str | None]] = []

    def react(self: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent):
            assert event.departing_unit is not None
            what = event.relation.data[event.unit].get("what")
            seen.append((self.unit.name, event.departing_unit.name, what))

    with pair(left=stub("link", react=react), right=stub("want", react=react)) as juju:
        write(juju, "right/0", what="ever")
        juju.remove_unit("right/0")
        juju.settle()

    assert seen == [("right/0", "right/0", None), ("left/0", "right/0", "ever")]


def test_each_side_of_an_offer_sees_the_other_under_another_name() -> None:
    with pair(offer=True, units=(1, 1)) as juju:
        for unit in ("left/0", "right/0"):
            write(juju, unit, what=unit)
        juju.settle()
        for unit, name, other in (
            ("left/0", "remote-", "right/0"),
            ("right/0", "offered/0", "left/0"),
        ):
            (seen,) = ask(
                juju, unit, lambda self: [(u, self.link.data[u]) for u in self.link.units]
            )
            assert seen[0].name.startswith(name)
            assert seen[1]["what"] == other
        assert goal_state(juju, "left/0", "link") == ""
        assert goal_state(juju, "right/0", "want") == "admin/other.offered joined"


@pytest.mark.parametrize(("version", "lost"), [("4.0", "unknown"), ("3.6", "active")])
def test_goal_state_names_all_units_but_removed_ones(version: str, lost: str) -> None:
    """Nor those that Juju leaves out, as it does with subordinates of other principals."""

    def react(self: Stub, event: ops.EventBase) -> None:
        self.unit.status = ops.ActiveStatus()
        assert (self.unit.name, type(event)) != ("right/5", ops.UpdateStatusEvent)

    with pair(right=stub("want", react=react), units=(1, 6), version=version) as juju:
        juju.add_unit("right", provisioned=False)
        for unit in ("right/1", "right/2", "right/3"):
            juju.kill_machine(unit)
        juju.remove_unit("right/1")
        juju.remove_unit("right/2", force=True)
        juju.unnamed.add("right/4")
        juju.mark_update_status()
        juju.settle(retry_failed=True, patience=1)

        assert goal_state(juju, "left/0", "link") == (
            f"right joined, right/0 active, right/1 dying, right/3 {lost}, right/5 error, "
            "right/6 waiting"
        )
        shown = [juju.status(f"right/{number}").name for number in (0, 3, 5, 6)]
        assert shown == ["active", "unknown", "error", "waiting"]


def count_and_write(self: Stub, event: ops.EventBase) -> None:
    """At update-status, count in the stored state, and write that to all databags."""
    if not isinstance(event, ops.UpdateStatusEvent):
        return
    self.stored.count = cast("int", self.stored.count) + 1
    self.link.data[self.unit]["count"] = str(self.stored.count)
    if self.unit.is_leader():
        self.link.data[self.app]["count"] = str(self.stored.count)
    self.unit.status = ops.ActiveStatus()
    subprocess.run(["goal-state"], check=True)  # noqa: S607 - the model's


def stored(juju: juju_model.Juju, unit: str) -> Any:
    """Return what a unit has counted."""
    return next(s.content["count"] for s in juju.unit(unit).stored_states if s.owner_path)


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("error", [juju_model.HookFault, juju_model.AgentKilled])
def test_a_hook_that_fails_is_run_again_and_has_written_only_what_was_flushed(
    point: Point, error: type[BaseException]
) -> None:
    """What it stored goes with its databags, unless ops had committed it; statuses stay."""

    def faults(context: juju_model.HookContext) -> None:
        if context.point is point and not juju.errors:
            raise error

    with pair(left=stub("peers", react=count_and_write), units=(1, 0)) as juju:
        juju.faults = faults
        juju.mark_update_status()
        with pytest.raises(juju_model.HookFailed):
            juju.settle()
        flushed, status = juju.bag("left/0", 0).get("count"), juju.unit("left/0").status.name
        committed = stored(juju, "left/0")
        juju.settle(retry_failed=True)

        assert flushed == ("1" if point is Point.AFTER_FLUSH else None)
        assert committed == int(point in (Point.BEFORE_FLUSH, Point.AFTER_FLUSH))
        before = (Point.BEFORE_HOOK, Point.BEFORE_WRITE, Point.AFTER_WRITE)
        assert status == ("unknown" if point in before else "active")
        assert juju.bag("left", 0) == {"count": str(committed + 1)}


def test_two_units_can_lead_and_the_flush_of_the_old_one_is_refused_whole() -> None:
    """Its stored state is then ahead of its databags."""
    with pair(left=stub("peers", react=count_and_write), units=(2, 0)) as juju:
        juju.depose("left", believing=True)
        juju.mark_update_status()
        with pytest.raises(juju_model.HookFailed, match="FlushRefused"):
            juju.settle()

        assert [hook.unit for hook in juju.errors] == ["left/0"]
        assert (stored(juju, "left/0"), juju.bag("left/0", 0).get("count")) == (1, None)
        juju.settle(retry_failed=True)
        assert juju.bag("left", 0) == {"count": "1"}


def test_hooks_of_other_machines_run_while_a_hook_waits() -> None:
    """For a command or in its sleep, each with its own environment, host name and log."""
    nested: set[str] = set()

    def react(self: Stub, _: ops.EventBase) -> None:
        before = len(juju.trace)
        if self.app.name == "left":
            subprocess.run(["goal-state"], check=True)  # noqa: S607 - the model's
        else:
            time.sleep(1)
        nested.update([self.app.name] if len(juju.trace) > before else [])
        assert os.environ["JUJU_UNIT_NAME"] == self.unit.name
        assert os.uname().nodename == juju.host(self.unit.name).name
        ops.model.logger.warning("here %s", self.unit.name)

    with juju_model.Juju(3, interleave=0.5) as juju:
        for app in ("left", "right"):
            juju.deploy(stub("peers", react=react), app, units=3)
        juju.settle()

    assert nested == {"left", "right"}
    for hook in juju.trace:
        assert [m for level, m in hook.logs if level == "WARNING"] == [f"here {hook.unit}"]


def test_no_value_and_no_long_word_is_shown_in_a_record() -> None:
    """They may be join tokens."""
    secret = "a-word-that-is-too-long-to-be-shown"  # noqa: S105 - it stands for one
    shown: list[str] = []

    def act(_: Stub) -> None:
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["missing", secret], check=True)  # noqa: S603, S607 - the model's
        raise RuntimeError(secret)

    with pair() as juju:
        juju.faults = lambda context: shown.append(f"{context!r}")
        write(juju, "left/0", key=secret)
        with pytest.raises(juju_model.HookFailed):
            ask(juju, "left/0", act)
        shown += [f"{hook} {hook!r} {hook.writes!r}" for hook in juju.trace]

    assert any("+key" in text for text in shown)
    assert any("missing ... (FileNotFoundError)" in text for text in shown)
    assert not any(secret in text for text in shown)
