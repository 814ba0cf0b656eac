"""How the workflows fit the rest of the repository.

`tox -e lint` also runs actionlint, zizmor and the schema, which check all that is general.
"""

from __future__ import annotations

import configparser
import itertools
import pathlib
import re
import shlex
from typing import Any, cast

import pytest
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = {
    path.stem: cast("dict[Any, Any]", yaml.safe_load(path.read_text()))
    for path in sorted((PROJECT / ".github" / "workflows").iterdir())
}
PLATFORMS = set(yaml.safe_load((PROJECT / "charmcraft.yaml").read_text())["platforms"])


def jobs() -> list[tuple[str, dict[str, Any]]]:
    """Return each job with the names of its workflow and its own."""
    return [
        (f"{stem}:{name}", job)
        for stem, workflow in WORKFLOWS.items()
        for name, job in workflow["jobs"].items()
    ]


def rows(workflow: str, job: str, *, without: Any = None) -> list[dict[str, str]]:
    """Expand a job's matrix as GitHub does, if asked for without one of its exclusions."""
    matrix = dict(WORKFLOWS[workflow]["jobs"][job]["strategy"]["matrix"])
    include = matrix.pop("include", [])
    exclude = [one for one in matrix.pop("exclude", []) if one is not without]
    product = [dict(zip(matrix, row, strict=True)) for row in itertools.product(*matrix.values())]
    kept = [row for row in product if not any(one.items() <= row.items() for one in exclude)]
    for one in include:
        of_axes = {key: one[key] for key in one.keys() & matrix.keys()}
        matching = [row for row in kept if of_axes.items() <= row.items()]
        for row in matching:
            row.update(one)
        if not matching:
            kept.append(one)
    return kept


def platforms(*names: tuple[str, str]) -> set[str]:
    """Return the platforms in the matrices of these jobs."""
    return {f"ubuntu@{r['base']}:{r['architecture']}" for name in names for r in rows(*name)}


def test_each_step_runs_what_also_runs_elsewhere() -> None:
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    commands = [step["run"] for _, job in jobs() for step in job.get("steps", ()) if "run" in step]

    for command in commands:
        words = shlex.split(command)
        assert not re.search(r"[\n;&|`>]|\$\(", command)
        if words[0] == "make":
            assert words[1] in targets, command
            assert all(re.fullmatch(r"[A-Z]+=.*", word) for word in words[2:]), command
        else:
            assert words[0] == "scripts/prepare-runner", command


@pytest.mark.parametrize(("name", "job"), jobs())
def test_job_has_a_time_limit(name: str, job: dict[str, Any]) -> None:
    """GitHub's own is six hours."""
    assert "uses" in job or 0 < job["timeout-minutes"] <= 180, name


@pytest.mark.parametrize(("name", "job"), jobs())
def test_a_fork_runs_the_checks_alone(name: str, job: dict[str, Any]) -> None:
    """It has neither credentials, nor hours of runners for Juju."""
    workflow = WORKFLOWS[name.partition(":")[0]]
    called = "workflow_call" in workflow[True]  # YAML 1.1 reads `on` as true
    checks = not called and str(job.get("uses")).endswith("/checks.yaml")
    on_juju = str(job.get("uses")).endswith("/integration.yaml")

    assert _is_guarded(workflow, job) or checks or (called and not on_juju)


def _is_guarded(workflow: dict[Any, Any], job: dict[str, Any]) -> bool:
    """Return whether a job, or one that it needs, runs in Canonical's repository alone."""
    if re.search(r"github\.repository(_owner)? == 'canonical", str(job.get("if"))):
        return True
    needs = job.get("needs", [])
    needed = [needs] if isinstance(needs, str) else needs
    return any(_is_guarded(workflow, workflow["jobs"][name]) for name in needed)


def test_the_charm_is_packed_for_each_platform() -> None:
    assert platforms(("pack", "pack")) == PLATFORMS


def test_the_matrix_deploys_each_platform() -> None:
    assert platforms(("matrix", "microovn"), ("matrix", "lxd")) == PLATFORMS


@pytest.mark.parametrize("job", ["microovn", "lxd"])
def test_each_exclusion_excludes_something(job: str) -> None:
    """GitHub does not report one with a spelling mistake."""
    for one in WORKFLOWS["matrix"]["jobs"][job]["strategy"]["matrix"]["exclude"]:
        assert len(rows("matrix", job, without=one)) > len(rows("matrix", job)), one


def test_each_environment_of_tox_runs_on_each_change() -> None:
    """What `make test` runs, the workflows run."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(PROJECT / "tox.ini")
    suites = {row["suite"] for job in ("suite", "daemons") for row in rows("checks", job)}

    # pack.yaml runs `make pack`.
    assert suites | {"pack"} == set(re.split(r",\s*", tox["tox"]["env_list"].strip()))


def test_what_is_released_is_what_was_tested() -> None:
    """The release takes the charms that its own run has packed, after all checks."""
    release = WORKFLOWS["release"]["jobs"]["release"]
    kept = [step["with"] for step in WORKFLOWS["pack"]["jobs"]["pack"]["steps"] if "with" in step]
    (fetched,) = [step["with"] for step in release["steps"] if "pattern" in step.get("with", {})]

    assert release["needs"] == "checks"
    assert fetched["pattern"] == "charm-*"
    assert f"{fetched['path']}/*.charm" in [each.get("path") for each in kept]
    assert not any("pack" in step.get("run", "") for step in release["steps"])


def test_a_failing_hook_is_not_retried() -> None:
    """A second try would hide the failure."""
    defaults = yaml.safe_load((PROJECT / "concierge.yaml").read_text())["juju"]["model-defaults"]

    assert defaults["automatically-retry-hooks"] == "false"
