"""Who may bootstrap: the one decision that cannot be taken back.

Theory of operation. The bootstrap is granted once, to the lowest-numbered unit of the first
related application, among those that have reported `member: false`. It waits for every unit that
is seen, and for every one that goal-state names: each of them might be in a cluster already.

    who is not waited for             when
    --------------------------------  ----------------------------------------------------------
    a unit that has left the model    always
    a unit that has never been seen,  at update-status: a machine that never comes would hold
    and is still `waiting`            up all others

Applications that goal-state does not name, those of other models and subordinate ones, are granted
it at update-status only. While an application has both old and new units nothing is granted; where
all of its units are old, the application is named, and its own leader bootstraps.

The grant is moved only when its unit has left, or its application is not related any more, and
nothing shows a cluster.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import goal as goal_module
import mirror

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microcluster_token_distributor import _wire


@dataclasses.dataclass(frozen=True)
class App:
    """A related application."""

    name: str
    units: frozenset[str] = frozenset()  # those that are seen and have not departed
    reports: Sequence[_wire.Report] = ()  # of those that have reported

    @property
    def dialects(self) -> frozenset[bool]:
        """Whether its units speak the old keys: True, False, or both."""
        return frozenset(report.is_old for report in self.reports)


@dataclasses.dataclass(frozen=True)
class Grant:
    """Who may bootstrap."""

    app: str = ""  # the application whose unit may; old units go by that alone
    host: str = ""  # the host name of the one unit that may
    awaited: tuple[str, ...] = ()  # the units without whose report nothing is granted


def decide(
    published: _wire.Published,
    apps: Sequence[App],
    ledger: Mapping[str, str],
    goal: goal_module.Goal | None,
    *,
    at_update_status: bool,
) -> Grant:
    """Return who may bootstrap, among applications of which the first related comes first."""
    populated = [app for app in apps if app.units]
    current = Grant(published.bootstrap_app, published.bootstrap_host)
    if published.formed:
        # Used up: left standing, a unit that drops out one day could take it for its own.
        return Grant(current.app or next((app.name for app in populated), ""))
    if current.app and not _is_void(current, apps, ledger, goal, at_update_status):
        return current
    if goal is None or not populated:
        return Grant()
    awaited = _awaited(populated, goal, at_update_status)
    seen = {unit for app in populated for unit in app.units}
    if awaited or (seen - goal.units.keys() and not at_update_status):
        return Grant(awaited=tuple(sorted(awaited)))
    first = populated[0]
    if first.dialects == frozenset({True}):
        return Grant(first.name)
    hosts = mirror.by_host([report for app in populated for report in app.reports])
    candidates = [
        (index, report.unit not in goal.units, goal_module.number_of(report.unit), report.hostname)
        for index, app in enumerate(populated)
        for report in app.reports
        if report.member == "false" and len(hosts.get(report.hostname, ())) == 1
    ]
    if not candidates:
        return Grant()
    index, *_, host = min(candidates)
    return Grant(populated[index].name, host)


def _is_void(
    current: Grant,
    apps: Sequence[App],
    ledger: Mapping[str, str],
    goal: goal_module.Goal | None,
    at_update_status: bool,
) -> bool:
    """Tell whether the unit that was granted the bootstrap cannot make use of it any more."""
    hosts = {report.hostname for app in apps for report in app.reports}
    if goal is None or current.host in hosts:
        return False
    if at_update_status and current.app not in {app.name for app in apps}:
        return True
    units = [unit for unit, name in ledger.items() if name == current.host]
    return bool(units) and all(goal.has_departed(unit) for unit in units)


def _awaited(apps: Sequence[App], goal: goal_module.Goal, at_update_status: bool) -> set[str]:
    """Return the units that have to report first, or have to be refreshed like the others."""
    reports = [report for app in apps for report in app.reports]
    reported = {report.unit for report in reports if report.member != "unknown"}
    seen = {unit for app in apps for unit in app.units}
    unseen = goal.units.keys() - seen
    never_came = {u for u in unseen if at_update_status and goal.units[u] == "waiting"}
    mixed = {report.unit for app in apps if len(app.dialects) > 1 for report in app.reports}
    return (seen | unseen) - (reported - mixed) - never_came
