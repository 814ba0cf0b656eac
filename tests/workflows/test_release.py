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
    ("ours", "args", "auth", "error", "calls"),
    [
        (OURS, ("upload", "latest/edge"), "x", "", UPLOADS),
        (OURS, ("promote", "latest/edge", "v1/edge"), "x", "", [PROMOTION]),
        # If the job went on after a charm was refused it would end in success.
        (OURS, ("upload", "broken"), "x", "", [UPLOADS[0].replace("latest/edge", "broken")]),
        (OURS, ("upload", "latest/edge"), "", "CHARMCRAFT_AUTH is empty", []),
        (OURS, ("upload", ""), "x", "no channel", []),
        (OURS, ("demote",), "x", "unknown operation", []),
        ([], ("upload", "latest/edge"), "x", f"no {CHARM} for Ubuntu in dist/", []),
    ],
)
def test_our_charms_are_released_and_no_other_file(
    tmp_path: pathlib.Path,
    ours: list[str],
    args: tuple[str, ...],
    auth: str,
    error: str,
    calls: list[str],
) -> None:
    """By a charmcraft that logs its calls."""
    for name in ("dist", "scripts"):
        (tmp_path / name).mkdir()
    for name in ours + OTHERS:
        (tmp_path / "dist" / name).touch()
    script = shutil.copy2(SCRIPT, tmp_path / "scripts")
    (tmp_path / "charmcraft").write_text(CHARMCRAFT)
    (tmp_path / "charmcraft").chmod(0o755)
    (tmp_path / "calls").touch()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CHARMCRAFT_AUTH": auth}

    done = subprocess.run(  # noqa: S603 - the script under test
        [script, *args], env=environment, stderr=subprocess.PIPE, text=True, check=False
    )

    assert error in done.stderr
    assert bool(done.returncode) == bool(error or "broken" in args)
    assert (tmp_path / "calls").read_text().splitlines() == calls
