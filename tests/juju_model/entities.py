"""What the model holds, and what each unit has seen of it.

Plain data; the rules are in `resolver` and `juju`. The names are Juju's: a unit *enters the scope*
of a relation and is from then on a *member* to the units on the other side, once their joined
hook has run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ops.testing

    from tests.juju_model import charms, hooks, hosts

_MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Status:
    """A status as `juju status` shows it.

    Attributes:
        name: `active`, `waiting` and so on.
        message: the text beside it.
    """

    name: str = "unknown"
    message: str = ""


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """Where releases of Juju differ, and in brackets how that is known.

    Attributes:
        juju_version: what the charm is told.
        change_back_is_event: a value that changes and changes back between two looks of a unit is
            an event (read in Juju's source).
        departs_before_broken: the other units hear of a leaving unit while it still works, rather
            than after its broken hook (read in Juju's source).
        peers_depart: a unit that was removed departs from its peers (juju#23326: not so in some
            4.x releases, measured on 4.0.15).
        force_departs: a unit that was removed by force departs from the others (that it does not:
            measured on 4.0.15; that it does on 3.6: not measured).
        restart_departs: a unit whose agent starts again gets the departed hooks that it missed;
            otherwise the members that are gone vanish without a hook (that they are gone then:
            measured on 4.0.15; which of the two: not measured).
        member_cache: a unit keeps what it has read of a member until that member's next event, so
            that it can read what is out of date (not measured).
        lost_is_unknown: `goal-state` calls a unit whose agent is lost `unknown` (measured on
            4.0.15); otherwise it gives the unit's last status (read in Juju's source).
        bag_limit: the bytes that fit into one databag (documented for 4.x; for 3.6 not measured).
    """

    juju_version: str = "4.0.15"
    change_back_is_event: bool = False
    departs_before_broken: bool = False
    peers_depart: bool = False
    force_departs: bool = False
    restart_departs: bool = True
    member_cache: bool = True
    lost_is_unknown: bool = True
    bag_limit: int = 16 * _MIB

    @classmethod
    def of(cls, version: str) -> Behaviour:
        """Give the behaviour of a release.

        Args:
            version: `4.0` (as measured on 4.0.15) or `3.6`.
        """
        if version == "4.0":
            return cls()
        if version == "3.6":
            return cls(
                juju_version="3.6.14",
                change_back_is_event=True,
                departs_before_broken=True,
                peers_depart=True,
                force_departs=True,
                lost_is_unknown=False,
            )
        raise ValueError(f"the model knows Juju 3.6 and 4.0, not {version}")


class Bag:
    """A databag, with the version by which units tell whether it changed.

    The contents are never changed in place, so whoever read them may keep them.

    Args:
        counted: every change makes a new version; otherwise equal contents have equal versions.
    """

    def __init__(self, *, counted: bool) -> None:
        self.data: Mapping[str, str] = {}
        self.version = 0
        self.size = 0
        self._counted = counted

    def size_with(self, changes: Mapping[str, str]) -> int:
        """Tell how many bytes the bag would have after these changes."""
        size = self.size
        for key, value in changes.items():
            old = self.data.get(key)
            if old is not None:
                size -= len(key) + len(old.encode())
            if value:
                size += len(key) + len(value.encode())
        return size

    def apply(self, changes: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
        """Change the bag; an empty value deletes its key.

        Returns:
            Key, old and new value of what did change.
        """
        changed = [
            (key, self.data.get(key), value or None)
            for key, value in changes.items()
            if self.data.get(key, "") != value
        ]
        if not changed:
            return []
        self.size = self.size_with(changes)
        data = dict(self.data)
        for key, old, new in changed:
            data.pop(key, None)
            if new is not None:
                data[key] = new
            # The exclusive or of the items' hashes does not depend on their order, and costs only
            # as much as what changed.
            for value in (old, new):
                if value is not None and not self._counted:
                    self.version ^= hash((key, value))
        self.data = data
        if self._counted:
            self.version += 1
        return changed


@dataclasses.dataclass
class Side:
    """One application's end of a relation.

    Attributes:
        app: the application.
        endpoint: its endpoint.
        bag: the application's databag.
        scope: the units that are in scope, each with what it has seen; in the order of entering.
        alias: the name under which the other side, in another model, knows the application; None
            within one model.
        url: the offer's URL, if it is the application that is offered.
        closed: the relation has ended on this side alone, and lingers on the other.
    """

    app: str
    endpoint: str
    bag: Bag
    scope: dict[str, Local] = dataclasses.field(default_factory=dict[str, "Local"])
    alias: str | None = None
    url: str | None = None
    closed: bool = False

    def shown(self, name: str) -> str:
        """Give the name under which the other side knows the application or a unit of it."""
        return (self.alias or self.app) + name.removeprefix(self.app)

    def real(self, shown: str) -> str:
        """Give the name of what the other side calls so, and any other name as it is.

        Raises:
            KeyError: it is a name that the other side does not know.
        """
        if self.alias is None:
            return shown
        app, slash, number = shown.partition("/")
        if app == self.app:
            raise KeyError(shown)
        return f"{self.app}{slash}{number}" if app == self.alias else shown


@dataclasses.dataclass
class Relation:
    """A relation, or a peer relation, which has only one side.

    Attributes:
        id: the number by which hook tools know it.
        sides: the two applications, or the one.
        dying: it was removed, and lasts until all units have left.
        suspended: its offer is suspended, so that all units leave, but it stays.
        bags: the units' databags; those of units that left stay readable.
        present: the units that Juju's controller reports as members to the other side.
    """

    id: int
    sides: tuple[Side, ...]
    dying: bool = False
    suspended: bool = False
    bags: dict[str, Bag] = dataclasses.field(default_factory=dict[str, Bag])
    present: set[str] = dataclasses.field(default_factory=set[str])

    @property
    def peer(self) -> bool:
        """Whether it is a peer relation."""
        return len(self.sides) == 1

    @property
    def across_models(self) -> bool:
        """Whether one side is an offer of another model."""
        return any(side.alias for side in self.sides)

    def ends_for(self, app: str) -> bool:
        """Tell whether an application's units have to leave it."""
        return self.dying or self.suspended or self.side(app).closed

    def side(self, app: str) -> Side:
        """Give the end of an application."""
        return next(side for side in self.sides if side.app == app)

    def other(self, app: str) -> Side:
        """Give the end that an application's units look at; for peers it is their own."""
        return self.sides[0] if self.peer or self.sides[1].app == app else self.sides[1]

    def bag_of(self, owner: str) -> Bag:
        """Give the databag of a unit or an application.

        Raises:
            KeyError: it has none in this relation.
        """
        if "/" in owner:
            return self.bags[owner]
        for side in self.sides:
            if side.app == owner:
                return side.bag
        raise KeyError(owner)


@dataclasses.dataclass(eq=False)
class Local:
    """What one unit has seen of one relation.

    Attributes:
        unit: the unit.
        relation: the relation.
        endpoint: the unit's endpoint.
        remote: the side that it looks at.
        stub: the relation as `ops.testing` wants it; it holds no data, hook tools bring that.
        created: the created hook has run.
        members: the units whose joined hook has run, with the version last seen of their data.
        owed: the unit whose changed hook must come next, for it has just joined.
        app_seen: the version last seen of the other application's databag.
        dirty: the units of which something may have changed since.
        ghosts: members that are gone without this unit having been told.
        cache: what was read of members since their last event.
    """

    unit: Unit
    relation: Relation
    endpoint: str
    remote: Side
    stub: ops.testing.RelationBase
    created: bool = False
    members: dict[str, int] = dataclasses.field(default_factory=dict[str, int])
    owed: str | None = None
    app_seen: int = 0
    dirty: set[str] = dataclasses.field(default_factory=set[str])
    ghosts: set[str] = dataclasses.field(default_factory=set[str])
    cache: dict[str, Mapping[str, str]] = dataclasses.field(
        default_factory=dict[str, Mapping[str, str]]
    )


@dataclasses.dataclass
class Failure:
    """A hook that failed and stops its unit until it succeeds.

    Attributes:
        due: the hook.
        attempts: how often it was tried.
        retry_at: when it may be tried again, in seconds of the model's time.
    """

    due: hooks.Due
    attempts: int
    retry_at: float


@dataclasses.dataclass(eq=False)
class Machine:
    """A machine of the model.

    Attributes:
        number: Juju's number of it.
        host: what hooks reach of it.
        provisioned: whether it has come; until then its units wait, and no hook runs.
        powered: whether its host runs.
        up: whether its agent answers, which takes a host that runs.
        units: the units on it.
        busy: a hook runs on it, and holds its lock.
    """

    number: int
    host: hosts.Host
    provisioned: bool = True
    powered: bool = True
    up: bool = True
    units: dict[str, Unit] = dataclasses.field(default_factory=dict[str, "Unit"])
    busy: bool = False

    @property
    def lost(self) -> bool:
        """Whether its agent does not answer any more."""
        return self.provisioned and not self.up


@dataclasses.dataclass(eq=False)
class Unit:
    """A unit, with what its agent has done and seen.

    Attributes:
        name: the unit's name.
        number: the number in its name.
        app: its application.
        machine: where it lives.
        charm: the charm that it runs.
        charm_seen: which refresh of the application it has followed.
        config_seen: the version of the configuration that its last config-changed saw.
        begun: its install hook has begun.
        installed: its install hook has run.
        started: its start hook has run.
        stopped: its stop hook has run.
        dying: it is being removed.
        forced: it is being removed by force: no hook's failure holds it up.
        rebooted: its machine was started again, so that another start hook is due.
        leader_seen: its leader-elected hook has run since it was elected.
        believes_until: until when it believes that it leads, whoever does.
        update_status_due: the time for update-status has come.
        relations: what it has seen of each relation whose scope it is in, by relation id.
        in_hook: one of its hooks is in flight.
        error: the failed hook that holds it up.
        stored_states: what its charm has stored.
        deferred: the events that its charm has deferred.
        status: what its charm says of it, or Juju while the charm says nothing.
        status_set: its charm has said something.
        workload_version: as its charm says.
    """

    name: str
    number: int
    app: App
    machine: Machine
    charm: charms.Charm
    charm_seen: int
    config_seen: int = 0
    begun: bool = False
    installed: bool = False
    started: bool = False
    stopped: bool = False
    dying: bool = False
    forced: bool = False
    rebooted: bool = False
    leader_seen: bool = False
    believes_until: float = 0.0
    update_status_due: bool = False
    relations: dict[int, Local] = dataclasses.field(default_factory=dict[int, Local])
    in_hook: bool = False
    error: Failure | None = None
    stored_states: frozenset[ops.testing.StoredState] = frozenset()
    deferred: tuple[ops.testing.DeferredEvent, ...] = ()
    status: Status = Status("waiting", "installing agent")
    status_set: bool = False
    workload_version: str = ""


@dataclasses.dataclass(eq=False)
class App:
    """An application.

    Attributes:
        name: its name.
        charm: the charm that its units should run.
        charm_version: counts the refreshes.
        config: what the operator set.
        config_version: counts the changes of it, from 1.
        units: its units, in the order of their numbers.
        relations: the relations that it is in, by id.
        leader: the unit that holds the lease.
        lease_ends: when the lease ends, for its holder's machine is lost.
        dying: it is being removed.
        status: what its leader says of it.
    """

    name: str
    charm: charms.Charm
    charm_version: int = 0
    config: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    config_version: int = 1
    units: dict[str, Unit] = dataclasses.field(default_factory=dict[str, Unit])
    relations: dict[int, Relation] = dataclasses.field(default_factory=dict[int, Relation])
    leader: Unit | None = None
    lease_ends: float | None = None
    dying: bool = False
    status: Status | None = None

    def related(self, endpoint: str) -> Iterator[Relation]:
        """Give the relations on one of its endpoints, in the order of their ids."""
        for relation in self.relations.values():
            if relation.side(self.name).endpoint == endpoint:
                yield relation
