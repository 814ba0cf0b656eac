"""The library's page is what its docstrings say."""

from __future__ import annotations

import microcluster_token_distributor
from scripts import reference
from tests.docs import pages


def test_page_is_what_the_docstrings_say() -> None:
    """`tox exec -e docs -- python scripts/reference.py --write` makes it so."""
    assert reference.PAGE.read_text() == reference.page()


def test_page_has_all_that_is_public() -> None:
    """What the package exports, and what a consumer has for its charm."""
    anchors = pages.page(reference.PAGE).anchors()

    for name in (*microcluster_token_distributor.__all__, "add_to_mirror", "find_value", "status"):
        assert name.lower() in anchors, f"{name} is missing"
