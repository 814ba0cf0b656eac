"""The library's page is what its docstrings say."""

from __future__ import annotations

import inspect

import microcluster_token_distributor
from microcluster_token_distributor import testing
from scripts import reference
from tests.docs import pages


def test_page_is_what_the_docstrings_say() -> None:
    """`tox exec -e docs -- python scripts/reference.py` makes it so."""
    assert reference.PAGE.read_text() == reference.page()


def test_page_has_all_that_is_public() -> None:
    """What the package exports, and what a consumer has for its charm."""
    anchors = pages.page(reference.PAGE).anchors()

    for name in (*microcluster_token_distributor.__all__, "add_to_mirror", "find_value", "status"):
        assert name.lower() in anchors, f"{name} is missing"


def test_page_about_testing_has_all_that_is_public() -> None:
    """Each function with its parameters, and the fake workload with its attributes."""
    codes = set(pages.page(pages.DOCS / "reference" / "testing.md").codes())
    public = {
        name: thing
        for name, thing in vars(testing).items()
        if getattr(thing, "__module__", "") == testing.__name__ and not name.startswith("_")
    }

    assert len(public) > 1
    for name, thing in public.items():
        parameters = inspect.signature(thing).parameters.values()
        words = ("*" * (each.kind is each.VAR_POSITIONAL) + each.name for each in parameters)
        assert f"{name}({', '.join(words)})" in codes
    attributes = set(vars(testing.FakeWorkload())) - set(
        vars(microcluster_token_distributor.CommandWorkload(()))
    )
    assert attributes <= codes
