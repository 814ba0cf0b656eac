"""The consumer, event by event: what it runs, tells the charm and writes into its databag."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import ops
import pytest
from ops import testing

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import consumer, runner

if TYPE_CHECKING:
    import pathlib


LIST = consumer.LIST
BOOTSTRAP = ("bootstrap", "--first")
TOKEN_0 = consumer.token("node-0")
TOKEN_1 = consumer.token("node-1")
TOKEN_2 = consumer.token("node-2")
JOIN = ("join", TOKEN_0, "--address", "192.0.2.7")

# All events at which the library looks around, while there is a relation.
EVENTS: dict[str, dict[str, Any]] = {
    "relation_created": {},
    "relation_joined": {"remote_unit": 0},
    "relation_changed": {"remote_unit": 0},
    "relation_departed": {"remote_unit": 1, "departing_unit": 1},
    "leader_elected": {},
    "config_changed": {},
    "start": {},
    "upgrade_charm": {},
    "update_status": {},
}

every_event = pytest.mark.parametrize("event", EVENTS)


def run(unit: consumer.Unit, event: str) -> consumer.Hook:
    """Run one of `EVENTS`."""
    if event == "leader_elected":
        unit.leads = True
    if event == "relation_departed":
        # A second unit of the distributor, which does not lead, and leaves.
        shown = {**unit.relation().remote_units_data, 1: {"mirror": "down"}}
        unit.relate(dataclasses.replace(unit.relation(), remote_units_data=shown))
    return unit.hook(event, **EVENTS[event])


def forbid_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at any write to a databag."""

    def write(*_: object) -> None:
        raise AssertionError("a databag is written")

    monkeypatch.setattr(ops.RelationDataContent, "__setitem__", write)
    monkeypatch.setattr(ops.RelationDataContent, "__delitem__", write)


# Whatever the event, the same


@every_event
def test_whatever_the_event_a_newcomer_with_nothing_to_go_by_gives_its_name(
    unit: consumer.Unit, event: str
) -> None:
    """The first event can be any of them."""
    hook = run(unit, event)

    assert hook.calls == [LIST]
    assert hook.limits == [30]
    assert hook.events == []
    assert hook.bag == {"hostname": "node-0", "member": "false"}
    assert not hook.in_cluster


@every_event
def test_whatever_the_event_a_unit_that_is_granted_it_bootstraps_and_issues(
    unit: consumer.Unit, event: str
) -> None:
    """No other hook need follow for the others to get their tokens."""
    unit.show({"node-1": "empty", "node-2": "empty"}, bootstrap_unit="micro/0")
    unit.expect(*BOOTSTRAP)
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1)])
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])

    hook = run(unit, event)

    assert hook.calls == [LIST, BOOTSTRAP, ("add", "node-1"), ("add", "node-2")]
    assert hook.limits == [30, 300, 30, 30]
    assert hook.events == [
        "prebootstrap",
        "bootstrapped",
        "joined as bootstrapper",
        "token_generated",
        "token_generated",
    ]
    assert hook.bag == {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
        "mirror-node-2": TOKEN_2,
    }
    assert hook.in_cluster


@every_event
def test_whatever_the_event_a_newcomer_joins_with_its_token(
    unit: consumer.Unit, event: str
) -> None:
    """And says so at once, without the list being asked for again."""
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN)

    hook = run(unit, event)

    assert hook.calls == [LIST, JOIN]
    assert hook.limits == [30, 300]
    assert hook.events == ["prejoin", "joined"]
    assert hook.bag == {"hostname": "node-0", "member": "true"}
    assert hook.in_cluster


@every_event
def test_whatever_the_event_the_communicator_tidies_up_and_then_issues(
    unit: consumer.Unit, event: str
) -> None:
    """A removal takes its time, and is followed by another look before a token is issued."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-2": "empty"}, left="node-1 node-9")
    unit.lists(
        consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")), consumer.members("node-0")
    )
    unit.expect("remove", "node-1", "--force")
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])

    hook = run(unit, event)

    assert hook.calls == [LIST, ("remove", "node-1", "--force"), LIST, ("add", "node-2")]
    assert hook.limits == [30, 60, 30, 30]
    assert hook.events == ["token_generated"]
    assert hook.bag == {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-2": TOKEN_2,
        "gone": "node-1 node-9",
    }


@every_event
def test_whatever_the_event_nothing_is_written_twice(
    unit: consumer.Unit, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that changes nothing costs a call of a hook tool, in each hook of each unit."""
    unit.remember(in_cluster=True)
    unit.leads = True
    unit.show({"node-0": "joined", "node-1": TOKEN_1}, left="node-9")
    unit.lists(consumer.members("node-0"))
    unit.keep("node-1", TOKEN_1)
    before = run(unit, event)
    forbid_writes(monkeypatch)

    hook = run(unit, event)

    assert hook.bag == before.bag
    assert hook.bag["mirror-node-1"] == TOKEN_1


@every_event
@pytest.mark.parametrize("answer", [consumer.NOT_A_MEMBER, consumer.members("node-0")])
def test_whatever_the_event_the_library_sets_no_status(
    unit: consumer.Unit, event: str, answer: runner.Answer
) -> None:
    """A status is the charm's."""
    unit.lists(answer)

    assert run(unit, event).statuses_set == 0


@every_event
def test_whatever_the_event_a_unit_that_cannot_tell_changes_nothing(
    unit: consumer.Unit, event: str
) -> None:
    """It neither joins, nor issues, nor removes, nor takes anything back."""
    before = {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
        "hold": "node-2",
    }
    unit.write(before)
    unit.remember(in_cluster=True)
    unit.show({"node-0": TOKEN_0, "node-3": "empty"}, bootstrap_unit="micro/0", left="node-2")
    unit.lists(consumer.NO_QUORUM)

    hook = run(unit, event)

    assert hook.calls == [LIST]
    assert hook.events == []
    assert hook.bag == before
    assert hook.in_cluster
    assert hook.logged("WARNING cannot list the members of the cluster: .*no available dqlite")


# Events at which there is less to do


def test_when_the_relation_breaks_nothing_is_begun_or_written(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the distributor showed holds no longer."""
    unit.show({"node-0": TOKEN_0}, bootstrap_unit="micro/0", leader="")
    unit.leads = True
    forbid_writes(monkeypatch)

    hook = unit.hook("relation_broken")

    assert hook.calls == [LIST]
    assert hook.events == []


def test_when_the_relation_breaks_a_member_stays_one(unit: consumer.Unit) -> None:
    """A cluster needs no distributor to go on."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined"})
    unit.lists(consumer.members("node-0"))

    hook = unit.hook("relation_broken")

    assert hook.in_cluster
    assert hook.events == []


@pytest.mark.parametrize("event", ["install", "stop"])
def test_at_other_events_it_does_nothing(unit: consumer.Unit, event: str) -> None:
    """The workload may not be there yet, or is there no more."""
    hook = unit.hook(event)

    assert hook.calls == []
    assert hook.bag == {}


@pytest.mark.parametrize("event", ["leader_elected", "config_changed", "start", "update_status"])
def test_without_a_relation_it_only_looks(unit: consumer.Unit, event: str) -> None:
    """There is nobody to hear of it."""
    unit.relate()
    unit.leads = True

    hook = unit.hook(event)

    assert hook.calls == [LIST]
    assert hook.events == []


def test_without_a_relation_the_charm_still_hears_of_a_join_that_others_did(
    unit: consumer.Unit,
) -> None:
    """An operator may form a cluster by hand."""
    unit.relate()
    unit.lists(consumer.members("node-0", "node-1"))

    assert unit.hook("update_status").events == ["joined"]
    assert unit.hook("update_status").events == []


def test_a_dying_unit_that_departs_does_nothing(
    tmp_path: pathlib.Path, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit that joined now would leave a dead member behind."""
    # `ops.testing` names a remote unit as the one that departs: here it has this unit's name.
    consumer.set_hostname(monkeypatch, "node-7")
    dying = consumer.Unit(tmp_path, commands, number=7)
    dying.show({"node-7": consumer.token("node-7")})
    namesake = dataclasses.replace(
        dying.relation(), remote_app_name="micro", remote_app_data={"leader": "micro/0"}
    )
    dying.relate(namesake)

    hook = dying.hook("relation_departed", remote_unit=0, departing_unit=7)

    assert hook.calls == []
    assert hook.bag == {}


def test_another_units_departure_is_an_event_as_any(
    tmp_path: pathlib.Path, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test before this one would show nothing if no departure did anything."""
    consumer.set_hostname(monkeypatch, "node-7")
    staying = consumer.Unit(tmp_path, commands, number=7)
    staying.relate(dataclasses.replace(staying.relation(), remote_app_name="micro"))

    hook = staying.hook("relation_departed", remote_unit=0, departing_unit=6)

    assert hook.calls == [LIST]
    assert hook.bag["hostname"] == "node-7"


# A unit that has nothing to do


RELATION_EVENTS = [event for event in EVENTS if event.startswith("relation_")]


@pytest.mark.parametrize("event", EVENTS)
def test_only_news_of_others_are_no_reason_to_ask_the_workload(
    unit: consumer.Unit, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member of a whole cluster runs no command and writes nothing at them."""
    settle(unit)
    forbid_writes(monkeypatch)

    hook = run(unit, event)

    assert hook.calls == ([] if event in RELATION_EVENTS else [LIST])
    assert hook.in_cluster


def test_a_unit_that_learns_of_a_newcomer_asks_the_workload(unit: consumer.Unit) -> None:
    """It may have to speak for the cluster."""
    settle(unit)
    unit.show({"node-0": "joined", "node-1": "joined", "node-2": "empty"})
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST, ("add", "node-2")]


def settle(unit: consumer.Unit) -> None:
    """Make a unit one of two members that have nothing to do."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "joined"})
    unit.lists(consumer.members("node-0", "node-1"))
    unit.hook("update_status")


# The proposal of who is to bootstrap


def test_a_leader_proposes_itself_while_it_is_no_member(unit: consumer.Unit) -> None:
    """In its application's databag, which only a leader can write."""
    unit.leads = True

    assert unit.hook("config_changed").app_bag == {"bootstrap-candidate": "micro/0"}


@pytest.mark.parametrize(
    ("leads", "answer"),
    [
        (False, consumer.NOT_A_MEMBER),
        (True, consumer.members("node-0")),
        (True, consumer.NO_QUORUM),
    ],
    ids=["no leader", "a member", "no telling"],
)
def test_nobody_else_proposes_itself(
    unit: consumer.Unit, leads: bool, answer: runner.Answer
) -> None:
    """Who does not lead could not write it, and the others are in no need of it."""
    unit.leads = leads
    unit.lists(answer)

    assert unit.hook("config_changed").app_bag == {}


def test_another_leaders_proposal_gives_way(unit: consumer.Unit) -> None:
    """The earlier one may be gone."""
    unit.leads = True
    unit.relate(
        dataclasses.replace(
            unit.relation(), local_app_data={"bootstrap-candidate": "micro/9", "other": "1"}
        )
    )

    app_bag = unit.hook("leader_elected").app_bag

    assert app_bag == {"bootstrap-candidate": "micro/0", "other": "1"}


# Joining: told once, and never missed


def test_a_join_is_told_once(unit: consumer.Unit) -> None:
    """The next hooks find a member that knows of it."""
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN)
    unit.hook("relation_changed", remote_unit=0)
    unit.lists(consumer.members("node-0", "node-1"))

    hooks = [run(unit, event) for event in EVENTS]

    assert [hook.events for hook in hooks] == [[]] * len(EVENTS)
    assert all(hook.in_cluster for hook in hooks)


def test_a_bootstrap_is_told_once(unit: consumer.Unit) -> None:
    """Even while the grant still stands."""
    unit.show({}, bootstrap_unit="micro/0")
    unit.expect(*BOOTSTRAP)
    unit.hook("relation_changed", remote_unit=0)
    unit.lists(consumer.members(("node-0", "PENDING", "ONLINE")))

    hooks = [run(unit, event) for event in EVENTS]

    assert [hook.events for hook in hooks] == [[]] * len(EVENTS)


@pytest.mark.parametrize("bootstraps", [True, False])
def test_joined_survives_a_deferral_with_what_it_says(
    unit: consumer.Unit, bootstraps: bool
) -> None:
    """A charm that is not ready for it is told the same at the next event of any kind."""
    unit.use(consumer.DeferringCharm)
    if bootstraps:
        unit.show({}, bootstrap_unit="micro/0")
        unit.expect(*BOOTSTRAP)
    else:
        unit.show({"node-0": TOKEN_0})
        unit.expect(*JOIN)
    expected = "joined as bootstrapper" if bootstraps else "joined"
    first = unit.hook("relation_changed", remote_unit=0)
    unit.lists(consumer.members("node-0", "node-1"))

    second = unit.hook("update_status")
    (unit.root / "ready").touch()
    third = unit.hook("config_changed")
    fourth = unit.hook("config_changed")

    assert first.events[-1] == expected
    assert [second.events, third.events, fourth.events] == [[expected], [expected], []]
    assert len(first.deferred) == len(second.deferred) == 1
    assert third.deferred == []


def test_a_deferred_joined_of_an_earlier_library_says_that_others_bootstrapped(
    unit: consumer.Unit,
) -> None:
    """It kept nothing of it."""
    unit.use(consumer.DeferringCharm)
    unit.show({}, bootstrap_unit="micro/0")
    unit.expect(*BOOTSTRAP)
    deferred = unit.hook("relation_changed", remote_unit=0).deferred
    earlier = [dataclasses.replace(event, snapshot_data={}) for event in deferred]
    unit.state = dataclasses.replace(unit.state, deferred=earlier)
    unit.lists(consumer.members("node-0"))
    (unit.root / "ready").touch()

    assert unit.hook("upgrade_charm").events == ["joined"]


@pytest.mark.parametrize("snapshot", [{}, {"bootstrapper": False}, {"bootstrapper": None}, None])
def test_an_event_that_is_restored_says_what_was_kept_of_it(snapshot: Any) -> None:
    """Whatever an earlier library or an earlier `ops` kept."""
    event = lib.ClusterJoinedEvent(ops.Handle(None, "joined", "1"), bootstrapper=True)

    event.restore(snapshot)

    assert event.bootstrapper is False


def test_a_hook_that_died_after_joining_has_the_next_one_tell_it(unit: consumer.Unit) -> None:
    """Nothing of the dead hook lasts, but the cluster has its member."""
    unit.use(consumer.FailingCharm)
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN)
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.hook("relation_changed", remote_unit=0)
    unit.use(consumer.SilentCharm)
    unit.lists(consumer.members("node-0", "node-1"))

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST]
    assert hook.events == ["joined"]
    assert hook.bag == {"hostname": "node-0", "member": "true", "mirror": "up"}
    assert unit.hook("relation_changed", remote_unit=0).events == []


@pytest.mark.parametrize(
    "members",
    [consumer.members(("node-0", "PENDING", "ONLINE")), consumer.members("node-0", "node-1")],
    ids=["alone", "others have joined meanwhile"],
)
def test_a_hook_that_died_after_bootstrapping_has_the_next_one_tell_it(
    unit: consumer.Unit, members: runner.Answer
) -> None:
    """With who bootstrapped, and without bootstrapping again."""
    unit.use(consumer.FailingCharm)
    unit.show({}, bootstrap_unit="micro/0")
    unit.expect(*BOOTSTRAP)
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.hook("relation_changed", remote_unit=0)
    unit.use(consumer.SilentCharm)
    unit.lists(members)

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST]
    assert hook.events == ["bootstrapped", "joined as bootstrapper"]
    assert hook.in_cluster


def test_a_lone_member_has_bootstrapped_though_nothing_says_so_any_more(
    unit: consumer.Unit,
) -> None:
    """The grant may be gone with its distributor; whoever is alone was the first."""
    unit.show({"node-0": "joined"})
    unit.lists(consumer.members("node-0"))

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.events == ["bootstrapped", "joined as bootstrapper"]


@pytest.mark.parametrize(
    ("shown_by_leader", "joins_with"),
    [
        ({"mirror": "up", "mirror-node-0": TOKEN_0}, [JOIN]),
        ({"mirror": "up", "mirror-node-0": "joined"}, []),
        ({"mirror": "up", "mirror-node-0": "empty"}, []),
        ({"mirror": "down", "mirror-node-0": "empty"}, []),
        ({}, []),
    ],
)
def test_the_databag_of_the_distributors_leader_alone_counts(
    unit: consumer.Unit, shown_by_leader: dict[str, str], joins_with: list[tuple[str, ...]]
) -> None:
    """Another unit that led once, and may have died since, shows old values.

    Juju can tell who leads before it tells what that unit shows.
    """
    unit.relate(
        dataclasses.replace(
            unit.relation(),
            remote_units_data={
                0: {"mirror": "up", "mirror-node-0": "old", "hold": ""},
                1: shown_by_leader,
            },
            remote_app_data={"leader": "distributor/1"},
        )
    )
    for line in joins_with:
        unit.expect(*line)

    assert unit.hook("update_status").calls == [LIST, *joins_with]


def test_no_member_is_removed_on_the_word_of_a_distributor_that_no_longer_leads(
    unit: consumer.Unit,
) -> None:
    """It failed to join and has joined since; the new leader has yet to be seen mirroring."""
    old = {"mirror": "up", "mirror-node-1": TOKEN_1, "failed-node-1": lib.digest(TOKEN_1)}
    unit.relate(
        dataclasses.replace(
            unit.relation(),
            remote_units_data={0: old, 1: {}},
            remote_app_data={"leader": "distributor/1"},
        )
    )
    unit.lists(consumer.members("node-0", ("node-1", "spare", "UNREACHABLE")))

    hook = unit.hook("relation_changed", remote_unit=None)

    assert hook.calls == [LIST]
    assert hook.bag["hold"] == "node-1"


@pytest.mark.parametrize(
    "answer",
    [
        runner.Answer(1, stderr="Error: unexpected end of file"),
        runner.Answer(-9),
        runner.Answer(error=TimeoutError(110, "Connection timed out")),
    ],
)
def test_a_command_that_failed_after_it_took_effect_has_the_next_hook_tell_it(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """The workload is asked, not the exit code remembered."""
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN, answers=[answer])
    first = unit.hook("relation_changed", remote_unit=0)
    unit.lists(consumer.members("node-0", "node-1"))

    second = unit.hook("update_status")

    assert first.events == ["prejoin"]
    assert first.bag["failed"] == lib.digest(TOKEN_0)
    assert second.events == ["joined"]
    assert second.bag == {"hostname": "node-0", "member": "true", "mirror": "up"}


@pytest.mark.parametrize(
    "ending",
    [runner.Answer(1, stderr="Error: unexpected end of file"), runner.Answer(-9)],
    ids=["an error", "killed"],
)
def test_a_join_that_took_effect_however_it_ended_is_not_said_to_have_failed(
    unit: consumer.Unit, ending: runner.Answer
) -> None:
    """A member that is down is removed on that word, though its daemon would come back."""
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN, answers=[ending])
    unit.lists(consumer.NOT_A_MEMBER, consumer.members("node-0", "node-1"))

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST, JOIN, LIST]
    assert hook.events == ["prejoin", "joined"]
    assert hook.in_cluster
    assert hook.bag == {"hostname": "node-0", "member": "true", "mirror": "up"}


def test_a_join_that_may_have_taken_effect_is_not_said_to_have_failed(unit: consumer.Unit) -> None:
    """The next hook asks again, and joins where it had none."""
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN, answers=[runner.Answer(1, stderr="Error: unexpected end of file")])
    unit.lists(consumer.NOT_A_MEMBER, runner.Answer(1, stderr="Error: no leader found"))

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST, JOIN, LIST]
    assert "failed" not in hook.bag


def test_a_unit_that_dropped_out_says_so_and_is_told_of_its_next_join(unit: consumer.Unit) -> None:
    """It is a newcomer like any other."""
    unit.remember(in_cluster=True)
    unit.write({"hostname": "node-0", "member": "true", "mirror": "up", "hold": "node-1"})
    unit.show({"node-0": "joined", "node-1": "joined"})

    doubting = unit.hook("update_status")
    out = unit.hook("update_status")
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN)
    back = unit.hook("relation_changed", remote_unit=0)

    assert doubting.calls == [LIST]
    assert doubting.in_cluster
    assert doubting.bag["member"] == "unknown"
    assert doubting.bag["mirror"] == "up"
    assert out.calls == [LIST]
    assert not out.in_cluster
    assert out.bag == {
        "hostname": "node-0",
        "member": "false",
        "mirror": "down",
        "failed": lib.digest("joined"),
        "turns": "1",
    }
    assert back.events == ["prejoin", "joined"]
    assert back.bag == {"hostname": "node-0", "member": "true", "mirror": "down", "turns": "1"}
    assert back.in_cluster


def test_a_daemon_that_starts_up_does_not_cost_its_unit_the_membership(
    unit: consumer.Unit,
) -> None:
    """Until it opens its database it can say the same as one that never was a member."""
    unit.remember(in_cluster=True)
    unit.write({"hostname": "node-0", "member": "true", "mirror": "up"})
    unit.show({"node-0": "joined"})
    unit.lists(consumer.NOT_A_MEMBER, consumer.members("node-0"))

    starting = unit.hook("start")
    started = unit.hook("config_changed")

    assert starting.bag.get("failed") is None
    assert started.events == []
    assert started.in_cluster
    assert started.bag == {"hostname": "node-0", "member": "true", "mirror": "up", "turns": "1"}


def test_a_member_under_an_earlier_library_is_told_nothing_new(unit: consumer.Unit) -> None:
    """Only the databag gains what this library says besides."""
    unit.remember(in_cluster=True)
    unit.write({"hostname": "node-0", "mirror": "up", "mirror-node-1": TOKEN_1})
    unit.show({"node-0": "empty", "node-1": TOKEN_1}, leader="", bootstrap_app="micro")
    unit.lists(consumer.members("node-0"))

    hook = unit.hook("upgrade_charm")

    assert hook.events == []
    assert hook.calls == [LIST]
    assert hook.bag == {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
    }


# Joining and bootstrapping that fail


def test_a_join_that_fails_is_said_and_tried_again(unit: consumer.Unit) -> None:
    """Until it succeeds, or another token is shown."""
    refused = runner.Answer(1, stderr="Error: 1 join attempts were unsuccessful. CoreTokenRecord")
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN, answers=[refused, refused, runner.Answer()])

    first, second, third = (unit.hook("update_status") for _ in range(3))

    assert [hook.calls for hook in (first, second, third)] == [
        [LIST, JOIN, LIST],
        [LIST, JOIN, LIST],
        [LIST, JOIN],
    ]
    assert [hook.events for hook in (first, second)] == [["prejoin"]] * 2
    assert first.logged("ERROR node-0 cannot join the cluster: .*CoreTokenRecord")
    assert first.bag == {
        "hostname": "node-0",
        "member": "false",
        "failed": lib.digest(TOKEN_0),
    }
    assert second.bag == first.bag
    assert third.events == ["prejoin", "joined"]
    assert third.bag == {"hostname": "node-0", "member": "true"}


def test_another_token_is_tried_without_a_complaint_of_the_last_one(unit: consumer.Unit) -> None:
    """Or the distributor would replace the good one."""
    unit.write({"hostname": "node-0", "failed": lib.digest(TOKEN_0)})
    other = consumer.token("node-0", 2)
    unit.show({"node-0": other}, unit_bag={"hold": "node-1"})

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST]
    assert "failed" not in hook.bag


def test_a_bootstrap_that_fails_is_logged_and_tried_again(unit: consumer.Unit) -> None:
    """The grant stands until somebody says that it is a member."""
    unit.show({"node-1": "empty"}, bootstrap_unit="micro/0")
    unit.expect(*BOOTSTRAP, answers=[runner.Answer(1, stderr="Error: no route to host")])

    first, second = unit.hook("update_status"), unit.hook("update_status")

    assert first.calls == second.calls == [LIST, BOOTSTRAP]
    assert first.events == ["prebootstrap"]
    assert first.bag == {"hostname": "node-0", "member": "false"}
    assert first.logged("ERROR node-0 cannot bootstrap: Error: no route to host")
    assert not first.in_cluster


# What comes and goes


def test_a_hold_that_is_taken_back_leaves_a_trace(unit: consumer.Unit) -> None:
    """Juju 4 tells nobody of a databag that is again what it was, whoever read it in between."""
    unit.remember(in_cluster=True)
    before = {"hostname": "node-0", "member": "true", "mirror": "up"}
    unit.write(before)
    unit.show({"node-0": "joined", "node-1": "joined"})
    down = consumer.members("node-0", ("node-1", "spare", "UNREACHABLE"))
    unit.lists(
        down, consumer.members("node-0", "node-1"), down, consumer.members("node-0", "node-1")
    )

    bags = [unit.hook("update_status").bag for _ in range(4)]

    assert bags == [
        {**before, "hold": "node-1"},
        {**before, "turns": "1"},
        {**before, "hold": "node-1", "turns": "1"},
        {**before, "turns": "2"},
    ]


# A charm's own values


def test_a_charms_own_values_stay(unit: consumer.Unit) -> None:
    """As a member, as none, and when it cannot tell."""
    unit.write({"mirror-central": "192.0.2.1"})
    unit.show({"node-0": "joined"})
    unit.lists(consumer.NOT_A_MEMBER, consumer.members("node-0"), consumer.NO_QUORUM)

    hooks = [unit.hook("update_status") for _ in range(3)]

    assert [hook.bag["mirror-central"] for hook in hooks] == ["192.0.2.1"] * 3
    assert [hook.bag.get("mirror") for hook in hooks] == [None, "up", "up"]


@pytest.mark.parametrize("way", ["join", "bootstrap", "found"])
def test_what_a_charm_has_mirrored_on_joining_is_published(unit: consumer.Unit, way: str) -> None:
    """The handler of `joined` is the natural place to do so."""
    unit.use(consumer.MirroringCharm)
    unit.expect(*JOIN)
    unit.expect(*BOOTSTRAP)
    if way == "join":
        unit.show({"node-0": TOKEN_0})
    elif way == "bootstrap":
        unit.show({}, bootstrap_unit="micro/0")
    else:
        unit.show({"node-0": "joined"})
        unit.lists(consumer.members("node-0", "node-1"))

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.in_cluster
    assert hook.bag["mirror-central"] == "192.0.2.7"
    assert hook.bag["mirror"] == "up"
