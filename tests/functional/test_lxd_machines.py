"""The machines with LXD daemons leave nothing behind, and do not get into each other's way."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.conformance import suite
from tests.microclusters import lxd, protocol

_ROOT = pathlib.Path(__file__).parents[2]


def _home(machine: protocol.Machine) -> pathlib.Path:
    """Return the directory of a machine's daemon."""
    return pathlib.Path(machine.run(["printenv", "LXD_DIR"]).stdout.strip())


def _processes(home: pathlib.Path) -> list[str]:
    """Name the processes that belong to the daemon of that directory."""
    found: list[str] = []
    for environ in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"LXD_DIR={home}".encode() in environ.read_bytes().split(b"\0"):
                found.append(environ.parent.name)
    return found


def test_a_closed_microcluster_leaves_nothing_behind() -> None:
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


def test_two_microclusters_share_no_address(cluster: lxd.LxdMicrocluster) -> None:
    """Nor do machines of one name, and a bootstrap of one is none of another."""
    other = lxd.LxdMicrocluster()
    try:
        machines = [each.add_machine("node-1") for each in (cluster, cluster, other)]

        suite.succeed(machines[0], "bootstrap")

        assert len({machine.address for machine in machines}) == 3
        listings = [suite.run(machine, "list", "-f", "json") for machine in machines]
        assert [answer.code for answer in listings] == [0, 1, 1]
    finally:
        other.close()


def test_a_killed_machine_is_the_same_when_started_again(cluster: lxd.LxdMicrocluster) -> None:
    """It has its address and its data, and one that was never ready becomes so."""
    machine = cluster.add_machine("node-1")
    address = machine.address
    machine.kill()
    machine.start()
    suite.succeed(machine, "bootstrap")
    machine.kill()
    assert not machine.running

    machine.start()

    assert machine.running
    assert machine.address == address
    assert suite.online(machine) == {"node-1"}


def test_a_machine_gets_no_address_that_another_one_had(cluster: lxd.LxdMicrocluster) -> None:
    """A database may know it for a while after the machine is gone."""
    gone = cluster.add_machine("node-1")
    gone.destroy()

    machine = cluster.add_machine("node-1")

    assert machine.address != gone.address


def test_what_a_killed_run_left_is_removed_by_the_next(cluster: lxd.LxdMicrocluster) -> None:
    """Not so what belongs to a run that goes on beside it."""
    bystander = cluster.add_machine("node-1")
    script = (
        "import os; from tests.microclusters import lxd\n"
        "machine = lxd.LxdMicrocluster().add_machine('node-1')\n"
        "print(machine.run(['printenv', 'LXD_DIR']).stdout, end='', flush=True); os._exit(9)"
    )
    command = [sys.executable, "-c", script]
    killed = subprocess.run(command, cwd=_ROOT, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    left = pathlib.Path(killed.stdout.strip())
    assert killed.returncode == 9
    assert len(_processes(left)) == 1

    lxd.LxdMicrocluster().close()

    assert not _processes(left)
    assert not left.parent.exists()
    suite.succeed(bystander, "bootstrap")


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        (os, "geteuid", 1000, "root"),
        (shutil, "which", None, "no `lxd` on PATH"),
        (shutil, "which", __file__, "the snap's"),
        (lxd, "_place", pathlib.Path("/" + "deep/" * 20), "too long a path"),
        (lxd, "_isolated", ["false"], "namespace"),
    ],
)
def test_the_reason_why_lxd_cannot_run_is_given(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object, reason: str
) -> None:
    """A person reads what to do about it, and no cluster is made."""

    def answer(*_: object) -> object:
        return value

    monkeypatch.setattr(module, name, answer)

    with pytest.raises(lxd.LxdError, match=reason):
        lxd.LxdMicrocluster()
