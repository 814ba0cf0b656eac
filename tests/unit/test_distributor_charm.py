"""What the distributor's charm tells its operator: statuses, and the action `show-mirror`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ops.testing
import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor, runner

if TYPE_CHECKING:
    from collections.abc import Mapping

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
A, B, C = "node-a", "node-b", "node-c"
T1 = distributor.token(C)
TB = distributor.token(B)
D1, DJ = lib.digest(T1), lib.digest(JOINED)
says, offering, related = distributor.says, distributor.offering, distributor.related

active = ops.testing.ActiveStatus
blocked = ops.testing.BlockedStatus
waiting = ops.testing.WaitingStatus


def mirrored(values: Mapping[str, str], **more: Any) -> ops.testing.Relation:
    """Make a relation in which a leader shows something, and nobody is seen."""
    ours = {"mirror": "up", **{f"mirror-{key}": value for key, value in values.items()}}
    ours.update({key.replace("_", "-"): text for key, text in more.pop("keys", {}).items()})
    app_bag = {"leader": distributor.UNIT, **more.pop("app_bag", {})}
    return related("microovn", {}, ours=ours, app_bag=app_bag, **more)


# While units are still awaited, nothing that is shown changes.
AWAITED = {"microovn/9": "waiting"}


@pytest.mark.parametrize(
    ("relations", "status"),
    [
        pytest.param(
            [], blocked("integrate with a charm that forms a microcluster"), id="no relation"
        ),
        pytest.param(
            [mirrored({})], active("no unit has given its host name yet"), id="nobody spoke"
        ),
        pytest.param(
            [mirrored({"port": "6641"})],
            active("no unit has given its host name yet"),
            id="a charm's own value is no unit",
        ),
        pytest.param(
            [mirrored({A: EMPTY, B: EMPTY})],
            waiting("waiting to hear from all units before one may bootstrap"),
            id="not granted yet",
        ),
        pytest.param(
            [
                mirrored(
                    {A: EMPTY},
                    app_bag={"bootstrap-app": "microovn", "bootstrap-unit": "microovn/9"},
                )
            ],
            waiting("waiting for microovn/9 to bootstrap"),
            id="granted",
        ),
        pytest.param([mirrored({A: JOINED})], active("1 unit in 1 application"), id="one joined"),
        pytest.param(
            [mirrored({A: JOINED, B: JOINED, "port": "6641"})],
            active("2 units in 1 application"),
            id="all joined",
        ),
        pytest.param(
            [
                mirrored({A: JOINED, B: JOINED}),
                related(
                    "sunbeam",
                    {},
                    relation_id=2,
                    ours={"mirror": "up", f"mirror-{A}": JOINED, f"mirror-{B}": JOINED},
                    app_bag={"leader": distributor.UNIT},
                ),
            ],
            active("2 units in 2 applications"),
            id="two applications",
        ),
        pytest.param(
            [mirrored({A: JOINED, B: EMPTY, C: EMPTY})],
            waiting("3 units in 1 application, 2 without a token yet"),
            id="some wait for a token",
        ),
        pytest.param(
            [mirrored({A: JOINED, C: T1})],
            active("2 units in 1 application"),
            id="one has a token",
        ),
        pytest.param(
            [mirrored({A: JOINED, B: TB, C: T1}, keys={f"failed-{B}": lib.digest(TB)})],
            waiting(f"join failed, another token is due: {B}"),
            id="a join failed",
        ),
        pytest.param(
            [mirrored({A: JOINED, C: T1}, keys={f"failed-{C}": lib.digest(TB)})],
            active("2 units in 1 application"),
            id="a join with an earlier token failed",
        ),
        pytest.param(
            [
                mirrored(
                    {A: JOINED, B: TB, C: T1},
                    keys={f"failed-{B}": lib.digest(TB), f"failed-{C}": D1},
                )
            ],
            waiting(f"join failed, another token is due: {B}, {C}"),
            id="two joins failed",
        ),
    ],
)
def test_what_a_leader_says(
    distributor_unit: distributor.Distributor,
    relations: list[ops.testing.Relation],
    status: ops.testing.ActiveStatus,
) -> None:
    """Related or not, how many, who waits, and for what."""
    state = distributor_unit.hook("update_status", *relations, goal=AWAITED)

    assert state.unit_status == status


@pytest.mark.parametrize(
    ("values", "status"),
    [
        pytest.param(
            {A: JOINED, B: JOINED},
            active("2 units in 1 application, not online: node-x, node-y"),
            id="nobody waits",
        ),
        pytest.param(
            {A: JOINED, B: JOINED, C: EMPTY},
            waiting("no unit can join until online: node-x, node-y"),
            id="one waits for a token",
        ),
        pytest.param(
            {A: JOINED, B: JOINED, C: T1},
            waiting("no unit can join until online: node-x, node-y"),
            id="one may not use its token",
        ),
    ],
)
def test_what_a_leader_says_while_members_are_down(
    distributor_unit: distributor.Distributor,
    values: dict[str, str],
    status: ops.testing.ActiveStatus,
) -> None:
    """It names them, since everybody waits for them."""
    relation = related(
        "microovn",
        {0: offering(A, {}, hold="node-y node-x"), 1: says(B, "true"), 2: {}},
        ours={"mirror": "up", **{f"mirror-{key}": value for key, value in values.items()}},
        app_bag={"leader": distributor.UNIT},
    )

    state = distributor_unit.hook("update_status", relation)

    assert state.unit_status == status


@pytest.mark.parametrize(
    ("hold", "status"),
    [
        ("", waiting("2 units in 1 application, 1 without a token yet")),
        ("node-x", waiting("no unit can join until online: node-x")),
    ],
)
def test_what_a_leader_says_of_a_unit_whose_machine_was_replaced(
    distributor_unit: distributor.Distributor, hold: str, status: ops.testing.WaitingStatus
) -> None:
    """It is shown joined, says that this is not so, and waits for a token as any newcomer."""
    relation = related(
        "microovn",
        {0: offering(A, {}, hold=hold), 1: says(C, "false", failed=DJ)},
        ours={"mirror": "up", f"mirror-{A}": JOINED, f"mirror-{C}": JOINED},
        app_bag={"leader": distributor.UNIT},
    )

    state = distributor_unit.hook("update_status", relation)

    assert state.unit_status == status


def test_what_one_says_who_does_not_lead(distributor_unit: distributor.Distributor) -> None:
    """It cannot even read its own application's databag."""
    relation = related("microovn", {0: says(A, "true")}, ours={"mirror": "up"})

    state = distributor_unit.hook("update_status", relation, leader=False)

    assert state.unit_status == active("ready to take over from the leader")


def test_what_one_says_who_neither_leads_nor_is_related(
    distributor_unit: distributor.Distributor,
) -> None:
    """An operator must act, whoever leads."""
    state = distributor_unit.hook("update_status", leader=False)

    assert state.unit_status == blocked("integrate with a charm that forms a microcluster")


def test_the_libraries_status_reads_no_consumers_databag(
    distributor_unit: distributor.Distributor,
) -> None:
    """It is asked for at every event, however many units there are."""
    relation = related(
        "microovn",
        {number: says(f"node-{number}", "true") for number in range(20)},
        ours={"mirror": "up", **{f"mirror-node-{number}": JOINED for number in range(20)}},
        app_bag={"leader": distributor.UNIT},
    )

    distributor_unit.memory = {"named-microovn": "true"}

    state = distributor_unit.hook("relation_changed", relation)

    assert state.unit_status == active("20 units in 1 application")
    assert set(distributor_unit.reads) == {distributor.APP, distributor.UNIT, distributor.MEMORY}


# The action


def row(unit: str, hostname: str, state: str) -> dict[str, str]:
    """Make a row of the action's results."""
    return {
        "unit": unit,
        "application": unit.split("/")[0],
        "host-name": hostname,
        "state": state,
    }


def test_the_action_shows_each_unit_in_its_state(
    distributor_unit: distributor.Distributor,
) -> None:
    """It changes nothing; that no token is in it is checked at every hook."""
    first = related(
        "microovn",
        {
            0: offering(A, {C: T1}),
            1: says(B, "false", failed=lib.digest(TB)),
            2: says(C, "false"),
            3: says("node-d", "false"),
            4: says("node-e", "false", failed=DJ),
            5: {},
            10: says("node-k", "true"),
        },
        ours={
            "mirror": "up",
            f"mirror-{A}": JOINED,
            f"mirror-{B}": TB,
            f"failed-{B}": lib.digest(TB),
            f"mirror-{C}": T1,
            "mirror-node-d": EMPTY,
            "mirror-node-e": JOINED,
            "failed-node-e": DJ,
            "mirror-node-k": JOINED,
        },
        app_bag={"leader": distributor.UNIT, "left": "node-y node-x node-d"},
    )
    second = related("sunbeam", {7: says("node-s", "false")}, relation_id=2)
    goal = distributor.names_of([first, second])
    del goal["microovn/10"]

    rows = distributor_unit.show_mirror(first, second, goal=goal)

    assert rows == [
        row("microovn/0", A, "joined"),
        row("microovn/1", B, "join failed"),
        row("microovn/10", "node-k", "left"),
        row("microovn/2", C, "token offered"),
        row("microovn/3", "node-d", "waiting"),
        row("microovn/4", "node-e", "waiting"),
        row("microovn/5", "", "waiting"),
        row("sunbeam/7", "node-s", "waiting"),
        row("", "node-x", "left"),
        row("", "node-y", "left"),
    ]
    assert distributor_unit.writes == []


def test_the_action_without_goal_state_takes_nobody_for_one_who_left(
    distributor_unit: distributor.Distributor,
) -> None:
    """An old Juju, or an error."""
    relation = related("microovn", {0: says(A, "true")}, ours={f"mirror-{A}": JOINED})

    rows = distributor_unit.show_mirror(relation, goal=runner.Answer(1, stderr="ERROR"))

    assert rows == [row("microovn/0", A, "joined")]


def test_the_action_without_a_relation_has_no_rows(
    distributor_unit: distributor.Distributor,
) -> None:
    """And does not fail for that."""
    assert distributor_unit.show_mirror() == []


def test_the_action_fails_on_a_unit_that_does_not_lead(
    distributor_unit: distributor.Distributor,
) -> None:
    """It says where to run it."""
    relation = related("microovn", {0: says(A, "true")})

    with pytest.raises(ops.testing.ActionFailed) as failure:
        distributor_unit.show_mirror(relation, leader=False)

    assert failure.value.message == (
        "only the leader mirrors: run the action on distributor/leader"
    )
    assert distributor_unit.context.action_results is None


# The helper itself


def test_a_token_in_the_log_is_noticed(
    distributor_unit: distributor.Distributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or no test would notice one."""
    write = lib.Mirror.unit_bag

    def blab(mirror: lib.Mirror) -> dict[str, str]:
        lib.logger.info("mirrored: %s", mirror.values)
        return write(mirror)

    monkeypatch.setattr(lib.Mirror, "unit_bag", blab)
    relation = related("microovn", {0: offering(A, {C: T1}), 1: says(C, "false")})

    with pytest.raises(AssertionError, match="a token is in a log line"):
        distributor_unit.hook("leader_elected", relation)
