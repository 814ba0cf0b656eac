"""The command lines that examples may have; any other is refused."""

from __future__ import annotations

import configparser
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
    from collections.abc import Mapping, Sequence

CHARM: dict[str, Any] = yaml.safe_load((pages.ROOT / "charmcraft.yaml").read_text())
NAME = str(CHARM["name"])
MICROOVN = "microovn"
# Of MicroOVN's charm, the endpoint that its library of this project is for.
ENDPOINTS = {NAME: {*CHARM["provides"], *CHARM["peers"]}, MICROOVN: {"cluster"}}

# As `juju help` has it in 3.6 and 4.0, as far as the pages use it: the words in their order, of
# which `?` may be missing and `+` may come again; then the options, of which `=` have a value.
JUJU = {
    "add-model": "name",
    "add-unit": "app -n= --num-units= --to=",
    "debug-log": "--replay --no-tail --include= --level= -n= --limit=",
    "deploy": "charm name? --trust --force -n= --num-units= --channel= --base= --constraints= "
    "--revision= --to=",
    "destroy-model": "name --no-prompt --destroy-storage --force",
    "download": "charm --channel= --base= --arch= --filepath= --revision=",
    "exec": "any+ --unit= -u= --application= -a=",
    "info": "charm",
    "integrate": "end end",
    "model-config": "any+",
    "refresh": "app --channel= --path= --revision= --switch=",
    "remove-application": "app+ --force --no-prompt --destroy-storage",
    "remove-relation": "end end --force",
    "remove-unit": "unit+ --force --no-prompt --destroy-storage",
    "resolved": "unit+ --no-retry --all",
    "run": "unit action any? --wait= --format=",
    "show-unit": "unit+ --format=",
    "ssh": "unit any+",
    "status": "app? --relations --watch= --format=",
}


def applications(page: pages.Page) -> dict[str, str]:
    """Return the charms of the applications that a page deploys, by name."""
    found = {NAME: NAME, MICROOVN: MICROOVN}
    for line in [line for block in page.blocks() for line in lines(block.text)]:
        if line.startswith("juju deploy "):
            words, _ = _parse("deploy", shlex.split(line)[2:])
            found |= {words[1]: _charm(words[0])} if len(words) > 1 else {}
    return found


def lines(text: str) -> list[str]:
    """Return the command lines of a block, each in one line."""
    joined = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in joined if line and not line.startswith("#")]


def check(line: str, apps: Mapping[str, str], *, whole: bool = True) -> None:
    """Check a command line; AssertionError if it has something that does not exist.

    Args:
        line: the command line.
        apps: the charms of the applications that there are, by name.
        whole: whether nothing is left out; within a sentence a command may lack words.
    """
    # What jq makes of it is not for these tables.
    words = shlex.split(line.partition(" | jq ")[0], comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        variable = words.pop(0).partition("=")[0]
        assert variable in _read("tox.ini", "Makefile"), f"nothing reads {variable}"
    checks = {"make": _check_make, "tox": _check_tox, "python": _check_python}
    assert words, f"no command: {line!r}"
    assert words[0] in (*checks, "juju"), f"examples may not have {line!r}"
    if words[0] == "juju":
        _check_juju(words[1:], apps, whole=whole)
    elif whole or words[1:]:
        checks[words[0]](words[1:])


@functools.cache
def _read(*globs: str) -> str:
    """Return the text of files."""
    return "".join(path.read_text() for glob in globs for path in pages.ROOT.glob(glob))


# Juju


def _check_juju(words: Sequence[str], apps: Mapping[str, str], *, whole: bool) -> None:
    subcommand = " ".join(words[:1])
    assert subcommand in JUJU, f"juju {subcommand} is not in the table of subcommands"
    given, units = _parse(subcommand, words[1:])
    for unit in units:
        _check_word("unit", unit, apps)
    kinds = [kind for kind in JUJU[subcommand].split() if not kind.startswith("-")]
    for word in given:
        assert kinds, f"juju {subcommand} takes no {word}"
        kind = kinds.pop(0)
        _check_word(kind.rstrip("+?"), word, apps)
        if kind.endswith("+"):
            kinds.insert(0, f"{kind.rstrip('+?')}?+")
    missing = [kind for kind in kinds if "?" not in kind]
    assert not (whole and missing), f"juju {subcommand} lacks {', '.join(missing)}"
    if subcommand == "exec" and given[:2] == [MICROOVN, "cluster"]:
        verbs = ("bootstrap", "add", "join", "list", "remove")
        assert given[2] in verbs, f"{MICROOVN} cluster has no {given[2]}"


def _parse(subcommand: str, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of a subcommand, and the units that its options name."""
    given: list[str] = []
    units: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if word == "--":
            return given + rest, units
        if not word.startswith("-"):
            given.append(word)
        elif f"{name}=" in JUJU[subcommand].split():
            assert value or rest, f"juju {subcommand} {name} lacks a value"
            value = value or rest.pop(0)
            units += [value] if name in ("--unit", "-u", "--include") else []
        else:
            assert word in JUJU[subcommand].split(), f"juju {subcommand} has no option {word}"
    return given, units


def _check_word(kind: str, word: str, apps: Mapping[str, str]) -> None:
    if kind == "unit":
        assert re.fullmatch(r".+/(\d+|leader)", word), f"{word} is no unit"
    if kind in ("app", "unit", "end"):
        app = re.split("[/:]", word)[0]
        assert app in apps, f"no application {app}"
        endpoint = word.partition(":")[2]
        assert not endpoint or endpoint in ENDPOINTS[apps[app]], f"{app} has no {endpoint}"
    elif kind == "charm":
        _charm(word)
    elif kind == "action":
        assert word in CHARM["actions"], f"no action {word}"


def _charm(word: str) -> str:
    """Return the charm that is deployed; the name of a file begins with it."""
    charm = re.sub(r"(_[^/]*)?\.charm$", "", word.rpartition("/")[2])
    assert charm in ENDPOINTS or word.endswith(".yaml"), f"{word}: an unknown charm"
    return charm


# What runs from a checkout


def _check_make(words: Sequence[str]) -> None:
    target, *variables = sorted(words, key=lambda word: "=" in word)
    recipe = _read("Makefile").partition(f"\n{target}:")[2].partition("\n\n")[0]
    assert recipe, f"the Makefile has no target {target}"
    for name, _, value in (word.partition("=") for word in variables):
        assert f"$({name})" in recipe, f"make {target} takes no {name}"
        arguments = shlex.split(value) if name == "ARGS" else []
        if target == "demo":
            _check_python(["-m", "demo", *arguments])
        elif arguments:
            _check_tox([*([] if target == "test" else ["-e", target, "--"]), *arguments])


def _check_tox(words: Sequence[str]) -> None:
    """Check that environments exist, and that something knows the options handed to them."""
    ours, _, theirs = " ".join(words).partition(" -- ")
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(pages.ROOT / "tox.ini")
    known = {name.partition(":")[2] for name in tox.sections()}
    known |= set(re.findall(r"\w+", tox["tox"]["env_list"]))
    named = [word for word in re.split(r"[ ,]", ours) if word not in ("", "-e", "run", "exec")]
    for environment in named:
        assert environment in known, f"tox has no environment {environment}"
    if not theirs or ours.startswith("exec"):
        return
    section = tox[f"testenv:{named[0]}" if tox.has_section(f"testenv:{named[0]}") else "testenv"]
    commands = section.get("commands", tox["testenv"]["commands"])
    assert "{posargs" in commands, f"tox -e {named[0]} hands nothing on"
    read = _read(
        "tests/*/conftest.py",
        "tests/clouds/options.py",
        "tests/*/options.py",
        "benchmarks/*.py",
        "tox.ini",
        "Makefile",
    )
    for option, value in re.findall(r"(--?[\w-]+)(?:[ =]([^- ]\S*))?", theirs):
        found = re.search(rf"(?<![\w-]){option}(?![\w-])", read)
        assert option == "-k" or found, f"tox -e {named[0]}: unknown option {option}"
        assert option != "-k" or _selects(value), f"-k {value} selects nothing"


@functools.cache
def _selects(name: str) -> bool:
    """Return whether there are tests of a name, or a page has one write such tests."""
    blocks = [block.text for page in pages.every_page() for block in page.blocks()]
    found = re.search(rf"def \w*{name}", "\n".join([_read("tests/**/*.py"), *blocks]))
    return bool(found or list(pages.ROOT.glob(f"tests/**/*{name}*")))


def _check_python(words: Sequence[str]) -> None:
    """Check by `--help` that a program exists and knows the options."""
    arguments = tuple(word for word in words if not word.startswith("--"))
    done = _help(arguments)
    assert not done.returncode, f"python {' '.join(words)}: {done.stderr.splitlines()[-1]}"
    for word in set(words) - set(arguments):
        known = word.partition("=")[0] in done.stdout
        assert known, f"python {' '.join(arguments)} has no option {word}"


@functools.cache
def _help(words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this interpreter, and words of this repository
        [sys.executable, *words, "--help"],
        cwd=pages.ROOT,
        env={**os.environ, "PYTHONPATH": "library/src:src:lib"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
