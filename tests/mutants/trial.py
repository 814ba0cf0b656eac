"""Put a library to the test in a process of its own, with that library first in `PYTHONPATH`.

It is `python -m tests.mutants.trial LIB SEEDS...`, or with `--story NAME --version JUJU` before
the seeds. The answer is a line `seed: complaint` and exit code 3, or nothing and 0 where all that
was tried went well.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
from typing import TYPE_CHECKING

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests import juju_model, scenarios
from tests.chaos import invariants, run
from tests.clouds import local, protocol
from tests.mutants import apply, stories
from tests.scenarios import telling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.microclusters import fake

Story = telling.Story
STORIES = [value for value in vars(stories).values() if isinstance(value, Story)]
"""The stories told for the sake of one rule each; those of `tests.scenarios` can catch, too."""

# Seconds of real time, for one trial of all its seeds.
_LIMIT = 1800.0
_CAUGHT = 3
_COMPLAINTS = (
    AssertionError,
    invariants.Violation,
    juju_model.HookFailed,
    juju_model.NotSettled,
)


def catch(
    library: pathlib.Path, seeds: Iterable[int], *, story: str = "", version: str = ""
) -> apply.Catch | None:
    """Try a library in another process.

    Args:
        library: the folder that holds `charms`.
        seeds: of the schedules of faults, or of the story; the first that catches ends it.
        story: the story to be told; the schedules of faults by default.
        version: the version of Juju for the story.

    Returns:
        What caught it, with the whole complaint; None where nothing did.

    Raises:
        RuntimeError: the trial itself went wrong.
    """
    paths = [library, apply.ROOT / "src", apply.ROOT]
    argv = [sys.executable, "-m", "tests.mutants.trial", f"--story={story}"]
    argv += [f"--version={version}", str(library), *map(str, seeds)]
    done = subprocess.run(  # noqa: S603 - our own command line
        argv,
        cwd=apply.ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    if done.returncode == 0:
        return None
    if done.returncode != _CAUGHT:
        raise RuntimeError(f"the trial ended with {done.returncode}:\n{done.stderr[-4000:]}")
    seed, _, complaint = done.stdout.strip().partition(": ")
    return apply.Catch(int(seed), complaint, story, version)


def main() -> int:
    """Try the library that is first in `PYTHONPATH`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.trial", description=__doc__)
    parser.add_argument("--story", default="")
    parser.add_argument("--version", default="")
    parser.add_argument("library", type=pathlib.Path)
    parser.add_argument("seeds", type=int, nargs="+")
    options = parser.parse_args()
    if not pathlib.Path(lib.__file__).is_relative_to(options.library):
        raise SystemExit(f"the library on trial is not imported, but {lib.__file__}")
    for seed in options.seeds:
        complaint = tell(options.story, seed, options.version) if options.story else _rage(seed)
        if complaint:
            print(f"{seed}: {complaint}")
            return _CAUGHT
    return 0


def _rage(seed: int) -> str:
    try:
        run.run(seed, tail_length=1)
    except run.Failure as error:
        return str(error).splitlines()[0].partition(": ")[2]
    return ""


def tell(name: str, seed: int, version: str) -> str:
    """Tell a story with the library at hand.

    Args:
        name: its name.
        seed: of the model.
        version: of Juju.

    Returns:
        The first line of the complaint; nothing where it goes well.

    Raises:
        RuntimeError: it cannot be told here, so that there is no saying how it goes.
    """
    told = [*scenarios.every_story(), *STORIES]
    story = next(story for story in told if story.name == name)
    behaviour = local.behaviour(version, story.needs)
    interleave = 0.3 if seed % 3 else 0.0
    with juju_model.Juju(seed, behaviour=behaviour, interleave=interleave) as juju:
        cloud = _WatchedCloud(juju, local.fake_microcluster(juju, seed))
        if protocol.Trait.EARLIER_CHARMS in story.needs:
            cloud.look_away()
        if obstacle := story.obstacle(cloud):
            raise RuntimeError(f"{name} cannot be told: {obstacle}")
        try:
            story.tell(cloud)
            unspent = cloud.unspent()
            assert not unspent, f"these faults never struck: {', '.join(unspent)}"
        except _COMPLAINTS as error:
            return str(error).splitlines()[0]
    return ""


class _WatchedCloud(local.LocalCloud):
    """A cloud on which, while a story is told, all must hold that holds in schedules of faults."""

    def __init__(self, juju: juju_model.Juju, microcluster: fake.FakeMicrocluster):
        super().__init__(juju, microcluster)
        self._watch: invariants.Invariants | None = invariants.Invariants(self, microcluster)
        juju.on_hook.append(self._watch.after_hook)
        juju.faults = self._strike

    def look_away(self) -> None:
        """Watch no longer: what holds today did not for earlier charms."""
        if self._watch is not None:
            self.juju.on_hook.remove(self._watch.after_hook)
        self._watch = None

    def _strike(self, context: juju_model.HookContext) -> None:
        if self._watch is not None:
            self._watch.at_point(context)
        super()._strike(context)


if __name__ == "__main__":
    sys.exit(main())
