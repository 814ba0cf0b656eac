"""The targets, and the tables of `benchmark.md`; what the page says beside them is its own."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import counting
from benchmarks.charms import Contender

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Growths = Mapping[Contender, Mapping[int, counting.Growth]]

# The most that forming may take, by the number of units, as a multiple of the field's. The seconds
# are by MicroOVN's times of commands: LXD has no role `PENDING`, for which the field's library
# sleeps on MicroOVN, and without Juju's fifth of a second a hook most is `bootstrap` and `join`.
_OVER_FIELD = {
    "hooks": {3: 0.95, 10: 0.70, 20: 0.46},
    "calls": {3: 0.88, 10: 0.65, 20: 0.40},
    "seconds": {3: 0.7},
}
# The highest power of the units with which the distributor's calls may grow, and the fewest units
# of which it is taken: below, what is constant weighs too much.
_LINEAR = 1.05
_LINEAR_FROM = 50
# The most that a settled member may read in a hook with the most units, against the fewest.
_SETTLED_READ = 1.1


class Target(NamedTuple):
    """What is limited, the most that it may be, and what it is."""

    what: str
    limit: float
    found: float

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return self.found <= self.limit


def judge(growths: Growths) -> Iterator[Target]:
    """Compare what was counted, fewest units first, with each target of these numbers of units."""
    ours, field = growths[Contender.OURS], growths[Contender.FIELD]
    for name, limits in _OVER_FIELD.items():
        for units in [units for units in limits if units in ours and units in field]:
            mine, theirs = (getattr(each[units].forming.bare, name) for each in (ours, field))
            what = f"{name} over the field's, forming {units}"
            yield Target(what, limits[units], mine / theirs)
    for units, growth in ours.items():
        what = f"hooks, forming {units}: 11 n + 9"
        yield Target(what, 11 * units + 9, growth.forming.bare.hooks)
    failed = sum(each.forming.full.failed + each.adding.full.failed for each in ours.values())
    yield Target("hooks that failed", 0, failed)
    for units, growth in ours.items():
        what, limit = "2 n + 13", 2 * units + 13
        if units == 3 and 3 in field:
            what, limit = "the field's", field[3].adding.bare.hooks
        yield Target(f"hooks, adding one to {units}: {what}", limit, growth.adding.bare.hooks)
    few, many = min((n for n in ours if n >= _LINEAR_FROM), default=0), max(ours)
    if 0 < few < many:
        ratio = ours[many].distributor_calls / ours[few].distributor_calls
        exponent = math.log(ratio) / math.log(many / few)
        yield Target("exponent of the distributor's calls, forming", _LINEAR, exponent)
    reads = [growth.settled_read for growth in ours.values()]
    what = "most bytes that a settled member reads in a hook, most units over fewest"
    yield Target(what, _SETTLED_READ, reads[-1] / reads[0])


def tables(growths: Growths, judged: Iterable[Target]) -> Iterator[str]:
    """Yield the tables of the targets, and of what was counted."""
    rows = [
        (t.what, f"{t.limit:g}", _digits(t.found), "yes" if t.met else "**no**") for t in judged
    ]
    yield table(["target", "at most", "found", "met"], rows)
    ours, field = growths[Contender.OURS], growths[Contender.FIELD]
    names = [each.name for each in dataclasses.fields(counting.Cost)]
    counts: list[Sequence[str]] = []
    for units in field:
        for label, phase in ((f"{units}", "forming"), (f"{units} + 1", "adding")):
            phases = [getattr(each[units], phase) for each in (field, ours)]
            counts.append([label, *(" / ".join(_cell(p, name) for p in phases) for name in names)])
    yield table(["n", *names], counts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def filled(page: str, tables: Iterable[str]) -> str:
    """Return the page with its first tables replaced."""
    rest = iter(tables)
    return re.sub(r"(?:^\|.*\n)+", lambda table: next(rest, table[0]), page, flags=re.MULTILINE)


def _cell(phase: counting.Phase, name: str) -> str:
    bare, full = (_digits(round(getattr(cost, name))) for cost in (phase.bare, phase.full))
    return bare if bare == full else f"{bare} ({full})"


def _digits(value: float) -> str:
    """Return a whole number in groups of three digits, any other with two decimals."""
    return f"{value:,.0f}".replace(",", " ") if value == round(value) else f"{value:.2f}"
