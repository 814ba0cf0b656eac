"""What the tests on the model share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos import run

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever has the time run more schedules, and whoever has a failure run that one."""
    parser.addoption(
        "--seeds",
        type=int,
        default=run.SEEDS_IN_CI,
        metavar="N",
        help=f"run the schedules of faults 0 to N-1 (default: {run.SEEDS_IN_CI})",
    )
    parser.addoption(
        "--seed", type=int, default=None, metavar="N", help="run this schedule of faults alone"
    )
    parser.addoption(
        "--units",
        type=int,
        default=30,
        metavar="N",
        help="form one cluster of this many units, without faults (default: 30)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each schedule of faults."""
    if "schedule_seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("--seed")
        many = int(metafunc.config.getoption("--seeds") or 0)
        seeds = range(many) if one is None else [one]
        metafunc.parametrize("schedule_seed", seeds)
