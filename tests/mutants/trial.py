"""Run scenarios, schedules and tests on code with a rule broken, in a process of its own.

It is `python -m tests.mutants.trial FOLDER TRIAL...`, with that code in the folder. The first
trial in which something is wrong ends it, with a line `TRIAL: complaint` and exit code 3.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, NamedTuple

import pytest

import distributor
import microcluster_token_distributor
from tests import juju_model
from tests import scenarios as common
from tests.chaos import invariants, run
from tests.clouds import local, protocol
from tests.mutants import apply, scenarios
from tests.scenarios import telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.microclusters import fake

OWN = [value for value in vars(scenarios).values() if isinstance(value, telling.Story)]
"""The scenarios for one rule each."""
SCHEDULE = "schedule"

# Seconds of real time for all trials of one rule.
_LIMIT = 1800.0
_NOTICED = 3
_COMPLAINTS = (
    AssertionError,
    invariants.Violation,
    juju_model.HookFailed,
    juju_model.NotSettled,
    subprocess.TimeoutExpired,
)
# The invariants are of today's charms, as they are by default.
_UNWATCHED = {protocol.Trait.EARLIER_CHARMS, protocol.Trait.FIELD}
_TRIAL = re.compile(r"(\S+), seed (\d+)(?:, Juju (\S+), microcluster (\S+))?")
_HOOK = re.compile(r" *\d+\.\ds  ")
# So many words say little.
_FEW = 2
_NAME = re.compile(r"\S*(?:/\d|juju-model-|\d)\S*")


class CannotRunError(Exception):
    """These versions cannot have what a scenario is about, so that nothing is shown."""


class Trial(NamedTuple):
    """A scenario on one version of everything, or a schedule, whose seed says all that."""

    scenario: str
    seed: int
    juju: str = ""
    microcluster: str = ""

    def __str__(self) -> str:
        versions = f", Juju {self.juju}, microcluster {self.microcluster}" if self.juju else ""
        return f"{self.scenario}, seed {self.seed}{versions}"

    @classmethod
    def parse(cls, text: str) -> Trial:
        """Read what `str` gives.

        Raises:
            ValueError: it is something else.
        """
        match = _TRIAL.fullmatch(text)
        if match is None:
            raise ValueError(f"no trial: {text!r}")
        return cls(match[1], int(match[2]), match[3] or "", match[4] or "")


def first_complaint(mutant: apply.Mutant, folder: pathlib.Path, trials: Sequence[str]) -> str:
    """Break a rule, and run trials in another process until something is wrong.

    Args:
        mutant: breaks the rule.
        folder: an empty one.
        trials: each one as `Trial` reads it; or a single test, as pytest does.

    Returns:
        The trial, and its complaint behind a colon; empty where nothing is wrong.

    Raises:
        RuntimeError: the trials cannot be run.
    """
    mutant.copy(folder)
    argv = ["tests.mutants.trial", str(folder), *trials]
    noticed = _NOTICED
    if apply.is_test(trials[0]):
        argv = ["pytest", "-x", "-p", "no:cacheprovider", "-o", "pythonpath=", *trials]
        noticed = pytest.ExitCode.TESTS_FAILED
    paths = [*(folder / source for source in apply.SOURCES), apply.ROOT / "lib", apply.ROOT]
    done = subprocess.run(  # noqa: S603 (our own command line)
        [sys.executable, "-m", *argv],
        cwd=apply.ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    if done.returncode not in (0, noticed):
        complaint = f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
        raise RuntimeError(f"the trial ended with {done.returncode}:\n{complaint}")
    if apply.is_test(trials[0]):
        return f"{trials[0]}: fails" if done.returncode else ""
    return done.stdout.strip()


def words_of(complaint: str) -> str:
    """Return the words of a complaint that do not depend on names and numbers."""
    parts = [part.strip(" ,:'\"<") for part in _NAME.split(complaint.partition(";")[0])]
    return next((part for part in parts if len(part.split()) > _FEW), max(parts, key=len))


def run_trial(trial: Trial) -> str:
    """Run a trial on the code at hand.

    Returns:
        The first line of the complaint; empty where nothing is wrong.

    Raises:
        CannotRunError: it cannot be run on its versions.
    """
    if trial.scenario == SCHEDULE:
        try:
            run.run(trial.seed, tail_length=1)
        except run.Failure as error:
            return str(error).splitlines()[0].partition(": ")[2]
        return ""
    scenario = next(s for s in [*common.every_story(), *OWN] if s.name == trial.scenario)
    behaviour = local.behaviour(trial.juju, scenario.needs)
    interleave = 0.3 if trial.seed % 3 else 0.0
    with juju_model.Juju(trial.seed, behaviour=behaviour, interleave=interleave) as juju:
        below = local.fake_microcluster(juju, trial.seed, trial.microcluster)
        cloud = WatchedCloud(juju, below)
        if scenario.needs & _UNWATCHED:
            cloud.watch_no_longer()
        if obstacle := scenario.obstacle(cloud):
            raise CannotRunError(f"{trial}: {obstacle}")
        try:
            scenario.tell(cloud)
            unspent = cloud.unspent()
            assert not unspent, f"these faults never struck: {', '.join(unspent)}"
        except _COMPLAINTS as error:
            return _complaint_of(error)
    return ""


def _complaint_of(error: BaseException) -> str:
    """Return one line, without the hook; of a hook that failed why it did."""
    if isinstance(error, juju_model.HookFailed):
        return f"{error.hook.kind} fails with {error.hook.error.strip().splitlines()[-1]}"
    # A bare assertion has no message but its code.
    text = str(error) or traceback.extract_tb(error.__traceback__)[-1].line or ""
    line = text.splitlines()[0]
    return line.rpartition(": ")[2] if _HOOK.match(line) else line


class WatchedCloud(local.LocalCloud):
    """A cloud on which the invariants of schedules are checked while a scenario runs."""

    def __init__(self, juju: juju_model.Juju, microcluster: fake.FakeMicrocluster):
        super().__init__(juju, microcluster)
        self._watch: invariants.Invariants | None = invariants.Invariants(self, microcluster)
        juju.on_hook.append(self._watch.after_hook)
        juju.faults = self._strike

    def watch_no_longer(self) -> None:
        """Stop the checks."""
        if self._watch is not None:
            self.juju.on_hook.remove(self._watch.after_hook)
        self._watch = None

    def _strike(self, context: juju_model.HookContext) -> None:
        if self._watch is not None:
            self._watch.at_point(context)
        super()._strike(context)


def main() -> int:
    """Run trials; returns the exit code."""
    folder, *trials = sys.argv[1:]
    # The model finds the distributor's modules imported, and does not import those of the tree.
    for module in (microcluster_token_distributor, distributor):
        if not pathlib.Path(module.__file__ or "").is_relative_to(folder):
            raise SystemExit(f"not from {folder}: {module.__file__}")
    for trial in trials:
        with contextlib.suppress(CannotRunError):
            if complaint := run_trial(Trial.parse(trial)):
                print(f"{trial}: {complaint}")
                return _NOTICED
    return 0


if __name__ == "__main__":
    sys.exit(main())
