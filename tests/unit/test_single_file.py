"""The library as one file: what the script makes of a package, and what it refuses to make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import single_file

if TYPE_CHECKING:
    import pathlib

INIT = '"""A package."""\n\n__all__ = ["name"]\n'
WIRE = "def name():\n    return 'name'\n"
IMPORT = f"from {single_file.NAME} import _wire\n\n"


def package(folder: pathlib.Path, **sources: str) -> pathlib.Path:
    """Write a package; the modules that are not given are empty."""
    for name in single_file.MODULES:
        (folder / f"{name}.py").write_text(sources.get(name, ""))
    (folder / "__init__.py").write_text(sources.get("__init__", INIT))
    return folder


def test_file_is_what_the_package_makes() -> None:
    """`make format` makes it so. A charm that vendors it does not have the package."""
    text = single_file.TARGET.read_text()

    assert text == single_file.make(single_file.PACKAGE)
    assert f"from {single_file.NAME}" not in text


def test_qualified_names_become_plain_where_they_are_names(tmp_path: pathlib.Path) -> None:
    line = "    return {}(), other._wire.name, '_wire.name'\n"
    source = f"{IMPORT}def say(other):\n{line.format('_wire.name')}"

    text = single_file.make(package(tmp_path, _wire=WIRE, _consumer=source))

    assert line.format("name") in text


@pytest.mark.parametrize(
    ("membership", "complaint"),
    [
        ("class name: ...\n", "defined twice: name"),
        ("LIBPATCH = 1\n", "defined twice: LIBPATCH"),
        (f"from {single_file.NAME} import testing\n", "line 1: one file cannot import that"),
        ("from . import _wire\n", "line 1: one file cannot import that"),
        (IMPORT + "def f(name): return _wire.name(name)\n", "of a module is hidden"),
    ],
)
def test_what_would_change_its_meaning_is_refused(
    tmp_path: pathlib.Path, membership: str, complaint: str
) -> None:
    with pytest.raises(single_file.SingleFileError, match=complaint):
        single_file.make(package(tmp_path, _wire=WIRE, _membership=membership))
