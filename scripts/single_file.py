"""Make the library's single file, for charms that vendor it, from the package in library/.

The modules share one namespace there: `_wire.Report` becomes `Report`, imports are merged, and
whatever would mean something else by that is refused.
"""

from __future__ import annotations

import ast
import pathlib
import re
import symtable
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAME = "microcluster_token_distributor"
PACKAGE = ROOT / "library" / "src" / NAME
TARGET = ROOT / "lib" / "charms" / NAME / "v0" / "token_distributor.py"
# Each after those that it needs when it is imported.
MODULES = ("_wire", "_membership", "_workload", "_consumer")
NOTE = "# Made from the package microcluster-token-distributor: change that instead."
DIRECTIVES = """\
# The unique Charmhub library identifier, never change it
LIBID = "ec674038842544928b4e21ee6e199666"

# Increment this major API version when introducing breaking changes
LIBAPI = 0

# Increment this PATCH version before using `charmcraft publish-lib` or reset
# to 0 if you are raising the major API version
LIBPATCH = 9"""
LOGGER = "logger = logging.getLogger(__name__)"
# Not in a string or a docstring, where a quotation mark or a backtick is before it.
_QUALIFIED = re.compile(rf"(?<![\w.`'\"])(?:{'|'.join(MODULES)})\.(\w+)")


class SingleFileError(Exception):
    """As one file the package would mean something else."""


def imported(node: ast.stmt) -> set[str]:
    """Return what a statement imports, as a statement for each name."""
    if isinstance(node, ast.Import):
        return {f"import {ast.unparse(each)}" for each in node.names}
    if isinstance(node, ast.ImportFrom):
        source = "." * node.level + (node.module or "")
        return {f"from {source} import {ast.unparse(each)}" for each in node.names}
    return set()


def merged(imports: set[str]) -> str:
    """Return import statements as ruff sorts them."""
    names: dict[str, list[str]] = {}
    for line in sorted(imports, key=lambda line: (not line.split()[-1].isupper(), line)):
        source, _, name = line.rpartition(" import ")
        names.setdefault(source or line, []).append(name)
    sections: dict[bool, list[str]] = {False: [], True: []}
    for source in sorted(names, key=lambda source: (source.startswith("from "), source)):
        foreign = source.split()[1].partition(".")[0] not in sys.stdlib_module_names
        rest = f" import {', '.join(names[source])}" if source.startswith("from ") else ""
        sections[foreign].append(source + rest)
    return "\n\n".join("\n".join(lines) for lines in sections.values() if lines)


def part(name: str, source: str, found: dict[bool, set[str]]) -> str:
    """Return a module's part; `found` takes its imports, under True those for types alone."""
    lines, tree = source.splitlines(), ast.parse(source)
    docstring = ast.get_docstring(tree)
    for node in reversed(tree.body):
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        block = node.body if isinstance(node, ast.If) and typing else [node]
        imports = {line for statement in block for line in imported(statement)}
        siblings = {line for line in imports if line.split()[1].startswith((NAME, "."))}
        found[typing] |= imports - siblings
        there = MODULES if typing else MODULES[: MODULES.index(name)]
        if siblings - {f"from {NAME} import {each}" for each in there}:
            raise SingleFileError(f"{name}.py, line {node.lineno}: one file cannot import that")
        if imports or ast.unparse(node) == LOGGER or (docstring and node is tree.body[0]):
            end = node.end_lineno or 0
            end += lines[end : end + 1] == [""]
            del lines[node.lineno - 1 : end]
    comment = f"--- {name} ".ljust(97, "-") + f"\n{docstring or ''}"
    comment = textwrap.indent(comment, "# ", lambda _: True).replace("# \n", "#\n")
    return f"{comment.strip()}\n\n" + _QUALIFIED.sub(r"\1", "\n".join(lines).strip("\n"))


def check(module: str, source: str) -> None:
    """Refuse local names that hide a qualified one."""
    qualified = set(_QUALIFIED.findall(source))
    scopes = symtable.symtable(source, module, "exec").get_children()
    for scope in scopes:
        scopes.extend(scope.get_children())
        for symbol in scope.get_symbols():
            if symbol.is_local() and symbol.get_name() in qualified:
                where = f"{module}.py, {scope.get_name()}, line {scope.get_lineno()}"
                raise SingleFileError(f"{where}: {symbol.get_name()} of a module is hidden")


def make(package: pathlib.Path) -> str:
    """Return the file's text.

    Raises:
        SingleFileError: it cannot be made of the package as it is.
    """
    preface = (package / "__init__.py").read_text()
    docstring, *rest = ast.parse(preface).body
    found: dict[bool, set[str]] = {False: set(), True: set()}
    names = ["LIBID", "LIBAPI", "LIBPATCH", "logger"]
    parts: list[str] = []
    for module in MODULES:
        source = (package / f"{module}.py").read_text()
        check(module, source)
        parts.append(part(module, source, found))
        symbols = symtable.symtable(parts[-1], module, "exec").get_symbols()
        names += [symbol.get_name() for symbol in symbols if symbol.is_assigned()]
    found[False] -= {"from __future__ import annotations"}
    found[True] -= found[False]
    names += [line.split()[-1] for line in found[False] | found[True]]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SingleFileError(f"defined twice: {', '.join(twice)}")
    header = [
        ast.get_source_segment(preface, docstring) or "",
        NOTE,
        "from __future__ import annotations",
        merged(found[False]),
        "if TYPE_CHECKING:\n" + textwrap.indent(merged(found[True]), "    "),
        *(ast.get_source_segment(preface, node) or "" for node in rest if not imported(node)),
        DIRECTIVES,
        LOGGER,
    ]
    return "\n\n".join(header) + "".join(f"\n\n\n{text}" for text in parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(make(PACKAGE))
