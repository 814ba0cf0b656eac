"""What a charm sees and suffers in the model of Juju: tools, machine, clock and failures."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, cast

import ops
import pytest

from tests import juju_model
from tests.juju_model.stub_charms import Stub, stub
from tests.model.pairs import Workstation, leader, pair, see, write

if TYPE_CHECKING:
    from collections.abc import Callable

Point, Outcome = juju_model.Point, juju_model.Outcome
SINCE = {"since": "2026-01-01 00:00:00Z"}


def run(program: str, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a program, as a charm does."""
    options.setdefault("check", True)
    return cast("Any", subprocess.run)([program], **options)


def at_start(act: Callable[[Stub], object]) -> Callable[[Stub, ops.EventBase], None]:
    """Make a reaction to the start hook alone."""

    def react(self: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.StartEvent):
            act(self)

    return react


def started(act: Callable[[Stub], object], **options: Any) -> juju_model.Hook:
    """Run a charm that does something when it starts, and return the record of that hook."""
    with juju_model.Juju(**options) as juju:
        juju.deploy(stub("peers", react=at_start(act)), "left", host_factory=Workstation)
        juju.settle()
        return next(hook for hook in juju.trace if hook.kind == "start")


# Relations


def test_events_have_what_ops_testing_cannot_express() -> None:
    """An application alone; a dying unit that departs itself, also number 0; data of who left."""
    seen: list[tuple[Any, ...]] = []

    def react(self: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent):
            assert event.departing_unit is not None
            members = sorted(unit.name for unit in event.relation.units)
            what = event.relation.data[event.unit].get("what")
            seen.append((self.unit.name, event.departing_unit.name, what, members))
        elif isinstance(event, ops.RelationChangedEvent) and event.unit is None:
            seen.append((self.unit.name, event.app.name))

    with pair(left=stub("link", react=react), right=stub("want", react=react)) as juju:
        write(juju, leader(juju, "right"), app=True, what="ever")
        juju.settle()
        write(juju, "right/0", what="ever")
        juju.remove_unit("right/0")
        juju.settle()

    assert seen == [
        ("left/0", "right"),
        ("right/0", "right/0", None, []),
        ("left/0", "right/0", "ever", ["right/1"]),
    ]


@pytest.mark.parametrize(("restart", "first"), [(False, None), (True, "ever")])
def test_what_was_read_of_a_member_is_cached_until_its_next_event_or_a_restart(
    restart: bool, first: str | None
) -> None:
    with pair(units=(1, 1)) as juju:

        def read() -> str | None:
            return see(juju, "left/0")["relations"]["0"]["units"]["right/0"]

        before = read()
        write(juju, "right/0", what="ever")
        if restart:
            juju.restart_agent("left/0")
        cached = read()
        juju.settle()

        assert (before, cached, read()) == (None, first, "ever")


def test_databags_have_addresses_lose_empty_keys_and_are_not_for_followers_to_read() -> None:
    refused: set[str] = set()

    def react(self: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationChangedEvent):
            try:
                event.relation.data[self.app].get("what")
            except ops.RelationDataAccessError:
                refused.add(self.unit.name)

    with pair(left=stub("link", react=react), units=(2, 1)) as juju:
        write(juju, "right/0", what="ever")
        write(juju, "right/0", what="")

        assert refused == {"left/0", "left/1"} - {leader(juju, "left")}
        assert juju.bag("right/0", "want") == {
            "egress-subnets": "192.0.2.7/32",
            "ingress-address": "192.0.2.7",
            "private-address": "192.0.2.7",
        }


def test_each_side_of_an_offer_sees_the_other_under_another_name() -> None:
    """Events and tools of hooks have that name; the model itself gives the real ones."""
    departed: list[tuple[str, ...]] = []

    def react(self: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent):
            assert event.departing_unit is not None
            names = (self.unit.name, event.unit.name, event.departing_unit.name)
            departed.append((*names, event.relation.data[event.unit]["what"]))
            with pytest.raises(ops.ModelError, match="no settings"):
                self.model._backend.relation_get(0, "left/0", is_app=False)  # pyright: ignore[reportPrivateUsage]

    with pair(right=stub("want", react=react), units=(2, 2), offer=True) as juju:
        for unit in ("left/0", "left/1", "right/0", "right/1"):
            write(juju, unit, what=unit)
        juju.settle()
        offer, consumer = see(juju, "right/0"), see(juju, "left/0")
        juju.remove_unit("left/1")
        juju.settle()
        juju.remove_unit("right/1")
        juju.settle()
        juju.suspend(0)
        juju.settle()
        suspended = see(juju, "right/0")

    units = {f"offered/{n}": f"left/{n}" for n in range(2)}
    assert offer["relations"] == {"0": {"app": "offered", "data": {}, "units": units}}
    url = "admin/other.offered"
    assert offer["goal"]["relations"] == {"want": {url: {"status": "joined", **SINCE}}}
    assert suspended["goal"]["relations"] == {"want": {url: {"status": "suspended", **SINCE}}}
    assert suspended["relations"] == consumer["goal"]["relations"] == {}
    remote = consumer["relations"]["0"]
    assert remote["app"].startswith("remote-")
    assert remote["units"] == {f"{remote['app']}/{n}": f"right/{n}" for n in range(2)}
    assert departed[2:3] == [("right/1", "offered/0", "right/1", "left/0")]
    assert sorted(departed[:2]) == [
        (f"right/{n}", "offered/1", "offered/1", "left/1") for n in range(2)
    ]


@pytest.mark.parametrize(("version", "force"), [("4.0", False), ("4.0", True), ("3.6", False)])
def test_the_databag_of_a_unit_that_has_gone_can_be_refused(version: str, force: bool) -> None:
    """In its departed hook, or where it is a ghost; not while it is a member."""
    answers: set[str] = set()

    def react(self: Stub, event: ops.EventBase) -> None:
        gone = [event.unit] if isinstance(event, ops.RelationDepartedEvent) else []
        for link in self.links:
            for unit in {*link.units, *gone}:
                try:
                    answers.add(f"{unit.name} {link.data[unit].get('what')}")
                except ops.ModelError as error:  # noqa: PERF203 - each is read by itself
                    answers.add(f"{unit.name} {error}")

    with pair(left=stub("link", react=react), version=version) as juju:
        juju.unreadable.add("right/1")
        juju.update_status_round()
        members = set(answers)
        answers.clear()
        if force:
            juju.kill_machine("right/1")
        juju.remove_unit("right/1", force=force)
        juju.settle()
        juju.update_status_round()

    assert members == {"right/0 None", "right/1 None"}
    assert answers == {"right/0 None", "right/1 ERROR permission denied"}


# goal-state and status


def silent(self: Stub, event: ops.EventBase) -> None:
    """Set no status."""


def active(self: Stub, event: ops.EventBase) -> None:
    """Set a status, and fail at update-status."""
    self.unit.status = ops.ActiveStatus("here")
    assert not isinstance(event, ops.UpdateStatusEvent)


# What happens to `right/0`, what its charm does, its status in `goal-state` of 4.0 and 3.6, and
# what `juju status` shows.
STATUSES: list[tuple[Callable[[juju_model.Juju], object], Any, str, str, str]] = [
    (lambda _: None, active, "active", "active", "active"),
    (lambda _: None, silent, "unknown", "unknown", "unknown"),
    (lambda juju: juju.mark_update_status(), active, "error", "error", "error"),
    (lambda juju: juju.kill_machine("right/0"), active, "unknown", "active", "unknown"),
    (lambda juju: juju.kill_machine("right/0"), silent, "unknown", "unknown", "unknown"),
    (lambda juju: juju.stop_agent("right/0"), active, "unknown", "active", "unknown"),
    (
        lambda juju: (juju.kill_machine("right/0"), juju.remove_unit("right/0")),
        active,
        *("dying", "dying", "unknown"),
    ),
]


@pytest.mark.parametrize(("happens", "react", "goal_4", "goal_3", "shown"), STATUSES)
def test_status_of_a_unit(
    happens: Callable[[juju_model.Juju], object], react: Any, goal_4: str, goal_3: str, shown: str
) -> None:
    for version, goal in (("4.0", goal_4), ("3.6", goal_3)):
        with pair(right=stub("want", react=react), units=(1, 1), version=version) as juju:
            happens(juju)
            juju.settle(retry_failed=True, patience=1)

            related = see(juju, "left/0")["goal"]["relations"]["link"]
            assert related["right/0"]["status"] == goal
            assert (juju.status("right/0").name, juju.app_status("right").name) == (shown, shown)


def test_goal_state_names_expected_dying_and_lost_units_but_no_removed_ones() -> None:
    """Nor units that Juju leaves out, as it does with subordinates of other principals."""
    with pair(units=(1, 3)) as juju:
        juju.add_unit("right", provisioned=False)
        for unit in ("right/0", "right/1"):
            juju.kill_machine(unit)
        juju.remove_unit("right/1", force=True)
        juju.remove_unit("right/2")
        goal = see(juju, "left/0")["goal"]
        juju.unnamed = {"right/2"}
        some = see(juju, "left/0")["goal"]["relations"]["link"]
        juju.unnamed = {"right"}
        none = see(juju, "left/0")["goal"]["relations"]["link"]
        own = see(juju, "right/2")["goal"]["units"]

    app = {"right": {"status": "joined", **SINCE}}
    lost = {"right/0": {"status": "unknown", **SINCE}}
    dying = {"right/2": {"status": "dying", **SINCE}}
    expected = {"right/3": {"status": "waiting", **SINCE}}
    assert goal == {
        "units": {"left/0": {"status": "unknown", **SINCE}},
        "relations": {"link": app | lost | dying | expected},
    }
    assert (some, none, own) == (app | lost | expected, app, lost | dying | expected)


def test_a_unit_is_in_maintenance_for_juju_until_it_has_started() -> None:
    shown: list[str] = []
    with juju_model.Juju() as juju:
        juju.deploy(stub("link"), "left")
        shown.append(juju.status("left/0").name)
        juju.on_hook.append(lambda _: shown.append(juju.status("left/0").name))
        juju.settle()

    assert shown == ["waiting", *["maintenance"] * 3, "unknown"]


# The machine and its clock


def test_a_charm_has_a_machine_of_its_own() -> None:
    """Whose programs end as `subprocess.run` has them end."""
    seen: list[object] = []

    def act(self: Stub) -> None:
        binding = self.model.get_binding("peers")
        assert binding is not None
        names = (os.uname().nodename, socket.gethostname(), str(binding.network.bind_address))
        seen.extend(names)
        seen.extend(
            [
                run("true").stdout,
                run("true", capture_output=True).stdout,
                run("true", stdout=subprocess.PIPE, text=True).stdout,
                run("false", check=False).returncode,
            ]
        )
        for program in ("false", "hang", "missing"):
            with pytest.raises((OSError, subprocess.SubprocessError)) as caught:
                run(program, timeout=20)
            seen.append(caught.typename)

    before = os.uname()
    hook = started(act, name="m", hook_cost=1)

    assert seen == [
        *("juju-m-0", "juju-m-0", "192.0.2.7", None, b"out\n", "out\n", 1),
        *("CalledProcessError", "TimeoutExpired", "FileNotFoundError"),
    ]
    assert [str(command) for command in hook.commands][-3:] == [
        *("false (1)", "hang (TimeoutExpired)", "missing (FileNotFoundError)")
    ]
    assert hook.duration == 21
    assert os.uname() == before


def test_a_charm_sleeps_in_the_time_of_the_model() -> None:
    seen: list[float] = []

    def act(_: Stub) -> None:
        for _second in range(2):
            seen.append(time.monotonic())
            time.sleep(1000)

    hook = started(act)

    assert (seen[1] - seen[0], hook.duration) == (1000, pytest.approx(2000.3))


# What hooks cost


def read_twice(self: Stub) -> None:
    """Read a databag, twice."""
    for _ in range(2):
        self.links[0].data[self.unit].get("what")


def write_keys(self: Stub) -> None:
    """Write two keys one by one, then two at once."""
    for data in ({"one": "1"}, {"two": "2"}, {"three": "3", "four": "4"}):
        self.links[0].data[self.unit].update(data)


def lead_for_a_minute(self: Stub) -> None:
    """Ask who leads after 0, 20, 40 and 60 s; the answer is good for 30 s."""
    for _ in range(4):
        self.unit.is_leader()
        time.sleep(20)


LISTED = {"relation-ids": 1, "relation-list": 1}
# What a charm does, and the tools that ops runs for that, besides `is-leader` for collect-status.
CALLED: list[tuple[Callable[[Any], object], dict[str, int]]] = [
    (lambda charm: charm.unit.is_leader(), {}),
    (lead_for_a_minute, {"is-leader": 2}),
    (lambda charm: charm.links, LISTED),
    (read_twice, {**LISTED, "relation-get": 1}),
    (write_keys, {**LISTED, "relation-get": 1, "relation-set": 3}),
    (lambda charm: charm.model.get_binding("peers").network, {"network-get": 1}),
    (lambda charm: charm.app.planned_units(), {"goal-state": 1}),
    (lambda charm: charm.unit.set_workload_version("1"), {"application-version-set": 1}),
    (lambda charm: setattr(charm.unit, "status", ops.ActiveStatus()), {"status-set": 1}),
]


@pytest.mark.parametrize(("act", "called"), CALLED)
def test_a_tool_is_counted_when_ops_would_run_it(
    act: Callable[[Any], object], called: dict[str, int]
) -> None:
    """`calls` adds up those that are neither `juju-log` nor `status-set`."""
    hook = started(act)

    assert hook.tools.pop("juju-log") == len(hook.logs)
    counted = {tool: n for tool, n in hook.tools.items() if not tool.startswith("bytes-")}
    assert counted == {**called, "is-leader": called.get("is-leader", 0) + 1}
    assert hook.calls == sum(n for tool, n in counted.items() if tool != "status-set")


# Failures


def count_and_write(self: Stub) -> None:
    """Count in the stored state, and write that to all databags."""
    count = str(self.count())
    self.links[0].data[self.unit]["count"] = count
    if self.unit.is_leader():
        self.links[0].data[self.app]["count"] = count
    self.unit.status = ops.MaintenanceStatus(count)
    run("true", timeout=9)


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("error", [juju_model.HookFault, juju_model.AgentKilled])
def test_a_hook_that_fails_is_run_again_and_has_written_only_what_was_flushed(
    point: juju_model.Point, error: type[BaseException]
) -> None:
    """What it stored goes with its databags, unless ops had committed it; statuses stay."""
    with juju_model.Juju() as juju:
        juju.deploy(
            stub("peers", react=at_start(count_and_write)), "left", host_factory=Workstation
        )

        def faults(context: juju_model.HookContext) -> None:
            if context.hook.kind == "start" and context.point is point and not juju.errors:
                raise error

        juju.faults = faults
        while not juju.errors:
            assert juju.step() is not None
        flushed = juju.bag("left/0", "peers").get("count")
        [stored] = (s for s in juju.unit("left/0").stored_states if s.owner_path)
        status = juju.status("left/0").name
        juju.settle(retry_failed=True)

        outcome = Outcome.FAILED if error is juju_model.HookFault else Outcome.KILLED
        assert juju.errors[0].outcome is outcome
        assert status == "error"
        assert flushed == ("1" if point is Point.AFTER_FLUSH else None)
        committed = int(point in (Point.BEFORE_FLUSH, Point.AFTER_FLUSH))
        assert stored.content["count"] == committed
        assert juju.bag("left", "peers") == {"count": str(committed + 1)}


def test_a_failed_hook_stops_the_others_and_is_retried_with_back_off() -> None:
    tries: list[str] = []

    def act(self: Stub) -> None:
        tries.append(self.unit.name)
        if len(tries) < 10:
            raise RuntimeError("not yet")

    with juju_model.Juju(hook_cost=0) as juju:
        juju.deploy(stub("peers", react=at_start(act)), "left")
        with pytest.raises(juju_model.HookFailed, match="RuntimeError: not yet"):
            juju.settle()
        juju.settle(retry_failed=True)
        last = list(juju.trace)[-10:]

    assert {hook.kind for hook in last} == {"start"}
    waits = [after.time - before.time for before, after in itertools.pairwise(last)]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize("point", [Point.BEFORE_FLUSH, Point.AFTER_COMMAND])
def test_a_flush_without_the_lease_is_refused_whole_and_stored_state_is_ahead(
    point: juju_model.Point,
) -> None:
    with juju_model.Juju() as juju:
        react = at_start(count_and_write)
        juju.deploy(stub("peers", react=react), "left", units=2, host_factory=Workstation)
        deposed: list[str] = []

        def faults(context: juju_model.HookContext) -> None:
            leads = context.unit == juju.leader("left")
            if context.hook.kind == "start" and context.point is point and leads and not deposed:
                deposed.append(context.unit)
                juju.depose("left")

        juju.faults = faults
        while not juju.errors:
            assert juju.step() is not None
        [error] = juju.errors
        flushed = juju.bag(error.unit, "peers").get("count")
        juju.settle(retry_failed=True)

        assert ("FlushRefused" in error.error, flushed) == (True, None)
        assert juju.bag(error.unit, "peers")["count"] == "2"


def test_two_units_can_both_believe_that_they_lead() -> None:
    """For a while; Juju refuses what the old one writes to the application's databag."""

    def react(self: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.UpdateStatusEvent) and self.unit.is_leader():
            believed.append(self.unit.name)
            self.links[0].data[self.app]["what"] = self.unit.name

    believed: list[str] = []
    with juju_model.Juju() as juju:
        juju.deploy(stub("peers", react=react), "left", units=2)
        juju.settle()
        old = leader(juju, "left")
        new = juju.depose("left", believing=True)
        juju.mark_update_status()
        juju.settle(retry_failed=True)
        juju.update_status_round()

    assert (set(believed[:-1]), believed[-1]) == ({old, new}, new)
    assert {hook.unit for hook in juju.errors} == {old}


def test_a_failing_hook_holds_up_a_removal_unless_that_is_by_force() -> None:
    def react(_: Stub, event: ops.EventBase) -> None:
        if isinstance(event, ops.StopEvent):
            raise RuntimeError

    with juju_model.Juju() as juju:
        juju.deploy(stub("peers", react=react), "left", units=2)
        juju.settle()
        juju.remove_unit("left/0")
        juju.remove_unit("left/1", force=True)
        juju.settle(retry_failed=True, patience=1)

        assert juju.units("left") == ["left/0"]


@pytest.mark.parametrize("point", [Point.BEFORE_COMMAND, Point.AFTER_COMMAND])
def test_a_fault_can_stand_in_for_a_command_or_kill_its_machine(point: juju_model.Point) -> None:
    seen: list[str] = []

    def act(self: Stub) -> None:
        try:
            run("true", timeout=5)
        except subprocess.TimeoutExpired:
            seen.append(self.unit.name)
        run("true")

    def faults(context: juju_model.HookContext) -> None:
        if context.point is point and not seen:
            raise subprocess.TimeoutExpired("true", 5)
        if context.point is point and juju.faults is not None:
            juju.faults = None
            juju.kill_machine(context.unit)

    with juju_model.Juju() as juju:
        juju.faults = faults
        juju.deploy(stub("peers", react=at_start(act)), "left", host_factory=Workstation)
        juju.settle(retry_failed=True)
        lost = juju.status("left/0").name
        juju.start_machine("left/0")
        juju.settle()
        outcomes = [hook.outcome for hook in juju.trace if hook.kind == "start"]
        host = juju.host("left/0")
        juju.remove_unit("left/0")
        juju.settle()

    assert (seen, lost, outcomes) == (["left/0"], "unknown", [Outcome.KILLED, Outcome.OK])
    assert isinstance(host, Workstation)
    assert host.power == ["killed", "started", "destroyed"]


def test_deferred_events_run_at_the_start_of_the_next_hook_in_the_order_of_their_age() -> None:
    ran: list[str] = []
    patient = True

    def react(_: Stub, event: ops.EventBase) -> None:
        ran.append(type(event).__name__)
        late = isinstance(event, ops.ConfigChangedEvent) and "StartEvent" in ran
        if patient and (late or isinstance(event, ops.StartEvent)):
            event.defer()

    charm = stub("peers", react=react)
    with juju_model.Juju() as juju:
        juju.deploy(charm, "left")
        juju.settle()
        juju.refresh("left", charm)
        juju.settle()
        assert juju.step() is None
        ran.clear()
        patient = False
        juju.update_status_round()

    assert ran == ["StartEvent", "ConfigChangedEvent", "UpdateStatusEvent"]


# Interleaving, and what is left of a hook


def test_hooks_of_other_machines_run_while_a_hook_waits() -> None:
    """For a command or in its sleep, each with its own environment and log."""
    flying: list[str] = []
    nested: list[tuple[str, str]] = []

    def faults(context: juju_model.HookContext) -> None:
        if context.point is Point.BEFORE_HOOK:
            nested.extend((outer, context.unit) for outer in flying)
            flying.append(context.unit)
        elif context.point is Point.AFTER_FLUSH:
            flying.remove(context.unit)

    def react(self: Stub, event: ops.EventBase) -> None:
        run("true") if self.app.name == "left" else time.sleep(1)
        assert os.environ["JUJU_UNIT_NAME"] == self.unit.name
        ops.model.logger.warning("here %s", self.unit.name)
        for link in self.links:
            link.data[self.unit]["what"] = type(event).__name__

    with juju_model.Juju(3, interleave=0.5) as juju:
        juju.faults = faults
        charm = stub("peers", react=react)
        juju.deploy(charm, "left", units=3, host_factory=Workstation)
        juju.deploy(charm, "right", units=3)
        juju.settle()

    assert {outer.partition("/")[0] for outer, _ in nested} == {"left", "right"}
    assert all(outer != inner for outer, inner in nested)
    for hook in juju.trace:
        assert [m for level, m in hook.logs if level == "WARNING"] == [f"here {hook.unit}"]


def test_no_value_and_no_long_word_is_shown_in_a_record() -> None:
    """They may be join tokens."""
    secret = "a-word-that-is-too-long-to-be-shown"  # noqa: S105 - it stands for one
    shown: list[str] = []

    def act(self: Stub) -> None:
        self.links[0].data[self.unit]["what"] = secret
        subprocess.run(["true", secret], check=True)  # noqa: S603, S607 - the model's
        raise RuntimeError(secret)

    with juju_model.Juju() as juju:
        juju.faults = lambda context: shown.append(f"{context!r}")
        juju.deploy(stub("peers", react=at_start(act)), "left", host_factory=Workstation)
        juju.on_hook.append(lambda hook: shown.append(f"{hook} {hook!r} {hook.writes!r}"))
        with pytest.raises(juju_model.HookFailed):
            juju.settle()
        shown += [repr(view) for view in juju.bags()]

    assert any("true ... (0)" in text for text in shown)
    assert not any(secret in text for text in shown)
