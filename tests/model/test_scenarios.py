"""Each scenario can run somewhere, and nobody believes that one ran where it was skipped."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from typing import Any, cast
from unittest import mock

from tests import juju_model, scenarios
from tests.clouds import local, protocol
from tests.clouds.protocol import Capability
from tests.microclusters import protocol as microclusters

# What real daemons cannot be made to do, beside what needs fake machines.
NOT_ON_LXD = {
    "test_leaving::test_first_member_leaves_before_roles_are_given",
    "test_scaling::test_member_without_a_role_blocks_nothing",
}


def _required() -> dict[str, set[Capability]]:
    """Return what each scenario requires, by `module::function`."""
    modules = [
        importlib.import_module(f"{scenarios.__name__}.{module.name}")
        for module in pkgutil.iter_modules(scenarios.__path__)
        if module.name.startswith("test_")
    ]
    return {
        f"{module.__name__.rpartition('.')[2]}::{name}": _marked(module) | _marked(value)
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("test_")
    }


def _marked(where: object) -> set[Capability]:
    marks: Any = getattr(where, "pytestmark", [])
    each = cast("list[Any]", marks if isinstance(marks, list) else [marks])
    return {capability for mark in each if mark.name == "requires" for capability in mark.args}


def _unsupported(cloud: protocol.Cloud) -> set[str]:
    required = _required().items()
    return {name for name, marked in required if protocol.unsupported_reason(cloud, marked)}


def test_each_scenario_runs_on_the_model() -> None:
    """With some pair of versions."""
    beyond = set(_required())
    for juju_version, version in itertools.product(("3.6", "4.0"), ("2.0.5", "3.0.0")):
        with juju_model.Juju(version=juju_version) as juju:
            cloud = local.LocalCloud(juju, local.fake_microcluster(juju, version=version))
            beyond &= _unsupported(cloud)

    assert not beyond


def test_only_known_scenarios_are_skipped_on_lxd() -> None:
    required = _required()
    with juju_model.Juju() as juju:
        cloud = local.LocalCloud(juju, mock.create_autospec(microclusters.Microcluster))
        skipped = {
            name for name in _unsupported(cloud) if Capability.FAKE_MACHINES not in required[name]
        }

    assert skipped == NOT_ON_LXD
