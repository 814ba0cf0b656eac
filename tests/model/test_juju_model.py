"""The model of Juju does what Juju promises a charm, in the order in which it promises it."""

from __future__ import annotations

import random
from typing import Any

import ops
import pytest

from tests import juju_model
from tests.juju_model import toys
from tests.model.pairs import kinds, names, pair, write, writer

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_unit_starts_with_install_created_leader_elected_config_changed_start(seed: int) -> None:
    """The created hooks are of two relations, one of them with its peers."""
    with juju_model.Juju(seed) as juju:
        juju.deploy(toys.toy("left"))
        juju.deploy(toys.toy("right"))
        juju.integrate("left:link", "right:want")
        juju.settle()
        started = names(juju, "left/0")[:6]

    assert started[0] == "install"
    assert started[1:3] == ["relation-created"] * 2
    assert started[3:] == ["leader-elected", "config-changed", "start"]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_joined_or_changed_before_the_own_start(seed: int) -> None:
    """Of any relation, with several units on both sides."""
    with pair(seed, units=(3, 3)) as juju:
        for unit in juju.units("left") + juju.units("right"):
            run = [hook.partition(" ")[0] for hook in names(juju, unit)]
            assert run.index("start") < run.index("relation-joined")
            assert run.index("start") < run.index("relation-changed")


def test_relation_created_comes_in_no_fixed_order() -> None:
    """Over ten seeds, three relations come in more than two orders."""
    orders: set[tuple[str, ...]] = set()
    for seed in range(10):
        with juju_model.Juju(seed) as juju:
            juju.deploy(toys.toy("left"))
            juju.deploy(toys.toy("right"))
            juju.integrate("left:link", "right:want")
            juju.integrate("left:want", "right:link")
            juju.settle()
            orders.add(
                tuple(
                    hook.due.endpoint
                    for hook in juju.trace
                    if (hook.unit, hook.kind) == ("left/0", "relation-created")
                )
            )

    assert len(orders) > 2


def test_a_unit_enters_scope_before_its_created_hook_and_can_be_seen_joining() -> None:
    """So it may be seen before it has written anything."""

    def seen_early(seed: int) -> bool:
        with juju_model.Juju(seed) as juju:
            juju.deploy(toys.provider())
            juju.settle()
            juju.deploy(toys.requirer())
            juju.integrate("left", "right")
            juju.settle()
            order = kinds(list(juju.trace))
            return order.index("left/0 relation-joined right/0") < order.index(
                "right/0 relation-created None"
            )

    assert any(seen_early(seed) for seed in range(20))


@pytest.mark.parametrize("early", [True, False])
def test_related_before_or_after_the_start_each_member_is_joined_then_changed(
    early: bool,
) -> None:
    """And between the two, nothing else comes in that relation."""
    with juju_model.Juju(1) as juju:
        juju.deploy(toys.provider(), units=3)
        juju.deploy(toys.requirer(), units=3)
        if not early:
            juju.settle()
        juju.integrate("left", "right")
        juju.settle()
        for unit in juju.units("left"):
            run = [hook for hook in names(juju, unit) if "right/" in hook]
            for remote in juju.units("right"):
                joined = run.index(f"relation-joined {remote}")
                assert run[joined + 1] == f"relation-changed {remote}"


def test_the_network_addresses_are_in_the_databag_from_the_start() -> None:
    """Juju writes them when a unit enters scope."""
    with pair() as juju:
        address = juju.host("left/0").address
        bag = juju.bag("left/0", "link")

    assert (bag["ingress-address"], bag["private-address"]) == (address, address)


def test_relation_list_holds_the_units_joined_so_far_and_the_one_joining() -> None:
    """The k-th joined hook sees k members, never all at once."""
    seen: list[tuple[str, list[str]]] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationJoinedEvent):
            members = [unit.name for unit in event.relation.units]
            seen.append((event.unit.name, sorted(members)))
            assert self.unit.name == "left/0"

    with pair(left=toys.provider("left", react), units=(1, 3)):
        pass

    assert [len(members) for _, members in seen] == [1, 2, 3]
    assert all(joining in members for joining, members in seen)


def test_units_join_in_the_order_of_their_names_as_strings() -> None:
    """`right/10` comes between `right/1` and `right/2`."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.requirer(), units=11)
        juju.settle()
        juju.deploy(toys.provider())
        juju.settle()
        juju.integrate("left", "right")
        juju.settle()
        joined = [
            hook.remote_unit
            for hook in juju.trace
            if hook.unit == "left/0" and hook.kind == "relation-joined"
        ]

    assert joined.index("right/10") == joined.index("right/1") + 1


def test_within_a_relation_departed_comes_before_app_changed_joined_and_changed() -> None:
    """Shown by a unit that slept while all of that happened."""
    with pair(right=writer(toys.requirer, "right"), units=(1, 3), seed=3) as juju:
        juju.kill_machine("left/0")
        leader = juju.leader("right")
        assert leader is not None
        gone = next(unit for unit in juju.units("right") if unit != leader)
        other = next(unit for unit in juju.units("right") if unit not in (leader, gone))
        juju.remove_unit(gone)
        new = juju.add_unit("right")
        juju.settle()
        write(juju, leader, app=True, what="ever")
        write(juju, other, what="ever")
        since = len(juju.trace)
        juju.start_machine("left/0")
        juju.settle()
        run = names(juju, "left/0", since)

    assert run == [
        "start",
        "leader-elected",
        f"relation-departed {gone}",
        "relation-changed",
        f"relation-joined {new}",
        f"relation-changed {new}",
        f"relation-changed {other}",
    ]


def test_non_peer_relations_go_before_peer_relations() -> None:
    """Shown by a unit that slept while it got a new member in each."""
    for seed in SEEDS:
        with juju_model.Juju(seed) as juju:
            juju.deploy(toys.toy("left"), units=2)
            juju.deploy(toys.toy("right"))
            juju.integrate("left:link", "right:want")
            juju.settle()
            juju.kill_machine("left/0")
            juju.restart_agent("left/1")
            juju.add_unit("left")
            juju.add_unit("right")
            juju.settle()
            since = len(juju.trace)
            juju.start_machine("left/0")
            juju.settle()
            endpoints = [
                hook.due.endpoint
                for hook in list(juju.trace)[since:]
                if hook.unit == "left/0" and hook.due.endpoint
            ]

        assert endpoints == ["link", "link", "peers", "peers"]


def test_a_write_of_a_remote_unit_is_exactly_one_changed_for_each_unit_there() -> None:
    """However many keys it wrote."""
    with pair(right=writer(toys.requirer, "right"), units=(2, 2)) as juju:
        hooks = write(juju, "right/0", what="ever", other="thing")

    assert sorted(kinds(hooks)) == [
        "left/0 relation-changed right/0",
        "left/1 relation-changed right/0",
    ]


def test_a_write_that_changes_nothing_is_no_event() -> None:
    """It is flushed, but there is nothing to tell."""
    with pair(right=writer(toys.requirer, "right")) as juju:
        write(juju, "right/0", what="ever")

        assert write(juju, "right/0", what="ever") == []


def test_many_writes_become_one_changed() -> None:
    """A unit that was busy meanwhile looks once."""
    with pair(right=writer(toys.requirer, "right")) as juju:
        since = len(juju.trace)
        for value in "abc":
            juju.run_action("right/0", "do", app=False, data={"what": value})
        juju.settle()

        assert names(juju, "left/0", since) == ["relation-changed right/0"]


@pytest.mark.parametrize(("version", "events"), [("4.0", 0), ("3.6", 1)])
def test_a_value_that_changes_and_changes_back_is_an_event_in_3_x_only(
    version: str, events: int
) -> None:
    """4.x compares contents, 3.x counts changes."""
    with pair(right=writer(toys.requirer, "right"), version=version) as juju:
        since = len(juju.trace)
        juju.run_action("right/0", "do", app=False, data={"what": "ever"})
        juju.run_action("right/0", "do", app=False, data={"what": ""})
        juju.settle()

        assert len(names(juju, "left/0", since)) == events


def test_an_empty_value_deletes_its_key() -> None:
    """As with relation-set."""
    with pair(right=writer(toys.requirer, "right")) as juju:
        write(juju, "right/0", what="ever")
        write(juju, "right/0", what="")

        assert "what" not in juju.bag("right/0", "want")


def test_own_writes_notify_nobody_of_the_own_application() -> None:
    """Only the other side hears of it."""
    with pair(right=writer(toys.requirer, "right"), units=(1, 3)) as juju:
        hooks = write(juju, "right/0", what="ever")

    assert {hook.unit for hook in hooks} == {"left/0"}


def test_peers_hear_of_a_write_and_the_writer_does_not() -> None:
    """For peers, the other side is the own application."""
    charm = writer(toys.peer, "left")
    with juju_model.Juju() as juju:
        juju.deploy(charm, units=3)
        juju.settle()

        hooks = write(juju, "left/0", what="ever")

    assert sorted(kinds(hooks)) == [
        "left/1 relation-changed left/0",
        "left/2 relation-changed left/0",
    ]


def test_application_data_changed_has_no_remote_unit() -> None:
    """The event has an application, and `unit` is `None`."""
    seen: list[tuple[str, Any]] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationChangedEvent) and event.app.name == "right":
            seen.append((self.unit.name, event.unit))

    with pair(left=toys.provider("left", react), right=writer(toys.requirer, "right")) as juju:
        leader = juju.leader("right")
        assert leader is not None
        seen.clear()
        write(juju, leader, app=True, what="ever")

    assert seen == [("left/0", None)]


def test_an_application_databag_that_was_never_written_is_no_event() -> None:
    """Only the changed hooks that follow joined come."""
    with pair() as juju:
        assert "relation-changed" not in names(juju, "left/0")


def test_peers_hear_of_their_application_databag_and_the_leader_does_not() -> None:
    """Application data of a peer relation, without a remote unit."""
    with juju_model.Juju() as juju:
        juju.deploy(writer(toys.peer, "left"), units=3)
        juju.settle()
        leader = juju.leader("left")
        assert leader is not None

        hooks = write(juju, leader, app=True, what="ever")

    assert {hook.unit for hook in hooks} == {"left/0", "left/1", "left/2"} - {leader}
    assert {hook.remote_unit for hook in hooks} == {None}


def test_a_leader_that_answers_its_predecessor_does_not_hear_itself() -> None:
    """It writes the application databag in the very hook that tells of it."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        writes = isinstance(event, ops.ActionEvent) or (
            isinstance(event, ops.RelationChangedEvent) and event.unit is None
        )
        if writes and self.unit.is_leader():
            (relation,) = self.model.relations["peers"]
            relation.data[self.app]["by"] = self.unit.name

    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", react), units=2)
        juju.settle()
        old = juju.leader("left")
        assert old is not None
        juju.run_action(old, "do")
        new = juju.depose("left")
        since = len(juju.trace)
        juju.settle()
        changed = [hook.unit for hook in list(juju.trace)[since:] if hook.due.endpoint]

        assert changed == [new, old]
        assert juju.bag("left", "peers") == {"by": new}


@pytest.mark.parametrize(("restart", "second"), [(False, "-"), (True, "ever")])
def test_a_member_that_was_read_is_read_from_the_cache_until_its_next_event(
    restart: bool, second: str
) -> None:
    """Or until the agent restarts: actions show what it reads before the changed hook."""
    read: list[str] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        del event
        for relation in self.model.relations["link"]:
            read.extend(relation.data[u].get("what", "-") for u in relation.units)

    with pair(
        left=toys.provider("left", react), right=writer(toys.requirer, "right"), units=(1, 1)
    ) as juju:
        read.clear()
        juju.run_action("right/0", "do", app=False, data={"what": "ever"})
        if restart:
            juju.restart_agent("left/0")
        juju.run_action("left/0", "do")
        juju.settle()

    assert read == [second, "ever"]


def test_a_non_leader_cannot_read_its_own_application_databag() -> None:
    """Only the leader is not refused."""
    refused: list[str] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationChangedEvent):
            try:
                event.relation.data[self.app].get("what")
            except ops.RelationDataAccessError:
                refused.append(self.unit.name)

    with pair(left=toys.provider("left", react), units=(2, 1)) as juju:
        leader = juju.leader("left")

    assert set(refused) == {"left/0", "left/1"} - {leader}


def test_a_lost_machine_fires_no_hook_anywhere_and_keeps_membership_and_data() -> None:
    """The unit shows as lost."""
    with pair(units=(1, 2)) as juju:
        follower = next(unit for unit in juju.units("right") if unit != juju.leader("right"))
        since = len(juju.trace)
        juju.kill_machine(follower)
        juju.settle()

        assert len(juju.trace) == since
        assert follower in juju.members("left/0", 0)
        assert juju.status(follower).name == "unknown"


def test_a_lost_leader_is_replaced_after_31_to_66_seconds() -> None:
    """Over twenty seeds; another unit gets leader-elected."""
    waits: list[float] = []
    for seed in range(20):
        with pair(seed, units=(1, 3)) as juju:
            old = juju.leader("right")
            assert old is not None
            killed = juju.now
            juju.kill_machine(old)
            juju.advance(30.9)
            assert juju.leader("right") == old
            juju.settle()
            hook = juju.trace[-1]
            assert hook.kind == "leader-elected"
            assert hook.unit == juju.leader("right") != old
            waits.append(hook.time - killed)

    assert min(waits) >= 31
    assert max(waits) <= 66


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leader_that_is_back_in_time_keeps_the_lease(seed: int) -> None:
    """No other was elected, and it is not told again."""
    with pair(seed, units=(1, 3)) as juju:
        leader = juju.leader("right")
        assert leader is not None
        juju.kill_machine(leader)
        juju.advance(20)
        since = len(juju.trace)
        juju.start_machine(leader)
        juju.settle()

        assert juju.leader("right") == leader
        assert names(juju, leader, since) == ["start"]
        assert len(juju.trace) == since + 1


def test_a_removed_leader_gives_up_the_lease_at_once() -> None:
    """Without time having passed."""
    with pair(units=(1, 3)) as juju:
        old = juju.leader("right")
        assert old is not None
        juju.kill_machine(old)
        juju.remove_unit(old, force=True)

        assert juju.leader("right") in set(juju.units("right")) - {old}


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_no_hook_for_losing_leadership(seed: int) -> None:
    """Only for gaining it."""
    with pair(seed, units=(1, 3)) as juju:
        old = juju.leader("right")
        assert old is not None
        since = len(juju.trace)
        new = juju.depose("right")
        juju.settle()

        assert kinds(list(juju.trace)[since:]) == [f"{new} leader-elected None"]
        assert new != old


def test_update_status_comes_only_when_there_is_nothing_else_to_do() -> None:
    """After the changed hook that is due."""
    with pair(right=writer(toys.requirer, "right")) as juju:
        juju.run_action("right/0", "do", app=False, data={"what": "ever"})
        since = len(juju.trace)
        ran = juju.update_status_round()

        assert names(juju, "left/0", since) == ["relation-changed right/0", "update-status"]
        assert ran == 4


def test_config_changed_comes_when_the_configuration_has_changed() -> None:
    """And once at the start."""
    colours: list[object] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.ConfigChangedEvent):
            colours.append(self.config["colour"])

    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", react))
        juju.settle()
        juju.configure("left", colour="red")
        juju.settle()

    assert colours == ["blue", "red"]


def test_refresh_runs_the_new_charm_from_upgrade_charm_on() -> None:
    """With the stored state of the old one; config-changed follows."""
    ran: list[str] = []

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        ran.append(f"{type(event).__name__} {self.stored.count}")

    def old(self: toys.Toy, event: ops.EventBase) -> None:
        del event
        self.stored.count = 7

    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", old))
        juju.settle()
        juju.refresh("left", toys.provider("left", react))
        juju.settle()

    assert ran == ["UpgradeCharmEvent 7", "ConfigChangedEvent 7"]


def test_refresh_refuses_to_drop_an_endpoint_in_use() -> None:
    """As `juju refresh` does."""
    with pair() as juju, pytest.raises(ValueError, match="would break relation"):
        juju.refresh("left", toys.requirer())


def test_refresh_gives_new_peer_relations_to_units_that_run_the_new_charm() -> None:
    """The start hook after a reboot still runs the old one, and does not see the relation."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.provider(), units=2)
        juju.settle()
        juju.kill_machine("left/0")
        juju.refresh("left", toys.toy("left"))
        since = len(juju.trace)
        juju.start_machine("left/0")
        juju.settle()
        run = names(juju, "left/0", since)

    assert [hook for hook in run if hook != "leader-elected"] == [
        "start",
        "upgrade-charm",
        "relation-created",
        "config-changed",
        "relation-joined left/1",
        "relation-changed left/1",
    ]


def test_an_action_gives_its_results_and_its_failure() -> None:
    """On the unit that was asked."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.ActionEvent):
            if event.params.get("fail"):
                event.fail("would not")
            event.set_results({"unit": self.unit.name, "what": event.params.get("what")})

    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", react), units=2)
        juju.settle()

        assert juju.run_action("left/1", "do", what="ever") == {
            "unit": "left/1",
            "what": "ever",
        }
        with pytest.raises(juju_model.ActionFailed, match="would not"):
            juju.run_action("left/0", "do", fail=True)


def test_status_is_set_at_once_and_shown() -> None:
    """For the unit, and for the application as the worst of its units."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.StartEvent):
            self.unit.status = ops.ActiveStatus("here")

    with juju_model.Juju() as juju:
        juju.deploy(toys.provider("left", react), units=2)
        waiting = juju.app_status("left")
        juju.settle()

        assert waiting.name == "waiting"
        assert juju.status("left/0") == juju_model.Status("active", "here")
        assert juju.app_status("left") == juju_model.Status("active", "here")


def test_one_seed_always_gives_the_same_trace_and_two_give_different_ones() -> None:
    """Through elections and removals."""

    def trace(seed: int) -> list[str]:
        with pair(seed, units=(3, 3)) as juju:
            leader = juju.leader("right")
            assert leader is not None
            juju.kill_machine(leader)
            juju.settle()
            juju.remove_unit("left/1")
            juju.update_status_round()
            return [str(hook) for hook in juju.trace]

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_the_global_random_numbers_do_not_matter() -> None:
    """Nobody draws from them."""

    def trace(state: int) -> list[str]:
        random.seed(state)
        with pair(1) as juju:
            return [str(hook) for hook in juju.trace]

    assert trace(1) == trace(2)
