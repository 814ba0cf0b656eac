"""What the tests on the model share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever has the time tell the stories on more schedules."""
    parser.addoption(
        "--story-seeds",
        type=int,
        default=3,
        metavar="N",
        help="tell each story with the seeds 0 to N-1 (default: 3)",
    )
