"""Which commands of charmcraft scripts/release runs, and what it refuses."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "release"
CHARM = "microcluster-token-distributor"
CHARMCRAFT = '#!/bin/sh\necho "$@" >>calls\ncase $* in *broken*) exit 1 ;; esac\n'
OURS = [f"{CHARM}_ubuntu@{base}-amd64.charm" for base in ("22.04", "24.04")]
OTHERS = [f"{CHARM}_debian@12-amd64.charm", "lxd-cluster_ubuntu@24.04-amd64.charm", "a.whl"]
UPLOADS = [f"upload dist/{name} --name={CHARM} --release=latest/edge" for name in OURS]
PROMOTION = f"promote --name={CHARM} --from-channel=latest/edge --to-channel=v1/edge --yes"


def release(
    project: pathlib.Path, *args: str, files: list[str] = OURS + OTHERS, auth: str = "x"
) -> tuple[str, list[str]]:
    """Run the script with files in dist/; return the error and the calls of charmcraft."""
    for name in ("dist", "scripts"):
        (project / name).mkdir()
    for name in files:
        (project / "dist" / name).touch()
    script = shutil.copy2(SCRIPT, project / "scripts")
    (project / "charmcraft").write_text(CHARMCRAFT)
    (project / "charmcraft").chmod(0o755)
    (project / "calls").touch()
    environment = {"PATH": f"{project}:{os.environ['PATH']}", "CHARMCRAFT_AUTH": auth}
    done = subprocess.run(  # noqa: S603 - the script under test
        [script, *args], env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    error = done.stderr or f"exit code {done.returncode}" if done.returncode else ""
    return error, (project / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("args", "calls"),
    [
        (("upload", "latest/edge"), UPLOADS),
        (("promote", "latest/edge", "v1/edge"), [PROMOTION]),
    ],
)
def test_our_charms_are_released_and_no_other_file(
    tmp_path: pathlib.Path, args: tuple[str, ...], calls: list[str]
) -> None:
    assert release(tmp_path, *args) == ("", calls)


def test_a_refused_charm_ends_the_release(tmp_path: pathlib.Path) -> None:
    """If the job went on it would end in success."""
    error, calls = release(tmp_path, "upload", "broken")

    assert error
    assert len(calls) == 1


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
    tmp_path: pathlib.Path, args: tuple[str, ...], auth: str, reason: str
) -> None:
    error, calls = release(tmp_path, *args, files=OTHERS, auth=auth)

    assert reason in error
    assert calls == []
