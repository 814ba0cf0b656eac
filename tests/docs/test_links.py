"""Links resolve, without a network: within the repository, and to hosts that are known."""

from __future__ import annotations

import re
import urllib.parse

import pytest

from tests.docs import pages

# Add a host here once you have looked at it.
HOSTS = {
    "canonical-microcloud.readthedocs-hosted.com",
    "diataxis.fr",
    "documentation.ubuntu.com",
    "github.com",
    "keepachangelog.com",
    "pre-commit.com",
    "semver.org",
}
# What a run leaves behind, and pages name.
_MADE = (".tox", ".venv", "dist")
_PATH = re.compile(r"\.?\w[\w.-]*(/[\w.*-]+)*/?")
_TOP = {path.name for path in pages.ROOT.iterdir()} - set(_MADE) - {".git"}

every_page = pytest.mark.parametrize("page", pages.every_page(), ids=repr)


@every_page
def test_links_within_the_repository_resolve(page: pages.Page) -> None:
    """To a file or a folder, and in a page to one of its headings."""
    for link in page.links():
        parts = urllib.parse.urlsplit(link)
        if parts.scheme:
            continue
        target = (page.path.parent / parts.path).resolve() if parts.path else page.path
        assert target.is_relative_to(pages.ROOT), f"{link} leads out of the repository"
        assert target.exists(), f"{link}: there is no such file"
        if parts.fragment:
            assert target.suffix == ".md", f"{link}: only pages have headings"
            assert parts.fragment in pages.page(target).anchors(), f"{link}: no such heading"


@every_page
def test_links_to_elsewhere_are_to_known_hosts(page: pages.Page) -> None:
    for link in page.links():
        parts = urllib.parse.urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            assert parts.hostname in HOSTS, f"{link}: an unknown host"


@every_page
def test_paths_that_are_named_exist(page: pages.Page) -> None:
    """Between backticks, where they begin in the repository's root; and in tables of paths."""
    named = [code for code in page.codes() if "/" in code and code.partition("/")[0] in _TOP]
    for table in page.tables():
        if table.header[0] == "path":
            named += [word for row in table.rows for word in row[0].split(", ")]
    for path in named:
        if _PATH.fullmatch(path):
            assert list(pages.ROOT.glob(path.rstrip("/"))), f"there is no {path}"


def test_each_page_of_the_documentation_can_be_reached() -> None:
    """From its front page, by links; a folder's link reaches the files in it."""
    reached = {pages.DOCS / "README.md"}
    todo = list(reached)
    while todo:
        here = todo.pop()
        for link in pages.page(here).links() if here.suffix == ".md" and here.exists() else ():
            parts = urllib.parse.urlsplit(link)
            target = (here.parent / parts.path).resolve()
            found = {target, *target.iterdir()} if target.is_dir() else {target}
            if not parts.scheme and target.is_relative_to(pages.DOCS):
                todo += found - reached
                reached |= found

    there_are = {path for path in pages.DOCS.rglob("*") if path.is_file()}
    assert not {str(path.relative_to(pages.DOCS)) for path in there_are - reached}


def test_headings_have_the_anchors_that_github_gives_them() -> None:
    """Or links would be checked against something else."""
    text = "# `add_unit`, and: more!\n\n## Twice\n\nTwice\n-----\n\n### a-b  c (d/e)\n"

    anchors = pages.Page(pages.DOCS / "made-up.md", text).anchors()

    assert anchors == {"add_unit-and-more", "twice", "twice-1", "a-b--c-de"}
