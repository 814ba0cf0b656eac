"""What the distributor publishes, and when: pure functions over reports.

Theory of operation. One fold computes what is to be published from what is published, the reports
of all units that are seen, the *ledger*, and, where it was asked, what Juju's goal-state says. It
is the same for every event; a full read is the same fold without a memory. The ledger holds the
host name of each unit that goal-state has named: without it nobody can be missed.

    a unit's host name is in  when
    ------------------------  ------------------------------------------------------------------
    waiting                   it reports `member: false`; with the digest of the token that failed
    hold                      a member reports that it is not online, and that joins would do harm
    left                      the ledger has its unit, goal-state names its application and not the
                              unit, no other unit has its name, and no member reports it `gone`

A unit that departs, a relation that is broken, an offer that is suspended and an application that
is removed are no evidence that anybody has left: nothing is published for who is not seen.

A mirrored value is never overwritten, but for `empty`, and for a token with which its unit failed
to join. A token is taken out of sight once its unit is a member. Each write wakes every unit of
every consumer, so what nobody waits for is published with what somebody does.

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

# In the ledger: a unit that has not reported, and one that has left and is dealt with.
UNPUBLISHED = "?"
DEALT_WITH = "-"
_NO_TOKENS = (_wire.EMPTY_STRING, _wire.JOINED)
# So many newcomers are published as they come; of more, half as many as there were before.
_FEW = 5


def has_departed(
    unit: str,
    ledger: Mapping[str, str],
    goal: goal_module.Goal | None,
    published: _wire.Published,
) -> bool:
    """Tell whether a unit has left the model, although Juju may still list it as related."""
    name = ledger.get(unit)
    if name is None:
        return False
    if goal is None:
        return name == DEALT_WITH or name in published.left
    return unit not in goal.units and (name == DEALT_WITH or goal.has_departed(unit))


def by_host(reports: Sequence[_wire.Report]) -> dict[str, list[_wire.Report]]:
    """Return the reports by host name; two units of one host name are for an operator to mend."""
    hosts: dict[str, list[_wire.Report]] = {}
    for report in reports:
        if report.hostname:
            hosts.setdefault(report.hostname, []).append(report)
    return hosts


def clusters(reports: Sequence[_wire.Report]) -> list[str]:
    """Return the clusters there are, each by its first member, whose own word counts for it."""
    firsts = (r.cluster for r in reports if r.is_member and r.cluster == r.hostname)
    return sorted({*firsts} - {""})


def publish(
    published: _wire.Published,
    reports: Sequence[_wire.Report],
    ledger: Mapping[str, str],
    goal: goal_module.Goal | None,
    *,
    is_divided: bool = False,
) -> _wire.Published:
    """Return what is to be published; the grant is for `bootstrap` to add, and then the `values`.

    The reports are those of the units that are seen and have not departed. Where they are divided,
    between several clusters, nothing can be done for anybody.
    """
    hosts = by_host(reports)
    members = [report for report in reports if report.is_member]
    gone = {name for report in members for name in report.gone}
    left = published.left
    if goal is not None:
        units = (unit for unit in ledger if has_departed(unit, ledger, goal, published))
        left = frozenset(map(ledger.__getitem__, units)) - {DEALT_WITH, UNPUBLISHED}
    waiting = {
        name: same[0].failed
        for name, same in sorted(hosts.items())
        if len(same) == 1 and _needs_token(same[0], published)
    }
    return dataclasses.replace(
        published,
        waiting={} if is_divided else waiting,
        formed=published.formed or bool(members),
        hold=frozenset(name for r in reports if r.member != "false" for name in r.hold),
        left=frozenset() if is_divided else left - hosts.keys() - gone,
    )


def _needs_token(report: _wire.Report, published: _wire.Published) -> bool:
    """Tell whether a unit waits for a token. An old one cannot tell that it has used its own."""
    if report.is_old:
        return not report.is_member and not published.token_for(report.hostname)
    return report.member == "false"


def values(
    published: _wire.Published,
    reports: Sequence[_wire.Report],
    leaving: Sequence[_wire.Report] = (),
) -> dict[str, str]:
    """Return the values to be mirrored; the tokens of units that are `leaving` outlive them."""
    hosts = by_host(reports)
    offers: dict[str, list[str]] = {}
    for report in (*reports, *leaving):
        for key, value in report.offers.items():
            offers.setdefault(key, []).append(value)
    mirrored: dict[str, str] = {}
    for key in sorted({*published.values, *offers} - hosts.keys()):
        # What is no host name's is a value of the charms' own. A token is always somebody's.
        current = published.values.get(key, _wire.EMPTY_STRING)
        shared = [value for value in (current, *sorted(offers.get(key, ()))) if _is_shared(value)]
        if shared:
            mirrored[key] = shared[0]
    has_old = any(report.is_old for report in reports)
    granted_to_old = bool(published.bootstrap_app) and not published.bootstrap_host
    shows_names = has_old and (published.formed or granted_to_old)
    for name, same in hosts.items():
        is_member = any(report.member == "true" for report in same)
        usable = published.formed and not is_member
        token = _token(published, same, offers.get(name, ())) if usable else ""
        if token or shows_names:
            mirrored[name] = token or (_wire.JOINED if is_member else _wire.EMPTY_STRING)
    return mirrored


def _is_shared(value: str) -> bool:
    return value not in _NO_TOKENS and not _wire.looks_like_token(value)


def _token(
    published: _wire.Published, reports: Sequence[_wire.Report], offers: Sequence[str]
) -> str:
    """Return a host name's token: the one published, and after one that failed the next."""
    current = published.token_for(reports[0].hostname)
    failed = {report.failed for report in reports}
    tokens = sorted(filter(_wire.is_usable_token, {current, *offers} - {*_NO_TOKENS}))
    if not tokens or (current and _wire.digest(current) not in failed):
        return current
    # Each member may have issued one: all get their turn, since only one can be used.
    turn = next((i for i, token in enumerate(tokens) if _wire.digest(token) in failed), -1)
    return [*tokens[turn + 1 :], *tokens][0]


def is_app_due(
    published: _wire.Published, following: _wire.Published, units: int, expected: int
) -> bool:
    """Tell whether the application's databag has to be written now, and not at update-status.

    So many units have reported, and so many are expected, as far as known.
    """
    before, after = (
        {name: failed for name, failed in each.waiting.items() if failed}
        for each in (published, following)
    )
    return (
        following.bootstrap_host not in ("", published.bootstrap_host)
        or following.bootstrap_app not in ("", published.bootstrap_app)
        or following.hold != published.hold
        or not following.left <= published.left
        or before != after
        or are_newcomers_due(published, following, units, expected)
    )


def are_newcomers_due(
    published: _wire.Published, following: _wire.Published, units: int, expected: int
) -> bool:
    """Tell whether newcomers are to be published now: few at once, those of a burst together."""
    new = len(following.waiting.keys() - published.waiting.keys()) if following.formed else 0
    more = max(0, expected - units)
    return new > 0 and (new + more <= _FEW or not more or 2 * new >= units - new)


def is_unit_due(published: _wire.Published, following: _wire.Published) -> bool:
    """Tell whether the databag of the unit that mirrors has to be written now."""
    return any(
        published.values.get(key) != value and value != _wire.JOINED
        for key, value in following.values.items()
    )


def enter(
    ledger: Mapping[str, str],
    left: frozenset[str],
    reports: Sequence[_wire.Report],
    goal: goal_module.Goal,
    present: frozenset[str],
) -> dict[str, str]:
    """Return the ledger after goal-state was asked: only units that it has named enter.

    Who has left stays until its name is not in `left` any more, and as `DEALT_WITH` while Juju
    lists it as `present` all the same.
    """
    dealt_with = {unit for unit, name in ledger.items() if name == DEALT_WITH}
    following = {u: ledger.get(u, UNPUBLISHED) for u in goal.units.keys() - dealt_with}
    following.update(dict.fromkeys(goal.units.keys() & dealt_with, UNPUBLISHED))
    named = (report for report in reports if report.unit in goal.units)
    following.update({report.unit: report.hostname for report in named if report.hostname})
    for unit, name in ledger.items():
        if unit in following:
            continue
        if name in left or not (name == DEALT_WITH or goal.has_departed(unit)):
            following[unit] = name
        elif unit in present:
            following[unit] = DEALT_WITH
    return following
