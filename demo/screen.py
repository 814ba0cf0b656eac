"""What a demonstration shows: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import TYPE_CHECKING

import rich.console
import rich.live
import rich.table
import rich.text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_FEED_LENGTH = 12
_COLOURS = {"active": "green", "waiting": "yellow", "blocked": "red", "unknown": "red"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One unit.

    Attributes:
        unit: its name, with Juju's star if it leads.
        machine: its host name.
        status: its status.
        message: what its status says.
        member: its role in the cluster, or nothing.
    """

    unit: str
    machine: str
    status: str
    message: str
    member: str


class Screen:
    """Shows headings, what happens, and the units.

    Args:
        console: where to.
    """

    def __init__(self, console: rich.console.Console):
        self._console = console
        self._started = time.monotonic()
        self._feed: collections.deque[str] = collections.deque(maxlen=_FEED_LENGTH)
        self._rows: Sequence[Row] = ()
        self._live = (
            rich.live.Live(console=console, refresh_per_second=8) if console.is_terminal else None
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

    def heading(self, text: str) -> None:
        """Announce a part of the story."""
        self._print(rich.text.Text(f"\n== {text}", style="bold"))

    def happened(self, text: str) -> None:
        """Tell what has just happened."""
        line = f"{time.monotonic() - self._started:6.1f} s  {text}"
        if self._live:
            self._feed.append(line)
            self._refresh()
        else:
            self._print(rich.text.Text(line))

    def units(self, rows: Sequence[Row]) -> None:
        """Show the units as they are now; elsewhere than on a terminal they are not shown."""
        self._rows = rows
        self._refresh()

    def table(self, rows: Sequence[Row]) -> None:
        """Show the units for good."""
        self._console.print(_table(rows))

    def say(self, text: str) -> None:
        """Show a line for good."""
        self._print(rich.text.Text(text))

    def _print(self, text: rich.text.Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _refresh(self) -> None:
        if self._live:
            feed = rich.text.Text("\n".join(self._feed), style="dim")
            self._live.update(rich.console.Group(_table(self._rows), feed))


def _table(rows: Sequence[Row]) -> rich.table.Table:
    table = rich.table.Table(box=None, pad_edge=False)
    for title in ("Unit", "Machine", "Status", "Message", "In the cluster as"):
        table.add_column(title)
    for row in rows:
        status = rich.text.Text(row.status, style=_COLOURS.get(row.status, ""))
        table.add_row(row.unit, row.machine, status, row.message, row.member)
    return table
