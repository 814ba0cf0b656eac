"""What the cloud makes of operations, and of what Juju shows."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING
from unittest import mock

import jubilant
import pytest
from jubilant import statustypes, unittypes

from tests.clouds import jubilant_cloud, options, protocol
from tests.clouds.protocol import CONSUMER, DISTRIBUTOR

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping

    from tests.drivers.conftest import World

TOKEN = "eyJzZWNyZXQiOiAibm90LWEtcmVhbC1vbmUiLCAiYWRkcmVzc2VzIjogW119"  # noqa: S105, of nothing
ENDPOINTS = ("cluster", "microcluster-cluster")


# What Juju shows.


def _unit(
    machine: int, agent: str = "idle", workload: str = "active", message: str = "", life: str = ""
) -> statustypes.UnitStatus:
    return statustypes.UnitStatus(
        workload_status=statustypes.StatusInfo(current=workload, message=message),
        juju_status=statustypes.StatusInfo(current=agent, life=life),
        leader=machine == 0,
        machine=str(machine),
    )


def _status(
    *units: statustypes.UnitStatus,
    distributors: tuple[statustypes.UnitStatus, ...] = (),
    version: str = "3.6.9",
) -> jubilant.Status:
    """Return a model with consumers and distributors, each numbered as its machine."""
    apps = {CONSUMER: units, DISTRIBUTOR: distributors}
    machines = {unit.machine for units in apps.values() for unit in units}
    return jubilant.Status(
        model=statustypes.ModelStatus("m", "iaas", "c", "localhost", version),
        machines={
            number: statustypes.MachineStatus(
                hostname=f"juju-abc-{number}", instance_id=f"juju-abc-{number}"
            )
            for number in machines
        },
        apps={
            name: statustypes.AppStatus(
                charm=f"local:{name}-0",
                charm_origin="local",
                charm_name=name,
                charm_rev=0,
                exposed=False,
                relations={
                    # The distributor's peers have the same interface.
                    endpoint: [statustypes.AppStatusRelation(other, "worker-cluster", "global")]
                    for endpoint, other in zip(ENDPOINTS, apps, strict=True)
                },
                units={f"{name}/{unit.machine}": unit for unit in units},
            )
            for name, units in apps.items()
        },
    )


def _related(version: str = "3.6.9") -> jubilant.Status:
    return _status(_unit(1), _unit(10), _unit(2), distributors=(_unit(0),), version=version)


def _shown(
    others: Mapping[str, Mapping[str, str]],
    application: Mapping[str, object] | None = None,
    endpoints: tuple[str, str] = ENDPOINTS,
) -> unittypes.UnitInfo:
    """Return what `juju show-unit` shows of a relation.

    Args:
        others: the databags of the units at the other side.
        application: the databag of an application: whose, depends on Juju's version.
        endpoints: the unit's own, and the other side's.
    """
    related = {unit: unittypes.UnitRelationData(True, dict(bag)) for unit, bag in others.items()}
    relation = unittypes.RelationData(
        1, *endpoints, dict(application or {}), related_units=related
    )
    return unittypes.UnitInfo([], "local:x-0", leader=True, relation_info=[relation])


def _failure(text: str) -> jubilant.CLIError:
    return jubilant.CLIError(1, ["juju"], "", text)


# Operations.

OPERATIONS: dict[str, tuple[Callable[[protocol.Cloud], object], object]] = {
    "deploy from Charmhub": (
        lambda cloud: cloud.deploy(CONSUMER, "first", units=3),
        mock.call.deploy(
            "microovn",
            "first",
            base="ubuntu@24.04",
            channel="latest/edge",
            constraints={"virt-type": "virtual-machine", "mem": "2G"},
            num_units=3,
        ),
    ),
    "deploy from this machine": (
        lambda cloud: cloud.deploy(DISTRIBUTOR),
        mock.call.deploy(
            "/charms/distributor.charm",
            DISTRIBUTOR,
            base="ubuntu@24.04",
            channel=None,
            constraints=None,
            num_units=1,
        ),
    ),
    "remove a unit": (
        lambda cloud: cloud.remove_unit(f"{CONSUMER}/1"),
        mock.call.remove_unit(f"{CONSUMER}/1", force=False),
    ),
    "remove a unit by force": (
        lambda cloud: cloud.remove_unit(f"{CONSUMER}/1", force=True),
        mock.call.remove_unit(f"{CONSUMER}/1", force=True),
    ),
    "refresh from this machine": (
        lambda cloud: cloud.refresh(DISTRIBUTOR, DISTRIBUTOR),
        mock.call.refresh(DISTRIBUTOR, path="/charms/distributor.charm"),
    ),
    "refresh from Charmhub": (
        lambda cloud: cloud.refresh(CONSUMER, CONSUMER),
        mock.call.refresh(CONSUMER, channel="latest/edge"),
    ),
}


@pytest.mark.parametrize(("operation", "expected"), OPERATIONS.values(), ids=OPERATIONS)
def test_operation(
    world: World, operation: Callable[[protocol.Cloud], object], expected: object
) -> None:
    world.shows(_status(_unit(0), _unit(1)))

    operation(world.cloud)

    assert [call for call in world.juju.mock_calls if call != mock.call.status()] == [expected]


def test_added_unit_is_the_one_that_was_not_there(world: World) -> None:
    """Of its application; others may get one at the same moment."""
    after = _status(_unit(0), _unit(1), _unit(2), distributors=(_unit(3),))
    world.shows(_status(_unit(0), _unit(1)), after)

    assert world.cloud.add_unit(CONSUMER) == f"{CONSUMER}/2"


def test_host_name_cannot_be_chosen(world: World) -> None:
    """A scenario requires that capability."""
    world.shows(_status())

    with pytest.raises(ValueError, match="does not choose host names"):
        world.cloud.add_unit(CONSUMER, hostname="node-1")


def test_removed_unit_is_no_unit_any_more(world: World) -> None:
    """Though Juju shows it for as long as it takes to leave."""
    world.shows(_status(_unit(0), _unit(1)))

    world.cloud.remove_unit(f"{CONSUMER}/0")

    assert world.cloud.units(CONSUMER) == [f"{CONSUMER}/1"]
    world.cloud.remove_application(CONSUMER)
    assert world.cloud.units(CONSUMER) == []


def test_machines_are_stopped_and_started_by_their_host(world: World) -> None:
    """As a power cut does it. By force, a unit on a dead machine is removed with it."""
    world.shows(_status(_unit(0), _unit(1)))

    world.cloud.kill_machine(f"{CONSUMER}/1")
    world.cloud.start_machine(f"{CONSUMER}/1")
    world.cloud.kill_machine(f"{CONSUMER}/0")
    world.cloud.remove_unit(f"{CONSUMER}/0", force=True)

    assert world.lxc.mock_calls == [
        mock.call("stop", "--force", "juju-abc-1"),
        mock.call("start", "juju-abc-1"),
        mock.call("stop", "--force", "juju-abc-0"),
    ]
    world.juju.cli.assert_called_once_with("remove-machine", "--force", "--no-prompt", "0")
    world.juju.remove_unit.assert_not_called()


# Observations.


def test_status_is_read(world: World) -> None:
    """Units are in the order of their numbers, not in that of their names."""
    waiting = _unit(2, workload="waiting", message="waiting to join")
    world.shows(_status(_unit(0), _unit(10), waiting))
    cloud = world.cloud

    assert cloud.units(CONSUMER) == [f"{CONSUMER}/{number}" for number in (0, 2, 10)]
    assert cloud.leader(CONSUMER) == f"{CONSUMER}/0"
    assert cloud.hostname(f"{CONSUMER}/10") == "juju-abc-10"
    assert cloud.status(f"{CONSUMER}/2") == ("waiting", "waiting to join")
    assert (cloud.units("other"), cloud.leader("other")) == ([], None)


def test_dying_unit_is_no_unit(world: World) -> None:
    """Juju takes its time to remove it."""
    world.shows(_status(_unit(0), _unit(1, life="dying")))

    assert world.cloud.units(CONSUMER) == [f"{CONSUMER}/0"]


def test_unit_without_a_machine_has_no_host_name_yet(world: World) -> None:
    """It was added a moment ago."""
    found = _status(_unit(0))
    found.machines.clear()
    world.shows(found)

    assert world.cloud.hostname(f"{CONSUMER}/0") == ""


@pytest.mark.parametrize(
    ("version", "departs"), [("3.6.9", True), ("4.0.15", False), ("4.1-beta2", False)]
)
def test_capabilities_depend_on_the_release(world: World, version: str, *, departs: bool) -> None:
    """Nobody is told of a removal by force on 4.x."""
    world.shows(_status(version=version))

    assert world.cloud.capabilities == ({protocol.Capability.FORCE_DEPARTS} if departs else set())
    assert version in world.cloud.name


def test_databag_of_a_unit_is_what_the_other_side_sees(world: World) -> None:
    """The distributor has a databag in each of its relations, and one among its peers."""
    name = f"{DISTRIBUTOR}/0"
    shown = _shown({name: {"mirror-a": "joined"}})
    peers = _shown({name: {"names": "x"}}, endpoints=("peers", "peers"))
    shown.relation_info[:0] = peers.relation_info
    world.shows(_related())
    world.juju.show_unit.return_value = shown

    assert world.cloud.bag(name, CONSUMER) == world.cloud.bag(name) == {"mirror-a": "joined"}
    assert world.cloud.bag(name, "third") == {}
    assert world.cloud.bag(f"{DISTRIBUTOR}/9") == {}, "nobody sees it"


@pytest.mark.parametrize(
    ("version", "asked", "other"),
    [
        ("3.6.9", f"{CONSUMER}/1", f"{DISTRIBUTOR}/0"),
        ("4.0.15", f"{DISTRIBUTOR}/0", f"{CONSUMER}/1"),
    ],
)
def test_databag_of_an_application(world: World, version: str, asked: str, other: str) -> None:
    """Up to 3.6 a unit of the other side is shown it, from 4.0 on one of its own."""
    world.shows(_related(version))
    world.juju.show_unit.return_value = _shown({other: {}}, {"formed": "true", "leader": 7})

    bag = world.cloud.bag(DISTRIBUTOR)

    assert bag == {"formed": "true", "leader": "7"}
    assert world.cloud.bag(DISTRIBUTOR, CONSUMER) == bag
    assert world.cloud.bag("other") == {}
    assert {call.args for call in world.juju.show_unit.mock_calls} == {(asked,)}


def _listed(text: str) -> jubilant.Task:
    return jubilant.Task("1", "completed", stdout=text)


def test_members_are_what_the_clusters_own_command_lists(world: World) -> None:
    """Sorted by name."""
    listed = [
        {"name": "juju-abc-2", "role": "voter", "status": "UNREACHABLE"},
        {"name": "juju-abc-1", "role": "voter", "status": "ONLINE"},
    ]
    world.cloud.deploy(CONSUMER)
    world.shows(_status(_unit(0)))
    world.juju.exec.return_value = _listed(json.dumps(listed))

    assert world.cloud.members(f"{CONSUMER}/0") == [
        protocol.Member("juju-abc-1", "voter", online=True),
        protocol.Member("juju-abc-2", "voter", online=False),
    ]
    world.juju.exec.assert_called_once_with(
        "microovn cluster list -f json", unit=f"{CONSUMER}/0", wait=60.0
    )


@pytest.mark.parametrize(
    "answer",
    [
        _failure("ERROR the agent is lost"),
        jubilant.TaskError(_listed("")),
        TimeoutError(),
        pytest.param([_listed("snap is being refreshed\n")], id="no JSON"),
    ],
)
def test_machine_whose_command_fails_lists_no_members(world: World, answer: object) -> None:
    """It is no member, or cannot tell."""
    world.cloud.deploy(CONSUMER)
    world.shows(_status(_unit(0)))
    world.juju.exec.side_effect = answer

    assert world.cloud.members(f"{CONSUMER}/0") == []


@pytest.mark.parametrize("agent", ["allocating", "lost", ""])
def test_machine_without_an_agent_is_not_asked(world: World, agent: str) -> None:
    """The command would wait for it."""
    world.shows(_status(_unit(0, agent)))

    assert world.cloud.members(f"{CONSUMER}/0") == []
    world.juju.exec.assert_not_called()


# Waiting.


def test_each_look_asks_juju_once(world: World) -> None:
    """What a scenario observes in one look belongs together; the next look asks again."""
    world.shows(_related())
    world.juju.show_unit.return_value = _shown({f"{DISTRIBUTOR}/0": {}})
    looks = iter([False, True])

    def observed() -> bool:
        for unit in world.cloud.units(CONSUMER):
            world.cloud.status(unit)
            world.cloud.bag(f"{DISTRIBUTOR}/0")
        return next(looks)

    world.cloud.eventually("something", observed)

    assert world.juju.mock_calls == [mock.call.status(), mock.call.show_unit(f"{CONSUMER}/1")] * 2


def test_model_is_settled_when_it_has_been_quiet_for_a_while(world: World) -> None:
    """A moment between two hooks does not count."""
    idle, busy = _status(_unit(0)), _status(_unit(0, "executing"))
    world.shows(busy, idle, idle, busy, idle)

    world.cloud.settle()

    assert world.slept == [5.0] * 6


def test_agent_of_a_dead_machine_is_not_waited_for(world: World) -> None:
    """It is lost for as long as the machine is down."""
    world.shows(_status(_unit(0), _unit(1, "lost")))
    world.cloud.kill_machine(f"{CONSUMER}/1")

    world.cloud.settle()


def test_unit_that_leaves_is_waited_for(world: World) -> None:
    """The model is not settled before it is gone."""
    both = _status(_unit(0), _unit(1))
    world.shows(both)
    world.cloud.remove_unit(f"{CONSUMER}/1")
    world.shows(both, both, _status(_unit(0)))

    world.cloud.settle()

    assert len(world.slept) == 4


def test_model_that_never_settles_fails_with_who_is_busy(world: World) -> None:
    """Within the limit."""
    world.shows(_status(_unit(0, "executing")))

    with pytest.raises(AssertionError, match=f"not settled: {CONSUMER}/0's agent is executing"):
        world.cloud.settle()

    assert sum(world.slept) <= 50.0


def test_what_is_never_observed_fails_with_the_reason_and_the_status(world: World) -> None:
    """An assertion that fails, like that of a leader, is a reason to look again."""
    world.shows(_status(_unit(0)))

    def observed() -> bool:
        raise AssertionError("no unit leads")

    with pytest.raises(AssertionError, match="not observed: a leader; no unit leads") as caught:
        world.cloud.eventually("a leader", observed)

    assert "a picture of the model" in str(caught.value)
    assert len(world.slept) == 9


def test_controller_that_does_not_answer_is_asked_again(world: World) -> None:
    """It may be busy; if it stays so, that is what has failed."""
    broken = _failure(f"ERROR no {TOKEN}")
    world.shows(broken, _status(_unit(0)))
    world.cloud.eventually("an answer", lambda: True)
    world.shows(broken)

    with pytest.raises(AssertionError, match="ERROR no <token>"):
        world.cloud.eventually("an answer", lambda: True)


def test_failed_hook_fails_the_scenario_at_once(world: World) -> None:
    """The model does not retry hooks."""
    world.shows(_status(_unit(0, workload="error")))

    with pytest.raises(jubilant_cloud.FailedHookError, match=f"{CONSUMER}/0 is in error"):
        world.cloud.eventually("anything", lambda: False)

    assert not world.slept
    world.juju.cli.assert_not_called()


def test_hook_that_died_with_its_machine_is_tried_again(world: World) -> None:
    """So is that of a unit which its cluster does not let go yet."""
    world.shows(_status(_unit(0, workload="error"), _unit(1, workload="error")))
    world.cloud.kill_machine(f"{CONSUMER}/0")
    world.cloud.start_machine(f"{CONSUMER}/0")
    world.cloud.remove_unit(f"{CONSUMER}/1")

    world.cloud.eventually("anything", lambda: True)

    expected = [mock.call("resolved", f"{CONSUMER}/{number}") for number in (0, 1)]
    assert world.juju.cli.mock_calls == expected


def test_waiting_lasts_for_so_many_rounds_of_update_status(world: World) -> None:
    """Juju varies their interval, so it is a little longer."""
    world.shows(_status(_unit(0)))

    world.cloud.wait(2)

    assert world.slept[0] > 2 * 30.0


# The model, and what is kept after a failure.


def test_artifacts_hold_no_token(world: World, tmp_path: pathlib.Path) -> None:
    """Statuses, the log, databags and the workload's logs, but for those on a dead machine."""
    world.cloud.deploy(CONSUMER)
    world.shows(_status(_unit(1), _unit(2), distributors=(_unit(0),)))
    world.cloud.kill_machine(f"{CONSUMER}/2")
    world.juju.cli.return_value = f"unit-x: joins with {TOKEN}\n"
    world.juju.exec.side_effect = _failure(f"ERROR {TOKEN}")

    world.cloud.collect_artifacts(tmp_path / "kept")

    files = {path.name: path.read_text() for path in (tmp_path / "kept").iterdir()}
    assert set(files) == {
        "status.txt",
        "status.json",
        "debug-log.txt",
        f"show-unit-{CONSUMER}-1.yaml",
        f"show-unit-{CONSUMER}-2.yaml",
        f"show-unit-{DISTRIBUTOR}-0.yaml",
        f"workload-{CONSUMER}-1.txt",
    }
    assert files["debug-log.txt"] == "unit-x: joins with <token>\n"
    assert not [name for name, text in files.items() if TOKEN in text]


def test_artifacts_that_cannot_be_had_are_no_error(world: World, tmp_path: pathlib.Path) -> None:
    """They would hide why the scenario failed."""
    world.shows(_failure("ERROR no controller"))
    world.juju.cli.side_effect = _failure("ERROR no controller")

    world.cloud.collect_artifacts(tmp_path)

    assert "ERROR no controller" in (tmp_path / "status.txt").read_text()


def test_model_is_made_as_the_options_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In it a failed hook stays failed, and update-status comes often."""
    made = mock.create_autospec(jubilant.temp_model, return_value=contextlib.nullcontext())
    monkeypatch.setattr(jubilant, "temp_model", made)
    monkeypatch.setattr(options, "sources", mock.Mock(return_value={}))
    option = mock.Mock(keep_models=True, juju_controller="c", juju_cloud="")

    with jubilant_cloud.temporary_cloud(option):
        pass

    config = {"automatically-retry-hooks": False, "update-status-hook-interval": "30s"}
    made.assert_called_once_with(keep=True, controller="c", cloud=None, config=config)
