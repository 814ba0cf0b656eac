"""Find what notices when a rule is broken, and write it into its patch: `python -m tests.mutants`.

Scenarios are tried before schedules, since a seed may mean something else after any change.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from typing import TYPE_CHECKING

from tests import scenarios
from tests.mutants import apply, trial

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSIONS = (("3.6", "2.0.5"), ("4.0", "3.0.0"), ("4.0", "2.0.5"), ("3.6", "3.0.0"))


def main() -> int:
    """Look for what notices each patch; returns the exit code, 1 where nothing does."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of patches; by default the unnoticed")
    parser.add_argument("--scenarios", default="", help="a part of the names of those to try")
    parser.add_argument("--schedules", type=int, default=40, help="how many to try")
    options = parser.parse_args()
    unnoticed = 0
    for mutant in apply.every_mutant():
        if mutant.name not in options.names if options.names else mutant.trial:
            continue
        trials = list(_trials(mutant.trial, options.scenarios, options.schedules))
        with tempfile.TemporaryDirectory() as folder:
            found = trial.first_complaint(mutant, pathlib.Path(folder), trials)
        print(f"{mutant.name}: {found or 'nothing notices'}", flush=True)
        if found:
            noticed, _, complaint = found.partition(": ")
            apply.note(mutant, noticed, trial.words_of(complaint))
        unnoticed += not found
    return int(unnoticed > 0)


def _trials(known: str, part: str, schedules: int) -> Iterator[str]:
    if known:
        yield known
    names = [scenario.name for scenario in [*scenarios.every_story(), *trial.OWN]]
    for versions in _VERSIONS:
        for name in names:
            if part in name:
                yield str(trial.Trial(name, 0, *versions))
    for seed in range(schedules):
        yield str(trial.Trial(trial.SCHEDULE, seed))


if __name__ == "__main__":
    sys.exit(main())
