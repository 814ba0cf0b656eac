"""Who may bootstrap: the rules of `bootstrap`, each with what speaks against it."""

from __future__ import annotations

import pytest

import bootstrap
from microcluster_token_distributor import _wire
from tests.unit import distributor

GRANTED = _wire.Published(leader="0", bootstrap_app="a", bootstrap_host="a-0")
OLD_GRANT = _wire.Published(leader="0", bootstrap_app="a")
RENAMED = _wire.Published(leader="0", bootstrap_app="a", bootstrap_host="old")
NO_GRANT = _wire.Published()
LEDGER = {"a/0": "a-0", "a/1": "a-1"}


def _decide(
    units: str, goal: str, published: _wire.Published = NO_GRANT, *, at_update_status: bool = False
) -> str:
    """Return the application and the host name of a grant, or in brackets who is awaited.

    Each unit is `UNIT`, `UNIT:MEMBER` or `UNIT:MEMBER:HOST`, with `old` or `silent` where it has
    reported no `member`. The goal-state is as for `distributor.goal_of`, or `missing`.
    """
    apps: dict[str, bootstrap.App] = {}
    for word in units.split():
        unit, member, *host = word.split(":") if ":" in word else (word, "")
        name = unit.partition("/")[0]
        app = apps.get(name, bootstrap.App(name))
        keys = {"hostname": host[0]} if host else {}
        report = distributor.report(unit, "" if member == "old" else member or "false", **keys)
        reports = app.reports if member == "silent" else [*app.reports, report]
        apps[name] = bootstrap.App(name, app.units | {unit} - {f"{name}/"}, reports)
    following, awaited = bootstrap.grant(
        published,
        list(apps.values()),
        LEDGER,
        None if goal == "missing" else distributor.goal_of(goal),
        at_update_status=at_update_status,
    )
    if awaited:
        return f"({' '.join(awaited)})"
    return f"{following.bootstrap_app} {following.bootstrap_host}"


@distributor.rows(
    "units,goal,at_once,later",
    ("no application", "", "", " ", " "),
    ("one unit", "a/0", "a/0", "a a-0", "a a-0"),
    ("goal-state is missing", "a/0", "missing", " ", " "),
    ("named, and not seen", "a/0", "a/0 a/1", "(a/1)", "(a/1)"),
    ("seen, and silent", "a/0 a/1:silent", "a/0 a/1", "(a/1)", "(a/1)"),
    ("silent, and not named", "a/0 a/1:silent", "a/0", "(a/1)", "(a/1)"),
    ("of another application", "a/0", "a/0 b/0", "(b/0)", "(b/0)"),
    ("dying", "a/0", "a/0 a/1:dying", "(a/1)", "(a/1)"),
    ("without a status", "a/0", "a/0 a/1:unknown", "(a/1)", "(a/1)"),
    ("without a machine", "a/0", "a/0 a/1:waiting", "(a/1)", "a a-0"),
    ("waits itself", "a/0 a/1:silent", "a/0 a/1:waiting", "(a/1)", "(a/1)"),
    ("cannot tell", "a/0 a/1:unknown", "a/0 a/1", "(a/1)", "(a/1)"),
    ("an untracked application", "a/0", "", " ", "a a-0"),
    ("untracked beside another", "a/0 b/0", "b/0", " ", "a a-0"),
    ("subordinate, and partly named", "a/0 a/1", "a/1", " ", "a a-1"),
    ("lowest number", "a/10 a/9 a/11", "a/9 a/10 a/11", "a a-9", "a a-9"),
    ("first application", "z/7 a/0", "z/7 a/0", "z z-7", "z z-7"),
    ("the first has no units", "z/:silent a/0", "a/0", "a a-0", "a a-0"),
    ("unusable host name", "a/0::a_0 a/1", "a/0 a/1", "a a-1", "a a-1"),
    ("same host name", "a/0 a/1::a-0 a/2", "a/0 a/1 a/2", "a a-2", "a a-2"),
    ("nobody in the first", "a/0 a/1::a-0 b/0", "a/0 a/1 b/0", "b b-0", "b b-0"),
    ("nobody but old ones", "a/0 a/1::a-0 b/0:old", "a/0 a/1 b/0", " ", " "),
    ("nobody at all", "a/0 a/1::a-0", "a/0 a/1", " ", " "),
    ("old keys", "a/0:old a/1:old", "a/0 a/1", "a ", "a "),
    ("old and new keys", "a/0 a/1:old", "a/0 a/1", "(a/0 a/1)", "(a/0 a/1)"),
    ("the second is old", "a/0 b/0:old", "a/0 b/0", "a a-0", "a a-0"),
    ("the first is old", "b/0:old a/0", "a/0 b/0", "b ", "b "),
)
def test_grant(units: str, goal: str, at_once: str, later: str) -> None:
    """In an ordinary hook, and at update-status."""
    assert _decide(units, goal) == at_once
    assert _decide(units, goal, at_update_status=True) == later


@distributor.rows(
    "units,goal,at_once,later",
    ("a unit is added", "a/0", "a/0 a/1", "a a-0", "a a-0"),
    ("an application is added", "a/0 z/0:silent", "a/0 z/0", "a a-0", "a a-0"),
    ("not seen any more", "a/1", "a/0 a/1", "a a-0", "a a-0"),
    ("goal-state is missing", "a/1", "missing", "a a-0", "a a-0"),
    ("dying", "a/1", "a/0:dying a/1", "a a-0", "a a-0"),
    ("has left", "a/1", "a/1", "a a-1", "a a-1"),
    ("has another name", "a/0::x a/1", "a/0 a/1", "a a-0", "a a-0"),
    ("has left, and another is awaited", "a/1", "a/1 a/2", "(a/2)", "(a/2)"),
    ("another has its host name", "a/7::a-0", "a/7", "a a-0", "a a-0"),
    ("application not related any more", "b/0", "b/0", "a a-0", "b b-0"),
)
def test_a_grant_stays_where_it_is(units: str, goal: str, at_once: str, later: str) -> None:
    """Until its unit has left, or its application is not related any more."""
    assert _decide(units, goal, GRANTED) == at_once
    assert _decide(units, goal, GRANTED, at_update_status=True) == later


def test_a_grant_of_a_renamed_machine_is_moved() -> None:
    """At update-status, where the ledger has no unit of the old name, and could have one."""
    assert _decide("a/0 a/1", "a/0 a/1", RENAMED) == "a old"
    assert _decide("a/0 a/1", "a/0 a/1", RENAMED, at_update_status=True) == "a a-0"
    assert _decide("a/0 a/1", "b/0", RENAMED, at_update_status=True) == "a old"


@pytest.mark.parametrize("at_update_status", [False, True])
def test_an_old_applications_grant_is_not_moved(at_update_status: bool) -> None:
    """Which of its units makes use of it is not known."""
    for units in ("a/1:old", "a/1:old a/2", "a/1 b/0"):
        grant = _decide(units, "a/1 b/0", OLD_GRANT, at_update_status=at_update_status)
        assert grant == "a "


@pytest.mark.parametrize("published", [GRANTED, OLD_GRANT, NO_GRANT])
def test_no_unit_is_granted_a_second_cluster(published: _wire.Published) -> None:
    """The application's name is for old units, which do not bootstrap once others are members."""
    formed = _wire.Published.from_bags({**published.to_app_bag(), "formed": "true"}, {})

    for at_update_status in (False, True):
        assert _decide("a/1", "a/1", formed, at_update_status=at_update_status) == "a "
