"""The model of Juju fails as Juju does, and lets tests strike where they like."""

from __future__ import annotations

import gc
import os
import subprocess
import textwrap
import weakref
from typing import TYPE_CHECKING

import ops
import pytest
import yaml

from tests import juju_model
from tests.juju_model import toys
from tests.model.workstation import Workstation, at_start, count_and_write

if TYPE_CHECKING:
    import pathlib

SECRET = "a-word-that-is-too-long-to-be-shown"  # noqa: S105 - it stands for one


def strike_once(
    juju: juju_model.Juju,
    point: juju_model.Point,
    error: type[BaseException],
    kind: str = "start",
) -> None:
    """Let the first hook of a kind fail at a point."""
    struck: list[juju_model.HookContext] = []

    def faults(context: juju_model.HookContext) -> None:
        if context.hook.kind == kind and context.point is point and not struck:
            struck.append(context)
            raise error

    juju.faults = faults


def test_an_exception_in_a_charm_is_a_failed_hook_and_never_swallowed() -> None:
    """Neither by `settle` nor by the list of errors; the traceback is there."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", at_start(lambda toy: toy.meta.peers["nothing"])))

        with pytest.raises(juju_model.HookFailed, match="KeyError: 'nothing'"):
            juju.settle()

        assert [hook.kind for hook in juju.errors] == ["start"]
        assert "Traceback" in juju.errors[0].error
        assert juju.status("left/0") == juju_model.Status("error", 'hook failed: "start"')


def test_a_failed_hook_stops_the_others_and_is_retried_with_back_off() -> None:
    """Until the fault is over; then the others follow."""
    tries: list[str] = []

    def flaky(self: toys.Toy) -> None:
        tries.append(self.unit.name)
        if len(tries) < 10:
            raise RuntimeError("not yet")

    with juju_model.Juju(hook_cost=0) as juju:
        juju.deploy(toys.peer("left", at_start(flaky)))
        juju.settle(retry_failed=True)
        times = [hook.time for hook in juju.trace if hook.kind == "start"]

    waits = [times[i + 1] - times[i] for i in range(len(times) - 1)]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert [hook.kind for hook in list(juju.trace)[-10:]] == ["start"] * 10


def test_a_failed_hook_leaves_no_trace_in_databags_and_stored_state() -> None:
    """A status that it set stays, for status-set is immediate."""

    def act(self: toys.Toy) -> None:
        self.count()
        for relation in self.model.relations["peers"]:
            relation.data[self.unit]["what"] = "ever"
        self.unit.status = ops.MaintenanceStatus("about to fail")
        raise RuntimeError("at last")

    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", at_start(act)))
        with pytest.raises(juju_model.HookFailed):
            juju.settle()

        assert "what" not in juju.bag("left/0", "peers")
        assert juju.unit("left/0").status.message == "about to fail"
        assert [s.content["count"] for s in juju.unit("left/0").stored_states if s.owner_path] == [
            0
        ]


@pytest.mark.parametrize(
    "point", [p for p in juju_model.Point if p is not juju_model.Point.AFTER_FLUSH]
)
@pytest.mark.parametrize("error", [juju_model.HookFault, juju_model.AgentKilled])
def test_a_hook_that_fails_before_the_flush_writes_nothing_until_its_retry(
    point: juju_model.Point, error: type[BaseException]
) -> None:
    """Wherever it is struck."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", count_and_write), host_factory=Workstation)
        strike_once(juju, point, error)
        while not juju.errors:
            juju.step()
        before = juju.bag("left/0", "peers").get("count")
        juju.settle(retry_failed=True)

        assert before is None
        assert juju.errors[0].outcome is not juju_model.Outcome.OK
        assert "count" in juju.bag("left/0", "peers")
        assert "count" in juju.bag("left", "peers")


def test_a_hook_that_dies_after_the_flush_runs_again() -> None:
    """What it wrote stays."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", count_and_write), host_factory=Workstation)
        strike_once(juju, juju_model.Point.AFTER_FLUSH, juju_model.AgentKilled)
        juju.settle(retry_failed=True)

        assert [hook.outcome for hook in juju.trace if hook.kind == "start"] == [
            juju_model.Outcome.KILLED,
            juju_model.Outcome.OK,
        ]
        assert juju.bag("left/0", "peers")["count"] == "2"


@pytest.mark.parametrize("point", [juju_model.Point.BEFORE_FLUSH, juju_model.Point.AFTER_COMMAND])
def test_a_refused_flush_leaves_the_stored_state_ahead_of_the_databags(
    point: juju_model.Point,
) -> None:
    """The lease is lost while the hook runs, so its writes fall, the unit's own too."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", count_and_write), units=2, host_factory=Workstation)
        deposed: list[str] = []

        def faults(context: juju_model.HookContext) -> None:
            leads = context.unit == juju.leader("left")
            if context.hook.kind == "start" and context.point is point and leads and not deposed:
                deposed.append(context.unit)
                juju.depose("left")

        juju.faults = faults
        while not juju.errors:
            assert juju.step() is not None
        (error,) = juju.errors
        before = juju.bag(error.unit, "peers").get("count")
        juju.settle(retry_failed=True)

        assert "FlushRefused" in error.error
        assert before is None
        assert juju.bag(error.unit, "peers")["count"] == "2"


def test_two_units_can_both_believe_that_they_lead() -> None:
    """The old one writes its own databag, but not the application's."""
    seen: list[tuple[str, bool]] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.UpdateStatusEvent):
            seen.append((self.unit.name, self.unit.is_leader()))
            (relation,) = self.model.relations["peers"]
            relation.data[self.unit]["what"] = "ever"
            if self.unit.is_leader() and self.unit.name == old:
                relation.data[self.app]["what"] = "ever"

    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", react), units=2)
        juju.settle()
        old = juju.leader("left")
        assert old is not None
        juju.depose("left", believing=True)
        juju.settle()
        juju.mark_update_status()
        juju.settle(retry_failed=True)

    assert seen[:2] in ([(old, True), (juju.leader("left"), True)], [*reversed(seen[:2])])
    assert {hook.unit for hook in juju.errors} == {old}
    assert (old, False) in seen


def test_deferred_events_run_at_the_start_of_the_next_hook_in_the_order_of_their_age() -> None:
    """Of whatever kind; there is no timer."""
    ran: list[str] = []
    patient = True

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        ran.append(type(event).__name__)
        waits = isinstance(event, ops.StartEvent) or self.config["colour"] == "red"
        if waits and patient:
            event.defer()

    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", react))
        juju.settle()
        juju.configure("left", colour="red")
        juju.settle()
        quiet = juju.step()
        ran.clear()
        patient = False
        juju.update_status_round()

    assert quiet is None
    assert ran == ["StartEvent", "ConfigChangedEvent", "UpdateStatusEvent"]


def test_interleaving_runs_hooks_of_other_machines_while_a_hook_waits() -> None:
    """Never of the same machine, for its units share one lock."""
    flying: list[str] = []
    nested: list[tuple[str, str]] = []
    names: list[tuple[str, str]] = []

    def faults(context: juju_model.HookContext) -> None:
        if context.point is juju_model.Point.BEFORE_HOOK:
            nested.extend((outer, context.unit) for outer in flying)
            flying.append(context.unit)
        elif context.point is juju_model.Point.AFTER_FLUSH:
            flying.remove(context.unit)

    def busy(self: toys.Toy, event: ops.EventBase) -> None:
        subprocess.run(["true"], check=True)  # noqa: S607 - the model's
        names.append((self.unit.name, os.environ["JUJU_UNIT_NAME"]))
        for relation in self.model.relations["peers"]:
            relation.data[self.unit]["what"] = type(event).__name__

    with juju_model.Juju(3, interleave=0.5) as juju:
        juju.faults = faults
        juju.deploy(toys.peer("left", busy), units=3, host_factory=Workstation)
        juju.deploy(toys.peer("right", busy), units=0)
        for unit in juju.units("left"):
            juju.add_unit("right", to=unit)
        juju.settle()
        machines = {unit: juju.host(unit) for app in juju.apps for unit in juju.units(app)}

    assert nested
    assert all(machines[outer] is not machines[inner] for outer, inner in nested)
    assert all(own == told for own, told in names)
    assert "JUJU_UNIT_NAME" not in os.environ


def test_what_is_logged_is_in_the_record_of_its_hook_even_when_hooks_are_nested() -> None:
    """And in no other's."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        del event
        subprocess.run(["true"], check=True)  # noqa: S607 - the model's
        self.framework.breakpoint()
        ops.model.logger.warning("here %s", self.unit.name)

    with juju_model.Juju(1, interleave=0.5) as juju:
        juju.deploy(toys.peer("left", react), units=3, host_factory=Workstation)
        juju.settle()
        lines = [
            (hook.unit, [m for level, m in hook.logs if level == "WARNING"]) for hook in juju.trace
        ]

    assert all(messages == [f"here {unit}"] for unit, messages in lines)


def test_no_framework_outlives_its_hook() -> None:
    """Neither one that came to its end nor one that failed."""
    frameworks: list[weakref.ref[ops.Framework]] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        frameworks.append(weakref.ref(self.framework))
        if isinstance(event, ops.StartEvent) and len(frameworks) < 20:
            raise RuntimeError

    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", react), units=2)
        juju.settle(retry_failed=True)
        gc.collect()

        assert len(frameworks) > 20
        assert [framework for framework in frameworks if framework() is not None] == []


def test_a_databag_over_its_limit_is_refused_whole() -> None:
    """What fits falls with it."""

    def act(self: toys.Toy) -> None:
        (relation,) = self.model.relations["peers"]
        relation.data[self.app]["small"] = "x"
        relation.data[self.unit]["large"] = "x" * 1000

    with juju_model.Juju(behaviour=juju_model.Behaviour(bag_limit=1000)) as juju:
        juju.deploy(toys.peer("left", at_start(act)))
        with pytest.raises(juju_model.HookFailed, match="too many"):
            juju.settle()

        assert juju.bag("left", "peers") == {}


def test_a_failing_hook_does_not_hold_up_a_removal_by_force() -> None:
    """Without force it does."""

    def act(self: toys.Toy, event: ops.EventBase) -> None:
        del self
        if isinstance(event, ops.StopEvent):
            raise RuntimeError("will not stop")

    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", act), units=2)
        juju.settle()
        juju.remove_unit("left/0")
        juju.remove_unit("left/1", force=True)
        for _ in range(10):
            juju.step()

        assert juju.units("left") == ["left/0"]


def test_settling_gives_up_on_a_model_that_never_rests() -> None:
    """And shows what it did last."""

    def act(self: toys.Toy, event: ops.EventBase) -> None:
        del event
        for relation in self.model.relations["peers"]:
            relation.data[self.unit]["count"] = str(self.count())

    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", act), units=2)

        with pytest.raises(juju_model.NotSettled, match="after 100 hooks"):
            juju.settle(max_hooks=100)


def test_no_value_and_no_long_word_is_shown_in_a_record() -> None:
    """They may be join tokens."""

    def act(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.StartEvent):
            (relation,) = self.model.relations["peers"]
            relation.data[self.unit]["what"] = SECRET
            subprocess.run(["true", SECRET], check=True)  # noqa: S603, S607 - the model's
            raise RuntimeError(SECRET) if self.count() == 1 else NotImplementedError

    shown: list[str] = []
    with juju_model.Juju() as juju:
        juju.faults = lambda context: shown.append(f"{context!r}")
        juju.deploy(toys.peer("left", act), host_factory=Workstation)
        juju.on_hook.append(lambda hook: shown.append(f"{hook} {hook!r} {hook.writes!r}"))
        with pytest.raises(juju_model.HookFailed):
            juju.settle()
        shown += [repr(view) for view in juju.bags()]

    assert any("true ... (0)" in text for text in shown)
    assert not any(SECRET in text for text in shown)


def test_a_charm_is_loaded_from_its_directory_beside_another_of_the_same_module(
    tmp_path: pathlib.Path,
) -> None:
    """Both modules are called `charm`."""
    loaded: list[juju_model.Charm] = []
    for name in ("one", "two"):
        source = tmp_path / name / "src" / "charm.py"
        source.parent.mkdir(parents=True)
        source.write_text(
            textwrap.dedent(
                f"""
                import ops

                class Base(ops.CharmBase):
                    pass

                class Charm(Base):
                    name = "{name}"
                """
            )
        )
        project = {"name": name, "summary": "dropped", "peers": {"p": {"interface": "i"}}}
        (tmp_path / name / "charmcraft.yaml").write_text(yaml.safe_dump(project))
        loaded.append(juju_model.Charm.load(tmp_path / name))

    assert [vars(charm.charm_type)["name"] for charm in loaded] == ["one", "two"]
    assert loaded[0].meta == {"name": "one", "peers": {"p": {"interface": "i"}}}
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["charmcraft.yaml", "src"]
