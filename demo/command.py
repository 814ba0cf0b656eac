"""The command line of the demonstration."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
import sys
import traceback
from typing import TYPE_CHECKING

import rich.console

from demo import scenario, screen
from tests import juju_model
from tests.clouds import local
from tests.microclusters import lxd

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from demo import interruption
    from tests.microclusters import protocol

FAILED = 1
NOT_HERE = 2
READER_GONE = 141
"""Exit codes; the last is a shell's for a program that was writing to a closed pipe."""

_DESCRIPTION = """
Shows one cluster forming, growing and losing machines. The units' hooks run the real charms on an
in-memory model of Juju; each machine is an LXD daemon of its own, and the daemons cluster by their
own tokens. Exits 0 only if the cluster's list of members is right at the end.
"""
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_LONGEST_REASON = 600


class ReaderGone(Exception):  # noqa: N818 - named for what happened
    """Nobody reads what is printed any more."""


class _Console(rich.console.Console):
    def on_broken_pipe(self) -> None:
        """Let everything be cleaned up before the end, and let Python's own flush not fail."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGone


def main(argv: Sequence[str], interrupted: interruption.Interruption) -> int:
    """Run the demonstration.

    Args:
        argv: the command line, without the program.
        interrupted: what ends it early.

    Returns:
        The exit code: 0 only if the cluster is as it has to be.

    Raises:
        KeyboardInterrupt: it was ended early. Everything that was started is stopped.
    """
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
    try:
        return _run(fake=options.fake or reason is not None, seed=options.seed, by=interrupted)
    except ReaderGone:
        return READER_GONE
    except Exception as error:  # what was printed so far has to end with a reason, whatever it is
        with contextlib.suppress(OSError):
            print(f"FAILED: {reason_of(error)}", file=sys.stderr)
        return FAILED


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


def _run(*, fake: bool, seed: int, by: interruption.Interruption) -> int:
    console = _Console(highlight=False)
    live = sys.stdout.isatty() and not console.is_dumb_terminal
    with _world(fake=fake, seed=seed, by=by) as (juju, microcluster):
        juju.on_hook.append(lambda _: by.check())
        with screen.Screen(console, live=live) as view:
            cloud = local.LocalCloud(juju, microcluster)
            scenario.Scenario(cloud, view, fake=fake).run()
    console.print("Everything that was started is stopped.")
    return 0


@contextlib.contextmanager
def _world(
    *, fake: bool, seed: int, by: interruption.Interruption
) -> Generator[tuple[juju_model.Juju, protocol.Microcluster]]:
    """Make a model and a microcluster, and leave nothing of them behind."""
    with contextlib.ExitStack() as started:
        with by.held():
            juju = juju_model.Juju(seed=seed, name="demo")
            started.callback(juju.close)
            microcluster: protocol.Microcluster = (
                local.fake_microcluster(juju, seed) if fake else lxd.LxdMicrocluster()
            )
            started.callback(microcluster.close)
        try:
            by.check()
            yield juju, microcluster
        finally:
            with by.held():
                started.close()


def reason_of(error: Exception) -> str:
    """Say in a few words why the demonstration ended, without a value that could be a token.

    Args:
        error: what ended it.
    """
    if isinstance(error, juju_model.HookFailed):
        text = str(error.hook)
    elif isinstance(error, (scenario.Failure, lxd.LxdError)):
        text = str(error)
    else:
        # Nothing that was foreseen: say where, for whoever has to mend it.
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(
            f" at {pathlib.Path(frame.filename).name}:{frame.lineno}" for frame in last
        )
        text = f"{type(error).__name__}{where}: {str(error).partition(chr(10))[0]}"
    return _LONG_RUN.sub("[cut]", text)[:_LONGEST_REASON]
