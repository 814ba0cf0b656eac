#!/usr/bin/env python3
"""Pack the charm for this machine's own base, and build the library's package, into dist/.

A charm is built on the base that it is built for. On an Ubuntu release that charmcraft.yaml lists,
with charmcraft installed, this is plain `charmcraft pack`. Everywhere else the charmcraft of
requirements/pack.txt packs a copy of the project on this machine itself ("destructive mode": it
may install build packages by apt), and where charmcraft.yaml does not list the machine's release,
on Debian say, the copy lists nothing else. Such a charm is for testing: Juju deploys to Ubuntu.

The package is a wheel and what it is built from, by the locked backend, without a network.
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

# What charmcraft.yaml names, and nothing that merely lies beside it.
SOURCES = ("charmcraft.yaml", "dispatch", "LICENSE", "icon.svg", "library", "requirements", "src")
MADE = (
    "*.charm",
    "microcluster_token_distributor-*.whl",
    "microcluster_token_distributor-*.tar.gz",
)


def host_platform() -> str:
    """Return this machine's platform as charmcraft writes it, like `ubuntu@24.04:amd64`."""
    release = platform.freedesktop_os_release()
    # Debian's testing and unstable have no version yet.
    version = release.get("VERSION_ID", "unreleased")
    command = ["/usr/bin/dpkg", "--print-architecture"]
    architecture = subprocess.check_output(command, text=True).strip()  # noqa: S603 - it is fixed
    return f"{release['ID']}@{version}:{architecture}"


def installed_charmcraft() -> str | None:
    """Return the path of the machine's own charmcraft, None where it has none."""
    for directory in ("/snap/bin", "/usr/local/bin", "/usr/bin"):
        if found := shutil.which("charmcraft", path=directory):
            return found
    return None


def copy_project(destination: pathlib.Path) -> None:
    """Copy the files that the charm is built from to an existing, empty directory."""
    for name in SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(
                source, destination / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy2(source, destination / name)


def pack_copy(host: str) -> None:
    """Pack a copy of the project for `host` with the locked charmcraft, on this machine itself."""
    with tempfile.TemporaryDirectory(prefix="pack-") as name:
        copy = pathlib.Path(name)
        copy_project(copy)
        project_file = copy / "charmcraft.yaml"
        project = yaml.safe_load(project_file.read_text())
        if host not in project["platforms"]:
            project["platforms"] = {host: None}
            project_file.write_text(yaml.safe_dump(project, sort_keys=False))
        command = [sys.executable, "-m", "charmcraft", "pack", "--destructive-mode", "--verbose"]
        command += ["--platform", host]
        subprocess.run(command, cwd=copy, check=True)  # noqa: S603 - our own arguments
        # charmcraft writes nowhere outside the project, which is the copy here.
        for charm in copy.glob("*.charm"):
            shutil.move(charm, DIST)


def build_package() -> None:
    """Build the library's package: what it is built from, and the wheel from that."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), "library"]
    subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603 - our own arguments


def made() -> list[pathlib.Path]:
    """Return what is in dist/ of all that this makes."""
    return sorted(path for pattern in MADE for path in DIST.glob(pattern))


def main() -> int:
    """Pack the charm, build the package and print where they are; return the exit code."""
    DIST.mkdir(exist_ok=True)
    for old in made():
        old.unlink()
    host = host_platform()
    listed = yaml.safe_load((PROJECT / "charmcraft.yaml").read_text())["platforms"]
    charmcraft = installed_charmcraft()
    try:
        if host in listed and charmcraft:
            command = [charmcraft, "pack", "--platform", host, "--output", DIST.name]
            subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603 - our own arguments
        else:
            pack_copy(host)
        build_package()
    except subprocess.CalledProcessError as error:
        # charmcraft or build has said why.
        return error.returncode
    for path in made():
        print(path.relative_to(PROJECT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
