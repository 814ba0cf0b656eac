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
    from collections.abc import Callable, Mapping

# Charms, the first two of which are names of their applications, too: a consumer's units form a
# microcluster. Earlier ones speak only the old keys.
DISTRIBUTOR = "microcluster-token-distributor"
CONSUMER = "lxd-cluster"
EARLIER_DISTRIBUTOR = "earlier-distributor"
EARLIER_CONSUMER = "earlier-consumer"
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
    JOINS_WHILE_DEGRADED = "have a microcluster that newcomers can join while a member is down"
    STATUS_NAMES_CAUSE = "show in a waiting consumer's status what the library waits for"


@dataclasses.dataclass(frozen=True)
class Member:
    """One member, as the cluster itself lists it.

    Its role is `voter`, `stand-by`, `spare` or `PENDING`.
    """

    name: str
    role: str
    online: bool

    @classmethod
    def all_in(cls, text: str) -> list[Member]:
        """Read the output of `list -f json`, sorted by name."""
        rows = cast("list[dict[str, str]]", json.loads(text))
        members = [cls(row["name"], row["role"], row["status"] == "ONLINE") for row in rows]
        return sorted(members, key=lambda member: member.name)


class Cloud(Protocol):
    """A model with applications, on machines that can die."""

    # `name` is what it is made of, in a few words; `capabilities` what others may not have.

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[Capability]: ...

    # Operations. `deploy` takes one of the charms that this module names, and returns the
    # application; `add_unit` returns the unit, on a machine of its own. A machine is killed with
    # all that runs on it, and its disk survives.

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str: ...
    def integrate(self, one: str, two: str, /) -> object: ...
    def remove_relation(self, one: str, two: str, /) -> None: ...
    def add_unit(self, application: str, /, *, hostname: str | None = None) -> str: ...
    def remove_unit(self, unit: str, *, force: bool = False) -> None: ...
    def remove_application(self, application: str, /) -> None: ...
    def refresh(self, application: str, charm_name: str) -> None: ...
    def kill_machine(self, unit: str) -> None: ...
    def start_machine(self, unit: str) -> None: ...

    # Observations. `units` is in the order of their numbers. `bag` is the databag of a unit or an
    # application, its owner, in its relation with the application at the other side, which is
    # named where there are several. `status` is the status and its message. `members` are those
    # that the cluster's command on a unit's machine lists, nobody if it is not a member.

    def units(self, application: str) -> list[str]: ...
    def leader(self, application: str, /) -> str | None: ...
    def hostname(self, unit: str) -> str: ...
    def bag(self, owner: str, other: str = "") -> Mapping[str, str]: ...
    def status(self, unit: str) -> tuple[str, str]: ...
    def members(self, unit: str) -> list[Member]: ...

    # Time. `settle` runs all hooks that are due, and those that follow from them; `wait` so many
    # update-status hooks on each unit besides.

    def settle(self) -> None: ...
    def wait(self, rounds: int = 1) -> None: ...
    def eventually(self, what: str, observed: Callable[[], bool]) -> None:
        """Let time pass, with its update-status hooks, until what is expected is observed.

        Raises:
            AssertionError: it does not come in a time that is enough for it.
        """
        ...
