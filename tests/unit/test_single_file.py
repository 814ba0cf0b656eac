"""The library as one file: what the script makes of a package, and what it refuses to make.

The packages here have the modules of the real one, with next to nothing in them.
"""

from __future__ import annotations

import ast
import types
from typing import TYPE_CHECKING

import pytest

from scripts import single_file

if TYPE_CHECKING:
    import pathlib

INIT = """\
\"\"\"A package.\"\"\"

from microcluster_token_distributor._consumer import Consumer

__all__ = ["Consumer"]
"""
WIRE = """\
\"\"\"The wire.

What is read.
\"\"\"

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib

logger = logging.getLogger(__name__)
EMPTY = "empty"


@dataclasses.dataclass
class Report:
    \"\"\"A report.\"\"\"

    path: pathlib.Path | None = None


def name(report: Report) -> str:
    logger.debug("naming")
    return EMPTY
"""
CONSUMER = """\
\"\"\"The consumer.\"\"\"

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    import dataclasses

logger = logging.getLogger(__name__)


class Consumer:
    text = "_wire.Report"

    def read(self, other: Any) -> tuple[str, Any]:
        \"\"\"See `_wire.name`.\"\"\"
        return _wire.name(_wire.Report()), other._wire.name
"""
PACKAGE = "microcluster_token_distributor"
IMPORT = f"from {PACKAGE} import _wire\n\n"


def package(folder: pathlib.Path, **sources: str) -> pathlib.Path:
    """Write a package; the modules that are not given are empty."""
    for name in single_file.MODULES:
        (folder / f"{name}.py").write_text(sources.get(name, ""))
    (folder / "__init__.py").write_text(sources.get("__init__", INIT))
    return folder


def test_modules_become_one_that_runs(tmp_path: pathlib.Path) -> None:
    """Qualified names are plain ones there, in every place where they are names."""
    text = single_file.make(package(tmp_path, _wire=WIRE, _consumer=CONSUMER))

    made = types.ModuleType("made")
    exec(compile(text, "made", "exec"), vars(made))  # noqa: S102 - it is what is tested
    other = types.SimpleNamespace(_wire=types.SimpleNamespace(name="theirs"))
    assert made.Consumer().read(other) == ("empty", "theirs")
    assert made.Consumer.text == "_wire.Report"
    assert made.Consumer.read.__doc__ == "See `_wire.name`."


def test_head_has_what_charmhub_reads(tmp_path: pathlib.Path) -> None:
    """The docstring, the imports, the exported names, the directives, and then the modules."""
    text = single_file.make(package(tmp_path, _wire=WIRE, _consumer=CONSUMER))

    head, wire, *_ = text.split("# --- ")
    assert (
        head
        == f'''\
"""A package."""

{single_file.NOTE}

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pathlib

__all__ = ["Consumer"]

{single_file.DIRECTIVES}

{single_file.LOGGER}


'''
    )
    assert "\n# The wire.\n#\n# What is read.\n\nEMPTY = " in wire
    assert text.count(single_file.LOGGER) == 1


@pytest.mark.parametrize(
    ("membership", "complaint"),
    [
        ("class Report: ...\n", "defined twice: Report"),
        ("dataclasses = 1\n", "defined twice: dataclasses"),
        ("LIBPATCH = 1\n", "defined twice: LIBPATCH"),
        (f"from {PACKAGE} import testing\n", "line 1: one file cannot import"),
        (f"from {PACKAGE} import _consumer\n", "line 1: one file cannot"),
        (f"from {PACKAGE}._wire import name\n", "line 1: one file cannot"),
        (f"from {PACKAGE} import _wire as w\n", "line 1: one file cannot"),
        ("from . import _wire\n", "line 1: one file cannot import that"),
        (IMPORT + "def f(name): return _wire.name(name)\n", "of a module is hidden"),
        (IMPORT + "def f():\n    name = 1\n    return lambda: _wire.name\n", "is hidden"),
        (IMPORT + "class A:\n    name = _wire.name\n", "A, line .* is hidden"),
        (IMPORT + "x = _wire\n", "line 3: _wire qualifies no name"),
    ],
)
def test_what_would_change_its_meaning_is_refused(
    tmp_path: pathlib.Path, membership: str, complaint: str
) -> None:
    made_of = package(tmp_path, _wire=WIRE, _membership=membership, _consumer=CONSUMER)

    with pytest.raises(single_file.SingleFileError, match=complaint):
        single_file.make(made_of)


def test_file_is_what_the_package_makes() -> None:
    """`make format` makes it so."""
    assert single_file.TARGET.read_text() == single_file.make(single_file.PACKAGE)


def test_file_imports_nothing_but_ops_and_the_standard_library() -> None:
    """A charm that vendors it has no package of that name."""
    tree = ast.parse(single_file.TARGET.read_text())

    imported = {
        line.split()[1].partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        for line in single_file.imported(node)
    }

    assert "ops" in imported
    assert single_file.NAME not in imported
