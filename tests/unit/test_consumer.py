"""The consumer, hook by hook: what the scenarios do not show, or not each case of."""

from __future__ import annotations

from typing import Any

import pytest
from ops import testing

import microcluster_token_distributor as lib
from microcluster_token_distributor import _wire
from tests.unit import consumer, runner
from tests.unit.consumer import (
    BOOTSTRAP,
    DONE,
    JOIN,
    LIST,
    MEMBER,
    NEWCOMER,
    NO,
    NO_QUORUM,
    REFUSED,
    TOKEN_0,
    TOKEN_1,
    TOKEN_2,
    members,
)

ADD_1, ADD_2 = ("add", "node-1"), ("add", "node-2")
REMOVE_1 = ("remove", "node-1", "--force")
LEAVE = ("remove", "node-0", "--now")
ONE_DOWN = ("node-0", "node-1 voter UNREACHABLE")
TWO = members("node-0", "node-1")


def test_granted_unit_bootstraps_and_issues_in_one_hook(unit: consumer.Unit) -> None:
    """No other hook need follow for the others to get their tokens."""
    unit.grant(waiting="node-0 node-1 node-2")
    unit.lists(NO, members("node-0 PENDING ONLINE"))
    unit.expect(*ADD_1, answers=[runner.Answer(0, TOKEN_1)])
    unit.expect(*ADD_2, answers=[runner.Answer(0, TOKEN_2)])

    hook = unit.changed()

    assert hook.calls == [LIST, BOOTSTRAP, LIST, ADD_1, ADD_2]
    formed = ["prebootstrap", "bootstrapped", "joined as bootstrapper"]
    assert hook.events == [*formed, "token_generated", "token_generated"]
    tokens = {"mirror": "up", "mirror-node-1": TOKEN_1, "mirror-node-2": TOKEN_2}
    assert (hook.bag, hook.status) == ({**MEMBER, **tokens}, ("active", ""))


def test_nobody_bootstraps_before_the_leaders_databag_is_seen(unit: consumer.Unit) -> None:
    """It might hold the tokens of a cluster that exists, as it does in the end here."""
    unit.grant()
    unit.publish({"node-1": TOKEN_1}, leader="3", bootstrap_host="node-0", waiting="node-0")
    before = unit.hook()
    unit.change(remote_units_data={0: {}, 3: unit.relation.remote_units_data[0]})

    after = unit.hook()

    assert before.events == after.events == []


def test_who_is_offered_a_token_never_bootstraps(unit: consumer.Unit) -> None:
    """A token shows a cluster, though it looks like no other, and joins have failed."""
    unit.publish({"node-0": "other-form"}, bootstrap_host="node-0", waiting="node-0")
    unit.expect("join", "other-form", *JOIN[2:], answers=[REFUSED])
    unit.expect(*BOOTSTRAP)

    assert all(BOOTSTRAP not in unit.changed().calls for _ in range(3))


@pytest.mark.parametrize(
    ("ending", "after", "expected"),
    [
        (DONE, NO, {"member": "unknown"}),  # the list lags behind
        (REFUSED, TWO, MEMBER),
        (REFUSED, NO_QUORUM, {"member": "unknown"}),
        (REFUSED, NO, {"member": "false", "failed": _wire.digest(TOKEN_0)}),
    ],
)
def test_list_decides_whether_a_join_has_worked(
    unit: consumer.Unit, ending: runner.Answer, after: runner.Answer, expected: dict[str, str]
) -> None:
    """A member is removed for the digest when it is not online."""
    unit.offer(ends=ending)
    unit.lists(NO, after)

    hook = unit.changed()

    assert hook.bag == {"hostname": "node-0", **expected}
    assert hook.in_cluster is (DONE is ending or after is TWO)


def test_grant_is_used_once_under_a_relation(unit: consumer.Unit) -> None:
    """A cluster that an operator took apart is not formed anew beside what is left of it."""
    unit.grant()
    unit.lists(NO, members("node-0"), NO)

    hooks = [unit.hook() for _ in range(4)]
    relation = unit.relation
    unit.relate()
    unit.hook()
    unit.relate(relation)
    hooks.append(unit.changed())

    assert [hook.calls.count(BOOTSTRAP) for hook in hooks] == [1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("rows", "granted", "events"),
    [
        (["a-node", "node-0"], False, ["joined"]),
        (["a-node", "node-0"], True, ["bootstrapped", "joined as bootstrapper"]),
        (["node-0"], False, ["bootstrapped", "joined as bootstrapper"]),
    ],
)
def test_event_lost_with_its_hook_is_emitted_by_the_next(
    unit: consumer.Unit, rows: list[str], granted: bool, events: list[str]
) -> None:
    """Nothing of the dead hook lasts, but the cluster has its member."""
    unit.grant() if granted else unit.offer()
    unit.lists(members(*rows))

    hooks = [unit.changed(), unit.hook()]

    assert [hook.events for hook in hooks] == [events, []]
    assert (hooks[0].calls, hooks[0].bag["member"]) == ([LIST], "true")


def test_member_does_nothing_in_hooks_about_the_distributors_unit(unit: consumer.Unit) -> None:
    """What they cost does not grow with the units."""
    unit.settle(*ONE_DOWN, waiting="node-2", left="node-1")
    unit.expect(*REMOVE_1)

    assert unit.changed().calls == []


@pytest.mark.parametrize("was_online", [False, True])
def test_half_joined_member_is_removed_at_update_status(
    unit: consumer.Unit, was_online: bool
) -> None:
    """Unless it has been online since; what is published of its failure may be out of date."""
    unit.settle(*ONE_DOWN, waiting=f"node-1={_wire.digest(TOKEN_1)}")
    unit.lists(TWO if was_online else members(*ONE_DOWN), members(*ONE_DOWN))
    unit.expect(*REMOVE_1)

    first, *rest = [unit.hook("upgrade_charm"), *(unit.hook() for _ in range(3))]

    assert first.calls == [LIST]
    assert any(REMOVE_1 in hook.calls for hook in rest) is not was_online


@pytest.mark.parametrize(
    ("after", "calls"),
    [
        (members("node-0"), [LIST, ADD_1, LIST, ADD_2]),
        (NO_QUORUM, [LIST, ADD_1, LIST]),
        (members("node-0", "node-2"), [LIST, ADD_1, LIST]),
        (members("node-0", "node-3 spare OFF"), [LIST, ADD_1, LIST]),
    ],
    ids=["as before", "stops answering", "has joined", "one is down"],
)
def test_refused_add_costs_the_next_newcomer_nothing(
    unit: consumer.Unit, after: runner.Answer, calls: list[Any]
) -> None:
    """Unless the list that follows calls for it."""
    unit.settle(waiting="node-1 node-2")
    unit.lists(members("node-0"), after)
    unit.expect(*ADD_1, answers=[REFUSED])
    unit.expect(*ADD_2, answers=[runner.Answer(0, TOKEN_2)])

    assert unit.hook().calls == calls


def test_token_is_published_until_it_is_used(unit: consumer.Unit) -> None:
    """Kept while a member of that name is not online: it may be half joined."""
    unit.settle(waiting="node-1")
    unit.expect(*ADD_1, answers=[runner.Answer(0, TOKEN_1)])
    unit.lists(members("node-0"), members(*ONE_DOWN), TWO)

    bags = [unit.hook().bag for _ in range(3)]

    assert [bag.get("mirror-node-1") for bag in bags] == [TOKEN_1, TOKEN_1, None]
    assert bags[2] == {**MEMBER, "mirror": "down", "generation": "1"}
    assert unit.token_files() == {}


def test_unit_that_never_could_tell_asks_again_in_the_next_hook(unit: consumer.Unit) -> None:
    """Nobody may bootstrap before this is settled."""
    unit.lists(NO_QUORUM, NO)

    hooks = [unit.hook("relation_created"), unit.changed()]

    assert [hook.bag["member"] for hook in hooks] == ["unknown", "false"]
    reason = "cannot tell about the cluster: Error: no available dqlite leader server found"
    assert hooks[0].status == ("waiting", reason)


@pytest.mark.parametrize("answer", [NO_QUORUM, NO, members("node-1", "node-2")])
def test_without_a_list_who_has_left_is_removed_at_update_status(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """A host that does not answer keeps the list from being had. A denial is no such thing."""
    unit.settle(waiting="node-2", left="node-0 node-1")
    unit.lists(answer)
    unit.expect(*REMOVE_1, answers=[REFUSED])

    hooks = [unit.hook("upgrade_charm"), unit.hook()]

    removal = [REMOVE_1, LIST] if answer is NO_QUORUM else []
    assert [hook.calls for hook in hooks] == [[LIST], [LIST, *removal]]


@pytest.mark.parametrize("denial", [NO, members("a-node", "b-node")])
def test_member_believes_a_no_when_an_update_status_repeats_it(
    unit: consumer.Unit, denial: runner.Answer
) -> None:
    """A daemon that has just started says it for a moment. The next membership is as sure."""
    unit.settle()
    unit.lists(denial)
    doubted = [unit.hook("upgrade_charm") for _ in range(2)]
    out = unit.hook()
    unit.offer()
    unit.lists(NO, TWO, denial)
    back = [unit.changed(), unit.hook()]

    assert all(hook.in_cluster for hook in [*doubted, *back])
    assert [hook.bag for hook in doubted] == [MEMBER] * 2
    assert doubted[0].status[1].endswith("it is asked again at update-status")
    assert out.bag == {**NEWCOMER, "generation": "1"}


@pytest.mark.parametrize("event", ["upgrade_charm", "relation_broken", "update_status"])
@pytest.mark.parametrize("in_cluster", [False, True])
def test_without_a_relation_nothing_is_run(
    unit: consumer.Unit, event: str, in_cluster: bool
) -> None:
    """Charms' tests patch `subprocess.run`, and there is nobody to report to."""
    unit.offer()
    unit.remember(in_cluster=in_cluster, hostname="node-0")
    if event != "relation_broken":
        unit.relate()

    hook = unit.hook(event)

    assert (hook.calls, hook.events, hook.in_cluster) == ([], [], in_cluster)
    blocked = ("blocked", "integrate with microcluster-token-distributor")
    assert hook.status == (("active", "") if in_cluster else blocked)


def test_two_distributors_block(unit: consumer.Unit) -> None:
    """Each could form a cluster of its own. Meanwhile the first counts."""
    unit.settle(left="node-9")
    unit.relate(unit.relation, testing.Relation("cluster", remote_app_name="other"))

    hook = unit.hook()

    text = "integrate with one token distributor, not with several"
    assert (hook.bag["gone"], hook.status) == ("node-9", ("blocked", text))


@pytest.mark.parametrize(
    ("leads", "app", "values", "leader", "calls"),
    [
        (True, "micro", {"node-0": "empty"}, "", [LIST, BOOTSTRAP, LIST]),
        (True, "", {"node-0": "empty"}, "", [LIST, BOOTSTRAP, LIST]),
        (True, "micro", {"node-0": "empty", "node-1": TOKEN_1}, "", [LIST]),
        (True, "micro", {"node-0": "empty", "node-1": "joined"}, "", [LIST]),
        (True, "micro", {"node-1": "empty"}, "", []),
        (True, "other", {"node-0": "empty"}, "", [LIST]),
        (False, "micro", {"node-0": "empty"}, "", [LIST]),
        (True, "micro", {"node-0": "empty"}, "0", [LIST]),
        (False, "other", {"node-0": TOKEN_0}, "", [LIST, JOIN, LIST]),
    ],
)
def test_newcomer_beside_a_distributor_with_old_keys(
    unit: consumer.Unit, leads: bool, app: str, values: Any, leader: str, calls: list[Any]
) -> None:
    """Its application's leader bootstraps, while nothing shows a cluster or a new distributor."""
    unit.grant()
    unit.offer()
    unit.lists(NO, members("node-0"))
    unit.publish(values, leader=leader, bootstrap_app=app)
    unit.set(leader=leads)

    assert unit.changed().calls == calls


def test_member_leaves_by_its_own_name(unit: consumer.Unit) -> None:
    """Related or not, with the charm's arguments. The daemon may be restarting meanwhile."""
    unit.settle()
    unit.lists(NO_QUORUM, TWO, NO_QUORUM, NO)
    unit.expect(*LEAVE)
    unit.rename("other")
    unit.relate()

    hook = unit.hook("remove")

    assert (hook.calls, hook.events) == ([LIST, LIST, LEAVE, LIST, LIST], ["preleave"])
    assert not hook.in_cluster


def refusal(unit: consumer.Unit) -> str:
    """Run the `remove` hook, which fails, and return why."""
    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")
    assert isinstance(caught.value.__cause__, lib.LeaveRefusedError)
    return str(caught.value.__cause__).removeprefix("node-0 cannot leave the cluster yet: ")


@pytest.mark.parametrize(
    ("answer", "refused", "reason"),
    [
        (TWO, 2, "Error: refused"),
        (members(*ONE_DOWN), 2, "Error: refused"),
        (NO_QUORUM, 2, "Error: refused"),
        (TWO, 7, "Error: refused"),
        (members(*ONE_DOWN), 7, "member node-1 is offline"),
        (NO_QUORUM, 7, "Error: no available dqlite leader server found"),
    ],
)
def test_where_no_unit_of_its_application_stays_a_refused_member_goes(
    unit: consumer.Unit, answer: runner.Answer, refused: int, reason: str
) -> None:
    """Beside another application later, and it does not try without a list or a member."""
    unit.settle(shared="true" if refused > 2 else "")
    unit.hook()
    unit.set(planned_units=0)
    unit.lists(answer)
    unit.expect(*LEAVE, answers=[REFUSED])

    assert {refusal(unit) for _ in range(refused)} == {reason}

    unit.set(planned_units=1)  # a newcomer
    assert not unit.hook("remove").in_cluster
    tried = (*consumer.COMMAND, *LEAVE) in unit.commands.calls
    assert tried is (reason == "Error: refused")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (TWO, "Error: refused"),
        (members(*ONE_DOWN), "member node-1 is offline"),
        (NO_QUORUM, "Error: no available dqlite leader server found"),
    ],
)
def test_refused_member_stays_while_another_unit_does(
    unit: consumer.Unit, answer: runner.Answer, reason: str
) -> None:
    """However often; nor do these refusals count when the others are removed too."""
    unit.settle()
    unit.lists(answer)
    unit.expect(*LEAVE, answers=[REFUSED])

    assert {refusal(unit) for _ in range(9)} == {reason}

    tried = (*consumer.COMMAND, *LEAVE) in unit.commands.calls
    assert tried is (reason == "Error: refused")
    unit.set(planned_units=0)
    assert refusal(unit) == "Error: refused"


@pytest.mark.parametrize("has_joined", [False, True])
def test_departing_unit_begins_nothing(unit: consumer.Unit, has_joined: bool) -> None:
    """It would leave a dead member behind. But where it joined in a hook that died, it leaves."""
    unit.offer()
    unit.lists(*[TWO, TWO] if has_joined else [], NO)
    unit.expect(*LEAVE)
    # In `ops.testing` a unit of the other side departs, so both go by one name.
    unit.change(remote_app_name="micro")

    departed = unit.hook("relation_departed", remote_unit=0)
    removed = unit.hook("remove")

    assert (departed.calls, departed.events) == ([LIST], [])
    assert removed.calls == ([LIST, LEAVE, LIST] if has_joined else [])
