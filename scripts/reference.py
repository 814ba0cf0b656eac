"""Make docs/reference/library.md from the library's docstrings, which are read and not run.

`tox exec -e docs -- python scripts/reference.py --write` writes it; without that option the page
goes to the standard output. `tox -e docs` fails where the page differs.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import TYPE_CHECKING, Any, cast

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "library.md"
_MODULE = "charms.microcluster_token_distributor.v0.token_distributor"
_PREFACE = f"""\
# The library

<!-- Made by `tox exec -e docs -- python scripts/reference.py --write` from the docstrings. -->

`{_MODULE}` is one file, as Charmhub's
libraries are, and says the following of itself.

"""
_SECTIONS = {
    "For the charm of a microcluster": (
        "TokenConsumer",
        "TokenConsumerEvents",
        "ClusterPreBootstrapEvent",
        "ClusterBootstrappedEvent",
        "ClusterPreJoinEvent",
        "ClusterJoinedEvent",
        "TokenGeneratedEvent",
        "LeaveRefusedError",
        "mirror_id",
        "get_hostname",
    ),
    "For the distributor": ("TokenDistributorProvides",),
}
_REST = "The wire and the rules"
_DIRECTIVES = ("LIBID", "LIBAPI", "LIBPATCH", "logger")
"""What a library has to have for Charmhub's sake, or every module has."""
_MACHINERY = ("snapshot", "restore")
"""What an event has for ops' sake."""


def page() -> str:
    """Return the page."""
    module = griffe.load(
        _MODULE, search_paths=[ROOT / "lib"], docstring_parser="google", allow_inspection=False
    )
    if not isinstance(module, griffe.Module):
        raise TypeError(f"{_MODULE} is no module")
    placed = [name for names in _SECTIONS.values() for name in names]
    rest = [name for name in public(module) if name not in placed]
    parts = [f"{_PREFACE}{_docstring(module)}"]
    for title, names in {**_SECTIONS, _REST: rest}.items():
        parts.append(f"## {title}")
        for name in names:
            parts.extend(_described(module[name], "###"))
    return "\n\n".join(parts) + "\n"


def public(thing: griffe.Module | griffe.Class) -> list[str]:
    """Return the names of what a module or a class has for others, in the order of the source."""
    found = [
        member
        for name, member in thing.members.items()
        if isinstance(member, griffe.Object)
        and not name.startswith("_")
        and name not in _DIRECTIVES + _MACHINERY
        and (member.docstring or not isinstance(thing, griffe.Class))
    ]
    return [member.name for member in sorted(found, key=lambda member: member.lineno or 0)]


def _described(thing: griffe.Object, mark: str) -> Iterator[str]:
    """Describe an object under a heading, and those in it under lower ones."""
    yield f"{mark} `{thing.name}`"
    if signature := _signature(thing):
        yield f"```text\n{signature}\n```"
    for section in thing.docstring.parsed if thing.docstring else ():
        yield from _section(section)
    if not isinstance(thing, griffe.Class):
        return
    if listed := _plain_members(thing):
        yield "\n".join(listed)
    for name in public(thing):
        yield from _described(thing[name], f"{mark}#")


def _docstring(thing: griffe.Object) -> str:
    return thing.docstring.value if thing.docstring else ""


def _signature(thing: griffe.Object) -> str:
    """Return how something is called, or what it is; one parameter a line where they are many."""
    if isinstance(thing, griffe.Attribute):
        if "property" in thing.labels:
            return f"{thing.name}: {thing.annotation}"
        return f"{thing.name} = {thing.value}"
    if isinstance(thing, griffe.Class):
        parameters = [each for each in thing.parameters if each.name != "self"]
        returns = ""
        if _bases(thing) & {"EventBase", "Exception", "Enum", "ObjectEvents"}:
            # Whoever uses one does not make it.
            return ""
    elif isinstance(thing, griffe.Function):
        parameters = [each for each in thing.parameters if each.name not in ("self", "cls")]
        returns = f" -> {thing.returns}" if thing.returns else ""
    else:
        return ""
    texts: list[str] = []
    for parameter in parameters:
        keyword_only = parameter.kind is griffe.ParameterKind.keyword_only
        if keyword_only and "*" not in texts:
            texts.append("*")
        texts.append(_parameter(parameter))
    line = f"{thing.name}({', '.join(texts)}){returns}"
    if len(line) <= 88:
        return line
    return "\n".join([f"{thing.name}(", *(f"    {text}," for text in texts), f"){returns}"])


def _parameter(parameter: griffe.Parameter) -> str:
    text = parameter.name
    if parameter.annotation is not None:
        text += f": {parameter.annotation}"
    if parameter.default is not None:
        text += f" = {parameter.default}"
    return text


def _bases(thing: griffe.Class) -> set[str]:
    return {str(base).rpartition(".")[2] for base in thing.bases}


def _plain_members(thing: griffe.Class) -> list[str]:
    """List the members of an enumeration, and the events of a class of such."""
    attributes = [
        member
        for member in thing.members.values()
        if isinstance(member, griffe.Attribute) and not member.name.startswith("_")
    ]
    if "Enum" in _bases(thing):
        return [f"- `{each.name}`: {str(each.value).strip(_QUOTES)}" for each in attributes]
    if "ObjectEvents" in _bases(thing):
        sources = {each.name: str(each.value).rpartition("(")[2].strip(")") for each in attributes}
        return [
            f"- `{name}`: [`{event}`](#{event.lower()})" for name, event in sorted(sources.items())
        ]
    return []


_QUOTES = "\"'"


def _section(section: griffe.DocstringSection) -> Iterator[str]:
    """Give the Markdown of one section of a docstring."""
    value: Any = section.value
    if isinstance(section, griffe.DocstringSectionText):
        yield str(value)
        return
    titles = {
        griffe.DocstringSectionKind.parameters: "Arguments",
        griffe.DocstringSectionKind.attributes: "Attributes",
        griffe.DocstringSectionKind.returns: "Returns",
        griffe.DocstringSectionKind.yields: "Yields",
        griffe.DocstringSectionKind.raises: "Raises",
    }
    kind = cast("griffe.DocstringSectionKind", section.kind)  # pyright: ignore[reportUnknownMemberType]
    yield f"{titles[kind]}:"
    yield "\n".join(_item(kind, each) for each in value)


def _item(kind: griffe.DocstringSectionKind, item: Any) -> str:
    description = " ".join(str(item.description).split())
    if kind is griffe.DocstringSectionKind.raises:
        return f"- `{item.annotation}`: {description}"
    if kind in (griffe.DocstringSectionKind.returns, griffe.DocstringSectionKind.yields):
        return f"- {description}"
    return f"- `{item.name}`: {description}"


def main() -> int:
    """Write the page, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    if parser.parse_args().write:
        PAGE.write_text(page())
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
