"""The cluster grows and shrinks with its application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import scaling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_it_grows_and_shrinks(cloud: Cloud) -> None:
    """Two units come, two others go, and the cluster lists just the units that are there."""
    tell.tell(cloud, scaling.out_and_in)
