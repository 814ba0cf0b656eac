"""Make docs/reference/library.md from the docstrings of the package, which are read and not run.

`tox exec -e docs -- python scripts/reference.py --write` writes it; without that option the page
goes to the standard output. `tox -e docs` fails where the page differs.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
from typing import TYPE_CHECKING, Any, cast

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "library.md"
_PACKAGE = "microcluster_token_distributor"
_PREFACE = f"""\
# The library

<!-- Made by `tox exec -e docs -- python scripts/reference.py --write` from the docstrings. -->

All names below are in the package `{_PACKAGE}`, and likewise in the single file that
charms vendor. What is not here is not public.

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
        "ClusterPreLeaveEvent",
        "LeaveRefusedError",
        "mirror_id",
        "get_hostname",
    ),
}
_REST = "The workload"
_MACHINERY = ("snapshot", "restore")
"""What an event has for ops' sake."""


def page() -> str:
    """Return the page."""
    package = griffe.load(
        _PACKAGE,
        search_paths=[ROOT / "library" / "src"],
        docstring_parser="google",
        allow_inspection=False,
    )
    if not isinstance(package, griffe.Module):
        raise TypeError(f"{_PACKAGE} is no package")
    placed = [name for names in _SECTIONS.values() for name in names]
    rest = [name for name in map(str, package.exports or ()) if name not in placed]
    parts = [f"{_PREFACE}{_docstring(package)}"]
    for title, names in {**_SECTIONS, _REST: rest}.items():
        parts.append(f"## {title}")
        for name in names:
            thing = package[name]
            parts.extend(_described(thing.final_target if thing.is_alias else thing, "###"))
    return "\n\n".join(parts) + "\n"


def public(thing: griffe.Class) -> list[str]:
    """Return the names of what a class has for others, in the order of the source."""
    found = [
        member
        for name, member in thing.members.items()
        if isinstance(member, griffe.Object)
        and not name.startswith("_")
        and name not in _MACHINERY
        and member.docstring
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
        if _bases(thing) & {"EventBase", "Exception", "ObjectEvents", "Protocol"}:
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
    # The package's own modules are not public.
    texts = [re.sub(r"\b_\w+\.", "", text) for text in texts]
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
    """List the events of a class of such."""
    attributes = [
        member
        for member in thing.members.values()
        if isinstance(member, griffe.Attribute) and not member.name.startswith("_")
    ]
    if "ObjectEvents" in _bases(thing):
        sources = {each.name: str(each.value).rpartition("(")[2].strip(")") for each in attributes}
        return [
            f"- `{name}`: [`{event}`](#{event.lower()})" for name, event in sorted(sources.items())
        ]
    return []


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
