"""Pictures of how the cost grows, as SVG that is the same each time."""

# matplotlib leaves what its methods pass on to others without types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
from matplotlib import figure

from benchmarks.charms import Contender

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    from benchmarks import counting

_STYLE: dict[str, Any] = {
    "svg.hashsalt": "benchmark",
    "figure.figsize": (7.2, 4.6),
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
}
_COLOURS = ("#1f5fa8", "#d1640a", "#6b6b6b")


def draw(growths: Mapping[Contender, Mapping[int, counting.Growth]], folder: pathlib.Path) -> None:
    """Draw both pictures into a folder."""
    hooks, calls = (
        {
            who.value: {
                units: getattr(growth.forming.bare, what) for units, growth in each.items()
            }
            for who, each in growths.items()
        }
        for what in ("hooks", "calls")
    )
    _draw(folder / "benchmark-hooks.svg", "Hooks until a cluster has formed", hooks)
    del calls[Contender.PEERS.value]
    ours = growths[Contender.OURS].items()
    calls["this project, the distributor alone"] = {n: each.distributor_calls for n, each in ours}
    _draw(folder / "benchmark-calls.svg", "Calls of hook tools until it has formed", calls)


def _draw(path: pathlib.Path, title: str, lines: Mapping[str, Mapping[int, float]]) -> None:
    with mpl.rc_context(cast("Any", _STYLE)):
        picture = figure.Figure(layout="constrained")
        plane = picture.subplots()
        for (label, line), colour in zip(lines.items(), _COLOURS, strict=True):
            plane.loglog(list(line), list(line.values()), "o-", color=colour, label=label)
        sizes = sorted({size for line in lines.values() for size in line})
        plane.set(title=title, xlabel="units, all deployed at once")
        plane.set_xticks(sizes, [str(size) for size in sizes])
        plane.minorticks_off()
        plane.legend(loc="upper left")
        picture.savefig(path, metadata={"Date": None, "Creator": None})
