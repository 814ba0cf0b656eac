"""The hooks of a formation grow with the units, and not with their square.

With `-k scale --units 1000` a thousand form one cluster, which takes some minutes.
"""

from __future__ import annotations

from typing import cast

import pytest

from tests import juju_model
from tests.clouds import local, protocol
from tests.scenarios import helpers

# Of its hooks a consumer's unit has four at its start, two from entering the relation, and one for
# each of the distributor's two writes; it causes three at the distributor.
_HOOKS_A_UNIT = 11
_HOOKS_BESIDES = 9


@pytest.mark.parametrize("version", ["3.6", "4.0"])
def test_scale_of_a_formation(version: str, request: pytest.FixtureRequest) -> None:
    """All units are deployed at once, and form one cluster without a round of update-status."""
    units = cast("int", request.config.getoption("--units"))
    behaviour = juju_model.Behaviour.of(version)
    with juju_model.Juju(behaviour=behaviour) as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju))
        helpers.deploy(cloud, units)

        hooks = juju.settle(max_hooks=10 * _HOOKS_A_UNIT * units)

        assert len(cloud.members(f"{protocol.CONSUMER}/0")) == units
        statuses = {cloud.status(unit) for unit in cloud.units(protocol.CONSUMER)}
        assert statuses == {("active", "")}
        assert hooks <= _HOOKS_A_UNIT * units + _HOOKS_BESIDES


def test_scale_of_a_newcomer() -> None:
    """It joins without a round of update-status, and wakes each unit a few times."""
    with juju_model.Juju() as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju))
        helpers.deploy(cloud, 30)
        juju.settle()

        cloud.add_unit(protocol.CONSUMER)
        hooks = juju.settle()

        assert len(cloud.members(f"{protocol.CONSUMER}/0")) == 31
        # Its name and its token are published in a write each; that it has joined wakes nobody.
        assert hooks <= 2 * 31 + _HOOKS_A_UNIT
