"""The demonstration on real LXD daemons, as `make demo` runs it."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.demo import running
from tests.microclusters import needs_lxd


@pytest.fixture(autouse=True)
def lxd_daemons() -> None:
    """Fail without LXD."""
    needs_lxd.require()


def test_two_runs_beside_each_other_leave_nothing() -> None:
    """One is interrupted half-way, the other comes to its end; neither prints a token."""
    with running.started() as whole, running.started() as broken:
        # Read all the time, so that the pipe never fills.
        ended: list[tuple[int, str, str]] = []
        reader = threading.Thread(target=lambda: ended.append(whole.end()))
        reader.start()
        begun = broken.read_until("joins with the token")
        daemons = [len(run.processes()) for run in (whole, broken)]
        broken.process.send_signal(signal.SIGINT)
        broken_code, broken_out, broken_err = broken.end()
        broken_left = broken.left()
        reader.join()
        ((code, out, err),) = ended
        left = whole.left()

    assert min(daemons) > 3
    assert (code, err, left) == (0, "", [])
    running.assert_expected(out)
    assert out.startswith("On real LXD daemons")
    assert "fake" not in out.lower()
    assert (broken_code, broken_left) == (130, [])
    assert broken_err == "Interrupted; everything that was started is stopped.\n"
    running.assert_no_token(out + begun + broken_out)


def test_a_signal_while_a_daemon_starts_leaves_nothing() -> None:
    with running.started() as run:
        run.read_until("three LXD daemons start")
        while len(run.processes()) < 2:
            assert run.process.poll() is None
        run.process.send_signal(signal.SIGTERM)
        code, _, err = run.end()
        left = run.left()

    assert (code, left) == (143, [])
    assert err == "Interrupted; everything that was started is stopped.\n"
