"""What it may cost, and what it was found to cost."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from benchmarks.contenders import Contender

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks import counting

OVER_FIELD: Mapping[str, Mapping[int, float]] = {
    "hooks": {3: 0.95, 10: 0.70, 20: 0.46},
    "calls": {3: 0.88, 10: 0.65, 20: 0.40},
}
"""The most that forming may take, by the number of units, as a multiple of the field's."""

SECONDS_OVER_FIELD = 0.7
"""The most seconds of three units by MicroOVN's times of commands, as a multiple of the field's.

LXD daemons cannot show it: they have no role `PENDING`, for which the field's library sleeps on
MicroOVN, and without Juju's fifth of a second a hook most is `bootstrap` and `join`.
"""

LINEAR = 1.05
"""The most that the distributor's calls may grow by: a power of the units."""

LINEAR_FROM = 50
"""The fewest units of which that power is taken: below, what is constant weighs too much."""

SETTLED_READ = 1.1
"""The most that a settled member may read in a hook with the most units, against the fewest."""


@dataclasses.dataclass
class Found:
    """All that was measured.

    Attributes:
        growths: medians over the seeds, by contender, then by the number of units, fewest first.
        wall: median seconds on LXD daemons, in all and of `bootstrap` and `join`; none if not run.
        without_wall: why not, if so.
    """

    growths: dict[Contender, dict[int, counting.Growth]]
    wall: dict[Contender, tuple[float, float]] = dataclasses.field(
        default_factory=dict[Contender, tuple[float, float]]
    )
    without_wall: str = ""


@dataclasses.dataclass(frozen=True)
class Target:
    """A target, and what was found.

    Attributes:
        what: what is limited.
        limit: the most that it may be.
        found: what it is; None if it was not run.
    """

    what: str
    limit: float
    found: float | None

    @property
    def met(self) -> bool | None:
        """Whether it is met; None if it was not run."""
        return None if self.found is None else self.found <= self.limit


def judge(found: Found) -> list[Target]:
    """Hold what was found against each target."""
    return [*_ratios(found), *_hooks(found), *_adding(found), *_growth(found), *_seconds(found)]


def _ratios(found: Found) -> Iterator[Target]:
    ours, field = found.growths[Contender.OURS], found.growths[Contender.FIELD]
    for name, limits in OVER_FIELD.items():
        for units, limit in limits.items():
            ratio = None
            if units in ours and units in field:
                mine, theirs = (getattr(each[units].forming.bare, name) for each in (ours, field))
                ratio = mine / theirs
            yield Target(f"{name} over the field's, forming {units}", limit, ratio)


def _hooks(found: Found) -> Iterator[Target]:
    for units, growth in found.growths[Contender.OURS].items():
        limit = 11 * units + 9
        yield Target(f"hooks, forming {units}: 11 n + 9", limit, growth.forming.bare.hooks)
    failed = sum(
        growth.forming.full.failed + growth.adding.full.failed
        for growth in found.growths[Contender.OURS].values()
    )
    yield Target("hooks that failed", 0, failed)


def _adding(found: Found) -> Iterator[Target]:
    field = found.growths[Contender.FIELD]
    for units, growth in found.growths[Contender.OURS].items():
        hooks = growth.adding.bare.hooks
        if units > 3:
            yield Target(f"hooks, adding one to {units}: 2 n + 13", 2 * units + 13, hooks)
        elif units in field:
            limit = field[units].adding.bare.hooks
            yield Target(f"hooks, adding one to {units}: the field's", limit, hooks)


def _growth(found: Found) -> Iterator[Target]:
    ours = found.growths[Contender.OURS]
    large = [units for units in ours if units >= LINEAR_FROM]
    exponent = None
    if len(large) > 1:
        few, many = large[0], large[-1]
        ratio = ours[many].distributor_calls / ours[few].distributor_calls
        exponent = math.log(ratio) / math.log(many / few)
    yield Target("exponent of the distributor's calls, forming", LINEAR, exponent)
    reads = [growth.settled_read for growth in ours.values() if growth.settled_read]
    ratio = reads[-1] / reads[0] if len(reads) > 1 else None
    what = "most bytes that a settled member reads in a hook, most units over fewest"
    yield Target(what, SETTLED_READ, ratio)


def _seconds(found: Found) -> Iterator[Target]:
    ours, field = found.growths[Contender.OURS], found.growths[Contender.FIELD]
    ratio = None
    if 3 in ours and 3 in field:
        ratio = ours[3].forming.seconds / field[3].forming.seconds
    yield Target("seconds over the field's, forming 3", SECONDS_OVER_FIELD, ratio)
