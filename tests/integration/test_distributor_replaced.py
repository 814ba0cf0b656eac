"""All of the distributor is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import distributor

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_all_its_units_are_replaced(cloud: Cloud) -> None:
    """Units with empty databags take over, and a newcomer joins."""
    tell.tell(cloud, distributor.all_its_units_are_lost_and_replaced)
