"""A stand-in for the `juju` program, which refuses what Juju's documentation does not have.

Put on PATH it takes the commands of `COMMANDS`, with the flags and the number of words that the
documentation of Juju 3.6 and of 4.0 gives them both, logs each call, and answers what the test has
laid down for that command; see `JujuOnPath`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE = "JUJU_STAND_IN"
"""Names, in the environment, the directory with its answers and its log."""

REFUSED = 2
"""Its exit code for a command line that Juju does not have; an answer's own is 0 or 1."""

_DOWNLOADED = "downloaded.charm"
_UNIT = r"[a-z][a-z0-9-]*/[0-9]+"
_APPLICATION = r"[a-z][a-z0-9-]*[a-z0-9]"
_ENDPOINT = rf"{_APPLICATION}(:[a-z][a-z0-9-]*)?"
_ANY = r"(?s).+"


@dataclasses.dataclass(frozen=True)
class Command:
    """What a command takes.

    Attributes:
        words: what each word has to look like; the last stands for all that follow.
        least: how many words there must be.
        most: how many there may be.
        switches: flags without a value.
        values: what the values of the other flags have to look like.
    """

    words: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    switches: frozenset[str] = frozenset()
    values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    def problem(self, arguments: Sequence[str]) -> str:
        """Say what is wrong with a command line; empty if nothing is."""
        words: list[str] = []
        rest = list(arguments)
        while rest:
            argument = rest.pop(0)
            if argument == "--":
                words += rest
                break
            if not argument.startswith("-"):
                words.append(argument)
            elif problem := self._flag_problem(argument, rest):
                return problem
        if not self.least <= len(words) <= self.most:
            return f"{len(words)} words, not {self.least} to {self.most}"
        for number, word in enumerate(words):
            if not re.fullmatch(self.words[min(number, len(self.words) - 1)], word):
                return f"not what is wanted as word {number + 1}"
        return ""

    def _flag_problem(self, argument: str, rest: list[str]) -> str:
        """Say what is wrong with a flag, and take its value from the rest where it has one."""
        flag, equals, value = argument.partition("=")
        if flag in self.switches and not equals:
            return ""
        if flag not in self.values:
            return f"option provided but not defined: {flag}"
        if not equals and not rest:
            return f"option needs an argument: {flag}"
        if not re.fullmatch(self.values[flag], value if equals else rest.pop(0)):
            return f"invalid value for option {flag}"
        return ""


_MODEL = {"-m": _ANY, "--model": _ANY}
_BASE = {"--base": r"[a-z]+@[0-9]+\.[0-9]+(/[a-z]+)?"}
_CHANNEL = {"--channel": r"([\w.-]+/)?(stable|candidate|beta|edge)(/[\w.-]+)?"}
_NUMBER = r"[0-9]+"
_PAIR = r"[\w-]+=.+"
_FORMAT = {"--format": "json|yaml"}
# Without ./ or / in front Juju looks for a charm of that name in Charmhub.
_CHARM = r"(\./|/).+|[a-z][a-z0-9-]*"

COMMANDS = {
    "add-model": Command(
        (_APPLICATION, r"[\w-]+(/[\w-]+)?"),
        least=1,
        most=2,
        switches=frozenset({"--no-switch"}),
        values={"-c": _ANY, "--controller": _ANY, "--config": _PAIR, "--credential": _ANY},
    ),
    "add-unit": Command(
        (_APPLICATION,),
        least=1,
        most=1,
        values={**_MODEL, "-n": _NUMBER, "--num-units": _NUMBER, "--to": _ANY},
    ),
    "debug-log": Command(
        switches=frozenset(
            {"--color", "--date", "--location", "--ms", "--no-tail", "--replay", "--tail", "--utc"}
        ),
        values={**_MODEL, "-i": _ANY, "--include": _ANY, "-l": _ANY, "--level": "[A-Z]+"}
        | dict.fromkeys(("-n", "--lines", "--limit"), _NUMBER),
    ),
    "deploy": Command(
        (_CHARM, _APPLICATION),
        least=1,
        most=2,
        switches=frozenset({"--dry-run", "--force", "--trust"}),
        values={
            **_MODEL,
            **_BASE,
            **_CHANNEL,
            **dict.fromkeys(("--bind", "--to", "--overlay"), _ANY),
            **dict.fromkeys(("--config", "--constraints", "--resource", "--storage"), _PAIR),
            **dict.fromkeys(("-n", "--num-units", "--revision"), _NUMBER),
        },
    ),
    "destroy-model": Command(
        (r"([\w-]+:)?[\w-]+",),
        least=1,
        most=1,
        switches=frozenset({"--destroy-storage", "--force", "--no-prompt", "--no-wait"}),
        values={"-t": r"[0-9]+s", "--timeout": r"[0-9]+s"},
    ),
    "download": Command(
        (_APPLICATION,),
        least=1,
        most=1,
        switches=frozenset({"--no-progress", "--resources"}),
        values={**_BASE, **_CHANNEL, "--arch": r"\w+", "--filepath": _ANY, "--revision": _NUMBER},
    ),
    "exec": Command(
        (_ANY,),
        least=1,
        most=99,
        switches=frozenset({"--all", "--background"}),
        values={
            **_MODEL,
            "--format": "json|plain|yaml",
            "--machine": _NUMBER,
            **dict.fromkeys(("-u", "--unit"), _UNIT),
            "--wait": r"[0-9.]+[smh]",
        },
    ),
    "integrate": Command((_ENDPOINT,), least=2, most=2, values={**_MODEL, "--via": _ANY}),
    "model-config": Command(
        (r"[a-z-]+(=.*)?",), most=99, values={**_MODEL, **_FORMAT, "--reset": _ANY}
    ),
    "models": Command(
        switches=frozenset({"--all", "--uuid"}),
        values={"-c": _ANY, "--controller": _ANY, **_FORMAT},
    ),
    "refresh": Command(
        (_APPLICATION,),
        least=1,
        most=1,
        switches=frozenset({"--force", "--force-base", "--force-units", "--trust"}),
        values={
            **_MODEL,
            **_BASE,
            **_CHANNEL,
            "--path": r"(\./|/).+",
            "--switch": _ANY,
            **dict.fromkeys(("--config", "--resource", "--storage"), _PAIR),
            "--revision": _NUMBER,
        },
    ),
    "remove-application": Command(
        (_APPLICATION,),
        least=1,
        most=99,
        switches=frozenset(
            {"--destroy-storage", "--dry-run", "--force", "--no-prompt", "--no-wait"}
        ),
        values=_MODEL,
    ),
    "remove-machine": Command(
        (_NUMBER,),
        least=1,
        most=99,
        switches=frozenset(
            {"--dry-run", "--force", "--keep-instance", "--no-prompt", "--no-wait"}
        ),
        values=_MODEL,
    ),
    "remove-relation": Command(
        (_ENDPOINT,), least=2, most=2, switches=frozenset({"--force"}), values=_MODEL
    ),
    "remove-unit": Command(
        (_UNIT,),
        least=1,
        most=99,
        switches=frozenset(
            {"--destroy-storage", "--dry-run", "--force", "--no-prompt", "--no-wait"}
        ),
        values={**_MODEL, "--num-units": _NUMBER},
    ),
    "resolved": Command(
        (_UNIT,), most=99, switches=frozenset({"--all", "--no-retry"}), values=_MODEL
    ),
    "show-unit": Command(
        (_UNIT,),
        least=1,
        most=1,
        switches=frozenset({"--app"}),
        values={**_MODEL, **_FORMAT, "--endpoint": _ANY, "--related-unit": _UNIT},
    ),
    "status": Command(
        (_ANY,),
        most=99,
        switches=frozenset({"--color", "--no-color", "--relations", "--storage", "--utc"}),
        values={**_MODEL, "--format": "json|yaml|tabular|line|oneline|short|summary"},
    ),
}
"""The commands that the drivers have a use for, with all that the documentation gives them."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command prints and how it ends."""

    out: str = ""
    err: str = ""
    code: int = 0


class JujuOnPath:
    """The stand-in, in a directory to be put on PATH, with what it is to answer.

    Args:
        home: an empty directory for it.
    """

    def __init__(self, home: pathlib.Path):
        self.home = home
        self.bin = home / "bin"
        self.bin.mkdir(parents=True)
        root = pathlib.Path(__file__).parents[2]
        # pytest-operator wants charmcraft to be there, too.
        for name in ("juju", "charmcraft"):
            program = self.bin / name
            program.write_text(
                f"#!{sys.executable} -SE\n"
                f"import sys\nsys.path.insert(0, {str(root)!r})\n"
                "from tests.drivers import stand_in\nsys.exit(stand_in.main())\n"
            )
            program.chmod(0o755)
        (home / "log").touch()

    def answers(self, command: str, *answers: Answer) -> None:
        """Lay down what a command answers, call by call; the last for all that follow."""
        path = self.home / f"{command}.json"
        path.write_text(json.dumps([dataclasses.asdict(answer) for answer in answers]))

    def downloads(self, charm: pathlib.Path) -> None:
        """Let `juju download` leave a copy of a file where it is told to."""
        shutil.copyfile(charm, self.home / _DOWNLOADED)

    def calls(self, command: str = "") -> list[list[str]]:
        """Give the calls so far, of one command or of all."""
        lines = (self.home / "log").read_text().splitlines()
        calls = [cast("list[str]", json.loads(line)) for line in lines]
        return [call for call in calls if command in ("", call[0])]


def main() -> int:
    """Answer one call."""
    home = pathlib.Path(os.environ[VARIABLE])
    command, *arguments = sys.argv[1:]
    known = COMMANDS.get(command)
    problem = known.problem(arguments) if known else "unrecognized command"
    if problem:
        print(f"ERROR juju {command}: {problem}", file=sys.stderr)
        return REFUSED
    with (home / "log").open("a") as log:
        log.write(json.dumps([command, *arguments]) + "\n")
    if "--filepath" in arguments:
        destination = arguments[arguments.index("--filepath") + 1]
        shutil.copyfile(home / _DOWNLOADED, destination)
    path = home / f"{command}.json"
    if not path.exists():
        return 0
    answers: list[dict[str, Any]] = json.loads(path.read_text())
    if len(answers) > 1:
        path.write_text(json.dumps(answers[1:]))
    sys.stdout.write(answers[0]["out"])
    sys.stderr.write(answers[0]["err"])
    return answers[0]["code"]
