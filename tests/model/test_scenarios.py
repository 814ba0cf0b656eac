"""Every story, on the model of Juju with a fake microcluster below.

Two seeds, each on half of the pairs of versions of Juju and microcluster, so that each pair is
there once; `--story-seeds N` for more.
"""

from __future__ import annotations

from typing import cast

import pytest

from tests import juju_model, scenarios
from tests.simulation import bags
from tests.clouds import local
from tests.scenarios import telling

STORIES = scenarios.every_story()
_PAIRS = (
    (("3.6", "2.0.5"), ("4.0", "3.0.0")),
    (("3.6", "3.0.0"), ("4.0", "2.0.5")),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tell each story on each schedule: a version of Juju, a seed, and what the seed says."""
    if "story" not in metafunc.fixturenames:
        return
    seeds = cast("int", metafunc.config.getoption("--story-seeds", 2))
    metafunc.parametrize(
        ("story", "seed", "version", "microcluster"),
        [
            pytest.param(
                story,
                seed,
                version,
                microcluster,
                id=f"{story.name}-seed{seed}-juju{version}-microcluster{microcluster}",
            )
            for story in STORIES
            for seed in range(seeds)
            for version, microcluster in _PAIRS[seed % 2]
        ],
    )


def test_story(story: telling.Story, seed: int, version: str, microcluster: str) -> None:
    """A story comes to its good end, whatever the schedule."""
    # In two of three, other machines run their hooks while one waits for a command.
    interleave = 0.3 if seed % 3 else 0.0
    with juju_model.Juju(
        seed, behaviour=local.behaviour(version, story.needs), interleave=interleave
    ) as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju, seed, microcluster))
        if obstacle := story.obstacle(cloud):
            pytest.skip(obstacle)
        complaints: list[str] = []
        juju.on_hook.append(
            lambda hook: complaints.extend(
                f"{hook}: {complaint}" for complaint in bags.complaints(juju, hook)
            )
        )

        story.tell(cloud)

        assert not cloud.unspent(), "these faults never struck"
        assert not complaints


def test_failure_shows_what_came_before_rounds_in_which_nothing_happened() -> None:
    """The last hooks are those of the rounds, and would say nothing of the cause."""
    with juju_model.Juju() as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju))
        telling.form(cloud, 2)
        cloud.wait(20)

        told = local.tail(juju, 30).splitlines()

    assert len(told) == 30
    assert [line for line in told if "update-status" in line and "wrote" not in line] == []
    assert told == sorted(told)


def test_no_story_is_beyond_the_model() -> None:
    """Each can be told with some microcluster: a story that needs more is skipped above."""
    beyond: list[str] = []
    for story in STORIES:
        with juju_model.Juju(behaviour=local.behaviour("4.0", story.needs)) as juju:
            clouds = (
                local.LocalCloud(juju, local.fake_microcluster(juju, version=version))
                for version in ("2.0.5", "3.0.0")
            )
            if all(story.obstacle(cloud) for cloud in clouds):
                beyond.append(story.name)

    assert not beyond
    assert len(STORIES) == len({story.name for story in STORIES})
