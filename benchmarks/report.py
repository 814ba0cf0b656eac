"""Writes `benchmark.md`, from what was counted and timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import bound, counting, targets, timed, wall

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Sequence

TIMED = "## Timed, on real daemons"
"""The heading of the part that is timed: it comes last, and differs from run to run."""

_SIDES = (counting.CONSUMER, counting.DISTRIBUTOR)
_BYTES = {
    "read": "databag bytes read",
    "written": "databag bytes written",
    "listed": "bytes of `relation-list`",
    "goal-state": "bytes of `goal-state`",
}
_INTRODUCTION = """\
# Benchmark

Made by `tox -e bench`; do not edit. [What it costs](../explanation/cost.md) says what all this
means, how the lower bound is derived, and why the baseline is a fair one.

All but the last part is counted on an in-memory model of Juju 4.0, so it is the same on every
machine, and changes only when the code does. `n` units of a charm are started together with one
unit of the distributor, and form one cluster; then one unit is added. The *peer baseline* is a
charm that forms the same cluster over its peer relation. Seconds are the model's: a dispatch takes
{dispatch:g} s, a hook tool {tool:g} s, and a command of the cluster what was measured of MicroOVN;
machines work side by side, and each runs one hook at a time.

![Hooks](benchmark-hooks.svg)

![What the distributor reads](benchmark-distributor.svg)
"""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Give the lines of a table; all columns but the first are numbers, unless one holds a text.

    Args:
        head: the headings.
        rows: the cells.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    numeric = [
        all(_is_number(row[column]) for row in cells) and bool(cells)
        for column in range(len(head))
    ]
    rule = ["---:" if number else "---" for number in numeric]
    return ["", *(f"| {' | '.join(row)} |" for row in (head, rule, *cells)), ""]


def _is_number(text: str) -> bool:
    return text[:1] in "0123456789-≈" or not text


def _number(value: float) -> str:
    """Give a whole number, in groups of three digits."""
    return f"{value:,.0f}".replace(",", " ")


def _about(value: float) -> str:
    """Give a number that was extrapolated."""
    return f"≈ {_number(targets.two_digits(value))}"


def write(found: targets.Found, judged: Sequence[targets.Target], last: str) -> str:
    """Give the whole page.

    Args:
        found: what was counted.
        judged: the targets.
        last: the part that is timed, as `timed_part` gives it.
    """
    lines = [
        _INTRODUCTION.format(dispatch=timed.DISPATCH, tool=timed.TOOL),
        "## Targets",
        *_targets(judged),
        "## Forming a cluster",
        *_overview(found),
        "## Adding a unit",
        *_adding(found),
        "## Hook tools and databags",
        *_tools(found),
        "## Hooks by kind",
        *_kinds(found),
        "## Commands of the cluster",
        *_commands(found),
        *_path(found),
        "## The lower bound",
        *_bound(),
    ]
    text = "\n".join(lines).rstrip() + "\n\n" + last.rstrip() + "\n"
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def _targets(judged: Sequence[targets.Target]) -> list[str]:
    words = {True: "yes", False: "**no**", None: "not run"}
    return table(
        ["target", "limit", "found", "met"],
        [(each.what, each.limit, each.found or "-", words[each.met]) for each in judged],
    )


_HEAD = (
    "n",
    "hooks, consumer",
    "hooks, distributor",
    "hooks in all",
    "lower bound",
    "over the bound",
    "hooks, peer baseline",
    "baseline over ours",
    "update-status rounds",
)


def _hooks(cost: counting.Cost, least: int) -> list[str]:
    """Give the columns about hooks that forming and adding have in common."""
    return [
        *(_number(cost.sides[side].hooks.total()) for side in _SIDES),
        _number(cost.hooks),
        _number(least),
        f"{cost.hooks / least:.2f}",
    ]


def _overview(found: targets.Found) -> list[str]:
    rows: list[Sequence[object]] = []
    for units in found.sizes:
        cost = found.star[units].forming
        least = bound.total(bound.forming(units))
        baseline = found.baseline(units)
        mesh = found.mesh.get(units)
        rows.append(
            (
                units,
                *_hooks(cost, least),
                _baseline(baseline),
                _ratio(baseline, cost.hooks),
                cost.rounds,
                f"{cost.formed:.1f}",
                f"{mesh.forming.formed:.1f}" if mesh else "",
            )
        )
    head = [*_HEAD, "formed after, s", "baseline formed after, s"]
    return [*table(head, rows), *_note(found)]


def _baseline(baseline: tuple[float, bool] | None) -> str:
    if baseline is None:
        return ""
    hooks, extrapolated = baseline
    return _about(hooks) if extrapolated else _number(hooks)


def _ratio(baseline: tuple[float, bool] | None, hooks: int) -> str:
    if baseline is None:
        return ""
    theirs, extrapolated = baseline
    return _about(theirs / hooks) if extrapolated else f"{theirs / hooks:.1f}"


def _note(found: targets.Found) -> list[str]:
    law = found.mesh_writes()
    if law is None or set(found.sizes) <= set(found.mesh):
        return []
    fitted = [units for units in found.mesh if units >= targets.FITTED_FROM]
    return [
        "≈: not run. It is what a mesh runs whatever the charm, 2n(n - 1) + 4n + 1, and the hooks "
        f"of its leader's writes, extrapolated from {min(fitted)} to {max(fitted)} units by the "
        f"exponent {law.exponent:.2f}.",
        "",
    ]


def _adding(found: targets.Found) -> list[str]:
    rows: list[Sequence[object]] = []
    for units in found.sizes:
        cost = found.star[units].adding
        least = bound.total(bound.adding(units))
        mesh = found.mesh.get(units)
        rows.append(
            (
                f"{units} + 1",
                *_hooks(cost, least),
                _number(mesh.adding.hooks) if mesh else "",
                f"{mesh.adding.hooks / cost.hooks:.1f}" if mesh else "",
                cost.rounds,
                f"{cost.formed:.1f}",
            )
        )
    return table([*_HEAD, "joined after, s"], rows)


def _costs(found: targets.Found) -> Iterable[tuple[str, str, counting.Side]]:
    """Give each side of each cost: of how many units, whose, and what."""
    for units in found.sizes:
        growths = [found.star[units], *filter(None, [found.mesh.get(units)])]
        for what, adding in ((f"{units}", False), (f"{units} + 1", True)):
            for growth in growths:
                cost = growth.adding if adding else growth.forming
                for app, side in cost.sides.items():
                    yield what, _name(app), side


def _name(app: str) -> str:
    return {
        counting.CONSUMER: "consumer",
        counting.DISTRIBUTOR: "distributor",
        counting.PEERS: "peer baseline",
    }[app]


def _tools(found: targets.Found) -> list[str]:
    sides = list(_costs(found))
    names = sorted({name for _, _, side in sides for name in side.tools})
    intro = (
        "What ops and the charm call, and what they are told. Bytes of `relation-list` and of "
        "`goal-state` are no databag's: ops asks for the first in each hook, whatever the hook is "
        "about, so the units' names go over the wire once for each hook of the distributor."
    )
    rows = [
        (
            what,
            who,
            _number(side.tools.total()),
            *(_number(side.tools[name]) for name in names),
            *(_number(side.bytes[each]) for each in _BYTES),
        )
        for what, who, side in sides
    ]
    head = ["n", "units of", "calls in all", *(f"`{name}`" for name in names), *_BYTES.values()]
    return ["", intro, *table(head, rows)]


def _kinds(found: targets.Found) -> list[str]:
    sides = list(_costs(found))
    kinds = sorted({kind for _, _, side in sides for kind in side.hooks}, key=_kind_key)
    lines = [""]
    for who in dict.fromkeys(who for _, who, _ in sides):
        mine = [(what, side) for what, whose, side in sides if whose == who]
        present = [kind for kind in kinds if any(side.hooks[kind] for _, side in mine)]
        lines += [f"Of the {who}:", ""]
        lines += table(
            ["n", *present],
            [(what, *(_number(side.hooks[kind]) for kind in present)) for what, side in mine],
        )
    return lines


def _kind_key(kind: str) -> tuple[bool, str]:
    return kind.startswith(("peer", "relation", "application")), kind


def _commands(found: targets.Found) -> list[str]:
    names = ("bootstrap", "add", "join", "list", "remove")
    rows = [
        (what, who, *(_number(side.commands[name]) for name in names))
        for what, who, side in _costs(found)
        if who != "distributor"
    ]
    return table(["n", "units of", *(f"`{name}`" for name in names)], rows)


def _path(found: targets.Found) -> list[str]:
    if 3 not in found.star:
        return []
    cost = found.star[3].forming
    rows: list[Sequence[object]] = []
    sums = [0.0] * 4
    for step in cost.path:
        words = ", ".join(name for name, _ in step.commands)
        form = sum(s for name, s in step.commands if name in ("bootstrap", "join"))
        ask = sum(s for name, s in step.commands if name not in ("bootstrap", "join"))
        parts = [timed.DISPATCH, timed.TOOL * step.tools, ask, form]
        sums = [one + other for one, other in zip(sums, parts, strict=True)]
        cells = [f"{part:.3f}" if part else "" for part in parts]
        unit = f"{_name(step.unit.partition('/')[0])}/{step.unit.partition('/')[2]}"
        rows.append((f"{step.start:.3f}", unit, step.hook, *cells, words))
    total = [f"{part:.3f}" for part in sums]
    rows.append((f"{cost.formed:.3f}", "", "all units are members", *total, ""))
    head = [
        "s",
        "unit",
        "hook",
        "dispatch",
        "tools",
        "`list`, `add`",
        "`bootstrap`, `join`",
        "ran",
    ]
    intro = (
        "Each hook begins when the one before it has ended: it waited for what that one wrote, or "
        "for its machine. Nothing else is waited for."
    )
    return ["## The critical path of three units", "", intro, *table(head, rows)]


def _bound() -> list[str]:
    lines = ["", "Forming, with `n` units of the consumer and `d` of the distributor:", ""]
    lines += _bound_table(bound.forming(3), 3)
    lines += ["Adding one unit:", ""]
    return [*lines, *_bound_table(bound.adding(3), 3)]


def _bound_table(rows: Sequence[bound.Row], units: int) -> list[str]:
    cells: list[Sequence[object]] = [
        (row.side, row.hooks, row.formula, row.number) for row in rows
    ]
    cells.append(("", "in all", "", bound.total(list(rows))))
    return table(["side", "hooks", "how many", f"n = {units}, d = 1"], cells)


def timed_part() -> str:
    """Time what is timed, and give that part of the page."""
    lines = [TIMED, "", f"On {wall.machine()}.", ""]
    if (reason := wall.lxd.available()) is not None:
        lines += [f"Not run on LXD daemons: {reason}.", ""]
    else:
        lines += [
            f"Real LXD daemons (LXD {wall.lxd_version()}) on that one machine, which run already; "
            "hooks run one after the other, on the model of Juju. From the start of the first "
            "hook to the end of that in which the last unit joined:",
            "",
        ]
        rows: list[Sequence[object]] = []
        for units in wall.SIZES:
            runs = sorted(wall.form(units) for _ in range(wall.RUNS))
            rows.append((units, *(f"{seconds:.2f}" for seconds in runs)))
        lines += table(["units", *_ORDER], rows)
    lines += [
        "The start of a hook, in the processor's time, as the machine may have other work to do: "
        "the median and the distance between the quartiles of several runs. The dispatches are of "
        "`update-status`, without a relation, with hook tools that are shell scripts.",
        "",
    ]
    lines += table(
        ["what", "median, ms of the processor's time", "quartiles apart, ms"],
        [
            (each.what, f"{1000 * each.median:.1f}", f"{1000 * each.spread:.1f}")
            for each in (*wall.imports(), *wall.dispatches())
        ],
    )
    return "\n".join(lines)


_ORDER = ("fastest, s", "median, s", "slowest, s")


def kept_part(path: pathlib.Path, reason: str) -> str:
    """Give the part that is timed as an earlier run left it.

    Args:
        path: the page.
        reason: why it is not timed now.
    """
    if path.exists():
        _, heading, rest = path.read_text().partition(TIMED)
        if heading:
            return heading + rest
    return f"{TIMED}\n\nNot run: {reason}.\n"
