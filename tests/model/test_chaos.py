"""One cluster forms and stays whole, under schedules of faults."""

from __future__ import annotations

from tests.chaos import run


def test_cluster_stays_whole(schedule_seed: int) -> None:
    """Under a schedule of faults that its seed makes, on the versions that the seed says."""
    result = run.run(schedule_seed)

    assert result.hooks > 0
