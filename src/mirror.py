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
                              unit, no other unit has its name, and no member reports it `gone`;
                              or an operator has had it forgotten, and it is not online

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
import re
from typing import TYPE_CHECKING

from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

# In the ledger: a unit that has not reported, and one that has left and is dealt with.
UNPUBLISHED = "?"
DEALT_WITH = "-"
_UNIT = re.compile(r"[a-z][a-z0-9-]*/[0-9]+", re.ASCII)
# So many newcomers are published as they come; of more, half as many as there were before.
_FEW = 5


@dataclasses.dataclass(frozen=True)
class Goal:
    """What `goal-state` says of the related units: the one evidence that a unit has left."""

    apps: frozenset[str]  # those of other models are not named
    units: Mapping[str, str]  # with their statuses; of subordinate ones some may not be named

    @classmethod
    def of(cls, rows: Mapping[str, str]) -> Goal:
        """Tell units from applications, and from offers: `admin/default.cluster` is neither."""
        units = {name: status for name, status in rows.items() if _UNIT.fullmatch(name)}
        return cls(frozenset(name for name in rows if "/" not in name), units)

    def departed(self, ledger: Mapping[str, str]) -> frozenset[str]:
        """Return the units of the ledger that have left the model: Juju may list them for long."""
        return frozenset(
            unit
            for unit in ledger.keys() - self.units.keys()
            if unit.partition("/")[0] in self.apps or ledger[unit] == DEALT_WITH
        )

    @property
    def dying(self) -> frozenset[str]:
        """The units that are being removed."""
        return frozenset(unit for unit, status in self.units.items() if status == "dying")


def by_host(reports: Iterable[_wire.Report]) -> dict[str, list[_wire.Report]]:
    """Return the reports by host name; two units of one host name are for an operator to mend."""
    hosts: dict[str, list[_wire.Report]] = {}
    for report in reports:
        if report.hostname:
            hosts.setdefault(report.hostname, []).append(report)
    return hosts


def clusters(reports: Iterable[_wire.Report]) -> list[str]:
    """Return the clusters there are, each by its first member, whose own word counts for it."""
    return sorted({r.cluster for r in reports if r.is_member and r.cluster == r.hostname} - {""})


def offline(reports: Iterable[_wire.Report]) -> frozenset[str]:
    """Return the members that are not online, as others report; who lacks a list holds itself."""
    members = (report for report in reports if report.member != "false")
    return frozenset(name for r in members for name in (r.hold | r.offline) - {r.hostname})


def is_dissolved(reports: Collection[_wire.Report], goal: Goal | None) -> bool:
    """Tell whether no cluster is left: all say so, and nobody is silent who is being removed."""
    reported = {report.unit for report in reports if report.member == "false"}
    return goal is not None and 0 < len(reports) == len(reported) and goal.dying <= reported


def publish(
    published: _wire.Published,
    reports: Collection[_wire.Report],
    ledger: Mapping[str, str],
    goal: Goal | None,
    *,
    forgotten: frozenset[str] = frozenset(),
    is_divided: bool = False,
) -> _wire.Published:
    """Return what is to be published; the grant is for `bootstrap` to add, and then the `values`.

    Where the units are divided between several clusters, nothing can be done for anybody.
    """
    hosts = by_host(reports)
    gone = {name for report in reports if report.is_member for name in report.gone}
    left, lost = published.left, offline(reports)
    if goal is not None:
        left = frozenset(ledger[u] for u in goal.departed(ledger)) - {DEALT_WITH, UNPUBLISHED}
    waiting = {
        name: same[0].failed
        for name, same in sorted(hosts.items())
        if len(same) == 1 and _needs_token(same[0], published)
    }
    return dataclasses.replace(
        published,
        waiting={} if is_divided else waiting,
        formed=published.formed or any(report.is_member for report in reports),
        shared=len({report.unit.partition("/")[0] for report in reports}) > 1,
        hold=frozenset(name for r in reports if r.member != "false" for name in r.hold),
        left=frozenset() if is_divided else (left - hosts.keys() - gone) | (forgotten & lost),
    )


def _needs_token(report: _wire.Report, published: _wire.Published) -> bool:
    """Tell whether a unit waits for a token. An old one cannot tell that it has used its own."""
    if report.is_old:
        return not report.is_member and not published.token_for(report.hostname)
    return report.member == "false"


def values(
    published: _wire.Published,
    reports: Collection[_wire.Report],
    leaving: Sequence[_wire.Report] = (),
) -> dict[str, str]:
    """Return the values to be mirrored; the tokens of units that are `leaving` outlive them."""
    hosts = by_host(reports)
    offers: dict[str, list[str]] = {}
    for report in (*reports, *leaving):
        for key, value in report.offers.items():
            offers.setdefault(key, []).append(value)
    mirrored: dict[str, str] = {}
    no_values = (_wire.EMPTY_STRING, _wire.JOINED)
    for key in sorted({*published.values, *offers} - hosts.keys()):
        # What is no host name's is a value of the charms' own. A token is always somebody's.
        words = (published.values.get(key, _wire.EMPTY_STRING), *sorted(offers.get(key, ())))
        shared = [w for w in words if w not in no_values and not _wire.looks_like_token(w)]
        mirrored.update({key: shared[0]} if shared else {})
    granted_to_old = bool(published.bootstrap_app) and not published.bootstrap_host
    shows_names = (published.formed or granted_to_old) and any(r.is_old for r in reports)
    for name, same in hosts.items():
        is_member = any(report.member == "true" for report in same)
        usable = published.formed and not is_member
        token = _token(published, same, offers.get(name, ())) if usable else ""
        if token or shows_names:
            mirrored[name] = token or (_wire.JOINED if is_member else _wire.EMPTY_STRING)
    return mirrored


def _token(
    published: _wire.Published, reports: Sequence[_wire.Report], offers: Sequence[str]
) -> str:
    """Return a host name's token: the one published, and after one that failed the next."""
    current = published.token_for(reports[0].hostname)
    failed = {report.failed for report in reports}
    tokens = sorted(filter(_wire.is_usable_token, {current, *offers}))
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
    reports: Collection[_wire.Report],
    goal: Goal,
    present: frozenset[str],
) -> dict[str, str]:
    """Return the ledger after goal-state was asked: only units that it has named enter.

    Who has left stays until its name is not in `left` any more, and as `DEALT_WITH` while Juju
    lists it as `present` all the same.
    """
    # A unit that goal-state names again, after it had left, has yet to report.
    known = {unit: name for unit, name in ledger.items() if name != DEALT_WITH}
    following = {unit: known.get(unit, UNPUBLISHED) for unit in goal.units}
    following.update({r.unit: r.hostname for r in reports if r.hostname and r.unit in goal.units})
    departed = goal.departed(ledger)
    for unit in ledger.keys() - following:
        if ledger[unit] in left or unit not in departed:
            following[unit] = ledger[unit]
        elif unit in present:
            following[unit] = DEALT_WITH
    return following
