"""Make docs/reference/library.md from the docstrings of the package, which are read and not run.

`tox -e docs` fails where the page differs.
"""

from __future__ import annotations

import pathlib
import re
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "library.md"
_PACKAGE = "microcluster_token_distributor"
_PREFACE = f"""\
# The library

<!-- Made by `tox exec -e docs -- python scripts/reference.py` from the docstrings. -->

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
# The bases of classes that only the library makes.
_MADE_HERE = {"EventBase", "Exception", "ObjectEvents", "Protocol"}


def page() -> str:
    """Return the page."""
    source = ROOT / "library" / "src"
    package: Any = griffe.load(_PACKAGE, search_paths=[source], docstring_parser="google")
    rest = [name for name in map(str, package.exports) if name not in _FOR_CHARMS]
    parts = [f"{_PREFACE}{package.docstring.value}"]
    sections = {"For the charm of a microcluster": _FOR_CHARMS, "The workload": rest}
    for title, names in sections.items():
        parts.append(f"## {title}")
        for name in names:
            parts.extend(_described(package[name].final_target, "###"))
    return "\n\n".join(parts) + "\n"


def _described(thing: Any, mark: str) -> Iterator[str]:
    """Describe an object under a heading, and what is public in it under lower ones."""
    yield f"{mark} `{thing.name}`"
    bases = {str(base).rpartition(".")[2] for base in getattr(thing, "bases", ())}
    if not bases & _MADE_HERE:
        yield f"```text\n{_signature(thing)}\n```"
    yield from map(_section, thing.docstring.parsed)
    if not thing.is_class:
        return
    if "ObjectEvents" in bases:
        events: list[str] = []
        for name, event in sorted(thing.attributes.items()):
            kind = re.sub(r".*\(|\)", "", str(event.value))
            events.append(f"- `{name}`: [`{kind}`](#{kind.lower()})")
        yield "\n".join(events)
    for member in thing.members.values():
        # What an event has for ops is not for charms.
        if member.is_public and member.docstring and member.name not in ("snapshot", "restore"):
            yield from _described(member, f"{mark}#")


def _signature(thing: Any) -> str:
    """Return how something is called, or what it is; one parameter a line if they are many."""
    if "property" in thing.labels:
        return f"{thing.name}: {thing.annotation}"
    if thing.is_attribute:
        return f"{thing.name} = {thing.value}"
    # The package's own modules are not public.
    line = re.sub(r"\b_\w+\.", "", thing.signature())
    if len(line) <= 88:
        return line
    line = re.sub(r", (?=\w+: |\*,)", ",\n    ", line)
    return re.sub(r"(?s)\((.*)\)", r"(\n    \1,\n)", line)


def _section(section: Any) -> str:
    """Return the Markdown of one section of a docstring."""
    kind = section.kind.value
    if kind == "text":
        return section.value
    lines = ["Arguments:\n" if kind == "parameters" else f"{kind.capitalize()}:\n"]
    for item in section.value:
        name = getattr(item, "name", item.annotation)
        description = " ".join(item.description.split())
        lines.append(f"- `{name}`: {description}" if name else f"- {description}")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
