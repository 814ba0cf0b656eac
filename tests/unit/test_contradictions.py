"""What a unit does where answers and relations contradict each other."""

from __future__ import annotations

import pytest
from ops import testing

from tests.unit import consumer, runner
from tests.unit.consumer import BOOTSTRAP, JOIN, LIST, NO, TOKEN_0, members

MEMBER = {"hostname": "node-0", "member": "true", "cluster": "node-0"}


def second_relation() -> testing.Relation:
    """Return a relation with another distributor."""
    return testing.Relation(
        "cluster",
        id=2,
        remote_app_name="other",
        remote_units_data={0: {}},
        local_unit_data={},
    )


@pytest.mark.parametrize("answer", [NO, members("node-1", "node-2")])
def test_a_denial_removes_nobody(unit: consumer.Unit, answer: runner.Answer) -> None:
    """A list can be had: it is no dead host that keeps it back."""
    unit.settle("node-0", "node-1")
    unit.publish(left="node-1", formed="true")
    unit.lists(answer)

    hook = unit.hook()

    assert hook.calls == [LIST]


def test_a_denial_of_an_earlier_membership_is_forgotten(unit: consumer.Unit) -> None:
    """The next membership has to be denied twice again."""
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

    hook = unit.hook()

    assert hook.in_cluster


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


def test_the_status_forgets_a_second_relation(unit: consumer.Unit) -> None:
    """As soon as it is gone."""
    unit.settle("node-0")
    unit.publish(formed="true")
    unit.relate(unit.relation, second_relation())
    assert unit.hook().status[0] == "blocked"

    hook = unit.hook("relation_broken", relation=unit.state.get_relation(2))

    assert hook.status == ("active", "")


def test_a_refused_leave_always_has_a_reason(unit: consumer.Unit) -> None:
    """Where the command worked, and no list can be had since."""
    unit.settle("node-0", "node-1")
    unit.lists(members("node-0", "node-1"), consumer.NO_QUORUM)
    unit.goal(micro_0="dying", micro_1="active")
    unit.expect("remove", "node-0", "--now")

    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")

    assert not str(caught.value.__cause__).endswith(": ")


def test_a_second_relation_takes_nothing_back(unit: consumer.Unit) -> None:
    """What was reported on the first one stands."""
    unit.settle("node-0")
    unit.publish(left="node-9", formed="true")
    unit.write(**MEMBER, gone="node-9")
    other = second_relation()
    unit.relate(unit.relation, other)

    hook = unit.hook("relation_created", relation=other)

    assert hook.bag["gone"] == "node-9"


def test_who_is_offered_a_token_never_bootstraps(unit: consumer.Unit) -> None:
    """A token shows a cluster, though it looks like no other, and joins have failed."""
    unit.publish({"node-0": "other-form"}, bootstrap_host="node-0", waiting="node-0")
    unit.expect("join", "other-form", "--address", "192.0.2.7", answers=[consumer.REFUSED])
    unit.expect(*BOOTSTRAP)
    hooks = [unit.changed() for _ in range(3)]
    assert BOOTSTRAP not in hooks[-1].calls
