"""What a unit does next, from what it sees: each rule alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from microcluster_token_distributor import _membership, _wire, _workload
from tests.unit.consumer import MEMBER, NEWCOMER, TOKEN_0, TOKEN_1, TOKEN_2, token

FOR_0, FOR_1 = {"node-0": TOKEN_0}, {"node-1": TOKEN_1}
FOR_1_2 = {**FOR_1, "node-2": TOKEN_2}
NEWER = token("newer")
NEWER_1 = {"node-1": NEWER}
DIGEST_0, DIGEST_1 = _wire.digest(TOKEN_0), _wire.digest(TOKEN_1)
FIELDS = {field.name for field in dataclasses.fields(_membership.UnitState)}


def member_of(*rows: str) -> _membership.MembershipReport:
    """Return a list of members: a name for an online voter, or `name role status`."""
    fields = [row.split() if " " in row else [row, "voter", "ONLINE"] for row in rows]
    return _membership.MembershipReport(tuple(_workload.Member(*field) for field in fields))


NO = _membership.MembershipReport()
UNKNOWN = _membership.MembershipReport(reason="no quorum")
ALONE = member_of("node-0")
ONE_DOWN = member_of("node-0", "node-1 voter UNREACHABLE")
OTHER_COMMUNICATES = member_of("a", "node-0", "x spare OFF")
GRANTED: dict[str, Any] = {"is_granted": True, "waiting": "node-0"}
TOLERANT: dict[str, Any] = {"joins_while_degraded": True}
# Reports.
FAILED_0, FAILED_1 = ({**NEWCOMER, "failed": each} for each in (DIGEST_0, DIGEST_1))
OF_OTHER = {**MEMBER, "cluster": "a"}
UP = {**MEMBER, "mirror": "up"}
UP_1 = {**UP, "mirror-node-1": TOKEN_1}


def see(
    answer: _membership.MembershipReport = NO,
    *,
    own: dict[str, str] | None = None,
    leader: str = "0",
    values: dict[str, str] | None = None,
    **more: Any,
) -> _membership.UnitState:
    """Return what `node-0` sees: its own databag, what is published, other fields of the state."""
    app_bag = {key.replace("_", "-"): more.pop(key) for key in more.keys() - FIELDS}
    mirrored = {_wire.mirror_id(key): value for key, value in (values or {}).items()}
    return _membership.UnitState(
        "node-0",
        _wire.Report.from_bag("micro/0", own or {}),
        _wire.Published.from_bags({**app_bag, "leader": leader}, mirrored),
        answer=answer,
        **more,
    )


@pytest.mark.parametrize(
    ("rows", "was_member", "confirms", "expected"),
    [
        (["node-0", "node-1"], False, False, "member"),
        (["node-0 spare UNREACHABLE"], True, True, "member"),
        ([], False, False, "no"),
        ([], True, False, "denial"),
        ([], True, True, "no"),
        (["node-1"], False, False, "denial"),
        (["node-1"], True, True, "no"),
    ],
)
def test_an_answer_against_what_was_known_needs_a_second(
    rows: list[str], was_member: bool, confirms: bool, expected: str
) -> None:
    """So does a list without this unit, whatever it was."""
    members = member_of(*rows).members
    answer = _membership.believe(members, ["node-0"], was_member=was_member, confirms=confirms)

    assert bool(answer.members) is (expected == "member")
    assert answer.is_no is (expected == "no")
    assert answer.is_denial is bool(answer.reason) is (expected == "denial")


@pytest.mark.parametrize(
    ("rows", "communicator", "acts", "acts_at_update_status"),
    [
        (["a-node", "node-0"], "a-node", False, True),
        (["a-node voter UNREACHABLE", "node-0"], "node-0", True, True),
        (["a-node spare ONLINE", "node-0 voter online"], "node-0", True, True),
        (["node-0 spare ONLINE", "node-1"], "node-1", False, True),
        (["node-0 PENDING ONLINE", "node-1 spare ONLINE"], "node-0", True, True),
        (["node-0 voter UNREACHABLE"], "", False, False),
        (["node-1", "node-10", "node-0 voter OFF"], "node-1", False, False),
    ],
)
def test_first_online_voter_communicates(
    rows: list[str], communicator: str, acts: bool, acts_at_update_status: bool
) -> None:
    """Whatever the order of the list; at update-status every online member acts."""
    state = see(member_of(*reversed(rows)))
    at_update_status = dataclasses.replace(state, at_update_status=True)

    assert state.answer.communicator == communicator
    assert (state.acts, at_update_status.acts) == (acts, acts_at_update_status)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (see(**GRANTED), True),
        (see(**GRANTED, values={"central": "192.0.2.1", "node-0": "empty"}), True),
        (see(waiting="node-0"), False),
        (see(is_granted=True, waiting="node-1"), False),
        (see(**GRANTED, formed="true"), False),
        (see(**GRANTED, hold="node-1"), False),
        (see(**GRANTED, values=FOR_1), False),
    ],
)
def test_nobody_bootstraps_without_grant_or_beside_a_cluster(
    state: _membership.UnitState, expected: bool
) -> None:
    """Two clusters can never be made one."""
    assert _membership.may_bootstrap(state) is expected


@pytest.mark.parametrize(
    ("row", "published", "expected"),
    [
        ("node-1 voter UNREACHABLE", {"left": "node-1"}, ["node-1"]),
        ("node-1 voter UNREACHABLE", {"waiting": f"node-1={DIGEST_1}"}, []),
        ("node-1 voter UNREACHABLE", {"waiting": "node-1"}, []),
        ("node-1 voter UNREACHABLE", {"hold": "node-1"}, []),
        ("node-1", {"left": "node-1", "waiting": f"node-1={DIGEST_1}"}, []),
        ("node-1", {"left": "node-2"}, []),
        ("node-0 voter UNREACHABLE", {"left": "node-0"}, []),
    ],
)
def test_only_who_left_and_is_offline_is_removed(
    row: str, published: dict[str, Any], expected: list[str]
) -> None:
    """A member is never taken out on a guess."""
    state = see(member_of(row, "node-3"), **published)

    assert _membership.removable(state) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (see(ALONE, waiting="node-2 node-1"), ["node-1", "node-2"]),
        (see(member_of("node-0", "node-1"), waiting="node-1"), []),
        (see(ALONE, tokens=FOR_1, waiting="node-1"), []),
        (see(ALONE, tokens=FOR_1, waiting=f"node-1={DIGEST_1}"), ["node-1"]),
        (see(ALONE, tokens=FOR_1, waiting=f"node-1={DIGEST_0}"), []),
        (see(ONE_DOWN, waiting="x"), []),
        (see(ONE_DOWN, waiting="x", **TOLERANT), ["x"]),
        (see(ONE_DOWN, waiting="x node-1", **TOLERANT), []),
        (see(UNKNOWN, waiting="node-1"), []),
        (see(NO, waiting="node-1"), []),
    ],
)
def test_token_is_issued_for_who_waits_and_has_no_good_one(
    state: _membership.UnitState, expected: list[str]
) -> None:
    """In the order of names, and nobody while a member is offline that a join would harm."""
    assert _membership.to_issue(state) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        # A newcomer takes back all that it reported as a member but the charm's own values.
        (see(), NEWCOMER),
        (see(own={**UP_1, "mirror-a": "x"}), {**NEWCOMER, "mirror": "down", "mirror-a": "x"}),
        (see(own={**MEMBER, "hold": "node-1", "gone": "node-2"}), NEWCOMER),
        # Digests: of a token offered, tried, or in the way; kept until another is offered.
        (see(values=FOR_0, rejected=DIGEST_0), FAILED_0),
        (see(values=FOR_0, own={"failed": DIGEST_0}), FAILED_0),
        (see(values=FOR_0, own={"failed": DIGEST_1}), NEWCOMER),
        (see(own={"failed": DIGEST_1}), FAILED_1),
        (see(values={"node-0": "joined"}), NEWCOMER),
        (see(hold="node-0"), {**NEWCOMER, "failed": _wire.digest("empty")}),
        (see(hold="node-0", values=FOR_0), FAILED_0),
        (see(hold="node-0", values=FOR_0, own={"failed": DIGEST_1}), FAILED_1),
        (see(hold="node-1", values=FOR_0), NEWCOMER),
        # A member: what others have to know, and no more.
        (see(ALONE), MEMBER),
        (see(member_of("a", "node-0")), OF_OTHER),
        (see(ALONE, own={"failed": DIGEST_0, "mirror": "up"}), {**MEMBER, "mirror": "down"}),
        # Hold: the communicator judges; others only for what they reported, or when they act.
        (see(ONE_DOWN), {**MEMBER, "hold": "node-1"}),
        (see(ONE_DOWN, own={"hold": "node-1"}, **TOLERANT), {**MEMBER, "offline": "node-1"}),
        (see(ALONE, own={"hold": "node-1"}), MEMBER),
        (see(OTHER_COMMUNICATES, own={"hold": "x y"}), {**OF_OTHER, "hold": "x"}),
        (see(OTHER_COMMUNICATES), OF_OTHER),
        (see(OTHER_COMMUNICATES, at_update_status=True), {**OF_OTHER, "hold": "x"}),
        (see(OTHER_COMMUNICATES, at_update_status=True, hold="x"), OF_OTHER),
        # Gone: of who has left, those not in the list, as the communicator sees it.
        (see(ONE_DOWN, left="node-1 x", **TOLERANT), {**MEMBER, "offline": "node-1", "gone": "x"}),
        (see(OTHER_COMMUNICATES, left="node-2"), OF_OTHER),
        # Tokens: for who waits, or all while nothing is published; none for who is online.
        (see(ALONE, tokens=FOR_1_2, waiting="node-1"), UP_1),
        (see(member_of("node-0", "node-2"), tokens=FOR_1_2, leader=""), UP_1),
        (see(ALONE, tokens=FOR_1, waiting=f"node-1={DIGEST_1}"), UP_1),
        (see(ALONE, own={**UP_1, "mirror-a": "x"}), {**UP, "mirror-a": "x"}),
        (see(ALONE, own=UP_1, tokens=NEWER_1, waiting="node-1"), {**UP, "mirror-node-1": NEWER}),
        # Who cannot tell takes nothing back; while somebody waits, a member holds newcomers back.
        (see(UNKNOWN), {"hostname": "node-0", "member": "unknown"}),
        (see(UNKNOWN, own={**UP_1, "hostname": "old"}), {**UP_1, "hostname": "old"}),
        (see(UNKNOWN, own={**MEMBER, "gone": "y"}), {**MEMBER, "gone": "y"}),
        (
            see(UNKNOWN, own=MEMBER, waiting="x", at_update_status=True),
            {**MEMBER, "hold": "node-0"},
        ),
        (see(UNKNOWN, own=MEMBER, waiting="x", at_update_status=True, **TOLERANT), MEMBER),
        (see(UNKNOWN, own=MEMBER, waiting="x"), MEMBER),
        (see(UNKNOWN, own=MEMBER, at_update_status=True), MEMBER),
        (see(UNKNOWN, own=NEWCOMER, waiting="x", at_update_status=True), NEWCOMER),
    ],
)
def test_report_says_what_others_have_to_know(
    state: _membership.UnitState, expected: dict[str, str]
) -> None:
    """With nothing new to report it stays what it is."""
    reported = _membership.report(state)

    assert reported.to_bag() == expected
    assert _membership.report(dataclasses.replace(state, own=reported)) == reported


@pytest.mark.parametrize(
    ("was_member", "state", "expected"),
    [
        (False, see(), True),
        (False, see(waiting="node-0", values=FOR_1), True),
        (False, see(values=FOR_0), False),
        (False, see(values={"node-0": "empty"}), False),
        (False, see(hold="node-0"), False),
        (False, see(is_granted=True, waiting="node-0"), False),
        (False, see(is_granted=True, formed="true"), True),
        (True, see(own=MEMBER), True),
        (True, see(own={**MEMBER, "mirror-a": "x"}, values={"node-0": "x"}), True),
        (True, see(own={"hostname": "node-0"}), False),
        (True, see(own={**MEMBER, "member": "unknown"}), False),
        *((True, see(own={**MEMBER, key: "x"}), False) for key in ("hold", "offline", "gone")),
        (True, see(own={**MEMBER, "failed": DIGEST_0}), False),
        (True, see(own={**MEMBER, "mirror-x": TOKEN_1}), False),
        (True, see(own=MEMBER, waiting="x"), False),
        (True, see(own=MEMBER, left="x"), False),
    ],
)
def test_workload_is_asked_only_where_something_may_follow(
    was_member: bool, state: _membership.UnitState, expected: bool
) -> None:
    """Nobody who waits is made to wait for an update-status."""
    assert _membership.is_idle(state, was_member=was_member) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (see(leader=""), "waiting for the token distributor"),
        (see(), "waiting for a unit to be allowed to bootstrap"),
        (see(bootstrap_host="x"), "waiting for x to bootstrap"),
        (see(formed="true"), "waiting for a token"),
        (see(values=FOR_0), "waiting for a token"),
        (see(hold="x"), "waiting to join: member x is offline"),
        (see(hold="y x"), "waiting to join: members x, y are offline"),
        (see(formed="true"), "join failed: EOF, to be tried again"),
    ],
)
def test_status_says_what_a_newcomer_waits_for(
    state: _membership.UnitState, expected: str
) -> None:
    """The most pressing reason comes first."""
    failure = "join failed: EOF" if "EOF" in expected else ""

    assert _membership.waiting_reason(state, failure) == expected


# What holds for all states
