"""The part that is timed: a cluster of real LXD daemons, and the start of a hook."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import yaml

from benchmarks import timed
from tests import juju_model
from tests.clouds import local, protocol
from tests.microclusters import lxd
from tests.scenarios import telling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIZES = (3, 5, 9)
"""How many LXD daemons form a cluster."""

RUNS = 3
"""How often each does."""

_STARTS = 21
_ROUNDS = 30
_LIBRARY = "charms.microcluster_token_distributor.v0.token_distributor"

_EMPTY = """\
import ops


class MicroclusterTokenDistributorCharm(ops.CharmBase):
    pass


if __name__ == "__main__":
    ops.main(MicroclusterTokenDistributorCharm)
"""

_TOOL = """\
#!/bin/sh
case "${0##*/}" in
    is-leader) echo true ;;
    relation-ids) echo '[]' ;;
esac
"""
_TOOLS = ("is-leader", "juju-log", "relation-ids", "status-set")


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds that something took, several times.

    Attributes:
        what: what it was.
        seconds: each time.
    """

    what: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """From the first quartile to the third."""
        first, _, third = statistics.quantiles(self.seconds, n=4)
        return third - first


def machine() -> str:
    """Describe this machine in a few words: cores, system, Python."""
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {release}, Python {platform.python_version()}"


def lxd_version() -> str:
    """Return LXD's version."""
    done = subprocess.run(["lxd", "--version"], capture_output=True, check=True, text=True)  # noqa: S607 - as a charm would find it
    return done.stdout.strip()


def form(units: int) -> float:
    """Form a cluster of real LXD daemons, which are started before.

    Args:
        units: how many.

    Returns:
        Seconds from the start of the first hook to the end of that in which the last one joined.

    Raises:
        RuntimeError: it never forms.
    """
    microcluster = lxd.LxdMicrocluster()
    try:
        with juju_model.Juju() as juju:
            cloud = local.LocalCloud(juju, microcluster)
            telling.deploy(cloud, units)
            joined = 0.0

            def note(hook: juju_model.Hook) -> None:
                nonlocal joined
                names = {timed.sub_command(command.argv) for command in hook.commands}
                if names & {"bootstrap", "join"}:
                    joined = time.perf_counter()

            juju.on_hook.append(note)
            started = time.perf_counter()
            cloud.settle()
            first = f"{protocol.CONSUMER}/0"
            for _ in range(_ROUNDS):
                if len(cloud.members(first)) == units:
                    return joined - started
                cloud.wait()
    finally:
        microcluster.close()
    raise RuntimeError(f"{units} LXD daemons never formed a cluster")


def imports() -> tuple[Timing, Timing]:
    """Time the imports of ops, and of the library once ops is there.

    Returns:
        Both, in seconds of the processor's time.
    """
    code = (
        "import time; a = time.process_time(); import ops; b = time.process_time(); "
        f"import {_LIBRARY}; c = time.process_time(); print(b - a, c - b)"
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-") as cache:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(local.ROOT / "lib"),
            "PYTHONPYCACHEPREFIX": cache,
        }
        pairs = [
            [float(word) for word in _python(["-c", code], environment).split()]
            for _ in range(_STARTS + 1)
        ][1:]  # the first one had to compile
    return (
        Timing("import of ops", tuple(pair[0] for pair in pairs)),
        Timing("import of the library, once ops is there", tuple(pair[1] for pair in pairs)),
    )


def dispatches() -> tuple[Timing, Timing]:
    """Time a dispatch of an empty charm, and of the distributor's, for `update-status`.

    Both have the distributor's metadata, and no relation; hook tools are shell scripts.

    Returns:
        Both, in seconds of the processor's time, hook tools included.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = pathlib.Path(name)
        tools = _hook_tools(folder / "tools")
        empty, whole = folder / "empty", folder / "whole"
        loaded = local.charm(protocol.DISTRIBUTOR)
        for charm in (empty, whole):
            charm.mkdir()
            (charm / "metadata.yaml").write_text(yaml.safe_dump(dict(loaded.meta)))
            (charm / "actions.yaml").write_text(yaml.safe_dump(dict(loaded.actions or {})))
            shutil.copytree(local.ROOT / "lib", charm / "lib")
            shutil.copytree(local.ROOT / "src", charm / "src")
        (empty / "src" / "charm.py").write_text(_EMPTY)
        # By turns, so that what else the machine does befalls both alike.
        pairs = [
            (_timed(lambda: _dispatch(empty, tools)), _timed(lambda: _dispatch(whole, tools)))
            for _ in range(_STARTS + 1)
        ][1:]
    return (
        Timing("dispatch of an empty charm", tuple(pair[0] for pair in pairs)),
        Timing("dispatch of the distributor's charm", tuple(pair[1] for pair in pairs)),
    )


def _hook_tools(folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir()
    for name in _TOOLS:
        (folder / name).write_text(_TOOL)
        (folder / name).chmod(0o755)
    return folder


def _dispatch(charm: pathlib.Path, tools: pathlib.Path) -> None:
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "PYTHONPATH": f"{charm / 'lib'}:{charm / 'src'}",
        "JUJU_CHARM_DIR": str(charm),
        "JUJU_DISPATCH_PATH": "hooks/update-status",
        "JUJU_MODEL_NAME": "model",
        "JUJU_MODEL_UUID": "00000000-0000-4000-8000-000000000000",
        "JUJU_UNIT_NAME": f"{protocol.DISTRIBUTOR}/0",
        "JUJU_VERSION": "4.0.15",
    }
    _python([str(charm / "src" / "charm.py")], environment)


def _python(words: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - this Python, on this repository's files
        [sys.executable, *words],
        env=dict(environment),
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def _timed(run: Callable[[], None]) -> float:
    """Give the processor's time that processes took: the machine may have other work to do."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
