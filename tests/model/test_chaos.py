"""One cluster forms and stays whole, whatever befalls it."""

from __future__ import annotations

import pytest

from tests.chaos import run

DEEDS = run.DEEDS
MORE = 25

# Schedules that failed once, with how many deeds, and why. Each "the same" is as the one above.
ONCE_FAILED = [
    (1, MORE, "a failed join's ghost kept everybody waiting, its own unit among them"),
    (15, MORE, "a unit left while nobody led, and stayed a member for good"),
    (20, MORE, "the same, on Juju 3.6"),
    (31, MORE, "a leader that came back from the dead forgot who had been shown meanwhile"),
    (35, MORE, "a machine came back under its old name while nobody led"),
    (
        153,
        MORE,
        "the only unit of an application was removed by force, and taken for a subordinate",
    ),
    (74, MORE, "a unit that its cluster did not let go kept the distributor from seeing who left"),
    (111, MORE, "the same, on Juju 4.0"),
    (488, MORE, "one of two units that went together left its vote, and the other could not go"),
    (83, MORE, "a machine that stopped right after it had joined was taken for a ghost"),
    (305, DEEDS, "a unit removed by force departed when another had its name, and was down"),
    (1508, DEEDS, "a cluster stopped answering while a unit left, which took its vote along"),
    (3863, DEEDS, "the same"),
    (10694, DEEDS, "the same, in an application that went as a whole"),
    (2933, DEEDS, "a join took effect, was said to have failed, and its machine died"),
    (9700, DEEDS, "the same, with the newcomer removed by force"),
    (11757, DEEDS, "the same, with other members down"),
    (5567, DEEDS, "a namesake was shown the used token of the machine before"),
    (
        5990,
        DEEDS,
        "all who could issue a token had left, and a token that failed showed a cluster",
    ),
    (7211, DEEDS, "a dead leader's databag was believed, as its successor's was yet to be seen"),
    (11903, DEEDS, "the same"),
    (7426, DEEDS, "a member that doubted was shown as joined, on its own earlier word"),
    (10050, DEEDS, "the same, on Juju 3.6"),
    (7743, DEEDS, "the only unit of an application went by force before goal-state was asked"),
    (8145, DEEDS, "a hold was read by a sweep, and taken back before Juju told of it"),
    (8875, DEEDS, "the same, read by a new leader"),
]


def test_cluster_stays_whole(schedule_seed: int) -> None:
    """Under a schedule of faults that its seed makes."""
    result = run.run(schedule_seed)

    assert result.hooks > 0


@pytest.mark.parametrize(("seed", "deeds", "reason"), ONCE_FAILED)
def test_schedule_that_failed_once_no_longer_does(seed: int, deeds: int, reason: str) -> None:
    """The quorum was not lost in any of them."""
    result = run.run(seed, deeds=deeds)

    assert not result.lost, reason
