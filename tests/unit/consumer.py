"""Small charms that form a microcluster, and one unit of such a charm, run hook by hook."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import re
import stat
import subprocess
import types
from typing import TYPE_CHECKING, Any, TypeVar, cast

import ops
from ops import testing

from charms.microcluster_token_distributor.v0 import token_distributor
from tests.unit import runner

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pytest

T = TypeVar("T")

ENDPOINT = "cluster"
COMMAND = ("micro", "cluster")
META = {
    "name": "micro",
    "requires": {ENDPOINT: {"interface": "worker-cluster"}},
}
ACTIONS = {"look": {"description": "Does nothing."}}

LIST = ("list", "-f", "json")
NOT_A_MEMBER = runner.Answer(1, stderr="Error: Database is not yet initialized")
NO_QUORUM = runner.Answer(
    1, stderr="Error: Failed to get cluster members: no available dqlite leader server found"
)
TAKEN = runner.Answer(
    1,
    stderr='Error: Unable to add server to MicroCluster, name "node-1" is taken:\n'
    'Failed to create "core_token_records" entry: '
    "UNIQUE constraint failed: core_token_records.name",
)

# How long a part of a token may be shown, and all parts of that length of all tokens made so far.
_PART = 40
_parts: set[str] = set()


# Tokens


def token(name: str, number: int = 1) -> str:
    """Return a join token as the workload would print it: the same one for the same arguments.

    Args:
        name: the host name it is for.
        number: tells several tokens for one name apart.
    """
    seed = f"{name} {number}"
    content = {
        "secret": hashlib.sha256(f"secret {seed}".encode()).hexdigest(),
        "fingerprint": hashlib.sha256(b"one cluster").hexdigest(),
        "join_addresses": ["192.0.2.1:6443", "192.0.2.2:6443"],
    }
    text = base64.b64encode(json.dumps(content).encode()).decode()
    watch(text)
    return text


def watch(secret: str) -> None:
    """Have `leaks` look for a secret of any form."""
    _parts.update(secret[at : at + _PART] for at in range(max(1, len(secret) - _PART + 1)))


def leaks(texts: Iterable[str]) -> list[str]:
    """Return those texts that hold a part of 40 characters or more of a token."""
    return [text for text in texts if _shows_token(text)]


def check(texts: Iterable[str]) -> None:
    """Fail where a text holds a token, without showing it."""
    count = len(leaks(texts))
    assert count == 0, f"{count} texts hold a token"


def _shows_token(text: str) -> bool:
    return any(
        run[at : at + _PART] in _parts
        for run in re.findall(rf"\S{{{_PART},}}", text)
        for at in range(len(run) - _PART + 1)
    )


# The workload's answers


def members(*rows: str | tuple[str, str, str]) -> runner.Answer:
    """Return what `list` prints.

    Args:
        rows: a host name for an online voter, or host name, role and status.
    """
    full = [(row, "voter", "ONLINE") if isinstance(row, str) else row for row in rows]
    fields = [
        {"name": name, "address": "192.0.2.1:6443", "role": role, "status": status}
        for name, role, status in full
    ]
    return runner.Answer(stdout=json.dumps(fields))


def prints(text: str) -> runner.Answer:
    """Return the answer of a command that prints a line and succeeds."""
    return runner.Answer(stdout=f"{text}\n")


# Charms


class StatusCharm(ops.CharmBase):
    """Built as the charms in the field are, and shows what the library has to say.

    Attributes:
        command: the words before the sub-command.
        seen: the library's events in this hook, in order, re-emitted ones included.
    """

    command: Sequence[str] = COMMAND

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.seen: list[str] = []
        self.token_consumer = token_distributor.TokenConsumer(
            charm=self, relation_name=ENDPOINT, command_name=list(self.command)
        )
        self.token_consumer.bootstrap_args_func = self._bootstrap_args
        self.token_consumer.join_args_func = self._join_args
        events = self.token_consumer.on
        framework.observe(events.prebootstrap, self._on_prebootstrap)
        framework.observe(events.bootstrapped, self._on_bootstrapped)
        framework.observe(events.prejoin, self._on_prejoin)
        framework.observe(events.joined, self._on_joined)
        framework.observe(events.token_generated, self._on_token_generated)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

    @property
    def in_cluster(self) -> bool:
        """What the library keeps for charms that ask it so, as those in the field do."""
        stored = self.token_consumer._stored  # pyright: ignore[reportPrivateUsage]
        assert self.token_consumer.is_member is cast("Any", stored).in_cluster
        return self.token_consumer.is_member

    def _on_prebootstrap(self, _: ops.EventBase) -> None:
        self.seen.append("prebootstrap")

    def _on_bootstrapped(self, _: ops.EventBase) -> None:
        self.seen.append("bootstrapped")

    def _on_prejoin(self, _: ops.EventBase) -> None:
        self.seen.append("prejoin")

    def _on_joined(self, event: token_distributor.ClusterJoinedEvent) -> None:
        self.seen.append("joined as bootstrapper" if event.bootstrapper else "joined")

    def _on_token_generated(self, _: ops.EventBase) -> None:
        self.seen.append("token_generated")

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(self.token_consumer.status)

    def _bootstrap_args(self) -> list[str]:
        return ["--first"]

    def _join_args(self) -> list[str]:
        return ["--address", "192.0.2.7"]


class SilentCharm(StatusCharm):
    """Shows no status, and so asks the workload for none: what runs is the library's own doing."""

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        pass


class DeferringCharm(StatusCharm):
    """Is not ready for `joined` until there is a file `ready` beside it."""

    def _on_joined(self, event: token_distributor.ClusterJoinedEvent) -> None:
        super()._on_joined(event)
        if not (self.charm_dir / "ready").exists():
            event.defer()


class FailingCharm(StatusCharm):
    """Its handler of `joined` fails: the hook dies after the cluster has taken its unit in."""

    def _on_joined(self, event: token_distributor.ClusterJoinedEvent) -> None:
        super()._on_joined(event)
        raise RuntimeError("joined")


class FailingLaterCharm(StatusCharm):
    """Its handler of `token_generated` fails: the hook dies before anything is published."""

    def _on_token_generated(self, _: ops.EventBase) -> None:
        super()._on_token_generated(_)
        raise RuntimeError("token_generated")


class MirroringCharm(StatusCharm):
    """Has a value of its own mirrored, as soon as its unit is a member."""

    def _on_joined(self, event: token_distributor.ClusterJoinedEvent) -> None:
        super()._on_joined(event)
        relation = self.model.get_relation(ENDPOINT)
        assert relation is not None
        self.token_consumer.add_to_mirror(relation, {"central": "192.0.2.7"})


# A unit, hook by hook


@dataclasses.dataclass(frozen=True)
class Hook:
    """What one hook did.

    Attributes:
        calls: the commands that it ran, in order, without the words of `COMMAND`.
        limits: the time limit of each, in seconds.
        events: the library's events that the charm saw, in order.
        bag: its unit's databag after it.
        app_bag: its application's databag after it.
        in_cluster: the library's copy of the membership after it.
        status: its unit's status, as name and message.
        statuses_set: how often a status was set in the hook.
        log: lines of level and message.
        deferred: what is stored of deferred events of the library.
    """

    calls: list[tuple[str, ...]]
    limits: list[float | None]
    events: list[str]
    bag: dict[str, str]
    app_bag: dict[str, str]
    in_cluster: bool
    status: tuple[str, str]
    statuses_set: int
    log: list[str]
    deferred: list[testing.DeferredEvent]

    def logged(self, pattern: str) -> bool:
        """Tell whether a line of the log matches a pattern."""
        return any(re.search(pattern, line) for line in self.log)


class Unit:
    """One unit of a charm, and what it sees of a distributor; its state lasts from hook to hook.

    Attributes:
        commands: the fake of all commands.
        root: the charm's directory.
        state: all that the model keeps of the unit.
        leads: whether it leads its application.
    """

    def __init__(
        self,
        root: pathlib.Path,
        commands: runner.FakeRunner,
        *,
        number: int = 0,
        charm: type[ops.CharmBase] = SilentCharm,
    ):
        self.commands = commands
        self.root = root
        self.number = number
        self.leads = False
        self.hostname = f"node-{number}"
        self.use(charm)
        relation = testing.Relation(
            ENDPOINT,
            id=1,
            remote_app_name="distributor",
            remote_units_data={0: {}},
            local_unit_data={},
        )
        self.state = testing.State(relations={relation})
        self.expect(*LIST, answers=[NOT_A_MEMBER])

    def use(self, charm: type[ops.CharmBase]) -> None:
        """Have another charm's code run from the next hook on."""
        self.charm = charm

    def expect(self, *words: str, answers: Iterable[runner.Answer] = (runner.Answer(),)) -> None:
        """Allow a command, and say how it answers in turn, the last one for good."""
        self.commands.expect(*COMMAND, *words, answers=list(answers))

    def lists(self, *answers: runner.Answer) -> None:
        """Say how `list` answers in turn, the last one for good."""
        self.expect(*LIST, answers=answers)

    def relation(self) -> testing.Relation:
        """Return the relation with the distributor."""
        return cast("testing.Relation", self.state.get_relation(1))

    def relate(self, *relations: testing.Relation) -> None:
        """Have these relations and no others."""
        self.state = dataclasses.replace(self.state, relations=relations)

    def show(
        self,
        values: Mapping[str, str] | None = None,
        *,
        leader: str = "distributor/0",
        unit_bag: Mapping[str, str] | None = None,
        **app_bag: str,
    ) -> None:
        """Have the distributor's unit show values, and its application what else is given.

        Args:
            values: by key without prefix; this unit's name, `empty`, is added.
            leader: the unit whose bag counts; empty for an earlier distributor.
            unit_bag: other keys for the unit's databag, such as `hold`.
            app_bag: keys for the application's databag, with underscores for hyphens.
        """
        values = {self.hostname: "empty", **(values or {})}
        shown = {"mirror": "up", **{f"mirror-{key}": value for key, value in values.items()}}
        app = {key.replace("_", "-"): value for key, value in app_bag.items()}
        if leader:
            app["leader"] = leader
        self.relate(
            dataclasses.replace(
                self.relation(),
                remote_units_data={0: {**shown, **(unit_bag or {})}},
                remote_app_data=app,
            )
        )

    def write(self, bag: Mapping[str, str]) -> None:
        """Have this unit's databag hold what earlier hooks are to have written."""
        self.relate(dataclasses.replace(self.relation(), local_unit_data=dict(bag)))

    def remember(self, *, in_cluster: bool) -> None:
        """Have the library remember whether this unit is a member."""
        owner = f"{self.charm.__name__}/TokenConsumer[{ENDPOINT}]"
        stored = testing.StoredState(
            name="_stored", owner_path=owner, content={"in_cluster": in_cluster}
        )
        self.state = dataclasses.replace(self.state, stored_states={stored})

    def hook(self, kind: str = "update_status", /, **about: Any) -> Hook:
        """Run one hook.

        Args:
            kind: the event as `ops.testing` names it; relation events are of the one relation.
            about: further arguments of the event, such as `remote_unit`.
        """
        context = self._context()
        factory = getattr(context.on, kind)
        if kind.startswith("relation_"):
            about.setdefault("relation", self.relation())
        event = factory(**about)
        state = dataclasses.replace(self.state, leader=self.leads)
        before = len(self.commands.calls)
        seen: list[str] = []
        in_cluster = False
        try:
            with context(event, state) as manager:
                charm = cast("StatusCharm", manager.charm)
                seen = charm.seen
                self.state = manager.run()
                in_cluster = charm.in_cluster
        except testing.errors.UncaughtCharmError as error:
            check([str(error), repr(error.__cause__)])
            raise
        finally:
            log = [f"{line.level} {line.message}" for line in context.juju_log]
            check(log)
        bags = [
            cast("testing.Relation", relation) for relation in self.state.get_relations(ENDPOINT)
        ]
        first = min(bags, key=lambda relation: relation.id, default=None)
        hook = Hook(
            calls=[line[len(COMMAND) :] for line in self.commands.calls[before:]],
            limits=self.commands.timeouts[before:],
            events=seen,
            bag=dict(first.local_unit_data) if first else {},
            app_bag=dict(first.local_app_data) if first else {},
            in_cluster=in_cluster,
            status=(self.state.unit_status.name, self.state.unit_status.message),
            statuses_set=len(context.unit_status_history),
            log=log,
            deferred=[
                event for event in self.state.deferred if "TokenConsumer" in event.handle_path
            ],
        )
        self._check_secrets(context)
        return hook

    def ask(self, question: Callable[[token_distributor.TokenConsumer, ops.Relation], T]) -> T:
        """Have the charm's code ask the library something, before any event is handled.

        What the library writes then is in the databag afterwards.

        Args:
            question: is given the library's object and the relation.
        """
        context = self._context()
        with context(context.on.install(), self.state) as manager:
            charm = cast("StatusCharm", manager.charm)
            relation = charm.model.get_relation(ENDPOINT)
            assert relation is not None
            answer = question(charm.token_consumer, relation)
            self.state = manager.run()
        return answer

    def token_files(self) -> dict[str, str]:
        """Return the tokens on disk by file name; they are readable by their owner alone."""
        folder = self.root / f".{ENDPOINT}-tokens"
        if not folder.exists():
            return {}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = list(folder.iterdir())
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
        return {file.name: file.read_text().strip() for file in files}

    def hears_of_failure(self, name: str, token: str) -> None:
        """Make it the only member; a token that it has issued got a newcomer nowhere."""
        self.remember(in_cluster=True)
        self.keep(name, token)
        self.show(
            {"node-0": "joined", name: token},
            unit_bag={f"failed-{name}": token_distributor.digest(token)},
        )
        self.lists(members("node-0"))

    def keep(self, name: str, text: str) -> None:
        """Have a token file, as an earlier hook is to have left it."""
        folder = self.root / f".{ENDPOINT}-tokens"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(text)

    def _context(self) -> testing.Context[ops.CharmBase]:
        return testing.Context(
            self.charm,
            meta=META,
            actions=ACTIONS,
            app_name="micro",
            unit_id=self.number,
            charm_root=self.root,
        )

    def _check_secrets(self, context: testing.Context[ops.CharmBase]) -> None:
        statuses = [
            self.state.unit_status,
            self.state.app_status,
            *context.unit_status_history,
            *context.app_status_history,
        ]
        check(status.message for status in statuses)
        check(str(stored.content) for stored in self.state.stored_states)
        check(str(event.snapshot_data) for event in self.state.deferred)
        for relation in self.state.get_relations(ENDPOINT):
            relation = cast("testing.Relation", relation)
            check(relation.local_app_data.values())
            check(
                value
                for key, value in relation.local_unit_data.items()
                if not key.startswith("mirror-")
            )


def set_hostname(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have this machine go by another host name."""
    uname = os.uname_result(("Linux", name, "6.8.0", "#1 SMP", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: uname)


def be_slow(
    monkeypatch: pytest.MonkeyPatch, commands: runner.FakeRunner, word: str, seconds: float
) -> None:
    """Have the library find that each command with a certain word takes so many seconds."""
    now = 0.0

    def run(argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        nonlocal now
        now += seconds if word in argv else 0.02
        return commands.run(argv, **kwargs)

    monkeypatch.setattr(subprocess, "run", run)
    clock = types.SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(token_distributor, "time", clock)
