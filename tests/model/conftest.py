"""What the tests on the model share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever has the time tell more."""
    parser.addoption(
        "--story-seeds",
        type=int,
        default=2,
        metavar="N",
        help="tell each story with the seeds 0 to N-1 (default: 2)",
    )
