"""Charms as files on this machine: packed from their sources, or fetched and changed."""

from __future__ import annotations

import functools
import pathlib
import platform
import shutil
import subprocess
import tempfile
import zipfile

import yaml

ROOT = pathlib.Path(__file__).parents[2]
DIST = ROOT / "dist"
LIBRARY = "lib/charms/microcluster_token_distributor/v0/token_distributor.py"
"""The library in one file, in charms that vendor it as MicroOVN's does."""
PACKAGE = "lib/microcluster_token_distributor"
"""The library as a package, in charms of this project."""

_PACKAGE_SOURCE = ROOT / "library" / "src" / "microcluster_token_distributor"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class PackingError(Exception):
    """There is no such charm, and it could not be made."""


def architecture() -> str:
    """Return this machine's architecture as Juju names it."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def file_name(name: str, base: str) -> str:
    """Return the name that charmcraft gives a charm for a base and this machine."""
    return f"{name}_{base}-{architecture()}.charm"


def given(path: str, name: str, base: str) -> str:
    """Return the absolute path of a packed charm that a person or an earlier job has named.

    Args:
        path: the charm, or a directory with one for each base.
        name: of the charm.
        base: like `ubuntu@24.04`.

    Raises:
        PackingError: it is not there.
    """
    found = pathlib.Path(path).resolve()
    if found.is_dir():
        found /= file_name(name, base)
    if not found.is_file():
        raise PackingError(f"{path} is, or holds, no {name} for {base} on {architecture()}")
    return str(found)


@functools.cache
def pack(project: pathlib.Path, base: str, *, with_package: bool = False) -> str:
    """Pack a charm into dist/, once in a run.

    Args:
        project: the directory with its charmcraft.yaml.
        base: like `ubuntu@24.04`.
        with_package: whether to put the library's package into it first.

    Returns:
        The charm's absolute path.

    Raises:
        PackingError: charmcraft cannot do it.
    """
    name = str(yaml.safe_load((project / "charmcraft.yaml").read_text())["name"])
    DIST.mkdir(exist_ok=True)
    # charmcraft's snap sees neither /tmp nor hidden directories.
    with tempfile.TemporaryDirectory(dir=pathlib.Path.home(), prefix="pack-") as directory:
        if with_package:
            project = stage(project, pathlib.Path(directory) / "charm")
        platform_name = f"{base}:{architecture()}"
        _run("charmcraft", "pack", "--platform", platform_name, "--output", str(DIST), cwd=project)
    return given(str(DIST), name, base)


def stage(project: pathlib.Path, copy: pathlib.Path) -> pathlib.Path:
    """Copy a charm's sources, with the library's package, to a directory yet to be made."""
    ignore = shutil.ignore_patterns("__pycache__", "*.charm")
    shutil.copytree(project, copy, ignore=ignore)
    shutil.copytree(_PACKAGE_SOURCE, copy / PACKAGE, ignore=ignore)
    return copy


@functools.cache
def download(name: str, channel: str, base: str) -> str:
    """Fetch a charm from Charmhub, once in a run, and put this project's library into it.

    Returns:
        The charm's absolute path, in dist/.

    Raises:
        PackingError: Charmhub has no such charm, or that charm no such library.
    """
    DIST.mkdir(exist_ok=True)
    changed = DIST / file_name(name, base)
    published = changed.with_suffix(".published.charm")
    _run(
        *("juju", "download", name, "--channel", channel, "--base", base),
        *("--arch", architecture(), "--filepath", str(published), "--no-progress"),
    )
    replace_library(published, changed)
    published.unlink()
    return str(changed)


def replace_library(charm: pathlib.Path, changed: pathlib.Path) -> None:
    """Copy a packed charm, with this project's library in the place of its own.

    Raises:
        PackingError: it has none.
    """
    with zipfile.ZipFile(charm) as old, zipfile.ZipFile(changed, "w") as new:
        if LIBRARY not in old.namelist():
            raise PackingError(f"{charm.name} has no {LIBRARY}")
        for entry in old.infolist():
            # The entry keeps its mode, so what is executable or a link stays so.
            data = old.read(entry)
            if entry.filename == LIBRARY:
                data = (ROOT / LIBRARY).read_bytes()
            new.writestr(entry, data)


def _run(*command: str, cwd: pathlib.Path = ROOT) -> None:
    try:
        done = subprocess.run(command, check=False, cwd=cwd, stderr=subprocess.PIPE, text=True)  # noqa: S603, words of our own
    except FileNotFoundError as error:
        raise PackingError(f"there is no `{error.filename}` here") from None
    if done.returncode:
        raise PackingError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-2000:]}")
