"""How many schedules are drawn, and how large a cluster is formed."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever has the time run more."""
    parser.addoption(
        "--schedules",
        type=int,
        default=400,
        metavar="N",
        help="draw this many schedules; with another --hypothesis-seed others (default: 400)",
    )
    parser.addoption(
        "--units",
        type=int,
        default=30,
        metavar="N",
        help="form one cluster of this many units, without faults (default: 30)",
    )
