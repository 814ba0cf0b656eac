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


@pytest.mark.parametrize(
    ("args", "auth", "error", "calls"),
    [
        (("upload", "latest/edge"), "x", "", UPLOADS),
        (("promote", "latest/edge", "v1/edge"), "x", "", [PROMOTION]),
        # If the job went on after a charm was refused it would end in success.
        (("upload", "broken"), "x", "", [UPLOADS[0].replace("latest/edge", "broken")]),
        (("upload", "latest/edge"), "", "CHARMCRAFT_AUTH is empty", []),
        (("upload", ""), "x", "no channel", []),
        (("demote",), "x", "unknown operation", []),
    ],
)
def test_our_charms_are_released_and_no_other_file(
    tmp_path: pathlib.Path, args: tuple[str, ...], auth: str, error: str, calls: list[str]
) -> None:
    done = release(tmp_path, *args, files=OURS + OTHERS, auth=auth)

    assert error in done.stderr
    assert bool(done.returncode) == bool(error or "broken" in args)
    assert (tmp_path / "calls").read_text().splitlines() == calls


def test_no_charm_is_a_mistake(tmp_path: pathlib.Path) -> None:
    done = release(tmp_path, "upload", "latest/edge", files=OTHERS)

    assert done.returncode
    assert f"no {CHARM} for Ubuntu in dist/" in done.stderr


def release(
    project: pathlib.Path, *args: str, files: list[str], auth: str = "x"
) -> subprocess.CompletedProcess[str]:
    """Run the script with files in dist/, and with a charmcraft that logs its calls."""
    for name in ("dist", "scripts"):
        (project / name).mkdir()
    for name in files:
        (project / "dist" / name).touch()
    script = shutil.copy2(SCRIPT, project / "scripts")
    (project / "charmcraft").write_text(CHARMCRAFT)
    (project / "charmcraft").chmod(0o755)
    (project / "calls").touch()
    environment = {"PATH": f"{project}:{os.environ['PATH']}", "CHARMCRAFT_AUTH": auth}
    return subprocess.run(  # noqa: S603 - the script under test
        [script, *args], env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
