"""Schedules that have failed once, as the shortest lists that were found."""

from __future__ import annotations

from tests.simulation.operations import Do
from tests.simulation.replay import replay


def test_unit_that_may_bootstrap_is_renamed() -> None:
    """Another name was granted the bootstrap than the one that its unit has by then."""
    replay([Do("deploy", 3, 30), Do("rename_machine")], juju="3.6", microcluster="2.0.5")


def test_member_that_has_the_name_of_a_removed_one_stays() -> None:
    """Two members remove the same dead one; its successor joins in between."""
    replay(
        [
            Do("deploy", 5, 5, (8,)),
            Do("start_machine_slowly", 0, 1, (15,)),
            Do("lose_lease", 0, 100, (14, 13, 11, 10)),
            Do("kill_machine"),
            Do("add_unit", 0, 1, (3,)),
            Do("add_unit", 0, 5, (11,)),
            Do("add_unnamed_unit", 0, 1, (1,)),
            Do("deploy_across_models"),
            Do("kill_machine", 0, 100),
            Do("silence_machine", 6),
            Do("replace_lost_unit", 1, 1),
            Do("refuse_removals", 0, 1, (14, 15, 9, 15, 1)),
        ],
        juju="4.0",
        microcluster="3.0.0",
        interleaved=True,
    )
