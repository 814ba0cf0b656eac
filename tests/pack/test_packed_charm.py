"""What a packed charm holds, and that Juju can run it.

The charm is the one in dist/, where scripts/pack.py leaves it.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import pathlib
import stat
import subprocess
import sys
import zipfile
from typing import Any

import packaging.requirements
import packaging.utils
import pytest
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]

# The hook tools of a leader with nobody related yet. Each logs its call, one JSON list a line, and
# refuses what it does not know; a tool that is not among TOOLS does not exist for the charm.
TOOL = """\
#!/usr/bin/python3
import json, os, re, sys

call = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
with open({log!r}, "a") as log:
    log.write(json.dumps(call) + "\\n")
match call:
    case ["is-leader", "--format=json"]:
        print("true")
    case ["relation-ids", "microcluster-cluster", "--format=json"]:
        print("[]")
    case ["relation-ids", "cluster", "--format=json"]:
        print('["cluster:0"]')
    case ["relation-list", "--format=json", "-r", "cluster:0"]:
        print("[]")
    case ["relation-get", "--format=json", "-r", "cluster:0", "--app", "-", owner] if (
        owner == "microcluster-token-distributor"
    ):
        print("{{}}")
    case ["goal-state", "--format=json"]:
        print('{{"units": {{"microcluster-token-distributor/0": {{"status": "allocating"}}}}, '
              '"relations": {{}}}}')
    case ["status-set", "--application=False" | "--application=True", _, "--", _]:
        pass
    case ["juju-log", "--log-level", _, "--", _]:
        pass
    case ["action-get", "--format=json"]:
        print("{{}}")
    case ["action-set", *results] if all(re.match(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?=", result)
                                         for result in results):
        pass
    case _:
        sys.exit("ERROR unexpected call of a hook tool: " + repr(call))
"""
TOOLS = (
    "action-get",
    "action-set",
    "goal-state",
    "is-leader",
    "juju-log",
    "relation-get",
    "relation-ids",
    "relation-list",
    "status-set",
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the charm's `dispatch`.

    Attributes:
        process: how it ended, and what it printed.
        calls: the hook tools that it called, each as its list of arguments.
    """

    process: subprocess.CompletedProcess[str]
    calls: list[list[str]]

    def calls_of(self, tool: str) -> list[list[str]]:
        """Return the arguments of each call of `tool`, in order."""
        return [call[1:] for call in self.calls if call[0] == tool]

    def output(self) -> str:
        """Return all that it said, to read when it failed: ops logs a traceback by juju-log."""
        logged = [" ".join(args) for args in self.calls_of("juju-log")]
        return "\n".join([*logged, self.process.stdout, self.process.stderr])


def dispatch(charm_dir: pathlib.Path, **juju: str) -> Run:
    """Run the unpacked charm's `dispatch` as a Juju agent would, with stand-in hook tools.

    Args:
        charm_dir: where the charm is unpacked.
        juju: the environment of this one event, added to what every hook gets.

    Returns:
        The run, whatever its exit code.
    """
    tools = charm_dir.parent / "tools"
    tools.mkdir()
    log = charm_dir.parent / "calls"
    log.touch()
    for name in TOOLS:
        tool = tools / name
        tool.write_text(TOOL.format(log=str(log)))
        tool.chmod(0o755)
    environment = {
        "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "CHARM_DIR": str(charm_dir),
        "JUJU_AGENT_SOCKET_ADDRESS": "@/var/lib/juju/agents/unit/agent.socket",
        "JUJU_AGENT_SOCKET_NETWORK": "unix",
        "JUJU_AVAILABILITY_ZONE": "",
        "JUJU_CHARM_DIR": str(charm_dir),
        "JUJU_CONTEXT_ID": "microcluster-token-distributor/0-install-1",
        "JUJU_HOOK_NAME": "",
        "JUJU_MACHINE_ID": "0",
        "JUJU_MODEL_NAME": "test",
        "JUJU_MODEL_UUID": "00000000-0000-4000-8000-000000000000",
        "JUJU_PRINCIPAL_UNIT": "",
        "JUJU_UNIT_NAME": "microcluster-token-distributor/0",
        "JUJU_VERSION": "3.6.9",
        **juju,
    }
    process = subprocess.run(  # noqa: S603 - it is the charm under test
        [charm_dir / "dispatch"],
        cwd=charm_dir,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Run(process, [json.loads(line) for line in log.read_text().splitlines()])


def locked_run_time() -> dict[str, str]:
    """Return the version of each package that the charm is locked to, on this Python."""
    versions: dict[str, str] = {}
    for line in (PROJECT / "requirements" / "charm.txt").read_text().splitlines():
        if line.startswith(("#", " ")):
            continue
        locked = packaging.requirements.Requirement(line.rstrip("\\ "))
        if locked.marker is None or locked.marker.evaluate():
            name = packaging.utils.canonicalize_name(locked.name)
            versions[name] = str(locked.specifier).removeprefix("==")
    return versions


def read_yaml(path: pathlib.Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds."""
    return yaml.safe_load(path.read_text())


def test_charm_holds_the_code_the_licence_the_icon_and_no_more(charm_dir: pathlib.Path) -> None:
    """Tests, caches and the project's own tools stay at home."""
    names = {path.name for path in charm_dir.iterdir()}

    assert names == {
        "LICENSE",
        "actions.yaml",
        "dispatch",
        "icon.svg",
        "lib",
        "manifest.yaml",
        "metadata.yaml",
        "src",
        "venv",
    }
    assert not list(charm_dir.rglob("__pycache__"))


def files(directory: pathlib.Path) -> dict[pathlib.Path, bytes]:
    """Return the files below a directory by their paths from there on."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(("directory", "origin"), [("src", "src"), ("lib", "library/src")])
def test_charm_holds_each_source_file_as_it_is(
    charm_dir: pathlib.Path, directory: str, origin: str
) -> None:
    """The charm runs what the other tests test."""
    assert files(charm_dir / directory) == files(PROJECT / origin)


def test_licence_and_icon_are_the_projects(charm_dir: pathlib.Path) -> None:
    """The licence travels with the code."""
    for name in ("LICENSE", "icon.svg"):
        assert (charm_dir / name).read_bytes() == (PROJECT / name).read_bytes()


def test_metadata_and_actions_are_the_project_files(charm_dir: pathlib.Path) -> None:
    """Juju reads what charmcraft made of charmcraft.yaml."""
    project = read_yaml(PROJECT / "charmcraft.yaml")

    metadata = read_yaml(charm_dir / "metadata.yaml")
    actions = read_yaml(charm_dir / "actions.yaml")

    for key in ("name", "summary", "description", "assumes", "provides", "peers"):
        assert metadata[key] == project[key], key
    assert actions == project["actions"]


def test_environment_holds_the_locked_packages_and_no_other(site_packages: pathlib.Path) -> None:
    """Neither pip nor a package of the tests is in the charm."""
    distributions = importlib.metadata.distributions(path=[str(site_packages)])

    installed = {
        packaging.utils.canonicalize_name(found.metadata["Name"]): found.version
        for found in distributions
    }

    assert installed == locked_run_time()
    assert "ops" in installed


def test_charm_links_to_nothing(charm_dir: pathlib.Path, packed: pathlib.Path) -> None:
    """A link would lead to a file of the machine that packed it."""
    with zipfile.ZipFile(packed) as archive:
        links = [
            item.filename for item in archive.infolist() if stat.S_ISLNK(item.external_attr >> 16)
        ]

    assert links == []
    assert not (charm_dir / "venv" / "bin").exists()


def test_install_hook_succeeds_and_sets_a_status(charm_dir: pathlib.Path) -> None:
    """The first thing that Juju ever runs of a charm."""
    run = dispatch(charm_dir, JUJU_DISPATCH_PATH="hooks/install", JUJU_HOOK_NAME="install")

    assert run.process.returncode == 0, run.output()
    unit_statuses = [
        args[1] for args in run.calls_of("status-set") if args[0] == "--application=False"
    ]
    assert len(unit_statuses) == 1
    assert unit_statuses[0] in {"active", "blocked", "maintenance", "waiting"}
    assert not [args for args in run.calls_of("juju-log") if args[1] in {"ERROR", "CRITICAL"}]


@pytest.mark.parametrize(
    ("package", "directory"),
    [("ops", "venv"), ("microcluster_token_distributor", "lib")],
)
def test_packages_come_from_the_charm_alone(
    charm_dir: pathlib.Path, package: str, directory: str
) -> None:
    """The unit's machine may have one of its own, or none."""
    run = dispatch(charm_dir, JUJU_DISPATCH_PATH="hooks/install", JUJU_HOOK_NAME="install")
    assert run.process.returncode == 0, run.output()

    # dispatch has made venv/bin/python by now: where has the charm's module a package from?
    script = f"import sys, charm; print(sys.modules[{package!r}].__file__)"
    found = subprocess.check_output(  # noqa: S603 - it is the charm under test
        [charm_dir / "venv" / "bin" / "python", "-B", "-c", script],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{charm_dir}/lib:{charm_dir}/src"},
        text=True,
    )

    assert pathlib.Path(found.strip()).is_relative_to(charm_dir / directory)


def test_action_runs_with_nobody_related(charm_dir: pathlib.Path) -> None:
    """The action's name in charmcraft.yaml is the one that the charm observes."""
    run = dispatch(
        charm_dir,
        JUJU_DISPATCH_PATH="actions/show-mirror",
        JUJU_ACTION_NAME="show-mirror",
        JUJU_ACTION_UUID="1",
    )

    assert run.process.returncode == 0, run.output()
    assert run.calls_of("action-set")


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
