"""The hooks of a formation grow with the units, and not with their square.

With `-k scale --units 1000` a thousand form one cluster, which takes some minutes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import pytest

from tests.clouds.protocol import CONSUMER
from tests.simulation import cloud as clouds

if TYPE_CHECKING:
    from collections.abc import Generator

# Of its hooks a consumer's unit has four at its start, two from entering the relation, and one for
# each of the distributor's two writes; it causes three at the distributor.
_HOOKS_A_UNIT = 11
_HOOKS_BESIDES = 9


@pytest.mark.parametrize("version", ["3.6", "4.0"])
def test_scale_of_a_formation(version: str, request: pytest.FixtureRequest) -> None:
    """All units are deployed at once, and form one cluster without a round of update-status."""
    units = cast("int", request.config.getoption("--units"))
    with _cloud(version, units) as cloud:
        hooks = cloud.juju.settle(max_hooks=10 * _HOOKS_A_UNIT * units)

        _expect_members(cloud, units)
    assert hooks <= _HOOKS_A_UNIT * units + _HOOKS_BESIDES


def test_scale_of_a_newcomer() -> None:
    """It joins without a round of update-status, and wakes each unit a few times."""
    with _cloud("4.0", 30) as cloud:
        cloud.juju.settle()

        cloud.juju.add_unit("first")
        hooks = cloud.juju.settle()

        _expect_members(cloud, 31)
    # Its name and its token are published in a write each; that it has joined wakes nobody.
    assert hooks <= 2 * 31 + _HOOKS_A_UNIT


@contextlib.contextmanager
def _cloud(version: str, units: int) -> Generator[clouds.Cloud]:
    cloud = clouds.Cloud(version, "2.0.5", "plain", interleaved=False)
    cloud.choices.numbers = (3, 14, 15, 9, 2, 6, 5)
    with cloud.juju:
        cloud.deploy(CONSUMER, "first", units=units)
        cloud.integrate("first", clouds.DISTRIBUTOR)
        yield cloud


def _expect_members(cloud: clouds.Cloud, units: int) -> None:
    (cluster,) = cloud.fake.clusters
    assert len(cluster.online) == units
    assert {cloud.juju.status(unit).name for unit in cloud.units()} == {"active"}
