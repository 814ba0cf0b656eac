"""Two applications share a distributor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import applications

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_two_applications_form_one_cluster(cloud: Cloud) -> None:
    """The units of the second join the cluster of the first."""
    tell.tell(cloud, applications.the_second_joins_later)
