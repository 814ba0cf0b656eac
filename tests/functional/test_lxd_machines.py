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


def test_a_killed_machine_keeps_its_name_its_address_and_its_data(
    cluster: lxd.LxdMicrocluster,
) -> None:
    """Started again it is the member that it was."""
    machine = cluster.add_machine("node-1")
    address = machine.address
    suite.succeed(machine, "bootstrap")
    machine.kill()
    assert not machine.running

    machine.start()

    assert machine.running
    assert machine.address == address
    assert suite.online(machine) == {"node-1"}


def test_a_machine_that_was_killed_before_it_was_ready_becomes_ready(
    cluster: lxd.LxdMicrocluster,
) -> None:
    """A machine's daemon is not waited for until somebody needs it, or not at all."""
    machine = cluster.add_machine("node-1")
    machine.kill()

    machine.start()

    assert machine.running
    suite.succeed(machine, "bootstrap")
    assert suite.online(machine) == {"node-1"}


def test_an_address_is_not_used_again_in_the_same_microcluster(
    cluster: lxd.LxdMicrocluster,
) -> None:
    """A database may know it for a while after the machine is gone."""
    gone = cluster.add_machine("node-1")
    gone.destroy()

    machine = cluster.add_machine("node-1")

    assert machine.address != gone.address


def test_data_goes_to_memory_unless_there_is_no_room_or_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """It is found there, and nowhere else."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "gettempdir", _always("/tmp"))  # noqa: S108, only named
    monkeypatch.setattr(lxd, "_MEMORY", tmp_path)
    places: list[pathlib.Path] = []
    for room, told in ((0, None), (1 << 60, None), (0, "/var/tmp")):  # noqa: S108, only named
        monkeypatch.setattr(lxd, "_ROOM", room)
        if told:
            monkeypatch.setenv("TMPDIR", told)

        places.append(lxd._place())  # pyright: ignore[reportPrivateUsage]

    assert places == [tmp_path, pathlib.Path("/tmp"), pathlib.Path("/tmp")]  # noqa: S108, as above


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
        (lxd, "_place", _always(pathlib.Path("/" + "deep/" * 20)), "too long a path"),
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
