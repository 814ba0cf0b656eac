"""Find what catches a broken rule, and write it into its patch: `python -m tests.mutants`."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
import tempfile

from tests import scenarios
from tests.mutants import apply, trial

# In a patch's head stands what is the same in each complaint of a kind, without names.
_KINDS = (
    "joins though it is told to hold",
    "issues a token while",
    "which is a member",
    "were to issue a token for",
    "a log line shows a token",
    "failed shows a token",
    "StoredState shows a token",
    "shows a token",
    "has counted",
    "is in the model",
    "which is online",
    "a second bootstrap",
    "empty replaces a value",
    "is replaced that has not failed",
    "fails of itself",
    "does not show that",
    "egress-subnets",
    "took 1",
    "is no member",
    "clusters,",
    "is waiting",
)
_SEEDS = 40
_STORY_SEEDS = 3


def main() -> int:
    """Look for what catches each patch; returns the exit code, 1 where nothing does."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of patches; by default those without a catch")
    parser.add_argument("--first", type=int, default=0, help="seed to begin with")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="seeds of faults to try")
    parser.add_argument("--step", type=int, default=1, help="between two seeds")
    parser.add_argument(
        "--stories", default="", help="of stories to try, a part of their names; by default all"
    )
    parser.add_argument("--story-seeds", type=int, default=_STORY_SEEDS, help="for each story")
    options = parser.parse_args()
    uncaught = 0
    for mutant in apply.every_mutant():
        if mutant.name not in options.names if options.names else mutant.catch is not None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            library = mutant.make_library(pathlib.Path(folder))
            stories = [
                story.name
                for story in [*scenarios.every_story(), *trial.STORIES]
                if options.stories in story.name
            ]
            seeds = range(options.first, options.first + options.seeds, options.step)
            catch = _again(library, mutant.catch) if mutant.catch else None
            if catch is None and seeds:
                catch = trial.catch(library, seeds)
            for story in [] if catch else stories:
                for version in ("3.6", "4.0"):
                    found = trial.catch(
                        library, range(options.story_seeds), story=story, version=version
                    )
                    catch = catch or found
                if catch:
                    break
        print(f"{mutant.name}: {catch or 'nothing catches it'}", flush=True)
        if catch is None:
            uncaught += 1
        else:
            _note(mutant.name, dataclasses.replace(catch, complaint=_kind(catch.complaint)))
    return int(uncaught > 0)


def _again(library: pathlib.Path, known: apply.Catch) -> apply.Catch | None:
    """Try what has caught a patch before."""
    return trial.catch(library, [known.seed], story=known.story, version=known.version)


def _kind(complaint: str) -> str:
    return next((kind for kind in _KINDS if kind in complaint), complaint.partition(";")[0])


def _note(name: str, catch: apply.Catch) -> None:
    file = apply.PATCHES / f"{name}.patch"
    head, start, diff = file.read_text().partition("\n--- ")
    lines = [line for line in head.splitlines() if not line.startswith("# caught by ")]
    lines.append(f"# caught by {catch}")
    file.write_text("\n".join(lines) + start + diff)


if __name__ == "__main__":
    sys.exit(main())
