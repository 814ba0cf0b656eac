"""The adapter's answers where LXD or the command line is not as it should be.

What a healthy cluster answers is in the conformance suite.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import tenacity

from tests.conformance import suite
from tests.microclusters import lxd

if TYPE_CHECKING:
    import pathlib
    import types
    from collections.abc import Generator

#: What a token must never be seen in is standard error; this stands for its secret.
SECRET = "5ec4e7" * 10

LISTING = ["list", "-f", "json"]


def _token(**changes: Any) -> str:
    """A token that is well-formed but for the changes; nobody issued it."""
    parts = {
        "server_name": "node-1",
        "fingerprint": "0" * 64,
        "addresses": ["127.0.1.1:1"],
        "secret": SECRET,
        "expires_at": "2100-01-01T00:00:00Z",
    }
    return base64.b64encode(json.dumps({**parts, **changes}).encode()).decode()


@pytest.fixture
def adapter() -> types.ModuleType:
    """The adapter as a module of this process."""
    spec = importlib.util.spec_from_file_location("lxd_microcluster", lxd.ADAPTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _impostor(directory: pathlib.Path, answer: bytes | None) -> Generator[None]:
    """Something that listens where LXD should, and gives each caller this answer or none."""
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


def _http(body: str) -> bytes:
    return f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_it_needs_nothing_but_the_standard_library() -> None:
    """It runs without any installed package."""
    command = [sys.executable, "-I", "-S", str(lxd.ADAPTER), "--help"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603, ours

    assert done.returncode == 0, done.stderr
    assert "bootstrap|add|join|list|remove" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frobnicate"],
        ["jion", SECRET],
        ["join"],
        ["join", "one", SECRET],
        ["join", SECRET, "--addres", "127.0.1.2"],
        ["add"],
        ["add", "node-2", "--timeout", SECRET],
        ["add", "node-2", "--timeout", "0"],
        ["list", "-f", "yaml"],
        ["remove", "node-2", "--now"],
    ],
)
def test_a_bad_command_line_exits_two_and_is_not_repeated(
    adapter: types.ModuleType, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """The usage is shown, but none of the words, one of which may be a token."""
    with pytest.raises(SystemExit) as exit_info:
        adapter.main(words)

    shown = capsys.readouterr()
    assert exit_info.value.code == 2
    assert "usage: " in shown.err
    assert SECRET not in shown.err
    assert not shown.out


@pytest.mark.parametrize(
    "words",
    [
        ["bootstrap"],
        ["add", "node-2"],
        ["join", _token()],
        LISTING,
        ["remove", "node-2"],
    ],
    ids=lambda words: words[0],
)
def test_without_a_daemon_it_does_not_say_that_this_is_no_member(
    adapter: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    words: list[str],
) -> None:
    """Nobody can tell whether this machine is a member while its daemon is down."""
    monkeypatch.setenv("LXD_DIR", str(tmp_path))
    monkeypatch.setattr(adapter, "GRACE", 0.0)

    code = adapter.main(words)

    shown = capsys.readouterr()
    assert code == 1
    assert shown.err.startswith("Error: Failed to talk to LXD at ")
    assert adapter.NOT_A_MEMBER not in shown.err
    assert words[-1] not in shown.err or words[0] != "join"
    assert not shown.out


def test_a_daemon_that_hangs_is_given_up_on(
    adapter: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    """Each command ends by itself, and says that it was the time."""
    monkeypatch.setenv("LXD_DIR", str(tmp_path))
    monkeypatch.setattr(adapter, "LIMITS", dict.fromkeys(adapter.LIMITS, 0.2))

    with _impostor(tmp_path, answer=None):
        codes = [
            adapter.main(words)
            for words in (["bootstrap"], ["add", "b"], ["join", _token()], LISTING)
        ]

    shown = capsys.readouterr()
    assert codes == [1] * 4
    assert shown.err.count("Error: context deadline exceeded") == 4
    assert not shown.out


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        _http(""),
        _http(f"<html>{SECRET}</html>"),
        _http("[]"),
        _http("null"),
        _http('{"type": "sync"}'),
        _http('{"type": "sync", "metadata": null}'),
        _http('{"type": "sync", "metadata": {"environment": []}}'),
        _http('{"type": "error"}'),
        _http('{"type": "error", "error_code": 503, "error": "starting"}'),
        _http('{"type": "async", "metadata": {"class": "task"}}'),
    ],
)
def test_rubbish_from_the_daemon_is_an_error_and_no_traceback(
    adapter: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    answer: bytes,
) -> None:
    """The command exits 1 as it does for other failures, and shows nothing of the rubbish."""
    monkeypatch.setenv("LXD_DIR", str(tmp_path))
    monkeypatch.setattr(adapter, "GRACE", 0.0)

    with _impostor(tmp_path, answer):
        code = adapter.main(LISTING)

    shown = capsys.readouterr()
    assert code == 1
    assert shown.err.startswith("Error: ")
    assert SECRET not in shown.err
    assert adapter.NOT_A_MEMBER not in shown.err
    assert not shown.out


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        pytest.param("not+a/token", "illegal base64 data at input byte 8", id="short"),
        pytest.param("täoken", "illegal base64 data at input byte 1", id="no base64"),
        pytest.param("", "this is no join token of LXD's", id="empty"),
        pytest.param("//4=", "this is no join token of LXD's", id="no text"),
        pytest.param("W10=", "this is no join token of LXD's", id="another shape"),
        pytest.param(_token(addresses=[]), "this is no join token of LXD's", id="nowhere"),
        pytest.param(_token(addresses=[1]), "this is no join token of LXD's", id="number"),
        pytest.param(_token(server_name=""), "this is no join token of LXD's", id="nobody"),
        pytest.param(_token(server_name="b"), "does not contain join token name", id="other"),
        pytest.param(_token(addresses=["far"]), "'far' is no IP address", id="no address"),
        pytest.param(
            _token(addresses=["127.0.1.1:1"] * 2), "2 join attempts were", id="unreachable"
        ),
    ],
)
def test_a_bad_token_is_refused_and_not_shown(
    cluster: lxd.LxdMicrocluster, token: str, problem: str
) -> None:
    """Whatever is wrong with it, it is not in the message, and the machine is still fresh."""
    machine = cluster.add_machine("node-1")

    done = machine.run([*machine.command, "join", token])

    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert problem in done.stderr
    assert SECRET not in done.stderr
    assert not token or token not in done.stderr
    suite.refused(machine, *LISTING, because="not yet initialized")


def test_as_a_program_of_its_own_it_does_the_same(cluster: lxd.LxdMicrocluster) -> None:
    """What the other tests run by fork, a charm runs as its own command line."""
    first, second = cluster.add_machine("node-1"), cluster.add_machine("node-2")

    def program(machine: lxd.LxdMachine, *words: str) -> tuple[int, str, str]:
        # By way of `env`, it is not seen to be the adapter.
        done = machine.run(["env", *machine.command, *words], timeout=suite.PATIENCE)
        return done.returncode, done.stdout, done.stderr

    assert program(second, *LISTING) == (1, "", "Error: Database is not yet initialized\n")
    assert program(first, "bootstrap") == (0, "", "")
    code, token, _ = program(first, "add", "node-2")
    assert code == 0
    assert program(second, "join", token.strip()) == (0, "", "")
    code, listed, _ = program(second, *LISTING)
    assert (code, {row["name"] for row in json.loads(listed)}) == (0, {"node-1", "node-2"})
    assert program(first, "remove", "node-2") == (0, "", "")
    assert suite.online(first) == {"node-1"}
    code, _, stderr = program(first, "jion", token.strip())
    assert code == 2
    assert token.strip() not in stderr


def test_a_newcomer_trusts_only_the_certificate_that_the_token_names(
    cluster: lxd.LxdMicrocluster,
) -> None:
    """A token whose address leads to another cluster is not handed over to that one."""
    member, newcomer = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(member, "bootstrap")
    token = _token(server_name="node-2", addresses=[f"{member.address}:{lxd.PORT}"])

    suite.refused(newcomer, "join", token, because="certificate fingerprint mismatch")

    assert suite.online(member) == {"node-1"}


def test_a_token_ends_when_its_timeout_is_over(cluster: lxd.LxdMicrocluster) -> None:
    """It holds its name so long and no longer, and other tokens live as long as before."""
    member, newcomer = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(member, "bootstrap")
    short = suite.succeed(member, "add", "node-2", "--timeout", "2").token
    retry = tenacity.retry(
        retry=tenacity.retry_if_exception_type(AssertionError),
        stop=tenacity.stop_after_delay(30),
        wait=tenacity.wait_fixed(0.2),
        reraise=True,
    )

    suite.refused(member, "add", "node-2", because="is taken")
    following = retry(suite.add)(member, "node-2")

    suite.refused(newcomer, "join", short, because="CoreTokenRecord not found")
    suite.succeed(newcomer, "join", following)
    settings = member.ask("GET", "/1.0")[1]["metadata"]["config"]
    assert "cluster.join_token_expiry" not in settings


def test_name_and_address_can_be_given(cluster: lxd.LxdMicrocluster) -> None:
    """They go before the host name and before the address that LXD listens on already."""
    first, second = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    one, two = first.address, f"{second.address}:{lxd.PORT + 1}"

    suite.succeed(first, "bootstrap", "--name", "alpha", "--address", one)
    token = suite.add(first, "beta")
    suite.succeed(second, "join", token, "--name", "beta", "--address", two)

    listed = suite.members(first).values()
    assert {member.name: member.address for member in listed} == {
        "alpha": f"{one}:{lxd.PORT}",
        "beta": two,
    }


def test_who_left_a_cluster_can_bootstrap_at_another_address(cluster: lxd.LxdMicrocluster) -> None:
    """LXD keeps the address that it had in the cluster, which must not come back."""
    machine = cluster.add_machine("node-1")
    suite.succeed(machine, "bootstrap")
    suite.succeed(machine, "remove", "node-1")
    address = f"{machine.address}:{lxd.PORT + 1}"

    suite.succeed(machine, "bootstrap", "--address", address)

    assert suite.members(machine)["node-1"].address == address


@pytest.mark.parametrize("address", ["somewhere", "300.1.1.1", "127.0.1.2:port", "192.0.2.1"])
def test_an_address_that_cannot_be_listened_on_is_refused(
    cluster: lxd.LxdMicrocluster, address: str
) -> None:
    """The machine can still bootstrap with a good one."""
    machine = cluster.add_machine("node-1")

    suite.refused(machine, "bootstrap", "--address", address, because="^Error: ")

    suite.succeed(machine, "bootstrap", "--address", machine.address)
