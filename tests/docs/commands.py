"""The command lines that examples may have; any other is refused."""

from __future__ import annotations

import configparser
import dataclasses
import functools
import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from tests.docs import pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHARM: dict[str, Any] = yaml.safe_load((pages.ROOT / "charmcraft.yaml").read_text())
NAME = str(CHARM["name"])
MICROOVN = "microovn"
ENDPOINTS = {
    NAME: {*CHARM["provides"], *CHARM["peers"]},
    # Of MicroOVN's charm, the one that its library of this project is for.
    MICROOVN: {"cluster"},
}
_MICROCLUSTER_VERBS = {"bootstrap", "add", "join", "list", "remove"}
_UNIT = re.compile(r"([a-z][a-z0-9-]*)/(\d+|leader)")
_LIMIT = 60


class WrongError(AssertionError):
    """A command line is not as it has to be."""


@dataclasses.dataclass(frozen=True)
class Usage:
    """How a subcommand of `juju` is used.

    Attributes:
        words: what its words are, in order: `app`, `unit`, `end` (of a relation), `action`,
            `charm`, `name` or `any`; the last of them may come more often where it ends in `+`,
            and those that end in `?` may be missing.
        flags: its options without a value.
        options: those with one.
        command: whether a command for the units may follow.
    """

    words: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    command: bool = False


def _usage(words: str = "", flags: str = "", options: str = "", *, command: bool = False) -> Usage:
    return Usage(
        tuple(words.split()), frozenset(flags.split()), frozenset(options.split()), command
    )


# As `juju help` has it in 3.6 and 4.0, as far as the pages make use of it.
JUJU = {
    "add-model": _usage("name"),
    "add-unit": _usage("app", options="-n --num-units --to"),
    "debug-log": _usage(flags="--replay --no-tail", options="--include --level -n --limit"),
    "deploy": _usage(
        "charm name?",
        flags="--trust --force",
        options="-n --num-units --channel --base --constraints --revision --to",
    ),
    "destroy-model": _usage("name", flags="--no-prompt --destroy-storage --force"),
    "download": _usage("charm", options="--channel --base --arch --filepath --revision"),
    "exec": _usage(options="--unit -u --application -a", command=True),
    "info": _usage("charm"),
    "integrate": _usage("end end"),
    "model-config": _usage("any+"),
    "refresh": _usage("app", options="--channel --path --revision --switch"),
    "remove-application": _usage("app+", flags="--force --no-prompt --destroy-storage"),
    "remove-relation": _usage("end end", flags="--force"),
    "remove-unit": _usage("unit+", flags="--force --no-prompt --destroy-storage"),
    "resolved": _usage("unit+", flags="--no-retry --all"),
    "run": _usage("unit action any?", options="--wait --format"),
    "show-unit": _usage("unit+", options="--format"),
    "ssh": _usage("unit any+"),
    "status": _usage("app?", flags="--relations", options="--watch --format"),
}


def applications(page: pages.Page) -> dict[str, str]:
    """Return the charms of the applications that a page deploys, by name; all are said to be."""
    found = {NAME: NAME, MICROOVN: MICROOVN}
    for block in page.blocks():
        for line in lines(block.text):
            if line.startswith("juju deploy "):
                given, _ = _parse("deploy", shlex.split(line)[2:])
                if len(given) > 1:
                    found[given[1]] = _charm(given[0])
    return found


def lines(text: str) -> Iterator[str]:
    """Give the command lines of a block, each in one."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def check(line: str, apps: dict[str, str], *, whole: bool = True) -> None:
    """Check a command line.

    Args:
        line: the command line.
        apps: the charms of the applications that there are, by name.
        whole: whether nothing is left out; in the midst of a sentence a command may be named
            without all its words.

    Raises:
        WrongError: it has something that does not exist.
    """
    words = shlex.split(line, comments=True)
    environment: list[str] = []
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        environment.append(words.pop(0))
    known = {"juju": _check_juju, "make": _check_make, "tox": _check_tox, "python": _check_python}
    if not words or words[0] not in known:
        raise WrongError(f"examples may not have {line!r}")
    if words[0] == "juju":
        _check_juju(words[1:], apps, whole=whole)
    elif len(words) > 1 or whole:
        known[words[0]](words[1:])
    for variable in environment:
        _check_variable(variable.partition("=")[0])


def _check_variable(name: str) -> None:
    readers = ["tox.ini", "Makefile"]
    if not any(name in (pages.ROOT / reader).read_text() for reader in readers):
        raise WrongError(f"nobody reads the variable {name}")


# Juju


def _check_juju(
    words: Sequence[str], apps: dict[str, str] | None = None, *, whole: bool = True
) -> None:
    apps = {NAME: NAME, MICROOVN: MICROOVN} if apps is None else apps
    if not words or words[0] not in JUJU:
        raise WrongError(f"juju {' '.join(words[:1])} is not in the table of subcommands")
    usage = JUJU[words[0]]
    given, options = _parse(words[0], list(words[1:]))
    for option in ("--unit", "-u", "--include"):
        if option in options:
            _check_unit(options[option], apps)
    if usage.command:
        _check_command(given)
        return
    kinds = list(usage.words)
    for number, word in enumerate(given):
        if not kinds:
            raise WrongError(f"juju {words[0]} takes no {word}")
        kind = kinds.pop(0)
        _check_word(kind.rstrip("+?"), word, apps, f"word {number + 1} of juju {words[0]}")
        if kind.endswith("+"):
            # It may come again, and need not.
            kinds.insert(0, f"{kind.rstrip('+?')}?+")
    missing = [kind for kind in kinds if "?" not in kind]
    if whole and missing:
        raise WrongError(f"juju {words[0]} lacks {', '.join(missing)}")


def _parse(subcommand: str, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take the options out of the words of a subcommand."""
    usage = JUJU[subcommand]
    given: list[str] = []
    options: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if word == "--":
            return [*given, *rest], options
        if name in usage.options:
            if not value and not rest:
                raise WrongError(f"juju {subcommand} {name} lacks a value")
            options[name] = value or rest.pop(0)
        elif word in usage.flags:
            options[word] = ""
        elif word.startswith("-"):
            raise WrongError(f"juju {subcommand} has no option {word}")
        else:
            given.append(word)
    return given, options


def _check_word(kind: str, word: str, apps: dict[str, str], where: str) -> None:
    if kind == "app" and word not in apps:
        raise WrongError(f"{where}: no application {word}")
    if kind == "unit":
        _check_unit(word, apps)
    if kind == "charm":
        _charm(word)
    if kind == "action" and word not in CHARM["actions"]:
        raise WrongError(f"{where}: no action {word}")
    if kind == "end":
        app, _, endpoint = word.partition(":")
        _check_word("app", app, apps, where)
        if endpoint and endpoint not in ENDPOINTS[apps[app]]:
            raise WrongError(f"{where}: {app} has no endpoint {endpoint}")


def _check_unit(word: str, apps: dict[str, str]) -> None:
    unit = _UNIT.fullmatch(word)
    if unit is None or unit[1] not in apps:
        raise WrongError(f"{word} is no unit of {', '.join(apps)}")


def _charm(word: str) -> str:
    """Return the charm that something to be deployed is; a file's name begins with it."""
    if word.endswith(".yaml"):
        return word
    charm = re.sub(r"(_[^/]*)?\.charm$", "", word.rpartition("/")[2])
    if charm not in ENDPOINTS:
        raise WrongError(f"{word} is neither this charm nor MicroOVN's")
    return charm


def _check_command(words: Sequence[str]) -> None:
    """Check a command for a unit, where it is MicroOVN's."""
    if words[:2] == [MICROOVN, "cluster"] and words[2] not in _MICROCLUSTER_VERBS:
        raise WrongError(f"{MICROOVN} cluster has no {words[2]}")


# What runs from a checkout


@functools.cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile."""
    text = (pages.ROOT / "Makefile").read_text()
    return frozenset(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@functools.cache
def environments() -> frozenset[str]:
    """Return the environments of tox."""
    tox = _tox()
    named = {name.partition(":")[2] for name in tox.sections() if name.startswith("testenv:")}
    return frozenset(named | set(re.findall(r"[a-z]+", tox["tox"]["env_list"])))


def _tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(pages.ROOT / "tox.ini")
    return parser


def _check_make(words: Sequence[str]) -> None:
    text = (pages.ROOT / "Makefile").read_text()
    chosen = [word for word in words if "=" not in word]
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and word not in targets():
            raise WrongError(f"the Makefile has no target {word}")
        if equals and f"$({name})" not in _recipe(text, chosen[0]):
            raise WrongError(f"make {chosen[0]} takes no {name}")
        if name == "ARGS":
            _check_args(chosen[0], shlex.split(value))


def _recipe(text: str, target: str) -> str:
    return text.partition(f"\n{target}:")[2].partition("\n\n")[0]


def _check_args(target: str, words: Sequence[str]) -> None:
    """Check what a target hands on."""
    if target == "test":
        _check_tox(words)
    elif target == "demo":
        _check_python(["-m", "demo", *words])
    elif target == "integration":
        _check_tox(["-e", "integration", "--", *words])
    elif target == "lock" and list(words) != ["--upgrade"]:
        raise WrongError(f"make lock is not known to take {words}")


def _check_tox(words: Sequence[str]) -> None:
    ours, _, theirs = " ".join(words).partition(" -- ")
    for word in (
        ours.replace("-e", "").replace("run", "").replace("exec", "").replace(",", " ").split()
    ):
        if word not in environments():
            raise WrongError(f"tox has no environment {word}")
    for environment in re.findall(r"-e ([a-z,]+)", ours):
        _check_posargs(environment, shlex.split(theirs))


def _check_posargs(environment: str, words: Sequence[str]) -> None:
    """Check what an environment hands on: to pytest, or to a script of this repository."""
    config = _tox()
    section = f"testenv:{environment}"
    commands = config.get(section, "commands", fallback=config["testenv"]["commands"])
    if words and "{posargs" not in commands:
        raise WrongError(f"tox -e {environment} hands nothing on")
    readers = [*pages.ROOT.glob("tests/*/conftest.py"), *pages.ROOT.glob("tests/*/choices.py")]
    readers += [*pages.ROOT.glob("benchmarks/*.py"), *pages.ROOT.glob("scripts/*.py")]
    read = "".join(path.read_text() for path in readers)
    for word, value in zip(words, [*words[1:], ""], strict=False):
        name = word.partition("=")[0]
        # Each is named where it is added, read or explained.
        found = re.search(rf"(?<![\w-])({name}|\"{name.lstrip('-')}\")(?![\w-])", read)
        if word.startswith("-") and word != "-k" and not found:
            raise WrongError(f"tox -e {environment}: nobody knows the option {word}")
        if word == "-k":
            _check_selection(value)


def _check_selection(value: str) -> None:
    """Check that tests are chosen by something that is there, or that a page has one write."""
    # Of the pages, each has been read by the time that one of its examples is checked.
    text = "".join(
        block.text for page in pages.every_page() for block in page.blocks() if block.language
    )
    stated = text.count(f"def {value}(")
    python = [*pages.ROOT.glob("tests/**/*.py")]
    named = any(value in str(path) for path in python)
    if not stated and not named and not any(f"def {value}" in path.read_text() for path in python):
        raise WrongError(f"-k {value} chooses nothing")


def _check_python(words: Sequence[str]) -> None:
    """Check that a module or a script exists and knows the options; nothing of it is done."""
    arguments = [word for word in words if not word.startswith("--")]
    done = _help(tuple(arguments))
    if done.returncode:
        raise WrongError(f"python {' '.join(words)}: {done.stderr.splitlines()[-1]}")
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in done.stdout:
            raise WrongError(f"python {' '.join(arguments)} has no option {word}")


@functools.cache
def _help(words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Let a program parse its words, and then tell how it is used instead of doing it."""
    return subprocess.run(  # noqa: S603 - this interpreter, and words of this repository
        [sys.executable, *words, "--help"],
        cwd=pages.ROOT,
        env={**os.environ, "PYTHONPATH": "library/src:src:lib"},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
