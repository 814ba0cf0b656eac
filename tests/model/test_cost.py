"""What forming a cluster costs; `python -m benchmarks` counts much more."""

from __future__ import annotations

from benchmarks import counting, report
from benchmarks.charms import Contender


def test_targets_that_need_no_other_charm_are_met() -> None:
    """Those for this project and the peer relation; the field's charm is not there."""
    growths: dict[Contender, dict[int, counting.Growth]] = {each: {} for each in Contender}
    for contender in (Contender.OURS, Contender.PEERS):
        for units in (3, 10):
            seeds = [counting.grow(contender, units, seed) for seed in range(3)]
            growths[contender][units] = counting.median(seeds)

    judged = list(report.judge(growths))

    assert [target for target in judged if not target.met] == []
    assert len(judged) > 3


def test_counts_are_the_same_each_time() -> None:
    """The page changes only when the code does."""
    assert counting.grow(Contender.OURS, 3) == counting.grow(Contender.OURS, 3)


def test_tables_of_the_page_are_replaced_in_their_order() -> None:
    page = "# A\n\n| a |\n| b |\n\ntext\n\n| c |\n\n| d |\n"

    assert (
        report.filled(page, ["| x |\n", "| y |\n"]) == "# A\n\n| x |\n\ntext\n\n| y |\n\n| d |\n"
    )
