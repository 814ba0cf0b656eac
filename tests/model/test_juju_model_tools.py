"""The model of Juju answers hook tools as Juju does, counts them, and keeps its own time."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import ops
import pytest

from tests import juju_model
from tests.juju_model import toys
from tests.model.pairs import pair

if TYPE_CHECKING:
    from collections.abc import Sequence


def goal_state(juju: juju_model.Juju, unit: str) -> dict[str, Any]:
    """Ask the `goal-state` tool on a unit, by its action."""
    return cast("dict[str, Any]", json.loads(juju.run_action(unit, "do")["state"]))


def tell_goal_state(self: toys.Toy, event: ops.EventBase) -> None:
    """React to an action with what `goal-state` says."""
    del self
    if isinstance(event, ops.ActionEvent):
        result = subprocess.run(
            ["goal-state", "--format", "json"],  # noqa: S607 - the model's
            check=True,
            capture_output=True,
            text=True,
        )
        event.set_results({"state": result.stdout})


def test_goal_state_names_expected_joined_dying_and_lost_units_but_no_removed_ones() -> None:
    """And leaves peer relations out."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.toy("left", tell_goal_state))
        juju.deploy(toys.requirer(), units=3)
        juju.integrate("left:link", "right")
        juju.settle()
        expected = juju.add_unit("right")
        juju.kill_machine("right/0")
        juju.kill_machine("right/1")
        juju.remove_unit("right/1", force=True)
        juju.remove_unit("right/2")
        state = goal_state(juju, "left/0")

    since = {"since": "2026-01-01 00:00:00Z"}
    assert state == {
        "units": {"left/0": {"status": "unknown", **since}},
        "relations": {
            "link": {
                "right": {"status": "joined", **since},
                "right/0": {"status": "unknown", **since},
                "right/2": {"status": "dying", **since},
                expected: {"status": "waiting", **since},
            }
        },
    }


def silent(self: toys.Toy, event: ops.EventBase) -> None:
    """Set no status."""


def active(self: toys.Toy, event: ops.EventBase) -> None:
    """Set a status, and fail at a configuration."""
    del event
    if self.config["colour"] == "red":
        raise RuntimeError
    self.unit.status = ops.ActiveStatus()


def lose_and_remove(juju: juju_model.Juju) -> None:
    """Remove a unit whose agent is lost, so that it stays."""
    juju.kill_machine("right/0")
    juju.remove_unit("right/0")


React = Callable[[toys.Toy, ops.EventBase], None]

# What happens to `right/0`, what its charm does, and its status by the release of Juju.
STATUSES: list[tuple[Callable[[juju_model.Juju], object], React, dict[str, str]]] = [
    (lambda _: None, active, {"4.0": "active", "3.6": "active"}),
    (lambda _: None, silent, {"4.0": "unknown", "3.6": "unknown"}),
    (
        lambda juju: juju.configure("right", colour="red"),
        active,
        {"4.0": "error", "3.6": "error"},
    ),
    (lambda juju: juju.kill_machine("right/0"), active, {"4.0": "unknown", "3.6": "active"}),
    (lambda juju: juju.kill_machine("right/0"), silent, {"4.0": "unknown", "3.6": "unknown"}),
    (lambda juju: juju.stop_agent("right/0"), active, {"4.0": "unknown", "3.6": "active"}),
    (lose_and_remove, active, {"4.0": "dying", "3.6": "dying"}),
]


@pytest.mark.parametrize(("happens", "react", "statuses"), STATUSES)
@pytest.mark.parametrize("version", ["4.0", "3.6"])
def test_goal_state_gives_the_status_that_juju_has(
    version: str,
    happens: Callable[[juju_model.Juju], object],
    react: React,
    statuses: dict[str, str],
) -> None:
    """Of a unit whose charm speaks or not, that fails, is lost or is removed."""
    left = toys.provider("left", tell_goal_state)
    with pair(left=left, right=toys.requirer("right", react), version=version) as juju:
        happens(juju)
        with contextlib.suppress(juju_model.HookFailed):
            juju.settle()
        related = goal_state(juju, "left/0")["relations"]["link"]

    assert related["right/0"]["status"] == statuses[version]


def test_a_unit_whose_machine_never_comes_waits_and_runs_no_hook() -> None:
    """Until it comes; then it starts like any other."""
    with pair(left=toys.provider("left", tell_goal_state)) as juju:
        late = juju.add_unit("right", provisioned=False)

        def state() -> tuple[str, str]:
            related = goal_state(juju, "left/0")["relations"]["link"]
            return juju.status(late).name, related[late]["status"]

        juju.update_status_round()
        juju.start_machine(late)
        juju.kill_machine(late)
        juju.update_status_round()
        before, hooks = state(), [hook for hook in juju.trace if hook.unit == late]
        juju.provision(late)
        juju.settle()

        assert (before, hooks) == (("waiting", "waiting"), [])
        assert state() == ("unknown", "unknown")
        assert late in juju.members("left/0", 0)


def test_a_unit_whose_machine_never_comes_can_be_removed() -> None:
    """Without a hook on either side."""
    with pair() as juju:
        since = len(juju.trace)
        juju.remove_unit(juju.add_unit("right", provisioned=False))
        juju.settle()

        assert juju.units("right") == ["right/0", "right/1"]
        assert len(juju.trace) == since


def test_a_unit_is_being_installed_until_its_charm_has_started() -> None:
    """It is in maintenance for Juju, unless its charm says otherwise."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.provider())
        shown: list[juju_model.Status] = []
        juju.on_hook.append(lambda _: shown.append(juju.status("left/0")))
        juju.settle()

    installing = juju_model.Status("maintenance", "installing charm software")
    assert set(shown[:-1]) == {installing}
    assert shown[-1] == juju_model.Status("unknown")


@pytest.mark.parametrize(
    ("unnamed", "units"),
    [(set[str](), ["right/0", "right/1"]), ({"right/1"}, ["right/0"]), ({"right"}, [])],
)
def test_goal_state_can_leave_out_some_units_or_all(unnamed: set[str], units: list[str]) -> None:
    """As it does with subordinates of other principals; the application is named all the same."""
    left = toys.provider("left", tell_goal_state)
    with pair(left=left, right=toys.requirer("right", tell_goal_state)) as juju:
        juju.unnamed = unnamed
        related = goal_state(juju, "left/0")["relations"]["link"]
        own = goal_state(juju, "right/0")["units"]

    assert list(related) == ["right", *units]
    assert list(own) == ["right/0", "right/1"]


@pytest.mark.parametrize(("version", "force"), [("4.0", False), ("4.0", True), ("3.6", False)])
def test_the_databag_of_a_unit_that_has_gone_can_be_refused(version: str, force: bool) -> None:
    """In its departed hook, or where it is a ghost; not while it is a member."""
    answers: list[str] = []

    def read(relation: ops.Relation, unit: ops.Unit) -> str:
        try:
            return f"{unit.name} {relation.data[unit].get('what')}"
        except ops.ModelError as error:
            return f"{unit.name} {error}"

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        for relation in self.model.relations["link"]:
            gone = [event.unit] if isinstance(event, ops.RelationDepartedEvent) else []
            answers.extend(read(relation, unit) for unit in [*relation.units, *gone])

    left = toys.provider("left", react)
    with pair(left=left, units=(1, 2), version=version) as juju:
        juju.unreadable.add("right/1")
        juju.run_action("left/0", "do")
        member = set(answers)
        answers.clear()
        if force:
            juju.kill_machine("right/1")
        juju.remove_unit("right/1", force=force)
        juju.settle()
        juju.update_status_round()

    assert member == {"right/0 None", "right/1 None"}
    assert set(answers) == {"right/0 None", "right/1 ERROR permission denied"}


def test_goal_state_can_be_missing() -> None:
    """As on an old Juju."""
    with juju_model.Juju(goal_state=False) as juju:
        juju.deploy(toys.toy("left", tell_goal_state))
        juju.settle()

        with pytest.raises(juju_model.HookFailed, match="goal-state"):
            goal_state(juju, "left/0")
        assert juju.status("left/0").name != "error"


def tools_at_start(
    act: Callable[[toys.Toy], object],
) -> juju_model.Hook:
    """Run a charm that does something when it starts, and give the record of that hook."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.StartEvent):
            act(self)

    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", react))
        juju.settle()
        return next(hook for hook in juju.trace if hook.kind == "start")


def test_the_record_counts_hook_tools() -> None:
    """One relation-get for a databag, however often it is read."""

    def act(self: toys.Toy) -> None:
        (relation,) = self.model.relations["peers"]
        for key in ("one", "two"):
            relation.data[self.unit].get(key)
        relation.data[self.unit]["three"] = "four"
        assert self.unit.is_leader()
        assert self.unit.is_leader()

    tools = tools_at_start(act).tools

    names = ("relation-get", "relation-set", "relation-list", "is-leader", "bytes-written")
    assert [tools[name] for name in names] == [1, 1, 1, 1, len("threefour")]


def read_twice(self: toys.Toy) -> None:
    """Read a databag, twice."""
    for _ in range(2):
        (relation,) = self.model.relations["peers"]
        relation.data[self.unit].get("what")


def write_keys(self: toys.Toy) -> None:
    """Write two keys one by one, then two at once."""
    (relation,) = self.model.relations["peers"]
    for data in ({"one": "1"}, {"two": "2"}, {"three": "3", "four": "4"}):
        relation.data[self.unit].update(data)


def lead_for_a_minute(self: toys.Toy) -> None:
    """Ask who leads after 0, 20, 40 and 60 s; the answer is good for 30 s."""
    for _ in range(4):
        self.unit.is_leader()
        time.sleep(20)


# What a charm does, and the tools that ops runs for that, besides `is-leader` for collect-status.
CALLED: list[tuple[Callable[[Any], object], dict[str, int]]] = [
    (lambda _: None, {}),
    (lambda toy: toy.unit.is_leader(), {}),
    (lead_for_a_minute, {"is-leader": 2}),
    (lambda toy: toy.model.relations["peers"], {"relation-ids": 1, "relation-list": 1}),
    (read_twice, {"relation-ids": 1, "relation-list": 1, "relation-get": 1}),
    (
        write_keys,
        {"relation-ids": 1, "relation-list": 1, "relation-get": 1, "relation-set": 3},
    ),
    (lambda toy: toy.model.get_binding("peers").network, {"network-get": 1}),
    (lambda toy: toy.config["colour"], {"config-get": 1}),
    (lambda toy: toy.app.planned_units(), {"goal-state": 1}),
    (lambda toy: toy.unit.set_workload_version("1"), {"application-version-set": 1}),
]


@pytest.mark.parametrize(("act", "called"), CALLED)
def test_a_tool_is_counted_when_ops_would_run_it(
    act: Callable[[Any], object], called: dict[str, int]
) -> None:
    """And `calls` adds them up, without `juju-log`."""
    hook = tools_at_start(act)

    logged = hook.tools.pop("juju-log")
    assert logged == len(hook.logs)
    assert {n: c for n, c in hook.tools.items() if not n.startswith("bytes-")} == {
        **called,
        "is-leader": called.get("is-leader", 0) + 1,
    }
    assert hook.calls == sum(called.values()) + 1


def test_the_name_of_an_application_without_units_is_asked_for() -> None:
    """By `relation-list --app`, but for the relation that the hook is about."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, (ops.StartEvent, ops.RelationCreatedEvent)):
            assert self.model.relations["link"][0].app.name == "right"

    with pair(left=toys.provider("left", react), units=(1, 0)) as juju:
        listed = {hook.kind: hook.tools["relation-list"] for hook in juju.trace}

    assert (listed["relation-created"], listed["start"]) == (1, 2)


def test_status_set_is_no_call_but_counted() -> None:
    """As `juju-log` is."""
    hook = tools_at_start(lambda toy: setattr(toy.unit, "status", ops.ActiveStatus()))

    assert (hook.tools["status-set"], hook.calls) == (1, 1)


def test_a_charm_sees_the_time_of_the_model_and_sleeps_in_it() -> None:
    """Its hook takes so long in the model, and nearly none outside."""
    seen: list[float] = []

    def act(self: toys.Toy) -> None:
        del self
        seen.append(time.monotonic())
        time.sleep(1000)
        seen.append(time.monotonic())
        with pytest.raises(ValueError, match="non-negative"):
            time.sleep(-1)

    before = time.monotonic()
    hook = tools_at_start(act)

    assert seen == [hook.time, hook.time + 1000]
    assert hook.duration == pytest.approx(1000.3)
    assert time.monotonic() - before < 100


class Watch(juju_model.PlainHost):
    """A host whose daemon lives in real time, and whose one program reads a real clock."""

    real_time = True

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Tell the time."""
        del timeout
        time.sleep(0.001)
        return subprocess.CompletedProcess(list(argv), 0, str(time.monotonic()), "")


def test_on_a_host_in_real_time_a_charm_sleeps_in_earnest() -> None:
    """While the host runs a command, the clock is the process's own, and the model's goes on."""
    seen: list[float] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        del self
        if isinstance(event, ops.StartEvent):
            for _ in range(2):
                told = subprocess.run(["watch"], check=True, capture_output=True, text=True)  # noqa: S607 - the model's
                seen.append(float(told.stdout))
                time.sleep(0.05)

    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", react), host_factory=Watch)
        juju.settle()
        hook = next(hook for hook in juju.trace if hook.kind == "start")

    assert seen[1] - seen[0] >= 0.05
    assert 0.402 <= hook.duration < 60


def test_hooks_of_other_machines_run_while_a_hook_sleeps() -> None:
    """Where the model interleaves."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        del self, event
        time.sleep(60)

    with juju_model.Juju(2, interleave=0.9) as juju:
        juju.deploy(toys.provider("left", react), units=3)
        juju.settle()
        times = [(hook.time, hook.time + hook.duration) for hook in juju.trace]

    assert any(start < other < end for start, end in times for other, _ in times)
