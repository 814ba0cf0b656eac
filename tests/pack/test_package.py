"""What the library's package holds, and that it installs, and does what its pages show.

The package is the one in dist/, where scripts/pack.py leaves it.
"""

from __future__ import annotations

import email.parser
import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

import pytest
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = PROJECT / "library" / "src"
PAGES = ("library/README.md", "docs/how-to/use-in-a-charm.md")
# A block of a page that is a file says so in its first line.
FILE = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
META = "type: charm\nname: micro\nsummary: A microcluster.\ndescription: A microcluster.\n"

USE = """\
import microcluster_token_distributor as library
for name in library.__all__:
    getattr(library, name)
print(library.__file__)
"""


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


@pytest.fixture
def python(empty: pathlib.Path, wheel: pathlib.Path, site_packages: pathlib.Path) -> pathlib.Path:
    """Return the Python of an environment with the wheel, and what a charm has: locked ops."""
    add_path(empty, "charm", site_packages)
    run(empty, "-m", "pip", "install", "--no-index", "--no-deps", wheel)
    return empty


def sources() -> dict[str, bytes]:
    """Return the package's files by their paths, from its folder on."""
    files = [path for path in SOURCES.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(SOURCES)): path.read_bytes()
        for path in files
        if "__pycache__" not in path.parts
    }


def test_archives_are_fit_for_an_index(
    wheel: pathlib.Path, source_distribution: pathlib.Path
) -> None:
    """Their metadata is complete, and the README can be shown."""
    command = [sys.executable, "-m", "twine", "check", "--strict", wheel, source_distribution]
    subprocess.check_call(command)  # noqa: S603


def test_archives_hold_the_sources_and_the_licence(
    wheel: pathlib.Path, source_distribution: pathlib.Path
) -> None:
    """With the marker of a typed package; in git the licence is a link."""
    licence = (PROJECT / "LICENSE").read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    with tarfile.open(source_distribution) as archive:
        members = {each.name.partition("/")[2]: each for each in archive.getmembers()}
        packed_licence = archive.extractfile(members["LICENSE"])
        assert packed_licence
        assert packed_licence.read() == licence

    assert {name: text for name, text in files.items() if ".dist-info/" not in name} == sources()
    assert "microcluster_token_distributor/py.typed" in files
    assert [text for name, text in files.items() if name.endswith("/LICENSE")] == [licence]
    assert {f"src/{name}" for name in sources()} <= members.keys()
    assert not [name for name, each in members.items() if each.issym() or each.islnk()]


def test_package_needs_ops_alone(wheel: pathlib.Path) -> None:
    """What tests need is an extra."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.parser.Parser().parsestr(archive.read(name).decode())

    needed = metadata.get_all("Requires-Dist") or []
    assert [each for each in needed if "extra ==" not in each] == ["ops>=2.10"]
    assert metadata["Requires-Python"] == ">=3.10"


def test_each_python_is_tested_before_it_is_published() -> None:
    """Those that the package names as its own."""
    text = (PROJECT / "library" / "pyproject.toml").read_text()
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "publish.yaml").read_text())

    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == named


def test_wheel_works_beside_ops_alone(python: pathlib.Path) -> None:
    """In an environment that has nothing else."""
    run(python, "-m", "pip", "--disable-pip-version-check", "check")

    path = pathlib.Path(run(python, "-c", USE).strip())

    installed = path.parents[1]
    assert installed.is_relative_to(python.parents[1])
    found = importlib.metadata.distributions(path=[str(installed)])
    assert {each.name for each in found} <= {"microcluster-token-distributor", "pip", "setuptools"}


def test_wheel_works_with_the_oldest_ops(
    empty: pathlib.Path, wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Installed by pip, and not beside the project's own sources."""
    tests = shutil.copytree(PROJECT / "tests" / "oldest", tmp_path / "oldest")
    locked = PROJECT / "requirements" / "oldest.txt"
    run(empty, "-m", "pip", "install", "--require-hashes", "--requirement", locked)
    run(empty, "-m", "pip", "install", wheel)

    assert " passed" in run(empty, "-m", "pytest", "-p", "no:cacheprovider", tests)


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_a_page_run_from_the_wheel(
    python: pathlib.Path, tmp_path: pathlib.Path, page: str
) -> None:
    """Its charm passes its unit tests."""
    project = tmp_path / "project"
    files = dict(FILE.findall((PROJECT / page).read_text()))
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    with (project / "charmcraft.yaml").open("a") as charmcraft:
        charmcraft.write(META)
    (project / "pytest.ini").write_text("[pytest]\npythonpath = src\nfilterwarnings = error\n")
    # pytest and ops[testing]
    add_path(python, "tests", sysconfig.get_path("purelib"))

    printed = run(python, "-m", "pytest", "-p", "no:cacheprovider", project)

    assert {"charmcraft.yaml", "src/charm.py", "tests/unit/test_charm.py"} <= set(files)
    assert " passed" in printed
