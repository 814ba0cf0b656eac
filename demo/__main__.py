"""Show one cluster forming through the real charm code.

The units' hooks run the real charms on an in-memory model of Juju; each machine is an LXD daemon
of its own, and they cluster by their own tokens.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

import rich.console

from demo import screen, story
from tests import juju_model
from tests.clouds import local
from tests.microclusters import lxd

if TYPE_CHECKING:
    from types import FrameType

    from tests.microclusters import protocol


def main() -> int:
    """Run the demonstration; returns the exit code, 0 only if the cluster is as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--fake", action="store_true", help="run on the fake microcluster instead of LXD daemons"
    )
    parser.add_argument("--seed", type=int, default=0, help="makes the model's choices")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)

    reason = None if options.fake else lxd.available()
    fake = options.fake
    if reason:
        print(f"LXD daemons cannot run here: {reason}.")
        fake = _accepts_fake()
        if not fake:
            return 2
    try:
        return _run(fake=fake, seed=options.seed)
    except KeyboardInterrupt:
        print("Interrupted; everything that was started is stopped.")
        return 130


def _accepts_fake() -> bool:
    """Offer the fake microcluster."""
    offer = "The same story can be told on a FAKE microcluster, in memory"
    if not sys.stdin.isatty():
        print(f"{offer}: `make demo ARGS=--fake`.")
        return False
    return input(f"{offer}. Go on with the fake? [y/N] ").strip().lower() in ("y", "yes")


def _run(*, fake: bool, seed: int) -> int:
    console = rich.console.Console(highlight=False)
    console.print(
        "On a FAKE microcluster: no daemon runs, no real token is issued."
        if fake
        else "On real LXD daemons, each with an address and a directory of its own."
    )
    juju = juju_model.Juju(seed=seed, name="demo")
    microcluster: protocol.Microcluster = (
        local.fake_microcluster(juju, seed) if fake else lxd.LxdMicrocluster()
    )
    try:
        with screen.Screen(console) as view:
            story.Story(local.LocalCloud(juju, microcluster), view).tell()
    except (story.Failure, juju_model.HookFailed, juju_model.NotSettled) as error:
        console.print(f"FAILED: {error}", markup=False)
        return 1
    finally:
        microcluster.close()
        juju.close()
    console.print("Everything that was started is stopped.")
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
