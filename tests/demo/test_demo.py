"""The demonstration comes to its end, fails when it must, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from demo import __main__ as demo
from tests.clouds import local
from tests.microclusters import needs_lxd

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.clouds import protocol

ROOT = pathlib.Path(__file__).parents[2]
# In this order, whatever the order of events.
EXPECTED = (
    r" grants the bootstrap to (?P<first>\S+ \(\S+\)) alone\n",
    r" (?P=first) bootstraps the cluster\n",
    r" publishes the token for (?P<second>\S+ \(\S+\))\n",
    r" (?P=second) joins with the token that \S+ issued\n",
    r" three units are one cluster\n.* five units are one cluster\n",
    r"\n== The distributor's leader, \S+, is killed\n",
    r"\n== \S+ on (?P<dead>\S+), which issues the tokens, is killed",
    r" (?P<new>\S+) shows: waiting to join: member (?P=dead) is offline\n",
    r" removes (?P=dead): not online, and its unit is gone\n",
    r" (?P=new) \(\S+\) joins with the token that \S+ issued\n",
    r" 5 of 5 units in the cluster\n.*\nThe list is right",
    r"\n1 bootstrap, \d tokens issued, 5 joins, 1 member removed, on ",
    r"\nEverything that was started is stopped\.\n$",
)


@contextlib.contextmanager
def started(*options: str) -> Generator[subprocess.Popen[str]]:
    """Start it, and expect that it leaves no process, file or mount behind."""
    # LXD's sockets are in it: the paths of pytest's own temporary directories are too long.
    with tempfile.TemporaryDirectory(prefix="test-demo-") as place:
        command = [sys.executable, "-m", "demo", *options]
        environment = {**os.environ, "TMPDIR": place, "PYTHONPATH": "library/src:src:lib"}
        with subprocess.Popen(  # noqa: S603 - our own arguments
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE
        ) as process:
            yield process
        for environ in pathlib.Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                assert place.encode() not in environ.read_bytes(), f"{environ.parent} is left"
        assert place not in pathlib.Path("/proc/self/mounts").read_text()
        assert not list(pathlib.Path(place).iterdir())


@pytest.mark.parametrize(
    ("options", "where"), [(["--fake"], "a FAKE microcluster"), ([], "real LXD daemons")]
)
def test_it_comes_to_its_end(options: list[str], where: str) -> None:
    if not options:
        needs_lxd.require()
    with started(*options) as process:
        printed, _ = process.communicate()

    assert process.returncode == 0
    assert re.search(".*".join(EXPECTED), printed, re.DOTALL)
    assert printed.count(where) == 2
    assert ("fake" in printed.lower()) == bool(options)
    assert not re.search(r"[A-Za-z0-9+/=]{40,}", printed), "something is as long as a token"


def test_a_signal_ends_it_between_two_hooks() -> None:
    needs_lxd.require()
    with started() as process:
        assert process.stdout
        next(line for line in process.stdout if "joins with the token" in line)
        process.send_signal(signal.SIGTERM)
        process.communicate()

    assert process.returncode == 128 + signal.SIGTERM


def test_a_wrong_list_of_members_fails_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    members = local.LocalCloud.members

    def wrong(cloud: local.LocalCloud, unit: str) -> list[protocol.Member]:
        return members(cloud, unit)[unit == "lxd-cluster/5" :]

    monkeypatch.setattr(local.LocalCloud, "members", wrong)

    assert demo.main(["--fake"]) == 1

    out, err = capsys.readouterr()
    assert err.startswith("FAILED: lxd-cluster/5 does not list juju-demo-1")
    assert "is right" not in out


def test_it_needs_lxd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    assert demo.main([]) == 2

    assert "make demo ARGS=--fake" in capsys.readouterr().err
