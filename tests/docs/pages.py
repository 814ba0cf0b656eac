"""The Markdown files of the repository, and what is in them."""

from __future__ import annotations

import collections
import functools
import pathlib
import re
from typing import TYPE_CHECKING, NamedTuple

import markdown_it

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it import token

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
_GLOBS = (
    "*.md",
    ".github/**/*.md",
    "docs/**/*.md",
    "library/*.md",
    "terraform/*.md",
    "tests/**/*.md",
)

# A table's cell is in the table, its body, a row and the cell.
_IN_TABLE = 4


class Block(NamedTuple):
    """A block of code: its language, empty if indented; its text; the line where it begins."""

    language: str
    text: str
    line: int


class Table(NamedTuple):
    """A table; each cell is as it reads, without the backticks."""

    header: list[str]
    rows: list[list[str]]


class Page:
    """A Markdown file.

    Attributes:
        path: where it is.
        text: what is in it.
    """

    def __init__(self, path: pathlib.Path, text: str | None = None):
        self.path = path
        self.text = path.read_text() if text is None else text
        self._tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(self.text)

    def __repr__(self) -> str:
        return str(self.path.relative_to(ROOT))

    def blocks(self) -> list[Block]:
        """Return its blocks of code."""
        return [
            Block(each.info.strip(), each.content, (each.map or [0])[0] + 1)
            for each in self._tokens
            if each.type in ("fence", "code_block")
        ]

    def links(self) -> list[str]:
        """Return where its links and images lead to."""
        found = (each.attrs.get("href") or each.attrs.get("src") for each in self._inline())
        return [str(link) for link in found if link is not None]

    def codes(self) -> list[str]:
        """Return what is between backticks in its text."""
        return [each.content for each in self._inline() if each.type == "code_inline"]

    def anchors(self) -> set[str]:
        """Return the anchors that GitHub gives to its headings."""
        found: collections.Counter[str] = collections.Counter()
        anchors: set[str] = set()
        for heading, text in zip(self._tokens, self._tokens[1:], strict=False):
            if heading.type == "heading_open":
                anchor = re.sub(r"[^\w\- ]", "", _plain(text).strip().lower()).replace(" ", "-")
                anchors.add(f"{anchor}-{found[anchor]}" if found[anchor] else anchor)
                found[anchor] += 1
        return anchors

    def tables(self) -> list[Table]:
        """Return its tables."""
        tables: list[list[list[str]]] = []
        for each in self._tokens:
            if each.type == "table_open":
                tables.append([])
            elif each.type == "tr_open":
                tables[-1].append([])
            elif each.type == "inline" and tables and each.level >= _IN_TABLE:
                tables[-1][-1].append(_plain(each))
        return [Table(rows[0], rows[1:]) for rows in tables]

    def _inline(self) -> Iterator[token.Token]:
        for each in self._tokens:
            yield from each.children or ()


def _plain(inline: token.Token) -> str:
    """Return the text of a heading or a cell."""
    children = inline.children or ()
    return "".join(each.content for each in children if each.type in ("text", "code_inline"))


@functools.cache
def page(path: pathlib.Path) -> Page:
    """Return a page, parsed once."""
    return Page(path)


def every_page() -> list[Page]:
    """Return all pages of the repository."""
    return [page(path) for glob in _GLOBS for path in sorted(ROOT.glob(glob))]
