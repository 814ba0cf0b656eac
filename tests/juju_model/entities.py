"""What the model holds, and what each unit has seen of it.

Plain data; the rules are in `resolver` and `juju`. The names are Juju's: a unit *enters the scope*
of a relation and is from then on a *member* to the units on the other side, once their joined
hook has run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ops.testing

    from tests.juju_model import charms, hooks
    from tests.microclusters import protocol


@dataclasses.dataclass(frozen=True)
class Status:
    """A status as `juju status` shows it."""

    name: str = "unknown"
    message: str = ""


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """Where releases of Juju differ; the defaults are those of 4.0, as measured on 4.0.15."""

    juju_version: str = "4.0.15"
    # A value that changes and changes back between two looks of a unit is an event.
    change_back_is_event: bool = False
    # The other units see a unit depart while it still works, rather than after its broken hook.
    departs_before_broken: bool = False
    # A removed unit departs from its peers (juju#23326).
    peers_depart: bool = False
    # A unit that was removed by force departs from the others at once, rather than when their
    # agents restart (not measured on 3.6).
    force_departs: bool = False
    # `goal-state` calls a unit whose agent is lost `unknown`, rather than by its last status.
    lost_is_unknown: bool = True


BEHAVIOURS = {
    "4.0": Behaviour(),
    # Read in Juju's source.
    "3.6": Behaviour("3.6.14", True, True, True, True, lost_is_unknown=False),
}


class Bag:
    """A databag, with the version by which units notice that it changed.

    The contents are never changed in place, so whoever read them may keep them. If `counted`,
    every change makes a new version; otherwise equal contents have equal versions.
    """

    def __init__(self, owner: str, *, counted: bool) -> None:
        self.owner = owner
        self.data: Mapping[str, str] = {}
        self.version = 0
        self._counted = counted

    def apply(self, changes: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
        """Change the bag; return key, old and new value of what did change."""
        changed = [
            (key, self.data.get(key), value or None)
            for key, value in changes.items()
            if self.data.get(key, "") != value
        ]
        if not changed:
            return []
        self.data = {key: value for key, value in {**self.data, **changes}.items() if value}
        if self._counted:
            self.version += 1
        else:
            self.version = hash(frozenset(self.data.items())) if self.data else 0
        return changed


@dataclasses.dataclass
class Side:
    """One application's end of a relation."""

    app: str
    endpoint: str
    # The units in scope, each with what it has seen; in the order of entering.
    scope: dict[str, Local] = dataclasses.field(default_factory=dict[str, "Local"])
    # The name by which the other side, in another model, knows the application.
    alias: str | None = None

    def shown(self, name: str) -> str:
        """Return the name by which the other side knows the application or a unit of it."""
        return (self.alias or self.app) + name.removeprefix(self.app)

    def real(self, shown: str) -> str:
        """Return the name of what the other side calls so."""
        app, slash, number = shown.partition("/")
        return f"{self.app}{slash}{number}" if app == self.alias else shown


@dataclasses.dataclass
class Relation:
    """A relation, or a peer relation, which has only one side."""

    id: int
    sides: tuple[Side, ...]
    # The applications' and the units' databags; those of units that left stay readable.
    bags: dict[str, Bag]
    dying: bool = False
    # Its offer is suspended, so that all units leave, but it stays.
    suspended: bool = False
    # The units that Juju's controller reports as members to the other side.
    present: set[str] = dataclasses.field(default_factory=set[str])

    @property
    def peer(self) -> bool:
        return len(self.sides) == 1

    @property
    def ends(self) -> bool:
        """Whether all units have to leave it."""
        return self.dying or self.suspended

    def side(self, app: str) -> Side:
        return next(side for side in self.sides if side.app == app)

    def other(self, app: str) -> Side:
        """Return the side that an application's units look at; for peers it is their own."""
        return self.sides[0] if self.peer or self.sides[1].app == app else self.sides[1]


@dataclasses.dataclass(eq=False)
class Local:
    """What one unit has seen of one relation."""

    unit: Unit
    relation: Relation
    endpoint: str
    remote: Side
    # The relation as `ops.testing` wants it, without data.
    stub: ops.testing.RelationBase
    created: bool = False
    # The units whose joined hook has run, with the version last seen of their data.
    members: dict[str, int] = dataclasses.field(default_factory=dict[str, int])
    # The unit that has just joined, so that its changed hook must come next.
    owed: str | None = None
    # The version last seen of the other application's databag.
    app_seen: int = 0
    # The units of which something may have changed since.
    dirty: set[str] = dataclasses.field(default_factory=set[str])
    # Members that are gone without a departed hook here.
    ghosts: set[str] = dataclasses.field(default_factory=set[str])
    # What was read of members since their last event.
    cache: dict[str, Mapping[str, str]] = dataclasses.field(
        default_factory=dict[str, Mapping[str, str]]
    )


class Failure(NamedTuple):
    """A hook that failed, and stops its unit until it succeeds."""

    due: hooks.Due
    attempts: int
    retry_at: float


@dataclasses.dataclass(eq=False)
class Machine:
    """A machine of the model, for one unit."""

    host: protocol.Machine
    # Whether it has come; until then its units wait, and no hook runs.
    provisioned: bool
    # Whether its host runs.
    powered: bool
    # Whether its agent answers, which takes a host that runs.
    up: bool
    # A hook runs on it.
    busy: bool = False

    @property
    def lost(self) -> bool:
        """Whether its agent does not answer any more."""
        return self.provisioned and not self.up


@dataclasses.dataclass(eq=False)
class Unit:
    """A unit, with what its agent has done and seen."""

    name: str
    number: int
    app: App
    machine: Machine
    charm: charms.Charm
    # Which refresh of the application it has followed.
    charm_seen: int
    # Its config-changed hook has run, since the last upgrade-charm if any.
    configured: bool = False
    # Which of its hooks have run; `begun` is the start of the first.
    begun: bool = False
    installed: bool = False
    started: bool = False
    stopped: bool = False
    dying: bool = False
    # Its machine was started again, so that another start hook is due.
    rebooted: bool = False
    # Its leader-elected hook has run since it was elected.
    leader_seen: bool = False
    # Until when it believes that it leads, whoever does.
    believes_until: float = 0.0
    update_status_due: bool = False
    # Its place among those that may have something to do.
    awake_at: int | None = None
    # What it has seen of each relation in whose scope it is, by relation id.
    relations: dict[int, Local] = dataclasses.field(default_factory=dict[int, Local])
    in_hook: bool = False
    error: Failure | None = None
    stored_states: frozenset[ops.testing.StoredState] = frozenset()
    deferred: tuple[ops.testing.DeferredEvent, ...] = ()
    # As its charm has set it, if it has, or Juju until then.
    status: Status = Status("waiting", "installing agent")
    status_set: bool = False

    @property
    def shown_status(self) -> Status:
        """Its status as Juju shows it, which is not always what its charm has set."""
        if self.machine.lost:
            return Status("unknown", "agent lost, see `juju debug-log`")
        if self.error is not None:
            return Status("error", f'hook failed: "{self.error.due.name}"')
        return self.status


@dataclasses.dataclass(eq=False)
class App:
    """An application."""

    name: str
    charm: charms.Charm
    # Makes the machine of a unit, given its host name.
    host_factory: Callable[[str], protocol.Machine]
    # Counts the refreshes.
    charm_version: int = 0
    units: dict[str, Unit] = dataclasses.field(default_factory=dict[str, Unit])
    relations: dict[int, Relation] = dataclasses.field(default_factory=dict[int, Relation])
    leader: Unit | None = None
    # When the lease ends, for its holder's machine is lost.
    lease_ends: float | None = None
    dying: bool = False

    def related(self, endpoint: str) -> Iterator[Relation]:
        """Yield the relations on one of its endpoints, in the order of their ids."""
        for relation in self.relations.values():
            if relation.side(self.name).endpoint == endpoint:
                yield relation
