"""The command line of the demonstration."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any

from demo import scenario
from tests import juju_model
from tests.clouds import local
from tests.microclusters import lxd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from tests.microclusters import protocol

NOT_HERE = 2
"""The exit code where LXD daemons cannot run, and the fake was not asked for."""

_DESCRIPTION = """
Shows one cluster forming, growing and losing machines. The units' hooks run the real charms on an
in-memory model of Juju; each machine is an LXD daemon of its own, and the daemons cluster by their
own tokens. Exits 0 only if the cluster's list of members is right at the end.
"""
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_LONGEST_REASON = 600


class Interruption:
    """Notes the first signal to end, which `check` raises between two steps.

    A step that starts or stops something is never interrupted, nor is cleaning up.

    Attributes:
        signum: the signal, or None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _: FrameType | None) -> None:
        self.signum = self.signum or signum

    def check(self, *_: object) -> None:
        """Raise InterruptedError if there was a signal."""
        if self.signum is not None:
            raise InterruptedError


def main(argv: Sequence[str]) -> int:
    """Run the demonstration, and return its exit code: 0 only if the cluster is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=_DESCRIPTION)
    parser.add_argument(
        "--fake", action="store_true", help="run on a fake microcluster instead of LXD daemons"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another order of events (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    reason = None if options.fake else lxd.available()
    if reason is not None:
        print(f"LXD daemons cannot run here: {reason}.", file=sys.stderr)
        if not _accepts_fake():
            return NOT_HERE
    with Interruption() as interrupted:
        try:
            _run(fake=options.fake or reason is not None, seed=options.seed, by=interrupted)
        except BrokenPipeError:
            # As with `make demo | head`. Python flushes the output once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except Exception as error:  # whatever it is, the output ends with a reason
            # The terminal may be gone. Ctrl-C also stops the daemons: a hook may fail first.
            with contextlib.suppress(OSError):
                if interrupted.signum is None:
                    print(f"FAILED: {reason_of(error)}", file=sys.stderr)
                else:
                    print("Interrupted; everything that was started is stopped.", file=sys.stderr)
            return 1 if interrupted.signum is None else 128 + interrupted.signum
    return 0


def _accepts_fake() -> bool:
    offer = "The same can run on a FAKE microcluster, in memory"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(f"{offer}: make demo ARGS=--fake", file=sys.stderr)
        return False
    try:
        answer = input(f"{offer}. Go on with the fake? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def _run(*, fake: bool, seed: int, by: Interruption) -> None:
    with contextlib.ExitStack() as started:
        juju = started.enter_context(juju_model.Juju(seed=seed, name="demo"))
        juju.on_hook.append(by.check)
        microcluster: protocol.Microcluster = (
            local.fake_microcluster(juju, seed) if fake else lxd.LxdMicrocluster()
        )
        started.callback(microcluster.close)
        scenario.Scenario(local.LocalCloud(juju, microcluster), by.check, fake=fake).run()
    print("Everything that was started is stopped.", flush=True)


def reason_of(error: Exception) -> str:
    """Return in one line why the demonstration ended, without a value that could be a token."""
    if isinstance(error, juju_model.HookFailed):
        text = str(error.hook)
    elif isinstance(error, (scenario.Failure, lxd.LxdError)):
        text = str(error)
    else:
        # Unforeseen: with the place in the code.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{pathlib.Path(frame.filename).name}:{frame.lineno}"
        text = f"{type(error).__name__} at {where}: {str(error).partition(chr(10))[0]}"
    return _LONG_RUN.sub("[cut]", text)[:_LONGEST_REASON]
