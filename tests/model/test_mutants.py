"""Whoever breaks a rule of the wire, or of what each side does, is noticed.

Each of `tests/mutants/patches` breaks one rule, and names what notices it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds import protocol
from tests.mutants import apply, trial
from tests.scenarios import telling

if TYPE_CHECKING:
    import pathlib

# More seeds of a scenario, and of schedules, where the one named shows nothing any more.
_SEEDS = 3
_SCHEDULES = 60

MUTANTS = apply.every_mutant()
TRIALS = sorted({m.trial for m in MUTANTS if m.trial and not apply.is_test(m.trial)})
SCENARIOS = [text for text in TRIALS if not text.startswith(trial.SCHEDULE)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_broken_rule_is_noticed(mutant: apply.Mutant, tmp_path: pathlib.Path) -> None:
    """By what its patch names, and for the reason named."""
    assert mutant.trial, f"nothing is known to notice that this rule is broken: {mutant.rule}"

    found = trial.first_complaint(mutant, tmp_path, _trials(mutant.trial))

    assert found, f"nothing notices that this rule is broken: {mutant.rule}"
    assert mutant.complaint in found


def _trials(text: str) -> list[str]:
    """Return what is named, and the same with other seeds."""
    if apply.is_test(text):
        return [text]
    named = trial.Trial.parse(text)
    seeds = range(_SCHEDULES if named.scenario == trial.SCHEDULE else _SEEDS)
    return [text, *(str(named._replace(seed=seed)) for seed in seeds if seed != named.seed)]


@pytest.mark.parametrize("text", SCENARIOS)
def test_nothing_is_wrong_where_no_rule_is_broken(text: str) -> None:
    """Otherwise a complaint would say nothing about a rule."""
    assert not trial.run_trial(trial.Trial.parse(text))


def test_each_own_scenario_notices_a_rule() -> None:
    """One that nothing needs belongs among the others, or nowhere."""
    used = {trial.Trial.parse(text).scenario for text in TRIALS}

    assert {scenario.name for scenario in trial.OWN} <= used


def test_scenario_that_cannot_be_run_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would show nothing."""

    def obstacle(_: telling.Story, __: protocol.Cloud) -> str:
        return "this cloud is too small"

    monkeypatch.setattr(telling.Story, "obstacle", obstacle)

    with pytest.raises(trial.CannotRunError, match="this cloud is too small"):
        trial.run_trial(trial.Trial.parse(SCENARIOS[0]))


def test_fault_that_never_strikes_is_complained_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario shows nothing without the fault that it is about."""

    @telling.story(protocol.Trait.FAULTS)
    def nothing_happens(cloud: protocol.Cloud) -> None:
        telling.faults(cloud).hang("join", unit=protocol.CONSUMER)

    monkeypatch.setattr(trial, "OWN", [nothing_happens])

    complaint = trial.run_trial(trial.Trial(nothing_happens.name, 0, "4.0", "3.0.0"))

    assert complaint == f"these faults never struck: join hangs on {protocol.CONSUMER}"


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


def test_words_of_a_complaint_depend_on_no_names() -> None:
    """They stay the same when units and machines are numbered in another way."""
    complaint = "lxd-cluster/2 is left without a quorum by lxd-cluster/1; and so on"

    assert trial.words_of(complaint) == "is left without a quorum by"
