"""What the library's package in dist/ holds, and that it does what its pages show."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = PROJECT / "library" / "src"
# A block of a page that is a file says so in its first line.
FILE = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
META = "type: charm\nname: micro\nsummary: A microcluster.\ndescription: A microcluster.\n"


def run(python: pathlib.Path, *words: str | pathlib.Path) -> str:
    """Run this without the project's folders in its path, and return what it prints."""
    return subprocess.check_output([python, "-I", "-W", "error", *words], text=True)  # noqa: S603


@pytest.fixture
def empty(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the Python of an environment with nothing in it."""
    environment = tmp_path / "environment"
    subprocess.check_call([sys.executable, "-m", "venv", environment])  # noqa: S603
    return environment / "bin" / "python"


def add_path(python: pathlib.Path, name: str, folder: object) -> None:
    """Let an environment have the packages in a folder, behind its own."""
    (installed,) = python.parents[1].glob("lib/python3.*/site-packages")
    (installed / f"{name}.pth").write_text(f"{folder}\n")


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


def test_wheel_works_with_the_oldest_ops(
    empty: pathlib.Path, wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Installed by pip, and not beside the project's own sources."""
    tests = shutil.copytree(PROJECT / "tests" / "oldest", tmp_path / "oldest")
    locked = PROJECT / "requirements" / "oldest.txt"
    run(empty, "-m", "pip", "install", "--require-hashes", "--requirement", locked)
    run(empty, "-m", "pip", "install", wheel)

    assert " passed" in run(empty, "-m", "pytest", "-p", "no:cacheprovider", tests)


@pytest.mark.parametrize("page", ["library/README.md", "docs/how-to/use-in-a-charm.md"])
def test_examples_of_a_page_run_from_the_wheel(
    empty: pathlib.Path,
    wheel: pathlib.Path,
    site_packages: pathlib.Path,
    tmp_path: pathlib.Path,
    page: str,
) -> None:
    """Beside what a charm has, locked ops alone, its charm passes its unit tests."""
    project = tmp_path / "project"
    files = dict(FILE.findall((PROJECT / page).read_text()))
    files["charmcraft.yaml"] += META
    files["pytest.ini"] = "[pytest]\npythonpath = src\nfilterwarnings = error\n"
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    add_path(empty, "charm", site_packages)
    run(empty, "-m", "pip", "install", "--no-index", wheel)
    # pytest and ops[testing]
    add_path(empty, "tests", sysconfig.get_path("purelib"))

    assert " passed" in run(empty, "-m", "pytest", "-p", "no:cacheprovider", project)
