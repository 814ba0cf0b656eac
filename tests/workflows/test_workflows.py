"""What the workflows have to do with the rest of the repository, and the house's own rules.

Their syntax, expressions and permissions, and that each action is pinned, are for actionlint,
zizmor and the schema: `tox -e lint` runs these as well.
"""

from __future__ import annotations

import configparser
import itertools
import pathlib
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").iterdir())

# The one script that only a runner of GitHub needs.
PREPARES = "scripts/prepare-runner"


def load(path: pathlib.Path) -> dict[Any, Any]:
    """Return the mapping that a YAML file holds."""
    return yaml.safe_load(path.read_text())


def workflow(name: str) -> dict[Any, Any]:
    """Return a workflow by the name of its file."""
    return load(PROJECT / ".github" / "workflows" / name)


def steps() -> Iterator[Any]:
    """Give each step that runs a command, with a name for the test's report."""
    for path in WORKFLOWS:
        jobs = cast("dict[str, dict[str, Any]]", load(path)["jobs"])
        for job_name, job in jobs.items():
            for step in cast("list[dict[str, Any]]", job.get("steps", [])):
                if "run" in step:
                    name = f"{path.stem}:{job_name}:{step['name']}"
                    yield pytest.param(str(step["run"]), id=name)


def jobs_with_steps() -> Iterator[Any]:
    """Give each job that is not a call of another workflow."""
    for path in WORKFLOWS:
        jobs = cast("dict[str, dict[str, Any]]", load(path)["jobs"])
        for name, job in jobs.items():
            if "uses" not in job:
                yield pytest.param(job, id=f"{path.stem}:{name}")


def step_that(job: dict[Any, Any], key: str, begins: str) -> dict[str, Any]:
    """Return the one step of a job whose name, `uses` or `run` begins so."""
    (found,) = [step for step in job["steps"] if str(step.get(key, "")).startswith(begins)]
    return found


def targets() -> set[str]:
    """Return the targets that the Makefile says it has."""
    lines = subprocess.run(
        ["/usr/bin/make", "--silent", "help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return {line.split("\t")[0] for line in lines}


def expand(matrix: dict[str, Any]) -> list[dict[str, str]]:
    """Return the combinations of a matrix without those that it excludes."""
    axes = {key: value for key, value in matrix.items() if key not in {"exclude", "include"}}
    excluded = cast("list[dict[str, str]]", matrix.get("exclude", []))
    rows = [dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())]
    return [
        row
        for row in rows
        if not any(all(row[key] == value for key, value in one.items()) for one in excluded)
    ]


@pytest.mark.parametrize("command", list(steps()))
def test_step_runs_one_thing_that_runs_elsewhere_too(command: str) -> None:
    """A target of the Makefile, or scripts/prepare-runner: nothing that only CI ever ran."""
    words = shlex.split(command.replace(">>", " >> "))
    if ">>" in words:
        words, output = words[: words.index(">>")], words[words.index(">>") + 1 :]
        assert output == ["$GITHUB_OUTPUT"]

    assert "\n" not in command
    assert not re.search(r"[;&|`]|\$\(", command)
    if words[0] == "make":
        assert words[1] in targets()
        assert all(re.fullmatch(r"[A-Z]+=.*", word) for word in words[2:])
    else:
        assert words[0] == PREPARES


@pytest.mark.parametrize("job", list(jobs_with_steps()))
def test_job_ends_in_time(job: dict[str, Any]) -> None:
    """GitHub's own limit is six hours."""
    assert 0 < job["timeout-minutes"] <= 120


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_that_starts_a_run_says_what_cancels_it(path: pathlib.Path) -> None:
    """And a workflow that is called does not: its group would be one with its caller's."""
    content = load(path)
    # YAML 1.1 takes the key `on` for a truth.
    called_only = list(content[True]) == ["workflow_call"]

    assert ("concurrency" in content) is not called_only


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_permits_nothing_by_itself(path: pathlib.Path) -> None:
    """Each job says what it needs, and a new one begins with nothing."""
    assert load(path)["permissions"] == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_action_names_the_version_that_it_is_pinned_to(path: pathlib.Path) -> None:
    """Zizmor wants the commit; what a person reads is the version."""
    others = [line for line in path.read_text().splitlines() if re.search(r"uses: [^$]", line)]

    assert all(re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line) for line in others), others


def test_one_action_has_one_version() -> None:
    """Two versions of one action mean that an upgrade was forgotten."""
    used = {
        found
        for path in WORKFLOWS
        for found in re.findall(r"uses: ([\w/-]+)@(\w+) # (\S+)", path.read_text())
    }

    assert len(used) == len({name for name, _, _ in used})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_exclusion_has_its_reason_beside_it(path: pathlib.Path) -> None:
    """The first line below `exclude:` is a reason, and stands for what follows until the next."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    after = [lines[i + 1] for i, line in enumerate(lines) if line == "exclude:"]

    assert all(line.startswith("# ") for line in after)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_exclusion_excludes_something(path: pathlib.Path) -> None:
    """An exclusion that matches nothing is a slip of the pen, and GitHub does not tell."""
    jobs = cast("dict[str, dict[str, Any]]", load(path)["jobs"])
    for job in jobs.values():
        matrix = cast("dict[str, Any]", job.get("strategy", {}).get("matrix", {}))
        excluded = cast("list[dict[str, str]]", matrix.get("exclude", []))
        for one in excluded:
            without = {**matrix, "exclude": [other for other in excluded if other != one]}

            assert len(expand(without)) > len(expand(matrix)), one


def test_a_charm_is_packed_for_each_platform_of_charmcraft_yaml() -> None:
    """A platform that nobody packs is neither tested nor released."""
    matrix = workflow("pack.yaml")["jobs"]["pack"]["strategy"]["matrix"]
    packed = {f"ubuntu@{row['base']}:{row['architecture']}" for row in expand(matrix)}

    assert packed == set(load(PROJECT / "charmcraft.yaml")["platforms"])


def test_the_matrix_deploys_each_charm_that_is_packed_and_no_other() -> None:
    """Each base and architecture, with MicroOVN or where that cannot be with LXD."""
    jobs = workflow("matrix.yaml")["jobs"]
    deployed = {
        f"ubuntu@{row['base']}:{row['architecture']}"
        for name in ("microovn", "lxd")
        for row in expand(jobs[name]["strategy"]["matrix"])
    }

    assert deployed == set(load(PROJECT / "charmcraft.yaml")["platforms"])


@pytest.mark.parametrize("axis", ["juju", "base", "architecture", "microovn"])
def test_the_matrix_keeps_each_value_of_each_axis(axis: str) -> None:
    """Exclusions that together leave nothing of a value are a hole that nobody sees."""
    matrices = [
        workflow("matrix.yaml")["jobs"][name]["strategy"]["matrix"] for name in ("microovn", "lxd")
    ]
    wanted = {value for matrix in matrices for value in matrix.get(axis, [])}
    kept = {row[axis] for matrix in matrices for row in expand(matrix) if axis in row}

    assert kept == wanted


def test_each_environment_of_tox_runs_on_each_change() -> None:
    """What `make test` runs here, the workflows run too: a new environment is not forgotten."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(PROJECT / "tox.ini")
    jobs = workflow("checks.yaml")["jobs"]
    suites = [*jobs["suite"]["strategy"]["matrix"]["suite"]]
    suites += jobs["daemons"]["strategy"]["matrix"]["suite"]

    # pack.yaml packs, by `make pack`.
    assert sorted([*suites, "pack"]) == sorted(tox["tox"]["env_list"].split(", "))


def test_each_module_of_the_integration_tests_is_a_job() -> None:
    """The list comes from the files, by the target that the workflow runs."""
    listed = subprocess.run(
        ["/usr/bin/make", "--silent", "list-integration"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    jobs = workflow("integration.yaml")["jobs"]
    modules = sorted(path.stem for path in (PROJECT / "tests" / "integration").glob("test_*.py"))

    assert yaml.safe_load(listed.removeprefix("modules=")) == modules
    assert modules
    step = step_that(jobs["modules"], "name", "List the modules")
    assert step["run"] == 'make list-integration >>"$GITHUB_OUTPUT"'
    assert "needs.modules.outputs.modules" in jobs["module"]["strategy"]["matrix"]["module"]


def test_what_is_released_is_what_was_tested() -> None:
    """The release takes the packed charms of its own run, after all checks, and packs nothing."""
    jobs = workflow("release.yaml")["jobs"]
    upload = step_that(workflow("pack.yaml")["jobs"]["pack"], "name", "Keep the charm")["with"]
    download = step_that(jobs["release"], "uses", "actions/download-artifact@")["with"]

    assert jobs["release"]["needs"] == "checks"
    assert upload["name"].startswith("charm-")
    assert download["pattern"] == "charm-*"
    assert upload["path"] == f"{download['path']}/*.charm"
    assert not any("pack" in step.get("run", "") for step in jobs["release"]["steps"])


def test_a_failing_hook_is_not_tried_again() -> None:
    """Else it fails, is tried again, succeeds, and no test sees it."""
    defaults = load(PROJECT / "concierge.yaml")["juju"]["model-defaults"]

    assert defaults["automatically-retry-hooks"] == "false"
