"""The output: lines as things happen, and on a terminal a live table of the units below them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import rich.console
import rich.live
import rich.table
import rich.text

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[str, str, str, str, str]
"""A unit, with a star if it leads; its host name; its role in the cluster; status; message."""

UNLIMITED = 1000
"""The width of what is not a terminal: there a line stays one line, and can be searched."""

_TITLES: Row = ("Unit", "Machine", "Cluster", "Status", "Message")
_COLOURS = {
    "active": "green",
    "waiting": "yellow",
    "maintenance": "yellow",
    "blocked": "red",
    "error": "red",
    "unknown": "red",
}


class Screen:
    """Shows headings, what happens, and the units.

    Args:
        console: where to.
        live: whether it is a terminal, on which a table can be drawn over and over.
    """

    def __init__(self, console: rich.console.Console, *, live: bool):
        self._console = console
        self._started = time.monotonic()
        self._rows: Sequence[Row] = ()
        self._live: rich.live.Live | None = None
        if live:
            # Transient: a table that the terminal's last line cuts off would stay there.
            self._live = rich.live.Live(
                console=console, get_renderable=self._below, refresh_per_second=5, transient=True
            )

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self._started

    def heading(self, text: str) -> None:
        """Announce a part of the scenario."""
        self._console.print(rich.text.Text(f"\n== {text}", style="bold"))

    def happened(self, text: str) -> None:
        """Show an event, with its time."""
        self.say(f"{self.seconds:6.1f} s  {text}")

    def say(self, text: str) -> None:
        """Show a line."""
        self._console.print(rich.text.Text(text))

    def units(self, rows: Sequence[Row]) -> None:
        """Show the units as they are now, below the lines."""
        self._rows = rows

    def table(self, rows: Sequence[Row]) -> None:
        """Show the units as a part of the lines."""
        self._console.print(_table(rows))

    def _below(self) -> rich.console.RenderableType:
        clock = rich.text.Text(f"{self.seconds:6.1f} s", style="dim")
        return rich.console.Group("", _table(self._rows), clock)


def _table(rows: Sequence[Row]) -> rich.table.Table:
    """Lay out rows under their titles; on a narrow terminal the message wraps."""
    table = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in _TITLES:
        table.add_column(title, no_wrap=title != "Message")
    for row in rows:
        table.add_row(*(rich.text.Text(cell, _COLOURS.get(cell, "")) for cell in row))
    return table
