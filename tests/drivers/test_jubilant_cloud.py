"""What the cloud makes of what Juju shows, on a specification of Jubilant's client."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from unittest import mock

import jubilant
import pytest
from jubilant import statustypes, unittypes

from tests.clouds import jubilant_cloud, options, protocol
from tests.clouds.protocol import CONSUMER, DISTRIBUTOR

if TYPE_CHECKING:
    import pathlib

TOKEN = "eyJzZWNyZXQiOiAibm90LWEtcmVhbC1vbmUiLCAiYWRkcmVzc2VzIjogW119"  # noqa: S105, of nothing
BASE = "ubuntu@24.04"
SOURCES = {
    DISTRIBUTOR: options.CharmSource("/charms/distributor.charm", BASE),
    CONSUMER: options.CharmSource("microovn", BASE, "latest/edge", command="microovn cluster"),
}
FAILURE = jubilant.CLIError(1, ["juju"], "", f"ERROR no {TOKEN}")


class World:
    """A cloud with what is behind it; no time passes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        monkeypatch.setattr(time, "sleep", self.slept.append)
        self.lxc = mock.create_autospec(jubilant_cloud.lxc)
        monkeypatch.setattr(jubilant_cloud, "lxc", self.lxc)
        self.juju = mock.create_autospec(jubilant.Juju, instance=True)
        self.juju.cli.return_value = "a picture of the model"
        self.cloud = jubilant_cloud.JubilantCloud(self.juju, SOURCES)

    def shows(self, *statuses: jubilant.Status | Exception) -> None:
        """Let these be the next looks at the model, and the last of them all that follow."""
        self.juju.status.side_effect = [*statuses, *[statuses[-1]] * 1000]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


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
    apps = {
        name: statustypes.AppStatus(
            *("local:x-0", "local", name, 0, False),
            units={f"{name}/{unit.machine}": unit for unit in shown},
        )
        for name, shown in ((CONSUMER, units), (DISTRIBUTOR, distributors))
    }
    machines = {
        unit.machine: statustypes.MachineStatus(
            hostname=f"juju-{unit.machine}", instance_id=f"juju-{unit.machine}"
        )
        for unit in (*units, *distributors)
    }
    model = statustypes.ModelStatus("m", "iaas", "c", "localhost", version)
    return jubilant.Status(model, machines, apps)


# Observations.


def test_status_is_read(world: World) -> None:
    """Units are in the order of their numbers; one that dies is none any more."""
    waiting = _unit(2, workload="waiting", message="waiting to join")
    status = _status(_unit(0), _unit(10), waiting, _unit(3, life="dying"))
    del status.machines["2"]
    world.shows(status)
    cloud = world.cloud

    assert cloud.units(CONSUMER) == [f"{CONSUMER}/{number}" for number in (0, 2, 10)]
    assert cloud.leader(CONSUMER) == f"{CONSUMER}/0"
    assert cloud.hostname(f"{CONSUMER}/10") == "juju-10"
    assert cloud.hostname(f"{CONSUMER}/2") == "", "it has no machine yet"
    assert cloud.status(f"{CONSUMER}/2") == ("waiting", "waiting to join")
    assert (cloud.units("other"), cloud.leader("other")) == ([], None)


@pytest.mark.parametrize(
    ("version", "shown_to", "other"),
    [
        ("3.6.9", f"{CONSUMER}/1", f"{DISTRIBUTOR}/0"),
        ("4.0.15", f"{DISTRIBUTOR}/0", f"{CONSUMER}/1"),
    ],
)
def test_databags(world: World, version: str, shown_to: str, other: str) -> None:
    """Up to 3.6 a unit is shown the other application's, from 4.0 on that of its own."""
    world.shows(_status(_unit(1), distributors=(_unit(0),), version=version))
    bags = {other: unittypes.UnitRelationData(True, {"mirror-a": "joined"})}
    app = {"formed": "true", "leader": 7}
    relation = unittypes.RelationData(
        1, "cluster", "microcluster-cluster", app, related_units=bags
    )
    peers = unittypes.RelationData(2, "peers", "peers", {}, related_units={})

    def show(unit: str) -> unittypes.UnitInfo:
        relations = [peers, relation] if unit == shown_to else []
        return unittypes.UnitInfo([], "local:x-0", leader=True, relation_info=relations)

    world.juju.show_unit.side_effect = show
    there = shown_to.partition("/")[0]

    assert world.cloud.bag(other, there) == world.cloud.bag(other) == {"mirror-a": "joined"}
    assert world.cloud.bag(DISTRIBUTOR) == {"formed": "true", "leader": "7"}
    assert world.cloud.bag(DISTRIBUTOR, CONSUMER) == world.cloud.bag(DISTRIBUTOR)
    for owner, third in ((other, "third"), (DISTRIBUTOR, "third"), (f"{DISTRIBUTOR}/9", "")):
        assert world.cloud.bag(owner, third) == {}


def test_members_are_what_the_clusters_own_command_lists(world: World) -> None:
    """Sorted by name. A machine whose agent is lost is not asked; one that fails is no member."""
    listed = [
        {"name": "juju-2", "role": "voter", "status": "UNREACHABLE"},
        {"name": "juju-1", "role": "voter", "status": "ONLINE"},
    ]
    world.shows(_status(_unit(0), _unit(1, "lost")))
    world.juju.exec.return_value = jubilant.Task("1", "completed", stdout=json.dumps(listed))

    assert world.cloud.members(f"{CONSUMER}/1") == []
    assert world.cloud.members(f"{CONSUMER}/0") == [
        protocol.Member("juju-1", "voter", online=True),
        protocol.Member("juju-2", "voter", online=False),
    ]
    world.juju.exec.assert_called_once_with(
        "microovn cluster list -f json", unit=f"{CONSUMER}/0", wait=60
    )
    world.juju.exec.side_effect = FAILURE
    assert world.cloud.members(f"{CONSUMER}/0") == []


# Operations, and waiting for them.


def test_units_are_added_and_removed(world: World) -> None:
    """The model is not settled before a removed one is gone; on a dead machine, with it."""
    two, three = _status(_unit(0), _unit(1)), _status(_unit(0), _unit(1), _unit(2))
    world.shows(two, three)
    assert world.cloud.add_unit(CONSUMER) == f"{CONSUMER}/2"

    world.cloud.remove_unit(f"{CONSUMER}/2")
    assert world.cloud.units(CONSUMER) == [f"{CONSUMER}/0", f"{CONSUMER}/1"]
    world.shows(three, three, two)
    world.cloud.settle()
    assert len(world.slept) == 4

    world.cloud.kill_machine(f"{CONSUMER}/0")
    world.cloud.remove_unit(f"{CONSUMER}/0", force=True)
    world.lxc.assert_called_once_with("stop", "--force", "juju-0")
    world.juju.cli.assert_called_once_with("remove-machine", "--force", "--no-prompt", "0")
    world.juju.remove_unit.assert_called_once_with(f"{CONSUMER}/2", force=False)


def test_model_is_settled_when_it_has_been_quiet_for_a_while(world: World) -> None:
    """A moment between two hooks does not count, nor does the agent of a dead machine."""
    dead = _unit(1, "lost")
    idle, busy = _status(_unit(0), dead), _status(_unit(0, "executing"), dead)
    world.shows(idle)
    world.cloud.kill_machine(f"{CONSUMER}/1")
    world.shows(busy, idle, idle, busy, idle)

    world.cloud.settle()

    assert len(world.slept) == 6


def test_what_does_not_come_fails_with_the_reason(world: World) -> None:
    """A controller that does not answer is asked again; if it stays so, it is the reason."""
    world.shows(FAILURE, _status(_unit(0)))
    world.cloud.eventually("an answer", lambda: True)
    world.shows(FAILURE)

    with pytest.raises(AssertionError, match=r"(?s)answer.*ERROR no <token>.*a picture"):
        world.cloud.eventually("an answer", lambda: True)


def test_failed_hook_fails_the_scenario_at_once(world: World) -> None:
    """Unless it died with its machine, or the cluster does not let its unit go yet."""
    world.shows(_status(_unit(0, workload="error"), _unit(1, workload="error")))
    world.cloud.kill_machine(f"{CONSUMER}/0")
    world.cloud.start_machine(f"{CONSUMER}/0")

    with pytest.raises(jubilant_cloud.FailedHookError, match=f"{CONSUMER}/1 is in error"):
        world.cloud.eventually("anything", lambda: False)

    world.cloud.remove_unit(f"{CONSUMER}/1")
    world.cloud.eventually("anything", lambda: True)

    expected = [mock.call("resolved", f"{CONSUMER}/{number}") for number in (0, 0, 1)]
    assert world.juju.cli.mock_calls == expected
    assert not world.slept


def test_artifacts_hold_no_token(world: World, tmp_path: pathlib.Path) -> None:
    """Logs are not asked of a dead machine; what cannot be had is no error."""
    world.shows(_status(_unit(1), _unit(2)))
    world.cloud.kill_machine(f"{CONSUMER}/2")
    world.juju.cli.side_effect = [f"unit-x: joins with {TOKEN}\n", *[FAILURE] * 3]

    world.cloud.collect_artifacts(tmp_path / "kept")

    texts = {path.name: path.read_text() for path in (tmp_path / "kept").iterdir()}
    assert set(texts) == {"status.txt", "debug-log.txt", "databags.txt", "workloads.txt"}
    assert texts["status.txt"] == "unit-x: joins with <token>\n"
    assert "ERROR no <token>" in texts["debug-log.txt"]
    assert TOKEN not in "".join(texts.values())
    shown, logs = (call.args for call in world.juju.cli.mock_calls[2:])
    assert shown == ("show-unit", f"{CONSUMER}/1", f"{CONSUMER}/2")
    assert logs[:3] == ("exec", "--unit", f"{CONSUMER}/1")
