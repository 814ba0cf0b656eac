"""How the workflows fit the rest of the repository.

`tox -e lint` also runs actionlint, zizmor and the schema, which check all that is general.
"""

from __future__ import annotations

import itertools
import pathlib
import re
from typing import Any, cast

import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = {
    path.stem: cast("dict[Any, Any]", yaml.safe_load(path.read_text()))
    for path in sorted((PROJECT / ".github" / "workflows").iterdir())
}
JOBS = [job for each in WORKFLOWS.values() for job in each["jobs"].values()]
PLATFORMS = yaml.safe_load((PROJECT / "charmcraft.yaml").read_text())["platforms"].keys()


def matrix(workflow: str, job: str) -> dict[str, Any]:
    return WORKFLOWS[workflow]["jobs"][job]["strategy"]["matrix"]


def platforms(workflow: str, job: str) -> set[str]:
    """Return the platforms in the matrix of a job, without those that it excludes."""
    axes = matrix(workflow, job)
    return {
        f"ubuntu@{base}:{architecture}"
        for base, architecture in itertools.product(axes["base"], axes["architecture"])
        if {"base": base, "architecture": architecture} not in axes.get("exclude", ())
    }


def test_each_step_runs_what_also_runs_elsewhere() -> None:
    """A script that prepares the runner, or a target of the Makefile; GitHub allows it hours."""
    makefile = (PROJECT / "Makefile").read_text()
    for job in JOBS:
        assert "uses" in job or 0 < job["timeout-minutes"] <= 180, job["name"]
        for command in [step["run"] for step in job.get("steps", ()) if "run" in step]:
            found = re.fullmatch(r"scripts/prepare-runner .*|make ([a-z-]+)( [A-Z]+=.*)*", command)
            assert found, command
            assert not re.search(r"[\n;&|`>]|\$\(", command)
            assert not found[1] or f"\n{found[1]}: ## " in makefile


def test_each_platform_is_packed_and_deployed() -> None:
    assert platforms("pack", "pack") == PLATFORMS
    assert platforms("matrix", "microovn") | platforms("matrix", "lxd") == PLATFORMS


def test_each_environment_of_tox_runs_on_each_change() -> None:
    """What `make test` runs, the workflows run; pack.yaml runs `make pack`."""
    (listed,) = re.findall("^env_list = (.*)$", (PROJECT / "tox.ini").read_text(), re.MULTILINE)

    suites = {*matrix("checks", "suite")["suite"], *matrix("checks", "daemons")["suite"], "pack"}
    assert suites == {*listed.split(", ")}


def test_each_python_is_tested_before_the_package_is_published() -> None:
    """Those that the package names as its own."""
    text = (PROJECT / "library" / "pyproject.toml").read_text()

    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    assert matrix("publish", "test")["python"] == named


def test_what_is_released_is_what_was_tested() -> None:
    """The release takes the charms that its own run has packed, after all checks."""
    release = WORKFLOWS["release"]["jobs"]["release"]
    kept = [step["with"] for step in WORKFLOWS["pack"]["jobs"]["pack"]["steps"] if "with" in step]
    (fetched,) = [step["with"] for step in release["steps"] if "pattern" in step.get("with", {})]

    assert release["needs"] == "checks"
    assert fetched["pattern"] == "charm-*"
    assert f"{fetched['path']}/*.charm" in [each.get("path") for each in kept]
    assert not any("pack" in step.get("run", "") for step in release["steps"])


def test_options_of_the_scenarios_are_written_with_an_equals_sign() -> None:
    """After a space pytest takes the value for a path, before it knows that there is an option."""
    places = [*sorted((PROJECT / ".github" / "workflows").iterdir())]
    places += [PROJECT / name for name in ("CONTRIBUTING.md", "Makefile", "tox.ini")]

    for place in places:
        assert not re.findall(r"--(?:cloud|consumer|scenario-seeds) \w+", place.read_text()), place
