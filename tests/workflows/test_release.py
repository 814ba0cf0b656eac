"""What scripts/release makes charmcraft do, and what it refuses to."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]

CHARMCRAFT = """\
#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
case $* in
    *broken*) exit 1 ;;
esac
"""

CHARM = "microcluster-token-distributor"


class Release:
    """The script in a project of its own, with a charmcraft that only writes down its calls."""

    def __init__(self, root: pathlib.Path):
        self.dist = root / "dist"
        self._tools = root / "tools"
        self._script = root / "scripts" / "release"
        for directory in (self.dist, self._tools, self._script.parent):
            directory.mkdir()
        shutil.copy2(PROJECT / "scripts" / "release", self._script)
        charmcraft = self._tools / "charmcraft"
        charmcraft.write_text(CHARMCRAFT)
        charmcraft.chmod(0o755)

    def run(self, *args: str, auth: str = "secret") -> subprocess.CompletedProcess[str]:
        """Run the script; the result has its exit code and what it said."""
        environment = {"PATH": f"{self._tools}:{os.environ['PATH']}", "CHARMCRAFT_AUTH": auth}
        return subprocess.run(  # noqa: S603, the script under test
            [self._script, *args], env=environment, capture_output=True, text=True, check=False
        )

    def calls(self) -> list[str]:
        """Return each call of charmcraft, its words parted by spaces."""
        log = self._tools / "calls"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def release(tmp_path: pathlib.Path) -> Release:
    """The script, with nothing to release yet."""
    return Release(tmp_path)


def test_each_charm_is_uploaded_and_released(release: Release) -> None:
    """One for each base and architecture."""
    for base in ("22.04", "24.04"):
        (release.dist / f"{CHARM}_ubuntu@{base}-amd64.charm").touch()

    done = release.run("upload", "latest/edge")

    options = f"--name={CHARM} --release=latest/edge"
    assert done.returncode == 0, done.stderr
    assert release.calls() == [
        f"upload dist/{CHARM}_ubuntu@22.04-amd64.charm {options}",
        f"upload dist/{CHARM}_ubuntu@24.04-amd64.charm {options}",
    ]


def test_what_else_lies_beside_them_is_not_uploaded(release: Release) -> None:
    """The library's package, other charms of the tests, and what Juju has no base for."""
    ours = f"{CHARM}_ubuntu@24.04-amd64.charm"
    for name in (
        ours,
        f"{CHARM}_debian@12-amd64.charm",
        "lxd-cluster_ubuntu@24.04-amd64.charm",
        "microcluster_token_distributor-1.0.0-py3-none-any.whl",
        "microcluster_token_distributor-1.0.0.tar.gz",
        "microovn_ubuntu@24.04-amd64.charm",
    ):
        (release.dist / name).touch()

    release.run("upload", "latest/edge")

    assert [call.split()[1] for call in release.calls()] == [f"dist/{ours}"]


def test_a_charm_that_is_refused_ends_the_release(release: Release) -> None:
    """A job that goes on would end in success."""
    (release.dist / f"{CHARM}_ubuntu@22.04-broken.charm").touch()
    (release.dist / f"{CHARM}_ubuntu@24.04-amd64.charm").touch()

    done = release.run("upload", "latest/edge")

    assert done.returncode == 1
    assert len(release.calls()) == 1


def test_promotion_names_both_channels(release: Release) -> None:
    """And asks nobody: in a workflow there is nobody to answer."""
    done = release.run("promote", "latest/edge", "latest/candidate")

    assert done.returncode == 0, done.stderr
    assert release.calls() == [
        f"promote --name={CHARM} --from-channel=latest/edge --to-channel=latest/candidate --yes"
    ]


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("upload", "latest/edge"), f"no {CHARM} for Ubuntu in dist/"),
        (("upload", ""), "not a track and a risk"),
        (("upload", "edge"), "not a track and a risk"),
        (("upload", "latest/branch/edge"), "not a track and a risk"),
        (("promote", "latest/stable", "latest/edge"), "not less risky"),
        (("promote", "latest/edge", "latest/edge"), "not less risky"),
        (("promote", "latest/edge", "1/stable"), "not of one track"),
        (("promote", "latest/edge", ""), "not a track and a risk"),
        (("demote",), "no such deed"),
    ],
)
def test_what_makes_no_sense_is_refused(
    release: Release, args: tuple[str, ...], reason: str
) -> None:
    """Before charmcraft is asked for anything."""
    done = release.run(*args)

    assert done.returncode == 1
    assert reason in done.stderr
    assert release.calls() == []


def test_nothing_begins_without_credentials(release: Release) -> None:
    """Charmcraft would open a browser, which a runner does not have."""
    (release.dist / f"{CHARM}_ubuntu@24.04-amd64.charm").touch()

    done = release.run("upload", "latest/edge", auth="")

    assert done.returncode == 1
    assert "CHARMCRAFT_AUTH is empty" in done.stderr
    assert release.calls() == []
