"""What scripts/pack.py leaves in dist/, unpacked."""

from __future__ import annotations

import pathlib
import stat
import zipfile

import pytest

DIST = pathlib.Path(__file__).resolve().parents[2] / "dist"


@pytest.fixture(scope="session")
def packed() -> pathlib.Path:
    """Return the path of the packed charm."""
    (charm,) = DIST.glob("*.charm")
    return charm


@pytest.fixture
def charm_dir(packed: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """Unpack the charm as Juju does, file modes included, and return its directory."""
    directory = tmp_path / "charm"
    with zipfile.ZipFile(packed) as archive:
        for item in archive.infolist():
            unpacked = pathlib.Path(archive.extract(item, directory))
            unpacked.chmod(stat.S_IMODE(item.external_attr >> 16) or 0o644)
    return directory


@pytest.fixture
def site_packages(charm_dir: pathlib.Path) -> pathlib.Path:
    """Return the directory of the packages in the unpacked charm's virtual environment."""
    (directory,) = charm_dir.glob("venv/lib/python3.*/site-packages")
    return directory


@pytest.fixture(scope="session")
def wheel() -> pathlib.Path:
    """Return the path of the library's wheel."""
    (path,) = DIST.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def source_distribution() -> pathlib.Path:
    """Return the path of what the wheel is built from."""
    (path,) = DIST.glob("*.tar.gz")
    return path
