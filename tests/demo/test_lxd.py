"""The demonstration on real LXD daemons, as `make demo` runs it."""

from __future__ import annotations

import dataclasses
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.demo import running
from tests.microclusters import needs_lxd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module")
def lxd_daemons() -> None:
    """No test here runs without LXD."""
    needs_lxd.require()


@dataclasses.dataclass
class Ended:
    """How a run went.

    Attributes:
        code: its exit code.
        out: its output.
        err: its standard error.
        daemons: how many processes it had when it was looked at half-way.
        left: what it left behind.
    """

    code: int
    out: str
    err: str
    daemons: int
    left: list[str]


@pytest.fixture(scope="module")
def runs(lxd_daemons: None) -> Iterator[tuple[Ended, Ended]]:  # noqa: ARG001 - without, no run
    """Run it twice at once: one run is interrupted half-way, the other comes to its end."""
    with running.started() as whole, running.started() as broken:
        # Read all the time, so that the pipe never fills.
        told: list[tuple[int, str, str]] = []
        reader = threading.Thread(target=lambda: told.append(whole.end()))
        reader.start()
        begun = broken.read_until("joins with the token")
        while_broken = len(broken.processes())
        while_whole = len(whole.processes())
        broken.process.send_signal(signal.SIGINT)
        code, out, err = broken.end()
        interrupted = Ended(code, begun + out, err, while_broken, broken.left())
        reader.join()
        code, out, err = told[0]
        yield Ended(code, out, err, while_whole, whole.left()), interrupted


def test_it_comes_to_its_end(runs: tuple[Ended, Ended]) -> None:
    """With all the lines that matter in their order, and no word of a fake."""
    whole, _ = runs

    assert (whole.code, whole.err) == (0, "")
    running.assert_in_order(whole.out, running.EXPECTED)
    assert whole.out.startswith("On real LXD daemons")
    assert "fake" not in whole.out.lower()


def test_no_token_is_printed(runs: tuple[Ended, Ended]) -> None:
    """Neither at its end nor when interrupted."""
    for run in runs:
        running.assert_no_token(run.out + run.err)


def test_nothing_is_left_behind(runs: tuple[Ended, Ended]) -> None:
    """No process, no file, no mount; though there were daemons."""
    whole, _ = runs

    assert whole.daemons > 3
    assert whole.left == []


def test_interrupted_it_stops_what_it_started_and_nothing_else(
    runs: tuple[Ended, Ended],
) -> None:
    """The other run, beside it, has come to its end."""
    whole, interrupted = runs

    assert interrupted.daemons > 3
    assert (interrupted.code, interrupted.left) == (130, [])
    assert interrupted.err == "Interrupted; everything that was started is stopped.\n"
    assert whole.code == 0


def test_a_signal_while_a_daemon_starts_leaves_nothing() -> None:
    """The daemon is not ready yet, and runs already."""
    with running.started() as run:
        run.read_until("three LXD daemons start")
        while len(run.processes()) < 2:
            assert run.process.poll() is None
        run.process.send_signal(signal.SIGTERM)
        code, _, err = run.end()
        left = run.left()

    assert (code, left) == (143, [])
    assert err == "Interrupted; everything that was started is stopped.\n"
