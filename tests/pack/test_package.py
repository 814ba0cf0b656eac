"""What the library's package holds, and that it can be installed and used.

The package is the one in dist/, where scripts/pack.py leaves it.
"""

from __future__ import annotations

import email.parser
import importlib.metadata
import pathlib
import subprocess
import sys
import tarfile
import zipfile

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = PROJECT / "library" / "src"
LICENCE = (PROJECT / "LICENSE").read_bytes()

USE = """\
import importlib.metadata, pathlib
import microcluster_token_distributor as library
for name in library.__all__:
    getattr(library, name)
assert importlib.metadata.version("microcluster-token-distributor")
print(pathlib.Path(library.__file__).parent)
"""


def sources() -> dict[str, bytes]:
    """Return the package's files by their paths, from its directory on."""
    return {
        str(path.relative_to(SOURCES)): path.read_bytes()
        for path in SOURCES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_the_modules_the_marker_and_the_licence(wheel: pathlib.Path) -> None:
    """Type checkers believe a package that has py.typed."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}

    metadata = {name: text for name, text in files.items() if ".dist-info/" in name}
    assert {name: files[name] for name in files.keys() - metadata.keys()} == sources()
    assert "microcluster_token_distributor/py.typed" in files
    assert [text for name, text in metadata.items() if name.endswith("/LICENSE")] == [LICENCE]


def test_wheel_asks_for_ops_alone(wheel: pathlib.Path) -> None:
    """A charm gets nothing else by it."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.parser.Parser().parsestr(archive.read(name).decode())

    assert metadata["Name"] == "microcluster-token-distributor"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("Requires-Dist") == ["ops>=2.10"]


def test_source_distribution_holds_the_licence_itself(source_distribution: pathlib.Path) -> None:
    """In git it is a link, which would lead nowhere."""
    with tarfile.open(source_distribution) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
        licence = archive.extractfile(members["LICENSE"])

        assert licence
        assert licence.read() == LICENCE
        assert {f"src/{name}" for name in sources()} <= members.keys()
        assert not [name for name, member in members.items() if member.issym() or member.islnk()]


def test_wheel_installs_and_works_beside_ops_alone(
    wheel: pathlib.Path, site_packages: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The charm brings ops, and what that needs, in the versions that are locked."""
    environment = tmp_path / "environment"
    python = environment / "bin" / "python"
    subprocess.check_call([sys.executable, "-m", "venv", environment])  # noqa: S603 - ours
    (installed,) = environment.glob("lib/python3.*/site-packages")
    (installed / "charm.pth").write_text(f"{site_packages}\n")

    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.check_call(  # noqa: S603 - the package under test
        [*pip, "install", "--no-index", "--no-deps", wheel], cwd=tmp_path
    )
    subprocess.check_call([*pip, "check"], cwd=tmp_path)  # noqa: S603 - it only reads
    used = subprocess.check_output([python, "-I", "-W", "error", "-c", USE], text=True)  # noqa: S603

    assert pathlib.Path(used.strip()).parent == installed
    found = importlib.metadata.distributions(path=[str(installed)])
    assert {each.name for each in found} <= {"microcluster-token-distributor", "pip", "setuptools"}
