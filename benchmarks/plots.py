"""Pictures of how the cost grows, as SVG that is the same each time."""

# matplotlib leaves what its methods pass on to others without types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
from matplotlib import figure, ticker

from benchmarks import bound, targets

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping, Sequence

    from matplotlib import axes

BLUE, ORANGE, GREY = "#1f5fa8", "#d1640a", "#6b6b6b"

_STYLE: dict[str, Any] = {
    "svg.hashsalt": "benchmark",
    "figure.figsize": (7.2, 4.6),
    "figure.facecolor": "white",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9a9a9a",
    "axes.titlelocation": "left",
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 12,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "legend.fontsize": 10,
}


@dataclasses.dataclass(frozen=True)
class _Line:
    """A line of a picture.

    Attributes:
        label: what it shows, the exponent left out.
        costs: by the number of units.
        colour: its colour.
        marker: how a number that was counted is marked; empty for a line alone.
        fitted: whether a fitted line goes through, with its exponent in the legend.
        beyond: costs that were not counted but extrapolated.
    """

    label: str
    costs: Mapping[int, float]
    colour: str
    marker: str = "o"
    fitted: bool = True
    beyond: Mapping[int, float] = dataclasses.field(default_factory=dict[int, float])


def draw(found: targets.Found, folder: pathlib.Path) -> None:
    """Draw all pictures.

    Args:
        found: what was counted.
        folder: where the files go.
    """
    sizes = found.sizes
    beyond = {n: each[0] for n in sizes if (each := found.baseline(n)) and each[1]}
    bounds = {n: float(bound.total(bound.forming(n))) for n in sizes if n > 1}
    pictures = {
        "benchmark-hooks.svg": (
            "Hooks until a cluster has formed",
            "hooks, in the whole model",
            [
                _Line("over a peer relation", found.mesh_hooks(), ORANGE, "s", beyond=beyond),
                _Line("through the distributor", found.hooks(), BLUE),
                _Line("what Juju has to run at the least", bounds, GREY, "", fitted=False),
            ],
        ),
        "benchmark-distributor.svg": (
            "What the distributor reads until a cluster has formed",
            "calls, or bytes",
            [
                _Line("bytes of databags", found.bytes_read(), ORANGE, "s"),
                _Line("calls of hook tools", found.tool_calls(), BLUE),
            ],
        ),
    }
    for name, (title, unit, lines) in pictures.items():
        with mpl.rc_context(cast("Any", _STYLE)):
            _picture(folder / name, title, unit, lines, sizes)


def _picture(
    path: pathlib.Path, title: str, unit: str, lines: Sequence[_Line], sizes: Sequence[int]
) -> None:
    picture = figure.Figure(layout="constrained")
    plane = picture.subplots()
    plane.set_xscale("log")
    plane.set_yscale("log")
    for line in lines:
        _draw_line(plane, line)
    plane.set_title(title)
    plane.set_xlabel("units, all started together")
    plane.set_ylabel(unit)
    plane.set_xticks(sizes, [_thousands(size, 0) for size in sizes])
    plane.xaxis.set_minor_locator(ticker.NullLocator())
    plane.yaxis.set_minor_locator(ticker.NullLocator())
    plane.yaxis.set_major_formatter(ticker.FuncFormatter(_thousands))
    plane.grid(visible=True)
    plane.legend(loc="upper left")
    picture.savefig(path, metadata={"Date": None, "Creator": None})
    # A line of a file in Git does not end in spaces.
    text = "".join(f"{row.rstrip()}\n" for row in path.read_text().splitlines())
    path.write_text(text)


def _draw_line(plane: axes.Axes, line: _Line) -> None:
    law = targets.fit(line.costs) if line.fitted else None
    sizes = list(line.costs)
    costs = list(line.costs.values())
    if not line.marker:
        plane.plot(sizes, costs, "--", color=line.colour, linewidth=1.4, label=line.label)
        return
    label = line.label if law is None else f"{line.label}: $n^{{{law.exponent:.2f}}}$"
    if law is not None and line.beyond:
        label += " (dotted: extrapolated)"
    plane.plot(sizes, costs, line.marker, color=line.colour, markersize=6.5, label=label)
    if law is None:
        return
    fitted = [size for size in sizes if size >= targets.FITTED_FROM]
    plane.plot(fitted, [law.at(size) for size in fitted], color=line.colour, linewidth=1.6)
    if line.beyond:
        further = {sizes[-1]: costs[-1], **line.beyond}
        plane.plot(list(further), list(further.values()), ":", color=line.colour)


def _thousands(value: float, _: int) -> str:
    return f"{value:,.0f}".replace(",", " ")
