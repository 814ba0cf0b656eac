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
    assert [target.met for target in against] == [None] * 7
    assert len([target for target in judged if target.met]) > 3
    assert "Not run: not in a test." in report.page(found, judged, 3, 50)


def test_an_exceeded_target_is_missed() -> None:
    assert report.Target("hooks", 10, 11).met is False
    assert report.Target("hooks", 10, 10).met is True


def test_counts_are_the_same_each_time() -> None:
    """The page changes only when the code does."""
    assert counting.grow(Contender.OURS, 3) == counting.grow(Contender.OURS, 3)
