"""The example charm, which forms clusters of LXD: what it does besides using the library."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ops import testing

from tests.microclusters import forged
from tests.unit import runner

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence


ROOT = pathlib.Path(__file__).parents[1] / "charms" / "lxd_cluster"
TOKEN = forged.token(server_name="node-0")
LIST = ("list", "-f", "json")
JOIN = ("join", TOKEN, "--address", "192.0.2.7")
NOT_A_MEMBER = runner.Answer(1, stderr="Error: Database is not yet initialized")


class Lxd:
    """One unit of the charm, and the commands on its machine."""

    def __init__(self, module: types.ModuleType, commands: runner.FakeRunner):
        self.commands = commands
        self.command = module.COMMAND
        meta = yaml.safe_load((ROOT / "charmcraft.yaml").read_text())
        self.context = testing.Context(
            module.LxdClusterCharm,
            meta={key: meta[key] for key in ("name", "requires", "assumes")},
            unit_id=0,
        )
        self.endpoint: str = module.RELATION

    def expect(self, *words: str, answers: list[runner.Answer] | None = None) -> None:
        """Allow a command of the cluster's."""
        self.commands.expect(*self.command, *words, answers=answers or [runner.Answer()])

    def becomes_member(self) -> None:
        """Let the cluster list this unit from the second question on."""
        row = {"name": "node-0", "role": "voter", "status": "ONLINE"}
        listed = runner.Answer(stdout=json.dumps([row]))
        self.expect(*LIST, answers=[NOT_A_MEMBER, listed])
        self.commands.expect("lxd", "--version", answers=[runner.Answer(stdout="5.0.2\n")])

    def related(self, *addresses: str, token: str = "", **decided: str) -> testing.State:
        """Return a state with a distributor.

        Args:
            addresses: where LXD is to listen.
            token: what the distributor publishes for this unit.
            decided: what is in its application's databag, by key.
        """
        relation = testing.Relation(
            self.endpoint,
            remote_app_name="distributor",
            # Without a report of its own a unit is not granted anything.
            local_unit_data={"hostname": "node-0", "member": "false"},
            remote_app_data={
                "leader": "0",
                **{key.replace("_", "-"): value for key, value in decided.items()},
            },
            remote_units_data={0: {"mirror": "up", **({"mirror-node-0": token} if token else {})}},
        )
        bound = testing.BindAddress([testing.Address(value) for value in addresses])
        network = testing.Network(self.endpoint, bind_addresses=[bound] if addresses else [])
        return testing.State(relations={relation}, networks={network})

    def hook(self, event: str, state: testing.State) -> tuple[testing.State, list[Any]]:
        """Run a hook; return the state after it, and the commands without the program's words."""
        before = len(self.commands.calls)
        after = self.context.run(getattr(self.context.on, event)(), state)
        calls = [
            line[len(self.command) :] if list(line[: len(self.command)]) == self.command else line
            for line in self.commands.calls[before:]
        ]
        assert not any(TOKEN in line.message for line in self.context.juju_log)
        return after, calls


class Programs:
    """The programs on a machine, of all that the charm could use."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
        self._folder = folder
        self._elsewhere = shutil.which
        monkeypatch.setattr(shutil, "which", self._which)

    def have(self, *names: str, scripts: Sequence[str] = (), snaps: Sequence[str] = ()) -> None:
        """Have these and no others: programs, scripts, and what the program `snap` runs."""
        for file in self._folder.iterdir():
            file.unlink()
        for name in names:
            (self._folder / name).write_bytes(b"\x7fELF")
        for name in scripts:
            (self._folder / name).write_bytes(b"#!/bin/sh\n")
        for name in snaps:
            (self._folder / name).symlink_to("snap")

    def _which(self, name: str, *args: Any, **kwargs: Any) -> str | None:
        if name not in ("lxd", "lxc", "snap", "apt-get"):
            return self._elsewhere(name, *args, **kwargs)
        file = self._folder / name
        return str(file) if file.exists() else None


@pytest.fixture
def programs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A machine with none of the programs."""
    return Programs(tmp_path, monkeypatch)


@pytest.fixture
def lxd(monkeypatch: pytest.MonkeyPatch, commands: runner.FakeRunner, programs: Programs) -> Lxd:
    """A unit on the machine `node-0`, on which LXD is installed, and which is no member."""
    spec = importlib.util.spec_from_file_location("lxd_cluster_charm", ROOT / "src" / "charm.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(
        os, "uname", lambda: os.uname_result(("Linux", "node-0", "", "", "x86_64"))
    )
    programs.have("lxd", "lxc", "apt-get")
    lxd = Lxd(module, commands)
    lxd.expect(*LIST, answers=[NOT_A_MEMBER])
    return lxd


def test_its_command_is_the_adapter_beside_it(lxd: Lxd) -> None:
    """Run by the Python that runs the charm."""
    assert lxd.command == [sys.executable, str(ROOT / "src" / "lxd_microcluster.py")]


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        ({"bootstrap_host": "node-1"}, "waiting for node-1 to bootstrap"),
        ({"formed": "true", "waiting": "node-0"}, "waiting for a token"),
    ],
)
def test_its_status_is_the_librarys(lxd: Lxd, decided: dict[str, str], expected: str) -> None:
    """It has nothing to add."""
    state, calls = lxd.hook("update_status", lxd.related(**decided))

    assert state.unit_status == testing.WaitingStatus(expected)
    assert calls == [LIST]


def test_without_a_relation_it_is_blocked(lxd: Lxd) -> None:
    """Its endpoint is optional, so Juju would not say so."""
    state, calls = lxd.hook("update_status", testing.State())

    assert state.unit_status == testing.BlockedStatus(
        "integrate with microcluster-token-distributor"
    )
    assert not calls


def test_it_joins_at_the_relations_own_address_and_shows_lxds_version(lxd: Lxd) -> None:
    """Where the model wants this traffic, which a machine with several addresses must be told."""
    lxd.expect(*JOIN)
    lxd.becomes_member()
    state = lxd.related("192.0.2.7", "192.0.2.8", token=TOKEN, formed="true", waiting="node-0")

    after, calls = lxd.hook("update_status", state)

    assert calls == [LIST, JOIN, LIST, ("lxd", "--version")]
    assert after.unit_status == testing.ActiveStatus()
    assert after.workload_version == "5.0.2"


def test_it_bootstraps_at_the_relations_own_address(lxd: Lxd) -> None:
    """As it joins."""
    lxd.expect("bootstrap", "--address", "192.0.2.7")
    lxd.becomes_member()

    state = lxd.related("192.0.2.7", bootstrap_host="node-0", waiting="node-0")
    _, calls = lxd.hook("update_status", state)

    assert calls == [LIST, ("bootstrap", "--address", "192.0.2.7"), LIST, ("lxd", "--version")]


def test_where_the_model_gives_no_address_lxd_chooses_one(lxd: Lxd) -> None:
    """A network of the relation may have none yet."""
    lxd.expect("join", TOKEN)
    lxd.becomes_member()

    _, calls = lxd.hook("update_status", lxd.related(token=TOKEN, formed="true"))

    assert ("join", TOKEN) in calls


@pytest.mark.parametrize(
    "answer",
    [
        runner.Answer(error=FileNotFoundError(2, "No such file or directory", "lxd")),
        runner.Answer(error=subprocess.TimeoutExpired(["lxd", "--version"], 10)),
        runner.Answer(error=subprocess.CalledProcessError(1, ["lxd", "--version"])),
    ],
    ids=["missing", "hanging", "failing"],
)
def test_a_unit_that_joined_is_active_without_lxds_version(
    lxd: Lxd, answer: runner.Answer
) -> None:
    """The version is for show."""
    lxd.expect(*JOIN)
    lxd.becomes_member()
    lxd.commands.expect("lxd", "--version", answers=[answer])

    after, _ = lxd.hook("update_status", lxd.related("192.0.2.7", token=TOKEN, formed="true"))

    assert after.unit_status == testing.ActiveStatus()
    assert after.workload_version == ""
    assert any("LXD does not say its version" in line.message for line in lxd.context.juju_log)


@pytest.mark.parametrize(
    ("there", "snaps"),
    [(["lxd", "lxc", "apt-get"], []), (["snap", "apt-get"], ["lxd", "lxc"])],
    ids=["a package", "a snap"],
)
def test_it_installs_nothing_where_lxd_is(
    lxd: Lxd, programs: Programs, there: list[str], snaps: list[str]
) -> None:
    """Be it a package or a snap."""
    programs.have(*there, snaps=snaps)

    _, calls = lxd.hook("install", testing.State())

    assert not calls


BY_APT = [
    ("apt-get", "update"),
    ("apt-get", "install", "--yes", "--no-install-recommends", "lxd"),
]
BY_SNAP = [("snap", "install", "lxd")]


@pytest.mark.parametrize(
    ("there", "scripts", "expected"),
    [
        pytest.param(["apt-get"], [], BY_APT, id="a package"),
        pytest.param(["apt-get", "snap"], [], BY_SNAP, id="a snap"),
        pytest.param(["lxd", "snap"], [], BY_SNAP, id="no client"),
        pytest.param(["lxc", "apt-get", "snap"], [], BY_SNAP, id="no daemon"),
        # Those of Ubuntu ask whether to install the snap.
        pytest.param(["apt-get", "snap"], ["lxd", "lxc"], BY_SNAP, id="scripts"),
        pytest.param(["lxd", "apt-get", "snap"], ["lxc"], BY_SNAP, id="a script for a client"),
        pytest.param(["lxc", "apt-get", "snap"], ["lxd"], BY_SNAP, id="a script for a daemon"),
    ],
)
def test_it_installs_lxd_where_there_is_none(
    lxd: Lxd,
    programs: Programs,
    there: list[str],
    scripts: list[str],
    expected: list[tuple[str, ...]],
) -> None:
    """As the distribution has it, and both the daemon and its client."""
    programs.have(*there, scripts=scripts)
    for line in expected:
        lxd.commands.expect(*line)

    _, calls = lxd.hook("install", testing.State())

    assert calls == expected


def test_on_a_machine_with_neither_it_says_so(lxd: Lxd, programs: Programs) -> None:
    """In one line, and without a traceback."""
    programs.have()
    missing = FileNotFoundError(2, "No such file or directory", "apt-get")
    lxd.commands.expect("apt-get", "update", answers=[runner.Answer(error=missing)])

    lxd.hook("install", testing.State())

    problems = [line.message for line in lxd.context.juju_log if line.level == "ERROR"]
    assert problems == ["LXD is not installed, and there is no apt-get to do so"]


def test_an_installation_that_fails_fails_the_hook(lxd: Lxd, programs: Programs) -> None:
    """Juju runs it again, when the archive may be reached."""
    programs.have("apt-get")
    failure = subprocess.CalledProcessError(100, ["apt-get", "update"])
    lxd.commands.expect("apt-get", "update", answers=[runner.Answer(error=failure)])

    with pytest.raises(testing.errors.UncaughtCharmError, match="CalledProcessError"):
        lxd.hook("install", testing.State())
