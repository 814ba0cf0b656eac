"""What a story asks of a cloud: the deeds of operators and fate, and what can be seen after them.

A story is told once, against this protocol, and runs wherever it can be expressed: on the
in-memory model of Juju with a fake microcluster, on the same model with real LXD daemons.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DISTRIBUTOR = "microcluster-token-distributor"
"""The distributor's charm, and its application."""
CONSUMER = "lxd-cluster"
"""A charm that forms a microcluster with this project's library, and its application."""
EARLIER_DISTRIBUTOR = "earlier-distributor"
"""A distributor that speaks only the old keys."""
EARLIER_CONSUMER = "earlier-consumer"
"""A charm that forms a microcluster, and speaks only the old keys."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One member, as the cluster itself lists it.

    Attributes:
        name: its host name.
        role: `voter`, `stand-by`, `spare` or `PENDING`.
        online: whether the cluster reaches it.
    """

    name: str
    role: str
    online: bool


class Cloud(Protocol):
    """A model with applications, on machines that can die."""

    def deploy(self, charm: str, application: str = "", *, units: int = 1) -> str:
        """Deploy one of the charms named in this module; returns the application's name."""
        ...

    def integrate(self, one: str, two: str) -> None:
        """Integrate two applications."""
        ...

    def remove_relation(self, one: str, two: str) -> None:
        """Remove the relation between two applications."""
        ...

    def add_unit(self, application: str, *, hostname: str | None = None) -> str:
        """Add a unit, on a machine of its own; returns the unit."""
        ...

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        """Remove a unit; by force if its machine does not answer."""
        ...

    def remove_application(self, application: str) -> None:
        """Remove an application with all its units."""
        ...

    def refresh(self, application: str, charm: str) -> None:
        """Put another charm in an application's place."""
        ...

    def kill_machine(self, unit: str) -> None:
        """Let the machine of a unit die, with all that runs on it. Its disk survives."""
        ...

    def start_machine(self, unit: str) -> None:
        """Start a machine that died."""
        ...

    def units(self, application: str) -> list[str]:
        """Name the units of an application, in order."""
        ...

    def leader(self, application: str) -> str | None:
        """Name the unit that leads an application."""
        ...

    def hostname(self, unit: str) -> str:
        """Return the host name of a unit's machine."""
        ...

    def bag(self, owner: str) -> Mapping[str, str]:
        """Return the databag of a unit or an application in its relation with the other side."""
        ...

    def status(self, unit: str) -> tuple[str, str]:
        """Return a unit's status and its message."""
        ...

    def members(self, unit: str) -> list[Member]:
        """Return the members of the cluster, as its command on a unit's machine lists them.

        The list is empty where that machine is no member.
        """
        ...

    def settle(self) -> None:
        """Let everything happen that can happen now."""
        ...

    def eventually(self, what: str, seen: Callable[[], bool]) -> None:
        """Let time pass, with its update-status hooks, until something is seen.

        Args:
            what: what is waited for, in words.
            seen: tells whether it is there.

        Raises:
            AssertionError: it is not seen in a time that is enough for it.
        """
        ...
