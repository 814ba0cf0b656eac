"""Pack the charm for this machine's own base, and build the library's package, into dist/.

On an Ubuntu release that charmcraft.yaml lists, with charmcraft installed, this is plain
`charmcraft pack`. Everywhere else the charmcraft of requirements/pack.txt packs a copy of the
project in "destructive mode", which may install build packages by apt. If charmcraft.yaml does not
list the machine's release (Debian, say), the copy lists that release alone: such a charm is for
tests, since Juju deploys to Ubuntu.
"""

from __future__ import annotations

import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[1]
DIST = PROJECT / "dist"


def run(*command: str, folder: pathlib.Path | str = PROJECT) -> None:
    """Run a command; exit as it does if it fails, since it has said why."""
    if code := subprocess.run(command, cwd=folder, check=False).returncode:  # noqa: S603 - ours
        sys.exit(code)


shutil.rmtree(DIST, ignore_errors=True)
DIST.mkdir()
release = platform.freedesktop_os_release()
architecture = subprocess.check_output(["/usr/bin/dpkg", "--print-architecture"], text=True)
# Debian's testing and unstable have no version yet.
host = f"{release['ID']}@{release.get('VERSION_ID', 'unreleased')}:{architecture.strip()}"
pack = ("pack", "--verbose", "--platform", host)
project = yaml.safe_load((PROJECT / "charmcraft.yaml").read_text())
# Not the one in tox's environment, which is first in PATH.
charmcraft = shutil.which("charmcraft", path="/snap/bin:/usr/local/bin:/usr/bin")
if host in project["platforms"] and charmcraft:
    run(charmcraft, *pack, "--output", DIST.name)
else:
    if host not in project["platforms"]:
        project["platforms"] = {host: None}
    with tempfile.TemporaryDirectory(prefix="pack-") as copy:
        ignore = shutil.ignore_patterns(".*", DIST.name)
        shutil.copytree(PROJECT, copy, ignore=ignore, dirs_exist_ok=True)
        pathlib.Path(copy, "charmcraft.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
        run(sys.executable, "-m", "charmcraft", *pack, "--destructive-mode", folder=copy)
        for charm in pathlib.Path(copy).glob("*.charm"):
            shutil.move(charm, DIST)
# From the locked backend, without a network.
run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), "library")
