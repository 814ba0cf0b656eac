"""What the worlds of the tests ask of a microcluster, be it a fake or made of real daemons.

A *microcluster* is a set of machines. Each machine runs one daemon and answers one command line,
`<command> bootstrap | add | join | list | remove`, as the real programs do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence


class Machine(Protocol):
    """One machine of a microcluster, with the daemon on it."""

    name: str
    address: str
    # The words before the sub-command, for example `["microovn", "cluster"]`.
    command: list[str]

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a whole command line as `subprocess.run` does, output captured as text."""
        ...

    def kill(self) -> None:
        """Let the machine die at once (for real daemons: `kill -9`). Its data survives."""

    def start(self) -> None:
        """Start a killed machine again, with its data."""

    def destroy(self) -> None:
        """Take the machine away with its data; it never comes back."""


class Microcluster(Protocol):
    """The machines among which clusters form."""

    def add_machine(self, name: str) -> Machine:
        """Bring up a fresh machine; a name can be used again once its machine was destroyed."""
        ...

    def expire_tokens(self) -> None:
        """Let all the join tokens issued so far and not yet used reach the end of their life."""

    def close(self) -> None:
        """Stop all that was started and remove what it left behind."""
