"""What forming a cluster costs; `python -m benchmarks` counts much more."""

from __future__ import annotations

import functools

import pytest

from benchmarks import counting, report, targets
from benchmarks.contenders import Contender

SIZES = (3, 10)


@functools.cache
def grown(units: int, contender: Contender = Contender.OURS) -> counting.Growth:
    """Form a cluster and add a unit, with the median of three seeds."""
    return counting.median([counting.grow(contender, units, seed) for seed in range(3)])


def found() -> targets.Found:
    """Count this project and the peer relation, as a run without a checkout does."""
    growths: dict[Contender, dict[int, counting.Growth]] = {each: {} for each in Contender}
    growths[Contender.OURS] = {units: grown(units) for units in SIZES}
    growths[Contender.PEERS] = {units: grown(units, Contender.PEERS) for units in SIZES}
    return targets.Found(growths, without_wall="not in a test")


def test_targets_that_need_no_checkout_are_met() -> None:
    """Hooks, added hooks, failed hooks, and what a settled member reads."""
    judged = targets.judge(found())

    assert [target for target in judged if target.met is False] == []
    assert any(target.met for target in judged)


def test_targets_against_the_field_are_not_run_without_it() -> None:
    """A missing number is neither met nor missed."""
    judged = targets.judge(found())

    against = [target for target in judged if "over the field's" in target.what]
    assert len(against) == 7
    assert all(target.met is None for target in against)


def test_target_that_is_exceeded_is_missed() -> None:
    """As a number, whatever it is compared with."""
    assert targets.Target("hooks", 10, 11).met is False
    assert targets.Target("hooks", 10, 10).met is True


@pytest.mark.parametrize("contender", [Contender.OURS, Contender.PEERS])
def test_counts_are_the_same_each_time(contender: Contender) -> None:
    """A page that is checked in changes only when the code does."""
    assert counting.grow(contender, 3) == counting.grow(contender, 3)


def test_peer_relation_costs_more_with_ten_units() -> None:
    """Each unit runs two hooks at the least for each other one."""
    assert grown(10, Contender.PEERS).forming.bare.hooks > 2 * 10 * 9
    assert grown(10, Contender.PEERS).forming.bare.hooks > grown(10).forming.bare.hooks


def test_median_is_taken_number_by_number() -> None:
    """In the costs that a growth is made of, too."""
    costs = [counting.Cost(hooks=hooks, calls=10 - hooks) for hooks in (1, 2, 9)]

    assert counting.median(costs) == counting.Cost(hooks=2, calls=8)


def test_page_says_what_was_not_run() -> None:
    """Its tables stay, so that nobody takes a missing number for a good one."""
    counted = found()

    page = report.write(counted, targets.judge(counted), 3, 50)

    assert "not run" in page
    assert "Not run: not in a test." in page
