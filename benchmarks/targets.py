"""What the cost may be, and what it is found to be."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING

from benchmarks import bound, counting, timed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FITTED_FROM = 30
"""The fewest units from which on a cost is fitted: below, what does not grow weighs too much."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """A power law, `factor * n ** exponent`.

    Attributes:
        factor: the cost that it gives to one unit.
        exponent: the slope, where both axes are logarithmic.
    """

    factor: float
    exponent: float

    def at(self, units: float) -> float:
        """Give the cost of as many units."""
        return self.factor * units**self.exponent


def fit(costs: Mapping[int, float]) -> Fit | None:
    """Fit a power law by least squares on the logarithms.

    Args:
        costs: by the number of units; only those from `FITTED_FROM` on count.

    Returns:
        The law; None where there are fewer than two numbers to fit.
    """
    points = [(units, cost) for units, cost in costs.items() if units >= FITTED_FROM and cost > 0]
    if len(points) < 2:
        return None
    slope, intercept = statistics.linear_regression(
        [math.log(units) for units, _ in points], [math.log(cost) for _, cost in points]
    )
    return Fit(math.exp(intercept), slope)


def two_digits(value: float) -> float:
    """Round what was extrapolated to what it is good for."""
    return float(f"{value:.1e}")


@dataclasses.dataclass
class Found:
    """All that was counted.

    Attributes:
        star: by the number of units, through the distributor.
        mesh: likewise, over a peer relation.
    """

    star: dict[int, counting.Growth] = dataclasses.field(
        default_factory=dict[int, counting.Growth]
    )
    mesh: dict[int, counting.Growth] = dataclasses.field(
        default_factory=dict[int, counting.Growth]
    )

    @property
    def sizes(self) -> list[int]:
        """The numbers of units, smallest first."""
        return sorted(self.star)

    def hooks(self) -> dict[int, float]:
        """All hooks of forming through the distributor."""
        return {n: self.star[n].forming.hooks for n in self.sizes}

    def mesh_hooks(self) -> dict[int, float]:
        """All hooks of forming over a peer relation, where that was counted."""
        return {n: self.mesh[n].forming.hooks for n in sorted(self.mesh)}

    def mesh_writes(self) -> Fit | None:
        """The law of the mesh's only hooks that depend on what the baseline writes."""
        kind = "peer application-changed"
        return fit(
            {
                n: growth.forming.sides[counting.PEERS].hooks[kind]
                for n, growth in sorted(self.mesh.items())
            }
        )

    def tool_calls(self) -> dict[int, float]:
        """The distributor's calls of hook tools."""
        return {n: timed.calls(self._distributor(n).tools) for n in self.sizes}

    def bytes_read(self) -> dict[int, float]:
        """The bytes of databags that the distributor read."""
        return {n: self._distributor(n).bytes["read"] for n in self.sizes}

    def baseline(self, units: int) -> tuple[float, bool] | None:
        """Give the hooks of the baseline, and whether they are extrapolated.

        Returns:
            None where too little was counted to extrapolate from.
        """
        if units in self.mesh:
            return self.mesh[units].forming.hooks, False
        law = self.mesh_writes()
        return None if law is None else (bound.mesh(units) + law.at(units), True)

    def _distributor(self, units: int) -> counting.Side:
        return self.star[units].forming.sides[counting.DISTRIBUTOR]


@dataclasses.dataclass(frozen=True)
class Target:
    """A target, and what was found.

    Attributes:
        what: what is limited.
        limit: by how much, as a text.
        found: as a text; empty where the sizes that were run do not tell.
        met: whether it is met; None where there is no telling.
    """

    what: str
    limit: str
    found: str = ""
    met: bool | None = None


def judge(found: Found) -> list[Target]:
    """Hold what was found against each target."""
    return [*_exponents(found), *_bounds(found), *_lists(found), *_baselines(found), _path(found)]


def missed(targets: Iterable[Target]) -> list[Target]:
    """Give the targets that are certainly missed."""
    return [target for target in targets if target.met is False]


def _exponents(found: Found) -> Iterable[Target]:
    for name, costs, limit in (
        ("the distributor's hook-tool calls", found.tool_calls(), bound.DISTRIBUTOR_EXPONENT),
        (
            "the databag bytes that the distributor reads",
            found.bytes_read(),
            bound.DISTRIBUTOR_EXPONENT,
        ),
        ("all hooks", found.hooks(), bound.HOOKS_EXPONENT),
    ):
        fitted = [n for n in costs if n >= FITTED_FROM]
        what = f"exponent of {name}, forming"
        law = fit(costs)
        if law is None:
            yield Target(what, f"at most {limit}")
            continue
        span = f"{law.exponent:.3f} over {fitted[0]} to {fitted[-1]} units"
        yield Target(what, f"at most {limit}", span, law.exponent <= limit)


def _bounds(found: Found) -> Iterable[Target]:
    limit = f"at most {bound.HOOKS_OVER_BOUND}"
    for units in (3, 10):
        what = f"hooks over the lower bound, forming {units} units"
        if units not in found.star:
            yield Target(what, limit)
            continue
        ratio = found.star[units].forming.hooks / bound.total(bound.forming(units))
        yield Target(what, limit, f"{ratio:.2f}", ratio <= bound.HOOKS_OVER_BOUND)


def _lists(found: Found) -> Iterable[Target]:
    costs = [cost for growth in found.star.values() for cost in (growth.forming, growth.adding)]
    most = [max(cost.lists[issues] for cost in costs) for issues in (0, 1)]
    for who, limit, seen in (
        ("a unit that issues no token in it", bound.LISTS, most[0]),
        ("one that does, the communicator", bound.LISTS_OF_COMMUNICATOR, most[1]),
    ):
        yield Target(
            f"calls of `list` in a hook of {who}", f"at most {limit}", f"{seen}", seen <= limit
        )


def _baselines(found: Found) -> Iterable[Target]:
    for units, part, word in ((100, 5, "a fifth"), (1000, 30, "a thirtieth")):
        what = f"hooks over those of the peer baseline, forming {units} units"
        limit = f"at most {word}"
        baseline = found.baseline(units) if units in found.star else None
        if baseline is None:
            yield Target(what, limit)
            continue
        hooks, extrapolated = baseline
        ratio = hooks / found.star[units].forming.hooks
        text = f"1/{ratio:.1f}"
        if extrapolated:
            text = f"≈ 1/{two_digits(ratio):.0f}, the baseline extrapolated"
        yield Target(what, limit, text, ratio >= part)


def _path(found: Found) -> Target:
    what = "critical path of forming 3 units"
    limit = "one bootstrap, one join, hooks; nothing else"
    if 3 not in found.star:
        return Target(what, limit)
    cost = found.star[3].forming
    text = f"{cost.formed:.2f} s: {len(cost.path)} hooks, one after the other"
    return Target(what, limit, text, cost.is_tight and cost.waited_for == ["bootstrap", "join"])
