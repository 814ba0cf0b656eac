"""LXD clusters in the place of MicroOVN, for where the snap store is out of reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration import choices, tell
from tests.scenarios import loss

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


@pytest.mark.consumer(choices.LXD_CLUSTER)
def test_a_cluster_of_lxd_daemons_survives_its_communicator(cloud: Cloud) -> None:
    """It forms, loses the machine that issues tokens, gets it back, and grows."""
    tell.tell(cloud, loss.the_communicator_dies_and_comes_back)
