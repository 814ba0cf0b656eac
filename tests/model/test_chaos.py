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


def test_cluster_stays_whole(schedule_seed: int) -> None:
    """Under a schedule of faults that its seed makes."""
    result = run.run(schedule_seed)

    assert result.hooks > 0


@pytest.mark.parametrize(("seed", "reason"), ONCE_FAILED)
def test_schedule_that_failed_once_no_longer_does(seed: int, reason: str) -> None:
    """Each is kept beside the ordinary seeds, and with more deeds than those."""
    result = run.run(seed, deeds=25)

    assert not result.lost, reason
