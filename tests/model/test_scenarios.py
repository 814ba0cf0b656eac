"""Every story, on the model of Juju with a fake microcluster below."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests import juju_model, scenarios
from tests.clouds import local, protocol

if TYPE_CHECKING:
    from tests.scenarios import telling

STORIES = scenarios.every_story()

#: Juju's version, the seed, and how likely hooks of other machines run while one waits.
SCHEDULES = [
    (version, seed, interleave)
    for version in ("3.6", "4.0")
    for seed, interleave in enumerate((0.0, 0.3, 0.0, 0.3, 0.3))
]


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
@pytest.mark.parametrize(
    ("version", "seed", "interleave"),
    SCHEDULES,
    ids=[f"juju{version}-seed{seed}-interleave{rest}" for version, seed, rest in SCHEDULES],
)
def test_story(story: telling.Story, version: str, seed: int, interleave: float) -> None:
    """A story comes to its good end on each schedule."""
    behaviour = _behaviour(version, story)
    with juju_model.Juju(seed, behaviour=behaviour, interleave=interleave) as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju, seed))
        if obstacle := story.obstacle(cloud):
            pytest.skip(obstacle)

        story.tell(cloud)

        assert not cloud.unspent(), "these faults never struck"


def test_no_story_is_beyond_the_model() -> None:
    """Here everything can be told: a story that needs more would be skipped above."""
    beyond: list[str] = []
    for story in STORIES:
        with juju_model.Juju(behaviour=_behaviour("4.0", story)) as juju:
            cloud = local.LocalCloud(juju, local.fake_microcluster(juju))
            if story.obstacle(cloud):
                beyond.append(story.name)

    assert not beyond
    assert len(STORIES) == len({story.name for story in STORIES})


def _behaviour(version: str, story: telling.Story) -> juju_model.Behaviour:
    """Give a release's behaviour, but for what a story needs of a removal by force."""
    behaviour = juju_model.Behaviour.of(version)
    if protocol.Trait.FORCE_DEPARTS in story.needs:
        return dataclasses.replace(behaviour, force_departs=True)
    if protocol.Trait.FORCE_IS_SILENT in story.needs:
        return dataclasses.replace(behaviour, force_departs=False)
    return behaviour
