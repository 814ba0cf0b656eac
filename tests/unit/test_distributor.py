"""The charm, event by event: what it reads, writes and says, and what it bears."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops import testing

from tests.unit import distributor

if TYPE_CHECKING:
    import random

bag, digest = distributor.bag, distributor.digest
offers, token = distributor.offers, distributor.token
MEMBER = bag("a/0", "true", cluster="a-0")
FORMED = {"leader": "0", "bootstrap-app": "a", "formed": "true"}
SHARED = {**FORMED, "shared": "true"}
UP = {"mirror": "up"}
LEDGER = {"unit-a/0": "a-0", "unit-a/1": "a-1"}


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> distributor.Distributor:
    """The leader, with nothing related."""
    return distributor.Distributor(monkeypatch)


@pytest.fixture
def cluster(unit: distributor.Distributor) -> distributor.Distributor:
    """The leader of a settled cluster of `a-0` and `a-1`, the first of which communicates."""
    unit.put("a/0", MEMBER)
    unit.put("a/1", bag("a/1", "true", cluster="a-0"))
    unit.update_status()
    return unit


# Each event


def test_nothing_is_written_on_relation_created(unit: distributor.Distributor) -> None:
    """Nor is a unit heard of, and goal-state asked."""
    relation = unit.relation("a")

    unit.run(unit.context.on.relation_created(relation))

    assert (unit.app_bag(), unit.unit_bag(), unit.calls["goal_state"]) == ({}, {}, 0)
    assert unit.calls["relation_set"] == 0


def _event(action: str, host: str, text: str) -> str:
    return (
        f'security=true category=AUTHZ event=authz_admin action={action} node={host} msg="{text}"'
    )


def test_a_cluster_is_formed(unit: distributor.Distributor) -> None:
    """From the first report to the last member, with what is written at each step."""
    granted = {"leader": "0", "bootstrap-app": "a", "bootstrap-host": "a-0", "shared": "true"}
    granted["waiting"] = "a-0 b-0"
    tokens = {**UP, "mirror-b-0": token("b-0")}
    unit.name("b/0")

    unit.report("a/0")
    assert (unit.app_bag(), unit.unit_bag()) == ({}, {})
    assert unit.status == "waiting the bootstrap waits for b/0"

    unit.report("b/0")
    assert (unit.app_bag("a"), unit.app_bag("b"), unit.unit_bag()) == (granted, granted, {})
    assert unit.status == "waiting waiting for a-0 to bootstrap"
    assert unit.log == [_event("grant_bootstrap", "a-0", "a/0 may bootstrap")]

    unit.report("a/0", "true", cluster="a-0")
    assert unit.calls["relation_set"] == 0
    assert unit.status == "waiting 1 of 2 units in the cluster"

    unit.report("a/0", "true", cluster="a-0", **offers("b-0"))
    assert (unit.unit_bag("a"), unit.unit_bag("b"), unit.app_bag()) == (tokens, tokens, granted)

    unit.report("b/0", "true", cluster="a-0")
    assert unit.unit_bag() == tokens
    assert unit.status == "active 2 of 2 units in the cluster"

    unit.update_status()
    for app in ("a", "b"):
        assert (unit.app_bag(app), unit.unit_bag(app)) == (SHARED, UP)


def test_an_earlier_revisions_values_are_kept(unit: distributor.Distributor) -> None:
    """The member that issued a token may be gone, and earlier units never say that they joined."""
    unit.put("a/0", bag("a/0", "", mirror="up"))
    unit.put("a/1", bag("a/1", ""))
    unit.publish({"bootstrap-app": "a"}, {**UP, "mirror-a-1": token("a-1")}, {})

    unit.update_status()

    assert unit.unit_bag()["mirror-a-1"] == token("a-1")
    assert unit.status == "active 1 of 2 units in the cluster"


def test_the_first_write_names_the_leader(unit: distributor.Distributor) -> None:
    """Or a new consumer would take the mirror for an old one."""
    unit.put("b/0", bag("b/0"))

    unit.report("a/0", "true", **offers("b-0"))

    assert unit.unit_bag("b") == {**UP, "mirror-b-0": token("b-0")}
    assert unit.app_bag("b")["leader"] == "0"


def test_old_units_are_served(unit: distributor.Distributor) -> None:
    """By the keys that they know; the new ones do them no harm."""
    unit.name("a/1")
    unit.report("a/0", "")
    assert (unit.app_bag(), unit.unit_bag()) == ({}, {})

    unit.report("a/1", "")
    assert unit.app_bag()["bootstrap-app"] == "a"
    assert unit.unit_bag() == {**UP, "mirror-a-0": "empty", "mirror-a-1": "empty"}

    unit.report("a/0", "", **offers("a-1"))
    assert unit.unit_bag() == {**UP, "mirror-a-0": "empty", "mirror-a-1": token("a-1")}


def test_a_token_issued_before_its_unit_is_heard_of(cluster: distributor.Distributor) -> None:
    """It was not remembered, and its bag is read again."""
    cluster.report("a/0", "true", cluster="a-0", **offers("a-2"))
    assert cluster.unit_bag() == UP

    cluster.report("a/2")

    assert cluster.unit_bag() == {**UP, "mirror-a-2": token("a-2")}


def test_a_rejected_token_is_replaced(cluster: distributor.Distributor) -> None:
    """Its digest is published, so that it is not offered again."""
    cluster.report("a/2")
    cluster.report("a/0", "true", cluster="a-0", **offers("a-2"))

    cluster.report("a/2", failed=digest("a-2"))
    assert cluster.app_bag()["waiting"] == f"a-2={digest('a-2')}"
    assert cluster.unit_bag() == {**UP, "mirror-a-2": token("a-2")}

    cluster.report("a/0", "true", cluster="a-0", **offers("a-2", number=2))
    assert cluster.unit_bag() == {**UP, "mirror-a-2": token("a-2", 2)}


def test_a_unit_leaves(cluster: distributor.Distributor) -> None:
    """From its departure until the cluster has dealt with it."""
    cluster.depart("a/1", is_named=True)
    assert cluster.app_bag() == FORMED

    cluster.forget("a/1")
    cluster.update_status()
    assert cluster.app_bag() == {**FORMED, "left": "a-1"}
    assert cluster.log == [_event("mark_left", "a-1", "a/1 has left")]

    cluster.report("a/0", "true", cluster="a-0", gone="a-1")
    cluster.update_status()
    assert cluster.app_bag() == FORMED
    assert cluster.ledger == {"a/0": "a-0"}


def test_a_removed_unit_that_juju_still_lists(cluster: distributor.Distributor) -> None:
    """It is no member, whatever its bag says, and is not let go twice."""
    cluster.depart("a/1", is_listed=True)
    assert cluster.app_bag()["left"] == "a-1"

    cluster.report("a/0", "true", cluster="a-0", gone="a-1")
    for _ in range(2):
        cluster.update_status()
        assert cluster.app_bag() == FORMED
        assert cluster.ledger == {"a/0": "a-0", "a/1": "-"}
        assert cluster.status == "active 1 of 1 units in the cluster"


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("is_last", [False, True])
def test_nobody_has_left_by_a_broken_relation(
    cluster: distributor.Distributor, is_named: bool, is_last: bool
) -> None:
    """Be it removed, or an offer suspended, and resumed."""
    if not is_last:
        cluster.report("b/0", "true", cluster="a-0")
        cluster.update_status()
    cluster.part("a", is_named=is_named)
    cluster.update_status()
    if is_last:
        assert cluster.status == "blocked integrate with a charm that forms a microcluster"

    cluster.put("a/0", MEMBER)
    cluster.name("a/0", "a/1")
    cluster.changed("a/0")
    cluster.put("a/1", bag("a/1", "true", cluster="a-0"))
    cluster.update_status()

    assert cluster.app_bag("a") in (FORMED, SHARED)
    assert cluster.app_bag("b") in ({}, FORMED, SHARED)


def test_a_departing_units_tokens_are_taken(cluster: distributor.Distributor) -> None:
    """From its bag, which nobody can read afterwards."""
    cluster.report("a/2")
    cluster.put("a/0", {**MEMBER, **offers("a-2")})

    cluster.depart("a/0")

    assert cluster.unit_bag()["mirror-a-2"] == token("a-2")
    assert cluster.app_bag()["left"] == "a-0"


# Who leads


def test_a_new_leader_reads_all_and_publishes(unit: distributor.Distributor) -> None:
    """Also what the last one said of who has left; the ledger knows."""
    unit.put("a/0", {**MEMBER, **offers("b-0")})
    unit.put("b/0", bag("b/0"))
    former = {**FORMED, "leader": "7", "waiting": "a-9", "hold": "a-3"}
    unit.publish(former, {"mirror": "down"}, LEDGER)
    unit.name("a")

    unit.lead()

    for app in ("a", "b"):
        assert unit.app_bag(app) == {**SHARED, "waiting": "b-0", "left": "a-1"}
        assert unit.unit_bag(app) == {**UP, "mirror-b-0": token("b-0")}
    assert unit.ledger == {"a/0": "a-0", "a/1": "a-1", "b/0": "b-0"}


def test_who_finds_itself_leading_takes_over(cluster: distributor.Distributor) -> None:
    """Whatever the hook, where another's number is published: it may have missed something."""
    cluster.report("a/2")
    cluster.publish({**FORMED, "leader": "7"}, {"mirror": "down"}, {})
    cluster.put("a/0", {**MEMBER, **offers("a-2")})

    cluster.changed("a/1")

    assert cluster.app_bag() == {**FORMED, "waiting": "a-2"}
    assert cluster.unit_bag() == {**UP, "mirror-a-2": token("a-2")}


@pytest.mark.parametrize("hook", ["changed", "update_status"])
def test_a_deposed_leader_drops_its_tokens(cluster: distributor.Distributor, hook: str) -> None:
    """In its next hook, and writes nothing else."""
    cluster.report("a/2")
    cluster.report("a/0", "true", cluster="a-0", **offers("a-2"))
    before = cluster.app_bag()

    cluster.lead(False)
    cluster.changed("a/2") if hook == "changed" else cluster.update_status()

    assert (cluster.unit_bag(), cluster.app_bag()) == ({"mirror": "down"}, before)
    assert cluster.status == "active ready to take over from the leader"
    cluster.update_status()
    assert cluster.calls["relation_set"] == 0


def test_a_dying_leader_writes_nothing(
    cluster: distributor.Distributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The units that depart from it stay where they are."""
    before = (cluster.app_bag(), cluster.unit_bag(), cluster.ledger)
    itself = property(lambda event: event.framework.model.unit)
    monkeypatch.setattr(ops.RelationDepartedEvent, "departing_unit", itself)

    cluster.depart("a/1")
    cluster.report("a/2")
    cluster.update_status()

    assert (cluster.app_bag(), cluster.unit_bag(), cluster.ledger) == before


# What is due, and what is healed


@pytest.mark.parametrize("hook", ["changed", "update_status"])
def test_a_hold_comes_and_goes_at_once(cluster: distributor.Distributor, hook: str) -> None:
    """Each minute of it stops the joins."""
    cluster.report("a/0", "true", cluster="a-0", hold="a-1")
    assert cluster.app_bag() == {**FORMED, "hold": "a-1"}

    cluster.put("a/0", MEMBER)
    cluster.changed("a/0") if hook == "changed" else cluster.update_status()

    assert cluster.app_bag() == FORMED


def test_a_burst_of_newcomers_is_published_in_parts(cluster: distributor.Distributor) -> None:
    """In parts that grow, and at last when few are missing."""
    newcomers = [f"a/{number}" for number in range(2, 12)]
    cluster.name(*newcomers)
    cluster.update_status()
    published: list[int] = []

    for newcomer in newcomers:
        cluster.report(newcomer)
        published.append(len(cluster.app_bag().get("waiting", "").split()))

    assert published == [1, 1, 3, 3, 3, 6, 7, 8, 9, 10]


def test_a_grant_stands_though_a_late_unit_has_a_lower_number(
    unit: distributor.Distributor,
) -> None:
    """Who was granted the bootstrap may be at it."""
    unit.name("a/0:waiting", "a/1")
    unit.report("a/1")
    unit.update_status()
    assert unit.app_bag()["bootstrap-host"] == "a-1"

    unit.report("a/0")
    unit.name("a/2:allocating")
    unit.update_status()

    assert unit.app_bag()["bootstrap-host"] == "a-1"


@pytest.mark.parametrize(
    ("dying", "members", "is_formed"),
    [
        ("", ["false", "false"], False),
        ("", ["false", "unknown"], True),
        ("", ["false", ""], True),
        ("a/2:dying", ["false", "false"], True),
    ],
)
def test_formed_is_taken_back_at_update_status(
    cluster: distributor.Distributor, dying: str, members: list[str], is_formed: bool
) -> None:
    """When all say that they are no members, and nobody is on the way out in silence."""
    cluster.name(*dying.split())
    for number, member in enumerate(members):
        cluster.report(f"a/{number}", member)
    assert "bootstrap-host" not in cluster.app_bag()

    cluster.update_status()

    assert ("formed" in cluster.app_bag()) is is_formed
    assert ("bootstrap-host" in cluster.app_bag()) is not is_formed


def test_what_juju_refused_to_write_is_written_next_time(
    cluster: distributor.Distributor,
) -> None:
    """The StoredState is ahead of the databags then."""
    cluster.put("a/2", bag("a/2"))
    cluster.changed("a/2", is_flushed=False)
    assert cluster.app_bag() == FORMED

    cluster.changed("a/1")
    assert cluster.app_bag() == {**FORMED, "waiting": "a-2"}

    cluster.put("a/0", {**MEMBER, **offers("a-2"), "hold": "a-1"})
    cluster.changed("a/0", is_flushed=False)
    cluster.changed("a/2")
    assert cluster.app_bag() == {**FORMED, "waiting": "a-2", "hold": "a-1"}
    assert cluster.unit_bag() == {**UP, "mirror-a-2": token("a-2")}
    assert cluster.ledger["a/2"] == "a-2"


def test_a_databag_that_cannot_be_read_says_nothing(cluster: distributor.Distributor) -> None:
    """The hook does not fail, and nobody has left for it."""
    cluster.unreadable = {"a/1"}

    for hook in (cluster.update_status, cluster.lead, lambda: cluster.changed("a/1")):
        hook()
        assert cluster.log == ["cannot read what a/1 reports: permission denied: a/1"]
        assert cluster.app_bag() == FORMED
    cluster.depart("a/1")

    assert cluster.app_bag() == {**FORMED, "left": "a-1"}


def test_others_keys_in_our_bags_stay(cluster: distributor.Distributor) -> None:
    """Juju puts addresses there."""
    juju = {"egress-subnets": "10.0.0.1/32", "ingress-address": "10.0.0.1"}
    cluster.publish(FORMED, {**UP, **juju, "mirror-a-9": token("a-9")}, LEDGER)

    cluster.update_status()

    assert cluster.unit_bag() == {**UP, **juju}


@settings(max_examples=30)
@given(st.randoms(use_true_random=False), st.integers(0, 4))
def test_any_order_of_hooks_ends_alike(order: random.Random, newcomers: int) -> None:
    """As one full read does, and the next update-status writes nothing."""
    bags = {f"b/{number}": bag(f"b/{number}") for number in range(newcomers)}
    bags["a/1"] = bag("a/1", "true", cluster="a-0", hold="a-2", gone="a-2")
    bags["a/0"] = {**MEMBER, **offers(*(name.replace("/", "-") for name in bags))}
    waiting = {"waiting": " ".join(f"b-{number}" for number in range(newcomers))}
    tokens = {f"mirror-b-{number}": token(f"b-{number}") for number in range(newcomers)}
    with pytest.MonkeyPatch.context() as patch:
        unit = distributor.Distributor(patch)
        unit.relation("a")
        unit.relation("b")

        for name in order.sample([*bags], len(bags)):
            unit.put(name, bags[name])
            unit.changed(name)
        unit.update_status()

        expected = {
            **(SHARED if newcomers else FORMED),
            "hold": "a-2",
            **(waiting if newcomers else {}),
        }
        assert {**unit.app_bag(), "bootstrap-app": "a"} == expected
        assert unit.unit_bag() == {**UP, **tokens}
        assert unit.ledger == {name: name.replace("/", "-") for name in bags}
        unit.update_status()
        assert unit.calls["relation_set"] == 0


# What it costs


def _run(unit: distributor.Distributor, hook: str) -> None:
    if hook in ("token", "joined"):
        unit.report("a/99")
    match hook:
        case "member":
            unit.changed("a/3")
        case "newcomer":
            unit.report("a/99")
        case "token":
            unit.report("a/0", "true", cluster="a-0", **offers("a-99"))
        case "joined":
            unit.report("a/99", "true", cluster="a-0")
        case "departed":
            unit.depart("a/3")
        case _:
            unit.part("b")


@pytest.mark.parametrize("hook", ["member", "newcomer", "token", "joined", "departed", "broken"])
def test_a_hooks_calls_do_not_grow_with_the_units(
    monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    """Only update-status, and a new leader, read all."""
    costs: list[dict[str, int]] = []
    for size in (5, 25):
        unit = distributor.Distributor(monkeypatch)
        unit.put("a/0", MEMBER)
        unit.put("b/0", bag("b/0", "true"))
        for number in range(1, size):
            unit.put(f"a/{number}", bag(f"a/{number}", "true", cluster="a-0"))
        unit.update_status()
        assert unit.calls["relation_get"] > size
        _run(unit, hook)
        costs.append({**unit.calls})

    assert costs[0] == costs[1]
    assert costs[0].get("goal_state", 0) == (hook in ("newcomer", "departed"))


# What it says


@distributor.rows(
    "reports,status",
    ("settled", {}, "active 2 of 2 units in the cluster"),
    (
        "a member down",
        {"a/0": {"hold": "a-1"}},
        "active 2 of 2 units in the cluster, offline: a-1",
    ),
    (
        "joins paused",
        {"a/2": {}, "a/0": {"hold": "a-1"}},
        "waiting joins paused: member a-1 is offline",
    ),
    (
        "no list",
        {"a/2": {}, "a/0": {"hold": "a-0"}},
        "waiting joins paused: no list of members on a-0; check a-1",
    ),
    (
        "a failed join",
        {"a/2": {"failed": digest("x")}},
        "waiting join failed, see the log of the unit on: a-2",
    ),
    (
        "two of one host name",
        {"a/2": {"hostname": "a-1"}},
        "blocked a/1 and a/2 have the same host name, a-1: rename one machine",
    ),
)
def test_status(
    cluster: distributor.Distributor, reports: dict[str, dict[str, str]], status: str
) -> None:
    """What somebody has to do comes first."""
    cluster.update_status()
    for name, keys in reports.items():
        cluster.report(name, "true" if name == "a/0" else "false", **keys)

    assert cluster.status == status


def test_several_clusters_are_left_alone(cluster: distributor.Distributor) -> None:
    """From the second update-status on, until one is taken away."""
    cluster.report("b/0", "true", cluster="b-0")
    cluster.update_status()
    assert cluster.status.startswith("active")
    cluster.update_status()
    several = "blocked several clusters are related, those of a-0 and b-0: keep one"
    assert cluster.status == several
    cluster.report("b/1")
    cluster.depart("a/1")
    assert cluster.app_bag() == SHARED

    cluster.part("b")
    cluster.update_status()

    assert cluster.app_bag() == {**FORMED, "left": "a-1"}


def test_show_mirror(cluster: distributor.Distributor) -> None:
    """A row for each unit, in words, and for each member without one."""
    cluster.report("b/0")
    cluster.report("b/1", failed=digest("b-1"))
    cluster.report("a/2")
    cluster.report("a/0", "true", cluster="a-0", **offers("b-0"))
    cluster.put("b/2", {})
    cluster.depart("a/1")
    cluster.report("a/0", "true", cluster="a-0", offline="x-1", **offers("b-0"))

    rows = cluster.show_mirror()

    assert rows == [
        "a/0 a-0 joined",
        "a/2 a-2 waiting",
        "b/0 b-0 token offered",
        "b/1 b-1 join failed",
        "b/2 waiting",
        "a-1 left",
        "x-1 offline",
    ]


def test_actions_are_the_leaders(cluster: distributor.Distributor) -> None:
    """Others do not know."""
    cluster.lead(False)

    for action in (cluster.show_mirror, lambda: cluster.forget_member("a-1")):
        with pytest.raises(testing.ActionFailed, match="run it on distributor/leader"):
            action()


@pytest.mark.parametrize("reported", ["hold", "offline"])
def test_forget_member(cluster: distributor.Distributor, reported: str) -> None:
    """It is in `left` while its cluster calls it offline, whatever goal-state says."""
    cluster.report("a/0", "true", cluster="a-0", **{reported: "a-1 x-1"})

    cluster.forget_member("a-1")
    assert _event("forget_member", "a-1", "by an operator's word") in cluster.log
    cluster.forget_member("x-1")
    cluster.update_status()
    assert cluster.app_bag()["left"] == "a-1 x-1"

    cluster.report("a/0", "true", cluster="a-0", **{reported: "a-1"})
    cluster.update_status()
    assert cluster.app_bag()["left"] == "a-1"

    # It is back: should it go down once more, the word does not count any longer.
    cluster.report("a/0", "true", cluster="a-0")
    cluster.update_status()
    cluster.report("a/0", "true", cluster="a-0", **{reported: "a-1"})
    cluster.update_status()
    assert "left" not in cluster.app_bag()


def test_forget_member_takes_no_other(cluster: distributor.Distributor) -> None:
    """Neither a member that is online, nor a name that is none, nor nonsense."""
    cluster.report("a/0", "true", cluster="a-0", hold="a-0 x-1")

    for host in ("a-0", "a-1", "x-2", "", "x-1 x-1"):
        with pytest.raises(
            testing.ActionFailed, match="no member that is offline; those are: x-1"
        ):
            cluster.forget_member(host)
    cluster.update_status()

    assert "left" not in cluster.app_bag()


# What it bears

TEXTS = ["", " ", "=", "a b", "ä٣\x00\n", "-1", "%s{}", "up", "x" * 70_000]
KEYS = ["hostname", "member", "cluster", "failed", "hold", "offline", "gone", "generation"]
MIRROR_KEYS = ["mirror", "mirror-", "mirror-a-2", "mirror-x"]
APP_KEYS = ["leader", "bootstrap-app", "bootstrap-host", "waiting", "formed", "hold", "left"]


def _report_badly(unit: distributor.Distributor, member: str, *reports: dict[str, str]) -> None:
    """Let `a/1` report badly, beside a communicator and a newcomer, who lose nothing by it."""
    unit.report("a/0", "true", cluster="a-0", **offers("a-2"))
    unit.report("a/2")
    for bad in reports:
        unit.put("a/1", bag("a/1", **{"member": member, "mirror": "up", **bad}))
        unit.changed("a/1")
        unit.update_status()
        unit.show_mirror()

        assert unit.app_bag()["formed"] == "true"
        assert "left" not in unit.app_bag()
        assert "a-2" in unit.app_bag()["waiting"].split()
        assert unit.unit_bag()["mirror-a-2"] == token("a-2")
    unit.depart("a/1")
    assert unit.unit_bag()["mirror-a-2"] == token("a-2")


@pytest.mark.parametrize("member", ["", "true"])
@pytest.mark.parametrize("key", [*KEYS, *MIRROR_KEYS])
def test_a_bad_report_is_borne(unit: distributor.Distributor, key: str, member: str) -> None:
    """Whatever the key, and in each dialect."""
    _report_badly(unit, member, *({key: text} for text in TEXTS))


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from([*KEYS, *MIRROR_KEYS]) | st.text(min_size=1),
        st.text(min_size=1) | st.sampled_from(TEXTS),
    ),
    st.sampled_from(["", "true", "false", "unknown"]),
)
def test_any_report_is_borne(bad: dict[str, str], member: str) -> None:
    """However many of its keys are bad."""
    with pytest.MonkeyPatch.context() as patch:
        _report_badly(distributor.Distributor(patch), member, bad)


@pytest.mark.parametrize("key", [*APP_KEYS, "generation", "mirror", "mirror-a-2", "unit-a/7"])
def test_bad_bags_of_our_own_are_mended(cluster: distributor.Distributor, key: str) -> None:
    """They are another revision's, or an operator's."""
    for text in TEXTS:
        peers_bag = {**LEDGER, key: text, "a/8": "a-8"}
        bad = {} if key.startswith("unit-") else {key: text}
        cluster.publish({**FORMED, **bad}, {**UP, **bad}, peers_bag)
        cluster.changed("a/1")
        cluster.show_mirror()
        cluster.update_status()

        expected = {**FORMED, "bootstrap-app": cluster.app_bag()["bootstrap-app"]}
        left = cluster.app_bag().get("left", "")
        assert left == (text if key.startswith("unit-") else "")
        assert {**cluster.app_bag(), "left": ""} == {**expected, "left": ""}
        assert cluster.unit_bag()["mirror"] == "up"
