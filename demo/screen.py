"""What a demonstration shows: lines as things happen, and on a terminal a live table below them.

The lines stay: the table is drawn anew beneath each of them, and is gone at the end, so that a
viewer can scroll back and read what happened. Without a terminal there are the lines alone.
"""

from __future__ import annotations

import dataclasses
import textwrap
import time
from typing import TYPE_CHECKING

import rich.console
import rich.live
import rich.text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_COLOURS = {
    "active": "green",
    "waiting": "yellow",
    "maintenance": "yellow",
    "blocked": "red",
    "error": "red",
    "unknown": "red",
}
_GAP = "  "
# Columns; on a terminal that is narrower still, a table looks bad whatever is done.
_LEAST_MESSAGE = 16


@dataclasses.dataclass(frozen=True)
class Row:
    """One unit.

    Attributes:
        unit: its name, with Juju's star if it leads.
        machine: its host name.
        member: what it is in the cluster, or nothing.
        status: its status.
        message: what its status says.
    """

    unit: str
    machine: str
    member: str
    status: str
    message: str


_TITLES = Row("Unit", "Machine", "Cluster", "Status", "Message")


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
        self._live = (
            rich.live.Live(
                console=console,
                get_renderable=self._below,
                refresh_per_second=5,
                # A table that was cut off at the terminal's last line would stay there for good.
                transient=True,
            )
            if live
            else None
        )

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self._started

    def heading(self, text: str) -> None:
        """Announce a part of the scenario."""
        self._print(rich.text.Text(f"\n== {text}", style="bold"))

    def happened(self, text: str) -> None:
        """Tell what has just happened."""
        self._print(rich.text.Text(f"{self.seconds:6.1f} s{_GAP}{text}"))

    def say(self, text: str) -> None:
        """Show a line."""
        self._print(rich.text.Text(text))

    def units(self, rows: Sequence[Row]) -> None:
        """Show the units as they are now, where they can be drawn over later."""
        self._rows = tuple(rows)

    def table(self, rows: Sequence[Row]) -> None:
        """Show the units for good."""
        for line in _table(rows, self._console.width if self._live else None):
            self._print(line)

    def _print(self, text: rich.text.Text) -> None:
        # Elsewhere than on a terminal a line stays one line, so that it can be searched.
        self._console.print(text, soft_wrap=self._live is None)

    def _below(self) -> rich.console.RenderableType:
        """Draw the table, so that a narrow terminal cuts off the end of a message, not a name."""
        lines = _table(self._rows) if self._rows else []
        clock = rich.text.Text(f"{self.seconds:6.1f} s", style="dim")
        lines = [rich.text.Text(), *lines, clock]
        for line in lines:
            line.no_wrap = True
            line.overflow = "ellipsis"
        return rich.console.Group(*lines)


def _table(rows: Sequence[Row], width: int | None = None) -> list[rich.text.Text]:
    """Lay out rows under their titles, each column as wide as its widest text.

    Args:
        rows: the rows.
        width: at which a message, in the last column, goes on in another line; None for never.
    """
    cells = [dataclasses.astuple(row) for row in (_TITLES, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    before = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    room = widths[-1] if width is None else max(width - before, _LEAST_MESSAGE)
    lines: list[rich.text.Text] = []
    for number, (*row, message) in enumerate(cells):
        line = rich.text.Text(style="bold" if number == 0 else "")
        for text, column in zip(row, widths[:-1], strict=True):
            line.append(text, _COLOURS.get(text, ""))
            line.append(" " * (column - len(text)) + _GAP)
        first, *others = textwrap.wrap(message, room) or [""]
        line.append(first)
        line.rstrip()
        lines.append(line)
        lines.extend(rich.text.Text(" " * before + other) for other in others)
    return lines
