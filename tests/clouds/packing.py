"""Charms as files on this machine: packed from their sources, or fetched and changed."""

from __future__ import annotations

import functools
import pathlib
import platform
import shutil
import subprocess
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
DIST = ROOT / "dist"
LIBRARY = "lib/charms/microcluster_token_distributor/v0/token_distributor.py"
"""The library in one file, in charms that vendor it as MicroOVN's does."""
PACKAGE = "microcluster_token_distributor"
"""The library as a package, in the `lib` of this project's charms."""
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")
"""This machine's, as Juju names it."""


def given(path: pathlib.Path | str, name: str, base: str) -> str:
    """Return the absolute path of a packed charm, which may be in a directory beside others."""
    found = pathlib.Path(path).resolve()
    if found.is_dir():
        found /= f"{name}_{base}-{ARCHITECTURE}.charm"
    assert found.is_file(), f"there is no charm {found}"
    return str(found)


@functools.cache
def pack(project: pathlib.Path, name: str, base: str, *, with_package: bool = False) -> str:
    """Pack a charm into dist/, once in a run, perhaps with the library's package in it.

    Returns:
        The charm's absolute path.
    """
    if with_package:
        # charmcraft's snap sees neither /tmp nor hidden directories.
        staged = DIST / f"{name}-{base}"
        ignore = shutil.ignore_patterns("__pycache__", "*.charm")
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(project, staged, ignore=ignore)
        source = ROOT / "library" / "src" / PACKAGE
        shutil.copytree(source, staged / "lib" / PACKAGE, ignore=ignore)
        project = staged
    DIST.mkdir(exist_ok=True)
    command = ("charmcraft", "pack", "--platform", f"{base}:{ARCHITECTURE}", "--output", str(DIST))
    subprocess.run(command, check=True, cwd=project)  # noqa: S603, words of our own
    return given(DIST, name, base)


@functools.cache
def download(name: str, channel: str, base: str) -> str:
    """Fetch a charm from Charmhub, once in a run, and return its path with this library in it."""
    DIST.mkdir(exist_ok=True)
    published = DIST / f"{name}.charm"
    command = ("juju", "download", name, "--channel", channel, "--base", base)
    options = ("--arch", ARCHITECTURE, "--filepath", str(published), "--no-progress")
    subprocess.run([*command, *options], check=True)  # noqa: S603, words of our own
    return replace_library(published)


def replace_library(charm: pathlib.Path) -> str:
    """Copy a packed charm, with this project's library in the place of its own."""
    changed = charm.with_suffix(".changed.charm")
    with zipfile.ZipFile(charm) as old, zipfile.ZipFile(changed, "w") as new:
        assert LIBRARY in old.namelist(), f"{charm.name} has no {LIBRARY}"
        for entry in old.infolist():
            ours = entry.filename == LIBRARY
            # The entry keeps its mode, so what is executable or a link stays so.
            new.writestr(entry, (ROOT / LIBRARY).read_bytes() if ours else old.read(entry))
    return str(changed)
