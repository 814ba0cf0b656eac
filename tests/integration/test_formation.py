"""Three units of a bundle form one cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import forming

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_a_cluster_forms_from_the_bundle(cloud: Cloud) -> None:
    """Each unit is an online member of it, and no token is left in any databag."""
    tell.tell(cloud, forming.from_the_bundle)
