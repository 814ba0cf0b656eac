"""The library's page is what its docstrings say."""

from __future__ import annotations

import inspect

from charms.microcluster_token_distributor.v0 import token_distributor
from scripts import reference
from tests.docs import examples, pages


def test_page_is_what_the_docstrings_say() -> None:
    """`tox exec -e docs -- python scripts/reference.py --write` makes it so."""
    assert reference.PAGE.read_text() == reference.page()


def test_page_has_all_that_is_public() -> None:
    """Classes and functions, and what a consumer has for its charm."""
    anchors = pages.page(reference.PAGE).anchors()

    for name, thing in vars(token_distributor).items():
        ours = getattr(thing, "__module__", "") == token_distributor.__name__
        if ours and not name.startswith("_") and (inspect.isclass(thing) or callable(thing)):
            assert name.lower() in anchors, f"{name} is missing"
    for name in ("add_to_mirror", "find_value", "status"):
        assert name in anchors


def test_the_librarys_own_example_runs() -> None:
    """That of its docstring, as a charm."""
    (block, *_) = (
        block.text
        for block in pages.page(reference.PAGE).blocks()
        if block.text.startswith("class MicroCharm")
    )
    text = f"from {token_distributor.__name__} import TokenConsumer\n{block}"
    made_up = pages.Page(pages.DOCS / "made-up.md", f"```python\n{text}```\n")

    (example,) = examples.parse(made_up).examples()
    example.evaluate()

    charm = example.namespace["MicroCharm"]
    told = examples.run_charm(charm, {"cluster": {"interface": "worker-cluster", "limit": 1}})
    assert {"joined", "bootstrapped"} <= set(told)
