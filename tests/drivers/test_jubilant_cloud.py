"""What the cloud makes of operations, and of Juju's JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from tests.clouds import jubilant_cloud, options, protocol
from tests.drivers import juju_json
from tests.drivers.fake_juju_cli import Failure

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from tests.drivers.conftest import World

DISTRIBUTOR = protocol.DISTRIBUTOR
CONSUMER = protocol.CONSUMER
TWO = {f"{CONSUMER}/0": juju_json.unit("0", leader=True), f"{CONSUMER}/1": juju_json.unit("1")}


def _three(version: str = "3.6.9", **second: Any) -> str:
    """Return the status of three consumers and a distributor, with something about the second."""
    consumers = {
        # Juju sorts them as strings.
        f"{CONSUMER}/1": juju_json.unit("1", leader=True),
        f"{CONSUMER}/10": juju_json.unit("10"),
        f"{CONSUMER}/2": juju_json.unit("2", **second),
    }
    distributors = {f"{DISTRIBUTOR}/0": juju_json.unit("0", leader=True)}
    applications = {CONSUMER: consumers, DISTRIBUTOR: distributors}
    return juju_json.status(applications, (CONSUMER, DISTRIBUTOR), version)


# Operations.


OPERATIONS: list[tuple[Callable[[protocol.Cloud], object], str]] = [
    (
        lambda cloud: cloud.deploy(CONSUMER, "first", units=3),
        "deploy microovn first --base ubuntu@24.04 --channel latest/edge"
        " --constraints virt-type=virtual-machine --constraints mem=2G --num-units 3",
    ),
    (
        lambda cloud: cloud.deploy(DISTRIBUTOR),
        f"deploy /charms/distributor.charm {DISTRIBUTOR} --base ubuntu@24.04",
    ),
    (lambda cloud: cloud.integrate("a", "b"), "integrate a b"),
    (lambda cloud: cloud.remove_relation("a", "b"), "remove-relation a b"),
    (
        lambda cloud: cloud.remove_unit(f"{CONSUMER}/0"),
        f"remove-unit --no-prompt {CONSUMER}/0",
    ),
    (
        lambda cloud: cloud.remove_unit(f"{CONSUMER}/1", force=True),
        f"remove-unit --no-prompt {CONSUMER}/1 --force",
    ),
    (
        lambda cloud: cloud.remove_application(CONSUMER),
        f"remove-application --no-prompt {CONSUMER}",
    ),
    (
        lambda cloud: cloud.refresh(DISTRIBUTOR, DISTRIBUTOR),
        f"refresh {DISTRIBUTOR} --path /charms/distributor.charm",
    ),
    (
        lambda cloud: cloud.refresh(CONSUMER, CONSUMER),
        f"refresh {CONSUMER} --channel latest/edge",
    ),
]


@pytest.mark.parametrize(("operation", "expected"), OPERATIONS)
def test_operation(
    world: World, operation: Callable[[protocol.Cloud], object], expected: str
) -> None:
    """Each is one command."""
    world.juju.answers("status", juju_json.status({CONSUMER: TWO}))

    operation(world.cloud)

    assert [" ".join(call) for call in world.juju.operations()] == [expected]


def test_added_unit_is_the_one_that_was_not_there(world: World) -> None:
    """Of its application; others may get one at the same moment."""
    after = {CONSUMER: TWO | {f"{CONSUMER}/2": juju_json.unit("2")}}
    other = {"other": {"other/0": juju_json.unit("3")}}
    world.juju.answers(
        "status", juju_json.status({CONSUMER: TWO}), juju_json.status(after | other)
    )

    assert world.cloud.add_unit(CONSUMER) == f"{CONSUMER}/2"


def test_host_name_cannot_be_chosen(world: World) -> None:
    """A scenario requires that capability."""
    world.juju.answers("status", juju_json.status({CONSUMER: TWO}))

    with pytest.raises(ValueError, match="does not choose host names"):
        world.cloud.add_unit(CONSUMER, hostname="node-1")


def test_removed_unit_is_no_unit_any_more(world: World) -> None:
    """Though Juju shows it for as long as it takes to leave."""
    world.juju.answers("status", juju_json.status({CONSUMER: TWO}))

    world.cloud.remove_unit(f"{CONSUMER}/0")

    assert world.cloud.units(CONSUMER) == [f"{CONSUMER}/1"]
    world.cloud.remove_application(CONSUMER)
    assert world.cloud.units(CONSUMER) == []


def test_machines_are_stopped_and_started_by_their_host(world: World) -> None:
    """As a power cut does it. By force, a unit on a dead machine is removed with it."""
    world.juju.answers("status", juju_json.status({CONSUMER: TWO}))

    world.cloud.kill_machine(f"{CONSUMER}/1")
    world.cloud.start_machine(f"{CONSUMER}/1")
    world.cloud.kill_machine(f"{CONSUMER}/0")
    world.cloud.remove_unit(f"{CONSUMER}/0", force=True)

    assert world.lxc.mock_calls == [
        mock.call("stop", "--force", "juju-abc-1"),
        mock.call("start", "juju-abc-1"),
        mock.call("stop", "--force", "juju-abc-0"),
    ]
    assert world.juju.operations() == [["remove-machine", "--force", "--no-prompt", "0"]]


# Observations.


def test_status_is_read(world: World) -> None:
    """Units are in the order of their numbers, not in that of their names."""
    world.juju.answers("status", _three(workload="waiting", message="waiting to join"))
    cloud = world.cloud

    assert cloud.units(CONSUMER) == [f"{CONSUMER}/{number}" for number in (1, 2, 10)]
    assert cloud.leader(CONSUMER) == f"{CONSUMER}/1"
    assert cloud.hostname(f"{CONSUMER}/10") == "juju-abc-10"
    assert cloud.status(f"{CONSUMER}/2") == ("waiting", "waiting to join")
    assert (cloud.units("other"), cloud.leader("other")) == ([], None)


def test_dying_unit_is_no_unit(world: World) -> None:
    """Juju takes its time to remove it."""
    world.juju.answers("status", _three(life="dying"))

    assert world.cloud.units(CONSUMER) == [f"{CONSUMER}/1", f"{CONSUMER}/10"]


def test_unit_without_a_machine_has_no_host_name_yet(world: World) -> None:
    """It was added a moment ago."""
    world.juju.answers("status", json.dumps(json.loads(_three()) | {"machines": {}}))

    assert world.cloud.hostname(f"{CONSUMER}/1") == ""


@pytest.mark.parametrize(
    ("version", "departs"), [("3.6.9", True), ("4.0.15", False), ("4.1-beta2", False)]
)
def test_capabilities_depend_on_the_release(world: World, version: str, *, departs: bool) -> None:
    """Nobody is told of a removal by force on 4.x."""
    world.juju.answers("status", juju_json.status({}, version=version))

    assert world.cloud.capabilities == ({protocol.Capability.FORCE_DEPARTS} if departs else set())
    assert version in world.cloud.name


def test_databag_of_a_unit_is_what_the_other_side_sees(world: World) -> None:
    """The distributor has a databag in each of its relations, and one among its peers."""
    name = f"{DISTRIBUTOR}/0"
    shown = juju_json.shown_unit(
        f"{CONSUMER}/1",
        juju_json.relation(("peers", "peers"), {name: {"names": "x"}}),
        juju_json.relation(("cluster", "microcluster-cluster"), {name: {"mirror-a": "joined"}}),
    )
    world.juju.answers("status", _three())
    world.juju.answers("show-unit", shown)

    assert world.cloud.bag(name, CONSUMER) == world.cloud.bag(name) == {"mirror-a": "joined"}
    assert world.cloud.bag(name, "third") == {}
    assert world.cloud.bag(f"{DISTRIBUTOR}/9") == {}, "nobody sees it"


@pytest.mark.parametrize(
    ("version", "asked"), [("3.6.9", f"{CONSUMER}/1"), ("4.0.15", f"{DISTRIBUTOR}/0")]
)
def test_databag_of_an_application(world: World, version: str, asked: str) -> None:
    """Up to 3.6 a unit of the other side is shown it, from 4.0 on one of its own."""
    other = f"{DISTRIBUTOR}/0" if asked.startswith(CONSUMER) else f"{CONSUMER}/1"
    data = {"bootstrap-host": "juju-abc-1", "leader": 7}
    relation = juju_json.relation(("cluster", "microcluster-cluster"), {other: {}}, data)
    world.juju.answers("status", _three(version=version))
    world.juju.answers("show-unit", juju_json.shown_unit(asked, relation))

    bag = world.cloud.bag(DISTRIBUTOR)

    assert bag == {"bootstrap-host": "juju-abc-1", "leader": "7"}
    assert world.cloud.bag(DISTRIBUTOR, CONSUMER) == bag
    assert world.cloud.bag("other") == {}
    assert {call[1] for call in world.juju.called("show-unit")} == {asked}


def test_members_are_what_the_clusters_own_command_lists(world: World) -> None:
    """Sorted by name."""
    listed = [
        {"name": "juju-abc-2", "role": "voter", "status": "UNREACHABLE"},
        {"name": "juju-abc-1", "role": "voter", "status": "ONLINE"},
    ]
    world.cloud.deploy(CONSUMER, units=3)
    world.juju.answers("status", _three())
    world.juju.answers("exec", juju_json.task(f"{CONSUMER}/1", json.dumps(listed)))

    assert world.cloud.members(f"{CONSUMER}/1") == [
        protocol.Member("juju-abc-1", "voter", online=True),
        protocol.Member("juju-abc-2", "voter", online=False),
    ]
    (call,) = world.juju.called("exec")
    assert call[-1] == "microovn cluster list -f json"
    assert f"{CONSUMER}/1" in call


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Failure("ERROR the agent is lost"), id="an error"),
        pytest.param(juju_json.task("x/0", "snap is being refreshed\n"), id="no JSON"),
    ],
)
def test_machine_whose_command_fails_lists_no_members(world: World, answer: str) -> None:
    """It is no member, or cannot tell."""
    world.cloud.deploy(CONSUMER, units=3)
    world.juju.answers("status", _three())
    world.juju.answers("exec", answer)

    assert world.cloud.members(f"{CONSUMER}/1") == []


@pytest.mark.parametrize("agent", ["allocating", "lost", ""])
def test_machine_without_an_agent_is_not_asked(world: World, agent: str) -> None:
    """The command would wait for it."""
    world.juju.answers("status", _three(agent=agent))

    assert world.cloud.members(f"{CONSUMER}/2") == []
    assert not world.juju.called("exec")


# Waiting.


def _status(*agents: str, workload: str = "active") -> str:
    return juju_json.status(
        {
            CONSUMER: {
                f"{CONSUMER}/{number}": juju_json.unit(str(number), agent=agent, workload=workload)
                for number, agent in enumerate(agents)
            }
        }
    )


def test_each_look_asks_juju_once(world: World) -> None:
    """What a scenario observes in one look belongs together; the next look asks again."""
    world.juju.answers("status", _three())
    relation = juju_json.relation(("cluster", "microcluster-cluster"), {f"{DISTRIBUTOR}/0": {}})
    world.juju.answers("show-unit", juju_json.shown_unit(f"{CONSUMER}/1", relation))
    looks = iter([False, True])

    def observed() -> bool:
        for unit in world.cloud.units(CONSUMER):
            world.cloud.status(unit)
            world.cloud.bag(f"{DISTRIBUTOR}/0")
        return next(looks)

    world.cloud.eventually("something", observed)

    assert [call[0] for call in world.juju.calls] == ["status", "show-unit"] * 2


def test_model_is_settled_when_it_has_been_quiet_for_a_while(world: World) -> None:
    """A moment between two hooks does not count."""
    idle, busy = _status("idle", "idle"), _status("idle", "executing")
    world.juju.answers("status", busy, idle, idle, busy, idle)

    world.cloud.settle()

    assert len(world.juju.called("status")) == 7
    assert world.slept == [5.0] * 6


def test_agent_of_a_dead_machine_is_not_waited_for(world: World) -> None:
    """It is lost for as long as the machine is down."""
    world.juju.answers("status", _status("idle", "lost"))
    world.cloud.kill_machine(f"{CONSUMER}/1")

    world.cloud.settle()


def test_unit_that_leaves_is_waited_for(world: World) -> None:
    """The model is not settled before it is gone."""
    both = _status("idle", "idle")
    world.juju.answers("status", both)
    world.cloud.remove_unit(f"{CONSUMER}/1")
    world.juju.answers("status", both, both, _status("idle"))

    world.cloud.settle()

    assert len(world.slept) == 4


def test_model_that_never_settles_fails_with_who_is_busy(world: World) -> None:
    """Within the limit."""
    world.juju.answers("status", _status("idle", "executing"))

    with pytest.raises(AssertionError, match=f"not settled: {CONSUMER}/1's agent is executing"):
        world.cloud.settle()

    assert sum(world.slept) <= 50.0


def test_what_is_never_observed_fails_with_the_reason_and_the_status(world: World) -> None:
    """An assertion that fails, like that of a leader, is a reason to look again."""
    world.juju.answers("status", _status("idle"))

    def observed() -> bool:
        raise AssertionError("no unit leads")

    with pytest.raises(AssertionError, match="not observed: a leader; no unit leads") as caught:
        world.cloud.eventually("a leader", observed)

    assert f"{CONSUMER}/0" in str(caught.value)
    assert len(world.slept) == 9


def test_controller_that_does_not_answer_is_asked_again(world: World) -> None:
    """It may be busy; if it stays so, that is what has failed."""
    broken = Failure(f"ERROR no {juju_json.TOKEN}")
    world.juju.answers("status", broken, _status("idle"))
    world.cloud.eventually("an answer", lambda: True)
    world.juju.answers("status", broken)

    with pytest.raises(AssertionError, match="ERROR no <token>"):
        world.cloud.eventually("an answer", lambda: True)


def test_failed_hook_fails_the_scenario_at_once(world: World) -> None:
    """The model does not retry hooks."""
    world.juju.answers("status", _status("idle", workload="error"))

    with pytest.raises(jubilant_cloud.FailedHookError, match=f"{CONSUMER}/0 is in error"):
        world.cloud.eventually("anything", lambda: False)

    assert not world.slept
    assert not world.juju.operations()


def test_hook_that_died_with_its_machine_is_tried_again(world: World) -> None:
    """So is that of a unit which its cluster does not let go yet."""
    world.juju.answers("status", _status("idle", "idle", workload="error"))
    world.cloud.kill_machine(f"{CONSUMER}/0")
    world.cloud.start_machine(f"{CONSUMER}/0")
    world.cloud.remove_unit(f"{CONSUMER}/1")

    world.cloud.eventually("anything", lambda: True)

    resolved = world.juju.called("resolved")
    assert resolved == [["resolved", f"{CONSUMER}/0"], ["resolved", f"{CONSUMER}/1"]]


def test_waiting_lasts_for_so_many_rounds_of_update_status(world: World) -> None:
    """Juju varies their interval, so it is a little longer."""
    world.juju.answers("status", _status("idle"))

    world.cloud.wait(2)

    assert world.slept[0] > 2 * 30.0


# The model, and what is kept after a failure.


def test_artifacts_hold_no_token(world: World, tmp_path: pathlib.Path) -> None:
    """Statuses, the log, databags and the workload's logs, but for those on a dead machine."""
    world.cloud.deploy(CONSUMER, units=3)
    world.juju.answers("status", _three())
    world.cloud.kill_machine(f"{CONSUMER}/2")
    world.juju.answers("debug-log", f"unit-x: joins with {juju_json.TOKEN}\n")
    world.juju.answers("show-unit", f"mirror-juju-abc-2: {juju_json.TOKEN}\n")
    world.juju.answers("exec", Failure(f"ERROR {juju_json.TOKEN}"))

    world.cloud.collect_artifacts(tmp_path / "kept")

    files = {path.name: path.read_text() for path in (tmp_path / "kept").iterdir()}
    assert set(files) == {
        "status.txt",
        "status.json",
        "debug-log.txt",
        *(f"show-unit-{CONSUMER}-{number}.yaml" for number in (1, 2, 10)),
        f"show-unit-{DISTRIBUTOR}-0.yaml",
        *(f"workload-{CONSUMER}-{number}.txt" for number in (1, 10)),
    }
    assert not [name for name, text in files.items() if juju_json.TOKEN in text]
    assert files["debug-log.txt"] == "unit-x: joins with <token>\n"


def test_artifacts_that_cannot_be_had_are_no_error(world: World, tmp_path: pathlib.Path) -> None:
    """They would hide why the scenario failed."""
    world.juju.answers("status", Failure("ERROR no controller"))

    world.cloud.collect_artifacts(tmp_path)

    assert "ERROR no controller" in (tmp_path / "status.txt").read_text()


@pytest.mark.parametrize("keep", [False, True])
def test_model_is_made_and_destroyed(
    world: World, monkeypatch: pytest.MonkeyPatch, *, keep: bool
) -> None:
    """In it a failed hook stays failed, and update-status comes often."""
    monkeypatch.setattr(options, "sources", mock.Mock(return_value={}))
    option = mock.Mock(keep_models=keep, juju_controller="c", juju_cloud="localhost")

    with jubilant_cloud.temporary_cloud(option):
        pass

    (made,) = world.juju.called("add-model")
    assert "localhost" in made
    assert made[made.index("--controller") + 1] == "c"
    assert {"automatically-retry-hooks=false", "update-status-hook-interval=30s"} <= set(made)
    destroyed = [call[1] for call in world.juju.called("destroy-model")]
    assert destroyed == ([] if keep else [f"c:{made[2]}"])
