"""Each rule of the wire, and of each side, is kept by a test that fails where it is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mutants import apply

if TYPE_CHECKING:
    import pathlib

MUTANTS = apply.every_mutant()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_broken_rule_is_noticed(mutant: apply.Mutant, tmp_path: pathlib.Path) -> None:
    """By the test that its patch names, and for the reason named."""
    failure = mutant.failure(tmp_path)

    assert failure is not None, f"{mutant.test} passes though this rule is broken: {mutant.rule}"
    other = f"{mutant.test} fails for another reason than {mutant.complaint!r}: {failure}"
    assert mutant.complaint in failure, other


def test_test_that_passes_notices_nothing() -> None:
    """Otherwise a failure would say nothing about a rule."""
    assert apply.run(f"{__file__}::{test_patch_that_does_not_apply_is_refused.__name__}") is None


def test_test_that_cannot_be_run_is_not_taken_for_a_failure() -> None:
    """It would show nothing."""
    with pytest.raises(RuntimeError, match="cannot be run"):
        apply.run("tests/unit/test_wire.py::test_that_does_not_exist")


def test_patch_that_does_not_apply_is_refused() -> None:
    """Rather than passed over, or applied to another place."""
    mutant = MUTANTS[0]
    old, new = mutant.hunks[0]
    text = f"first line\n{old}last line\n"

    assert mutant.apply(text) == f"first line\n{new}last line\n"
    with pytest.raises(apply.DoesNotApplyError, match="occur 0 times"):
        mutant.apply("another text\n")
    with pytest.raises(apply.DoesNotApplyError, match="occur 2 times"):
        mutant.apply(text + text)
