"""The adapter's answers where there is no LXD to talk to, or the command line is a bad one."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.microclusters import forged, lxd

if TYPE_CHECKING:
    import pathlib
    import types
    from collections.abc import Generator

LISTING = ["list", "-f", "json"]


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
        ["jion", forged.SECRET],
        ["join"],
        ["join", "one", forged.SECRET],
        ["join", forged.SECRET, "--addres", "127.0.1.2"],
        ["add"],
        ["add", "node-2", "--timeout", forged.SECRET],
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
    assert forged.SECRET not in shown.err
    assert not shown.out


@pytest.mark.parametrize(
    "words",
    [
        ["bootstrap"],
        ["add", "node-2"],
        ["join", forged.token()],
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
            for words in (["bootstrap"], ["add", "b"], ["join", forged.token()], LISTING)
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
        _http(f"<html>{forged.SECRET}</html>"),
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
    assert forged.SECRET not in shown.err
    assert adapter.NOT_A_MEMBER not in shown.err
    assert not shown.out
