"""The operations that every cloud has, and what can be observed after them.

A cloud is a Juju with machines that run a microcluster: the in-memory model of Juju with a fake
microcluster, the same model with real LXD daemons, or a real Juju with a real microcluster.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Set

DISTRIBUTOR = "microcluster-token-distributor"
"""The distributor's charm, and its application."""
CONSUMER = "lxd-cluster"
"""A charm that forms a microcluster with this project's library, and its application."""
EARLIER_DISTRIBUTOR = "earlier-distributor"
"""A distributor that speaks only the old keys."""
EARLIER_CONSUMER = "earlier-consumer"
"""A charm that forms a microcluster, and speaks only the old keys."""
QUIET_CONSUMER = "quiet-consumer"
"""A consumer whose charm sets no status: Juju calls its units `unknown`."""
TOLERANT_CONSUMER = "tolerant-consumer"
"""A consumer whose charm declares that newcomers may join while a member is down."""
FORCEFUL_CONSUMER = "forceful-consumer"
"""A consumer whose charm has its units leave by `remove NAME --force`."""


class Capability(enum.Enum):
    """What only some clouds can do. A scenario lists what it requires in a marker.

    The values complete the sentence "this cloud does not ...".
    """

    CHOOSES_HOST_NAMES = "give a new machine the host name that is asked for"
    EARLIER_CHARMS = "have the charms that speak only the old keys"
    FAKE_MACHINES = "have fake machines, whose daemons, networks and names can be made to fail"
    FAULTS = "make a chosen command or hook fail"
    FORCE_DEPARTS = "tell the other side of a unit that was removed by force"
    JOINS_WHILE_DEGRADED = "have a microcluster that newcomers can join while a member is down"
    PENDING_MEMBERS = "leave members without a role for a while, or for good"
    STATUS_NAMES_CAUSE = "show in a waiting consumer's status what the library waits for"


def unsupported_reason(cloud: Cloud, required: Set[Capability]) -> str:
    """Return why a cloud cannot run a scenario; empty if it can."""
    missing = sorted(capability.value for capability in required - cloud.capabilities)
    return f"{cloud.name} does not {', nor '.join(missing)}" if missing else ""


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

    @classmethod
    def all_in(cls, text: str) -> list[Member]:
        """Read the output of `list -f json`, sorted by name.

        Raises:
            json.JSONDecodeError: it is not JSON.
        """
        rows = cast("list[dict[str, str]]", json.loads(text))
        members = [cls(row["name"], row["role"], row["status"] == "ONLINE") for row in rows]
        return sorted(members, key=lambda member: member.name)


class Cloud(Protocol):
    """A model with applications, on machines that can die."""

    @property
    def name(self) -> str:
        """What this cloud is made of, in a few words."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this cloud can do that others may not."""
        ...

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
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

    def refresh(self, application: str, charm_name: str) -> None:
        """Refresh an application to another charm."""
        ...

    def kill_machine(self, unit: str) -> None:
        """Stop a unit's machine at once, with all that runs on it. Its disk survives."""
        ...

    def start_machine(self, unit: str) -> None:
        """Start a machine that was stopped."""
        ...

    def units(self, application: str) -> list[str]:
        """Return the units of an application, in order."""
        ...

    def leader(self, application: str) -> str | None:
        """Return the unit that leads an application."""
        ...

    def hostname(self, unit: str) -> str:
        """Return the host name of a unit's machine."""
        ...

    def bag(self, owner: str, other: str = "") -> Mapping[str, str]:
        """Return the databag of a unit or an application in its relation with the other side.

        Args:
            owner: the unit or application whose databag it is.
            other: the application on the other side, where there are several.
        """
        ...

    def status(self, unit: str) -> tuple[str, str]:
        """Return a unit's status and its message."""
        ...

    def members(self, unit: str) -> list[Member]:
        """Return the members that the cluster's command on a unit's machine lists.

        The list is empty if that machine is not a member.
        """
        ...

    def settle(self) -> None:
        """Run all hooks that are due, and those that follow from them."""
        ...

    def wait(self, rounds: int = 1) -> None:
        """Let so many update-status hooks run on each unit, and what follows from them."""
        ...

    def eventually(self, what: str, observed: Callable[[], bool]) -> None:
        """Let time pass, with its update-status hooks, until something is observed.

        Args:
            what: what is expected, in words.
            observed: whether it is there.

        Raises:
            AssertionError: it does not come in a time that is enough for it.
        """
        ...
