"""The leader of three distributors is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import distributor

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_its_leader_is_killed_and_removed_by_force(cloud: Cloud) -> None:
    """A newcomer joins before its machine is removed by force, and another one after."""
    tell.tell(cloud, distributor.its_leader_dies_when_all_is_done)
