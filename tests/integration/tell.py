"""How a story of `tests.scenarios` becomes a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds import protocol

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud
    from tests.scenarios.telling import Story


def tell(cloud: Cloud, *versions: Story) -> None:
    """Tell a story, in the first of its versions that a cloud can express.

    It fails where there is none: nobody should believe that a story was told when it was not. Only
    where nothing was ever published, for a base say, there is no story of a refresh to tell.
    """
    for story in versions:
        if not story.obstacle(cloud):
            story.tell(cloud)
            return
    reason = "; ".join(story.obstacle(cloud) for story in versions)
    if all(protocol.Trait.EARLIER_CHARMS in story.needs - cloud.traits for story in versions):
        pytest.skip(reason)
    pytest.fail(reason, pytrace=False)
