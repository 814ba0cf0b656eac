"""The example for MicroCeph, on a strict fake of its command line."""

from __future__ import annotations

import io
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from examples.microceph_workload import MicroCephWorkload
from microcluster_token_distributor import Member, WorkloadError
from tests.unit import consumer

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

TOKEN = consumer.token("node-2")
ADDRESS = ["--microceph-ip", "192.0.2.1"]


class FakeMicroCeph:
    """MicroCeph's `squid` series on the machine `node-1`, by its documentation.

    Attributes:
        members: the members of the cluster, each of which has a monitor.
        with_disks: those of them that have disks.
        has_json: whether `list` takes `-f`, as from `squid` on.
        limits: the time limit of each command that had one, by sub-command.
    """

    def __init__(self) -> None:
        self.members: list[str] = []
        self.with_disks: set[str] = set()
        self.has_json = True
        self.limits: dict[str, float] = {}

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Stand in for `subprocess.run`."""
        assert list(argv[:2]) == ["microceph", "cluster"]
        self.limits[argv[2]] = options["timeout"]
        printed, error = self._execute(list(argv[2:]))
        if isinstance(options["stdout"], io.IOBase):
            options["stdout"].write(printed.encode())
        stderr = f"Error: {error}\n" if error else ""
        return subprocess.CompletedProcess(argv, bool(error), printed, stderr)

    def _execute(self, words: list[str]) -> tuple[str, str]:
        """Return what a command prints, and what is wrong with it."""
        if words[0] != "bootstrap" and words[0] != "join" and not self.members:
            return "", "Database is not yet initialized"
        match words:
            case ["bootstrap", "--microceph-ip", _]:
                self.members.append("node-1")
            case ["join", token, "--microceph-ip", _] if token == TOKEN:
                self.members += ["node-0", "node-1"]
            case ["add", "node-2"]:
                return f"{TOKEN}\n", ""
            case ["list", "-f", "json"] if not self.has_json:
                return "", "unknown shorthand flag: 'f' in -f"
            case ["list", "-f", "json"]:
                rows = [{"name": n, "role": "voter", "status": "ONLINE"} for n in self.members]
                return json.dumps(rows), ""
            case ["remove", name, *rest] if name in self.members and rest in ([], ["--force"]):
                hook = f'Failed to execute pre-remove hook on cluster member "{name}": '
                if not rest and name in self.with_disks:
                    return "", f"{hook}Node {name} still has disks configured, remove before"
                if not rest and len(self.members) <= 3:
                    return "", f"{hook}Need at least 3 mon, 1 mds, and 1 mgr besides {name}"
                self.members.remove(name)
            case _:
                raise AssertionError(f"MicroCeph has no such command: {words}")
        return "", ""


@pytest.fixture
def microceph(monkeypatch: pytest.MonkeyPatch) -> FakeMicroCeph:
    """MicroCeph on a machine that is in no cluster."""
    fake = FakeMicroCeph()
    monkeypatch.setattr(subprocess, "run", fake.run)
    return fake


def test_the_first_member_issues_a_token(microceph: FakeMicroCeph, tmp_path: pathlib.Path) -> None:
    """To a file, for the store of tokens."""
    workload = MicroCephWorkload()
    assert not workload.members()
    path = tmp_path / "token"
    path.touch()

    workload.bootstrap(ADDRESS)
    workload.issue("node-2", path)

    assert list(workload.members()) == [Member("node-1", "voter", "ONLINE")]
    assert path.read_text() == f"{TOKEN}\n"
    assert microceph.limits["bootstrap"] > 300


def test_a_newcomer_joins(microceph: FakeMicroCeph) -> None:
    """It has more time for that than MicroCeph takes for itself."""
    workload = MicroCephWorkload()

    workload.join(TOKEN, ADDRESS)

    assert [member.name for member in workload.members()] == ["node-0", "node-1"]
    assert microceph.limits["join"] > 300


@pytest.mark.parametrize("size", [4, 3, 2])
def test_a_member_leaves_though_too_few_monitors_stay(microceph: FakeMicroCeph, size: int) -> None:
    """By force where it has to be, within the time that Ceph needs."""
    microceph.members = [f"node-{number}" for number in range(size)]

    MicroCephWorkload().remove("node-1", (), force=False)

    assert "node-1" not in microceph.members
    assert microceph.limits["remove"] == 900


def test_a_member_with_disks_does_not_leave(microceph: FakeMicroCeph) -> None:
    """The error is MicroCeph's own."""
    microceph.members = ["node-0", "node-1", "node-2"]
    microceph.with_disks = {"node-1"}

    with pytest.raises(WorkloadError, match="still has disks configured"):
        MicroCephWorkload().remove("node-1", (), force=False)

    assert "node-1" in microceph.members


def test_a_dead_member_is_removed_by_force(microceph: FakeMicroCeph) -> None:
    """Its disks are lost already."""
    microceph.members = ["node-0", "node-1", "node-2"]
    microceph.with_disks = {"node-1"}

    MicroCephWorkload().remove("node-1", (), force=True)

    assert microceph.members == ["node-0", "node-2"]


def test_a_release_without_json_is_named_as_the_cause(microceph: FakeMicroCeph) -> None:
    """Its list cannot be read, so nobody can tell whether it is a member."""
    microceph.members = ["node-1"]
    microceph.has_json = False

    with pytest.raises(WorkloadError, match="older than its squid series"):
        MicroCephWorkload().members()
