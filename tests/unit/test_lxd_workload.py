"""The LXD cluster charm's workload where LXD is not there, or answers rubbish."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from microcluster_token_distributor import Member, WorkloadError
from tests.charms.lxd_cluster.src import lxd_workload
from tests.microclusters import fake_tokens

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Generator

OPERATIONS: dict[str, Callable[[lxd_workload.LxdWorkload, pathlib.Path], object]] = {
    "members": lambda lxd, _: lxd.members(),
    "bootstrap": lambda lxd, _: lxd.bootstrap(["--address", "127.0.1.2"]),
    "issue": lambda lxd, path: lxd.issue("node-2", path / "token"),
    "join": lambda lxd, _: lxd.join(fake_tokens.token(), ["--address", "127.0.1.2"]),
    "remove": lambda lxd, _: lxd.remove("node-2", (), force=True),
}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a daemon to restart or to answer."""
    monkeypatch.setattr(lxd_workload, "_RESTART_LIMIT", 0.0)
    monkeypatch.setattr(lxd_workload, "_READ_LIMIT", 0.1)


@contextlib.contextmanager
def listening(directory: pathlib.Path, answer: bytes | None) -> Generator[None]:
    """Listen where LXD would, and give each caller this answer, or none at all."""
    stop = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(directory / "unix.socket"))
        listener.listen()
        listener.settimeout(0.05)

        def serve() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError, OSError):
                    caller, _ = listener.accept()
                    with caller:
                        caller.recv(65536)
                        caller.sendall(answer or b"")

        thread = threading.Thread(target=serve if answer is not None else stop.wait)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def http(body: str) -> bytes:
    """Return an answer with this body."""
    return f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_known_without_an_answer(
    tmp_path: pathlib.Path, operation: str, hangs: bool
) -> None:
    """A machine whose daemon is down or hangs may well be a member."""
    daemon = listening(tmp_path, None) if hangs else contextlib.nullcontext()
    with daemon, pytest.raises(WorkloadError, match="LXD does not answer") as raised:
        OPERATIONS[operation](lxd_workload.LxdWorkload(tmp_path), tmp_path)

    assert "not part of a cluster" not in str(raised.value)


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
def test_rubbish_from_the_daemon_is_reported_unseen(tmp_path: pathlib.Path, answer: bytes) -> None:
    """It is an error of the workload, whatever came."""
    with listening(tmp_path, answer), pytest.raises(WorkloadError) as raised:
        lxd_workload.LxdWorkload(tmp_path).members()

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
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, roles: list[str], refused: bool
) -> None:
    """Of two voters one would stay without a quorum, if the other leads the database."""
    lxd = lxd_workload.LxdWorkload(tmp_path)
    members = [Member(f"node-{number}", role, "ONLINE") for number, role in enumerate(roles)]
    monkeypatch.setattr(lxd, "members", lambda: members)
    ask = mock.MagicMock()
    monkeypatch.setattr(lxd, "ask", ask)
    (tmp_path / "unix.socket").touch()

    with pytest.raises(WorkloadError) if refused else contextlib.nullcontext():
        lxd.remove("node-0", (), force=True)

    assert ask.called != refused


def test_a_token_is_cut_out_of_lxds_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """LXD 5.0 takes it for a password, and may repeat what it was given."""
    lxd = lxd_workload.LxdWorkload(tmp_path)
    environment = {"server_clustered": False, "server_name": "node-1"}

    def ask(method: str, path: str, body: Any = None) -> Any:
        if method == "GET":
            return {"environment": environment, "api_extensions": []}
        raise WorkloadError(f"{path}: no such password: {body['cluster_password']}")

    monkeypatch.setattr(lxd, "ask", ask)
    issuer = mock.Mock(return_value=("127.0.1.1:8443", "certificate"))
    monkeypatch.setattr(lxd_workload, "_issuer", issuer)

    with pytest.raises(WorkloadError, match=r"no such password: \[cut\]") as raised:
        lxd.join(fake_tokens.token(), ["--address", "127.0.1.2"])

    assert fake_tokens.token() not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "exists", "expected"),
    [
        ("/srv/lxd", True, "/srv/lxd"),
        ("", True, "/var/snap/lxd/common/lxd"),
        ("", False, "/var/lib/lxd"),
    ],
)
def test_the_daemon_is_the_snaps_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, exists: bool, expected: str
) -> None:
    """`LXD_DIR` goes first."""

    def is_dir(_: pathlib.Path) -> bool:
        return exists

    monkeypatch.setenv("LXD_DIR", variable)
    monkeypatch.setattr("pathlib.Path.is_dir", is_dir)

    assert str(lxd_workload._default_directory()) == expected  # pyright: ignore[reportPrivateUsage]
