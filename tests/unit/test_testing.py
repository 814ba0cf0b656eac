"""What authors of charms test with: each relation has a real consumer do what its name says."""

from __future__ import annotations

import os

import ops
import ops.testing
import pytest

import microcluster_token_distributor as lib
from microcluster_token_distributor import testing

NAME = testing.HOSTNAME
TOKEN = testing.fake_token(NAME)
META = {"name": "micro", "requires": {"cluster": {"interface": "worker-cluster"}}}
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
    return ops.testing.Context(MicroCharm, meta=META)


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
        (testing.held("node-1", token=True), [], []),
    ],
    ids=["nothing_yet", "may_bootstrap", "offered_token", "held", "held with a token"],
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


@pytest.mark.parametrize("token", [False, True])
def test_newcomer_that_is_held_names_who_is_offline(token: bool) -> None:
    """In its status, with a token and without."""
    relation = testing.held("node-1", token=token)

    state, _ = run(testing.FakeWorkload(), relation)

    assert (lib.mirror_id(NAME) in relation.remote_units_data[0]) is token
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
        assert [each.name for each in cluster.workload.members()] == [NAME, "node-1"]


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


def test_failures_of_an_unknown_method_are_refused() -> None:
    """Misspelt, it would fail nothing."""
    workload = testing.FakeWorkload()
    workload.failures["add"] = "no route to host"

    with pytest.raises(ValueError, match="add"):
        workload.members()


def test_others_are_a_list() -> None:
    """A text would be a member for each letter."""
    with pytest.raises(TypeError, match="node-1"):
        testing.FakeWorkload("node-1")


@pytest.mark.parametrize("hook", ["config_changed", "update_status"])
def test_stored_membership_has_a_status(hook: str) -> None:
    """Also in hooks in which the library does nothing."""
    workload = testing.FakeWorkload(is_member=True)

    state, _ = run(workload, testing.member(), hook=hook, stored=True)

    assert state.unit_status == ops.ActiveStatus()


def test_stored_membership_is_what_a_unit_stores_as_it_joins() -> None:
    """Each of its values, under the same name."""
    (stored,) = (
        each
        for each in run(testing.FakeWorkload(), testing.offered_token())[0].stored_states
        if "TokenConsumer" in str(each.owner_path)
    )

    made = testing.stored_membership("MicroCharm")

    assert (made.name, made.owner_path) == (stored.name, stored.owner_path)
    assert made.content.items() <= stored.content.items()


@pytest.mark.parametrize("machine", ["node-1", "12345"])
def test_tests_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    """Whether it has the name of another member, or none that a member can have."""
    uname = os.uname_result(["Linux", machine, *os.uname()[2:]])
    monkeypatch.setattr(os, "uname", lambda: uname)
    workload = testing.FakeWorkload(["node-1"], hostname="here")

    state, _ = run(workload, testing.offered_token(hostname="here"))

    assert workload.calls[0][:2] == ("join", testing.fake_token("here"))
    assert state.unit_status == ops.ActiveStatus()
    with workload.installed():
        assert lib.get_hostname() == "here"
    assert lib.get_hostname() == machine


class SlowCharm(ops.CharmBase):
    """The charm of an author who needs more time."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        workload = lib.CommandWorkload(["slow"])
        workload.form_limit = 600
        self.cluster = lib.TokenConsumer(self, "cluster", workload=workload)


def test_workload_that_the_charm_makes_is_replaced_as_well() -> None:
    """However it comes by the class."""
    workload, relation = testing.FakeWorkload(), testing.may_bootstrap()
    this = ops.testing.Context(SlowCharm, meta=META)

    with workload.installed():
        this.run(this.on.update_status(), ops.testing.State(relations={relation}))

    assert workload.calls == [("bootstrap",)]


def test_member_leaves_in_its_remove_hook() -> None:
    """By its own name, and is no member afterwards."""
    workload = testing.FakeWorkload(["node-1"], is_member=True)

    run(workload, testing.member(), hook="remove", stored=True)

    assert (workload.calls, workload.is_member) == ([("remove", NAME)], False)
    assert workload.others == [lib.Member("node-1", "voter", "ONLINE")]


@pytest.mark.parametrize("failure", ["remove", "members"])
def test_member_that_cannot_leave_fails_its_hook_at_once(
    monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    """Where a real workload is asked for a while."""
    monkeypatch.setattr("time.sleep", None)
    workload = testing.FakeWorkload(["node-1"], is_member=True)
    workload.failures[failure] = "no route to host"

    with pytest.raises(ops.testing.errors.UncaughtCharmError) as caught:
        run(workload, testing.member(), hook="remove", stored=True)

    assert isinstance(caught.value.__cause__, lib.LeaveRefusedError)
    assert workload.is_member
