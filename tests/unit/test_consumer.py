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
from tests.unit.consumer import (
    BOOTSTRAP,
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

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Sequence

ADD_1, ADD_2 = ("add", "node-1"), ("add", "node-2")
REMOVE_1 = ("remove", "node-1", "--force")
ONE_DOWN = ("node-0", "node-1 voter UNREACHABLE")

# The hooks in which there may be something to do; the last one is the most curious.
EVENTS: dict[str, Callable[[consumer.Unit], consumer.Hook]] = {
    "changed": consumer.Unit.changed,
    "app changed": consumer.Unit.app_changed,
    "departed": consumer.Unit.departed,
    "upgrade": lambda unit: unit.hook("upgrade_charm"),
    "update-status": lambda unit: unit.hook("update_status"),
}
every_event = pytest.mark.parametrize("event", EVENTS)


def run(unit: consumer.Unit, *events: str) -> list[consumer.Hook]:
    """Run some of `EVENTS`."""
    return [EVENTS[event](unit) for event in events]


# A newcomer


def test_relation_created_reports_and_only_lists(unit: consumer.Unit) -> None:
    """Nothing can have been published yet."""
    hook = unit.hook("relation_created")

    assert (hook.calls, hook.events) == ([LIST], [])
    assert hook.bag == NEWCOMER
    assert hook.status == ("waiting", "waiting for the token distributor")


@every_event
def test_granted_unit_bootstraps_and_issues_in_one_hook(unit: consumer.Unit, event: str) -> None:
    """No other hook need follow for the others to get their tokens."""
    unit.write(**NEWCOMER)
    unit.grant(waiting="node-0 node-1 node-2")
    unit.lists(NO, members("node-0 PENDING ONLINE"))
    unit.issues("node-1", "node-2")

    [hook] = run(unit, event)

    assert hook.calls == [LIST, BOOTSTRAP, LIST, ADD_1, ADD_2]
    formed = ["prebootstrap", "bootstrapped", "joined as bootstrapper"]
    assert hook.events == [*formed, "token_generated", "token_generated"]
    tokens = {"mirror": "up", "mirror-node-1": TOKEN_1, "mirror-node-2": TOKEN_2}
    assert hook.bag == {**MEMBER, **tokens, "generation": "1"}
    assert (hook.in_cluster, hook.status) == (True, ("active", ""))


@every_event
def test_newcomer_joins_with_its_token(unit: consumer.Unit, event: str) -> None:
    """And reports it at once, with what its charm has mirrored when told."""
    unit.use(mirrored={"central": "192.0.2.7"})
    unit.write(**NEWCOMER)
    unit.offer()
    unit.lists(NO, members("a-node", "node-0"))

    [hook] = run(unit, event)

    assert (hook.calls, hook.events) == ([LIST, JOIN, LIST], ["prejoin", "joined"])
    mirrored = {"mirror": "up", "mirror-central": "192.0.2.7"}
    assert hook.bag == {**MEMBER, **mirrored, "cluster": "a-node", "generation": "1"}
    assert hook.status == ("active", "")


@pytest.mark.parametrize(
    ("values", "app_bag", "message"),
    [
        ({}, {}, "waiting for a unit to be allowed to bootstrap"),
        ({}, {"bootstrap_host": "node-1"}, "waiting for node-1 to bootstrap"),
        ({}, {"bootstrap_host": "node-0", "formed": "true"}, "waiting for a token"),
        ({"node-0": "-x"}, {"formed": "true"}, "waiting for a token"),
        ({"node-0": TOKEN_0}, {"hold": "node-1"}, "waiting to join: member node-1 is offline"),
    ],
)
@every_event
def test_newcomer_without_leave_or_token_waits(
    unit: consumer.Unit, event: str, values: Any, app_bag: dict[str, str], message: str
) -> None:
    """It runs nothing but `list`, and says what it waits for."""
    unit.publish(values, waiting="node-0", **app_bag)

    [hook] = run(unit, event)

    assert (set(hook.calls) <= {LIST}, hook.events) == (True, [])
    assert hook.status == ("waiting", message)


def test_nobody_bootstraps_before_the_leaders_databag_is_seen(unit: consumer.Unit) -> None:
    """It might hold the tokens of a cluster that exists, as it does in the end here."""
    unit.grant()
    unit.publish({"node-1": TOKEN_1}, leader="3", bootstrap_host="node-0", waiting="node-0")
    before = unit.app_changed()
    bags: dict[int, Any] = {0: {}, 3: unit.relation.remote_units_data[0]}
    unit.change(remote_units_data=bags)

    after = unit.app_changed()

    assert before.events == after.events == []


def test_failed_join_is_tried_twice_then_at_each_update_status(unit: consumer.Unit) -> None:
    """A join that never works must not use up tokens without end."""
    unit.offer(ends=REFUSED)

    hooks = run(unit, *["changed"] * 3, "update-status", "update-status", "changed")

    assert [hook.calls.count(JOIN) for hook in hooks] == [1, 1, 0, 1, 1, 0]
    assert hooks[0].calls == [LIST, JOIN, LIST]
    assert hooks[0].bag == hooks[-1].bag == {**NEWCOMER, "failed": _wire.digest(TOKEN_0)}
    assert "ERROR node-0 cannot join the cluster: Error: refused" in hooks[0].log
    assert hooks[-1].status == ("waiting", "join failed: Error: refused, to be tried again")


@pytest.mark.parametrize("after", [members("node-0", "node-1"), NO_QUORUM, NO])
@pytest.mark.parametrize("ending", [REFUSED, runner.Answer(-9)])
def test_join_that_complains_may_have_worked(
    unit: consumer.Unit, ending: runner.Answer, after: runner.Answer
) -> None:
    """A member is removed for the digest when it is not online, so the list decides."""
    unit.offer(ends=ending)
    unit.lists(NO, after)

    hook = unit.changed()

    joined = after.returncode == 0
    assert hook.events == ["prejoin", *["joined"] * joined]
    assert (hook.in_cluster, "failed" in hook.bag) == (joined, after is NO)


def test_failed_bootstrap_is_tried_again(unit: consumer.Unit) -> None:
    """The grant stands until there is a member."""
    unit.grant(ends=REFUSED)

    first, second = run(unit, "changed", "changed")

    assert first.calls == second.calls == [LIST, BOOTSTRAP, LIST]
    assert (first.events, first.bag) == (["prebootstrap"], NEWCOMER)
    assert "ERROR node-0 cannot bootstrap the cluster: Error: refused" in first.log


def test_grant_is_used_once_under_a_relation(unit: consumer.Unit) -> None:
    """A cluster that an operator took apart is not formed anew beside what is left of it."""
    unit.grant()
    unit.lists(NO, members("node-0"), NO)

    hooks = run(unit, "changed", *["update-status"] * 3)
    relation = unit.relation
    unit.relate()
    unit.hook("update_status")
    unit.relate(relation)
    hooks.append(unit.changed())

    assert [hook.calls.count(BOOTSTRAP) for hook in hooks] == [1, 0, 0, 0, 1]
    assert not hooks[3].in_cluster


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
    unit.lists(NO, members(*rows))
    unit.use(fails_at="joined as bootstrapper" if granted else "joined")
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.changed()
    unit.use()

    hooks = [unit.changed(), unit.hook()]

    assert [hook.events for hook in hooks] == [events, []]
    assert (hooks[0].calls, hooks[0].bag["member"]) == ([LIST], "true")


# A member


@pytest.mark.parametrize("event", ["changed", "departed"])
def test_member_reads_only_the_applications_databag(unit: consumer.Unit, event: str) -> None:
    """What it costs in a hook about the distributor's unit does not grow with the units."""
    unit.settle(*ONE_DOWN, waiting="node-2", left="node-1")

    [hook] = run(unit, event)

    assert (hook.reads, hook.calls, hook.writes) == ({"distributor"}, [], 0)


def test_settled_member_runs_and_writes_nothing(unit: consumer.Unit) -> None:
    """There is nobody to serve, nobody to remove and nothing to take back."""
    unit.settle("node-0", "node-1")

    changed, broken = unit.app_changed(), unit.hook("relation_broken")

    assert (changed.calls, changed.writes) == (broken.calls, broken.writes) == ([], 0)
    assert changed.reads == {"distributor", "micro/0"}
    assert broken.in_cluster


@pytest.mark.parametrize("event", ["app changed", "upgrade", "update-status"])
def test_communicator_removes_then_issues(unit: consumer.Unit, event: str) -> None:
    """The list is asked for again before a token is issued."""
    unit.settle(*ONE_DOWN, waiting="node-2", left="node-1 node-9")
    unit.lists(members(*ONE_DOWN), members("node-0"))
    unit.expect(*REMOVE_1, answers=[REFUSED])
    unit.issues("node-2")

    hook, again = run(unit, event, event)

    assert (hook.calls, hook.events) == ([LIST, REMOVE_1, LIST, ADD_2], ["token_generated"])
    mirrored = {"mirror": "up", "mirror-node-2": TOKEN_2}
    assert hook.bag == {**MEMBER, **mirrored, "gone": "node-1 node-9"}
    assert again.writes == 0


@pytest.mark.parametrize("was_online", [False, True])
def test_half_joined_member_is_removed_at_update_status(
    unit: consumer.Unit, was_online: bool
) -> None:
    """Unless it has been online since; what is published of its failure may be out of date."""
    unit.settle(*ONE_DOWN, waiting=f"node-1={_wire.digest(TOKEN_1)}")
    unit.lists(
        members("node-0", "node-1") if was_online else members(*ONE_DOWN), members(*ONE_DOWN)
    )
    unit.expect(*REMOVE_1)

    first, *rest = run(unit, "app changed", *["update-status"] * 3)

    assert first.calls == [LIST]
    assert any(REMOVE_1 in hook.calls for hook in rest) is not was_online


def test_without_a_list_after_a_removal_nothing_is_issued(unit: consumer.Unit) -> None:
    """A removal can cost the quorum."""
    unit.settle(*ONE_DOWN, waiting="node-2", left="node-1")
    unit.lists(members(*ONE_DOWN), NO_QUORUM)
    unit.expect(*REMOVE_1)

    hook = unit.hook()

    assert hook.calls == [LIST, REMOVE_1, LIST]
    assert hook.bag == {**MEMBER, "hold": "node-0"}


def test_others_act_at_update_status_alone(unit: consumer.Unit) -> None:
    """So that a communicator whose agent is dead stops nobody."""
    unit.settle("a-node", "node-0", waiting="node-1")
    unit.issues("node-1")

    hooks = run(unit, "app changed", "update-status")

    assert [hook.calls for hook in hooks] == [[LIST], [LIST, ADD_1]]


@pytest.mark.parametrize("degraded", [False, True])
def test_member_offline_pauses_joins_unless_they_are_safe(
    unit: consumer.Unit, degraded: bool
) -> None:
    """A join would cost microcluster v2 its quorum."""
    unit.use(joins_while_degraded=degraded)
    unit.settle(*ONE_DOWN, waiting="node-2")
    unit.issues("node-2")

    hook = unit.app_changed()

    token = {"mirror": "up", "mirror-node-2": TOKEN_2, "offline": "node-1"}
    assert hook.bag == {**MEMBER, **(token if degraded else {"hold": "node-1"})}
    paused = "joins paused: member node-1 is offline"
    assert hook.status == ("active", "" if degraded else paused)


def test_hold_is_taken_back_with_a_trace(unit: consumer.Unit) -> None:
    """Juju 4 notifies nobody of a databag that is again what it was."""
    unit.settle()
    unit.lists(members(*ONE_DOWN), members("node-0", "node-1"), members(*ONE_DOWN))

    bags = [hook.bag for hook in run(unit, "update-status", "app changed", "update-status")]

    extras = [{"hold": "node-1"}, {"generation": "1"}, {"hold": "node-1", "generation": "1"}]
    assert bags == [{**MEMBER, **extra} for extra in extras]


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
    unit.issues("node-2")

    hook = unit.app_changed()

    assert hook.calls == calls
    assert "INFO no token for node-1: Error: refused" in hook.log


def test_token_is_published_until_it_is_used(unit: consumer.Unit) -> None:
    """Kept while a member of that name is not online: it may be half joined."""
    unit.settle(waiting="node-1")
    unit.issues("node-1")
    unit.lists(members("node-0"), members(*ONE_DOWN), members("node-0", "node-1"))

    bags = [unit.app_changed().bag for _ in range(3)]

    assert [bag.get("mirror-node-1") for bag in bags] == [TOKEN_1, TOKEN_1, None]
    assert bags[2] == {**MEMBER, "mirror": "down", "generation": "1"}
    assert unit.token_files() == {}


def test_token_is_kept_though_hidden_or_its_hook_died(unit: consumer.Unit) -> None:
    """The cluster refuses another for hours, and the newcomer may be back within them."""
    unit.settle(waiting="node-1")
    unit.expect(*ADD_1, answers=[consumer.prints(TOKEN_1), REFUSED])
    unit.use(fails_at="token_generated")
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.app_changed()
    unit.use()

    after, hidden = unit.app_changed(), []
    unit.publish(left="node-1", formed="true")
    hidden = unit.app_changed()
    unit.publish(waiting="node-1", formed="true")
    back = unit.app_changed()

    hooks = [after, hidden, back]
    assert [hook.calls for hook in hooks] == [[LIST]] * 3
    assert [hook.bag.get("mirror-node-1") for hook in hooks] == [TOKEN_1, None, TOKEN_1]


# Answers that are in doubt


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NO_QUORUM, "Error: no available dqlite leader server found"),
        (consumer.prints("oops"), "its list of members cannot be read"),
        (runner.Answer(1, stderr="first\n last line \n\n"), "last line"),
        (runner.Answer(1, stderr="long " * 50), f"{'long ' * 23}lo..."),
    ],
)
@every_event
def test_unknown_answer_changes_nothing(
    unit: consumer.Unit, event: str, answer: runner.Answer, reason: str
) -> None:
    """Neither is anything begun, nor taken back."""
    unit.offer(bootstrap_host="node-0")
    unit.lists(answer)
    unit.write(**NEWCOMER, failed=_wire.digest(TOKEN_1))

    [hook] = run(unit, event)

    assert (hook.calls, hook.events, hook.writes) == ([LIST], [], 0)
    assert hook.status == ("waiting", f"cannot tell about the cluster: {reason}")
    assert "WARNING cannot list the members of the cluster: " in hook.log


def test_unit_that_never_could_tell_reports_unknown(unit: consumer.Unit) -> None:
    """Nobody may bootstrap before this is settled, so it asks again in the next hook."""
    unit.lists(NO_QUORUM, NO)

    hooks = [unit.hook("relation_created"), unit.changed()]

    assert [hook.bag["member"] for hook in hooks] == ["unknown", "false"]


def test_without_a_list_who_has_left_is_removed_at_update_status(unit: consumer.Unit) -> None:
    """A host that does not answer keeps the list from being had; newcomers are held back."""
    unit.settle(waiting="node-2", left="node-0 node-1")
    unit.lists(NO_QUORUM)
    unit.expect(*REMOVE_1, answers=[REFUSED])

    hooks = run(unit, "app changed", "update-status")

    assert [hook.calls for hook in hooks] == [[LIST], [LIST, REMOVE_1, LIST]]
    assert [hook.bag.get("hold") for hook in hooks] == [None, "node-0"]


@pytest.mark.parametrize("denial", [NO, members("a-node", "b-node")])
def test_member_believes_a_no_when_an_update_status_repeats_it(
    unit: consumer.Unit, denial: runner.Answer
) -> None:
    """A daemon that has just started says it for a moment."""
    unit.settle()
    unit.lists(denial, members("node-0"), denial)

    started, *_ = run(unit, "update-status", "update-status")
    *doubted, last = run(unit, "upgrade", *EVENTS)

    assert all(hook.in_cluster and hook.writes == 0 for hook in [started, *doubted])
    assert doubted[0].status[0] == "waiting"
    assert doubted[0].status[1].endswith("it is asked again at update-status")
    assert not last.in_cluster
    assert last.bag == {**NEWCOMER, "generation": "1"}


def test_member_keeps_the_name_under_which_it_joined(unit: consumer.Unit) -> None:
    """Until it is no member any more."""
    unit.offer()
    unit.lists(NO, members("a-node", "node-0"), members("a-node", "node-0"), NO)
    unit.changed()
    unit.rename("other")

    renamed, doubted, out = run(unit, *["update-status"] * 3)

    names = [hook.bag["hostname"] for hook in (renamed, doubted, out)]
    assert names == ["node-0", "node-0", "other"]
    assert renamed.status == ("active", "")


# The relation


@pytest.mark.parametrize("event", ["upgrade_charm", "install", "start", "stop", "update_status"])
@pytest.mark.parametrize("in_cluster", [False, True])
def test_without_a_relation_nothing_is_run(
    unit: consumer.Unit, event: str, in_cluster: bool
) -> None:
    """Charms' tests patch `subprocess.run`, and there is nobody to report to."""
    unit.relate()
    unit.remember(in_cluster=in_cluster, hostname="node-0")

    hooks = [unit.hook(event), unit.hook()]

    assert [hook.calls for hook in hooks] == [[], []]
    assert hooks[1].in_cluster is in_cluster
    blocked = ("blocked", "integrate with microcluster-token-distributor")
    assert hooks[1].status == (("active", "") if in_cluster else blocked)


def test_when_the_relation_breaks_nothing_is_begun(unit: consumer.Unit) -> None:
    """What was published holds no longer."""
    unit.offer(bootstrap_host="node-0")

    hook = unit.hook("relation_broken")

    assert (hook.calls, hook.events, hook.writes) == ([], [], 0)
    assert hook.status == ("blocked", "integrate with microcluster-token-distributor")


def test_departing_unit_begins_nothing(unit: consumer.Unit) -> None:
    """A unit that joined now would leave a dead member behind."""
    unit.offer()

    hook = unit.departed("micro/0")

    assert (hook.calls, hook.events, hook.writes) == ([LIST], [], 0)


@pytest.mark.parametrize("units", [{}, {0: {}}], ids=["lingers", "counts"])
def test_two_distributors_block_unless_one_only_lingers(unit: consumer.Unit, units: Any) -> None:
    """Each could form a cluster of its own; what is left of a removed one cannot."""
    unit.publish(formed="true")
    unit.relate(unit.relation, unit.other_relation(0, "other", units))

    status = unit.hook().status

    blocked = ("blocked", "integrate with one token distributor, not with several")
    assert status == (blocked if units else ("waiting", "waiting for a token"))


@pytest.mark.parametrize("name", ["", "under_score", "1234", "a.1", "x" * 65, "--force", "a b"])
@every_event
def test_host_name_that_no_member_can_have_blocks(
    unit: consumer.Unit, name: str, event: str
) -> None:
    """No token would ever be issued for it."""
    unit.rename(name)
    unit.publish(waiting=name, bootstrap_host=name)

    [hook] = run(unit, event)

    text = f"no member can be called {name!r}: rename this machine"
    assert hook.status == ("blocked", text)
    assert set(hook.calls) <= {LIST}


# What charms pass in, and get


class Workload:
    """A microcluster without a command line, whose acts are recorded."""

    joins_while_degraded = True

    def __init__(self) -> None:
        self.rows: list[lib.Member] = []
        self.acts: list[tuple[object, ...]] = []

    def members(self) -> Sequence[lib.Member]:
        return self.rows

    def bootstrap(self, args: Sequence[str]) -> None:
        self.acts.append(("bootstrap", *args))
        self.rows = [lib.Member("node-0", "voter", "ONLINE")]

    def issue(self, name: str, path: pathlib.Path, args: Sequence[str] = ()) -> None:
        self.acts.append(("issue", name, *args))
        path.write_text(TOKEN_1)

    def join(self, token: str, args: Sequence[str]) -> None:
        self.acts.append(("join", token == TOKEN_0, *args))
        raise lib.WorkloadError("first line\nlast line")

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        self.acts.append(("remove", name, *args, force))
        self.rows = [row for row in self.rows if row.name != name]


def test_workload_takes_the_place_of_commands(unit: consumer.Unit) -> None:
    """For charms whose microcluster has others, or none."""
    workload = Workload()
    unit.use(workload=workload, add_args=["--timeout", "600"])
    unit.offer()
    joining = unit.changed()
    unit.grant(waiting="node-0 node-1")
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
        ("issue", "node-1", "--timeout", "600"),
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


@pytest.mark.parametrize("in_cluster", [True, False])
def test_added_value_is_mirrored_once_its_unit_is_a_member(
    unit: consumer.Unit, in_cluster: bool
) -> None:
    """It stays there, whatever this library reports."""
    unit.remember(in_cluster=in_cluster, hostname="node-0")

    unit.ask(lambda c, r: c.add_to_mirror(r, {"central": "192.0.2.1", "port": "6642"}))
    added = dict(unit.relation.local_unit_data)
    unit.ask(lambda c, r: c.add_to_mirror(r, {"port": ""}))
    unit.lists(members("node-0"), NO_QUORUM, NO, NO)
    bags = [unit.hook().bag for _ in range(4)]

    assert added.get("mirror") == ("up" if in_cluster else None)
    assert {"mirror-central": "192.0.2.1", "mirror-port": "6642"}.items() <= added.items()
    assert [bag["mirror-central"] for bag in bags] == ["192.0.2.1"] * 4
    assert [bag["mirror"] for bag in bags] == ["up", "up", "up", "down"]
    assert "mirror-port" not in bags[0]


# What an earlier library left behind


def test_member_of_an_earlier_library_stays_what_it_was(unit: consumer.Unit) -> None:
    """Its memory is `in_cluster` alone, and its name in its databag; nothing new is emitted."""
    old = {"hostname": "node-0", "mirror": "up", "mirror-node-1": TOKEN_1}
    unit.remember(in_cluster=True)
    unit.lists(members("node-0"))
    unit.change(local_unit_data=old)
    unit.publish({"node-0": "joined", "node-1": TOKEN_1}, leader="", bootstrap_app="micro")
    unit.rename("other")

    hooks = [unit.hook("upgrade_charm"), unit.hook(), unit.hook()]

    assert [(hook.calls, hook.events) for hook in hooks] == [([LIST], [])] * 3
    assert hooks[0].bag == hooks[-1].bag == {**old, **MEMBER}


@pytest.mark.parametrize("handler", ["_handle_relation_joined", "_on_cluster_changed"])
def test_deferred_event_of_an_earlier_library_is_borne(unit: consumer.Unit, handler: str) -> None:
    """Its handlers have no successors of their names."""
    about = {"app_name": "distributor", "unit_name": "distributor/0"}
    deferred = testing.DeferredEvent(
        handle_path="Charm/on/cluster_relation_changed[1]",
        owner="Charm/TokenConsumer[cluster]",
        observer=handler,
        snapshot_data={"relation_name": "cluster", "relation_id": 1, **about},
    )
    unit.state = dataclasses.replace(unit.state, deferred=[deferred])

    hook = unit.hook("upgrade_charm")

    assert (hook.bag, unit.state.deferred) == (NEWCOMER, [])


def test_deferred_joined_keeps_who_bootstrapped(unit: consumer.Unit) -> None:
    """An earlier library kept nothing of it, which stands for no."""
    unit.use(defers=True)
    unit.grant()
    unit.lists(NO, members("node-0"))
    unit.changed()
    again = unit.hook()
    old = [dataclasses.replace(event, snapshot_data={}) for event in unit.state.deferred]
    unit.state = dataclasses.replace(unit.state, deferred=old)

    earlier = unit.hook()

    assert (again.events, earlier.events) == (["joined as bootstrapper"], ["joined"])


# A distributor that speaks the old keys


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
    unit.leads = leads
    unit.grant()
    unit.expect(*JOIN)
    unit.lists(NO, members("node-0"))
    unit.publish(values, leader=leader, **({"bootstrap_app": app} if app else {}))

    assert unit.changed().calls == calls


def test_member_beside_an_old_distributor_issues_for_empty(unit: consumer.Unit) -> None:
    """As `empty` is all that such a distributor publishes of who waits."""
    unit.settle()
    unit.publish({"node-0": "joined", "node-1": "empty", "node-2": TOKEN_2}, leader="")
    unit.issues("node-1")

    hook = unit.changed()
    unit.publish({"node-0": "joined", "node-1": TOKEN_1}, leader="")
    again = unit.changed()

    assert hook.calls == [LIST, ADD_1]
    assert hook.bag == again.bag == {**MEMBER, "mirror": "up", "mirror-node-1": TOKEN_1}


def test_token_wins_where_old_distributors_units_differ(unit: consumer.Unit) -> None:
    """One of them may be behind, and one may mirror no more."""
    bags = {
        0: {"mirror": "down", "mirror-node-0": consumer.token("node-0", 2)},
        1: {"mirror": "up", "mirror-node-0": "empty"},
        2: {"mirror": "up", "mirror-node-0": TOKEN_0},
    }
    unit.offer()
    unit.change(remote_units_data=bags, remote_app_data={})
    unit.lists(NO, members("node-0", "node-1"))

    assert unit.changed().events == ["prejoin", "joined"]
