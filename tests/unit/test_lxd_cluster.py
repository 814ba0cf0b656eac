"""The LXD cluster charm and its workload where there is no LXD, or it answers rubbish."""

from __future__ import annotations

import contextlib
import io
import pathlib
import socket
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from ops import testing

from microcluster_token_distributor import Member, WorkloadError
from tests import juju_model
from tests.charms.lxd_cluster.src import lxd_workload
from tests.microclusters import fake_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit import runner

ROOT = pathlib.Path(__file__).parents[1] / "charms" / "lxd_cluster"
APT = [("apt-get", "update"), ("apt-get", "install", "--yes", "--no-install-recommends", "lxd")]
SNAP = [("snap", "install", "lxd")]


@pytest.mark.parametrize(
    ("programs", "scripts", "expected"),
    [
        pytest.param(["lxd", "lxc", "apt-get"], [], [], id="installed"),
        pytest.param(["apt-get"], [], APT, id="a package"),
        pytest.param(["lxd", "snap"], [], SNAP, id="no client"),
        # Those of Ubuntu ask whether to install the snap.
        pytest.param(["lxc", "apt-get", "snap"], ["lxd"], SNAP, id="a script"),
    ],
)
def test_it_installs_lxd_where_there_is_none(
    commands: runner.FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    programs: list[str],
    scripts: list[str],
    expected: list[tuple[str, ...]],
) -> None:
    """As the distribution has it, both the daemon and its client."""
    charm = juju_model.Charm.load(ROOT)
    context = testing.Context(charm.charm_type, meta=dict(charm.meta))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in (*programs, *scripts):
        (tmp_path / name).write_text("#!/bin/sh\n" if name in scripts else "\x7fELF")
        (tmp_path / name).chmod(0o755)
    for line in expected:
        commands.expect(*line)

    context.run(context.on.install(), testing.State())

    assert commands.calls == expected


# The workload

HTTP = b"HTTP/1.0 200 OK\r\n\r\n"
ADDRESS = ["--address", "127.0.1.2"]
OPERATIONS: dict[str, Callable[[lxd_workload.LxdWorkload, pathlib.Path], object]] = {
    "members": lambda lxd, _: lxd.members(),
    "bootstrap": lambda lxd, _: lxd.bootstrap(ADDRESS),
    "issue": lambda lxd, path: lxd.issue("node-2", path / "token"),
    "join": lambda lxd, _: lxd.join(fake_tokens.token(), ADDRESS),
    "remove": lambda lxd, _: lxd.remove("node-2", (), force=True),
}


@pytest.fixture
def lxd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> lxd_workload.LxdWorkload:
    """The workload of a machine, which does not wait for its daemon to restart."""
    (tmp_path / "unix.socket").touch()
    monkeypatch.setattr(lxd_workload, "_RESTART_LIMIT", 0.0)
    return lxd_workload.LxdWorkload(tmp_path)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """The socket on which a daemon listens."""
    listening = mock.Mock()
    monkeypatch.setattr(socket, "socket", mock.Mock(return_value=listening))
    return listening


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_known_without_an_answer(
    lxd: lxd_workload.LxdWorkload, daemon: mock.Mock, tmp_path: pathlib.Path, operation: str
) -> None:
    """A machine whose daemon is down or hangs may well be a member."""
    for problem in (ConnectionRefusedError, TimeoutError):
        daemon.connect.side_effect = problem

        with pytest.raises(WorkloadError, match="LXD does not answer"):
            OPERATIONS[operation](lxd, tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        HTTP,
        HTTP + fake_tokens.SECRET.encode(),
        HTTP + b"[]",
        HTTP + b"null",
        HTTP + b'{"type": "sync"}',
        HTTP + b'{"type": "sync", "metadata": null}',
        HTTP + b'{"type": "sync", "metadata": {"environment": []}}',
        HTTP + b'{"type": "error"}',
        HTTP + b'{"type": "error", "error_code": 503, "error": "starting"}',
        HTTP + b'{"type": "async", "metadata": {"class": "task"}}',
    ],
)
def test_rubbish_from_the_daemon_is_reported_unseen(
    lxd: lxd_workload.LxdWorkload, daemon: mock.Mock, answer: bytes
) -> None:
    """It is an error of the workload, whatever came."""
    daemon.makefile.side_effect = [io.BytesIO(answer), io.BytesIO(answer)]

    with pytest.raises(WorkloadError) as raised:
        lxd.members()

    assert fake_tokens.SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("roles", "refused"),
    [
        (["voter", "spare"], False),
        (["voter", "voter", "spare"], True),
        (["voter", "voter", "voter"], False),
    ],
)
def test_no_member_leaves_before_the_cluster_has_its_voters(
    lxd: lxd_workload.LxdWorkload, roles: list[str], refused: bool
) -> None:
    """Of two voters one would stay without a quorum, if the other leads the database."""
    members = [Member(f"node-{number}", role, "ONLINE") for number, role in enumerate(roles)]

    with (
        mock.patch.object(lxd, "members", return_value=members),
        mock.patch.object(lxd, "ask") as ask,
        pytest.raises(WorkloadError) if refused else contextlib.nullcontext(),
    ):
        lxd.remove("node-0", (), force=True)

    assert ask.called != refused


def test_a_token_is_cut_out_of_lxds_error(
    lxd: lxd_workload.LxdWorkload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LXD 5.0 takes it for a password, and may repeat what it was given."""
    environment = {"server_clustered": False, "server_name": "node-1"}

    def ask(method: str, path: str, body: Any = None) -> Any:
        if method == "GET":
            return {"environment": environment, "api_extensions": []}
        raise WorkloadError(f"{path}: no such password: {body['cluster_password']}")

    monkeypatch.setattr(lxd, "ask", ask)
    issuer = mock.Mock(return_value=("127.0.1.1:8443", "certificate"))
    monkeypatch.setattr(lxd_workload, "_issuer", issuer)

    with pytest.raises(WorkloadError, match=r"no such password: \[cut\]$"):
        lxd.join(fake_tokens.token(), ADDRESS)
