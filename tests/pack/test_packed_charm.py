"""What the charm in dist/, which scripts/pack.py packs, holds, and that Juju can run it."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import stat
import subprocess
import sys
import zipfile

import packaging.requirements
import packaging.utils
import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
# Each hook tool logs its call, and answers as for a leader without relations.
TOOL = """\
#!/bin/sh
echo "${0##*/} $*" >>"${0%/*}/calls"
case ${0##*/} in
    is-leader) echo true ;;
    relation-ids) echo [] ;;
    goal-state | action-get) echo {} ;;
esac
"""
TOOLS = (
    *("action-get", "action-set", "goal-state", "is-leader", "juju-log"),
    *("relation-ids", "relation-list", "status-set"),
)


@pytest.fixture
def packed() -> pathlib.Path:
    """Return the path of the packed charm."""
    (path,) = (PROJECT / "dist").glob("*.charm")
    return path


@pytest.fixture
def charm_dir(packed: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """Unpack the charm as Juju does, file modes included, and return its directory."""
    with zipfile.ZipFile(packed) as archive:
        for item in archive.infolist():
            assert not stat.S_ISLNK(item.external_attr >> 16), "it leads to another machine's file"
            unpacked = pathlib.Path(archive.extract(item, tmp_path / "charm"))
            unpacked.chmod(stat.S_IMODE(item.external_attr >> 16) or 0o644)
    return tmp_path / "charm"


def dispatch(charm_dir: pathlib.Path, path: str, **juju: str) -> str:
    """Run the unpacked charm's `dispatch` as a Juju agent would; return its calls of tools."""
    tools = charm_dir.parent / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).write_text(TOOL)
        (tools / name).chmod(0o755)
    environment = {
        "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin",
        "JUJU_CHARM_DIR": str(charm_dir),
        "JUJU_DISPATCH_PATH": path,
        "JUJU_MODEL_NAME": "test",
        "JUJU_MODEL_UUID": "00000000-0000-4000-8000-000000000000",
        "JUJU_UNIT_NAME": "microcluster-token-distributor/0",
        "JUJU_VERSION": "3.6.9",
        **juju,
    }
    subprocess.check_call([charm_dir / "dispatch"], cwd=charm_dir, env=environment)  # noqa: S603
    calls = (tools / "calls").read_text()
    assert "--log-level ERROR" not in calls, calls
    return calls


def files(directory: pathlib.Path) -> dict[pathlib.Path, bytes]:
    """Return the files below a directory by their paths from there on."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_charm_holds_these_files_and_no_more(charm_dir: pathlib.Path) -> None:
    assert {path.name for path in charm_dir.iterdir()} == {
        *("LICENSE", "actions.yaml", "dispatch", "icon.svg", "lib"),
        *("manifest.yaml", "metadata.yaml", "src", "venv"),
    }
    assert not [*charm_dir.rglob("__pycache__"), *charm_dir.glob("venv/bin")]
    assert files(charm_dir / "src") == files(PROJECT / "src")
    assert files(charm_dir / "lib") == files(PROJECT / "library" / "src")


def test_environment_holds_the_locked_packages_and_no_other(charm_dir: pathlib.Path) -> None:
    lines = (PROJECT / "requirements" / "charm.txt").read_text().splitlines()
    requirements = [line.rstrip("\\ ") for line in lines if not line.startswith(("#", " "))]
    locked = [packaging.requirements.Requirement(line) for line in requirements]

    (site_packages,) = charm_dir.glob("venv/lib/python3.*/site-packages")
    found = importlib.metadata.distributions(path=[str(site_packages)])
    assert {(packaging.utils.canonicalize_name(e.name), f"=={e.version}") for e in found} == {
        (packaging.utils.canonicalize_name(each.name), str(each.specifier))
        for each in locked
        if each.marker is None or each.marker.evaluate()
    }


def test_install_hook_sets_a_status_with_packages_of_the_charm(charm_dir: pathlib.Path) -> None:
    """The unit's machine may have packages of its own, or none."""
    calls = dispatch(charm_dir, "hooks/install")

    assert "status-set --application=False active -- ready to take over" in calls
    # dispatch has made this by now.
    python = charm_dir / "venv" / "bin" / "python"
    script = "import charm, ops, mirror; print(ops.__file__, mirror._wire.__file__)"
    environment = {"PYTHONPATH": f"{charm_dir}/lib:{charm_dir}/src"}
    found = subprocess.check_output([python, "-c", script], env=environment, text=True)  # noqa: S603
    for path, folder in zip(found.split(), ("venv", "lib"), strict=True):
        assert pathlib.Path(path).is_relative_to(charm_dir / folder)


def test_action_runs_without_relations(charm_dir: pathlib.Path) -> None:
    """Its name in charmcraft.yaml is the one that the charm observes."""
    action = {"JUJU_ACTION_NAME": "show-mirror", "JUJU_ACTION_UUID": "1"}

    assert "action-set" in dispatch(charm_dir, "actions/show-mirror", **action)


def test_charmcraft_analyse_finds_no_fault(packed: pathlib.Path) -> None:
    """It finds the entry point of `dispatch`, which it does not in the one that it writes."""
    command = [sys.executable, "-m", "charmcraft", "analyse", packed, "--format", "json"]

    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603

    results = {each["name"]: each["result"] for each in json.loads(done.stdout)}
    assert results["entrypoint"] == "ok"
    assert not {"error", "fatal", "warning"} & {*results.values()}, results
