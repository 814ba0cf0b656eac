"""What the distributor publishes, and when: pure functions over reports.

Theory of operation. One fold computes what is to be published from what is published, the reports
of all units that are seen, the *ledger* of units that were published, and, where it was asked, what
Juju's goal-state says. It is the same for every event; a full read is the same fold without a
memory.

    a unit's host name is in  when
    ------------------------  ------------------------------------------------------------------
    waiting                   it reports `member: false`; with the digest of the token that failed
    hold                      a member reports that it is not online, and that joins would do harm
    left                      the ledger has its unit, goal-state names its application and not the
                              unit, no other unit has its name, and no member reports it `gone`

A unit that departs, a relation that is broken, an offer that is suspended and an application that
is removed are no evidence that anybody has left: nothing is published for who is not seen, and
nobody is removed for it.

A mirrored value is never overwritten, but for `empty`, and for a token with which its unit failed
to join. A token is taken out of sight once its unit is a member.

Each write wakes every unit of every consumer, so what nobody waits for is published with what
somebody does, or at update-status.

    published at once                          published with it, or at update-status
    -----------------------------------------  ------------------------------------------------
    a grant of the bootstrap; a token;         that a cluster is formed; that a newcomer is a
    a hold that comes or goes; who has left;   member, and its token used; that who has left is
    a token's digest that comes or goes;       gone; a name of a burst, until all units are there
    a newcomer, where few come                 that goal-state names, or half as many as before
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import goal as goal_module

UNPUBLISHED = "?"
"""What the ledger holds for a unit that goal-state has named, and that has not reported."""
DEALT_WITH = "-"
"""What it holds for a unit that has left and is dealt with, while Juju still lists it."""

_FEW = 5
"""So many newcomers are published as they come; of more, half as many as there were before."""


def has_departed(
    unit: str,
    ledger: Mapping[str, str],
    goal: goal_module.Goal | None,
    published: _wire.Published,
) -> bool:
    """Tell whether a unit has left the model, although Juju may still list it as related."""
    name = ledger.get(unit)
    if name is None or name == DEALT_WITH:
        return name is not None
    return name in published.left if goal is None else goal.has_departed(unit)


def by_host(reports: Sequence[_wire.Report]) -> dict[str, list[_wire.Report]]:
    """Return the reports by host name; two units of one host name are for an operator to mend."""
    hosts: dict[str, list[_wire.Report]] = {}
    for report in reports:
        if report.hostname:
            hosts.setdefault(report.hostname, []).append(report)
    return hosts


def clusters(reports: Sequence[_wire.Report]) -> frozenset[str]:
    """Return the clusters there are, each by its first member; more than one may be a moment's.

    The word of a first member counts for its cluster: another's may be out of date.
    """
    return frozenset(
        report.cluster
        for report in reports
        if report.is_member and report.cluster == report.hostname
    ) - {""}


def publish(
    published: _wire.Published,
    reports: Sequence[_wire.Report],
    ledger: Mapping[str, str],
    goal: goal_module.Goal | None,
    *,
    is_divided: bool = False,
) -> _wire.Published:
    """Return what is to be published; the grant is for `bootstrap` to add, and then the `values`.

    Args:
        published: what is published.
        reports: of the units that are seen and have not departed.
        ledger: by unit, the host name under which it was published, or `DEALT_WITH`.
        goal: what goal-state says; None where it was not asked, or cannot be had.
        is_divided: whether the units are those of several clusters, so that nothing can be done.
    """
    hosts = by_host(reports)
    members = [report for report in reports if report.is_member]
    waiting = {
        name: hosts[name][0].failed
        for name in sorted(hosts)
        if len(hosts[name]) == 1 and needs_token(hosts[name][0], published)
    }
    if goal is None:
        left = published.left
    else:
        left = frozenset(
            name for unit, name in ledger.items() if has_departed(unit, ledger, goal, published)
        ) - {DEALT_WITH, UNPUBLISHED}
    gone = {name for report in members for name in report.gone}
    return dataclasses.replace(
        published,
        waiting={} if is_divided else waiting,
        formed=published.formed or bool(members),
        hold=frozenset(name for r in reports if r.member != "false" for name in r.hold),
        left=frozenset() if is_divided else left - hosts.keys() - gone,
    )


def needs_token(report: _wire.Report, published: _wire.Published) -> bool:
    """Tell whether a unit waits for a token. An old one cannot tell that it has used its own."""
    if report.is_old:
        return not report.is_member and not published.token_for(report.hostname)
    return report.member == "false"


def values(
    published: _wire.Published,
    reports: Sequence[_wire.Report],
    leaving: Sequence[_wire.Report] = (),
) -> dict[str, str]:
    """Return the values to be mirrored.

    Args:
        published: what is to be published, but with the values that are published.
        reports: of the units that are seen and have not departed.
        leaving: of units that are departing right now: their tokens outlive them.
    """
    hosts = by_host(reports)
    offers: dict[str, list[str]] = {}
    for report in (*reports, *leaving):
        for key, value in report.offers.items():
            if value not in (_wire.EMPTY_STRING, _wire.JOINED):
                offers.setdefault(key, []).append(value)
    mirrored: dict[str, str] = {}
    for key in sorted({*published.values, *offers} - hosts.keys()):
        # What is no host name's is a value of the charms' own. A token is always somebody's.
        current = published.values.get(key, _wire.EMPTY_STRING)
        candidates = [v for v in (current, *sorted(offers.get(key, ()))) if _is_shared(v)]
        mirrored.update({key: value for value in candidates[:1]})
    old = any(report.is_old for report in reports)
    shows_names = old and (published.formed or not published.bootstrap_host)
    for name, same in hosts.items():
        is_member = any(report.member == "true" for report in same)
        usable = published.formed and not is_member
        token = _token(published, same, offers.get(name, ())) if usable else ""
        if token or shows_names:
            mirrored[name] = token or (_wire.JOINED if is_member else _wire.EMPTY_STRING)
    return mirrored


def _is_shared(value: str) -> bool:
    return value not in (_wire.EMPTY_STRING, _wire.JOINED) and not _wire.looks_like_token(value)


def _token(
    published: _wire.Published, reports: Sequence[_wire.Report], offers: Sequence[str]
) -> str:
    """Return a host name's token: the one published, unless it failed and there is another."""
    failed = {report.failed for report in reports}
    current = published.token_for(reports[0].hostname)
    tokens = [token for token in (current, *sorted(offers)) if token]
    fresh = [token for token in tokens if _wire.digest(token) not in failed]
    return (fresh or [current])[0]


@dataclasses.dataclass(frozen=True)
class Due:
    """Which of the databags have to be written now.

    Attributes:
        app: the application's.
        unit: the unit's.
    """

    app: bool
    unit: bool


def due(published: _wire.Published, following: _wire.Published, units: int, expected: int) -> Due:
    """Tell which databags have to be written now, and not at update-status.

    Args:
        published: what is published.
        following: what is to be published.
        units: how many have reported.
        expected: how many there are going to be, as far as known.
    """
    failed = [{n: f for n, f in each.waiting.items() if f} for each in (published, following)]
    grants = {following.bootstrap_host, following.bootstrap_app} - {
        published.bootstrap_host,
        published.bootstrap_app,
    }
    return Due(
        app=bool(grants - {""})
        or published.hold != following.hold
        or bool(following.left - published.left)
        or failed[0] != failed[1]
        or newcomers_are_due(published, following, units, expected),
        unit=any(
            published.values.get(key) != value and value != _wire.JOINED
            for key, value in following.values.items()
        ),
    )


def newcomers(published: _wire.Published, following: _wire.Published) -> int:
    """Return how many wait without being published."""
    return len(following.waiting.keys() - published.waiting.keys()) if following.formed else 0


def newcomers_are_due(
    published: _wire.Published, following: _wire.Published, units: int, expected: int
) -> bool:
    """Tell whether newcomers are to be published now: few at once, those of a burst together."""
    new = newcomers(published, following)
    more = max(0, expected - units)
    return new > 0 and (new + more <= _FEW or not more or 2 * new >= units - new)


def enter(
    ledger: Mapping[str, str],
    left: frozenset[str],
    reports: Sequence[_wire.Report],
    goal: goal_module.Goal,
    present: frozenset[str],
) -> dict[str, str]:
    """Return the ledger after goal-state was asked: only units that it has named enter.

    Args:
        ledger: as it is.
        left: the names in `left` that are published with it.
        reports: of the units that are seen and have not departed.
        goal: what goal-state says.
        present: the units that Juju lists as related, whether they have left or not.
    """
    following = {unit: ledger.get(unit, UNPUBLISHED) for unit in goal.units}
    for report in reports:
        if report.hostname and report.unit in goal.units:
            following[report.unit] = report.hostname
    for unit, name in ledger.items():
        if unit in following:
            continue
        if name in left or not (name == DEALT_WITH or goal.has_departed(unit)):
            following[unit] = name
        elif unit in present:
            following[unit] = DEALT_WITH
    return following
