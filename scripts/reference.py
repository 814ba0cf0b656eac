"""Make docs/reference/library.md from the docstrings of the package, which are read and not run.

`tox exec -e docs -- python scripts/reference.py --write` writes it; without that option the page
goes to the standard output. `tox -e docs` fails where the page differs.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
from typing import TYPE_CHECKING, Any

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
_FOR_CHARMS = (
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
)
# What an event has for ops.
_FOR_OPS = ("snapshot", "restore")
# The bases of classes that only the library makes.
_MADE_HERE = {"EventBase", "Exception", "ObjectEvents", "Protocol"}
_TITLES = {
    "parameters": "Arguments",
    "attributes": "Attributes",
    "returns": "Returns",
    "yields": "Yields",
    "raises": "Raises",
}


def page() -> str:
    """Return the page."""
    package: Any = griffe.load(
        _PACKAGE,
        search_paths=[ROOT / "library" / "src"],
        docstring_parser="google",
        allow_inspection=False,
    )
    rest = [name for name in map(str, package.exports or ()) if name not in _FOR_CHARMS]
    parts = [f"{_PREFACE}{package.docstring.value}"]
    sections = {"For the charm of a microcluster": _FOR_CHARMS, "The workload": rest}
    for title, names in sections.items():
        parts.append(f"## {title}")
        for name in names:
            thing = package[name]
            parts.extend(_described(thing.final_target if thing.is_alias else thing, "###"))
    return "\n\n".join(parts) + "\n"


def _described(thing: griffe.Object, mark: str) -> Iterator[str]:
    """Describe an object under a heading, and what is public in it under lower ones."""
    yield f"{mark} `{thing.name}`"
    if signature := _signature(thing):
        yield f"```text\n{signature}\n```"
    for section in thing.docstring.parsed if thing.docstring else ():
        yield from _section(section)
    if not isinstance(thing, griffe.Class):
        return
    members = [
        member
        for name, member in thing.members.items()
        if isinstance(member, griffe.Object) and name.strip("_") == name and name not in _FOR_OPS
    ]
    if "ObjectEvents" in _bases(thing):
        events = {m.name: str(m.value) for m in members if isinstance(m, griffe.Attribute)}
        kinds = {name: re.sub(r".*\(|\)", "", value) for name, value in sorted(events.items())}
        yield "\n".join(f"- `{name}`: [`{k}`](#{k.lower()})" for name, k in kinds.items())
    for member in sorted(members, key=lambda member: member.lineno or 0):
        if member.docstring:
            yield from _described(member, f"{mark}#")


def _signature(thing: griffe.Object) -> str:
    """Return how something is called, or what it is; one parameter a line if they are many."""
    if isinstance(thing, griffe.Attribute):
        is_property = "property" in thing.labels
        return f"{thing.name}" + (f": {thing.annotation}" if is_property else f" = {thing.value}")
    if not isinstance(thing, (griffe.Class, griffe.Function)) or _bases(thing) & _MADE_HERE:
        return ""
    texts: list[str] = []
    for parameter in thing.parameters:
        if parameter.kind is griffe.ParameterKind.keyword_only and "*" not in texts:
            texts.append("*")
        text = parameter.name
        text += f": {parameter.annotation}" if parameter.annotation is not None else ""
        text += f" = {parameter.default}" if parameter.default is not None else ""
        if text not in ("self", "cls"):
            # The package's own modules are not public.
            texts.append(re.sub(r"\b_\w+\.", "", text))
    returned = thing.returns if isinstance(thing, griffe.Function) else None
    returns = f" -> {returned}" if returned else ""
    line = f"{thing.name}({', '.join(texts)}){returns}"
    if len(line) <= 88:
        return line
    return "\n".join([f"{thing.name}(", *(f"    {text}," for text in texts), f"){returns}"])


def _bases(thing: griffe.Object) -> set[str]:
    bases = thing.bases if isinstance(thing, griffe.Class) else ()
    return {str(base).rpartition(".")[2] for base in bases}


def _section(section: griffe.DocstringSection) -> Iterator[str]:
    """Give the Markdown of one section of a docstring."""
    value: Any = section.value
    if isinstance(section, griffe.DocstringSectionText):
        yield str(value)
        return
    kind = str(section.kind.value)  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
    yield f"{_TITLES[kind]}:"
    names = {"raises": "annotation", "returns": "", "yields": ""}
    items: list[str] = []
    for item in value:
        name = getattr(item, names.get(kind, "name"), "")
        description = " ".join(str(item.description).split())
        items.append(f"- `{name}`: {description}" if name else f"- {description}")
    yield "\n".join(items)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    if parser.parse_args().write:
        PAGE.write_text(page())
    else:
        sys.stdout.write(page())
