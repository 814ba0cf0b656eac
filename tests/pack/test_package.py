"""What the library's package in dist/ holds, and that it does what its pages show."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = PROJECT / "library" / "src"
# A block of a page that is a file says so in its first line.
FILE = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
META = "type: charm\nname: micro\nsummary: A microcluster.\ndescription: A microcluster.\n"


@pytest.fixture
def wheel() -> pathlib.Path:
    """Return the path of the library's wheel."""
    (path,) = (PROJECT / "dist").glob("*.whl")
    return path


def test_archives_are_fit_for_an_index(wheel: pathlib.Path) -> None:
    """Their metadata is complete, and the README can be shown."""
    archives = [wheel, *wheel.parent.glob("*.tar.gz")]
    command = [sys.executable, "-m", "twine", "check", "--strict", *archives]
    subprocess.check_call(command)  # noqa: S603


def test_archives_hold_the_sources_and_the_licence(wheel: pathlib.Path) -> None:
    """With the marker of a typed package; in git the licence is a link."""
    paths = [path for path in SOURCES.rglob("*.*") if path.suffix != ".pyc" and path.is_file()]
    sources = {str(path.relative_to(SOURCES)): path.read_bytes() for path in paths}
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    (source_distribution,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(source_distribution) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]

    made = {name: files.pop(name) for name in [*files] if ".dist-info/" in name}
    assert files == sources
    assert "microcluster_token_distributor/py.typed" in files
    assert (PROJECT / "LICENSE").read_bytes() in made.values()
    (metadata,) = [text.decode() for name, text in made.items() if name.endswith("/METADATA")]
    # What tests need is an extra.
    assert re.findall("Requires-Dist: ((?:(?!extra).)+)\n", metadata) == ["ops>=2.10"]


def test_wheel_works_with_the_oldest_ops(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Installed by pip in an environment with nothing else, away from the project's sources."""
    tests = shutil.copytree(PROJECT / "tests" / "oldest", tmp_path / "oldest")
    locked = PROJECT / "requirements" / "oldest.txt"
    python = [tmp_path / "environment" / "bin" / "python", "-I", "-W", "error", "-m"]
    subprocess.check_call([sys.executable, "-m", "venv", tmp_path / "environment"])  # noqa: S603
    subprocess.check_call([*python, "pip", "install", "--require-hashes", "-r", locked])  # noqa: S603
    subprocess.check_call([*python, "pip", "install", wheel])  # noqa: S603
    subprocess.check_call([*python, "pip", "check"])  # noqa: S603

    subprocess.check_call([*python, "pytest", "-p", "no:cacheprovider", tests])  # noqa: S603


@pytest.mark.parametrize("page", ["library/README.md", "docs/how-to/use-in-a-charm.md"])
def test_examples_of_a_page_run_from_the_wheel(
    wheel: pathlib.Path, tmp_path: pathlib.Path, page: str
) -> None:
    """Its charm passes its unit tests."""
    files = dict(FILE.findall((PROJECT / page).read_text()))
    files["charmcraft.yaml"] += META
    files["pytest.ini"] = "[pytest]\npythonpath = src\nfilterwarnings = error\n"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    packages = tmp_path / "packages"
    python, environment = [sys.executable, "-m"], {"PYTHONPATH": str(packages)}
    subprocess.check_call([*python, "pip", "install", "--no-deps", "--target", packages, wheel])  # noqa: S603

    command = [*python, "pytest", "-p", "no:cacheprovider", "tests"]
    subprocess.check_call(command, cwd=tmp_path, env=environment)  # noqa: S603
