"""Schedules that have failed once, as the shortest lists that were found."""

from __future__ import annotations

from tests.simulation.operations import Do
from tests.simulation.replay import replay


def test_unit_that_may_bootstrap_is_renamed() -> None:
    """Another name was granted the bootstrap than the one that its unit has by then."""
    replay([Do("deploy", 3, 30), Do("rename_machine")], juju="3.6", microcluster="2.0.5")
