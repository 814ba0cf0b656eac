"""Runs the demonstration as a user does, in a temporary directory of its own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

ROOT = pathlib.Path(__file__).parents[2]

# Seconds after which a run counts as hung; LXD daemons on a busy machine may need half of it.
_HUNG = 400
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/=]{40,}")


class Run:
    """A demonstration that was started.

    Attributes:
        process: the process, with pipes for its output unless others were given.
        place: its temporary directory, which has all that it keeps on disk.
    """

    def __init__(self, process: subprocess.Popen[str], place: pathlib.Path) -> None:
        self.process = process
        self.place = place

    def read_until(self, text: str) -> str:
        """Read lines of its output up to one that has a text; return them all."""
        assert self.process.stdout is not None
        read = ""
        for line in self.process.stdout:
            read += line
            if text in line:
                return read
        raise AssertionError(f"{text!r} is not in its output:\n{read}")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, and its output that was not read yet."""
        out, err = self.process.communicate(timeout=_HUNG)
        return self.process.returncode, out or "", err or ""

    def processes(self) -> list[int]:
        """Find its processes, itself included: their environment names its directory."""
        found: list[int] = []
        for environ in pathlib.Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if os.fsencode(self.place) in environ.read_bytes():
                    found.append(int(environ.parent.name))
        return found

    def left(self) -> list[str]:
        """Name what it has left behind: processes, files and mounts."""
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        return [
            *(f"process {pid}" for pid in self.processes()),
            *(str(path) for path in self.place.iterdir()),
            *(mount for mount in mounts if str(self.place) in mount),
        ]


@contextlib.contextmanager
def started(
    *options: str, env: Mapping[str, str] | None = None, files: Mapping[str, int] | None = None
) -> Generator[Run]:
    """Start `python -m demo`, and leave nothing of it after the test.

    Args:
        options: the rest of the command line.
        env: further environment variables.
        files: file descriptors for stdin, stdout and stderr, instead of nothing and two pipes.
    """
    # LXD's sockets are in it: the paths of pytest's own temporary directories are too long.
    place = pathlib.Path(tempfile.mkdtemp(prefix="test-demo-"))
    path = os.pathsep.join(str(ROOT / part) for part in ("library/src", "src", "lib"))
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams: dict[str, Any] = {**pipes, **(files or {})}
    try:
        with subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "demo", *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(place), **(env or {})},
            text=True,
            **streams,
        ) as process:
            run = Run(process, place)
            try:
                yield run
            finally:
                process.kill()
        for pid in run.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def assert_expected(text: str) -> None:
    """Assert that the lines of `EXPECTED` are there, in their order.

    A name that a pattern captures stands for the same text, as `(?P=name)`, in those after it.
    """
    known: dict[str, str] = {}
    for template in EXPECTED:
        pattern = template
        for name, value in known.items():
            pattern = pattern.replace(f"(?P={name})", re.escape(value))
        found = re.search(pattern, text, re.MULTILINE)
        assert found is not None, f"no line matches {pattern!r} in\n{text}"
        known.update(found.groupdict())
        text = text[found.end() :]


def assert_no_token(text: str) -> None:
    """Assert that nothing in a text is long enough to be a token."""
    # The text is not shown: it may contain one.
    assert len(_LONG_BASE64.findall(text)) == 0, "something as long as a token was printed"


EXPECTED = (
    r"^== Three machines, and a distributor beside them: one cluster forms$",
    r"(?P<distributor>distributor/\d) grants the bootstrap to (?P<first>lxd/\d \([\w-]+\)) alone$",
    r"(?P=first) bootstraps the cluster$",
    r"lxd/\d issues a token for lxd/\d \([\w-]+\)$",
    r"(?P=distributor) publishes the token for lxd/\d \([\w-]+\)$",
    r"lxd/\d \([\w-]+\) joins with the token that lxd/\d issued$",
    r"lxd/\d \([\w-]+\) joins with the token that lxd/\d issued$",
    r"^Three units have formed one cluster\.$",
    r"^== Two more machines: five$",
    r"lxd/\d \([\w-]+\) joins with the token that lxd/\d issued$",
    r"lxd/\d \([\w-]+\) joins with the token that lxd/\d issued$",
    r"^Five units are one cluster\.$",
    r"^== The distributor's leader, (?P=distributor), is killed$",
    r"(?P<successor>distributor/\d) leads in its place$",
    r"^The cluster is the same as before\.$",
    r"^== The communicator, (?P<dead>lxd/\d) on (?P<lost>[\w-]+), is killed \(kill -9\)$",
    r"the cluster lists (?P=lost) as not online$",
    r"^== (?P<new>lxd/5) is added, and must wait until (?P=lost) is online or removed$",
    r"(?P=new) shows: waiting to join: member (?P=lost) is offline$",
    r"^== (?P=dead) is removed by force, and (?P=new) joins$",
    r"(?P<issuer>lxd/\d) removes (?P=lost): not online, and its unit is gone$",
    r"(?P=issuer) issues a token for (?P=new) \([\w-]+\)$",
    r"(?P=successor) publishes the token for (?P=new) \([\w-]+\)$",
    r"(?P=new) \([\w-]+\) joins with the token that (?P=issuer) issued$",
    r"^== The cluster's own list of members$",
    r"\A(?:\n[\w-]+ +(?:voter|stand-by|spare) +online){5}$",
    r"\A\nIt is right: the machines of all five units, online, and no other\.$",
    r"^== Summary$",
    r"hooks\.\n1 bootstrap, \d tokens issued, 5 joins, 1 member removed\.$",
    r"All \d tokens were seen on their way; none is left in any of \d+ databags\.$",
    r"^Everything that was started is stopped\.$",
)
"""The lines that any order of events has."""
