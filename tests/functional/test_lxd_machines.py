"""The machines with LXD daemons leave nothing behind, and do not get into each other's way."""

from __future__ import annotations

import contextlib
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


def _home(machine: protocol.Machine) -> pathlib.Path:
    """The directory of a machine's daemon."""
    return pathlib.Path(machine.run(["printenv", "LXD_DIR"]).stdout.strip())


def _processes(home: pathlib.Path) -> list[str]:
    """The processes that belong to the daemon of that directory."""
    found: list[str] = []
    for environ in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"LXD_DIR={home}".encode() in environ.read_bytes().split(b"\0"):
                found.append(environ.parent.name)
    return found


def _always(value: object) -> Callable[..., object]:
    def answer(*_: object) -> object:
        return value

    return answer


def test_a_closed_microcluster_leaves_no_mount_no_process_and_no_file() -> None:
    """Whether its daemons run, were killed or were destroyed; and closing again does no harm."""
    cluster: protocol.Microcluster = lxd.LxdMicrocluster()
    machines = [cluster.add_machine(f"node-{number}") for number in range(3)]
    homes = [_home(machine) for machine in machines]
    machines[1].kill()
    machines[2].destroy()
    while_running = [len(_processes(home)) for home in homes]
    mounts = pathlib.Path("/proc/mounts").read_text()

    cluster.close()
    cluster.close()

    assert while_running == [1, 0, 0]
    assert not [home for home in homes if str(home) in mounts]
    assert not [home for home in homes if _processes(home)]
    assert not homes[0].parent.exists()


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
        script = (
            "import os; from tests.microclusters import lxd\n"
            "machine = lxd.LxdMicrocluster().add_machine('node-1')\n"
            "print(machine.run(['printenv', 'LXD_DIR']).stdout, end='', flush=True); os._exit(9)"
        )
        killed = subprocess.run(  # noqa: S603, ours
            [sys.executable, "-c", script],
            cwd=_ROOT,
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        left = pathlib.Path(killed.stdout.strip())
        assert killed.returncode == 9
        assert len(_processes(left)) == 1

        lxd.LxdMicrocluster().close()

        assert not _processes(left)
        assert not left.parent.exists()
        assert bystander.running
        assert _home(bystander).exists()
    finally:
        beside.close()


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        (os, "geteuid", _always(1000), "root"),
        (shutil, "which", _always(None), "no `lxd` on PATH"),
        (shutil, "which", _always("/snap/bin/lxd"), "the snap's"),
        (tempfile, "gettempdir", _always("/" + "deep/" * 20), "too long a path"),
        (lxd, "_is_program", _always(False), "the snap's"),
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
