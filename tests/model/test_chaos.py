"""One cluster forms and stays whole, whatever befalls it."""

from __future__ import annotations

import pytest

from tests.chaos import run

# Schedules that failed once, each for the reason beside it.
ONCE_FAILED = [
    (1, "a failed join's ghost kept everybody waiting, its own unit among them"),
    (15, "a unit left while nobody led, and stayed a member for good"),
    (20, "the same, on Juju 3.6"),
    (31, "a leader that came back from the dead forgot who had been shown meanwhile"),
    (35, "a machine came back under its old name while nobody led"),
    (153, "the only unit of an application was removed by force, and taken for a subordinate"),
    (74, "a unit that its cluster did not let go kept the distributor from seeing who had left"),
    (111, "the same, on Juju 4.0"),
    (488, "one of two units that went together left its vote behind, and the other could not go"),
    (83, "a machine that stopped right after it had joined was taken for a ghost"),
]

# And those that failed in a soak, with as many deeds as there.
FOUND_BY_SOAKING = [
    (305, "a unit removed by force departed when another member had its name, and was down"),
    (1508, "a cluster stopped answering while a unit left, which took its vote along"),
    (3863, "the same"),
    (10694, "the same, in an application that went as a whole"),
    (2933, "a join took effect, was said to have failed, and its machine died"),
    (9700, "the same, with the newcomer removed by force"),
    (11757, "the same, with other members down"),
    (5567, "a namesake was shown the used token of the machine before"),
    (5990, "all who could issue a token had left, and a token that failed showed a cluster"),
    (7211, "a dead leader's databag was believed, as its successor's was yet to be seen"),
    (11903, "the same"),
    (7426, "a member that doubted was shown as joined, on its own earlier word"),
    (10050, "the same, on Juju 3.6"),
    (7743, "the only unit of an application went by force before goal-state was asked"),
    (8145, "a hold was read by a sweep, and taken back before Juju told of it"),
    (8875, "the same, read by a new leader"),
]


def test_cluster_stays_whole(schedule_seed: int) -> None:
    """Under a schedule of faults that its seed makes."""
    result = run.run(schedule_seed)

    assert result.hooks > 0


@pytest.mark.parametrize(("seed", "reason"), ONCE_FAILED)
def test_schedule_that_failed_once_no_longer_does(seed: int, reason: str) -> None:
    """Each is kept beside the ordinary seeds, and with more deeds than those."""
    result = run.run(seed, deeds=25)

    assert not result.lost, reason


@pytest.mark.parametrize(("seed", "reason"), FOUND_BY_SOAKING)
def test_schedule_found_by_soaking_no_longer_fails(seed: int, reason: str) -> None:
    """The quorum was not lost in any of them."""
    result = run.run(seed)

    assert not result.lost, reason
