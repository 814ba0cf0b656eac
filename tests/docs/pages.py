"""The Markdown files of the repository, and what is in them."""

from __future__ import annotations

import functools
import pathlib
import re
from typing import TYPE_CHECKING

import markdown_it
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it import token

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"


class Page:
    """A Markdown file.

    Attributes:
        path: where it is.
        text: what is in it.
        codes: what is between backticks in its text.
        links: where its links and images lead to.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.text = path.read_text()
        self._tokens = markdown_it.MarkdownIt("commonmark").parse(self.text)
        inline = [child for each in self._tokens for child in each.children or ()]
        self.codes = [each.content for each in inline if each.type == "code_inline"]
        links = [each.attrs.get("href") or each.attrs.get("src") for each in inline]
        self.links = [str(link) for link in links if link is not None]

    def __repr__(self) -> str:
        return str(self.path.relative_to(ROOT))

    def blocks(self, *languages: str) -> Iterator[token.Token]:
        """Give its blocks of code, by default of all languages; `info` is the language."""
        for each in self._tokens:
            if each.type in ("fence", "code_block") and (not languages or each.info in languages):
                yield each

    def anchors(self) -> set[str]:
        """Return the anchors that GitHub gives to its headings, each of another text."""
        headings = [
            "".join(child.content for child in inline.children or ())
            for each, inline in zip(self._tokens, self._tokens[1:], strict=False)
            if each.type == "heading_open"
        ]
        return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}

    def tables(self, header: str) -> list[list[list[str]]]:
        """Return the rows of the tables whose header begins so; each cell without backticks."""
        tables = re.findall(
            rf"^\| {re.escape(header)}.*\n\|[-| ]+\n((?:\|.*\n)+)", self.text, re.MULTILINE
        )
        rows = (table.replace("`", "").splitlines() for table in tables)
        return [[row.strip("| ").split(" | ") for row in each] for each in rows]


page = functools.cache(Page)
"""Returns a page, parsed once."""

_FOLDERS = (".github", "docs", "library", "terraform", "tests")
_FOUND = [*ROOT.glob("*.md"), *(path for name in _FOLDERS for path in (ROOT / name).rglob("*.md"))]
EVERY = [page(path) for path in sorted(_FOUND)]
every_page = pytest.mark.parametrize("page", EVERY, ids=repr)
