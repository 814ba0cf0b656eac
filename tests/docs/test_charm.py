"""The charm's page says what the charm is and can say: no more, no less."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.docs import commands, pages, statuses

if TYPE_CHECKING:
    import pathlib

PAGE = pages.DOCS / "reference" / "charm.md"
GUIDE = pages.DOCS / "how-to" / "read-the-statuses.md"
_STATUS = re.compile(r"(\w+)(?:: (.+))?")


def _table(*header: str) -> list[list[str]]:
    """Return the rows of the page's table with this header."""
    tables = [table for table in pages.page(PAGE).tables() if table.header == list(header)]
    assert len(tables) == 1, f"{len(tables)} tables with {header}"
    return tables[0].rows


@pytest.mark.parametrize("page", [PAGE, GUIDE], ids=["reference", "guide"])
def test_statuses_are_all_that_there_are(page: pathlib.Path) -> None:
    """In the reference, and in the guide that says what to do; the distributor's come first."""
    tables = [t for t in pages.page(page).tables() if t.header[0].startswith("status")]
    for side, table in zip((statuses.DISTRIBUTOR, statuses.CONSUMER), tables, strict=True):
        missing = set(statuses.of(side))
        for row in table.rows:
            status = _STATUS.fullmatch(row[0])
            assert status is not None
            kind, message = status[1], status[2] or ""
            fitting = {each for each in statuses.of(side) if each.fits(kind, message)}
            # The one status that is Juju's own.
            assert fitting or kind == "error", f"{side} has no status {row[0]}"
            # The most specific one is meant.
            missing -= set(sorted(fitting, key=lambda e: len(e.text.replace("{}", "")))[-1:])

        assert not sorted(missing), "not in the table"


def test_endpoints() -> None:
    expected = [
        [name, role, cast("dict[str, Any]", endpoint)["interface"]]
        for role in ("provides", "requires", "peers")
        for name, endpoint in commands.CHARM.get(role, {}).items()
    ]

    assert [row[:3] for row in _table("endpoint", "role", "interface", "for")] == expected


def test_actions() -> None:
    text = pages.page(PAGE).text

    assert set(commands.CHARM["actions"]) <= set(pages.page(PAGE).anchors())
    assert {row[0] for row in _table("state", "meaning")} == statuses.states()
    for failure in statuses.action_failures():
        assert failure.text.replace("{}", commands.NAME) in text


def test_bases_and_architectures() -> None:
    packed = {tuple(platform.split(":")) for platform in commands.CHARM["platforms"]}

    rows = _table("base", "architectures")
    named = {(row[0], each) for row in rows for each in row[1].split(", ")}
    assert named == packed


def test_what_the_charm_has_not_is_said() -> None:
    for absent in ("config", "resources", "storage", "containers"):
        assert absent not in commands.CHARM
    assert "no configuration" in pages.page(PAGE).text


def test_version_of_juju() -> None:
    (assumed,) = commands.CHARM["assumes"]

    assert str(assumed).replace("juju >= ", "Juju ") in pages.page(PAGE).text
