"""Every story, on the model of Juju with real LXD daemons below, which die by kill -9."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import juju_model, scenarios
from tests.clouds import local, protocol

if TYPE_CHECKING:
    from tests.microclusters import lxd
    from tests.scenarios import telling

STORIES = scenarios.every_story()

#: What real daemons cannot be made to do, and which stories are skipped for it, beside those that
#: need the powers of `protocol.Field`.
BEYOND = {
    "healing::a_member_that_is_pending_for_good_hangs_nothing",
    "scaling::the_first_member_leaves_as_soon_as_another_has_joined",
}


@pytest.mark.parametrize("story", [pytest.param(story, id=story.name) for story in STORIES])
def test_story(story: telling.Story, cluster: lxd.LxdMicrocluster) -> None:
    """A story comes to its good end."""
    with juju_model.Juju(behaviour=local.behaviour("4.0", story.needs)) as juju:
        cloud = local.LocalCloud(juju, cluster)
        if obstacle := story.obstacle(cloud):
            pytest.skip(obstacle)

        story.tell(cloud)

        assert not cloud.unspent(), "these faults never struck"


def test_only_known_stories_are_skipped(cluster: lxd.LxdMicrocluster) -> None:
    """Nobody should believe that a story was told here when it was not."""
    skipped: set[str] = set()
    for story in (story for story in STORIES if protocol.Trait.FIELD not in story.needs):
        with juju_model.Juju(behaviour=local.behaviour("4.0", story.needs)) as juju:
            if story.obstacle(local.LocalCloud(juju, cluster)):
                skipped.add(story.name)

    assert skipped == BEYOND
