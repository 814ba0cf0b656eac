"""What the charm in dist/, which scripts/pack.py packs, holds, and that Juju can run it."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import stat
import subprocess
import sys
import zipfile
from typing import Any, NamedTuple

import packaging.requirements
import packaging.utils
import pytest
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]

NAME = "microcluster-token-distributor"
GOAL = {"units": {f"{NAME}/0": {"status": "allocating"}}, "relations": {}}
# What the hook tools print for a leader without relations, by a pattern of their command line.
ANSWERS = {
    "is-leader --format=json": "true",
    "relation-ids microcluster-cluster --format=json": "[]",
    "relation-ids cluster --format=json": '["cluster:0"]',
    "relation-list --format=json -r cluster:0": "[]",
    f"relation-get --format=json -r cluster:0 --app - {NAME}": "{}",
    "goal-state --format=json": json.dumps(GOAL),
    "status-set --application=(False|True) .*": "",
    "juju-log --log-level .*": "",
    "action-get --format=json": "{}",
    "action-set( [a-z0-9]([a-z0-9.-]*[a-z0-9])?=.*)*": "",
}
# Each tool logs its call as a JSON list, and refuses what it does not know.
TOOL = """\
#!/usr/bin/python3
import json, pathlib, re, sys
tool = pathlib.Path(sys.argv[0])
call = [tool.name, *sys.argv[1:]]
with tool.with_name("calls").open("a") as log:
    print(json.dumps(call), file=log)
answers = json.loads(tool.with_name("answers").read_text())
found = [answers[each] for each in answers if re.fullmatch(each, " ".join(call), re.DOTALL)]
print(*found) if found else sys.exit(f"ERROR unexpected call of a hook tool: {call}")
"""


class Run(NamedTuple):
    """One run of the charm's `dispatch`: how it ended, and its calls of hook tools."""

    process: subprocess.CompletedProcess[str]
    calls: list[list[str]]

    def output(self) -> str:
        """Return all that it said: ops logs a traceback by juju-log."""
        logged = [" ".join(call) for call in self.calls if call[0] == "juju-log"]
        return "\n".join([*logged, self.process.stdout, self.process.stderr])


def dispatch(charm_dir: pathlib.Path, **juju: str) -> Run:
    """Run the unpacked charm's `dispatch` as a Juju agent would.

    Args:
        charm_dir: where the charm is unpacked.
        juju: the environment of this event, in addition to that of every hook.
    """
    tools = charm_dir.parent / "tools"
    tools.mkdir()
    (tools / "calls").touch()
    (tools / "answers").write_text(json.dumps(ANSWERS))
    for name in {pattern.split("(")[0].split()[0] for pattern in ANSWERS}:
        (tools / name).write_text(TOOL)
        (tools / name).chmod(0o755)
    environment = {
        "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "CHARM_DIR": str(charm_dir),
        "JUJU_AGENT_SOCKET_ADDRESS": "@/var/lib/juju/agents/unit/agent.socket",
        "JUJU_AGENT_SOCKET_NETWORK": "unix",
        "JUJU_AVAILABILITY_ZONE": "",
        "JUJU_CHARM_DIR": str(charm_dir),
        "JUJU_CONTEXT_ID": f"{NAME}/0-install-1",
        "JUJU_HOOK_NAME": "",
        "JUJU_MACHINE_ID": "0",
        "JUJU_MODEL_NAME": "test",
        "JUJU_MODEL_UUID": "00000000-0000-4000-8000-000000000000",
        "JUJU_PRINCIPAL_UNIT": "",
        "JUJU_UNIT_NAME": f"{NAME}/0",
        "JUJU_VERSION": "3.6.9",
        **juju,
    }
    process = subprocess.run(  # noqa: S603 - the charm under test
        [charm_dir / "dispatch"],
        cwd=charm_dir,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    run = Run(process, [json.loads(line) for line in (tools / "calls").read_text().splitlines()])
    assert process.returncode == 0, run.output()
    return run


def install(charm_dir: pathlib.Path) -> Run:
    """Run the first hook of every unit."""
    return dispatch(charm_dir, JUJU_DISPATCH_PATH="hooks/install", JUJU_HOOK_NAME="install")


def read_yaml(path: pathlib.Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds."""
    return yaml.safe_load(path.read_text())


def files(directory: pathlib.Path) -> dict[pathlib.Path, bytes]:
    """Return the files below a directory by their paths from there on."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_charm_holds_these_files_and_no_more(
    charm_dir: pathlib.Path, packed: pathlib.Path
) -> None:
    """No tests, no caches, and no link, which would lead to a file of another machine."""
    made = {"actions.yaml", "dispatch", "manifest.yaml", "metadata.yaml"}
    with zipfile.ZipFile(packed) as archive:
        links = [i.filename for i in archive.infolist() if stat.S_ISLNK(i.external_attr >> 16)]

    assert {path.name for path in charm_dir.iterdir()} == {
        *made,
        *("LICENSE", "icon.svg", "lib", "src", "venv"),
    }
    assert not [*links, *charm_dir.rglob("__pycache__"), *charm_dir.glob("venv/bin")]
    assert files(charm_dir / "src") == files(PROJECT / "src")
    assert files(charm_dir / "lib") == files(PROJECT / "library" / "src")
    for name in ("LICENSE", "icon.svg"):
        assert (charm_dir / name).read_bytes() == (PROJECT / name).read_bytes()


def test_metadata_and_actions_are_those_of_the_project(charm_dir: pathlib.Path) -> None:
    project = read_yaml(PROJECT / "charmcraft.yaml")

    metadata = read_yaml(charm_dir / "metadata.yaml")

    for key in ("name", "summary", "description", "assumes", "provides", "peers"):
        assert metadata[key] == project[key], key
    assert read_yaml(charm_dir / "actions.yaml") == project["actions"]


def test_environment_holds_the_locked_packages_and_no_other(site_packages: pathlib.Path) -> None:
    lines = (PROJECT / "requirements" / "charm.txt").read_text().splitlines()
    requirements = [line.rstrip("\\ ") for line in lines if not line.startswith(("#", " "))]
    locked = [packaging.requirements.Requirement(line) for line in requirements]

    installed = {
        packaging.utils.canonicalize_name(found.metadata["Name"]): f"=={found.version}"
        for found in importlib.metadata.distributions(path=[str(site_packages)])
    }

    assert installed == {
        packaging.utils.canonicalize_name(each.name): str(each.specifier)
        for each in locked
        if each.marker is None or each.marker.evaluate()
    }


def test_install_hook_succeeds_and_sets_a_status(charm_dir: pathlib.Path) -> None:
    run = install(charm_dir)

    (status,) = [call for call in run.calls if call[:2] == ["status-set", "--application=False"]]
    assert status[2] in {"active", "blocked", "maintenance", "waiting"}
    levels = {call[2] for call in run.calls if call[0] == "juju-log"}
    assert not levels & {"ERROR", "CRITICAL"}, run.output()


@pytest.mark.parametrize(
    ("package", "directory"),
    [("ops", "venv"), ("microcluster_token_distributor", "lib")],
)
def test_packages_come_from_the_charm_alone(
    charm_dir: pathlib.Path, package: str, directory: str
) -> None:
    """The unit's machine may have one of its own, or none."""
    install(charm_dir)

    # dispatch has made venv/bin/python by now.
    script = f"import sys, charm; print(sys.modules[{package!r}].__file__)"
    found = subprocess.check_output(  # noqa: S603 - the charm under test
        [charm_dir / "venv" / "bin" / "python", "-B", "-c", script],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{charm_dir}/lib:{charm_dir}/src"},
        text=True,
    )

    assert pathlib.Path(found.strip()).is_relative_to(charm_dir / directory)


def test_action_runs_without_relations(charm_dir: pathlib.Path) -> None:
    """Its name in charmcraft.yaml is the one that the charm observes."""
    action = {"JUJU_DISPATCH_PATH": "actions/show-mirror", "JUJU_ACTION_NAME": "show-mirror"}

    run = dispatch(charm_dir, **action, JUJU_ACTION_UUID="1")

    assert "action-set" in [call[0] for call in run.calls]


def test_charmcraft_accepts_the_project_file_for_every_base() -> None:
    """Charmcraft reads the file as it is, not only the copy packed here."""
    expanded = subprocess.check_output(
        [sys.executable, "-m", "charmcraft", "expand-extensions"],
        cwd=PROJECT,
        text=True,
    )

    assert yaml.safe_load(expanded)["platforms"].keys() == {
        f"ubuntu@{release}:{architecture}"
        for release in ("22.04", "24.04", "26.04")
        for architecture in ("amd64", "arm64")
    }


def test_charmcraft_analyse_finds_no_fault(packed: pathlib.Path) -> None:
    """It finds the entry point of `dispatch`, which it does not in the one that it writes."""
    command = [sys.executable, "-m", "charmcraft", "analyse", packed, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603

    results = {each["name"]: each["result"] for each in json.loads(done.stdout)}
    assert results["entrypoint"] == "ok"
    assert not {"error", "fatal", "warning"} & set(results.values()), results
