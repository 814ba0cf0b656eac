"""What forming a cluster costs; `python -m benchmarks` counts much more."""

from __future__ import annotations

import pytest

from benchmarks import counting, report
from benchmarks.charms import Contender


@pytest.fixture(scope="module")
def found() -> report.Found:
    """Count this project and the peer relation, as a run without a checkout does."""
    growths: dict[Contender, dict[int, counting.Growth]] = {each: {} for each in Contender}
    for contender in (Contender.OURS, Contender.PEERS):
        for units in (3, 10):
            seeds = [counting.grow(contender, units, seed) for seed in range(3)]
            growths[contender][units] = counting.median(seeds)
    return report.Found(growths, {}, "not in a test")


def test_targets_without_a_checkout_are_met(found: report.Found) -> None:
    """A target against the field's library is neither met nor missed."""
    judged = list(report.judge(found))

    assert [target for target in judged if target.met is False] == []
    against = [target for target in judged if "over the field's" in target.what]
    assert {target.met for target in against} == {None}
    assert len(against) == 7
    assert len([target for target in judged if target.met]) > 3


def test_an_exceeded_target_is_missed() -> None:
    assert report.Target("hooks", 10, 11).met is False
    assert report.Target("hooks", 10, 10).met is True


@pytest.mark.parametrize("contender", [Contender.OURS, Contender.PEERS])
def test_counts_are_the_same_each_time(contender: Contender) -> None:
    """The page changes only when the code does."""
    assert counting.grow(contender, 3) == counting.grow(contender, 3)


def test_a_peer_relation_costs_more_with_ten_units(found: report.Found) -> None:
    """Each unit runs at least two hooks for each other one."""
    peers, ours = (found.growths[each][10] for each in (Contender.PEERS, Contender.OURS))
    assert peers.forming.bare.hooks > max(2 * 10 * 9, ours.forming.bare.hooks)


def test_median_is_taken_number_by_number() -> None:
    costs = [counting.Cost(hooks=hooks, calls=10 - hooks) for hooks in (1, 2, 9)]

    assert counting.median(costs) == counting.Cost(hooks=2, calls=8)


def test_page_says_what_was_not_run(found: report.Found) -> None:
    page = report.page(found, report.judge(found), 3, 50)

    assert "| not run |" in page
    assert "Not run: not in a test." in page
