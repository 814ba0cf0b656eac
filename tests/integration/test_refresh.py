"""The distributor is refreshed, the units keep the published library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import revisions

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_the_published_distributor_is_refreshed_to_this_one(cloud: Cloud) -> None:
    """The cluster stays whole, and a newcomer with the published library joins it."""
    tell.tell(cloud, revisions.an_earlier_distributor_is_refreshed_alone)
