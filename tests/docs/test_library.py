"""The library's page is what its docstrings say."""

from __future__ import annotations

import microcluster_token_distributor
from scripts import reference
from tests.docs import examples, pages


def test_page_is_what_the_docstrings_say() -> None:
    """`tox exec -e docs -- python scripts/reference.py --write` makes it so."""
    assert reference.PAGE.read_text() == reference.page()


def test_page_has_all_that_is_public() -> None:
    """What the package exports, and what a consumer has for its charm."""
    anchors = pages.page(reference.PAGE).anchors()

    for name in (*microcluster_token_distributor.__all__, "add_to_mirror", "find_value", "status"):
        assert name.lower() in anchors, f"{name} is missing"


def test_the_librarys_own_example_runs() -> None:
    """That of its docstring, as a charm."""
    (block,) = (
        block.text
        for block in pages.page(reference.PAGE).blocks()
        if block.text.startswith("class MicroCharm")
    )
    text = f"from microcluster_token_distributor import TokenConsumer\n{block}"
    made_up = pages.Page(pages.DOCS / "made-up.md", f"```python\n{text}```\n")

    (example,) = examples.parse(made_up).examples()
    example.evaluate()

    charm = example.namespace["MicroCharm"]
    emitted = examples.run_charm(charm, {"cluster": {"interface": "worker-cluster", "limit": 1}})
    assert {"joined", "bootstrapped"} <= set(emitted)
