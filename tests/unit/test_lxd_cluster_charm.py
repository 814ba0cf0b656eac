"""The LXD cluster charm: what it does besides using the library, with a fake LXD."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from ops import testing

from microcluster_token_distributor import Member
from tests import juju_model
from tests.charms.lxd_cluster.src.lxd_workload import LxdWorkload
from tests.microclusters import fake_tokens
from tests.unit import runner

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parents[1] / "charms" / "lxd_cluster"
ENDPOINT = "microcluster-cluster"
TOKEN = fake_tokens.token(server_name="node-0")
VERSION = ("lxd", "--version")
APT = [("apt-get", "update"), ("apt-get", "install", "--yes", "--no-install-recommends", "lxd")]
SNAP = [("snap", "install", "lxd")]


class Machine:
    """A machine with a unit of the charm.

    Attributes:
        lxd: its workload, which is in no cluster until it is told to form one.
        commands: its programs.
        context: runs the unit's hooks.
    """

    def __init__(
        self, folder: pathlib.Path, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch
    ):
        self.lxd = mock.create_autospec(LxdWorkload, instance=True, joins_while_degraded=False)
        self.lxd.members.side_effect = self._members
        self.commands = commands
        commands.expect(*VERSION, answers=[runner.Answer(stdout="5.0.2\n")])
        self._folder = folder
        self._elsewhere = shutil.which
        monkeypatch.setattr(shutil, "which", self._which)
        uname = os.uname_result(("Linux", "node-0", "", "", "x86_64"))
        monkeypatch.setattr(os, "uname", lambda: uname)
        charm = juju_model.Charm.load(ROOT)
        monkeypatch.setattr(sys.modules["lxd_workload"], "LxdWorkload", lambda: self.lxd)
        self.context = testing.Context(charm.charm_type, meta=dict(charm.meta), unit_id=0)

    def install(self, *programs: str, scripts: Sequence[str] = ()) -> None:
        """Have these programs and scripts on the machine's path, of all that the charm uses."""
        for name in (*programs, *scripts):
            content = b"#!/bin/sh\n" if name in scripts else b"\x7fELF"
            (self._folder / name).write_bytes(content)

    def hook(self, event: str, state: testing.State | None = None) -> testing.State:
        """Run a hook."""
        after = self.context.run(getattr(self.context.on, event)(), state or testing.State())
        assert not any(TOKEN in line.message for line in self.context.juju_log)
        return after

    def _members(self) -> list[Member]:
        formed = self.lxd.bootstrap.called or self.lxd.join.called
        return [Member("node-0", "voter", "ONLINE")] if formed else []

    def _which(self, name: str, *args: Any, **kwargs: Any) -> str | None:
        if name not in ("lxd", "lxc", "snap", "apt-get"):
            return self._elsewhere(name, *args, **kwargs)
        file = self._folder / name
        return str(file) if file.exists() else None


@pytest.fixture
def machine(
    tmp_path: pathlib.Path, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """A machine on which nothing is installed."""
    return Machine(tmp_path, commands, monkeypatch)


def related(*addresses: str, token: str = "", **decided: str) -> testing.State:
    """Return a state with a distributor.

    Args:
        addresses: where LXD is to listen.
        token: what the distributor publishes for this unit.
        decided: what is in its application's databag, by key.
    """
    relation = testing.Relation(
        ENDPOINT,
        remote_app_name="distributor",
        # Without a report of its own a unit is not granted anything.
        local_unit_data={"hostname": "node-0", "member": "false"},
        remote_app_data={"leader": "0", **{k.replace("_", "-"): v for k, v in decided.items()}},
        remote_units_data={0: {"mirror": "up", **({"mirror-node-0": token} if token else {})}},
    )
    bound = testing.BindAddress([testing.Address(value) for value in addresses])
    network = testing.Network(ENDPOINT, bind_addresses=[bound] if addresses else [])
    return testing.State(relations={relation}, networks={network})


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        ({"bootstrap_host": "node-1"}, "waiting for node-1 to bootstrap"),
        ({"formed": "true", "waiting": "node-0"}, "waiting for a token"),
    ],
)
def test_its_status_is_the_librarys(
    machine: Machine, decided: dict[str, str], expected: str
) -> None:
    """It has nothing to add."""
    state = machine.hook("update_status", related(**decided))

    assert state.unit_status == testing.WaitingStatus(expected)


def test_without_a_relation_it_is_blocked(machine: Machine) -> None:
    """Its endpoint is optional, so Juju would not say so."""
    state = machine.hook("update_status")

    blocked = testing.BlockedStatus("integrate with microcluster-token-distributor")
    assert state.unit_status == blocked


@pytest.mark.parametrize("addresses", [["192.0.2.7", "192.0.2.8"], []])
def test_it_forms_a_cluster_at_the_relations_own_address(
    machine: Machine, addresses: list[str]
) -> None:
    """Where the model has one; and it shows LXD's version."""
    state = related(*addresses, bootstrap_host="node-0", waiting="node-0")

    after = machine.hook("update_status", state)

    args = ["--address", "192.0.2.7"] if addresses else []
    machine.lxd.bootstrap.assert_called_once_with(args)
    assert after.unit_status == testing.ActiveStatus()
    assert after.workload_version == "5.0.2"


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "lxd"),
        subprocess.TimeoutExpired(["lxd", "--version"], 10),
        subprocess.CalledProcessError(1, ["lxd", "--version"]),
    ],
)
def test_it_joins_though_lxd_does_not_say_its_version(machine: Machine, error: Exception) -> None:
    """The version is for show."""
    machine.commands.expect(*VERSION, answers=[runner.Answer(error=error)])

    after = machine.hook("update_status", related("192.0.2.7", token=TOKEN, formed="true"))

    machine.lxd.join.assert_called_once_with(TOKEN, ["--address", "192.0.2.7"])
    assert after.unit_status == testing.ActiveStatus()
    assert after.workload_version == ""


@pytest.mark.parametrize(
    ("programs", "scripts", "expected"),
    [
        pytest.param(["lxd", "lxc", "apt-get"], [], [], id="installed"),
        pytest.param(["apt-get"], [], APT, id="a package"),
        pytest.param(["apt-get", "snap"], [], SNAP, id="a snap"),
        pytest.param(["lxd", "snap"], [], SNAP, id="no client"),
        # Those of Ubuntu ask whether to install the snap.
        pytest.param(["lxc", "apt-get", "snap"], ["lxd"], SNAP, id="a script"),
    ],
)
def test_it_installs_lxd_where_there_is_none(
    machine: Machine, programs: list[str], scripts: list[str], expected: list[tuple[str, ...]]
) -> None:
    """As the distribution has it, both the daemon and its client."""
    machine.install(*programs, scripts=scripts)
    for line in expected:
        machine.commands.expect(*line)

    machine.hook("install")

    assert machine.commands.calls == expected


def test_without_an_installer_it_says_so(machine: Machine) -> None:
    """In one line, and without a traceback."""
    missing = FileNotFoundError(2, "No such file or directory", "apt-get")
    machine.commands.expect("apt-get", "update", answers=[runner.Answer(error=missing)])

    machine.hook("install")

    problems = [line.message for line in machine.context.juju_log if line.level == "ERROR"]
    assert problems == ["LXD is not installed, and there is no apt-get to do so"]


def test_an_installation_that_fails_fails_the_hook(machine: Machine) -> None:
    """Juju runs it again, when the archive may be reached."""
    failure = subprocess.CalledProcessError(100, ["apt-get", "update"])
    machine.commands.expect("apt-get", "update", answers=[runner.Answer(error=failure)])

    with pytest.raises(testing.errors.UncaughtCharmError, match="CalledProcessError"):
        machine.hook("install")
