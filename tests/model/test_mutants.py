"""Whoever breaks a rule of the wire, or of what each side does, is noticed.

Each of `tests/mutants/patches` breaks one rule, and names what notices it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos import run
from tests.clouds import protocol
from tests.mutants import apply, trial
from tests.scenarios import telling

if TYPE_CHECKING:
    import pathlib

# With which to tell a story that no longer catches a patch with the seed that its head names.
_STORY_SEEDS = 3

MUTANTS = apply.every_mutant()
CATCHES = [mutant.catch for mutant in MUTANTS if mutant.catch is not None]
TOLD = sorted(
    {(catch.story, catch.seed, catch.version) for catch in CATCHES if catch.story}
    | {(story.name, 0, version) for story in trial.STORIES for version in ("3.6", "4.0")}
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_broken_rule_is_noticed(mutant: apply.Mutant, tmp_path: pathlib.Path) -> None:
    """By the story that its patch names, or by some schedule, and for the reason named."""
    expected = mutant.catch
    assert expected is not None, f"nothing is known to notice that the library {mutant.name}"
    library = mutant.make_library(tmp_path)
    others = range(_STORY_SEEDS if expected.story else run.SEEDS_IN_CI)
    seeds = [expected.seed, *(seed for seed in others if seed != expected.seed)]

    caught = trial.catch(library, seeds, story=expected.story, version=expected.version)

    assert caught is not None, f"nothing notices that {mutant.rule!r} is broken"
    assert expected.complaint in caught.complaint


@pytest.mark.parametrize(("story", "seed", "version"), TOLD)
def test_story_goes_well_where_nothing_is_broken(story: str, seed: int, version: str) -> None:
    """Otherwise its complaint would say nothing about a rule."""
    assert not trial.tell(story, seed, version)


def test_story_that_cannot_be_told_is_not_said_to_go_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it would be said of a patch that nothing catches it."""

    def obstacle(_: telling.Story, __: protocol.Cloud) -> str:
        return "this cloud is too small"

    monkeypatch.setattr(telling.Story, "obstacle", obstacle)

    with pytest.raises(RuntimeError, match="this cloud is too small"):
        trial.tell(trial.STORIES[0].name, 0, "4.0")


def test_fault_that_never_strikes_is_complained_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A story shows nothing without what was to befall it."""

    @telling.story(protocol.Trait.FAULTS)
    def nothing_happens(cloud: protocol.Cloud) -> None:
        telling.faults(cloud).hang("join", unit=protocol.CONSUMER)

    monkeypatch.setattr(trial, "STORIES", [nothing_happens])

    complaint = trial.tell(nothing_happens.name, 0, "4.0")

    assert complaint == f"these faults never struck: join hangs on {protocol.CONSUMER}"


def test_patch_that_no_longer_applies_is_refused() -> None:
    """Rather than passed over, or applied to another place."""
    mutant = MUTANTS[0]
    old, new = mutant.hunks[0]
    text = f"first line\n{old}last line\n"

    assert mutant.apply(text) == f"first line\n{new}last line\n"
    with pytest.raises(apply.DoesNotApplyError, match="occur 0 times"):
        mutant.apply("another text\n")
    with pytest.raises(apply.DoesNotApplyError, match="occur 2 times"):
        mutant.apply(text + text)
