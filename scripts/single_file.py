"""Make the library's single file, for charms that vendor it, from the package in library/.

Without an option this compares, and exits with 1 where they differ; `--write` makes the file anew.
The modules share one namespace there: `_wire.Report` becomes `Report`, imports are merged, and
whatever would mean something else by that is refused.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import io
import pathlib
import symtable
import sys
import textwrap
import tokenize

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
_MARK = "_qualified_"


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
    groups: dict[tuple[bool, bool, str], list[str]] = {}
    for line in imports:
        source, _, name = line.rpartition("import ")
        module = source.removeprefix("from ").strip() or name.split()[0]
        foreign = module.partition(".")[0] not in sys.stdlib_module_names
        groups.setdefault((foreign, bool(source), module), []).append(name)
    sections: dict[bool, list[str]] = {False: [], True: []}
    for (foreign, is_from, module), names in sorted(groups.items()):
        names.sort(key=lambda name: (not name.isupper(), not name[0].isupper(), name))
        line = f"from {module} import {', '.join(names)}" if is_from else f"import {names[0]}"
        if len(line) > 95:
            line = f"from {module} import (\n    " + ",\n    ".join(names) + ",\n)"
        sections[foreign].append(line)
    return "\n\n".join("\n".join(lines) for lines in sections.values() if lines)


def unqualified(source: str, mark: str) -> list[str]:
    """Return the lines with `_wire.Report` as `Report` behind a mark, save in strings."""
    lines = source.splitlines()
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    nested = 0  # in f-strings, each of which is a single token before Python 3.12
    for index in range(len(tokens) - 3, 0, -1):
        last, token, dot, name = tokens[index - 1 : index + 3]
        kind = tokenize.tok_name[token.type]
        nested += (kind == "FSTRING_END") - (kind == "FSTRING_START")
        if token.string in MODULES and last.string != "." and dot.string == "." and not nested:
            (row, column), (same_row, rest) = token.start, name.start
            if row == same_row:
                lines[row - 1] = f"{lines[row - 1][:column]}{mark}{lines[row - 1][rest:]}"
    return lines


def part(name: str, source: str, found: dict[bool, set[str]], mark: str = "") -> str:
    """Return a module's part; `found` takes its imports, under True those for types alone."""
    lines, tree = unqualified(source, mark), ast.parse(source)
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
    return f"{comment.strip()}\n\n" + "\n".join(lines).strip("\n")


def check(plain: symtable.SymbolTable, marked: symtable.SymbolTable) -> None:
    """Refuse local names that hide a qualified one, and names of modules that are left."""
    where = f"{plain.get_name()}, line {plain.get_lineno()} of the single file"
    for symbol in (each.get_name() for each in marked.get_symbols()):
        name = symbol.removeprefix(_MARK)
        if name in MODULES:
            raise SingleFileError(f"{where}: {name} is in an f-string, or does not qualify a name")
        if name != symbol and plain.get_type() != "module" and not plain.lookup(name).is_global():
            raise SingleFileError(f"{where}: {name} of a module is hidden by a local name")
    for inner_plain, inner_marked in zip(plain.get_children(), marked.get_children(), strict=True):
        check(inner_plain, inner_marked)


def make(package: pathlib.Path) -> str:
    """Return the file's text.

    Raises:
        SingleFileError: it cannot be made of the package as it is.
    """
    preface = (package / "__init__.py").read_text()
    docstring, *rest = ast.parse(preface).body
    exported = [node for node in rest if not imported(node)]
    if any(not ast.unparse(node).startswith("__all__ = ") for node in exported):
        raise SingleFileError("__init__.py: holds more than imports and __all__")
    found: dict[bool, set[str]] = {False: set(), True: set()}
    sources = {name: (package / f"{name}.py").read_text() for name in MODULES}
    parts = {name: part(name, source, found) for name, source in sources.items()}
    marked = "\n".join(part(name, source, found, _MARK) for name, source in sources.items())
    check(*(symtable.symtable(x, NAME, "exec") for x in ("\n".join(parts.values()), marked)))
    found[False] -= {"from __future__ import annotations"}
    found[True] -= found[False]
    owners = {
        line.split()[-1].partition(".")[0]: "an import" for line in found[False] | found[True]
    }
    owners |= dict.fromkeys(("LIBID", "LIBAPI", "LIBPATCH", "logger"), "the header")
    for module, text in parts.items():
        for symbol in symtable.symtable(text, module, "exec").get_symbols():
            name = symbol.get_name()
            if symbol.is_assigned() and owners.setdefault(name, module) != module:
                raise SingleFileError(f"{name} is defined by {owners[name]} and by {module}")
    header = [
        ast.get_source_segment(preface, docstring) or "",
        NOTE,
        "from __future__ import annotations",
        merged(found[False]),
        "if TYPE_CHECKING:\n" + textwrap.indent(merged(found[True]), "    "),
        *(ast.get_source_segment(preface, node) or "" for node in exported),
        DIRECTIVES,
        *([LOGGER] if "import logging" in found[False] else []),
    ]
    return "\n\n".join(header) + "".join(f"\n\n\n{text}" for text in parts.values()) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="make the file anew")
    write = parser.parse_args(arguments).write
    try:
        text = make(PACKAGE)
    except SingleFileError as error:
        print(f"single_file: {error}", file=sys.stderr)
        return 1
    if write:
        TARGET.write_text(text)
        return 0
    old = TARGET.read_text().splitlines()
    changes = list(
        difflib.unified_diff(old, text.splitlines(), "is", "should be", lineterm="", n=0)
    )
    for line in changes[:20]:
        print(line)
    if changes:
        print(f"{TARGET.name} is not what the package makes: scripts/single_file.py --write")
    return int(bool(changes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
