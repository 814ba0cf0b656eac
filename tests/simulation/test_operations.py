"""Each operation can be done: one that never can would show nothing, in however many schedules."""

import pytest

from tests.simulation.operations import NAMES, Do
from tests.simulation.replay import replay

_FORMED = (Do("deploy_across_models", 3, 100), Do("add_distributor"), Do("pass_time", 7, 100))
# What is possible only after something else.
_BEFORE = {
    "integrate": "remove_relation",
    "provision": "add_late_unit",
    "remove_late_unit": "add_late_unit",
    "remove_lost_unit": "kill_machine",
    "remove_unreadable_unit": "kill_machine",
    "replace_lost_unit": "silence_machine",
    "resume": "suspend",
    "start_machine": "stop_agent",
    "start_machine_slowly": "silence_machine",
}


@pytest.mark.parametrize("name", NAMES[1:])
def test_operation_can_be_done(name: str) -> None:
    """And the cluster comes about."""
    before = Do(_BEFORE.get(name, NAMES[0]), 1, 100)

    done = replay([*_FORMED, before, Do(name, 1, 20)], juju="4.0", microcluster="2.0.5")

    assert any(f"s  {name}: " in line for line in done)
