"""What the tests of the distributor share: reports, goal-state, and one unit of the charm.

A unit `a/0` has the host name `a-0`. After each hook, no token is in a log line, a status, an
action's result or the StoredState.
"""

# Counting hook tools takes a part of ops.testing that is private.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any, cast

import ops
import pytest
import scenario.mocking
from ops import hookcmds, testing

import charm
import mirror
from microcluster_token_distributor import _wire
from tests.unit import vectors

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT = "microcluster-cluster"
PEERS = 99

_tokens: set[str] = set()


def app_of(unit: str) -> str:
    """Return the application of a unit."""
    return unit.partition("/")[0]


def number_of(unit: str) -> int:
    """Return the number in a unit's name."""
    return int(unit.partition("/")[2])


def rows(names: str, *rows: tuple[Any, ...]) -> Any:
    """Parametrise a test by rows that begin with what they are called."""
    return pytest.mark.parametrize(names, [pytest.param(*rest, id=id_) for id_, *rest in rows])


def token(host: str, number: int = 1) -> str:
    """Return a made-up join token, always the same for the same arguments."""
    made = vectors.token(f"{host}.{number}")
    _tokens.add(made)
    return made


def digest(host: str, number: int = 1) -> str:
    """Return the digest of that token."""
    return _wire.digest(token(host, number))


def offers(*hosts: str, number: int = 1) -> dict[str, str]:
    """Return the part of a databag that offers tokens to hosts."""
    return {"mirror": "up", **{f"mirror-{host}": token(host, number) for host in hosts}}


def bag(unit: str, member: str = "false", **keys: str) -> dict[str, str]:
    """Return what a unit reports; without `member` it knows the old keys alone."""
    return _without_empty({"hostname": unit.replace("/", "-"), "member": member, **keys})


def report(unit: str, member: str = "false", **keys: str) -> _wire.Report:
    """Return the same as it is read."""
    return _wire.Report.from_bag(unit, bag(unit, member, **keys))


def goal_of(*words: str) -> mirror.Goal:
    """Return a goal-state that names units, as `a/0` or `a/0:dying`, and applications, as `a`."""
    pairs = (word.partition(":") for word in words)
    statuses = {name: status or "active" for name, _, status in pairs}
    units = {name: status for name, status in statuses.items() if "/" in name}
    return mirror.Goal(frozenset(app_of(name) for name in statuses), units)


class Distributor:
    """The unit `distributor/0` of the charm, and the model around it from hook to hook."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.context = testing.Context(
            charm.MicroclusterTokenDistributorCharm, app_name="distributor", unit_id=0
        )
        peers = testing.PeerRelation("cluster", id=PEERS)
        self.state = testing.State(leader=True, relations={peers})
        self.goal: mirror.Goal | None = goal_of()
        # How often the last hook asked for goal-state, and used each hook tool.
        self.calls: collections.Counter[str] = collections.Counter()
        self.unreadable: set[str] = set()
        self._departing = ""
        monkeypatch.setattr(hookcmds, "goal_state", self._ask)
        for name in ("relation_get", "relation_set", "relation_list", "relation_ids"):
            self._count(name, monkeypatch)

    # The model

    def put(self, unit: str, content: Mapping[str, str]) -> None:
        """Let a unit have a databag, be related and be named by goal-state."""
        relation = self.relation(app_of(unit))
        units = {**relation.remote_units_data, number_of(unit): dict(content)}
        self._replace(relation, remote_units_data=units)
        if self.goal and unit not in self.goal.units:
            self.name(unit)

    def name(self, *words: str) -> None:
        """Let goal-state name more units or applications: see `goal_of`."""
        before, more = self.goal or goal_of(), goal_of(*words)
        self.goal = mirror.Goal(before.apps | more.apps, {**before.units, **more.units})

    def forget(self, *names: str) -> None:
        """Let goal-state name units or applications no more."""
        before = self.goal or goal_of()
        units = {name: status for name, status in before.units.items() if name not in names}
        self.goal = mirror.Goal(before.apps - {*names}, units)

    def publish(
        self, app_bag: Mapping[str, str], unit_bag: Mapping[str, str], peers_bag: Mapping[str, str]
    ) -> None:
        """Let the distributor have published this before."""
        ours = {
            "local_app_data": _without_empty(app_bag),
            "local_unit_data": _without_empty(unit_bag),
        }
        for relation in self.relations:
            self._replace(relation, **ours)
        peers = self.state.get_relation(PEERS)
        self._replace(peers, local_app_data=_without_empty(peers_bag))

    # Hooks

    def report(self, unit: str, member: str = "false", **keys: str) -> None:
        """Let a unit report, and run the hook for it."""
        self.put(unit, bag(unit, member, **keys))
        self.changed(unit)

    def changed(self, unit: str, *, is_flushed: bool = True) -> None:
        """Run the hook for what a unit has written."""
        app, number = app_of(unit), number_of(unit)
        event = self.context.on.relation_changed(self.relation(app), remote_unit=number)
        self.run(event, is_flushed=is_flushed)

    def depart(self, unit: str, *, is_named: bool = False, is_listed: bool = False) -> None:
        """Run the hook for a departure; goal-state or Juju may name the unit even after it."""
        if not is_named:
            self.forget(unit)
        app, number = app_of(unit), number_of(unit)
        relation, self._departing = self.relation(app), unit
        departed = self.context.on.relation_departed
        self.run(departed(relation, remote_unit=number, departing_unit=number))
        self._departing = ""
        if not is_listed:
            rest = {n: b for n, b in relation.remote_units_data.items() if n != number}
            self._replace(self.relation(app), remote_units_data=rest)

    def part(self, app: str, *, is_named: bool = False) -> None:
        """Run the hook for the end of a relation."""
        if self.goal and not is_named:
            self.forget(app, *(u for u in self.goal.units if app_of(u) == app))
        self.run(self.context.on.relation_broken(self.relation(app)))
        rest = {*self.state.relations} - {self.relation(app)}
        self.state = dataclasses.replace(self.state, relations=rest)

    def update_status(self) -> None:
        """Run an update-status hook."""
        self.run(self.context.on.update_status())

    def lead(self, leads: bool = True) -> None:
        """Win the leadership with its hook, or lose it without one."""
        self.state = dataclasses.replace(self.state, leader=leads)
        if leads:
            self.run(self.context.on.leader_elected())

    def show_mirror(self) -> list[str]:
        """Run the action, and return its rows as words."""
        self.run(self.context.on.action("show-mirror"))
        rows = cast("dict[str, dict[str, str]]", self.context.action_results)
        return [" ".join(filter(None, row.values())) for row in rows.values()]

    def forget_member(self, host: str) -> None:
        """Run the action."""
        self.run(self.context.on.action("forget-member", params={"host": host}))

    def run(self, event: Any, *, is_flushed: bool = True) -> None:
        """Run a hook; where it is not flushed, Juju refuses what it has written."""
        self.calls.clear()
        before, self.context.juju_log[:] = self.state, []
        try:
            self.state = self.context.run(event, before)
        finally:
            # It keeps every framework alive that was ever made.
            ops.Framework.on._cache.clear()
            texts = [*map(str, self.context.juju_log), str(self.context.action_results)]
            texts += [str(self.state.stored_states), str(self.state.unit_status)]
            # Not shown on failure: what is looked for must not be in a report either.
            leaks = sum(secret in text for text in texts for secret in _tokens)
            assert not leaks, "a token is in a log line, a status, a result or the StoredState"
        if not is_flushed:
            self.state = dataclasses.replace(before, stored_states=self.state.stored_states)

    # What there is to be seen

    @property
    def relations(self) -> list[testing.Relation]:
        """The relations with consumers."""
        return [each for each in self.state.relations if isinstance(each, testing.Relation)]

    def relation(self, app: str) -> testing.Relation:
        """Return the relation with an application, made where there is none."""
        for relation in self.relations:
            if relation.remote_app_name == app:
                return relation
        # The distributor's unit has not had any relation-changed in it yet.
        number = 1 + max((each.id for each in self.relations), default=0)
        empty: dict[str, Any] = {"remote_units_data": {}, "local_unit_data": {}}
        made = testing.Relation(ENDPOINT, id=number, remote_app_name=app, **empty)
        self.state = dataclasses.replace(self.state, relations={*self.state.relations, made})
        return made

    def app_bag(self, app: str = "a") -> dict[str, str]:
        """Return what the distributor's application publishes, without `generation`."""
        return _without_empty({**self.relation(app).local_app_data, "generation": ""})

    def unit_bag(self, app: str = "a") -> dict[str, str]:
        """Return what the distributor's unit publishes, without `generation`."""
        return _without_empty({**self.relation(app).local_unit_data, "generation": ""})

    @property
    def ledger(self) -> dict[str, str]:
        """The ledger, as it is in the peers' databag."""
        rows = self.state.get_relation(PEERS).local_app_data.items()
        return {key[5:]: value for key, value in rows if key.startswith("unit-")}

    @property
    def status(self) -> str:
        """The unit's status, its name and its message."""
        return f"{self.state.unit_status.name} {self.state.unit_status.message}"

    @property
    def log(self) -> list[str]:
        """What the last hook logged at INFO or above."""
        return [line.message for line in self.context.juju_log if line.level != "DEBUG"]

    # Helpers

    def _replace(self, relation: testing.RelationBase, **fields: Any) -> None:
        others = {each for each in self.state.relations if each.id != relation.id}
        relations = {*others, dataclasses.replace(relation, **fields)}
        self.state = dataclasses.replace(self.state, relations=relations)

    def _ask(self) -> hookcmds.GoalState:
        self.calls["goal_state"] += 1
        if self.goal is None:
            raise hookcmds.Error(returncode=1, cmd=["goal-state"])
        since = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
        rows = {**dict.fromkeys(self.goal.apps, "joined"), **self.goal.units}
        goals = {name: hookcmds.Goal(status=status, since=since) for name, status in rows.items()}
        return hookcmds.GoalState(units={}, relations={ENDPOINT: goals})

    def _count(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        method: Any = getattr(scenario.mocking._MockModelBackend, name)

        def counted(backend: Any, *args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            if name == "relation_get" and args[1] in self.unreadable:
                raise ops.ModelError(f"permission denied: {args[1]}")
            answer = method(backend, *args, **kwargs)
            if name == "relation_list":
                return tuple(unit for unit in answer if unit != self._departing)
            return answer

        monkeypatch.setattr(scenario.mocking._MockModelBackend, name, counted)


def _without_empty(content: Mapping[str, str]) -> dict[str, str]:
    """Leave out the keys with empty values, as Juju does."""
    return {key: value for key, value in content.items() if value}
