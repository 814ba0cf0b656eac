"""Which commands of charmcraft scripts/release runs, and what it refuses."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "release"
CHARM = "microcluster-token-distributor"
CHARMCRAFT = '#!/bin/sh\necho "$@" >>"${0%/*}/../calls"\ncase $* in *broken*) exit 1 ;; esac\n'


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a project with the script, and with a charmcraft that logs its calls."""
    for name in ("dist", "scripts", "tools"):
        (tmp_path / name).mkdir()
    shutil.copy2(SCRIPT, tmp_path / "scripts")
    charmcraft = tmp_path / "tools" / "charmcraft"
    charmcraft.write_text(CHARMCRAFT)
    charmcraft.chmod(0o755)
    (tmp_path / "calls").touch()
    return tmp_path


def release(project: pathlib.Path, *args: str, auth: str = "x") -> tuple[str, list[str]]:
    """Run the script; return the error, empty on success, and the calls of charmcraft."""
    environment = {"PATH": f"{project}/tools:{os.environ['PATH']}", "CHARMCRAFT_AUTH": auth}
    done = subprocess.run(  # noqa: S603 - the script under test
        [project / "scripts" / "release", *args],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    error = done.stderr or f"exit code {done.returncode}" if done.returncode else ""
    return error, (project / "calls").read_text().splitlines()


def test_our_charms_are_uploaded_and_no_other_file(project: pathlib.Path) -> None:
    ours = [f"{CHARM}_ubuntu@{base}-amd64.charm" for base in ("22.04", "24.04")]
    others = [f"{CHARM}_debian@12-amd64.charm", "lxd-cluster_ubuntu@24.04-amd64.charm", "a.whl"]
    for name in ours + others:
        (project / "dist" / name).touch()

    error, calls = release(project, "upload", "latest/edge")

    assert error == ""
    options = f"--name={CHARM} --release=latest/edge"
    assert calls == [f"upload dist/{name} {options}" for name in ours]


def test_a_refused_charm_ends_the_release(project: pathlib.Path) -> None:
    """If the job went on it would end in success."""
    for base in ("22.04-broken", "24.04"):
        (project / "dist" / f"{CHARM}_ubuntu@{base}.charm").touch()

    error, calls = release(project, "upload", "latest/edge")

    assert error
    assert len(calls) == 1


def test_promotion_names_both_channels(project: pathlib.Path) -> None:
    error, calls = release(project, "promote", "latest/edge", "latest/candidate")

    assert error == ""
    channels = "--from-channel=latest/edge --to-channel=latest/candidate"
    assert calls == [f"promote --name={CHARM} {channels} --yes"]


@pytest.mark.parametrize(
    ("args", "auth", "reason"),
    [
        (("upload", "latest/edge"), "x", f"no {CHARM} for Ubuntu in dist/"),
        (("upload", "latest/edge"), "", "CHARMCRAFT_AUTH is empty"),
        (("upload", ""), "x", "no channel"),
        (("demote",), "x", "unknown operation"),
    ],
)
def test_mistakes_are_refused(
    project: pathlib.Path, args: tuple[str, ...], auth: str, reason: str
) -> None:
    error, calls = release(project, *args, auth=auth)

    assert reason in error
    assert calls == []
