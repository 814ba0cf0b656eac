"""Links within the repository resolve, and the paths that are named exist."""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING

from tests.docs import pages
from tests.docs.pages import every_page

if TYPE_CHECKING:
    import pathlib


def targets(page: pages.Page) -> list[tuple[pathlib.Path, str]]:
    """Return what a page links to in the repository: files or folders, each with a heading."""
    links = [urllib.parse.urlsplit(link) for link in page.links]
    return [
        ((page.path.parent / link.path).resolve() if link.path else page.path, link.fragment)
        for link in links
        if link.scheme != "https"
    ]


@every_page
def test_links_within_the_repository_resolve(page: pages.Page) -> None:
    for target, heading in targets(page):
        assert target.is_relative_to(pages.ROOT), f"{target} is not in the repository"
        assert target.exists(), f"there is no {target}"
        assert not heading or heading in pages.page(target).anchors(), f"no heading {heading}"


@every_page
def test_paths_that_are_named_exist(page: pages.Page) -> None:
    """Between backticks, where they begin in the repository's root; and in tables of paths."""
    # But for what a run leaves behind.
    folders = {path.name for path in pages.ROOT.iterdir()} - {".git", ".tox", ".venv", "dist"}
    named = [code for code in page.codes if "/" in code and code.partition("/")[0] in folders]
    named += [
        path for table in page.tables("path") for row in table for path in row[0].split(", ")
    ]
    for path in filter(re.compile(r"[\w./*-]+").fullmatch, named):
        assert list(pages.ROOT.glob(path.rstrip("/"))), f"there is no {path}"


def test_each_page_of_the_documentation_can_be_reached() -> None:
    """From its front page, by links; a folder's link reaches the files in it."""
    reached: set[pathlib.Path] = set()
    todo = [pages.DOCS / "README.md"]
    while todo:
        here = todo.pop()
        if here in reached or not here.is_relative_to(pages.DOCS):
            continue
        reached.add(here)
        todo += here.iterdir() if here.is_dir() else ()
        todo += [target for target, _ in targets(pages.page(here))] if here.suffix == ".md" else ()

    assert {path for path in pages.DOCS.rglob("*") if path.is_file()} <= reached
