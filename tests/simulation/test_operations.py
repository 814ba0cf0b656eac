"""Each operation can be done: one that never can would show nothing, in however many schedules."""

from __future__ import annotations

from tests.simulation.operations import FAULTS, NAMES, Do
from tests.simulation.replay import replay

_LONG = 100
_PAUSE = Do("pass_time", 7, _LONG)
_SCHEDULES = (
    [
        *(Do("deploy_across_models", 4, _LONG), _PAUSE, Do("suspend", 0, _LONG)),
        *(Do("rename_machine"), Do("resume", 0, _LONG), Do("expel", 1, _LONG)),
    ],
    [
        *(Do("deploy", 3, _LONG), Do("deploy", 2, _LONG), _PAUSE, Do("remove_relation", 1, _LONG)),
        *(Do("kill_machine", 4), Do("start_machine"), Do("integrate", 0, _LONG)),
        *(Do("refuse_removals"), Do("remove_unit", 0, _LONG), Do("refuse_removals", 0, _LONG)),
        Do("scale_to_zero", 1, _LONG),
    ],
    [
        *(Do("deploy", 4, _LONG), Do("add_late_unit"), Do("remove_late_unit")),
        *(
            Do("add_late_unit"),
            Do("provision", 0, _LONG),
            Do("add_unnamed_unit", 0, _LONG),
            _PAUSE,
        ),
        *(Do("silence_machine", 1), Do("remove_lost_unit", 0, _LONG), _PAUSE, Do("stop_agent", 1)),
        *(Do("replace_lost_unit", 0, _LONG), _PAUSE, _PAUSE, Do("kill_machine", 1)),
        *(Do("remove_unreadable_unit", 0, _LONG), Do("cut_off", 1, 20), Do("reconnect", 1, 20)),
        *(Do("restart_daemon"), Do("rename_member"), Do("kill_machine")),
        Do("start_machine_slowly", 0, _LONG),
    ],
    [
        *(Do("deploy", 3, _LONG), Do("add_distributor", 0, _LONG), Do("depose")),
        *(Do("depose_unawares", 1, _LONG), Do("remove_distributor", 0, _LONG)),
        *(Do("add_distributor", 0, _LONG), Do("kill_distributor", 0, _LONG)),
        *(Do("replace_distributors", 1, _LONG), Do("restart_agent"), Do("spoil_joins", 3)),
        *(*(Do(name, 3) for name in FAULTS), Do("add_unit", 0, 5)),
        *(Do("expire_tokens", 0, 5), Do("revoke_tokens", 0, _LONG)),
    ],
)


def test_every_operation_can_be_done() -> None:
    """And the cluster comes about."""
    done = {
        line.split("s  ", 1)[1].partition(":")[0]
        for operations in _SCHEDULES
        for line in replay(operations, juju="4.0", microcluster="2.0.5")
    }

    assert {*NAMES} - done == {"wait"}
