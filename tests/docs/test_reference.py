"""The pages of reference agree with the charm, the library and its module for tests."""

from __future__ import annotations

import inspect

import microcluster_token_distributor
from microcluster_token_distributor import testing
from scripts import reference
from tests.docs import pages, statuses
from tests.docs.commands import CHARM

CHARM_PAGE = pages.page(pages.DOCS / "reference" / "charm.md")
GUIDE = pages.page(pages.DOCS / "how-to" / "read-the-statuses.md")


def test_each_status_is_in_the_reference_and_in_the_guide() -> None:
    """That no others are there, tests/docs/test_examples.py shows."""
    for page in (CHARM_PAGE, GUIDE):
        of_distributor, of_unit = page.tables("status")
        for rows, known in ((of_distributor, statuses.DISTRIBUTOR), (of_unit, statuses.CONSUMER)):
            for status in known:
                assert any(statuses.fits(row[0], [status]) for row in rows), status


def test_page_of_the_charm_agrees_with_its_metadata() -> None:
    (endpoints,), (bases,) = CHARM_PAGE.tables("endpoint"), CHARM_PAGE.tables("base")
    assert [row[:3] for row in endpoints] == [
        [name, role, endpoint["interface"]]
        for role in ("provides", "requires", "peers")
        for name, endpoint in CHARM.get(role, {}).items()
    ]
    platforms = [f"{base}:{each}" for base, named in bases for each in named.split(", ")]
    assert platforms == [*CHARM["platforms"]]
    assert CHARM["assumes"] == ["juju >= 3.1"]
    assert "needs Juju 3.1 or later" in CHARM_PAGE.text
    assert not CHARM.keys() & {"config", "resources", "storage", "containers"}


def test_page_of_the_charm_describes_its_actions() -> None:
    assert CHARM["actions"].keys() <= CHARM_PAGE.anchors()
    (states,) = CHARM_PAGE.tables("state")
    assert {row[0] for row in states} == statuses.STATES
    for failure in statuses.ACTION_FAILURES:
        assert any(statuses.fits(code, [failure]) for code in CHARM_PAGE.codes), failure


def test_page_of_the_library_is_what_its_docstrings_say() -> None:
    """`tox exec -e docs -- python scripts/reference.py` makes it so."""
    assert reference.PAGE.read_text() == reference.page()


def test_page_about_testing_has_all_that_is_public() -> None:
    """Each function and class with its parameters."""
    codes = pages.page(pages.DOCS / "reference" / "testing.md").codes
    for name, thing in vars(testing).items():
        if getattr(thing, "__module__", "") == testing.__name__ and not name.startswith("_"):
            parameters = inspect.signature(thing).parameters.values()
            words = ("*" * (each.kind is each.VAR_POSITIONAL) + each.name for each in parameters)
            assert f"{name}({', '.join(words)})" in codes
    inherited = vars(microcluster_token_distributor.CommandWorkload(()))
    assert {*vars(testing.FakeWorkload())} - {*inherited} <= {*codes}
