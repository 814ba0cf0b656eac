"""The command lines that examples may have; any other is refused."""

from __future__ import annotations

import functools
import re
import shlex
from typing import TYPE_CHECKING, Any

import yaml

from tests.docs import pages

if TYPE_CHECKING:
    from collections.abc import Sequence

CHARM: dict[str, Any] = yaml.safe_load((pages.ROOT / "charmcraft.yaml").read_text())
NAME = str(CHARM["name"])

# As `juju help` has it in 3.6 and 4.0, as far as the pages use it.
JUJU = {
    "add-model": r"\w+",
    "add-unit": r"{app}( -n \d+| --to \d+)*",
    "debug-log": r"--replay --no-tail --include {unit} --level [A-Z]+",
    "deploy": r"({charm}( {app})?|\./\w+\.yaml)"
    r'( -n \d+| --channel {channel}| --base {base}| --constraints "[^"]+")*',
    "destroy-model": r"\w+ --no-prompt --destroy-storage --force",
    "download": r"{charm}( --channel {channel}| --base {base}| --arch \w+| --filepath {charm})*",
    "exec": r"--unit {unit} -- (microovn cluster (list|remove \S+( --force)?)|'.*')",
    "integrate": r"{end} {end}",
    "model-config": r"[a-z-]+=\w+",
    "refresh": r"{app}( --channel {channel}| --path {charm}| --switch {charm})*",
    "remove-application": r"{app}",
    "remove-relation": r"{end} {end}",
    "remove-unit": r"{unit}( {unit})*( --force)?( --no-prompt)?",
    "resolved": r"(--no-retry )?{unit}",
    "run": r"{unit} {action}( [a-z]+=\S+)?",
    "show-unit": r"{unit}",
    "ssh": r"{unit} '.*'",
    "status": r"({app}|--watch \ds|--format json)?",
}
_KINDS = {
    "action": "|".join(CHARM["actions"]),
    "base": "|".join({platform.partition(":")[0] for platform in CHARM["platforms"]}),
    "channel": r"(latest|v1|\d\d\.\d\d)/(stable|edge)",
    "charm": rf"(\./)?({NAME}|microovn)(_\S+\.charm)?",
}


def applications(page: pages.Page) -> set[str]:
    """Return the applications that a page deploys, and those that are on all pages."""
    return {NAME, "microovn", *re.findall(r"juju deploy \S+ ([a-z]\S*)", page.text)}


def check(line: str, page: pages.Page) -> None:
    """Check a command line of a page; AssertionError if it has something that does not exist."""
    # What jq makes of it is not for these tables.
    line = " ".join(line.removeprefix("MCTD_WITHOUT_LXD=1 ").partition(" | jq ")[0].split())
    program, *words = shlex.split(line)
    if program == "juju":
        _check_juju(words[0], line.partition(f"juju {words[0]}")[2].strip(), page)
    elif program == "make":
        _check_make(*words)
    else:
        assert program in ("python", "tox"), f"examples may not have {line!r}"
        _check_arguments(words)


def _check_juju(subcommand: str, arguments: str, page: pages.Page) -> None:
    app = "|".join(applications(page))
    # Of MicroOVN's charm, the endpoint that its library of this project is for.
    endpoint = "|".join(["cluster", *CHARM["provides"]])
    kinds = {"app": app, "unit": rf"({app})/(\d+|leader)", "end": f"({app})(:({endpoint}))?"}
    pattern = JUJU[subcommand]
    for kind, text in {**_KINDS, **kinds}.items():
        pattern = pattern.replace(f"{{{kind}}}", f"({text})")
    assert re.fullmatch(pattern, arguments), f"juju {subcommand} does not take {arguments}"


# What runs from a checkout


def _check_make(target: str, *variables: str) -> None:
    recipe = _read("Makefile").partition(f"\n{target}:")[2].partition("\n\n")[0]
    assert recipe, f"the Makefile has no target {target}"
    for name, _, value in (word.partition("=") for word in variables):
        assert f"$({name})" in recipe, f"make {target} takes no {name}"
        _check_arguments(shlex.split(value) if name == "ARGS" else ())


def _check_arguments(words: Sequence[str]) -> None:
    """Check tox's environments, options, the test or file that `-k` selects, and paths."""
    known = [path.name for path in (pages.ROOT / "tests").rglob("*")]
    known += [block.content for page in pages.EVERY for block in page.blocks("python")]
    sources = "\n".join([*known, _read("Makefile", "*/*.py", "tests/[!d]*/**/*.py")])
    for before, word in zip(["", *words], words, strict=False):
        if before == "-e":
            for environment in word.split(","):
                assert f"[testenv:{environment}]" in _read("tox.ini"), f"no {environment} in tox"
        elif before == "-k" or word.startswith("--"):
            assert word.partition("=")[0] in sources, f"nothing has {word}"
        else:
            assert "/" not in word or (pages.ROOT / word).exists(), f"there is no {word}"


@functools.cache
def _read(*globs: str) -> str:
    """Return the text of files."""
    return "".join(path.read_text() for glob in globs for path in pages.ROOT.glob(glob))
