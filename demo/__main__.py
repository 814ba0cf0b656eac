"""Run the demonstration: `python -m demo --help`."""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import sys
from typing import TYPE_CHECKING

from demo import scenario
from tests import juju_model
from tests.clouds import local
from tests.microclusters import lxd

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """
Shows one cluster forming, growing and losing machines. The units' hooks run the real charms on an
in-memory model of Juju; each machine is an LXD daemon of its own, and the daemons cluster by their
own tokens. Exits 0 only if the cluster's list of members is right at the end.
"""

# The signals to end that came. They raise an exception between two hooks: what starts or stops a
# daemon is never interrupted.
_signals: list[int] = []


def main(argv: Sequence[str]) -> int:
    """Run the demonstration, and return its exit code: 0 only if the cluster is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=_DESCRIPTION)
    parser.add_argument(
        "--fake", action="store_true", help="run on a fake microcluster instead of LXD daemons"
    )
    fake: bool = parser.parse_args(argv).fake
    if not fake and (reason := lxd.available()):
        offer = "The same can run on a FAKE microcluster, in memory: make demo ARGS=--fake"
        print(f"LXD daemons cannot run here: {reason}.\n{offer}", file=sys.stderr)
        return 2
    try:
        _run(fake=fake)
    except Exception as error:
        if _signals:
            print("Interrupted; everything that was started is stopped.", file=sys.stderr)
            return 128 + _signals[0]
        if not isinstance(error, (AssertionError, juju_model.HookFailed, lxd.LxdError)):
            raise
        # After the first line come the last hooks, or a traceback.
        reason = re.sub(r"[A-Za-z0-9+/_=-]{40,}", "[cut]", str(error).partition("\n")[0])
        print(f"FAILED: {reason}", file=sys.stderr)
        return 1
    print("Everything that was started is stopped.")
    return 0


def _run(*, fake: bool) -> None:
    where = "a FAKE microcluster" if fake else "real LXD daemons"
    with juju_model.Juju(seed=0, name="demo") as juju:
        juju.on_hook.append(_check)
        made = local.fake_microcluster(juju) if fake else lxd.LxdMicrocluster()
        with contextlib.closing(made) as microcluster:
            scenario.Scenario(local.LocalCloud(juju, microcluster), where).run()


def _check(_: juju_model.Hook) -> None:
    if _signals:
        raise InterruptedError


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda signum, _: _signals.append(signum))
    sys.exit(main(sys.argv[1:]))
