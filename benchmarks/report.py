"""The targets, and `benchmark.md`: three tables, two pictures, the method."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from benchmarks import counting, wall
from benchmarks.charms import Contender

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# The most that forming may take, by the number of units, as a multiple of the field's.
_OVER_FIELD = {
    "hooks": {3: 0.95, 10: 0.70, 20: 0.46},
    "calls": {3: 0.88, 10: 0.65, 20: 0.40},
}
# The same for the seconds of three units, by MicroOVN's times of commands. LXD daemons cannot show
# it: they have no role `PENDING`, for which the field's library sleeps on MicroOVN, and without
# Juju's fifth of a second a hook most is `bootstrap` and `join`.
_SECONDS_OVER_FIELD = 0.7
# The highest power of the units with which the distributor's calls may grow, and the fewest units
# of which it is taken: below, what is constant weighs too much.
_LINEAR = 1.05
_LINEAR_FROM = 50
# The most that a settled member may read in a hook with the most units, against the fewest.
_SETTLED_READ = 1.1

_HEAD = """\
# Benchmark

Made by `tox -e bench -- --field CHECKOUT`; do not edit. It compares this charm and its library
with those that they follow: patch 8 of the library and the distributor of the same time, run from
a checkout of their repository. [What it costs](../explanation/cost.md) says what the numbers mean.

![Hooks until a cluster has formed](benchmark-hooks.svg)

![Calls of hook tools until a cluster has formed](benchmark-calls.svg)

## Targets
"""
_COUNTS = """\
## Counted

The field's number, then this project's. *n* forms a cluster, *n* + 1 adds a unit to it. In
brackets: with the first round of update-status.
"""
_WALL = """\
## Timed

{units} LXD daemons (LXD {version}) on one machine form a cluster: seconds from the first hook to
the last join, the median of {runs} runs of each, in turn. No library can save `bootstrap` and
`join`, and they are more than half of it: Juju is the model here too, on which a hook takes
milliseconds, and LXD has no role `PENDING`, for which the field's library sleeps on MicroOVN. The
seconds in the table above have both.
"""
_METHOD = """\
## Method

The counts come from an in-memory model of Juju {version} and a fake of MicroOVN's cluster. The
units of a charm and one unit of the distributor are deployed at once. A number is the median over
{seeds} seeds, which draw where Juju's own order is random; above {compared} units there is one
seed, and only this project is run. Each library is run by a charm that does little else, with the
same endpoints and the same command line.

- hooks: of all units of both applications, from `install` on, failed ones and their retries too
- calls: of hook tools, by ops or by the charm, except `juju-log` and `status-set`
- commands: of the cluster's command line, such as `list`, `add` and `join`
- read, written: bytes of databags, keys and values
- failed: those of the hooks that failed, and that Juju ran again
- seconds: of the model's time, until the last unit had joined, by MicroOVN's times

The third line of the first picture is a charm that forms the same cluster over a peer relation.
It is written to be thrifty, and handles no failure.
"""


@dataclasses.dataclass
class Found:
    """All that was measured.

    Attributes:
        growths: medians over the seeds, by contender, then by the number of units, fewest first.
        wall: median seconds on LXD daemons, in all and of `bootstrap` and `join`.
        without_wall: why there are none, if so.
    """

    growths: dict[Contender, dict[int, counting.Growth]]
    wall: dict[Contender, tuple[float, float]]
    without_wall: str


@dataclasses.dataclass(frozen=True)
class Target:
    """What is limited, the most that it may be, and what it is; None if it was not run."""

    what: str
    limit: float
    found: float | None

    @property
    def met(self) -> bool | None:
        """Whether it is met; None if it was not run."""
        return None if self.found is None else self.found <= self.limit


def judge(found: Found) -> Iterator[Target]:
    """Compare what was found with each target."""
    ours, field = found.growths[Contender.OURS], found.growths[Contender.FIELD]
    for name, limits in _OVER_FIELD.items():
        for units, limit in limits.items():
            ratio = None
            if units in ours and units in field:
                mine, theirs = (getattr(each[units].forming.bare, name) for each in (ours, field))
                ratio = mine / theirs
            yield Target(f"{name} over the field's, forming {units}", limit, ratio)
    for units, growth in ours.items():
        hooks = growth.forming.bare.hooks
        yield Target(f"hooks, forming {units}: 11 n + 9", 11 * units + 9, hooks)
    failed = sum(each.forming.full.failed + each.adding.full.failed for each in ours.values())
    yield Target("hooks that failed", 0, failed)
    for units, growth in ours.items():
        hooks = growth.adding.bare.hooks
        if units > 3:
            yield Target(f"hooks, adding one to {units}: 2 n + 13", 2 * units + 13, hooks)
        elif units in field:
            limit = field[units].adding.bare.hooks
            yield Target(f"hooks, adding one to {units}: the field's", limit, hooks)
    large = [units for units in ours if units >= _LINEAR_FROM]
    exponent = None
    if len(large) > 1:
        few, many = large[0], large[-1]
        ratio = ours[many].distributor_calls / ours[few].distributor_calls
        exponent = math.log(ratio) / math.log(many / few)
    yield Target("exponent of the distributor's calls, forming", _LINEAR, exponent)
    reads = [growth.settled_read for growth in ours.values() if growth.settled_read]
    what = "most bytes that a settled member reads in a hook, most units over fewest"
    yield Target(what, _SETTLED_READ, reads[-1] / reads[0] if len(reads) > 1 else None)
    ratio = None
    if 3 in ours and 3 in field:
        ratio = ours[3].forming.seconds / field[3].forming.seconds
    yield Target("seconds over the field's, forming 3", _SECONDS_OVER_FIELD, ratio)


def page(found: Found, judged: Iterable[Target], seeds: int, compared: int) -> str:
    """Return the whole page; `compared` is the most units that all contenders formed."""
    words = {True: "yes", False: "**no**", None: "not run"}
    targets = [(t.what, f"{t.limit:g}", _digits(t.found), words[t.met]) for t in judged]
    lines = [_HEAD, *_table(["target", "at most", "found", "met"], targets), ""]
    names = [each.name for each in dataclasses.fields(counting.Cost)]
    lines += [_COUNTS, *_table(["n", *names, "seconds"], _counts(found, names)), ""]
    if found.wall:
        lines += [_WALL.format(units=wall.UNITS, version=wall.lxd_version(), runs=wall.RUNS)]
        timed = [(who.value, f"{s:.1f}", f"{j:.1f}") for who, (s, j) in found.wall.items()]
        lines += [*_table(["", "s", "bootstrap and join"], timed), ""]
    else:
        lines += [f"## Timed\n\nNot run: {found.without_wall}.\n"]
    lines += [_METHOD.format(version=counting.VERSION, seeds=seeds, compared=compared)]
    return "\n".join(lines).rstrip() + "\n"


def _counts(found: Found, names: Sequence[str]) -> Iterator[Sequence[str]]:
    ours, field = found.growths[Contender.OURS], found.growths[Contender.FIELD]
    for units in sorted(set(ours) & set(field)):
        for adding in (False, True):
            phases = [g.adding if adding else g.forming for g in (field[units], ours[units])]
            cells = [" / ".join(_cell(phase, name) for phase in phases) for name in names]
            seconds = " / ".join(f"{phase.seconds:.0f}" for phase in phases)
            yield [f"{units} + 1" if adding else f"{units}", *cells, seconds]


def _cell(phase: counting.Phase, name: str) -> str:
    bare, full = (getattr(cost, name) for cost in (phase.bare, phase.full))
    return _number(bare) if bare == full else f"{_number(bare)} ({_number(full)})"


def _number(value: float) -> str:
    """Return a whole number, in groups of three digits."""
    return f"{value:,.0f}".replace(",", " ")


def _digits(value: float | None) -> str:
    if value is None:
        return "-"
    return _number(value) if value == round(value) else f"{value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
