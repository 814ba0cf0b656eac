"""Schedules that have failed once, as the shortest lists that were found."""

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


def test_newcomer_with_the_name_of_a_dead_member_settles() -> None:
    """Two members have issued a token for it, and its own name is in `hold`."""
    replay(
        [
            Do("deploy", 4, 1),
            Do("remove_late_unit", 5, 1, (0, 14, 5, 4, 14)),
            Do("start_machine", 3, 100, (0, 9, 3, 1, 9)),
            Do("deploy_across_models", 6, 100, (11, 1, 10, 8, 4)),
            Do("resume", 1, 5, (12, 14, 5)),
            Do("remove_lost_unit", 2, 20, (0,)),
            Do("kill_machine", 7, 5, (9, 2, 12, 13, 6)),
            Do("remove_distributor", 1, 5),
            Do("replace_lost_unit", 0, 20, (8, 5, 4, 0, 0)),
            Do("fail_command", 2, 5, (4, 3)),
            Do("scale_to_zero", 5, 20, (13, 11, 9, 12, 1)),
            Do("hang_command", 2, 100, (13,)),
            Do("remove_lost_unit", 0, 5, (14, 11, 0, 12, 4)),
        ],
        juju="3.6",
        microcluster="3.0.0",
        interleaved=True,
    )


def test_member_that_is_renamed_before_it_could_say_so_is_one() -> None:
    """The hook in which it bootstrapped fails, and its machine has another name afterwards."""
    replay(
        [
            Do("deploy", 4, 5, (0,)),
            Do("lose_lease", 2, 20),
            Do("revoke_tokens", 1, 1, (13, 12)),
            Do("spoil_joins", 3, 0, (1, 8, 14, 10, 12)),
            Do("fail_hook", 6, 100),
            Do("rename_member", 2, 20, (4, 12, 13, 9, 12)),
            Do("pass_time", 3, 0, (8, 2, 8, 0, 11)),
        ],
        juju="4.0",
        microcluster="3.0.0",
        consumer="tolerant",
        interleaved=True,
    )


def test_application_that_may_not_leave_is_removed_beside_another() -> None:
    """The workload refuses to let its members go, and the other application keeps its quorum."""
    replay(
        [
            Do("deploy", 3, 5),
            Do("cut_off", 1, 0, (0, 0, 14, 12)),
            Do("fail_command", 0, 20, (10, 14, 0, 0, 3)),
            Do("remove_unit", 1),
            Do("replace_distributors"),
            Do("deploy", 2),
            Do("refuse_removals"),
            Do("wait", 0, 100),
            Do("scale_to_zero", 7),
            Do("wait", 3, 100),
            Do("pass_time", 1, 20),
        ],
        juju="3.6",
        microcluster="2.0.5",
        interleaved=True,
    )


def test_unit_is_added_while_all_others_are_refused_to_leave() -> None:
    """Two are let go, with the quorum; the last one is not kept for the newcomer's sake."""
    replay(
        [Do("deploy", 3, 100), Do("scale_to_zero"), Do("refuse_removals", 0, 20), Do("add_unit")],
        juju="3.6",
        microcluster="3.0.0",
    )


def test_unit_is_added_before_another_is_refused_to_leave() -> None:
    """Two have gone, with the quorum; an operator has to let the last one go."""
    done = replay(
        [
            Do("deploy", 6),
            Do("add_unit", 1, 100, (3,)),
            Do("add_unit", 3),
            Do("hang_command", 2),
            Do("integrate", 2, 5),
            Do("scale_to_zero", 2, 5),
            Do("kill_distributor", 7, 20, (5, 5, 11)),
            Do("refuse_removals", 0, 5, (14, 14, 12, 7, 14)),
            Do("add_unit", 1, 5),
            Do("suspend", 5, 5),
        ],
        juju="4.0",
        microcluster="3.0.0",
        consumer="quiet",
    )
    assert "gives first/0 up" in done[-1]
