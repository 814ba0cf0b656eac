"""The charm, hook by hook, where neither the pure functions nor the scenarios show it."""

from __future__ import annotations

import dataclasses

import ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops import testing

from tests.unit import consumer
from tests.unit.distributor import Distributor, offers, rows

FORMED = {"leader": "0", "bootstrap-app": "a", "formed": "true"}
SHARED = {**FORMED, "shared": "true"}
UP = {"mirror": "up"}
LEDGER = {"unit-a/0": "a-0", "unit-a/1": "a-1"}
EVENT = 'security=true category=AUTHZ event=authz_admin action={} node={} msg="{}"'


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> Distributor:
    """The leader, before any unit is there."""
    return Distributor(monkeypatch)


@pytest.fixture
def cluster(unit: Distributor) -> Distributor:
    """The leader of a settled cluster of `a-0` and `a-1`, the first of which communicates."""
    unit.goal = "a/0 a/1 a/2"
    unit.put("a/0", "true", cluster="a-0")
    unit.put("a/1", "true", cluster="a-0")
    unit.update_status()
    return unit


def test_a_cluster_is_formed(unit: Distributor) -> None:
    """From the first report to the last member, with what is written at each step."""
    granted = {"leader": "0", "bootstrap-app": "a", "bootstrap-host": "a-0", "shared": "true"}
    granted["waiting"] = "a-0 b-0"
    tokens = {**UP, "mirror-b-0": consumer.token("b-0")}
    unit.goal = "a/0 b/0"

    unit.report("a/0")
    assert (unit.app_bag(), unit.unit_bag()) == ({}, {})
    assert unit.status == "waiting the bootstrap waits for b/0"

    unit.report("b/0")
    assert (unit.app_bag("a"), unit.app_bag("b"), unit.unit_bag()) == (granted, granted, {})
    assert unit.status == "waiting waiting for a-0 to bootstrap"
    assert unit.log == [EVENT.format("grant_bootstrap", "a-0", "a/0 may bootstrap")]

    unit.report("a/0", "true", cluster="a-0", **offers("b-0"))
    assert (unit.unit_bag("a"), unit.unit_bag("b"), unit.app_bag()) == (tokens, tokens, granted)
    assert unit.status == "waiting 1 of 2 units in the cluster"

    unit.report("b/0", "true", cluster="a-0")
    assert unit.unit_bag() == tokens
    assert unit.status == "active 2 of 2 units in the cluster"

    unit.update_status()
    assert (unit.app_bag("b"), unit.unit_bag("b")) == (SHARED, UP)


def test_an_earlier_revisions_values_are_kept(unit: Distributor) -> None:
    """The member that issued a token may be gone, and earlier units never say that they joined."""
    unit.put("a/0", "", mirror="up")
    unit.put("a/1", "")
    unit.relation().local_unit_data.update({**UP, "mirror-a-1": consumer.token("a-1")})

    unit.update_status()

    assert unit.unit_bag()["mirror-a-1"] == consumer.token("a-1")


def test_a_token_issued_before_its_unit_is_heard_of(cluster: Distributor) -> None:
    """It was not remembered, and its bag is read again."""
    cluster.report("a/0", "true", cluster="a-0", **offers("a-2"))
    assert cluster.unit_bag() == UP

    cluster.report("a/2")

    assert cluster.unit_bag() == {**UP, "mirror-a-2": consumer.token("a-2")}


def test_who_finds_itself_leading_takes_over(cluster: Distributor) -> None:
    """Whatever the hook, where another's number is published: it may have missed something."""
    cluster.report("a/2")
    relation, juju = cluster.relation(), {"ingress-address": "10.0.0.1"}
    relation.local_app_data.update(leader="7", left="a-9")
    relation.local_unit_data.update(juju, mirror="down")
    cluster.put("a/0", "true", cluster="a-0", **offers("a-2"))

    cluster.changed("a/1")

    assert cluster.app_bag() == {**FORMED, "waiting": "a-2"}
    assert cluster.unit_bag() == {**UP, **juju, "mirror-a-2": consumer.token("a-2")}


def test_who_departs_and_is_not_named_any_more_has_left_at_once(cluster: Distributor) -> None:
    """The others need not wait for an update-status to remove the member."""
    cluster.goal = "a/0"

    cluster.run("relation_departed", cluster.relation(), remote_unit=1, departing_unit=1)

    assert cluster.app_bag() == {**FORMED, "left": "a-1"}


def test_a_dying_leader_writes_nothing(
    cluster: Distributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The units that depart from it stay where they are."""
    itself = property(lambda event: event.framework.model.unit)
    monkeypatch.setattr(ops.RelationDepartedEvent, "departing_unit", itself)
    cluster.goal = "a/0"

    cluster.run("relation_departed", cluster.relation(), remote_unit=1)
    cluster.update_status()

    assert cluster.app_bag() == FORMED


def test_a_grant_stands_though_a_late_unit_has_a_lower_number(unit: Distributor) -> None:
    """Who was granted the bootstrap may be at it."""
    unit.goal = "a/0:waiting a/1"
    unit.report("a/1")
    unit.update_status()
    assert unit.app_bag()["bootstrap-host"] == "a-1"

    unit.report("a/0")
    unit.goal = "a/0 a/1 a/2:allocating"
    unit.update_status()

    assert unit.app_bag()["bootstrap-host"] == "a-1"


def test_formed_is_taken_back_at_update_status(cluster: Distributor) -> None:
    """When all say that they are no members; the bootstrap is granted anew then."""
    cluster.goal = "a/0 a/1"
    cluster.report("a/0")
    cluster.report("a/1")
    assert "bootstrap-host" not in cluster.app_bag()

    cluster.update_status()

    assert "formed" not in cluster.app_bag()
    assert cluster.app_bag()["bootstrap-host"] == "a-0"


def test_what_juju_refused_to_write_is_written_next_time(cluster: Distributor) -> None:
    """The StoredState is ahead of the databags then."""
    cluster.put("a/2")
    before = cluster.state
    cluster.changed("a/2")
    cluster.state = dataclasses.replace(before, stored_states=cluster.state.stored_states)

    cluster.changed("a/1")

    assert cluster.app_bag() == {**FORMED, "waiting": "a-2"}
    assert cluster.ledger == {**LEDGER, "unit-a/2": "a-2"}


def test_without_goal_state_nothing_is_decided(cluster: Distributor) -> None:
    """No hook fails, and nobody has left."""
    cluster.goal = None

    cluster.update_status()

    assert len(cluster.log) == 1
    assert cluster.log[0].startswith("cannot tell which units the model has: ")
    assert (cluster.app_bag(), cluster.ledger) == (FORMED, {**LEDGER, "unit-a/2": "?"})


SAME_NAME = "blocked a/1 and a/2 have the same host name, a-1: rename one machine"


@rows(
    "member,newcomer,status",
    ("no join", {}, {"failed": "0" * 64}, "waiting join failed, see the log of the unit on: a-2"),
    ("a member down", {"hold": "a-1"}, {}, "waiting joins paused: member a-1 is offline"),
    ("no list", {"hold": "a-0"}, {}, "waiting joins paused: no list of members on a-0; check a-1"),
    ("one host name", {}, {"hostname": "a-1"}, SAME_NAME),
)
def test_status_says_what_a_newcomer_waits_for(
    cluster: Distributor, member: dict[str, str], newcomer: dict[str, str], status: str
) -> None:
    """Somebody has to look at the unit or the member that it names."""
    cluster.report("a/2", **newcomer)
    cluster.report("a/0", "true", cluster="a-0", **member)

    assert cluster.status == status


def test_several_clusters_are_left_alone(cluster: Distributor) -> None:
    """From the second update-status on, until one is taken away."""
    cluster.report("b/0", "true", cluster="b-0")
    cluster.update_status()
    assert cluster.status.startswith("active")
    cluster.update_status()
    several = "blocked several clusters are related, those of a-0 and b-0: keep one"
    assert cluster.status == several
    cluster.goal = "a/0 a/2 b/0"
    cluster.update_status()
    assert cluster.app_bag() == SHARED

    cluster.relation("b").remote_units_data.clear()
    cluster.update_status()

    assert cluster.app_bag() == {**FORMED, "left": "a-1"}


def test_show_mirror(cluster: Distributor) -> None:
    """A row for each unit, in words, and for each member without one."""
    cluster.goal = "a/0 a/2 b/0 b/1 b/2"
    cluster.put("b/0")
    cluster.put("b/1", failed="0" * 64)
    cluster.put("b/2", "", hostname="")
    cluster.put("a/2")
    cluster.put("a/0", "true", cluster="a-0", offline="x-1", **offers("b-0"))
    cluster.update_status()

    assert EVENT.format("mark_left", "a-1", "a/1 has left") in cluster.log
    assert cluster.act("show-mirror") == [
        "a/0 a-0 joined",
        "a/2 a-2 waiting",
        "b/0 b-0 token offered",
        "b/1 b-1 join failed",
        "b/2 waiting",
        "a-1 left",
        "x-1 offline",
    ]


def test_only_the_leader_has_something_to_say(unit: Distributor) -> None:
    """Where it has a relation."""
    unit.state = testing.State()
    unit.update_status()
    assert unit.status == "blocked integrate with a charm that forms a microcluster"

    unit.leads = False
    unit.update_status()

    assert unit.status == "active ready to take over from the leader"
    with pytest.raises(testing.ActionFailed, match="run it on distributor/leader"):
        unit.act("show-mirror")


def test_forget_member(cluster: Distributor) -> None:
    """It is in `left` while its cluster calls it offline, whatever goal-state says."""
    down = {"hold": "a-0 a-1", "offline": "x-1"}
    cluster.report("a/0", "true", cluster="a-0", **down)
    for host in ("a-0", "x-2", "x-1 x-1"):
        with pytest.raises(testing.ActionFailed, match="is offline; those are: a-1, x-1"):
            cluster.act("forget-member", host=host)

    cluster.act("forget-member", host="a-1")
    assert EVENT.format("forget_member", "a-1", "by an operator's word") in cluster.log
    cluster.act("forget-member", host="x-1")
    cluster.update_status()
    assert cluster.status == "active 2 of 2 units in the cluster, offline: a-1, x-1"
    assert cluster.app_bag()["left"] == "a-1 x-1"

    # Both are back: should they go down once more, the word does not count any longer.
    for keys in ({}, down):
        cluster.report("a/0", "true", cluster="a-0", **keys)
        cluster.update_status()
        assert "left" not in cluster.app_bag()


TEXTS = ["", " ", "=", "a b", "ä٣\x00\n", "-1", "%s{}", "up", "x" * 999]
KEYS = "hostname member cluster failed hold offline gone generation mirror mirror- mirror-a-2"
OUR_KEYS = "leader bootstrap-app bootstrap-host waiting formed hold left mirror mirror-x unit-a/7"
texts = st.sampled_from(TEXTS) | st.text()


@settings(max_examples=30)
@given(
    st.sampled_from(["", "true", "false", "unknown"]),
    st.dictionaries(st.sampled_from(KEYS.split()) | st.text(min_size=1), texts),
    st.dictionaries(st.sampled_from(OUR_KEYS.split()), texts.filter(bool)),
)
def test_any_databag_is_borne(member: str, bad: dict[str, str], ours: dict[str, str]) -> None:
    """A communicator and a newcomer lose nothing by a bad report, nor by bad bags of our own."""
    with pytest.MonkeyPatch.context() as patch:
        unit = Distributor(patch)
        unit.report("a/0", "true", cluster="a-0", **offers("a-2"))
        unit.report("a/2")
        for content in (unit.relation().local_app_data, unit.relation().local_unit_data):
            content.update(ours)
        unit.ledger.update(ours)
        unit.report("a/1", **{"member": member, "mirror": "up", **bad})
        unit.act("show-mirror")
        unit.update_status()

        app_bag, unit_bag = unit.app_bag(), unit.unit_bag()
        assert (app_bag["leader"], app_bag["formed"], unit_bag["mirror"]) == ("0", "true", "up")
        assert app_bag.get("left", "") in ("", ours.get("unit-a/7"))
        assert "a-2" in app_bag["waiting"].split()
        assert unit_bag["mirror-a-2"] == consumer.token("a-2")
