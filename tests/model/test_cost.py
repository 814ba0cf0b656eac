"""What forming a cluster costs; `python -m benchmarks` counts much more."""

from __future__ import annotations

import pytest

from benchmarks import counting, report
from benchmarks.charms import Contender


@pytest.fixture(scope="module")
def growths() -> dict[Contender, dict[int, counting.Growth]]:
    """Count this project and the peer relation; the field's charm is not there."""
    growths: dict[Contender, dict[int, counting.Growth]] = {each: {} for each in Contender}
    for contender in (Contender.OURS, Contender.PEERS):
        for units in (3, 10):
            seeds = [counting.grow(contender, units, seed) for seed in range(3)]
            growths[contender][units] = counting.median(seeds)
    return growths


def test_targets_that_need_no_other_charm_are_met(
    growths: dict[Contender, dict[int, counting.Growth]],
) -> None:
    judged = list(report.judge(growths))

    assert [target for target in judged if not target.met] == []
    assert len(judged) > 3


@pytest.mark.parametrize("contender", [Contender.OURS, Contender.PEERS])
def test_counts_are_the_same_each_time(contender: Contender) -> None:
    """The page changes only when the code does."""
    assert counting.grow(contender, 3) == counting.grow(contender, 3)


def test_a_peer_relation_costs_more_with_ten_units(
    growths: dict[Contender, dict[int, counting.Growth]],
) -> None:
    """Each unit runs at least two hooks for each other one."""
    peers, ours = (growths[each][10] for each in (Contender.PEERS, Contender.OURS))
    assert peers.forming.bare.hooks > max(2 * 10 * 9, ours.forming.bare.hooks)


def test_median_is_taken_number_by_number() -> None:
    costs = [counting.Cost(hooks=hooks, calls=10 - hooks) for hooks in (1, 2, 9)]

    assert counting.median(costs) == counting.Cost(hooks=2, calls=8)


def test_tables_of_the_page_are_replaced_in_their_order() -> None:
    page = "# A\n\n| a |\n| b |\n\ntext\n\n| c |\n\n| d |\n"

    assert (
        report.filled(page, ["| x |\n", "| y |\n"]) == "# A\n\n| x |\n\ntext\n\n| y |\n\n| d |\n"
    )
