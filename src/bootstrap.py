"""Who may bootstrap: the one decision that cannot be taken back.

Theory of operation. The bootstrap is granted once, to the lowest-numbered unit of the first
related application, among those that have reported `member: false`. It waits for every unit that
is seen, and for every one that goal-state names: each of them might be in a cluster already. At
update-status it does not wait for units that have never been seen and are still `waiting`: a
machine that never comes would hold up all others.

Applications that goal-state does not name, those of other models and subordinate ones, are granted
it at update-status only. While an application has both old and new units nothing is granted; where
all of its units are old, the application is named, and its own leader bootstraps.

The grant is moved only when its unit has left, or its host name is no unit's any more, or its
application is not related any more, and nothing shows a cluster.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

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


def grant(
    published: _wire.Published,
    apps: Sequence[App],  # the first related first
    ledger: Mapping[str, str],
    goal: mirror.Goal | None,
    *,
    at_update_status: bool,
) -> tuple[_wire.Published, Sequence[str]]:
    """Return what is published with the grant in it, and the units that are awaited before it."""
    populated = [app for app in apps if app.units]
    app, host = published.bootstrap_app, published.bootstrap_host
    awaited: list[str] = []
    if goal and app and all(report.hostname != host for each in apps for report in each.reports):
        # Nobody makes use of it any more where its unit has left or has another name by now, or
        # its application is not related any more.
        units = {unit for unit, name in ledger.items() if name == host}
        is_renamed = host and not units and app in goal.apps
        is_unrelated = app not in {each.name for each in apps}
        has_left = bool(units) and units <= goal.departed(ledger)
        if has_left or (at_update_status and (is_renamed or is_unrelated)):
            app, host = "", ""
    if published.formed:
        # Used up: left standing, a unit that drops out one day could take it for its own.
        app, host = published.bootstrap_app or next((each.name for each in populated), ""), ""
    elif not app:
        app, host, awaited = _choose(populated, goal, at_update_status)
    return dataclasses.replace(published, bootstrap_app=app, bootstrap_host=host), awaited


def _choose(
    apps: Sequence[App], goal: mirror.Goal | None, at_update_status: bool
) -> tuple[str, str, list[str]]:
    """Return the application and the host name that are granted it, or the units awaited."""
    if goal is None or not apps:
        return "", "", []
    reports = [report for app in apps for report in app.reports]
    seen = {unit for app in apps for unit in app.units}
    unseen = goal.units.keys() - seen
    never_came = {u for u in unseen if at_update_status and goal.units[u] == "waiting"}
    # Those of an application with both old and new units have to be refreshed first.
    mixed = {r.unit for a in apps if len({o.is_old for o in a.reports}) > 1 for r in a.reports}
    reported = {report.unit for report in reports if report.member != "unknown"} - mixed
    awaited = (seen | unseen) - reported - never_came
    if awaited or (seen - goal.units.keys() and not at_update_status):
        return "", "", sorted(awaited)
    if all(report.is_old for report in apps[0].reports):
        return apps[0].name, "", []
    hosts = mirror.by_host(reports)
    candidates = [
        (index, report.unit not in goal.units, int(report.unit.partition("/")[2]), report.hostname)
        for index, app in enumerate(apps)
        for report in app.reports
        if report.member == "false" and len(hosts.get(report.hostname, ())) == 1
    ]
    index, *_, host = min(candidates, default=(0, ""))
    return apps[index].name if host else "", host, []
