"""What the tests of the distributor share: reports, goal-state, and one unit of the charm.

A unit `a/0` has the host name `a-0`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any, cast

import pytest
from ops import hookcmds, testing

import charm
import mirror
from microcluster_token_distributor import _wire
from tests.unit import consumer

ENDPOINT = "microcluster-cluster"
PEERS = 99


def rows(names: str, *rows: tuple[Any, ...]) -> Any:
    """Parametrise a test by rows that begin with what they are called."""
    return pytest.mark.parametrize(names, [pytest.param(*rest, id=id_) for id_, *rest in rows])


def offers(host: str) -> dict[str, str]:
    """Return the part of a databag that offers a token to a host."""
    return {"mirror": "up", f"mirror-{host}": consumer.token(host)}


def bag(unit: str, member: str = "false", **keys: str) -> dict[str, str]:
    """Return what a unit reports; without `member` it knows the old keys alone."""
    content = {"hostname": unit.replace("/", "-"), "member": member, **keys}
    # Juju stores no empty values.
    return {key: value for key, value in content.items() if value}


def report(unit: str, member: str = "false", **keys: str) -> _wire.Report:
    """Return the same as it is read."""
    return _wire.Report.from_bag(unit, bag(unit, member, **keys))


def goal_of(text: str) -> mirror.Goal:
    """Return a goal-state that names units, as `a/0` or `a/0:dying`, and applications, as `a`."""
    pairs = (word.partition(":") for word in text.split())
    statuses = {name: status or "active" for name, _, status in pairs}
    units = {name: status for name, status in statuses.items() if "/" in name}
    return mirror.Goal(frozenset(name.partition("/")[0] for name in statuses), units)


class Distributor:
    """The unit `distributor/0` of the charm, related to `a` and `b`, from hook to hook.

    Attributes:
        goal: what goal-state names, as for `goal_of`; None if it cannot be had.
        leads: whether the unit is the leader.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.goal: str | None = ""
        self.leads = True
        self.context = testing.Context(
            charm.MicroclusterTokenDistributorCharm, app_name="distributor", unit_id=0
        )
        # Nobody is in them yet, nor has the distributor's unit written anything.
        related = [
            testing.Relation(
                ENDPOINT, id=index, remote_app_name=app, remote_units_data={}, local_unit_data={}
            )
            for index, app in enumerate("ab")
        ]
        peers = testing.PeerRelation("cluster", id=PEERS)
        self.state = testing.State(relations=[*related, peers])
        monkeypatch.setattr(hookcmds, "goal_state", self._goal_state)

    def put(self, unit: str, member: str = "false", **keys: str) -> None:
        """Let a unit be there, with a databag."""
        app, _, number = unit.partition("/")
        self.relation(app).remote_units_data[int(number)] = bag(unit, member, **keys)

    def report(self, unit: str, member: str = "false", **keys: str) -> None:
        """Let a unit report, and run the hook for it."""
        self.put(unit, member, **keys)
        self.changed(unit)

    def changed(self, unit: str) -> None:
        """Run the hook for what a unit has written."""
        app, _, number = unit.partition("/")
        self.run("relation_changed", self.relation(app), remote_unit=int(number))

    def update_status(self) -> None:
        """Run an update-status hook."""
        self.run("update_status")

    def act(self, name: str, **params: str) -> list[str]:
        """Run an action, and return its rows as words."""
        self.run("action", name, params=params)
        results = cast("dict[str, dict[str, str]]", self.context.action_results or {})
        return [" ".join(filter(None, row.values())) for row in results.values()]

    def run(self, kind: str, *args: Any, **about: Any) -> None:
        """Run a hook, named as in `ops.testing`."""
        event = getattr(self.context.on, kind)(*args, **about)
        self.context.juju_log.clear()
        self.state = self.context.run(event, dataclasses.replace(self.state, leader=self.leads))
        seen = [self.context.juju_log, self.context.action_results]
        consumer.check(map(str, [*seen, self.state.stored_states, self.state.unit_status]))

    def relation(self, app: str = "a") -> Any:
        """Return the relation with an application, to read or change."""
        return self.state.get_relation("ab".index(app))

    def app_bag(self, app: str = "a") -> dict[str, str]:
        """Return what the distributor's application publishes, without `generation`."""
        return {k: v for k, v in self.relation(app).local_app_data.items() if k != "generation"}

    def unit_bag(self, app: str = "a") -> dict[str, str]:
        """Return what the distributor's unit publishes, without `generation`."""
        return {k: v for k, v in self.relation(app).local_unit_data.items() if k != "generation"}

    @property
    def ledger(self) -> dict[str, str]:
        """What is in the peers' databag, to read or change."""
        return cast("dict[str, str]", self.state.get_relation(PEERS).local_app_data)

    @property
    def status(self) -> str:
        """The unit's status, its name and its message."""
        return f"{self.state.unit_status.name} {self.state.unit_status.message}"

    @property
    def log(self) -> list[str]:
        """What the last hook logged at INFO or above."""
        return [line.message for line in self.context.juju_log if line.level != "DEBUG"]

    def _goal_state(self) -> hookcmds.GoalState:
        if self.goal is None:
            raise hookcmds.Error(returncode=1, cmd=["goal-state"])
        goal, since = goal_of(self.goal), dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
        rows = {**dict.fromkeys(goal.apps, "joined"), **goal.units}
        goals = {name: hookcmds.Goal(status=status, since=since) for name, status in rows.items()}
        return hookcmds.GoalState(units={}, relations={ENDPOINT: goals})
