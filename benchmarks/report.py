"""Writes `benchmark.md`: three tables, two pictures, the method."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from benchmarks import counting, wall
from benchmarks.contenders import Contender

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks import targets

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


def write(
    found: targets.Found, judged: Sequence[targets.Target], seeds: int, compared: int
) -> str:
    """Return the whole page.

    Args:
        found: what was measured.
        judged: the targets.
        seeds: how many seeds there were.
        compared: the most units for which the field's charms were run.
    """
    lines = [_HEAD, *_targets(judged), "", _COUNTS, *_counts(found), ""]
    if found.wall:
        words = {"units": wall.UNITS, "version": wall.lxd_version(), "runs": wall.RUNS}
        rows = [
            (who.value, f"{s:.1f}", f"{forming:.1f}") for who, (s, forming) in found.wall.items()
        ]
        lines += [_WALL.format(**words), *_table(["", "s", "bootstrap and join"], rows), ""]
    else:
        lines += [f"## Timed\n\nNot run: {found.without_wall}.\n"]
    lines += [_METHOD.format(version=counting.VERSION, seeds=seeds, compared=compared)]
    return "\n".join(lines).rstrip() + "\n"


def _targets(judged: Sequence[targets.Target]) -> list[str]:
    words = {True: "yes", False: "**no**", None: "not run"}
    rows = [
        (each.what, f"{each.limit:g}", _digits(each.found), words[each.met]) for each in judged
    ]
    return _table(["target", "at most", "found", "met"], rows)


def _counts(found: targets.Found) -> list[str]:
    ours, field = found.growths[Contender.OURS], found.growths[Contender.FIELD]
    names = [each.name for each in dataclasses.fields(counting.Cost)]
    rows: list[Sequence[str]] = []
    for units in sorted(set(ours) & set(field)):
        for adding in (False, True):
            phases = [g.adding if adding else g.forming for g in (field[units], ours[units])]
            cells = [f"{units} + 1" if adding else f"{units}"]
            cells += [" / ".join(_cell(phase, name) for phase in phases) for name in names]
            cells.append(" / ".join(f"{phase.seconds:.0f}" for phase in phases))
            rows.append(cells)
    return _table(["n", *names, "seconds"], rows)


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
