"""The LXD cluster charm: what needs no daemon of the charm and of its workload.

That it forms clusters, and goes on where LXD is neither there nor to be had, scenarios show.
"""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import socket
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from ops import testing

from microcluster_token_distributor import Member, WorkloadError
from tests import juju_model
from tests.charms.lxd_cluster.src import lxd_workload
from tests.microclusters import fake_tokens
from tests.unit import runner

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = pathlib.Path(__file__).parents[1] / "charms" / "lxd_cluster"
ENDPOINT = "microcluster-cluster"
APT = [("apt-get", "update"), ("apt-get", "install", "--yes", "--no-install-recommends", "lxd")]
SNAP = [("snap", "install", "lxd")]


@pytest.fixture
def context(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The charm's unit, on a machine with nothing installed."""
    monkeypatch.setattr(os, "uname", mock.Mock(return_value=mock.Mock(nodename="node-0")))
    monkeypatch.setenv("PATH", str(tmp_path))
    charm = juju_model.Charm.load(ROOT)
    return testing.Context(charm.charm_type, meta=dict(charm.meta), unit_id=0)


@pytest.mark.parametrize("addresses", [["192.0.2.7", "192.0.2.8"], []])
def test_it_forms_a_cluster_at_the_relations_own_address(
    context: Any,
    commands: runner.FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
    addresses: list[str],
) -> None:
    """Where the model has one; and it shows LXD's version."""
    lxd: Any = mock.create_autospec(lxd_workload.LxdWorkload, joins_while_degraded=False)
    here = [Member("node-0", "voter", "ONLINE")]
    lxd.members.side_effect = lambda: here if lxd.bootstrap.called else []
    monkeypatch.setattr(sys.modules["lxd_workload"], "LxdWorkload", lambda: lxd)
    commands.expect("lxd", "--version", answers=[runner.Answer(stdout="5.0.2\n")])
    relation = testing.Relation(
        ENDPOINT,
        # Without a report of its own a unit is not granted anything.
        local_unit_data={"hostname": "node-0", "member": "false"},
        remote_app_data={"leader": "0", "bootstrap-host": "node-0", "waiting": "node-0"},
        remote_units_data={0: {"mirror": "up"}},
    )
    bound = testing.BindAddress([testing.Address(value) for value in addresses])
    network = testing.Network(ENDPOINT, bind_addresses=[bound] if addresses else [])
    state = testing.State(relations={relation}, networks={network})

    after = context.run(context.on.update_status(), state)

    lxd.bootstrap.assert_called_once_with(["--address", "192.0.2.7"] if addresses else [])
    assert after.unit_status == testing.ActiveStatus()
    assert after.workload_version == "5.0.2"


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
    context: Any,
    commands: runner.FakeRunner,
    tmp_path: pathlib.Path,
    programs: list[str],
    scripts: list[str],
    expected: list[tuple[str, ...]],
) -> None:
    """As the distribution has it, both the daemon and its client."""
    for name in (*programs, *scripts):
        (tmp_path / name).write_text("#!/bin/sh\n" if name in scripts else "\x7fELF")
        (tmp_path / name).chmod(0o755)
    for line in expected:
        commands.expect(*line)

    context.run(context.on.install(), testing.State())

    assert commands.calls == expected


# The workload

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
    monkeypatch.setattr(lxd_workload, "_RESTART_LIMIT", 0.0)
    return lxd_workload.LxdWorkload(tmp_path)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """The socket on which a daemon listens."""
    listening = mock.Mock()
    monkeypatch.setattr(socket, "socket", mock.Mock(return_value=listening))
    return listening


def http(body: str) -> bytes:
    """Return an answer with this body."""
    return f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_known_without_an_answer(
    lxd: lxd_workload.LxdWorkload, daemon: mock.Mock, tmp_path: pathlib.Path, operation: str
) -> None:
    """A machine whose daemon is down or hangs may well be a member."""
    for problem in (ConnectionRefusedError, TimeoutError):
        daemon.makefile.side_effect = problem

        with pytest.raises(WorkloadError, match="LXD does not answer"):
            OPERATIONS[operation](lxd, tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        http(""),
        http(f"<html>{fake_tokens.SECRET}</html>"),
        http("[]"),
        http("null"),
        http('{"type": "sync"}'),
        http('{"type": "sync", "metadata": null}'),
        http('{"type": "sync", "metadata": {"environment": []}}'),
        http('{"type": "error"}'),
        http('{"type": "error", "error_code": 503, "error": "starting"}'),
        http('{"type": "async", "metadata": {"class": "task"}}'),
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
