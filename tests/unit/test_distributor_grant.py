"""Who is granted the bootstrap, and whom goal-state names: pure functions over plain values."""

# `_Goal` is private to the library, and a rule nonetheless.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED

A, B, C = "node-a", "node-b", "node-c"
T1 = distributor.token(C)

# Who may bootstrap


def app(
    name: str, candidate: str, *bags: Mapping[str, str], numbers: Collection[int] | None = None
) -> lib.ConsumerApp:
    """Make an application, its units numbered from 0 unless said otherwise."""
    units = [
        lib.ConsumerUnit.from_bag(f"{name}/{number}", bag)
        for number, bag in zip(numbers or range(len(bags)), bags, strict=True)
    ]
    return lib.ConsumerApp(name, candidate, units)


NEW = distributor.says(A, "false")
NEW_B = distributor.says(B, "false")
OLD = distributor.says(A)
MEMBER = distributor.says(A, "true")
CANNOT_TELL = distributor.says(B, "unknown")
SILENT: dict[str, str] = {}


@dataclasses.dataclass(frozen=True)
class GrantCase:
    """One row: the applications, whom goal-state names as up, what is held, what is granted."""

    granted: lib.Grant
    apps: Collection[lib.ConsumerApp]
    expected: Collection[str] | None
    app: str = ""
    unit: str = ""
    values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])


GRANTS: dict[str, GrantCase] = {
    "one unit, which its leader proposes": GrantCase(
        lib.Grant("a", "a/0"), [app("a", "a/0", NEW)], ["a/0"]
    ),
    "not the first unit, but the one proposed": GrantCase(
        lib.Grant("a", "a/1"), [app("a", "a/1", NEW, NEW_B)], ["a/0", "a/1"]
    ),
    "nobody is proposed yet": GrantCase(lib.Grant("a"), [app("a", "", NEW)], ["a/0"]),
    "the one proposed has yet to be seen": GrantCase(
        lib.Grant("a"), [app("a", "a/1", NEW)], ["a/0"]
    ),
    "the one proposed is another application's": GrantCase(
        lib.Grant("a"), [app("a", "b/0", NEW), app("b", "b/0", NEW_B)], ["a/0", "b/0"]
    ),
    "the one proposed has a host name that cannot be used": GrantCase(
        lib.Grant("a"), [app("a", "a/1", NEW, {"hostname": "="})], ["a/0", "a/1"]
    ),
    "an old library proposes nobody": GrantCase(lib.Grant("a"), [app("a", "", OLD)], ["a/0"]),
    "the first application related": GrantCase(
        lib.Grant("b", "b/0"), [app("b", "b/0", NEW), app("a", "a/0", NEW_B)], ["a/0", "b/0"]
    ),
    "an application without units bootstraps nothing": GrantCase(
        lib.Grant("b", "b/0"), [app("a", ""), app("b", "b/0", NEW)], ["b/0"]
    ),
    "the application that was named first stays": GrantCase(
        lib.Grant("b", "b/0"),
        [app("a", "a/0", NEW), app("b", "b/0", NEW_B)],
        ["a/0", "b/0"],
        app="b",
    ),
    "the application that was named first is gone": GrantCase(
        lib.Grant("a", "a/0"), [app("a", "a/0", NEW)], ["a/0"], app="b", unit="b/0"
    ),
    "no units, no grant": GrantCase(lib.Grant(), [app("a", "a/0")], []),
    "a unit that goal-state names has yet to be seen": GrantCase(
        lib.Grant(awaited=frozenset({"a/1"})), [app("a", "a/0", NEW)], ["a/0", "a/1"]
    ),
    "a unit of another application has yet to be seen": GrantCase(
        lib.Grant(awaited=frozenset({"b/0"})), [app("a", "a/0", NEW), app("b", "")], ["a/0", "b/0"]
    ),
    "a unit that goal-state names has yet to speak": GrantCase(
        lib.Grant(awaited=frozenset({"a/1"})), [app("a", "a/0", NEW, SILENT)], ["a/0", "a/1"]
    ),
    "a unit that goal-state does not name as up need not speak": GrantCase(
        lib.Grant("a", "a/0"), [app("a", "a/0", NEW, SILENT)], ["a/0"]
    ),
    "a host name that cannot be used is a word nonetheless": GrantCase(
        lib.Grant("a", "a/0"), [app("a", "a/0", NEW, {"hostname": "="})], ["a/0", "a/1"]
    ),
    "a unit that cannot tell is waited for": GrantCase(
        lib.Grant(awaited=frozenset({"a/1"})), [app("a", "a/0", NEW, CANNOT_TELL)], ["a/0", "a/1"]
    ),
    "a unit that cannot tell is waited for, whatever goal-state says": GrantCase(
        lib.Grant(awaited=frozenset({"a/1"})), [app("a", "a/0", NEW, CANNOT_TELL)], ["a/0"]
    ),
    "no goal-state, no grant": GrantCase(lib.Grant(), [app("a", "a/0", NEW)], None),
    "no goal-state, and the grant stays": GrantCase(
        lib.Grant("a", "a/7"), [app("a", "a/0", NEW)], None, app="a", unit="a/7"
    ),
    "one member, no grant": GrantCase(
        lib.Grant("a"), [app("a", "a/0", NEW_B, MEMBER)], ["a/0", "a/1"]
    ),
    "a live cluster, related again with a newcomer as leader": GrantCase(
        lib.Grant("a"),
        [app("a", "a/2", MEMBER, distributor.says(B, "true"), distributor.says(C, "false"))],
        ["a/0", "a/1", "a/2"],
    ),
    "a live cluster, of which only a newcomer has spoken": GrantCase(
        lib.Grant(awaited=frozenset({"a/0", "a/1"})),
        [app("a", "a/2", SILENT, SILENT, NEW)],
        ["a/0", "a/1", "a/2"],
    ),
    "a live cluster without its quorum": GrantCase(
        lib.Grant(awaited=frozenset({"a/1"})),
        [app("a", "a/0", NEW, CANNOT_TELL)],
        ["a/0", "a/1"],
    ),
    "a live cluster in another application": GrantCase(
        lib.Grant("a"), [app("a", "a/0", NEW_B), app("b", "", MEMBER)], ["a/0", "b/0"]
    ),
    "an old library's communicator": GrantCase(
        lib.Grant("a"),
        [app("a", "a/0", NEW_B, distributor.says(A, mirror="up"))],
        ["a/0", "a/1"],
    ),
    "a token is shown": GrantCase(
        lib.Grant("a"), [app("a", "a/0", NEW)], ["a/0"], values={A: EMPTY, C: T1}
    ),
    "somebody has joined": GrantCase(
        lib.Grant("a"), [app("a", "a/0", NEW)], ["a/0"], values={A: EMPTY, C: JOINED}
    ),
    "granted already, and not yet used": GrantCase(
        lib.Grant("a", "a/1"),
        [app("a", "a/0", NEW, NEW_B)],
        ["a/0", "a/1"],
        app="a",
        unit="a/1",
    ),
    "granted to one whose machine is lost": GrantCase(
        lib.Grant("a", "a/1"), [app("a", "a/0", NEW, NEW_B)], ["a/0"], app="a", unit="a/1"
    ),
    "granted to one that has yet to be seen here": GrantCase(
        lib.Grant("a", "a/1"), [app("a", "a/0", NEW)], ["a/0", "a/1"], app="a", unit="a/1"
    ),
    "granted to one that left": GrantCase(
        lib.Grant("a", "a/0"), [app("a", "a/0", NEW)], ["a/0"], app="a", unit="a/1"
    ),
    "granted to one that left, and nobody is proposed yet": GrantCase(
        lib.Grant("a"), [app("a", "a/1", NEW)], ["a/0"], app="a", unit="a/1"
    ),
    "granted to one that left while a token is shown": GrantCase(
        lib.Grant("a", "a/1"),
        [app("a", "a/0", NEW)],
        ["a/0"],
        app="a",
        unit="a/1",
        values={A: EMPTY, C: T1},
    ),
    "granted to one that left while another cannot tell": GrantCase(
        lib.Grant(awaited=frozenset({"a/2"})),
        [app("a", "a/0", NEW, CANNOT_TELL, numbers=[0, 2])],
        ["a/0", "a/2"],
        app="a",
        unit="a/1",
    ),
    "used up": GrantCase(
        lib.Grant("a"),
        [app("a", "a/0", MEMBER, NEW_B)],
        ["a/0", "a/1"],
        app="a",
        unit="a/0",
        values={A: JOINED, B: EMPTY},
    ),
    "the application that bootstrapped is gone": GrantCase(
        lib.Grant("b"), [app("a", "a/0", MEMBER)], ["a/0"], app="b"
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in GRANTS.items()])
def test_who_may_bootstrap(case: GrantCase) -> None:
    """And asking once more gives the same answer."""
    held = lib.Mirror(values=case.values, bootstrap_app=case.app, bootstrap_unit=case.unit)

    granted = lib.grant(held, list(case.apps), case.expected)

    assert granted == case.granted
    after = dataclasses.replace(held, bootstrap_app=granted.app, bootstrap_unit=granted.unit)
    assert lib.grant(after, list(case.apps), case.expected) == granted


@pytest.mark.parametrize(
    ("value", "granted"), [(T1, "a/0"), (JOINED, "")], ids=["a token", "joined"]
)
def test_a_token_that_failed_shows_no_cluster(value: str, granted: str) -> None:
    """Else its unit waits for good where all who could issue another have left.

    Who is shown as joined and says to be no member may be one whose daemon has just been started.
    """
    shown = lib.Mirror({A: EMPTY, C: value})
    failed = dataclasses.replace(shown, failed={C: lib.digest(value)})
    apps = [app("a", "a/0", NEW)]

    assert lib.grant(shown, apps, ["a/0"]).unit == ""
    assert lib.grant(failed, apps, ["a/0"]).unit == granted


def test_a_charms_own_value_shows_no_cluster() -> None:
    """Else an application scaled to zero and back waits for good."""
    held = lib.Mirror({A: EMPTY, "port": "6641"})

    assert lib.grant(held, [app("a", "a/0", NEW)], ["a/0"]).unit == "a/0"


# Whom goal-state names


def goals(**rows: Any) -> dict[str, Any]:
    """Make goal-state's output about `a` and `b`; `a_0` stands for `a/0`."""
    named: dict[str, Any] = {"a": row("joined"), "b": row("joined")}
    named.update({name.replace("_", "/"): goal for name, goal in rows.items()})
    return {"units": {}, "relations": {"endpoint": named}}


def row(status: str) -> dict[str, str]:
    """Make a row of goal-state's output."""
    return {"status": status, "since": "2026-01-01 00:00:00Z"}


@pytest.mark.parametrize(
    ("state", "named", "up"),
    [
        pytest.param(goals(), set[str](), set[str](), id="no units"),
        pytest.param(
            goals(a_0=row("active"), a_1=row("waiting")),
            {"a/0", "a/1"},
            {"a/0", "a/1"},
            id="joined and still expected",
        ),
        pytest.param(
            goals(a_0=row("active"), a_1=row("unknown"), a_2=row("dying")),
            {"a/0", "a/1", "a/2"},
            {"a/0"},
            id="lost and dying",
        ),
        pytest.param(
            goals(a_0=row("active"), b_0=row("active"), c_0=row("active")),
            {"a/0", "b/0"},
            {"a/0", "b/0"},
            id="of the related applications only",
        ),
        pytest.param(goals(a_0={}), {"a/0"}, {"a/0"}, id="no status is no excuse"),
        pytest.param(goals(a_0="active"), {"a/0"}, {"a/0"}, id="a row of another shape"),
        pytest.param(goals(a_0=None), {"a/0"}, {"a/0"}, id="a row of no shape"),
        pytest.param(
            {**goals(a_0=row("active")), "future": 1}, {"a/0"}, {"a/0"}, id="unknown keys"
        ),
    ],
)
def test_whom_goal_state_names(state: dict[str, Any], named: set[str], up: set[str]) -> None:
    """Those who are dying, or whose machine is lost, need not be waited for."""
    goal = lib._Goal.parse(state, "endpoint", {"a": False, "b": False})

    assert goal is not None
    assert (goal.named, goal.up) == (named, up)
    assert goal.lost <= named - up


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"relations": null}',
        '{"relations": []}',
        '{"relations": {}}',
        '{"relations": {"another": {"a/0": {}}}}',
        '{"relations": {"endpoint": null}}',
        '{"relations": {"endpoint": ["a/0"]}}',
        '{"relations": {"endpoint": "a/0"}}',
    ],
)
def test_where_there_is_no_telling_whom_goal_state_names(text: str) -> None:
    """Then nobody is taken for one who left."""
    assert lib._Goal.parse(json.loads(text), "endpoint", {"a": True}) is None


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param({}, id="nothing at all"),
        pytest.param({"b": row("joined"), "b/0": row("active")}, id="only another application"),
        pytest.param(
            {"b": row("joined"), "b/0": row("active"), "admin/model.a": row("joined")},
            id="only the address of an offer",
        ),
    ],
)
def test_goal_state_that_does_not_show_an_application_tells_nothing(rows: dict[str, Any]) -> None:
    """The units of an application of another model are there, though it does not name them."""
    apps = {"a": True, "b": True}

    assert lib._Goal.parse({"relations": {"endpoint": rows}}, "endpoint", apps) is None


def test_goal_state_does_not_name_the_units_of_a_subordinate() -> None:
    """They have not left; who of an application is seen, and named by nobody, is such a one."""
    state = goals(a_0=row("active"))

    goal = lib._Goal.parse(state, "endpoint", {"a": True, "b": True})

    assert goal is not None
    assert goal.strangers == {"b"}
    assert not goal.lacks("b/0")
    assert goal.lacks("a/1")


def test_no_grant_while_an_application_of_another_model_shows_no_unit() -> None:
    """It may be a whole cluster that has not been seen yet."""
    goal = lib._Goal(frozenset(), frozenset(), strangers=frozenset({"remote-1"}))

    assert goal.expects([lib.ConsumerApp("remote-1")], ()) is None
    assert goal.expects([app("remote-1", "", NEW)], ()) == {"remote-1/0"}


def test_a_lost_machine_is_waited_for_only_if_it_may_have_been_shown_before() -> None:
    """There may be a cluster on its disk; a machine that never came up has none."""
    goal = lib._Goal.parse(goals(a_0=row("active"), a_1=row("unknown")), "endpoint", {"a": True})
    apps = [app("a", "", NEW)]

    assert goal is not None
    assert goal.expects(apps, ()) == {"a/0"}
    assert goal.expects(apps, {A}) == {"a/0"}
    assert goal.expects(apps, {A, B}) == {"a/0", "a/1"}


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"relations": {}}, id="no endpoint"),
        pytest.param({"relations": {"endpoint": {}}}, id="no rows"),
        pytest.param(goals(a_0=row("active")), id="another application"),
    ],
)
def test_goal_state_on_the_offering_side_does_not_tell_of_strangers(state: dict[str, Any]) -> None:
    """Juju calls an application of another model so, and leaves it out."""
    stranger = "remote-0123456789abcdef0123456789abcdef"
    apps = {stranger: True}
    if "a" in state["relations"].get("endpoint", {}):
        apps["a"] = True

    goal = lib._Goal.parse(state, "endpoint", apps)

    assert goal is not None
    assert goal.strangers == {stranger}
    assert not goal.lacks(f"{stranger}/0")
    assert goal.lacks("a/0") == ("a" not in apps)
