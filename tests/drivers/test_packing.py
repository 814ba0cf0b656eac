"""Charms are packed when they have to be, and get this project's library."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.clouds import packing

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

    from tests.drivers.fake_juju_cli import FakeJujuCli

BASE = "ubuntu@24.04"
LIBRARY_HERE = packing.ROOT / packing.LIBRARY


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


class Project:
    """A charm's sources, with a dist/ of its own, and what charmcraft was given."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.root = folder / "project"
        self.charm = folder / "dist" / packing.file_name("x", BASE)
        self.calls: list[tuple[str, ...]] = []
        self.packages: list[set[str]] = []
        for path in ("src/charm.py", "requirements/charm.txt", "tests/test_it.py"):
            (self.root / path).parent.mkdir(parents=True)
            (self.root / path).touch()
        (self.root / "charmcraft.yaml").write_text("name: x\n")

    def run(self, *command: str, cwd: pathlib.Path) -> None:
        """Stand in for `packing._run`."""
        self.calls.append(command)
        self.packages.append({path.name for path in (cwd / packing.PACKAGE).glob("*.py")})
        self.charm.touch()


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A charm that is not packed yet."""
    made = Project(tmp_path)
    monkeypatch.setattr(packing, "DIST", made.charm.parent)
    monkeypatch.setattr(packing, "_run", made.run)
    monkeypatch.setenv("HOME", str(tmp_path))
    return made


def test_charm_is_packed_once(project: Project) -> None:
    """By charmcraft, for one base, with the library's package where it is wanted."""
    paths = {packing.pack(project.root, BASE, with_package=True) for _ in range(2)}

    platform = f"{BASE}:{packing.architecture()}"
    output = str(project.charm.parent)
    assert project.calls == [("charmcraft", "pack", "--platform", platform, "--output", output)]
    assert {"__init__.py", "_consumer.py"} < project.packages[0]
    assert paths == {str(project.charm)}


@pytest.mark.parametrize(
    ("path", "packed"),
    [
        ("charmcraft.yaml", 2),
        ("requirements/charm.txt", 2),
        ("src/charm.py", 2),
        pytest.param("tests/test_it.py", 1, id="no part of the charm"),
    ],
)
def test_charm_is_packed_again_if_its_source_is_newer(
    project: Project, path: str, packed: int
) -> None:
    """Or the tests would test what the source was."""
    packing.pack(project.root, BASE)
    newer = project.charm.stat().st_mtime + 60
    os.utime(project.root / path, (newer, newer))

    packing.pack(project.root, BASE)

    assert len(project.calls) == packed


def test_charm_is_packed_again_if_the_package_is_newer(project: Project) -> None:
    """If that goes into it, which is outside its own sources."""
    packing.pack(project.root, BASE)
    for file in [project.charm, *project.root.rglob("*")]:
        os.utime(file, (0, 0))

    packing.pack(project.root, BASE)
    packing.pack(project.root, BASE, with_package=True)

    assert len(project.calls) == 2


def _published(path: pathlib.Path, library: str = packing.LIBRARY) -> pathlib.Path:
    with zipfile.ZipFile(path, "w") as charm:
        dispatch = zipfile.ZipInfo("dispatch")
        dispatch.external_attr = 0o100755 << 16
        charm.writestr(dispatch, "#!/bin/sh\n")
        charm.writestr(library, "LIBPATCH = 3\n")
    return path


def test_fetched_charm_gets_this_library(
    juju: FakeJujuCli, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else stays as it was; the published charm is not kept."""
    dist = tmp_path / "dist"
    monkeypatch.setattr(packing, "DIST", dist)
    published = _published(tmp_path / "published.charm")

    def copy(words: Sequence[str]) -> None:
        shutil.copy(published, words[words.index("--filepath") + 1])

    juju.upon["download"] = copy

    path = packing.download("microovn", "latest/edge", BASE)

    assert [str(file) for file in dist.iterdir()] == [path]
    with zipfile.ZipFile(path) as charm:
        assert charm.namelist() == ["dispatch", packing.LIBRARY]
        assert charm.getinfo("dispatch").external_attr >> 16 == 0o100755
        assert charm.read(packing.LIBRARY) == LIBRARY_HERE.read_bytes()
    (call,) = juju.calls
    assert call[:6] == ["download", "microovn", "--channel", "latest/edge", "--base", BASE]
    assert call[6:8] == ["--arch", packing.architecture()]


def test_charm_without_the_library_is_refused(tmp_path: pathlib.Path) -> None:
    """A scenario with it would show nothing."""
    published = _published(tmp_path / "a.charm", "lib/another.py")

    with pytest.raises(packing.PackingError, match=r"a\.charm has no lib/charms"):
        packing.replace_library(published, tmp_path / "b.charm")


def test_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """So that a person can install it."""
    monkeypatch.setattr(packing, "DIST", tmp_path)
    monkeypatch.setattr(subprocess, "run", _no_such_program)

    with pytest.raises(packing.PackingError, match="no `juju` here"):
        packing.download("microovn", "latest/edge", BASE)


def _no_such_program(command: Sequence[str], **_: object) -> None:
    raise FileNotFoundError(2, "No such file", command[0])
