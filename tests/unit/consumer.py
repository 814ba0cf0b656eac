"""One unit of a charm that forms a microcluster, run hook by hook, and the tokens of its tests."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import ops
from ops import testing

import microcluster_token_distributor as lib
from microcluster_token_distributor.testing import fake_token
from tests.unit import runner

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping

    import pytest

COMMAND = ("micro", "cluster")
META = {"name": "micro", "requires": {"cluster": {"interface": "worker-cluster"}}}


def token(hostname: str, number: int = 1) -> str:
    """Return a join token, always the same for the same arguments."""
    return fake_token(hostname if number == 1 else f"{hostname} {number}")


TOKEN_0, TOKEN_1, TOKEN_2 = token("node-0"), token("node-1"), token("node-2")

LIST = ("list", "-f", "json")
BOOTSTRAP = ("bootstrap", "--first")
JOIN = ("join", TOKEN_0, "--address", "192.0.2.7")
DONE = runner.Answer()
NO = runner.Answer(1, stderr="Error: Database is not yet initialized")
NO_QUORUM = runner.Answer(1, stderr="Error: no available dqlite leader server found")
REFUSED = runner.Answer(1, stderr="Error: refused")

# What a unit reports that has nothing more to report.
NEWCOMER = {"hostname": "node-0", "member": "false"}
MEMBER = {"hostname": "node-0", "member": "true", "cluster": "node-0"}


def check(texts: Iterable[str]) -> None:
    """Fail where a text holds a long part of a token; a digest is in lower case."""
    runs = (run for text in texts for run in re.findall(r"[A-Za-z0-9]{40,}", text))
    assert all(run == run.lower() for run in runs), "a token is shown"


def members(*rows: str) -> runner.Answer:
    """Return what `list` prints, given a name for an online voter, or `name role status`."""
    full = [row.split() if " " in row else [row, "voter", "ONLINE"] for row in rows]
    text = json.dumps([{"name": n, "role": r, "status": s} for n, r, s in full])
    return runner.Answer(0, text)


class Charm(ops.CharmBase):
    """Built as the charms in the field are."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.cluster = lib.TokenConsumer(self, "cluster", list(COMMAND))
        self.cluster.bootstrap_args_func = lambda: ["--first"]
        self.cluster.join_args_func = lambda: ["--address", "192.0.2.7"]
        self.cluster.leave_args_func = lambda: ["--now"]
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

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


class Unit:
    """The unit `micro/0` on `node-0`, no member, beside a distributor that publishes nothing."""

    def __init__(
        self, root: pathlib.Path, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch
    ):
        self.root, self.commands = root, commands
        self._monkeypatch = monkeypatch
        # Nobody waits: whoever looks at the clock finds that a second has passed.
        monkeypatch.setattr(time, "monotonic", itertools.count().__next__)
        monkeypatch.setattr(time, "sleep", mock.Mock())
        relation = testing.Relation("cluster", remote_app_name="distributor", local_unit_data={})
        self.state = testing.State(relations=[relation])
        self.rename("node-0")
        self.lists(NO)

    # What there is

    def rename(self, hostname: str) -> None:
        """Have its machine go by another host name."""
        uname = os.uname_result(("Linux", hostname, "6.8.0", "#1 SMP", "x86_64"))
        self._monkeypatch.setattr(os, "uname", lambda: uname)

    def expect(self, *words: str, answers: Iterable[runner.Answer] = (DONE,)) -> None:
        """Allow a command, and say how it answers in turn, the last one for good."""
        self.commands.expect(*COMMAND, *words, answers=list(answers))

    def lists(self, *answers: runner.Answer) -> None:
        """Say how `list` answers in turn, the last one for good."""
        self.expect(*LIST, answers=answers)

    def set(self, **fields: Any) -> None:
        """Change what the model keeps of the unit."""
        self.state = dataclasses.replace(self.state, **fields)

    @property
    def relation(self) -> testing.Relation:
        """Its first relation."""
        return cast("testing.Relation", min(self.state.relations, key=lambda each: each.id))

    def relate(self, *relations: testing.Relation) -> None:
        """Have these relations and no others."""
        self.set(relations=relations)

    def change(self, **bags: Any) -> None:
        """Have its only relation hold something else."""
        self.relate(dataclasses.replace(self.relation, **bags))

    def publish(
        self, values: Mapping[str, str] | None = None, *, leader: str = "0", **app_bag: str
    ) -> None:
        """Have the distributor mirror values; one with the old keys has no `leader`."""
        app = {key.replace("_", "-"): value for key, value in app_bag.items()}
        mirrored = {lib.mirror_id(key): value for key, value in (values or {}).items()}
        self.change(
            remote_units_data={0: {"mirror": "up", **mirrored}},
            remote_app_data={**app, "leader": leader},
        )

    def offer(self, *, ends: runner.Answer = DONE) -> None:
        """Have a token published for it, with which joining ends in some way."""
        self.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
        self.expect(*JOIN, answers=[ends])

    def grant(self, *, ends: runner.Answer = DONE, waiting: str = "node-0") -> None:
        """Have it be the one that may bootstrap, which ends in some way."""
        self.publish(bootstrap_host="node-0", waiting=waiting)
        self.expect(*BOOTSTRAP, answers=[ends])

    def remember(self, **content: object) -> None:
        """Have the library remember something from an earlier hook."""
        owner = "Charm/TokenConsumer[cluster]"
        stored = testing.StoredState(name="_stored", owner_path=owner, content=content)
        self.set(stored_states={stored})

    def settle(self, *rows: str, **app_bag: str) -> None:
        """Make it a member, with others, that has reported all there is; rows as for `members`."""
        self.remember(in_cluster=True, hostname="node-0")
        self.lists(members(*(rows or ["node-0"])))
        self.change(local_unit_data=MEMBER)
        self.publish(None, formed="true", **app_bag)

    # What happens

    def hook(self, kind: str = "update_status", /, **about: Any) -> Hook:
        """Run one hook, named as in `ops.testing`; relation events are of the first relation."""
        context = testing.Context(Charm, meta=META, charm_root=self.root)
        if kind.startswith("relation_"):
            about = {"relation": self.relation, **about}
        before = len(self.commands.calls)
        with context(getattr(context.on, kind)(**about), self.state) as manager:
            self.state = manager.run()
            in_cluster = manager.charm.cluster.is_member
        bag = dict(self.relation.local_unit_data) if self.state.relations else {}
        check(value for key, value in bag.items() if not key.startswith("mirror-"))
        status, statuses = self.state.unit_status, context.unit_status_history
        check(map(str, [status, *statuses, *self.state.stored_states, *self.state.deferred]))
        return Hook(
            calls=[line[len(COMMAND) :] for line in self.commands.calls[before:]],
            events=[
                event.handle.kind + " as bootstrapper" * getattr(event, "bootstrapper", False)
                for event in context.emitted_events
                if type(event).__module__.startswith(lib.__name__)
            ],
            bag=bag,
            in_cluster=in_cluster,
            status=(status.name, status.message),
        )

    def changed(self) -> Hook:
        """Run the hook about what the distributor's unit publishes."""
        return self.hook("relation_changed", remote_unit=0)

    # Tokens on disk

    def token_files(self) -> dict[str, str]:
        """Return the tokens on disk by file name."""
        return {
            file.name: file.read_text().strip()
            for file in (self.root / ".cluster-tokens").glob("*")
        }

    def keep(self, name: str, text: str) -> None:
        """Have a token file, as an earlier hook is to have left it."""
        path = self.root / ".cluster-tokens" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
