"""One unit of a charm that forms a microcluster, run hook by hook, and the tokens of its tests."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import ops
from ops import testing
from scenario import _runtime, mocking

import microcluster_token_distributor as lib
from microcluster_token_distributor import _wire
from tests.unit import runner

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterable, Mapping

    import pytest

T = TypeVar("T")

ENDPOINT = "cluster"
COMMAND = ("micro", "cluster")
META = {"name": "micro", "requires": {ENDPOINT: {"interface": "worker-cluster"}}}

LIST = ("list", "-f", "json")
BOOTSTRAP = ("bootstrap", "--first")
NO = runner.Answer(1, stderr="Error: Database is not yet initialized")
NO_QUORUM = runner.Answer(1, stderr="Error: no available dqlite leader server found")
REFUSED = runner.Answer(1, stderr="Error: refused")

# What a unit reports that has nothing more to report.
NEWCOMER = {"hostname": "node-0", "member": "false"}
MEMBER = {"hostname": "node-0", "member": "true", "cluster": "node-0"}

# How long a part of a token may be shown, and all parts of that length of all tokens made so far.
_PART = 40
_parts: set[str] = set()


def token(name: str, number: int = 1) -> str:
    """Return a join token as the workload would print it: the same one for the same arguments."""
    secret = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
    content = {"secret": secret, "fingerprint": secret[::-1], "join_addresses": ["192.0.2.1:6443"]}
    text = base64.b64encode(json.dumps(content).encode()).decode()
    _parts.update(text[at : at + _PART] for at in range(len(text) - _PART + 1))
    return text


def check(texts: Iterable[str]) -> None:
    """Fail where a text holds a part of a token, without showing it."""
    runs = (run for text in texts for run in re.findall(rf"\S{{{_PART},}}", text))
    parts = (run[at : at + _PART] for run in runs for at in range(len(run) - _PART + 1))
    count = sum(part in _parts for part in parts)
    assert count == 0, f"{count} parts of tokens are shown"


TOKEN_0, TOKEN_1, TOKEN_2 = token("node-0"), token("node-1"), token("node-2")
JOIN = ("join", TOKEN_0, "--address", "192.0.2.7")


def prints(text: str) -> runner.Answer:
    """Return the answer of a command that prints a line and succeeds."""
    return runner.Answer(stdout=f"{text}\n")


def members(*rows: str) -> runner.Answer:
    """Return what `list` prints, given a name for an online voter, or `name role status`."""
    full = [row.split() if " " in row else [row, "voter", "ONLINE"] for row in rows]
    return prints(json.dumps([{"name": n, "role": r, "status": s} for n, r, s in full]))


class Charm(ops.CharmBase):
    """Built as the charms in the field are; `seen` has the library's events, in order."""

    fails_at: ClassVar[str] = ""  # the event at which the hook dies
    defers: ClassVar[bool] = False  # whether it is not ready for `joined`
    mirrored: ClassVar[dict[str, str]] = {}  # what it has mirrored when it joins
    joins_while_degraded: ClassVar[bool] = False
    workload: ClassVar[lib.Workload | None] = None  # in place of commands
    add_args: ClassVar[list[str]] = []

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.seen: list[str] = []
        command: list[str] | None = None if self.workload else list(COMMAND)
        self.cluster = lib.TokenConsumer(self, ENDPOINT, command, workload=self.workload)
        self.cluster.bootstrap_args_func = lambda: ["--first"]
        self.cluster.join_args_func = lambda: ["--address", "192.0.2.7"]
        self.cluster.leave_args_func = lambda: ["--now"]
        self.cluster.add_args_func = lambda: self.add_args
        self.cluster.joins_while_degraded |= self.joins_while_degraded
        for event in self.cluster.on.events().values():
            framework.observe(event, self._on_any)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

    def _on_any(self, event: ops.EventBase) -> None:
        kind = event.handle.kind
        if isinstance(event, lib.ClusterJoinedEvent):
            kind += " as bootstrapper" if event.bootstrapper else ""
            if self.mirrored:
                relation = cast("ops.Relation", self.model.get_relation(ENDPOINT))
                self.cluster.add_to_mirror(relation, self.mirrored)
            if self.defers:
                event.defer()
        self.seen.append(kind)
        if kind == self.fails_at:
            raise RuntimeError(kind)

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(self.cluster.status)


@dataclasses.dataclass(frozen=True)
class Hook:
    """What one hook did, and what there was after it."""

    calls: list[tuple[str, ...]]  # the commands, without the words of `COMMAND`
    events: list[str]
    bag: dict[str, str]
    in_cluster: bool
    status: tuple[str, str]
    log: str
    reads: set[str]  # the owners of the databags that were read
    writes: int  # how often a databag was written


class Unit:
    """The unit `micro/0` on `node-0`, no member, beside a distributor that publishes nothing yet.

    Attributes:
        root: the charm's directory.
        commands: the fake of all commands.
        state: all that the model keeps of the unit.
        leads: whether it leads its application.
        now: the seconds that it has slept.
    """

    def __init__(
        self, root: pathlib.Path, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch
    ):
        self.root, self.commands, self.leads, self.now = root, commands, False, 0.0
        self._monkeypatch = monkeypatch
        self._charm: type[Charm] = Charm
        self._reads = self._watch("relation_get")
        self._writes = self._watch("relation_set")
        self._environment: dict[str, str] = {}
        self._wrap_environment()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self._sleep)
        self.state = testing.State()
        self.relate(self.other_relation(1, "distributor"))
        self.rename("node-0")
        self.lists(NO)

    @staticmethod
    def other_relation(number: int, app: str, units: Any = None) -> testing.Relation:
        """Make a relation with an application, of one unit if nothing else is given."""
        units = {0: {}} if units is None else units
        return testing.Relation(
            ENDPOINT, id=number, remote_app_name=app, remote_units_data=units, local_unit_data={}
        )

    # What there is

    def rename(self, hostname: str) -> None:
        """Have its machine go by another host name."""
        uname = os.uname_result(("Linux", hostname, "6.8.0", "#1 SMP", "x86_64"))
        self._monkeypatch.setattr(os, "uname", lambda: uname)

    def use(self, **attributes: Any) -> None:
        """Have a charm with other attributes from the next hook on."""
        self._charm = type("Charm", (Charm,), attributes)

    def expect(self, *words: str, answers: Iterable[runner.Answer] = (runner.Answer(),)) -> None:
        """Allow a command, and say how it answers in turn, the last one for good."""
        self.commands.expect(*COMMAND, *words, answers=list(answers))

    def lists(self, *answers: runner.Answer) -> None:
        """Say how `list` answers in turn, the last one for good."""
        self.expect(*LIST, answers=answers)

    def issues(self, *names: str) -> None:
        """Let tokens be issued."""
        for name in names:
            self.expect("add", name, answers=[prints(token(name))])

    def goal(self, **units: str) -> None:
        """Have `goal-state` name units of its application by `micro_NUMBER`, with a status."""
        alive = sum(status != "dying" for status in units.values())
        self.state = dataclasses.replace(self.state, planned_units=alive)

    @property
    def relation(self) -> testing.Relation:
        """Its relation with the distributor."""
        return cast("testing.Relation", self.state.get_relation(1))

    def relate(self, *relations: testing.Relation) -> None:
        """Have these relations and no others."""
        self.state = dataclasses.replace(self.state, relations=relations)

    def change(self, **bags: Any) -> None:
        """Have the relation with the distributor hold something else."""
        self.relate(dataclasses.replace(self.relation, **bags))

    def publish(
        self, values: Mapping[str, str] | None = None, *, leader: str = "0", **app_bag: str
    ) -> None:
        """Have the distributor publish.

        Args:
            values: the mirrored ones, by key without prefix.
            leader: the number of the unit that does; empty for a distributor with the old keys.
            app_bag: what else its application publishes, with underscores for hyphens.
        """
        app = {key.replace("_", "-"): value for key, value in app_bag.items()}
        app.update({"leader": leader} if leader else {})
        unit_bag = _wire.Published(values=values or {}).to_unit_bag()
        self.change(remote_units_data={0: unit_bag}, remote_app_data=app)

    def offer(self, *, ends: runner.Answer | None = None, **app_bag: str) -> None:
        """Have a token published for it, with which joining ends in some way."""
        self.publish({"node-0": TOKEN_0}, **{"formed": "true", "waiting": "node-0", **app_bag})
        self.expect(*JOIN, answers=[ends or runner.Answer()])

    def grant(self, *, ends: runner.Answer | None = None, **app_bag: str) -> None:
        """Have it be the one that may bootstrap, which ends in some way."""
        self.publish(None, **{"bootstrap_host": "node-0", "waiting": "node-0", **app_bag})
        self.expect(*BOOTSTRAP, answers=[ends or runner.Answer()])

    def write(self, **bag: str) -> None:
        """Have its databag hold what earlier hooks are to have written."""
        self.change(local_unit_data=bag)

    def remember(self, **content: object) -> None:
        """Have the library remember something from an earlier hook."""
        owner = f"Charm/TokenConsumer[{ENDPOINT}]"
        stored = testing.StoredState(name="_stored", owner_path=owner, content=content)
        self.state = dataclasses.replace(self.state, stored_states={stored})

    def settle(self, *rows: str, **app_bag: str) -> None:
        """Make it a member, with others, that has reported all there is; rows as for `members`."""
        rows = rows or ("node-0",)
        self.remember(in_cluster=True, hostname="node-0")
        self.lists(members(*rows))
        self.write(**{**MEMBER, "cluster": min(rows).split()[0]})
        self.publish(None, formed="true", **app_bag)

    # What happens

    def hook(self, kind: str = "update_status", /, **about: Any) -> Hook:
        """Run one hook, named as in `ops.testing`; relation events are of the one relation."""
        context = testing.Context(
            self._charm, meta=META, app_name="micro", unit_id=0, charm_root=self.root
        )
        if kind.startswith("relation_"):
            about.setdefault("relation", self.relation)
        event = getattr(context.on, kind)(**about)
        before = len(self.commands.calls)
        self._reads.clear()
        self._writes.clear()
        try:
            state = dataclasses.replace(self.state, leader=self.leads)
            with context(event, state) as manager:
                charm = manager.charm
                self.state = manager.run()
                seen, in_cluster = charm.seen, charm.cluster.is_member
                stored = cast("Any", charm.cluster._stored)  # pyright: ignore[reportPrivateUsage]
                assert stored.in_cluster is in_cluster
        except testing.errors.UncaughtCharmError as error:
            check([str(error), repr(error.__cause__)])
            raise
        finally:
            self._environment = {}
            log = "\n".join(f"{line.level} {line.message}" for line in context.juju_log)
            check([log])
        relations = cast("list[testing.Relation]", self.state.get_relations(ENDPOINT))
        bag = dict(relations[0].local_unit_data) if relations else {}
        check(value for key, value in bag.items() if not key.startswith("mirror-"))
        check(status.message for status in [self.state.unit_status, *context.unit_status_history])
        check(str(stored.content) for stored in self.state.stored_states)
        check(str(deferred.snapshot_data) for deferred in self.state.deferred)
        return Hook(
            calls=[line[len(COMMAND) :] for line in self.commands.calls[before:]],
            events=seen,
            bag=bag,
            in_cluster=in_cluster,
            status=(self.state.unit_status.name, self.state.unit_status.message),
            log=log,
            reads=set(self._reads),
            writes=len(self._writes),
        )

    def changed(self) -> Hook:
        """Run the hook about what the distributor's unit publishes."""
        return self.hook("relation_changed", remote_unit=0)

    def app_changed(self) -> Hook:
        """Run the hook about what the distributor's application publishes."""
        self._environment = {"JUJU_REMOTE_UNIT": ""}
        return self.hook("relation_changed")

    def departed(self, unit: str = "distributor/1") -> Hook:
        """Run the hook in which a unit departs, of the distributor or this one."""
        self._environment = {"JUJU_DEPARTING_UNIT": unit}
        return self.hook("relation_departed", remote_unit=0)

    def ask(self, question: Callable[[lib.TokenConsumer, ops.Relation], T]) -> T:
        """Have the charm's code ask the library something, before any event is handled."""
        context = testing.Context(self._charm, meta=META, app_name="micro", charm_root=self.root)
        with context(context.on.install(), self.state) as manager:
            charm = manager.charm
            relation = cast("ops.Relation", charm.model.get_relation(ENDPOINT))
            answer = question(charm.cluster, relation)
            self.state = manager.run()
        return answer

    def token_files(self) -> dict[str, str]:
        """Return the tokens on disk by file name."""
        files = (self.root / f".{ENDPOINT}-tokens").glob("*")
        return {file.name: file.read_text().strip() for file in files}

    def keep(self, name: str, text: str) -> None:
        """Have a token file, as an earlier hook is to have left it."""
        folder = self.root / f".{ENDPOINT}-tokens"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / name).write_text(text)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _watch(self, tool: str) -> list[str]:
        """Return a list that grows with each use of a hook tool, by the owner of what is read."""
        owners: list[str] = []
        backend: Any = mocking._MockModelBackend  # pyright: ignore[reportPrivateUsage]
        genuine = getattr(backend, tool)

        def watched(*args: Any, **options: Any) -> Any:
            owners.append(str(args[2]) if tool == "relation_get" else "")
            return genuine(*args, **options)

        self._monkeypatch.setattr(backend, tool, watched)
        return owners

    def _wrap_environment(self) -> None:
        """Let a hook be about an application, or this unit's departure; `ops.testing` cannot."""
        runtime: Any = _runtime.Runtime
        genuine = runtime._get_event_env

        def wrapped(*args: Any, **options: Any) -> dict[str, str]:
            return {**genuine(*args, **options), **self._environment}

        self._monkeypatch.setattr(runtime, "_get_event_env", wrapped)
