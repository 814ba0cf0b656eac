"""What a story asks of a cloud: the deeds of operators and fate, and what can be seen after them.

A story is told once, against this protocol, and runs wherever it can be expressed: on the
in-memory model of Juju with a fake microcluster, on the same model with real LXD daemons, on a
real Juju with a real microcluster.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
"""A consumer whose charm says that newcomers may join while a member is down."""
FORCEFUL_CONSUMER = "forceful-consumer"
"""A consumer whose charm has its units leave by `remove NAME --force`."""


class Trait(enum.Enum):
    """What not every cloud can do, or does. A story names what it needs, and is skipped elsewhere.

    The values complete the sentence "this cloud ...".
    """

    CHOOSES_HOST_NAMES = "gives a new machine the host name that is asked for"
    EARLIER_CHARMS = "has the charms that speak only the old keys"
    FAULTS = "makes single commands and hooks go wrong: it has the powers of `Faults`"
    FIELD = "has the machines, daemons and operators of the field: it has the powers of `Field`"
    FORCE_DEPARTS = "tells the other side of a unit that was removed by force"
    FORCE_IS_SILENT = "tells nobody of a unit that was removed by force"
    HARMED_BY_DEGRADED_JOINS = (
        "has a microcluster that a join while a member is down can cost the quorum"
    )
    JOINS_WHILE_DEGRADED = "has a microcluster that newcomers can join while a member is down"
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


class Ran(NamedTuple):
    """A command of the cluster that ran on a unit's machine.

    Attributes:
        words: what follows the program's own words, a token cut out.
        code: its exit code; None if nobody was there to see it.
    """

    words: tuple[str, ...]
    code: int | None


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


@runtime_checkable
class Field(Protocol):
    """What machines, daemons and operators do in the field; see `Trait.FIELD`."""

    # Machines and their daemons.

    def rename_machine(self, unit: str, hostname: str) -> None:
        """Give a unit's machine another host name."""
        ...

    def allow_same_names(self) -> None:
        """Let a new machine have the host name of another."""
        ...

    def drop_packets(self, unit: str, *, drops: bool = True) -> None:
        """Let a unit's machine, up or down, answer nothing, instead of refusing connections."""
        ...

    def stop_agent(self, unit: str) -> None:
        """Let the agent of a unit's machine die, and not the machine: its daemon goes on."""
        ...

    def break_hooks(self, unit: str) -> None:
        """Let each hook of a unit fail from now on, so that its agent is in error."""
        ...

    def refresh_daemon(self, unit: str) -> None:
        """Bring the daemon of a unit's machine to the next version of its database's schema."""
        ...

    def answer(
        self, command: str, *, unit: str, errors: Sequence[str], seconds: float = 0.02
    ) -> None:
        """Let a command fail in a unit's next hooks, without any effect.

        Args:
            command: the command.
            unit: the unit.
            errors: what the command says, one after the other; then it works again. They take the
                place of those that were ordered before.
            seconds: how long each of them takes.
        """
        ...

    def spoil_joins(self, unit: str, *, spoils: bool = True) -> None:
        """Let each join of a unit fail, and use up its token."""
        ...

    def refuse_removals(self, needed: int) -> None:
        """Let the workload refuse a removal without force that leaves fewer members than needed.

        Args:
            needed: the number of members.
        """
        ...

    # Operators, and Juju.

    def leave_by_hand(self, unit: str) -> None:
        """Remove a unit's machine from the cluster by its own command, though a member is down.

        Only where there is `Trait.JOINS_WHILE_DEGRADED`, and with four members or more.
        """
        ...

    def add_unprovisioned_unit(self, application: str) -> str:
        """Add a unit whose machine does not come until it is provisioned; returns the unit."""
        ...

    def provision(self, unit: str) -> None:
        """Let the machine of such a unit come."""
        ...

    def consume(self, application: str, offered: str, *, alias: str, url: str = "") -> None:
        """Integrate an application with one that another model offers.

        Args:
            application: the one that consumes the offer.
            offered: the one that is offered.
            alias: the name under which it is consumed.
            url: the offer's URL, which may have a slash in it.
        """
        ...

    def suspend(self, application: str) -> None:
        """Suspend the relation of an application across models."""
        ...

    def resume(self, application: str) -> None:
        """Resume it."""
        ...

    def remove_application_in_part(self, application: str) -> None:
        """Remove an application whose relations linger on the other side, without units."""
        ...

    def leave_unnamed(self, unit: str) -> None:
        """Keep a unit out of `goal-state`, as Juju does with some subordinates."""
        ...

    def refuse_bag(self, unit: str) -> None:
        """Let a unit's databags be refused ("permission denied") once it has departed."""
        ...

    # What can be seen.

    def commands(self, unit: str, command: str) -> list[Ran]:
        """Return the runs of one of the cluster's commands on a unit's machine, in order."""
        ...

    def failed_hooks(self, unit: str) -> list[str]:
        """Name the hooks of a unit that failed."""
        ...

    def log(self, unit: str) -> str:
        """Return what a unit's charm has logged."""
        ...
