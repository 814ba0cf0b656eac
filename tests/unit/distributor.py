"""One unit of the real charm, whose hooks are run one at a time, and the tokens it carries.

Every hook is followed by a check that no token is in a log line, a status or an action's result.
"""

# Counting hook tools, and two kinds of events, take parts of ops.testing that are private.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import base64
import dataclasses
import errno
import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, cast

import ops
import ops.testing
import scenario._runtime
from scenario import mocking

import charm
from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import runner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

ENDPOINT = "microcluster-cluster"
APP = "distributor"
UNIT = f"{APP}/0"
PEERS = 1000
MEMORY = "memory"
GOAL_STATE = ("goal-state", "--format=json")

# What the application of a leader says.
LEADER = {"leader": UNIT}

# Events at which a leader reads all databags, and all events, each with the number of a unit.
SWEEPS = ["leader_elected", "upgrade_charm", "config_changed", "update_status"]
EVENTS: list[tuple[str, int | None]] = [
    ("relation_created", None),
    ("relation_joined", 0),
    ("relation_changed", 0),
    ("relation_changed", None),
    ("relation_departed", 0),
    ("relation_broken", None),
    *((name, None) for name in SWEEPS),
]

_made: set[str] = set()


def token(hostname: str, number: int = 1) -> str:
    """Make up what `add` prints for a host name: the same for the same arguments."""
    secret = hashlib.sha256(f"{hostname}, {number}".encode()).hexdigest()
    content = {
        "secret": secret,
        "fingerprint": secret[::-1],
        "join_addresses": ["10.0.0.1:6443"],
    }
    text = base64.b64encode(json.dumps(content).encode()).decode()
    _made.update({text, secret})
    return text


def related(
    app: str,
    units: Mapping[int, Mapping[str, str]],
    *,
    relation_id: int = 1,
    candidate: str = "",
    ours: Mapping[str, str] | None = None,
    app_bag: Mapping[str, str] | None = None,
) -> ops.testing.Relation:
    """Make a relation with an application.

    Args:
        app: the application.
        units: the databags of its units, by number.
        relation_id: the relation's id.
        candidate: the unit that its leader proposes.
        ours: the databag of the distributor's unit.
        app_bag: the databag of the distributor's application.
    """
    return ops.testing.Relation(
        ENDPOINT,
        id=relation_id,
        remote_app_name=app,
        remote_app_data={"bootstrap-candidate": candidate} if candidate else {},
        remote_units_data={number: dict(bag) for number, bag in units.items()},
        local_unit_data=dict(ours or {}),
        local_app_data=dict(app_bag or {}),
    )


def says(hostname: str, member: str = "", **keys: str) -> dict[str, str]:
    """Make a consumer's databag; without `member` it is one of a library before patch 9."""
    bag = {"hostname": hostname, "member": member}
    bag.update({key.replace("_", "-"): value for key, value in keys.items()})
    return {key: value for key, value in bag.items() if value}


def offering(hostname: str, tokens: Mapping[str, str], **keys: str) -> dict[str, str]:
    """Make the databag of a communicator that offers tokens, by host name."""
    bag = says(hostname, "true", mirror="up", **keys)
    bag.update({f"mirror-{name}": value for name, value in tokens.items()})
    return bag


def shown(values: Mapping[str, str], **keys: str) -> dict[str, str]:
    """Make the databag of a distributor's unit that leads."""
    bag = {f"mirror-{key}": value for key, value in values.items()}
    return {"mirror": "up", **bag, **{key.replace("_", "-"): text for key, text in keys.items()}}


def formed(
    *more: Mapping[str, str],
    values: Mapping[str, str] | None = None,
    offers: Mapping[str, str] | None = None,
    left: str = "",
    **keys: str,
) -> ops.testing.Relation:
    """Make a relation with a cluster of `node-a`, the communicator, and `node-b`."""
    bags = [offering("node-a", offers or {}, **keys), says("node-b", "true"), *more]
    app_bag = {**LEADER, "bootstrap-app": "microovn"}
    return related(
        "microovn",
        dict(enumerate(bags)),
        ours=shown({"node-a": lib.JOINED, "node-b": lib.JOINED, **(values or {})}),
        app_bag={**app_bag, "left": left} if left else app_bag,
    )


def names_of(relations: Sequence[ops.testing.Relation]) -> dict[str, str]:
    """Give all units of the relations, each with a status, as `goal-state` would."""
    return {
        f"{relation.remote_app_name}/{number}": "active"
        for relation in relations
        for number in relation.remote_units_data
    }


def goal_state(units: Mapping[str, str], apps: Sequence[str]) -> runner.Answer:
    """Make the answer of `goal-state` that names related applications and units."""
    since = "2026-01-01 00:00:00Z"
    rows = {app: {"status": "joined", "since": since} for app in apps}
    rows.update({name: {"status": status, "since": since} for name, status in units.items()})
    state = {
        "units": {UNIT: {"status": "active", "since": since}},
        "relations": {ENDPOINT: rows} if apps else {},
    }
    return runner.Answer(stdout=json.dumps(state))


class Distributor:
    """One unit of the charm.

    Args:
        commands: what `goal-state` is asked from.
        monkeypatch: pytest's.

    Attributes:
        memory: the databag that the distributor's units keep for each other, from hook to hook.
        reads: the databags read in the last hook, by their owners' names; `memory` for that one.
        keys: the keys of the memory that were read one by one.
        asked: how often `goal-state` was asked in the last hook.
        writes: the owners of the databags written in the last hook, with the keys.
        has_tools: whether there are `relation-get` and `relation-set` to be run as commands.
    """

    def __init__(self, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands = commands
        self.context = ops.testing.Context(
            charm.MicroclusterTokenDistributorCharm, app_name=APP, unit_id=0
        )
        self.memory: dict[str, str] = {}
        self.reads: list[str] = []
        self.keys: list[str] = []
        self.asked = 0
        self.writes: list[tuple[str, str]] = []
        self.has_tools = True
        self._memory: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        self._count(monkeypatch)
        self._bridge(monkeypatch)

    def close(self) -> None:
        """Remove the context's temporary directory."""
        self.context.close()

    def hook(
        self,
        event: str,
        *relations: ops.testing.Relation,
        about: ops.testing.Relation | None = None,
        unit: int | None = None,
        leader: bool = True,
        goal: Mapping[str, str] | runner.Answer | None = None,
        departing: str = "",
    ) -> ops.testing.State:
        """Run a hook.

        Args:
            event: such as `update_status`, or `relation_changed`.
            relations: all relations.
            about: the relation that the event is about; the first of `relations` if not given.
            unit: the number of the unit that the event is about, if any.
            leader: whether this unit leads.
            goal: the units that `goal-state` names, with their statuses, or its answer; if not
                given, it names all that are in the relations, without the one departing.
            departing: the unit that leaves if it is not the one that the event is about.
        """
        relation = about or (relations[0] if relations else None)
        if goal is None:
            goal = names_of(relations)
            if event == "relation_departed" and relation is not None and not departing:
                del goal[f"{relation.remote_app_name}/{unit}"]
        self._answer_goal_state(goal, relations)
        self._environment = {}
        make: Callable[..., Any] = getattr(self.context.on, event)
        if not event.startswith("relation_"):
            made = make()
        elif event in ("relation_created", "relation_broken"):
            made = make(relation)
        elif unit is None:
            made = make(relation)
            self._environment["JUJU_REMOTE_UNIT"] = ""
        else:
            made = make(relation, remote_unit=unit)
        if departing:
            self._environment["JUJU_DEPARTING_UNIT"] = departing
        return self._run(made, relations, leader=leader)

    def show_mirror(
        self,
        *relations: ops.testing.Relation,
        leader: bool = True,
        goal: Mapping[str, str] | runner.Answer | None = None,
    ) -> list[dict[str, str]]:
        """Run the action, and give its rows.

        Raises:
            ops.testing.ActionFailed: the action failed.
        """
        self._answer_goal_state(names_of(relations) if goal is None else goal, relations)
        self._environment = {}
        self._run(self.context.on.action("show-mirror"), relations, leader=leader)
        results = cast("dict[str, dict[str, str]]", self.context.action_results or {})
        return [results[f"row-{number}"] for number in range(len(results))]

    def log(self) -> list[str]:
        """Give the log's lines of the last hook."""
        return [line.message for line in self.context.juju_log]

    def _answer_goal_state(
        self,
        goal: Mapping[str, str] | runner.Answer,
        relations: Sequence[ops.testing.Relation],
    ) -> None:
        if not isinstance(goal, runner.Answer):
            goal = goal_state(goal, [relation.remote_app_name for relation in relations])
        self.commands.expect(*GOAL_STATE, answers=[goal])

    def _run(
        self, event: Any, relations: Sequence[ops.testing.Relation], *, leader: bool
    ) -> ops.testing.State:
        self.reads.clear()
        self.keys.clear()
        self.asked = 0
        self.writes.clear()
        self._memory = dict(self.memory)
        self.context.juju_log.clear()
        self.context.unit_status_history.clear()
        peers = ops.testing.PeerRelation(
            "cluster", id=PEERS, local_app_data=dict(self.memory), local_unit_data={}
        )
        try:
            state = self.context.run(
                event, ops.testing.State(leader=leader, relations={*relations, peers})
            )
        finally:
            # It keeps every framework alive that was ever made.
            ops.Framework.on._cache.clear()
        self.memory = {key: value for key, value in self._memory.items() if value}
        statuses = [*self.context.unit_status_history, state.unit_status, state.app_status]
        seen = [
            *(line.message for line in self.context.juju_log),
            *(status.message for status in statuses),
            str(self.context.action_results),
        ]
        # Not shown on failure: what is looked for must not be in a report either.
        leaks = sum(secret in text for text in seen for secret in _made)
        assert leaks == 0, "a token is in a log line, a status or an action's result"
        return state

    def _count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        get, put = mocking._MockModelBackend.relation_get, mocking._MockModelBackend.relation_set

        def relation_get(backend: Any, relation_id: int, owner: str, *rest: Any, **more: Any):
            if relation_id == PEERS and owner == APP:
                self.reads.append(MEMORY)
                return {key: value for key, value in self._memory.items() if value}
            self.reads.append(owner)
            return get(backend, relation_id, owner, *rest, **more)

        def relation_set(
            backend: Any, relation_id: int, data: Mapping[str, str], is_app: bool, **more: Any
        ):
            owner = APP if is_app else UNIT
            if relation_id == PEERS and is_app:
                self._remember(data)
                return
            self.writes.extend((owner, key) for key in data)
            put(backend, relation_id, data, is_app, **more)

        def run(argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
            if argv[0] in ("relation-get", "relation-set"):
                return self._run_hook_tool(argv)
            self.asked += argv[0] == "goal-state"
            return self.commands.run(argv, **kwargs)

        monkeypatch.setattr(mocking._MockModelBackend, "relation_get", relation_get)
        monkeypatch.setattr(mocking._MockModelBackend, "relation_set", relation_set)
        monkeypatch.setattr(subprocess, "run", run)

    def _remember(self, data: Mapping[str, str]) -> None:
        self._memory.update(data)
        self.writes.extend((MEMORY, key) for key in data)

    def _run_hook_tool(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Read a key of the memory, or write some, as the tools of Juju do."""
        if not self.has_tools:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
        relation = f"cluster:{PEERS}"
        match argv:
            case ["relation-get", "--format=json", "-r", name, "--app", key, owner]:
                assert (name, owner) == (relation, APP)
                self.keys.append(key)
                value = self._memory.get(key) or None
                return subprocess.CompletedProcess(argv, 0, json.dumps(value), "")
            case ["relation-set", "-r", name, "--app", *words]:
                assert name == relation
                self._remember(dict(word.split("=", 1) for word in words))
                return subprocess.CompletedProcess(argv, 0, "", "")
            case _:
                raise AssertionError(f"unexpected use of {argv[0]}")

    def _bridge(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let events be that ops.testing cannot express.

        It takes the first remote unit when an event is about the application, and any departing
        unit for a remote one: the environment is set right after it.
        """
        make: Callable[..., dict[str, str]] = scenario._runtime.Runtime[Any]._get_event_env

        def event_env(runtime: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
            return {**make(runtime, *args, **kwargs), **self._environment}

        monkeypatch.setattr(scenario._runtime.Runtime, "_get_event_env", event_env)


def bag(data: Any) -> dict[str, str]:
    """Give a databag of a state as what it is: a dictionary, which a test may change."""
    return cast("dict[str, str]", data)


def our_bag(state: ops.testing.State, relation_id: int = 1) -> dict[str, str]:
    """Give the databag of the distributor's unit."""
    return dict(_relation(state, relation_id).local_unit_data)


def our_app_bag(state: ops.testing.State, relation_id: int = 1) -> dict[str, str]:
    """Give the databag of the distributor's application."""
    return dict(_relation(state, relation_id).local_app_data)


def relations_of(state: ops.testing.State) -> list[ops.testing.Relation]:
    """Give the relations as a hook left them, the first related first, that of peers left out."""
    relations = [each for each in state.relations if isinstance(each, ops.testing.Relation)]
    return sorted(relations, key=lambda relation: relation.id)


def with_bag(
    state: ops.testing.State, number: int, bag: Mapping[str, str]
) -> list[ops.testing.Relation]:
    """Give the relations with a databag of the first application's replaced."""
    first, *others = relations_of(state)
    bags = {**first.remote_units_data, number: dict(bag)}
    return [dataclasses.replace(first, remote_units_data=bags), *others]


def _relation(state: ops.testing.State, relation_id: int) -> ops.testing.Relation:
    return cast("ops.testing.Relation", state.get_relation(relation_id))
