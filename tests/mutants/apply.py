"""Read patches, and break the library with them.

A patch's head has a line `# rule: ...`, which may go on in further comment lines, and a line that
says what notices the rule's breaking, and in which words:

    # caught by seed 7: issues a token while
    # caught by story sickness::a_newcomer_waits, seed 0, Juju 4.0: has joined while

Patches are applied by what they say rather than by line numbers, so that a library that changes
elsewhere does not matter; one that changes where a rule is kept does, and has to.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil

ROOT = pathlib.Path(__file__).parents[2]
PATCHES = pathlib.Path(__file__).with_name("patches")

_CAUGHT = re.compile(
    r"# caught by (?:story (?P<story>\S+), )?seed (?P<seed>\d+)(?:, Juju (?P<version>\S+))?: "
    r"(?P<complaint>.+)"
)


class DoesNotApplyError(Exception):
    """The library no longer has, or has more than once, what a patch wants to change."""


@dataclasses.dataclass(frozen=True)
class Catch:
    """What notices that a rule is broken.

    Attributes:
        seed: the seed of the schedule of faults, or of the story.
        complaint: words of the complaint.
        story: the story's name; empty for a schedule of faults.
        version: the version of Juju on which the story is told.
    """

    seed: int
    complaint: str
    story: str = ""
    version: str = ""

    def __str__(self) -> str:
        story = f"story {self.story}, " if self.story else ""
        version = f", Juju {self.version}" if self.version else ""
        return f"{story}seed {self.seed}{version}: {self.complaint}"


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A patch that breaks one rule.

    Attributes:
        name: what the broken library does, in the file's name.
        rule: the rule.
        catch: what notices it; None where that is yet to be found.
        path: the file that is changed, from the repository's root.
        hunks: what is replaced and what replaces it, in order.
    """

    name: str
    rule: str
    catch: Catch | None
    path: pathlib.PurePosixPath
    hunks: tuple[tuple[str, str], ...]

    @classmethod
    def load(cls, file: pathlib.Path) -> Mutant:
        """Read a patch.

        Raises:
            ValueError: it lacks a rule or a change, or changes several files.
        """
        lines = file.read_text().splitlines(keepends=True)
        start = next((i for i, line in enumerate(lines) if line.startswith("--- ")), len(lines))
        head = "".join(lines[:start])
        rule = re.search(r"^# rule: (.*(?:\n#   .*)*)", head, re.MULTILINE)
        targets = [line.split()[1] for line in lines if line.startswith("+++ b/")]
        hunks = tuple(_hunks(lines[start + 2 :]))
        if rule is None or len(targets) != 1 or not hunks:
            raise ValueError(f"{file.name} is not a patch of one file that names its rule")
        caught = _CAUGHT.search(head)
        return cls(
            name=file.stem,
            rule=rule[1].replace("\n#  ", ""),
            catch=_catch(caught) if caught else None,
            path=pathlib.PurePosixPath(targets[0].removeprefix("b/")),
            hunks=hunks,
        )

    def apply(self, text: str) -> str:
        """Return the text with the rule broken.

        Raises:
            DoesNotApplyError: a hunk's lines are not there, or not only once.
        """
        for number, (old, new) in enumerate(self.hunks, start=1):
            found = f"\n{text}".count(f"\n{old}")
            if found != 1:
                raise DoesNotApplyError(
                    f"{self.name}.patch: the lines of hunk {number} occur {found} times in"
                    f" {self.path}: the rule is kept in another way now, and so is to be broken"
                )
            text = f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]
        return text

    def make_library(self, folder: pathlib.Path) -> pathlib.Path:
        """Copy the library into a folder, and break the rule there.

        Returns:
            What has to come first in `PYTHONPATH`.

        Raises:
            DoesNotApplyError: as `apply`.
        """
        lib = folder / self.path.parts[0]
        shutil.copytree(ROOT / lib.name, lib, ignore=shutil.ignore_patterns("__pycache__"))
        file = folder / self.path
        file.write_text(self.apply(file.read_text()))
        return lib


def every_mutant() -> list[Mutant]:
    """Read all patches, in the order of their names."""
    return [Mutant.load(file) for file in sorted(PATCHES.glob("*.patch"))]


def _catch(found: re.Match[str]) -> Catch:
    return Catch(
        seed=int(found["seed"]),
        complaint=found["complaint"],
        story=found["story"] or "",
        version=found["version"] or "",
    )


def _hunks(lines: list[str]) -> list[tuple[str, str]]:
    hunks: list[tuple[str, str]] = []
    for line in lines:
        mark, rest = line[:1], line[1:] or "\n"
        if line.startswith("@@ "):
            hunks.append(("", ""))
            continue
        if mark not in (" ", "-", "+", "\n") or not hunks:
            raise ValueError(f"no line of a unified diff: {line!r}")
        old, new = hunks[-1]
        hunks[-1] = (old if mark == "+" else old + rest, new if mark == "-" else new + rest)
    return hunks
