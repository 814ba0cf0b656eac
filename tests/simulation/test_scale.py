"""The hooks of a formation grow with the units, and not with their square.

With `-k scale --units 1000` a thousand form one cluster, which takes some minutes.
"""

from typing import cast

import pytest

from tests.clouds.protocol import CONSUMER
from tests.simulation import cloud as clouds

# Of its hooks a consumer's unit has four at its start, two from entering the relation, and one for
# each of the distributor's two writes; it causes three at the distributor.
_HOOKS_A_UNIT = 11
_HOOKS_BESIDES = 9


@pytest.mark.parametrize("version", ["3.6", "4.0"])
def test_scale(version: str, request: pytest.FixtureRequest) -> None:
    """Units deployed at once form a cluster, and one more joins, without an update-status."""
    units = cast("int", request.config.getoption("--units"))
    cloud = clouds.Cloud(version, "2.0.5", "plain", interleaved=False)
    cloud.choices.numbers = (3, 14, 15, 9, 2, 6, 5)
    with cloud.juju:
        cloud.deploy(CONSUMER, "first", units=units)
        cloud.integrate("first", clouds.DISTRIBUTOR)
        hooks = cloud.juju.settle(max_hooks=10 * _HOOKS_A_UNIT * units)
        _expect_members(cloud, units)
        assert hooks <= _HOOKS_A_UNIT * units + _HOOKS_BESIDES

        cloud.add_unit("first")
        hooks = cloud.juju.settle()
        _expect_members(cloud, units + 1)
        # Its name and its token are published in a write each; that it has joined wakes nobody.
        assert hooks <= 2 * (units + 1) + _HOOKS_A_UNIT


def _expect_members(cloud: clouds.Cloud, units: int) -> None:
    (cluster,) = cloud.fake.clusters
    assert len(cluster.online) == units
    assert {cloud.juju.status(unit).name for unit in cloud.units()} == {"active"}
