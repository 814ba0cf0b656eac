"""What scripts/pack.py leaves in dist/, unpacked."""

from __future__ import annotations

import pathlib
import stat
import zipfile

import pytest

DIST = pathlib.Path(__file__).resolve().parents[2] / "dist"


@pytest.fixture
def charm_dir(tmp_path: pathlib.Path) -> pathlib.Path:
    """Unpack the charm as Juju does, file modes included, and return its directory."""
    (packed,) = DIST.glob("*.charm")
    with zipfile.ZipFile(packed) as archive:
        for item in archive.infolist():
            assert not stat.S_ISLNK(item.external_attr >> 16), "it leads to another machine's file"
            unpacked = pathlib.Path(archive.extract(item, tmp_path / "charm"))
            unpacked.chmod(stat.S_IMODE(item.external_attr >> 16) or 0o644)
    return tmp_path / "charm"


@pytest.fixture
def site_packages(charm_dir: pathlib.Path) -> pathlib.Path:
    """Return the directory of the packages in the unpacked charm's virtual environment."""
    (directory,) = charm_dir.glob("venv/lib/python3.*/site-packages")
    return directory


@pytest.fixture
def wheel() -> pathlib.Path:
    """Return the path of the library's wheel."""
    (path,) = DIST.glob("*.whl")
    return path
