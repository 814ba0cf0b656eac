"""The Markdown files of the repository, and what is in them."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
from typing import TYPE_CHECKING

import markdown_it

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it import token

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
_GLOBS = (
    *("*.md", ".github/**/*.md", "docs/**/*.md", "library/*.md", "terraform/*.md"),
    "tests/**/*.md",
)

# What GitHub leaves out of a heading's anchor.
_NOT_IN_ANCHOR = re.compile(r"[^\w\- ]")


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: what is said of it; empty for an indented one.
        text: what is in it.
        line: of the page, from 1, where it begins.
    """

    language: str
    text: str
    line: int


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; each cell is as it reads, without the backticks.

    Attributes:
        header: the cells of the first row.
        rows: those of the others.
        line: of the page, from 1.
    """

    header: list[str]
    rows: list[list[str]]
    line: int


class Page:
    """A Markdown file.

    Attributes:
        path: where it is.
        name: the same, within the repository.
        text: what is in it.
    """

    def __init__(self, path: pathlib.Path, text: str | None = None):
        self.path = path
        self.name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
        self.text = path.read_text() if text is None else text
        self._tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(self.text)

    def __repr__(self) -> str:
        return self.name

    def blocks(self) -> Iterator[Block]:
        """Give its blocks of code."""
        for each in self._tokens:
            if each.type in ("fence", "code_block"):
                yield Block(each.info.strip(), each.content, (each.map or [0])[0] + 1)

    def links(self) -> Iterator[str]:
        """Give where its links and images lead to."""
        for each in self._inline():
            for key in ("href", "src"):
                if key in each.attrs:
                    yield str(each.attrs[key])

    def codes(self) -> Iterator[str]:
        """Give what stands between backticks in its text."""
        for each in self._inline():
            if each.type == "code_inline":
                yield each.content

    def anchors(self) -> set[str]:
        """Return the anchors that GitHub gives to its headings."""
        found: dict[str, int] = {}
        anchors: set[str] = set()
        for heading, text in zip(self._tokens, self._tokens[1:], strict=False):
            if heading.type != "heading_open":
                continue
            anchor = _NOT_IN_ANCHOR.sub("", _plain(text).strip().lower()).replace(" ", "-")
            number = found.get(anchor, 0)
            found[anchor] = number + 1
            anchors.add(f"{anchor}-{number}" if number else anchor)
        return anchors

    def tables(self) -> Iterator[Table]:
        """Give its tables."""
        rows: list[list[str]] = []
        line = 0
        for each in self._tokens:
            if each.type == "table_open":
                rows, line = [], (each.map or [0])[0] + 1
            elif each.type == "tr_open":
                rows.append([])
            elif each.type == "inline" and rows and each.level >= _IN_TABLE:
                rows[-1].append(_plain(each))
            elif each.type == "table_close":
                yield Table(rows[0], rows[1:], line)
                rows = []

    def _inline(self) -> Iterator[token.Token]:
        for each in self._tokens:
            yield from each.children or ()


# A cell's content is in a table, in its body, in a row, in the cell.
_IN_TABLE = 4


def _plain(inline: token.Token) -> str:
    """Return the text of a heading or a cell."""
    return "".join(
        each.content for each in inline.children or () if each.type in ("text", "code_inline")
    )


@functools.cache
def page(path: pathlib.Path) -> Page:
    """Return a page, parsed once."""
    return Page(path)


def every_page() -> list[Page]:
    """Return all pages of the repository."""
    return [page(path) for glob in _GLOBS for path in sorted(ROOT.glob(glob))]
