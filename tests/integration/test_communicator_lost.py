"""The member that issues tokens is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import loss

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_the_communicator_is_killed_and_removed_by_force(cloud: Cloud) -> None:
    """The next one takes it out of the cluster, and a newcomer joins."""
    tell.tell(
        cloud,
        loss.the_communicator_is_removed_by_force,
        loss.the_communicator_is_removed_by_force_in_silence,
    )
