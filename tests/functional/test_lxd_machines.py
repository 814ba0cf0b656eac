"""The machines with LXD daemons leave nothing behind, and do not get into each other's way."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.conformance import suite
from tests.microclusters import lxd, protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = pathlib.Path(__file__).parents[2]


def _directories() -> set[pathlib.Path]:
    return set(pathlib.Path(tempfile.gettempdir()).glob("lxd-microcluster-*"))


def _daemons() -> dict[int, str]:
    """The `LXD_DIR` of each process on this host that has one among the tests' directories."""
    found: dict[int, str] = {}
    for directory in _directories():
        for process in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                environment = process.read_bytes()
            except OSError:
                continue
            if f"LXD_DIR={directory}/".encode() in environment:
                found[int(process.parent.name)] = str(directory)
    return found


def _always(value: object) -> Callable[..., object]:
    def answer(*_: object) -> object:
        return value

    return answer


def _mounts() -> str:
    return pathlib.Path("/proc/mounts").read_text()


def test_a_closed_microcluster_leaves_no_mount_no_process_and_no_file() -> None:
    """Whether its daemons run, were killed or were destroyed; and closing again does no harm."""
    mounts, directories, daemons = _mounts(), _directories(), _daemons()
    cluster: protocol.Microcluster = lxd.LxdMicrocluster()
    machines = [cluster.add_machine(f"node-{number}") for number in range(3)]
    machines[1].kill()
    machines[2].destroy()
    during = _mounts()

    cluster.close()
    cluster.close()

    assert during == mounts
    assert _mounts() == mounts
    assert _directories() <= directories
    assert set(_daemons()) <= set(daemons)


def test_two_microclusters_share_no_address() -> None:
    """Nor do machines of one name; what is said to one is not heard by the other."""
    one, other = lxd.LxdMicrocluster(), lxd.LxdMicrocluster()
    try:
        machines = [cluster.add_machine("node-1") for cluster in (one, one, other)]

        suite.succeed(machines[0], "bootstrap")

        assert len({machine.address for machine in machines}) == 3
        listings = [suite.run(machine, "list", "-f", "json") for machine in machines]
        assert [answer.code for answer in listings] == [0, 1, 1]
    finally:
        one.close()
        other.close()


def test_a_killed_machine_keeps_its_name_its_address_and_its_data() -> None:
    """Started again it is the member that it was."""
    cluster = lxd.LxdMicrocluster()
    try:
        machine = cluster.add_machine("node-1")
        address = machine.address
        suite.succeed(machine, "bootstrap")
        machine.kill()
        assert not machine.running

        machine.start()

        assert machine.running
        assert machine.address == address
        assert suite.online(machine) == {"node-1"}
    finally:
        cluster.close()


def test_what_a_killed_run_left_is_swept_away_by_the_next() -> None:
    """Not so what belongs to a run that goes on beside it."""
    beside = lxd.LxdMicrocluster()
    try:
        bystander = beside.add_machine("node-1")
        mine = set(_daemons())
        script = (
            "import os; from tests.microclusters import lxd\n"
            "lxd.LxdMicrocluster().add_machine('node-1'); os._exit(9)"
        )
        killed = subprocess.run([sys.executable, "-c", script], cwd=_ROOT, check=False)  # noqa: S603, ours
        left = set(_daemons()) - mine
        assert killed.returncode == 9
        assert left

        lxd.LxdMicrocluster().close()

        assert not left & set(_daemons())
        assert bystander.running
    finally:
        beside.close()


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        (os, "geteuid", _always(1000), "root"),
        (shutil, "which", _always(None), "no `lxd` on PATH"),
        (shutil, "which", _always("/snap/bin/lxd"), "the snap's"),
        (tempfile, "gettempdir", _always("/" + "deep/" * 20), "too long a path"),
        (lxd, "_isolated", _always(["false"]), "nothing can be mounted"),
        (lxd, "_isolated", _always(["no-such-program"]), "no namespaces"),
        (lxd, "_is_free", _always(False), "no address"),
    ],
)
def test_the_reason_why_lxd_cannot_run_is_said(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object, reason: str
) -> None:
    """A person reads what to do about it, and no cluster is made."""
    monkeypatch.setattr(module, name, value)

    said = lxd.available()

    assert said is not None
    assert reason in said
    with pytest.raises(lxd.LxdError, match=reason):
        lxd.LxdMicrocluster()
