"""The consumer, event by event: what it runs, emits and writes into its databag."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import ops
import pytest
from ops import testing

import microcluster_token_distributor as lib
from microcluster_token_distributor import _wire
from tests.unit import consumer, runner
from tests.unit.consumer import BOOTSTRAP, JOIN, LIST, NO, TOKEN_0, TOKEN_1, TOKEN_2, members

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

NEWCOMER = {"hostname": "node-0", "member": "false"}
MEMBER = {"hostname": "node-0", "member": "true", "cluster": "node-0"}
ADD_1 = ("add", "node-1")

APP_CHANGED = "relation_changed of the application"
# The hooks in which there may be something to do, with their arguments.
EVENTS: dict[str, dict[str, Any]] = {
    "relation_changed": {"remote_unit": 0},
    APP_CHANGED: {},
    "relation_departed": {"remote_unit": 1, "departing_unit": 1},
    "upgrade_charm": {},
    "update_status": {},
}
every_event = pytest.mark.parametrize("event", EVENTS)


def run(unit: consumer.Unit, event: str) -> consumer.Hook:
    """Run one of `EVENTS`."""
    if event == "relation_departed":
        bags = {**unit.relation.remote_units_data, 1: {"mirror": "down"}}
        unit.relate(dataclasses.replace(unit.relation, remote_units_data=bags))
    if event == APP_CHANGED:
        return unit.app_changed()
    return unit.hook(event, **EVENTS.get(event, {}))


# A newcomer


def test_relation_created_reports_and_only_lists(unit: consumer.Unit) -> None:
    """Nothing can have been published yet."""
    hook = unit.hook("relation_created")

    assert hook.calls == [LIST]
    assert hook.events == []
    assert hook.bag == NEWCOMER
    assert hook.reads == {"micro/0"}
    assert hook.status == ("waiting", "waiting for the token distributor")


@every_event
def test_granted_unit_bootstraps_and_issues_in_one_hook(unit: consumer.Unit, event: str) -> None:
    """No other hook need follow for the others to get their tokens."""
    unit.write(**NEWCOMER)
    unit.publish(bootstrap_host="node-0", waiting="node-0 node-1 node-2")
    unit.lists(NO, members("node-0 PENDING ONLINE"))
    unit.expect(*BOOTSTRAP)
    unit.expect(*ADD_1, answers=[consumer.prints(TOKEN_1)])
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])

    hook = run(unit, event)

    assert hook.calls == [LIST, BOOTSTRAP, LIST, ADD_1, ("add", "node-2")]
    assert hook.events == [
        "prebootstrap",
        "bootstrapped",
        "joined as bootstrapper",
        "token_generated",
        "token_generated",
    ]
    tokens = {"mirror": "up", "mirror-node-1": TOKEN_1, "mirror-node-2": TOKEN_2}
    assert hook.bag == {**MEMBER, **tokens, "generation": "1"}
    assert hook.in_cluster
    assert hook.status == ("active", "")


@every_event
def test_newcomer_joins_with_its_token(unit: consumer.Unit, event: str) -> None:
    """And reports it at once."""
    unit.write(**NEWCOMER)
    unit.publish({"node-0": TOKEN_0, "node-2": TOKEN_2}, formed="true", waiting="node-0")
    unit.lists(NO, members("a-node", "node-0"))
    unit.expect(*JOIN)

    hook = run(unit, event)

    assert hook.calls == [LIST, JOIN, LIST]
    assert hook.events == ["prejoin", "joined"]
    assert hook.bag == {**MEMBER, "cluster": "a-node", "generation": "1"}
    assert hook.status == ("active", "")


def published(**app_bag: str) -> dict[str, Any]:
    """Make the arguments of `publish` from what an application publishes; `offer` is a token."""
    values = {"node-0": app_bag.pop("offer")} if "offer" in app_bag else {}
    return {"values": values, **app_bag}


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (published(), "waiting for a unit to be allowed to bootstrap"),
        (published(bootstrap_host="node-1"), "waiting for node-1 to bootstrap"),
        (published(formed="true", waiting="node-0"), "waiting for a token"),
        (published(formed="true", bootstrap_host="node-0"), "waiting for a token"),
        (published(offer="-x", formed="true"), "waiting for a token"),
        (
            published(offer=TOKEN_0, formed="true", hold="node-1"),
            "waiting to join: member node-1 is offline",
        ),
        (
            published(bootstrap_host="node-0", hold="node-2 node-1"),
            "waiting to join: members node-1, node-2 are offline",
        ),
    ],
)
@every_event
def test_newcomer_without_leave_or_token_waits(
    unit: consumer.Unit, event: str, shown: dict[str, Any], message: str
) -> None:
    """It runs nothing but `list`, and says what it waits for."""
    unit.publish(**shown)

    hook = run(unit, event)

    assert set(hook.calls) <= {LIST}
    assert hook.events == []
    assert hook.status == ("waiting", message)


def test_nobody_bootstraps_before_the_leaders_databag_is_seen(unit: consumer.Unit) -> None:
    """It might hold the tokens of a cluster that exists, as it does in the end here."""
    unit.publish({"node-1": TOKEN_1}, leader="3", bootstrap_host="node-0")
    before = unit.app_changed()
    bags: dict[int, Any] = {0: {}, 3: unit.relation.remote_units_data[0]}
    unit.relate(dataclasses.replace(unit.relation, remote_units_data=bags))

    after = unit.app_changed()

    assert before.events == after.events == []


def test_failed_join_is_tried_twice_then_at_each_update_status(unit: consumer.Unit) -> None:
    """A join that never works must not use up tokens without end."""
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    unit.expect(*JOIN, answers=[consumer.REFUSED])

    hooks = [run(unit, event) for event in [*["relation_changed"] * 3, *["update_status"] * 2]]
    again = unit.changed()

    assert [hook.calls.count(JOIN) for hook in [*hooks, again]] == [1, 1, 0, 1, 1, 0]
    assert {hook.bag["failed"] for hook in hooks} == {_wire.digest(TOKEN_0)}
    assert hooks[0].calls == [LIST, JOIN, LIST]
    assert hooks[0].bag == {**NEWCOMER, "failed": _wire.digest(TOKEN_0)}
    assert "ERROR node-0 cannot join the cluster: Error: refused" in hooks[0].log
    assert again.status == ("waiting", "join failed: Error: refused, to be tried again")


@pytest.mark.parametrize(
    ("after", "events", "is_failed"),
    [
        (members("node-0", "node-1"), ["prejoin", "joined"], False),
        (consumer.NO_QUORUM, ["prejoin"], True),
        (NO, ["prejoin"], True),
    ],
)
@pytest.mark.parametrize("ending", [consumer.REFUSED, runner.Answer(-9)])
def test_join_that_complains_may_have_worked(
    unit: consumer.Unit,
    ending: runner.Answer,
    after: runner.Answer,
    events: list[str],
    is_failed: bool,
) -> None:
    """A member is removed for the digest when it is not online, so the list decides."""
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    unit.lists(NO, after)
    unit.expect(*JOIN, answers=[ending])

    hook = unit.changed()

    assert hook.events == events
    assert hook.in_cluster is not is_failed
    assert ("failed" in hook.bag) == (after is NO)


def test_another_token_takes_the_digest_back(unit: consumer.Unit) -> None:
    """Or the distributor would replace the good one."""
    unit.write(**NEWCOMER, failed=_wire.digest(TOKEN_0))
    other = consumer.token("node-0", 2)
    unit.publish({"node-0": other}, formed="true", waiting="node-0", hold="node-1")

    hook = unit.changed()

    assert hook.bag == {**NEWCOMER, "generation": "1"}


def test_failed_bootstrap_is_tried_again(unit: consumer.Unit) -> None:
    """The grant stands until there is a member."""
    unit.publish(bootstrap_host="node-0", waiting="node-0")
    unit.expect(*BOOTSTRAP, answers=[consumer.REFUSED])

    hooks = [unit.changed(), unit.changed()]

    assert [hook.calls for hook in hooks] == [[LIST, BOOTSTRAP, LIST]] * 2
    assert hooks[0].events == ["prebootstrap"]
    assert hooks[0].bag == NEWCOMER
    assert "ERROR node-0 cannot bootstrap the cluster: Error: refused" in hooks[0].log


def test_grant_is_used_once_under_a_relation(unit: consumer.Unit) -> None:
    """A cluster that an operator took apart is not formed anew beside what is left of it."""
    grant: dict[str, Any] = {"bootstrap_host": "node-0", "waiting": "node-0"}
    unit.publish(**grant)
    unit.lists(NO, members("node-0"), NO)
    unit.expect(*BOOTSTRAP)

    hooks = [run(unit, event) for event in ["relation_changed", *["update_status"] * 3]]
    unit.publish(bootstrap_host="node-1")
    unit.changed()
    unit.publish(**grant)
    granted_anew = unit.changed()

    assert [hook.calls.count(BOOTSTRAP) for hook in hooks] == [1, 0, 0, 0]
    assert not hooks[-1].in_cluster
    assert granted_anew.calls.count(BOOTSTRAP) == 1


@pytest.mark.parametrize(
    ("died_at", "rows", "events"),
    [
        ("joined", ["a-node", "node-0"], ["joined"]),
        ("joined as bootstrapper", ["node-0"], ["bootstrapped", "joined as bootstrapper"]),
        ("joined as bootstrapper", ["a", "node-0"], ["bootstrapped", "joined as bootstrapper"]),
    ],
)
def test_event_lost_with_its_hook_is_emitted_by_the_next(
    unit: consumer.Unit, died_at: str, rows: list[str], events: list[str]
) -> None:
    """Nothing of the dead hook lasts, but the cluster has its member."""
    if died_at == "joined":
        unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    else:
        unit.publish(bootstrap_host="node-0", waiting="node-0")
    unit.lists(NO, members(*rows))
    unit.expect(*JOIN)
    unit.expect(*BOOTSTRAP)
    unit.use(fails_at=died_at)
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.changed()
    unit.use()

    hooks = [unit.changed(), unit.hook()]

    assert [hook.events for hook in hooks] == [events, []]
    assert hooks[0].calls == [LIST]
    assert hooks[0].bag["member"] == "true"


# A member


@pytest.mark.parametrize("event", ["relation_changed", "relation_departed"])
def test_member_reads_only_the_applications_databag(unit: consumer.Unit, event: str) -> None:
    """What it costs in a hook about the distributor's unit does not grow with the units."""
    unit.settle("node-0", "node-1 voter UNREACHABLE")
    unit.publish({"node-2": TOKEN_2}, waiting="node-2", left="node-1", formed="true")

    hook = run(unit, event)

    assert hook.reads == {"distributor"}
    assert hook.calls == []
    assert hook.writes == 0


@pytest.mark.parametrize("event", [APP_CHANGED, "relation_broken"])
def test_settled_member_runs_and_writes_nothing(unit: consumer.Unit, event: str) -> None:
    """There is nobody to serve, nobody to remove and nothing to take back."""
    unit.settle("node-0", "node-1")
    unit.publish({"node-0": "joined"}, formed="true")

    hook = run(unit, event)

    assert (hook.calls, hook.writes) == ([], 0)
    assert hook.reads <= {"distributor", "micro/0"}
    assert hook.in_cluster


@pytest.mark.parametrize("event", [APP_CHANGED, "upgrade_charm", "update_status"])
def test_communicator_removes_then_issues(unit: consumer.Unit, event: str) -> None:
    """The list is asked for again before a token is issued."""
    unit.settle("node-0", "node-1 voter UNREACHABLE")
    unit.publish(waiting="node-2", left="node-1 node-9", formed="true")
    unit.lists(members("node-0", "node-1 voter UNREACHABLE"), members("node-0"))
    unit.expect("remove", "node-1", "--force", answers=[consumer.REFUSED])
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])

    hook = run(unit, event)

    assert hook.calls == [LIST, ("remove", "node-1", "--force"), LIST, ("add", "node-2")]
    assert hook.events == ["token_generated"]
    assert hook.bag == {
        **MEMBER,
        "mirror": "up",
        "mirror-node-2": TOKEN_2,
        "gone": "node-1 node-9",
    }
    assert run(unit, event).writes == 0


@pytest.mark.parametrize(("event", "adds"), [(APP_CHANGED, 0), ("update_status", 1)])
def test_others_act_at_update_status_alone(unit: consumer.Unit, event: str, adds: int) -> None:
    """So that a communicator whose agent is dead stops nobody."""
    unit.settle("a-node", "node-0")
    unit.publish(waiting="node-1", formed="true")
    unit.expect(*ADD_1, answers=[consumer.prints(TOKEN_1)])

    hook = run(unit, event)

    assert hook.calls == [LIST, *[ADD_1] * adds]


@pytest.mark.parametrize("degraded", [False, True])
def test_member_offline_pauses_joins_unless_they_are_safe(
    unit: consumer.Unit, degraded: bool
) -> None:
    """A join would cost microcluster v2 its quorum."""
    unit.use(joins_while_degraded=degraded)
    unit.settle("node-0", "node-2 voter UNREACHABLE")
    unit.publish(waiting="node-1", formed="true")
    unit.expect(*ADD_1, answers=[consumer.prints(TOKEN_1)])

    hook = unit.app_changed()

    token = {"mirror": "up", "mirror-node-1": TOKEN_1}
    assert hook.bag == {**MEMBER, **(token if degraded else {"hold": "node-2"})}
    paused = "joins paused: member node-2 is offline"
    assert hook.status == ("active", "" if degraded else paused)


def test_hold_is_taken_back_with_a_trace(unit: consumer.Unit) -> None:
    """Juju 4 notifies nobody of a databag that is again what it was."""
    unit.settle("node-0", "node-1")
    down, up = members("node-0", "node-1 spare UNREACHABLE"), members("node-0", "node-1")
    unit.publish(formed="true")
    unit.lists(down, up, down)

    bags = [unit.hook().bag, unit.app_changed().bag, unit.hook().bag]

    assert bags == [
        {**MEMBER, "hold": "node-1"},
        {**MEMBER, "generation": "1"},
        {**MEMBER, "hold": "node-1", "generation": "1"},
    ]


def test_refused_add_costs_the_next_newcomer_nothing(unit: consumer.Unit) -> None:
    """Unless the cluster has stopped answering."""
    unit.settle()
    unit.publish(waiting="node-1 node-2", formed="true")
    unit.expect(*ADD_1, answers=[consumer.REFUSED])
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])
    unit.lists(members("node-0"), members("node-0"), members("node-0"), consumer.NO_QUORUM)

    served, silent = unit.app_changed(), unit.app_changed()

    assert served.calls == [LIST, ADD_1, LIST, ("add", "node-2")]
    assert "INFO no token for node-1: Error: refused" in served.log
    assert silent.calls == [LIST, ADD_1, LIST]
    assert served.bag["mirror-node-2"] == silent.bag["mirror-node-2"] == TOKEN_2


def test_newcomers_met_as_members_or_blocked_meanwhile_get_no_token(unit: consumer.Unit) -> None:
    """The list that follows a refusal may say so."""
    unit.settle()
    unit.publish(waiting="node-1 node-2 node-3", formed="true")
    unit.lists(members("node-0"), members("node-0", "node-2", "node-4 voter UNREACHABLE"))
    unit.expect(*ADD_1, answers=[consumer.REFUSED])

    assert unit.app_changed().calls == [LIST, ADD_1, LIST]


def test_token_is_published_until_it_is_used(unit: consumer.Unit) -> None:
    """Kept while a member of that name is not online: it may be half joined."""
    unit.use(joins_while_degraded=True)
    unit.settle()
    unit.publish(waiting="node-1", formed="true")
    unit.expect(*ADD_1, answers=[consumer.prints(TOKEN_1)])
    half, whole = members("node-0", "node-1 spare UNREACHABLE"), members("node-0", "node-1")
    unit.lists(members("node-0"), half, whole)

    bags = [unit.app_changed().bag for _ in range(3)]

    assert [bag.get("mirror-node-1") for bag in bags] == [TOKEN_1, TOKEN_1, None]
    assert bags[2] == {**MEMBER, "mirror": "down", "generation": "1"}
    assert unit.token_files() == {}


@pytest.mark.parametrize("was_online", [False, True])
def test_half_joined_member_is_removed_at_update_status(
    unit: consumer.Unit, was_online: bool
) -> None:
    """Unless it has been online since; what is published of its failure may be out of date."""
    half = members("node-0", "node-1 spare UNREACHABLE")
    unit.settle("node-0", "node-1 spare UNREACHABLE")
    unit.publish(waiting=f"node-1={_wire.digest(TOKEN_1)}", formed="true")
    unit.lists(members("node-0", "node-1") if was_online else half, half)
    unit.expect("remove", "node-1", "--force")

    first, *rest = unit.app_changed(), *(unit.hook() for _ in range(3))

    assert first.calls == [LIST]
    removed = any(("remove", "node-1", "--force") in hook.calls for hook in rest)
    assert removed is not was_online


def test_without_a_list_after_a_removal_nothing_is_issued(unit: consumer.Unit) -> None:
    """A removal can cost the quorum."""
    unit.settle("node-0", "node-1 voter UNREACHABLE")
    unit.publish(waiting="node-2", left="node-1", formed="true")
    unit.lists(members("node-0", "node-1 voter UNREACHABLE"), consumer.NO_QUORUM)
    unit.expect("remove", "node-1", "--force")

    hook = unit.hook()

    assert hook.calls == [LIST, ("remove", "node-1", "--force"), LIST]
    assert hook.bag == {**MEMBER, "hold": "node-0"}


def test_hidden_token_is_kept_for_later(unit: consumer.Unit) -> None:
    """The cluster refuses another for hours, and the newcomer may be back within them."""
    unit.settle()
    unit.keep("node-1", TOKEN_1)
    unit.publish(left="node-1", formed="true")
    hidden = unit.app_changed()
    unit.publish(waiting="node-1", formed="true")

    shown = unit.app_changed()

    assert "mirror-node-1" not in hidden.bag
    assert shown.bag["mirror-node-1"] == TOKEN_1
    assert shown.calls == [LIST]


def test_token_of_a_hook_that_died_is_published(unit: consumer.Unit) -> None:
    """The cluster would not issue another."""
    unit.settle()
    unit.publish(waiting="node-1", formed="true")
    unit.expect(*ADD_1, answers=[consumer.prints(TOKEN_1), consumer.REFUSED])
    unit.use(fails_at="token_generated")
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.app_changed()
    unit.use()

    hook = unit.app_changed()

    assert hook.calls == [LIST]
    assert hook.bag["mirror-node-1"] == TOKEN_1


# Answers that are in doubt


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (consumer.NO_QUORUM, "Error: no available dqlite leader server found"),
        (consumer.prints("oops"), "its list of members is not JSON"),
        (consumer.prints("[]"), "its list of members has an unknown shape"),
        (runner.Answer(-11), "killed by signal 11."),
        (runner.Answer(1, stderr="first\n last line \n\n"), "last line"),
        (runner.Answer(1, stderr="long " * 50), f"{'long ' * 23}lo..."),
    ],
)
@pytest.mark.parametrize("event", ["relation_created", *EVENTS])
def test_unknown_answer_changes_nothing(
    unit: consumer.Unit, event: str, answer: runner.Answer, reason: str
) -> None:
    """Neither is anything begun, nor taken back."""
    unit.lists(answer)
    unit.write(**NEWCOMER, failed=_wire.digest(TOKEN_1))
    unit.publish({"node-0": TOKEN_0}, bootstrap_host="node-0", waiting="node-0", formed="true")

    hook = run(unit, event)

    assert hook.calls == [LIST]
    assert (hook.events, hook.writes) == ([], 0)
    assert hook.status == ("waiting", f"cannot tell about the cluster: {reason}")
    assert "WARNING cannot list the members of the cluster: " in hook.log


def test_unit_that_never_could_tell_reports_unknown(unit: consumer.Unit) -> None:
    """Nobody may bootstrap before this is settled, so it asks again in the next hook."""
    unit.lists(consumer.NO_QUORUM, NO)

    hooks = [unit.hook("relation_created"), unit.changed()]

    assert [hook.bag["member"] for hook in hooks] == ["unknown", "false"]


def test_member_that_cannot_tell_keeps_all_it_reported(unit: consumer.Unit) -> None:
    """What holds newcomers back may still hold."""
    unit.settle()
    reported = {"hold": "node-2", "mirror": "up", "mirror-node-1": TOKEN_1, "gone": "node-3"}
    unit.write(**MEMBER, **reported)
    unit.publish(waiting="node-1", formed="true")
    unit.lists(consumer.NO_QUORUM)

    hook = unit.app_changed()

    assert (hook.calls, hook.writes) == ([LIST], 0)
    assert hook.in_cluster


def test_without_a_list_who_has_left_is_removed_at_update_status(unit: consumer.Unit) -> None:
    """A host that does not answer keeps the list from being had; newcomers are held back."""
    unit.settle()
    unit.publish(waiting="node-2", left="node-0 node-1", formed="true")
    unit.lists(consumer.NO_QUORUM)
    unit.expect("remove", "node-1", "--force", answers=[consumer.REFUSED])

    hooks = [unit.app_changed(), unit.hook()]

    assert [hook.calls for hook in hooks] == [
        [LIST],
        [LIST, ("remove", "node-1", "--force"), LIST],
    ]
    assert [hook.bag.get("hold") for hook in hooks] == [None, "node-0"]


@pytest.mark.parametrize("denial", [NO, members("a-node", "b-node")])
def test_member_believes_a_no_when_an_update_status_repeats_it(
    unit: consumer.Unit, denial: runner.Answer
) -> None:
    """A daemon that has just started says it for a moment."""
    unit.settle("node-0", "node-1")
    unit.write(**MEMBER, hold="node-1")
    unit.publish(formed="true")
    unit.lists(denial)

    hooks = [run(unit, event) for event in ["upgrade_charm", *EVENTS]]

    *doubted, last = hooks
    assert all(hook.in_cluster and hook.writes == 0 for hook in doubted)
    assert doubted[0].status[0] == "waiting"
    assert doubted[0].status[1].endswith("and is asked again at update-status")
    assert not last.in_cluster
    assert last.bag == {**NEWCOMER, "generation": "1"}


def test_a_no_that_is_not_repeated_is_forgotten(unit: consumer.Unit) -> None:
    """The next one is a first one again."""
    unit.settle("node-0", "node-1")
    unit.publish(formed="true")
    unit.lists(NO, members("node-0", "node-1"), NO, NO)

    hooks = [unit.hook() for _ in range(4)]

    assert [hook.in_cluster for hook in hooks] == [True, True, True, False]


def test_member_keeps_the_name_under_which_it_joined(unit: consumer.Unit) -> None:
    """Until it is no member any more."""
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    unit.lists(NO, members("a-node", "node-0"), members("a-node", "node-0"), NO)
    unit.expect(*JOIN)
    unit.changed()
    unit.rename("other")

    renamed, doubted, out = (unit.hook() for _ in range(3))

    assert [hook.bag["hostname"] for hook in (renamed, doubted, out)] == [
        "node-0",
        "node-0",
        "other",
    ]
    assert renamed.status == ("active", "")


# The relation


@pytest.mark.parametrize("event", ["upgrade_charm", "update_status", "install", "start", "stop"])
@pytest.mark.parametrize("in_cluster", [False, True])
def test_without_a_relation_nothing_is_run(
    unit: consumer.Unit, event: str, in_cluster: bool
) -> None:
    """Charms' tests patch `subprocess.run`, and there is nobody to report to."""
    unit.relate()
    unit.remember(in_cluster=in_cluster, hostname="node-0")

    hook = unit.hook(event)

    assert hook.calls == []
    assert hook.in_cluster is in_cluster
    if event == "update_status":
        text = "integrate with microcluster-token-distributor"
        assert hook.status == (("active", "") if in_cluster else ("blocked", text))


def test_when_the_relation_breaks_nothing_is_begun(unit: consumer.Unit) -> None:
    """What was published holds no longer."""
    unit.publish({"node-0": TOKEN_0}, bootstrap_host="node-0", formed="true")

    hook = unit.hook("relation_broken")

    assert (hook.calls, hook.events, hook.writes) == ([], [], 0)
    assert hook.status == ("blocked", "integrate with microcluster-token-distributor")


@pytest.mark.parametrize(
    ("units", "is_blocked"), [({}, False), ({0: {}}, True)], ids=["lingers", "counts"]
)
def test_two_distributors_block_unless_one_only_lingers(
    unit: consumer.Unit, units: dict[int, dict[str, str]], is_blocked: bool
) -> None:
    """Each could form a cluster of its own; what is left of a removed one cannot."""
    other = testing.Relation(
        "cluster", id=0, remote_app_name="other", remote_units_data=units, local_unit_data={}
    )
    unit.publish(formed="true")
    unit.relate(unit.relation, other)

    status = unit.hook().status

    blocked = ("blocked", "integrate with one token distributor, not with several")
    assert status == (blocked if is_blocked else ("waiting", "waiting for a token"))


@pytest.mark.parametrize("name", ["", "under_score", "1234", "a.1", "x" * 65, "--force", "a b"])
@every_event
def test_host_name_that_no_member_can_have_blocks(
    unit: consumer.Unit, name: str, event: str
) -> None:
    """No token would ever be issued for it."""
    unit.rename(name)
    unit.publish(formed="true", waiting=name, bootstrap_host=name)

    hook = run(unit, event)

    text = f"no member can have the host name {name!r}: rename this machine"
    assert hook.status == ("blocked", text)
    assert set(hook.calls) <= {LIST}


def test_departing_unit_begins_nothing(unit: consumer.Unit) -> None:
    """A unit that joined now would leave a dead member behind."""
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")

    hook = unit.departs()

    assert hook.calls == [LIST]
    assert (hook.events, hook.writes) == ([], 0)


# What charms pass in, and get


class Workload:
    """A microcluster without a command line, whose acts are recorded."""

    joins_while_degraded = True

    def __init__(self, rows: list[lib.Member]):
        self.rows = rows
        self.acts: list[tuple[object, ...]] = []

    def members(self) -> Sequence[lib.Member]:  # noqa: D102
        return self.rows

    def bootstrap(self, args: Sequence[str]) -> None:  # noqa: D102
        self.acts.append(("bootstrap", *args))
        self.rows = [lib.Member("node-0", "voter", "ONLINE")]

    def issue(self, name: str, path: pathlib.Path) -> None:  # noqa: D102
        self.acts.append(("issue", name))
        path.write_text(TOKEN_1)

    def join(self, token: str, args: Sequence[str]) -> None:  # noqa: D102
        consumer.check([])
        self.acts.append(("join", token == TOKEN_0, *args))
        raise lib.WorkloadError("first line\nlast line")

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:  # noqa: D102
        self.acts.append(("remove", name, *args, force))
        self.rows = [row for row in self.rows if row.name != name]


def test_workload_takes_the_place_of_commands(unit: consumer.Unit) -> None:
    """For charms whose microcluster has others, or none."""
    workload = Workload([])
    unit.use(workload=workload)
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    joining = unit.changed()
    unit.publish(bootstrap_host="node-0", waiting="node-0 node-1")
    bootstrapping = unit.changed()
    workload.rows = [*workload.rows, lib.Member("node-2", "", "off")]
    unit.publish(left="node-2", formed="true")
    unit.hook()
    unit.goal(micro_0="dying")
    unit.hook("remove")

    assert "ERROR node-0 cannot join the cluster: last line" in joining.log
    assert bootstrapping.bag["mirror-node-1"] == TOKEN_1
    assert workload.acts == [
        ("join", True, "--address", "192.0.2.7"),
        ("bootstrap", "--first"),
        ("issue", "node-1"),
        ("remove", "node-2", True),
        ("remove", "node-0", "--now", False),
    ]


@pytest.mark.parametrize("leader", ["0", ""])
def test_charm_finds_what_is_mirrored(unit: consumer.Unit, leader: str) -> None:
    """Whichever keys the distributor speaks."""

    def ask(library: lib.TokenConsumer, relation: ops.Relation) -> list[object]:
        return [
            [mirror.name for mirror in library.find_mirrors(relation)],
            library.any_data_exists(relation),
            library.find_value(relation, "central"),
            library.find_value(relation, "node-0"),
            library.find_value(relation, "node-0", keep_empty=False),
            library.find_value(relation, "nobody"),
            library.get_relevant_mirror_data(relation),
            library.get_relevant_mirror_data(relation, False),
        ]

    none = unit.ask(ask)
    unit.publish({"central": "192.0.2.1", "node-0": "empty"}, leader=leader)
    found = unit.ask(ask)

    central = {"central": "192.0.2.1"}
    assert none == [[], False, False, False, False, False, {}, {}]
    assert found[:3] == [["distributor/0"], True, "192.0.2.1"]
    assert found[3:] == ["empty", False, False, {**central, "node-0": "empty"}, central]


@pytest.mark.parametrize(("in_cluster", "mirror"), [(True, "up"), (False, None)])
def test_added_value_is_mirrored_once_its_unit_is_a_member(
    unit: consumer.Unit, in_cluster: bool, mirror: str | None
) -> None:
    """It stays there, whatever this library reports."""
    unit.remember(in_cluster=in_cluster, hostname="node-0")

    unit.ask(lambda c, r: c.add_to_mirror(r, {"central": "192.0.2.1", "port": "6642"}))
    added = dict(unit.relation.local_unit_data)
    unit.ask(lambda c, r: c.add_to_mirror(r, {"port": ""}))
    unit.lists(members("node-0"), consumer.NO_QUORUM, NO, NO)
    bags = [unit.hook().bag for _ in range(4)]

    assert added.get("mirror") == mirror
    assert {"mirror-central": "192.0.2.1", "mirror-port": "6642"}.items() <= added.items()
    assert [bag["mirror-central"] for bag in bags] == ["192.0.2.1"] * 4
    assert [bag["mirror"] for bag in bags] == ["up", "up", "up", "down"]
    assert "mirror-port" not in bags[0]


def test_value_added_when_joined_is_mirrored_at_once(unit: consumer.Unit) -> None:
    """The handler of `joined` is the natural place to do so."""
    unit.use(mirrored={"central": "192.0.2.7"})
    unit.publish({"node-0": TOKEN_0}, formed="true", waiting="node-0")
    unit.lists(NO, members("node-0", "node-1"))
    unit.expect(*JOIN)

    hook = unit.changed()

    assert hook.bag == {**MEMBER, "mirror": "up", "mirror-central": "192.0.2.7"}


# What an earlier library left behind


def test_member_of_an_earlier_library_is_told_nothing_new(unit: consumer.Unit) -> None:
    """Its databag gains what this library reports besides; its memory is `in_cluster` alone."""
    unit.remember(in_cluster=True)
    unit.lists(members("node-0"))
    old = {"hostname": "node-0", "mirror": "up", "mirror-node-1": TOKEN_1}
    unit.relate(dataclasses.replace(unit.relation, local_unit_data=old))
    unit.publish({"node-0": "joined", "node-1": TOKEN_1}, leader="", bootstrap_app="micro")

    hook = unit.hook("upgrade_charm")

    assert (hook.calls, hook.events) == ([LIST], [])
    assert hook.bag == {**old, **MEMBER}


def test_member_of_an_earlier_library_keeps_its_name(unit: consumer.Unit) -> None:
    """It is in its databag alone until this library remembers it."""
    unit.remember(in_cluster=True)
    unit.write(hostname="node-0")
    unit.publish(formed="true")
    unit.lists(members("node-0", "node-1"))
    unit.rename("other")

    hooks = [unit.hook("upgrade_charm"), unit.hook(), unit.hook()]

    assert [hook.bag["hostname"] for hook in hooks] == ["node-0"] * 3
    assert hooks[-1].in_cluster


@pytest.mark.parametrize("handler", ["_handle_relation_joined", "_on_cluster_changed"])
def test_deferred_event_of_an_earlier_library_is_borne(unit: consumer.Unit, handler: str) -> None:
    """Its handlers have no successors of their names."""
    deferred = testing.DeferredEvent(
        handle_path="Charm/on/cluster_relation_changed[1]",
        owner="Charm/TokenConsumer[cluster]",
        observer=handler,
        snapshot_data={
            "relation_name": "cluster",
            "relation_id": 1,
            "app_name": "distributor",
            "unit_name": "distributor/0",
        },
    )
    unit.state = dataclasses.replace(unit.state, deferred=[deferred])

    hook = unit.hook("upgrade_charm")

    assert hook.bag == NEWCOMER
    assert unit.state.deferred == []


def test_deferred_joined_keeps_who_bootstrapped(unit: consumer.Unit) -> None:
    """An earlier library kept nothing of it, which stands for no."""
    unit.use(defers=True)
    unit.publish(bootstrap_host="node-0", waiting="node-0")
    unit.lists(NO, members("node-0"))
    unit.expect(*BOOTSTRAP)
    unit.changed()
    again = unit.hook()
    old = [dataclasses.replace(event, snapshot_data={}) for event in unit.state.deferred]
    unit.state = dataclasses.replace(unit.state, deferred=old)
    unit.use()

    earlier = unit.hook()

    assert again.events == ["joined as bootstrapper"]
    assert earlier.events == ["joined"]


# A distributor that speaks the old keys


@pytest.mark.parametrize(
    ("leads", "app", "values", "calls"),
    [
        (True, "micro", {"node-0": "empty"}, [LIST, BOOTSTRAP, LIST]),
        (True, "", {"node-0": "empty"}, [LIST, BOOTSTRAP, LIST]),
        (True, "micro", {"node-0": "empty", "node-1": TOKEN_1}, [LIST]),
        (True, "micro", {"node-0": "empty", "node-1": "joined"}, [LIST]),
        (True, "micro", {"node-1": "empty"}, []),
        (True, "other", {"node-0": "empty"}, [LIST]),
        (False, "micro", {"node-0": "empty"}, [LIST]),
        (False, "other", {"node-0": TOKEN_0}, [LIST, JOIN, LIST]),
    ],
)
def test_newcomer_beside_an_old_distributor(
    unit: consumer.Unit, leads: bool, app: str, values: dict[str, str], calls: list[Any]
) -> None:
    """The leader of the application that is named bootstraps, while nothing shows a cluster."""
    unit.leads = leads
    unit.lists(NO, members("node-0"))
    unit.expect(*BOOTSTRAP)
    unit.expect(*JOIN)
    unit.publish(values, leader="", **({"bootstrap_app": app} if app else {}))

    assert unit.changed().calls == calls


def test_old_keys_of_a_new_distributor_grant_nothing(unit: consumer.Unit) -> None:
    """It writes them for old units, which do not know better."""
    unit.leads = True
    unit.publish({"node-0": "empty"}, bootstrap_app="micro", bootstrap_host="node-1")

    assert unit.changed().calls == [LIST]


def test_member_beside_an_old_distributor_issues_for_empty(unit: consumer.Unit) -> None:
    """As `empty` is all that such a distributor publishes of who waits."""
    unit.settle()
    unit.publish({"node-0": "joined", "node-1": "empty", "node-2": TOKEN_2}, leader="")
    unit.expect(*ADD_1, answers=[consumer.prints(TOKEN_1)])

    hook = unit.changed()

    assert hook.calls == [LIST, ADD_1]
    assert hook.bag == {**MEMBER, "mirror": "up", "mirror-node-1": TOKEN_1}
    unit.publish({"node-0": "joined", "node-1": TOKEN_1}, leader="")
    assert unit.changed().bag["mirror-node-1"] == TOKEN_1


def test_token_wins_where_old_distributors_units_differ(unit: consumer.Unit) -> None:
    """One of them may be behind, and one may mirror no more."""
    bags = {
        0: {"mirror": "down", "mirror-node-0": consumer.token("node-0", 2)},
        1: {"mirror": "up", "mirror-node-0": "empty"},
        2: {"mirror": "up", "mirror-node-0": TOKEN_0},
    }
    unit.relate(dataclasses.replace(unit.relation, remote_units_data=bags))
    unit.lists(NO, members("node-0", "node-1"))
    unit.expect(*JOIN)

    assert unit.changed().events == ["prejoin", "joined"]
