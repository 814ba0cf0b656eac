"""Read patches, and break rules with them.

A patch's head has a line `# rule: ...`, which may go on in further comment lines, and a line that
says what notices when the rule is broken, and in which words:

    # noticed by tests/unit/test_membership.py::test_nobody_bootstraps_beside_a_cluster: fails
    # noticed by schedule, seed 7: issues a token while
    # noticed by sickness::a_newcomer_waits, seed 0, Juju 4.0, microcluster 2.0.5: has joined while

Patches are applied by the text of their lines rather than by line numbers, so only a change where
a rule is kept matters.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil

ROOT = pathlib.Path(__file__).parents[2]
PATCHES = pathlib.Path(__file__).with_name("patches")
SOURCES = ("library/src", "src")
"""The folders that a patch may change."""

_RULE = re.compile(r"^# rule: (.*(?:\n#   .*)*)", re.MULTILINE)
_NOTICED = re.compile(r"^# noticed by (.+?): (.+)$", re.MULTILINE)
_FILE = re.compile(r"^--- .*\n\+\+\+ b/(\S+)\n", re.MULTILINE)
_HUNK = re.compile(r"^@@ .*\n", re.MULTILINE)


class DoesNotApplyError(Exception):
    """What a patch wants to change is not there, or is there more than once."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A patch that breaks one rule."""

    name: str  # of the file, without its suffix: what the broken code does
    rule: str
    trial: str  # what notices: a test, or what `trial.Trial` reads; empty where not known
    complaint: str  # words of its complaint
    path: str  # of the file that is changed, from the repository's root
    hunks: tuple[tuple[str, str], ...]  # what is replaced, and by what

    @classmethod
    def load(cls, file: pathlib.Path) -> Mutant:
        """Read a patch.

        Raises:
            ValueError: it does not state a rule, or does not change exactly one file.
        """
        head, *files = _FILE.split(file.read_text())
        rule, noticed = _RULE.search(head), _NOTICED.search(head)
        if rule is None or len(files) != 2:
            raise ValueError(f"{file.name} is no patch of one file that states its rule")
        return cls(
            name=file.stem,
            rule=rule[1].replace("\n#  ", ""),
            trial=noticed[1] if noticed else "",
            complaint=noticed[2] if noticed else "",
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

    def copy(self, folder: pathlib.Path) -> None:
        """Copy the code into a folder, and break the rule there.

        Raises:
            DoesNotApplyError: see `apply`.
        """
        for source in SOURCES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, folder / source, ignore=ignored)
        shutil.copy(ROOT / "charmcraft.yaml", folder)  # `ops.testing` looks for it beside `src`
        file = folder / self.path
        file.write_text(self.apply(file.read_text()))


def every_mutant() -> list[Mutant]:
    """Read all patches, by name."""
    return [Mutant.load(file) for file in sorted(PATCHES.glob("*.patch"))]


def is_test(trial: str) -> bool:
    """Tell whether what notices is one of the tests, for pytest."""
    return trial.startswith("tests/")


def note(mutant: Mutant, trial: str, complaint: str) -> None:
    """Write what notices into a patch's head."""
    file = PATCHES / f"{mutant.name}.patch"
    head, start, diff = file.read_text().partition("\n--- ")
    lines = [line for line in head.splitlines() if not line.startswith("# noticed by ")]
    file.write_text("\n".join([*lines, f"# noticed by {trial}: {complaint}"]) + start + diff)


def _side(hunk: str, mark: str) -> str:
    lines = (line for line in hunk.splitlines(keepends=True) if line[0] in (" ", mark))
    return "".join(line[1:] for line in lines)
