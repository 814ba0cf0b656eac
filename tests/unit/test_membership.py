"""What a unit does next, from what it sees: each rule alone, and what holds for all of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microcluster_token_distributor import _membership, _wire, _workload
from tests.unit.consumer import MEMBER, NEWCOMER, TOKEN_0, TOKEN_1, TOKEN_2, check, token

NEWER = token("newer")
DIGEST_0, DIGEST_1 = _wire.digest(TOKEN_0), _wire.digest(TOKEN_1)
UNKNOWN = _membership.MembershipReport(reason="no quorum")


def members(*rows: str) -> tuple[_workload.Member, ...]:
    """Return members: a name for an online voter, or `name role status`."""
    fields = [row.split() if " " in row else [row, "voter", "ONLINE"] for row in rows]
    return tuple(_workload.Member(*field) for field in fields)


def member_of(*rows: str) -> _membership.MembershipReport:
    """Return the answer of a member, with rows as for `members`."""
    return _membership.MembershipReport(members(*rows))


def published(app_bag: dict[str, str] | None = None, **values: str) -> _wire.Published:
    """Return what a distributor publishes; mirrored values have underscores for hyphens."""
    unit_bag = {f"mirror-{key.replace('_', '-')}": value for key, value in values.items()}
    return _wire.Published.from_bags({"leader": "0", **(app_bag or {})}, unit_bag)


def unit_state(**fields: Any) -> _membership.UnitState:
    """Return what the unit `micro/0` on `node-0` sees; `own` may be a databag."""
    own = fields.pop("own", {})
    report = own if isinstance(own, _wire.Report) else _wire.Report.from_bag("micro/0", own)
    fields = {"hostname": "node-0", "published": published(), **fields}
    return _membership.UnitState(own=report, **fields)


# What the workload answers


@pytest.mark.parametrize(
    ("rows", "was_member", "confirms", "expected"),
    [
        (["node-0", "node-1"], False, False, "member"),
        (["node-0 spare UNREACHABLE"], True, True, "member"),
        ([], False, False, "no"),
        ([], True, False, "denial"),
        ([], True, True, "no"),
        (["node-1"], False, False, "denial"),
        (["node-1"], True, False, "denial"),
        (["node-1"], True, True, "no"),
    ],
)
def test_an_answer_against_what_was_known_needs_a_second(
    rows: list[str], was_member: bool, confirms: bool, expected: str
) -> None:
    """So does a list without this unit, whatever it was."""
    answer = _membership.believe(
        members(*rows), ["node-0"], was_member=was_member, confirms=confirms
    )

    assert bool(answer.members) is (expected == "member")
    assert answer.is_no is (expected == "no")
    assert answer.is_denial is bool(answer.reason) is (expected == "denial")


@pytest.mark.parametrize(
    ("rows", "communicator", "acts", "acts_at_update_status"),
    [
        (["node-0", "node-1"], "node-0", True, True),
        (["a-node", "node-0"], "a-node", False, True),
        (["a-node voter UNREACHABLE", "node-0"], "node-0", True, True),
        (["a-node spare ONLINE", "node-0 voter online"], "node-0", True, True),
        (["node-0 spare ONLINE", "node-1"], "node-1", False, True),
        (["node-0 PENDING ONLINE", "node-1 spare ONLINE"], "node-0", True, True),
        (["node-0 voter UNREACHABLE", "node-1"], "node-1", False, False),
        (["node-0 voter UNREACHABLE"], "", False, False),
        (["node-1", "node-10", "node-0 voter OFF"], "node-1", False, False),
    ],
)
def test_first_online_voter_communicates(
    rows: list[str], communicator: str, acts: bool, acts_at_update_status: bool
) -> None:
    """Whatever the order of the list; at update-status every online member acts."""
    state = unit_state(answer=member_of(*reversed(rows)))
    at_update_status = dataclasses.replace(state, at_update_status=True)

    assert state.answer.communicator == communicator
    assert (state.acts, at_update_status.acts) == (acts, acts_at_update_status)


# Bootstrapping


@pytest.mark.parametrize(
    ("granted", "app_bag", "values", "expected"),
    [
        (True, {}, {}, True),
        (True, {}, {"central": "192.0.2.1", "node_0": "empty"}, True),
        (False, {}, {}, False),
        (True, {"waiting": "node-1"}, {}, False),
        (True, {"formed": "true"}, {}, False),
        (True, {"hold": "node-1"}, {}, False),
        (True, {}, {"node_1": TOKEN_1}, False),
    ],
)
def test_nobody_bootstraps_without_grant_or_beside_a_cluster(
    granted: bool, app_bag: dict[str, str], values: dict[str, str], expected: bool
) -> None:
    """Two clusters can never be made one."""
    state = unit_state(
        is_granted=granted, published=published({"waiting": "node-0", **app_bag}, **values)
    )

    assert _membership.may_bootstrap(state) is expected


# Acting


@pytest.mark.parametrize(
    ("rows", "app_bag", "expected"),
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
    rows: str, app_bag: dict[str, str], expected: list[str]
) -> None:
    """A member is never taken out on a guess."""
    state = unit_state(answer=member_of(rows, "node-3"), published=published(app_bag))

    assert _membership.removable(state) == expected


@pytest.mark.parametrize(
    ("answer", "fields", "waiting", "expected"),
    [
        (member_of("node-0"), {}, "node-2 node-1", ["node-1", "node-2"]),
        (member_of("node-0", "node-1"), {}, "node-1", []),
        (member_of("node-0"), {"tokens": {"node-1": TOKEN_1}}, "node-1", []),
        (member_of("node-0"), {"tokens": {"node-1": TOKEN_1}}, f"node-1={DIGEST_1}", ["node-1"]),
        (member_of("node-0"), {"tokens": {"node-1": TOKEN_1}}, f"node-1={DIGEST_0}", []),
        (member_of("node-0"), {}, f"node-1={DIGEST_1}", ["node-1"]),
        (member_of("node-0", "node-2 spare OFF"), {}, "node-1", []),
        (member_of("node-0", "node-2 spare OFF"), {"joins_while_degraded": True}, "x", ["x"]),
        (member_of("node-0", "x spare OFF"), {"joins_while_degraded": True}, "x y", []),
        (UNKNOWN, {}, "node-1", []),
        (_membership.MembershipReport(), {}, "node-1", []),
    ],
)
def test_token_is_issued_for_who_waits_and_has_no_good_one(
    answer: _membership.MembershipReport, fields: dict[str, Any], waiting: str, expected: list[str]
) -> None:
    """In the order of names, and nobody while a member is offline that a join would harm."""
    state = unit_state(answer=answer, published=published({"waiting": waiting}), **fields)

    assert _membership.to_issue(state) == expected


# Reporting


def report(**fields: Any) -> dict[str, str]:
    """Return what a unit writes into its databag in the end."""
    return _membership.report(unit_state(**fields)).to_bag()


ONE_DOWN = member_of("node-0", "node-1 voter UNREACHABLE")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, NEWCOMER),
        ({"own": {"mirror": "up", "mirror-central": "x", "mirror-node-1": TOKEN_1}},
         {**NEWCOMER, "mirror": "down", "mirror-central": "x"}),
        ({"own": {**MEMBER, "hold": "node-1", "gone": "node-2"}}, NEWCOMER),
        # Digests: of a token offered, tried, or in the way; kept until another is offered.
        ({"published": published(node_0=TOKEN_0), "rejected": DIGEST_0},
         {**NEWCOMER, "failed": DIGEST_0}),
        ({"published": published(node_0=TOKEN_0), "own": {"failed": DIGEST_0}},
         {**NEWCOMER, "failed": DIGEST_0}),
        ({"published": published(node_0=TOKEN_0), "own": {"failed": DIGEST_1}}, NEWCOMER),
        ({"own": {"failed": DIGEST_1}}, {**NEWCOMER, "failed": DIGEST_1}),
        ({"published": published(node_0="joined")}, NEWCOMER),
        ({"published": published({"hold": "node-0"})},
         {**NEWCOMER, "failed": _wire.digest("empty")}),
        ({"published": published({"hold": "node-0"}, node_0=TOKEN_0)},
         {**NEWCOMER, "failed": DIGEST_0}),
        ({"published": published({"hold": "node-0"}, node_0=TOKEN_0), "own": {"failed": DIGEST_1}},
         {**NEWCOMER, "failed": DIGEST_1}),
        ({"published": published({"hold": "node-1"}, node_0=TOKEN_0)}, NEWCOMER),
    ],
)  # fmt: skip
def test_report_of_a_newcomer(fields: dict[str, Any], expected: dict[str, str]) -> None:
    """It takes back all that it reported as a member but the charm's own values."""
    assert report(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"answer": member_of("node-0")}, MEMBER),
        ({"answer": member_of("a-node", "node-0")}, {**MEMBER, "cluster": "a-node"}),
        ({"answer": member_of("node-0"), "own": {"failed": DIGEST_0, "mirror": "up"}},
         {**MEMBER, "mirror": "down"}),
        # Hold: the communicator judges; others only for what they reported, or when they act.
        ({"answer": ONE_DOWN}, {**MEMBER, "hold": "node-1"}),
        ({"answer": ONE_DOWN, "joins_while_degraded": True, "own": {"hold": "node-1"}},
         {**MEMBER, "offline": "node-1"}),
        ({"answer": member_of("node-0"), "own": {"hold": "node-1"}}, MEMBER),
        ({"answer": member_of("a", "node-0", "x spare OFF"), "own": {"hold": "x y"}},
         {**MEMBER, "cluster": "a", "hold": "x"}),
        ({"answer": member_of("a", "node-0", "x spare OFF")}, {**MEMBER, "cluster": "a"}),
        ({"answer": member_of("a", "node-0", "x spare OFF"), "at_update_status": True},
         {**MEMBER, "cluster": "a", "hold": "x"}),
        ({"answer": member_of("a", "node-0", "x spare OFF"), "at_update_status": True,
          "published": published({"hold": "x"})}, {**MEMBER, "cluster": "a"}),
        # Gone: of who has left, those not in the list, as the communicator sees it.
        ({"answer": ONE_DOWN, "joins_while_degraded": True,
          "published": published({"left": "node-1 node-2"})},
         {**MEMBER, "offline": "node-1", "gone": "node-2"}),
        ({"answer": member_of("a", "node-0"), "published": published({"left": "node-2"})},
         {**MEMBER, "cluster": "a"}),
        # Tokens: for who waits, or all while nothing is published; none for who is online.
        ({"answer": member_of("node-0"), "tokens": {"node-1": TOKEN_1, "node-2": TOKEN_2},
          "published": published({"waiting": "node-1"})},
         {**MEMBER, "mirror": "up", "mirror-node-1": TOKEN_1}),
        ({"answer": member_of("node-0", "node-2"), "published": _wire.Published(),
          "tokens": {"node-1": TOKEN_1, "node-2": TOKEN_2}},
         {**MEMBER, "mirror": "up", "mirror-node-1": TOKEN_1}),
        ({"answer": member_of("node-0"), "tokens": {"node-1": TOKEN_1},
          "published": published({"waiting": f"node-1={DIGEST_1}"})},
         {**MEMBER, "mirror": "up", "mirror-node-1": TOKEN_1}),
        ({"answer": member_of("node-0"), "own": {"mirror-node-1": TOKEN_1, "mirror-a": "x"}},
         {**MEMBER, "mirror": "up", "mirror-a": "x"}),
        ({"answer": member_of("node-0"), "own": {"mirror-node-1": TOKEN_1},
          "tokens": {"node-1": NEWER}, "published": published({"waiting": "node-1"})},
         {**MEMBER, "mirror": "up", "mirror-node-1": NEWER}),
    ],
)  # fmt: skip
def test_report_of_a_member(fields: dict[str, Any], expected: dict[str, str]) -> None:
    """It holds what others have to know, and no more."""
    assert report(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"hostname": "node-0", "member": "unknown"}),
        ({"own": NEWCOMER}, NEWCOMER),
        ({"own": {**MEMBER, "hostname": "old", "gone": "y", "mirror-node-1": TOKEN_1}},
         {**MEMBER, "hostname": "old", "gone": "y", "mirror-node-1": TOKEN_1}),
        ({"own": MEMBER, "at_update_status": True, "published": published({"waiting": "x"})},
         {**MEMBER, "hold": "node-0"}),
        ({"own": MEMBER, "at_update_status": True, "published": published({"waiting": "x"}),
          "joins_while_degraded": True}, MEMBER),
        ({"own": MEMBER, "at_update_status": True}, MEMBER),
        ({"own": MEMBER, "published": published({"waiting": "x"})}, MEMBER),
        ({"own": NEWCOMER, "at_update_status": True, "published": published({"waiting": "x"})},
         NEWCOMER),
    ],
)  # fmt: skip
def test_report_of_who_cannot_tell(fields: dict[str, Any], expected: dict[str, str]) -> None:
    """Nothing is taken back; while somebody waits, a member holds newcomers back."""
    assert report(answer=UNKNOWN, **fields) == expected


@pytest.mark.parametrize(
    ("was_member", "fields", "expected"),
    [
        (False, {}, True),
        (False, {"published": published({"waiting": "node-0"}, node_1=TOKEN_1)}, True),
        (False, {"published": published(node_0=TOKEN_0)}, False),
        (False, {"published": published(node_0="empty")}, False),
        (False, {"published": published({"hold": "node-0"})}, False),
        (False, {"is_granted": True, "published": published({"waiting": "node-0"})}, False),
        (False, {"is_granted": True, "published": published({"formed": "true"})}, True),
        (True, {"own": MEMBER}, True),
        (True, {"own": {**MEMBER, "mirror-a": "x"}, "published": published(node_0="x")}, True),
        (True, {"own": {"hostname": "node-0"}}, False),
        (True, {"own": {**MEMBER, "member": "unknown"}}, False),
        (True, {"own": {**MEMBER, "hold": "x"}}, False),
        (True, {"own": {**MEMBER, "offline": "x"}}, False),
        (True, {"own": {**MEMBER, "gone": "x"}}, False),
        (True, {"own": {**MEMBER, "failed": DIGEST_0}}, False),
        (True, {"own": {**MEMBER, "mirror-x": TOKEN_1}}, False),
        (True, {"own": MEMBER, "published": published({"waiting": "x"})}, False),
        (True, {"own": MEMBER, "published": published({"left": "x"})}, False),
    ],
)
def test_workload_is_asked_only_where_something_may_follow(
    was_member: bool, fields: dict[str, Any], expected: bool
) -> None:
    """Nobody who waits is made to wait for an update-status."""
    assert _membership.is_idle(unit_state(**fields), was_member=was_member) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"published": _wire.Published()}, "waiting for the token distributor"),
        ({}, "waiting for a unit to be allowed to bootstrap"),
        ({"published": published({"bootstrap-host": "x"})}, "waiting for x to bootstrap"),
        ({"published": published({"formed": "true"})}, "waiting for a token"),
        ({"published": published(node_0=TOKEN_0)}, "waiting for a token"),
        ({"published": published({"hold": "x"})}, "waiting to join: member x is offline"),
        ({"published": published({"hold": "y x"})}, "waiting to join: members x, y are offline"),
        ({"published": published({"formed": "true"})}, "join failed: EOF, to be tried again"),
    ],
)
def test_status_says_what_a_newcomer_waits_for(fields: dict[str, Any], expected: str) -> None:
    """The most pressing reason comes first."""
    failure = "join failed: EOF" if "EOF" in expected else ""

    assert _membership.waiting_reason(unit_state(**fields), failure) == expected


# What holds for all states

NAMES = ["node-0", "node-1", "node-2", "a-node"]
a_name = st.sampled_from(NAMES)
some_names = st.frozensets(a_name)
a_token = st.sampled_from([*map(token, NAMES), NEWER])
a_value = st.sampled_from(["empty", "joined", "-x"]) | a_token
a_digest = st.just("") | a_value.map(_wire.digest)
a_member = st.builds(
    _workload.Member,
    a_name,
    st.sampled_from(["voter", "spare", "PENDING"]),
    st.sampled_from(["ONLINE", "UNREACHABLE"]),
)
some_members = st.lists(a_member, unique_by=lambda member: member.name)
states = st.builds(
    _membership.UnitState,
    hostname=st.just("node-0"),
    own=st.builds(
        _wire.Report,
        unit=st.just("micro/0"),
        hostname=st.sampled_from(["node-0", "", "other"]),
        member=st.sampled_from(["true", "false", "unknown", ""]),
        mirror=st.sampled_from(["up", "down", ""]),
        values=st.dictionaries(a_name | st.just("central"), a_value),
        failed=a_digest,
        hold=some_names,
        gone=some_names,
    ),
    published=st.builds(
        _wire.Published,
        leader=st.sampled_from(["", "0"]),
        waiting=st.dictionaries(a_name, a_digest),
        formed=st.booleans(),
        hold=some_names,
        left=some_names,
        values=st.dictionaries(a_name, a_value),
    ),
    is_granted=st.booleans(),
    answer=st.sampled_from([_membership.MembershipReport(), UNKNOWN])
    | some_members.map(lambda rows: _membership.MembershipReport(tuple(rows))),
    at_update_status=st.booleans(),
    joins_while_degraded=st.booleans(),
    tokens=st.dictionaries(a_name, a_token),
    rejected=a_digest,
)


@given(states)
def test_nobody_is_harmed(state: _membership.UnitState) -> None:
    """No member that is online is removed, nor this unit; no token for a member is issued."""
    assert set(_membership.removable(state)) <= state.answer.offline - {"node-0"}
    issued = set(_membership.to_issue(state))
    assert issued <= state.published.waiting.keys() - state.answer.names


@given(states)
def test_report_is_idempotent(state: _membership.UnitState) -> None:
    """A unit that has nothing new to report writes nothing."""
    first = _membership.report(state)

    assert _membership.report(dataclasses.replace(state, own=first)) == first


@given(states)
def test_report_holds_a_token_only_under_mirror_keys(state: _membership.UnitState) -> None:
    """And none at all for a member that is online."""
    reported = _membership.report(state)

    check(value for key, value in reported.to_bag().items() if not key.startswith("mirror-"))
    for name in state.answer.online:
        assert not _wire.looks_like_token(reported.values.get(name, ""))
