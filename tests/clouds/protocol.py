"""What a story asks of a cloud: the deeds of operators and fate, and what can be seen after them.

A story is told once, against this protocol, and runs wherever it can be expressed: on the
in-memory model of Juju with a fake microcluster, on the same model with real LXD daemons, on a
real Juju with a real microcluster.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator, Mapping

DISTRIBUTOR = "microcluster-token-distributor"
"""The distributor's charm, and its application."""
CONSUMER = "lxd-cluster"
"""A charm that forms a microcluster with this project's library, and its application."""
EARLIER_DISTRIBUTOR = "earlier-distributor"
"""A distributor that speaks only the old keys."""
EARLIER_CONSUMER = "earlier-consumer"
"""A charm that forms a microcluster, and speaks only the old keys."""


class Trait(enum.Enum):
    """What not every cloud can do, or does. A story names what it needs, and is skipped elsewhere.

    The values complete the sentence "this cloud ...".
    """

    CHOOSES_HOST_NAMES = "gives a new machine the host name that is asked for"
    EARLIER_CHARMS = "has the charms that speak only the old keys"
    FAULTS = "makes single commands and hooks go wrong: it has the powers of `Faults`"
    FORCE_DEPARTS = "tells the other side of a unit that was removed by force"
    FORCE_IS_SILENT = "tells nobody of a unit that was removed by force"
    PENDING_AT_FIRST = (
        "leaves members without a role for a while, and lets none of them go till then"
    )
    SAYS_WHAT_FOR = "shows in a waiting consumer's status what the library says it waits for"
    STAYS_PENDING = "can keep a member from ever getting a role"


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
        """Read what `list -f json` printed, and give the members by name.

        Raises:
            json.JSONDecodeError: it is no JSON.
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
    def traits(self) -> frozenset[Trait]:
        """What it can do, and does, that others may not."""
        ...

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        """Deploy one of the charms named in this module; returns the application's name."""
        ...

    def deploy_bundle(self, template: pathlib.Path) -> None:
        """Deploy a bundle.

        Args:
            template: as `tests.clouds.bundle` renders it. Its words are `consumer`, `distributor`,
                the `channel` and `constraints` of each (`consumer_channel`), and `base`.
        """
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
        """Return the members of the cluster, as its command on a unit's machine lists them.

        The list is empty where that machine is no member.
        """
        ...

    def settle(self) -> None:
        """Let everything happen that can happen now."""
        ...

    def wait(self, rounds: int = 1) -> None:
        """Let time pass: so many rounds of update-status on all units, and what comes of them."""
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

    def evidence(self) -> Iterator[tuple[str, str]]:
        """Gather what a person needs who has to find out what went wrong.

        Yields:
            A file's name and its text, without tokens.
        """
        ...


@runtime_checkable
class Faults(Protocol):
    """Powers over the moment, which only a cloud on this machine has; see `Trait.FAULTS`.

    Each of them strikes once unless told otherwise, on the first unit to which it applies. Where
    an argument `unit` is asked for, an application stands for any of its units. A `command` is
    the cluster's: `bootstrap`, `add`, `join`, `list` or `remove`.
    """

    def upon(
        self, deed: Callable[[], None], *, unit: str, command: str = "", wrote: str = ""
    ) -> None:
        """Let something happen in the middle of a hook, right after another thing has happened.

        Args:
            deed: what is to happen.
            unit: on which unit the other thing has to happen.
            command: it has run this command, whatever the outcome.
            wrote: or its hook has written this key to a databag, and everybody can see it. A key
                that ends in a hyphen stands for all that begin so.
        """
        ...

    def hang(self, command: str, *, unit: str, times: int = 1, in_effect: bool = False) -> None:
        """Let a command run into its time limit.

        Args:
            command: the command.
            unit: on which unit.
            times: how often.
            in_effect: it has done its work nevertheless; otherwise it does nothing at all.
        """
        ...

    def kill_agent(self, *, unit: str, after: str, times: int = 1, at_once: bool = False) -> None:
        """Let a unit's agent die in mid-hook, after a command.

        What the hook wrote is lost, and it is tried again.

        Args:
            unit: the unit.
            after: the command.
            times: how often.
            at_once: before the charm has learnt how the command ended; otherwise before whatever
                it does next.
        """
        ...

    def pause_agent(self, unit: str) -> None:
        """Let a unit's agent run no further hook, as if it were slow; its machine works on."""
        ...

    def resume_agent(self, unit: str) -> None:
        """Let a paused agent go on, with what it had read before."""
        ...

    def expire_tokens(self) -> None:
        """Let all join tokens that were not used yet reach the end of their life."""
        ...

    def make_leader(self, unit: str) -> None:
        """Let a unit lead its application."""
        ...

    def keep_pending(self, unit: str) -> None:
        """Keep a unit, which is no member yet, from ever getting a role in the cluster.

        Only where there is `Trait.STAYS_PENDING`.
        """
        ...
