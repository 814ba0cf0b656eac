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

PROJECT = pathlib.Path(__file__).resolve().parent.parent
DIST = PROJECT / "dist"


def run(*command: str, cwd: pathlib.Path = PROJECT) -> None:
    """Run one of the commands below; exit as it does if it fails, since it has said why."""
    if code := subprocess.run(command, cwd=cwd, check=False).returncode:  # noqa: S603 - our arguments
        sys.exit(code)


def pack_copy(host: str) -> None:
    """Pack a copy of the project for `host` with the locked charmcraft, on this machine itself."""
    with tempfile.TemporaryDirectory(prefix="pack-") as name:
        copy = pathlib.Path(name)
        ignore = shutil.ignore_patterns(".*", "dist")
        shutil.copytree(PROJECT, copy, ignore=ignore, dirs_exist_ok=True)
        project = yaml.safe_load((copy / "charmcraft.yaml").read_text())
        if host not in project["platforms"]:
            project["platforms"] = {host: None}
            (copy / "charmcraft.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
        options = ("pack", "--destructive-mode", "--verbose", "--platform", host)
        run(sys.executable, "-m", "charmcraft", *options, cwd=copy)
        for charm in copy.glob("*.charm"):
            shutil.move(charm, DIST)


shutil.rmtree(DIST, ignore_errors=True)
DIST.mkdir()
release = platform.freedesktop_os_release()
command = ["/usr/bin/dpkg", "--print-architecture"]
architecture = subprocess.check_output(command, text=True).strip()  # noqa: S603 - fixed
# Debian's testing and unstable have no version yet.
this_host = f"{release['ID']}@{release.get('VERSION_ID', 'unreleased')}:{architecture}"
listed = yaml.safe_load((PROJECT / "charmcraft.yaml").read_text())["platforms"]
# Not the one in tox's environment, which is first in PATH.
charmcraft = shutil.which("charmcraft", path="/snap/bin:/usr/local/bin:/usr/bin")
if this_host in listed and charmcraft:
    run(charmcraft, "pack", "--platform", this_host, "--output", DIST.name)
else:
    pack_copy(this_host)
# From the locked backend, without a network.
run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), "library")
