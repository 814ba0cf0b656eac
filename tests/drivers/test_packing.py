"""Charms are packed when they have to be, and get this project's library."""

from __future__ import annotations

import pathlib
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.clouds import packing

if TYPE_CHECKING:
    from collections.abc import Sequence


BASE = "ubuntu@24.04"


def test_packed_charm_is_given_by_its_path_or_its_directory(tmp_path: pathlib.Path) -> None:
    """Of several in a directory it is the one for the base and this machine's architecture."""
    for base in ("ubuntu@22.04", BASE):
        (tmp_path / packing.file_name("x", base)).touch()
    wanted = str(tmp_path / packing.file_name("x", BASE))

    assert packing.given(str(tmp_path), "x", BASE) == wanted
    assert packing.given(wanted, "x", BASE) == wanted
    for path in (tmp_path, tmp_path / "y.charm"):
        with pytest.raises(packing.PackingError, match=r"x for ubuntu@26\.04"):
            packing.given(str(path), "x", "ubuntu@26.04")


def test_charm_is_packed_once_in_a_run(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By charmcraft, for one base, with the library's package in it."""
    dist, project = tmp_path / "dist", tmp_path / "project"
    project.mkdir()
    (project / "charmcraft.yaml").write_text("name: x\n")
    calls: list[tuple[str, ...]] = []

    def run(*command: str, cwd: pathlib.Path) -> None:
        calls.append(command)
        assert (cwd / packing.PACKAGE / "_consumer.py").exists()
        (dist / packing.file_name("x", BASE)).touch()

    monkeypatch.setattr(packing, "DIST", dist)
    monkeypatch.setattr(packing, "_run", run)
    monkeypatch.setenv("HOME", str(tmp_path))

    paths = {packing.pack(project, BASE, with_package=True) for _ in range(2)}

    platform = f"{BASE}:{packing.architecture()}"
    assert calls == [("charmcraft", "pack", "--platform", platform, "--output", str(dist))]
    assert paths == {str(dist / packing.file_name("x", BASE))}


def _published(path: pathlib.Path, library: str = packing.LIBRARY) -> pathlib.Path:
    with zipfile.ZipFile(path, "w") as charm:
        dispatch = zipfile.ZipInfo("dispatch")
        dispatch.external_attr = 0o100755 << 16
        charm.writestr(dispatch, "#!/bin/sh\n")
        charm.writestr(library, "LIBPATCH = 3\n")
    return path


def test_fetched_charm_gets_this_library(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else stays as it was; the published charm is not kept."""
    dist = tmp_path / "dist"
    calls: list[tuple[str, ...]] = []

    def run(*command: str) -> None:
        calls.append(command)
        _published(pathlib.Path(command[command.index("--filepath") + 1]))

    monkeypatch.setattr(packing, "DIST", dist)
    monkeypatch.setattr(packing, "_run", run)
    packing.download.cache_clear()

    path = packing.download("microovn", "latest/edge", BASE)

    assert [str(file) for file in dist.iterdir()] == [path]
    with zipfile.ZipFile(path) as charm:
        assert charm.namelist() == ["dispatch", packing.LIBRARY]
        assert charm.getinfo("dispatch").external_attr >> 16 == 0o100755
        assert charm.read(packing.LIBRARY) == (packing.ROOT / packing.LIBRARY).read_bytes()
    ((*first, _, _, _),) = calls
    words = f"juju download microovn --channel latest/edge --base {BASE} --arch"
    assert first == [*words.split(), packing.architecture()]


def test_charm_without_the_library_is_refused(tmp_path: pathlib.Path) -> None:
    """A scenario with it would show nothing."""
    published = _published(tmp_path / "a.charm", "lib/another.py")

    with pytest.raises(packing.PackingError, match=r"a\.charm has no lib/charms"):
        packing.replace_library(published, tmp_path / "b.charm")


def test_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """So that a person can install it."""
    packing.download.cache_clear()
    monkeypatch.setattr(packing, "DIST", tmp_path)
    monkeypatch.setattr(subprocess, "run", _no_such_program)

    with pytest.raises(packing.PackingError, match="no `juju` here"):
        packing.download("microovn", "latest/edge", BASE)


def _no_such_program(command: Sequence[str], **_: object) -> None:
    raise FileNotFoundError(2, "No such file", command[0])
