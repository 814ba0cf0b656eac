"""A join while a member is down would cost a cluster of three its quorum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration import tell
from tests.scenarios import sickness

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud


def test_a_newcomer_waits_while_a_member_is_down(cloud: Cloud) -> None:
    """It says for whom, and joins once that machine is started again."""
    tell.tell(cloud, sickness.a_newcomer_waits_for_another_member)
