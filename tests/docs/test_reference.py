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


def test_endpoints() -> None:
    endpoints = [
        [name, role, endpoint["interface"]]
        for role in ("provides", "requires", "peers")
        for name, endpoint in CHARM.get(role, {}).items()
    ]

    (table,) = CHARM_PAGE.tables("endpoint")
    assert [row[:3] for row in table] == endpoints


def test_actions() -> None:
    assert CHARM["actions"].keys() <= CHARM_PAGE.anchors()
    (table,) = CHARM_PAGE.tables("state")
    assert {row[0] for row in table} == statuses.STATES
    for failure in statuses.ACTION_FAILURES:
        assert any(statuses.fits(code, [failure]) for code in CHARM_PAGE.codes), failure


def test_bases_and_architectures() -> None:
    (table,) = CHARM_PAGE.tables("base")

    named = {
        f"{base}:{each}" for base, architectures in table for each in architectures.split(", ")
    }
    assert named == CHARM["platforms"].keys()


def test_what_the_charm_needs() -> None:
    (assumed,) = CHARM["assumes"]

    assert str(assumed).replace("juju >= ", "Juju ") in CHARM_PAGE.text
    assert not CHARM.keys() & {"config", "resources", "storage", "containers"}
    assert "no configuration" in CHARM_PAGE.text


def test_page_of_the_library_is_what_its_docstrings_say() -> None:
    """`tox exec -e docs -- python scripts/reference.py --write` makes it so."""
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
