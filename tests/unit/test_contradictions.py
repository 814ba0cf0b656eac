"""What a unit does where answers and relations contradict each other."""

from __future__ import annotations

import pytest

from tests.unit import consumer, runner
from tests.unit.consumer import BOOTSTRAP, JOIN, LIST, MEMBER, NO, TOKEN_0, members


@pytest.mark.parametrize("answer", [NO, members("node-1", "node-2")])
def test_a_denial_removes_nobody(unit: consumer.Unit, answer: runner.Answer) -> None:
    """A list can be had: it is no dead host that keeps it back."""
    unit.settle("node-0", "node-1")
    unit.publish(left="node-1", formed="true")
    unit.lists(answer)

    assert unit.hook().calls == [LIST]


def test_the_next_membership_has_to_be_denied_twice_again(unit: consumer.Unit) -> None:
    unit.settle("node-0", "node-1")
    unit.publish(formed="true", waiting="node-0")
    unit.lists(NO)
    unit.hook()
    unit.hook()
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    unit.lists(NO, members("node-0", "node-1"))
    unit.expect(*JOIN)
    assert unit.changed().in_cluster
    unit.publish(formed="true")
    unit.lists(NO)

    assert unit.hook().in_cluster


@pytest.mark.parametrize(
    ("command", "token", "host"), [(JOIN, TOKEN_0, ""), (BOOTSTRAP, "", "node-0")]
)
def test_a_list_that_lags_behind_denies_nothing(
    unit: consumer.Unit, command: tuple[str, ...], token: str, host: str
) -> None:
    """The command has worked, and the list does not show it yet."""
    tokens = {"node-0": token} if token else {}
    unit.publish(tokens, bootstrap_host=host, waiting="node-0", formed="" if host else "true")
    unit.expect(*command)
    unit.lists(NO, NO)

    hook = unit.changed()

    assert hook.in_cluster
    assert hook.bag["member"] != "false"


def test_a_second_relation_takes_nothing_back_and_is_forgotten_when_it_ends(
    unit: consumer.Unit,
) -> None:
    unit.settle("node-0")
    unit.publish(left="node-9", formed="true")
    unit.write(**MEMBER, gone="node-9")
    other = unit.other_relation(2, "other")
    unit.relate(unit.relation, other)

    created = unit.hook("relation_created", relation=other)
    broken = unit.hook("relation_broken", relation=unit.state.get_relation(2))

    assert (created.bag["gone"], created.status[0]) == ("node-9", "blocked")
    assert broken.status == ("active", "")


def test_who_is_offered_a_token_never_bootstraps(unit: consumer.Unit) -> None:
    """A token shows a cluster, though it looks like no other, and joins have failed."""
    unit.publish({"node-0": "other-form"}, bootstrap_host="node-0", waiting="node-0")
    unit.expect("join", "other-form", *JOIN[2:], answers=[consumer.REFUSED])
    unit.expect(*BOOTSTRAP)

    assert all(BOOTSTRAP not in unit.changed().calls for _ in range(3))
