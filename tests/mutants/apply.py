"""Read patches, break rules with them, and run the tests that have to notice.

A patch's head has a line `# rule: ...`, which may go on in further comment lines, and a line with
the test that fails when the rule is broken; for a scenario also with words of its failure:

    # noticed by tests/unit/test_membership.py::test_nobody_bootstraps_beside_a_cluster
    # noticed by tests/scenarios/test_loss.py::test_x[juju3.6-microcluster2.0.5-seed0]: has joined

Patches are applied by the text of their lines rather than by line numbers, so only a change where
a rule is kept matters.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PATCHES = pathlib.Path(__file__).with_name("patches")

_COPIED = (
    "charmcraft.yaml",
    "docs/reference/wire",
    "lib",
    "library",
    "pyproject.toml",
    "src",
    "tests",
)
# Seconds of real time for one test.
_LIMIT = 900.0
_RULE = re.compile(r"^# rule: (.*(?:\n#   .*)*)", re.MULTILINE)
_NOTICED = re.compile(r"^# noticed by (\S+?)(?:: (.+))?$", re.MULTILINE)
_FILE = re.compile(r"^--- .*\n\+\+\+ b/(\S+)\n", re.MULTILINE)
_HUNK = re.compile(r"^@@ .*\n", re.MULTILINE)
_FAILURE = re.compile(r"^(?:FAILED|ERROR) .*?(?: - (.*))?$", re.MULTILINE)


class DoesNotApplyError(Exception):
    """What a patch wants to change is not there, or is there more than once."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A patch that breaks one rule."""

    name: str  # of the file, without its suffix: what the broken code does
    rule: str
    test: str  # the node id of the test that notices
    complaint: str  # words of the first line of its failure
    path: str  # of the file that is changed, from the repository's root
    hunks: tuple[tuple[str, str], ...]  # what is replaced, and by what

    @classmethod
    def load(cls, file: pathlib.Path) -> Mutant:
        """Read a patch.

        Raises:
            ValueError: it does not state a rule and a test, or does not change exactly one file.
        """
        head, *files = _FILE.split(file.read_text())
        rule, noticed = _RULE.search(head), _NOTICED.search(head)
        if rule is None or noticed is None or len(files) != 2:
            raise ValueError(f"{file.name} is no patch of one file with its rule and its test")
        return cls(
            name=file.stem,
            rule=rule[1].replace("\n#  ", ""),
            test=noticed[1],
            complaint=noticed[2] or "",
            path=files[0],
            hunks=tuple((_side(h, "-"), _side(h, "+")) for h in _HUNK.split(files[1])[1:]),
        )

    def apply(self, text: str) -> str:
        """Return the text with the rule broken.

        Raises:
            DoesNotApplyError: the lines of a hunk are not there, or more than once.
        """
        text = f"\n{text}"
        for old, new in self.hunks:
            if (found := text.count(f"\n{old}")) != 1:
                raise DoesNotApplyError(
                    f"{self.name}.patch: these lines occur {found} times in {self.path}; where the"
                    f" rule is kept in another way now, break it there:\n{old}"
                )
            text = text.replace(f"\n{old}", f"\n{new}")
        return text[1:]

    def failure(self, folder: pathlib.Path) -> str | None:
        """Copy the project into a folder, break the rule there, and run the test.

        Returns:
            The first line of the test's failure; None if it passes.

        Raises:
            DoesNotApplyError: see `apply`.
            RuntimeError: the test cannot be run.
        """
        # Compiled modules are copied with them, and stay valid.
        for name in _COPIED:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(PATCHES.name))
            else:
                shutil.copy2(source, target)
        file = folder / self.path
        file.write_text(self.apply(file.read_text()))
        return run(self.test, folder)


def run(test: str, folder: pathlib.Path = ROOT) -> str | None:
    """Run one test in a copy of the project.

    Returns:
        The first line of its failure; None if it passes.

    Raises:
        RuntimeError: it cannot be run, or is skipped.
    """
    # Wide enough for pytest not to cut the line that is looked for.
    environment = os.environ | {"COLUMNS": "2000", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(  # noqa: S603 (our own command line)
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    if done.returncode == pytest.ExitCode.OK and " passed" in done.stdout:
        return None
    failure = _FAILURE.search(done.stdout)
    if done.returncode != pytest.ExitCode.TESTS_FAILED or failure is None:
        output = f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
        raise RuntimeError(f"{test} cannot be run ({done.returncode}):\n{output}")
    return failure[1] or ""


def every_mutant() -> list[Mutant]:
    """Read all patches, by name."""
    return [Mutant.load(file) for file in sorted(PATCHES.glob("*.patch"))]


def _side(hunk: str, mark: str) -> str:
    lines = (line for line in hunk.splitlines(keepends=True) if line[0] in (" ", mark))
    return "".join(line[1:] for line in lines)
