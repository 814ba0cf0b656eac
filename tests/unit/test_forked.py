"""A program that is started by fork is a process like any other."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.microclusters import forked

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = pathlib.Path(__file__).parents[2]

#: Carries out its first word. It has a name that no test imports.
_PROGRAM = """
import json, os, signal, sys, time

def main(words):
    what = {"tell": tell, "hang": hang, "raise": fail, "leave": sys.exit, "die": die}
    return what[words[0]](*map(json.loads, words[1:]))

def tell(code):
    print(json.dumps({"pid": os.getpid(), "environment": dict(os.environ),
                      "stdin": sys.stdin.read(), "files": os.listdir("/proc/self/fd")}))
    print("told", file=sys.stderr)
    return code

def hang(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(3600)

def fail():
    raise ValueError("on purpose")

def die():
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.fixture
def program(tmp_path: pathlib.Path) -> pathlib.Path:
    """The program's file."""
    path = tmp_path / "a_program_to_fork.py"
    path.write_text(_PROGRAM)
    return path


@pytest.fixture
def server(program: pathlib.Path) -> Iterator[forked.ForkServer]:
    """A fork server of the program, which ends with the test."""
    with contextlib.closing(forked.ForkServer(program)) as made:
        yield made


@pytest.fixture
def pipe(tmp_path: pathlib.Path) -> pathlib.Path:
    """A named pipe, through which a program that hangs says which process it is."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def _hang(server: forked.ForkServer, pipe: pathlib.Path) -> tuple[forked.ForkedCommand, int]:
    """Start a program that hangs; it hangs, in a process of that number."""
    command = server.start(["hang", json.dumps(str(pipe))], {})
    return command, int(pipe.read_text())


def _is_there(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_each_run_has_a_process_an_environment_and_an_output_of_its_own(
    server: forked.ForkServer,
) -> None:
    """Nothing of one is seen by another, even if they run at once."""
    commands = [server.start(["tell", str(code)], {"CODE": str(code)}) for code in range(3)]

    done = [command.wait(60) for command in commands]

    assert [one.returncode for one in done] == [0, 1, 2]
    assert [one.stderr for one in done] == ["told\n"] * 3
    told = [json.loads(one.stdout) for one in done]
    assert [one["environment"] for one in told] == [{"CODE": str(code)} for code in range(3)]
    assert len({one["pid"] for one in told} | {os.getpid()}) == 4
    # The fourth is what it lists the directory with.
    assert [one["files"] for one in told] == [["0", "1", "2", "3"]] * 3
    assert not any(one["stdin"] for one in told)


@pytest.mark.parametrize(
    ("words", "code", "stderr"),
    [
        (["leave", "7"], 7, ""),
        (["raise"], 1, "ValueError: on purpose\n"),
        (["die"], -signal.SIGTERM, ""),
    ],
)
def test_however_it_ends_it_is_told(
    server: forked.ForkServer, words: list[str], code: int, stderr: str
) -> None:
    """By `sys.exit`, by an exception, by a signal; and the next one runs."""
    done = server.start(words, {}).wait(60)

    assert done.returncode == code
    assert done.stderr.endswith(stderr)
    assert server.start(["tell", "0"], {}).wait(60).returncode == 0


def test_one_that_takes_too_long_is_killed(server: forked.ForkServer, pipe: pathlib.Path) -> None:
    """It is gone when that is said, and what was asked of it is not shown."""
    command, pid = _hang(server, pipe)

    with pytest.raises(subprocess.TimeoutExpired) as raised:
        command.wait(0.01)

    assert not _is_there(pid)
    assert str(pipe) not in str(raised.value)


def test_one_can_be_killed_by_whoever_does_not_wait_for_it(
    server: forked.ForkServer, pipe: pathlib.Path
) -> None:
    """That one alone, as if its machine had died."""
    command, _ = _hang(server, pipe)
    other, pid = _hang(server, pipe)

    command.kill()

    assert command.wait(60).returncode == -signal.SIGKILL
    assert _is_there(pid)
    other.kill()
    other.wait(60)


def test_with_the_server_all_ends(server: forked.ForkServer, pipe: pathlib.Path) -> None:
    """Whoever waits for a program hears of it, and no other can be started; twice is no harm."""
    command, pid = _hang(server, pipe)

    server.close()
    server.close()

    assert not _is_there(pid)
    assert command.wait(60).returncode == -signal.SIGKILL
    with pytest.raises(OSError, match="descriptor"):
        server.start(["tell", "0"], {})


def test_with_its_killed_owner_all_ends(program: pathlib.Path, pipe: pathlib.Path) -> None:
    """Nobody is left to end them, and yet they end."""
    script = (
        "import json, pathlib, sys, time; from tests.microclusters import forked\n"
        "server = forked.ForkServer(pathlib.Path(sys.argv[1]))\n"
        "command = server.start(['hang', json.dumps(sys.argv[2])], {})\n"
        "time.sleep(3600)"
    )
    with subprocess.Popen(  # noqa: S603, ours
        [sys.executable, "-c", script, program, pipe], cwd=_ROOT
    ) as owner:
        watched = os.pidfd_open(int(pipe.read_text()))

        owner.kill()

    poll = select.poll()
    poll.register(watched, select.POLLIN)
    ended = poll.poll(60_000)
    os.close(watched)
    assert ended
