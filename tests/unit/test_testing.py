"""What authors of charms test with: each relation has a real consumer do what its name says."""

from __future__ import annotations

import ops
import ops.testing
import pytest

import microcluster_token_distributor as lib
from microcluster_token_distributor import testing

NAME = lib.get_hostname()
TOKEN = testing.fake_token(NAME)
OFFLINE = lib.Member("node-1", "voter", "UNREACHABLE")


class MicroCharm(ops.CharmBase):
    """The charm of an author."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.cluster = lib.TokenConsumer(self, "cluster", ["microovn", "cluster"])
        self.cluster.join_args_func = lambda: ["--address", "192.0.2.1"]
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(self.cluster.status)


def context() -> ops.testing.Context[MicroCharm]:
    """Return a context of the charm."""
    meta = {"name": "micro", "requires": {"cluster": {"interface": "worker-cluster"}}}
    return ops.testing.Context(MicroCharm, meta=meta)


def run(
    workload: testing.FakeWorkload,
    relation: ops.testing.Relation,
    *,
    hook: str = "update_status",
    stored: bool = False,
) -> tuple[ops.testing.State, list[str]]:
    """Run one hook; return the state after it and the library's events."""
    memory = (
        {testing.stored_membership("MicroCharm")} if stored else set[ops.testing.StoredState]()
    )
    state = ops.testing.State(relations={relation}, stored_states=memory)
    with workload.installed():
        this = context()
        state = this.run(getattr(this.on, hook)(), state)
    events = [e.handle.kind for e in this.emitted_events if "Cluster" in type(e).__name__]
    return state, events


@pytest.mark.parametrize(
    ("relation", "calls", "events"),
    [
        (testing.nothing_yet(), [], []),
        (
            testing.may_bootstrap(),
            [("bootstrap",)],
            ["prebootstrap", "bootstrapped", "joined"],
        ),
        (
            testing.offered_token(),
            [("join", TOKEN, "--address", "192.0.2.1")],
            ["prejoin", "joined"],
        ),
        (testing.held("node-1"), [], []),
    ],
    ids=["nothing_yet", "may_bootstrap", "offered_token", "held"],
)
def test_newcomer_does_what_the_relation_asks(
    relation: ops.testing.Relation, calls: list[tuple[str, ...]], events: list[str]
) -> None:
    """And reports whether it is a member now."""
    workload = testing.FakeWorkload()

    state, emitted = run(workload, relation)

    assert (workload.calls, emitted, workload.is_member) == (calls, events, bool(calls))
    bag = state.get_relation(relation.id).local_unit_data
    assert bag["member"] == ("true" if calls else "false")


def test_newcomer_that_is_held_names_who_is_offline() -> None:
    """In its status."""
    state, _ = run(testing.FakeWorkload(), testing.held("node-1"))

    assert state.unit_status == ops.WaitingStatus("waiting to join: member node-1 is offline")


def test_member_has_nothing_to_do() -> None:
    """It remembers that it has joined, and finds shared values."""
    relation = testing.member(mirrored={"central": "node-1"})
    workload = testing.FakeWorkload(["node-1"], is_member=True)

    state, events = run(workload, relation, stored=True)

    assert (workload.calls, events, state.unit_status) == ([], [], ops.ActiveStatus())
    this = context()
    with workload.installed(), this(this.on.update_status(), state) as manager:
        cluster = manager.charm.cluster
        (related,) = manager.charm.model.relations["cluster"]
        assert cluster.find_value(related, "central") == "node-1"
        assert cluster.workload is workload


def test_member_that_stored_nothing_emits_joined() -> None:
    """As in the hook after one that died."""
    _, events = run(testing.FakeWorkload(["node-1"], is_member=True), testing.member())

    assert events == ["joined"]


def test_member_issues_the_tokens_that_it_is_asked_for() -> None:
    """And publishes them."""
    workload = testing.FakeWorkload(is_member=True)
    relation = testing.asked_for_tokens("node-1", "node-2")

    state, _ = run(workload, relation, stored=True)

    assert workload.calls == [("issue", "node-1"), ("issue", "node-2")]
    bag = state.get_relation(relation.id).local_unit_data
    assert bag[lib.mirror_id("node-1")] == testing.fake_token("node-1")


def test_member_issues_nothing_while_another_is_offline() -> None:
    """The members can be changed between hooks."""
    workload = testing.FakeWorkload(is_member=True)
    workload.others = [OFFLINE]

    run(workload, testing.asked_for_tokens("node-2"), stored=True)

    assert workload.calls == []


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("join", "join failed: no route to host, to be tried again"),
        ("members", "cannot tell about the cluster: no route to host"),
    ],
)
def test_workload_fails_as_it_is_told(method: str, status: str) -> None:
    """A failed join is in the history, and joins nothing."""
    workload = testing.FakeWorkload()
    workload.failures[method] = "no route to host"

    state, _ = run(workload, testing.offered_token())

    assert (state.unit_status, workload.is_member) == (ops.WaitingStatus(status), False)
    assert [call[0] for call in workload.calls] == ["join"] * (method == "join")


def test_member_leaves_in_its_remove_hook() -> None:
    """By its own name, and is no member afterwards."""
    workload = testing.FakeWorkload(["node-1"], is_member=True)

    run(workload, testing.member(), hook="remove", stored=True)

    assert (workload.calls, workload.is_member) == ([("remove", NAME)], False)
    assert workload.others == [lib.Member("node-1", "voter", "ONLINE")]
