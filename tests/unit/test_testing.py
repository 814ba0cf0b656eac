"""What authors of charms test with, beyond what `docs/how-to/use-in-a-charm.md` shows."""

from __future__ import annotations

import os
from typing import Any

import ops
import ops.testing
import pytest

import microcluster_token_distributor as lib
from microcluster_token_distributor import testing
from tests.unit import consumer


class PatientCharm(consumer.Charm):
    """The charm of an author whose newcomers need more time."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.cluster.add_args_func = lambda: ["--timeout", "600"]


def run(
    workload: testing.FakeWorkload, relation: ops.testing.Relation, hook: str = "", **state: Any
) -> ops.testing.State:
    """Run one hook, update-status if no other, and return the state after it."""
    context = ops.testing.Context(PatientCharm, meta=consumer.META)
    event = getattr(context.on, hook or "update_status")()
    with workload.installed():
        return context.run(event, ops.testing.State(relations=[relation], **state))


MEMBER: dict[str, Any] = {"stored_states": [testing.stored_membership(PatientCharm)]}


def test_member_issues_the_tokens_that_it_is_asked_for() -> None:
    """And publishes them."""
    workload = testing.FakeWorkload(is_member=True)
    relation = testing.asked_for_tokens("node-1")

    state = run(workload, relation, **MEMBER)

    assert workload.calls == [("issue", "node-1", "--timeout", "600")]
    bag = state.get_relation(relation.id).local_unit_data
    assert bag[lib.mirror_id("node-1")] == testing.fake_token("node-1")


@pytest.mark.parametrize("hook", ["config_changed", "update_status"])
def test_stored_membership_is_what_a_unit_stores_as_it_joins(hook: str) -> None:
    """Each of its values, under the same name; the status, too, if the library does nothing."""
    joined = run(testing.FakeWorkload(), testing.offered_token()).stored_states
    [stored] = [each for each in joined if "TokenConsumer" in str(each.owner_path)]
    [made] = MEMBER["stored_states"]

    workload = testing.FakeWorkload(["node-1"], is_member=True)
    state = run(workload, testing.member(), hook, **MEMBER)

    assert (made.name, made.owner_path) == (stored.name, stored.owner_path)
    assert made.content.items() <= stored.content.items()
    assert (workload.calls, state.unit_status) == ([], ops.ActiveStatus())


def test_misspelt_failures_and_a_text_for_a_list_are_refused() -> None:
    """The one would fail nothing, the other be a member for each letter."""
    workload = testing.FakeWorkload()
    workload.failures["add"] = "no route to host"

    with pytest.raises(ValueError, match="add"):
        workload.members()
    with pytest.raises(TypeError, match="node-1"):
        testing.FakeWorkload("node-1")


@pytest.mark.parametrize("machine", ["node-1", "12345"])
def test_tests_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    """Whether it has the name of another member, or none that a member can have."""
    uname = os.uname_result(["Linux", machine, *os.uname()[2:]])
    monkeypatch.setattr(os, "uname", lambda: uname)
    workload = testing.FakeWorkload(["node-1"], hostname="here")

    state = run(workload, testing.offered_token(hostname="here"))

    assert workload.calls[0][:2] == ("join", testing.fake_token("here"))
    assert state.unit_status == ops.ActiveStatus()
    assert lib.get_hostname() == machine


@pytest.mark.parametrize("failure", ["remove", "members"])
def test_member_that_cannot_leave_fails_its_hook_at_once(
    monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    """Where a real workload is asked for a while."""
    monkeypatch.setattr("time.sleep", None)
    workload = testing.FakeWorkload(["node-1"], is_member=True)
    workload.failures[failure] = "no route to host"

    with pytest.raises(ops.testing.errors.UncaughtCharmError) as caught:
        run(workload, testing.member(), "remove", **MEMBER)

    assert isinstance(caught.value.__cause__, lib.LeaveRefusedError)
    assert workload.is_member
