"""The consumer's rules, one by one: pure functions over plain values."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import consumer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
TOKEN_0 = consumer.token("node-0")
TOKEN_1 = consumer.token("node-1")
TOKEN_1_AGAIN = consumer.token("node-1", 2)
TOKEN_2 = consumer.token("node-2")

FALSE = {"hostname": "node-0", "member": "false"}
TRUE = {"hostname": "node-0", "member": "true"}

OUTSIDE = lib.Workload(lib.Membership.NOT_A_MEMBER)
NO_TELLING = lib.Workload(lib.Membership.UNKNOWN, reason="its quorum is lost")


def cluster(*rows: str | tuple[str, str, str]) -> lib.Workload:
    """Return the answer of a member: host names of online voters, or name, role and status."""
    full = [(row, "voter", "ONLINE") if isinstance(row, str) else row for row in rows]
    members = tuple(lib.Member(*row) for row in sorted(full))
    return lib.Workload(lib.Membership.MEMBER, members)


def mirror(
    values: Mapping[str, str] | None = None,
    *,
    leader: str = "distributor/0",
    failed: Mapping[str, str] | None = None,
    **fields: Any,
) -> lib.Mirror:
    """Return what a distributor shows; `failed` names values, of which the digest is shown."""
    digests = {name: lib.digest(value) for name, value in (failed or {}).items()}
    return lib.Mirror(values=values or {}, failed=digests, leader=leader, **fields)


def situation(
    workload: lib.Workload = OUTSIDE, shown: lib.Mirror | None = None, **fields: Any
) -> lib.Situation:
    """Return the situation of `micro/0` on `node-0`."""
    plain = lib.Situation(
        unit="micro/0",
        app="micro",
        leads=False,
        hostname="node-0",
        workload=workload,
        shown=shown,
        bag={},
    )
    return dataclasses.replace(plain, **fields)


def steps(start: lib.Situation) -> list[lib.Step]:
    """Return all steps of a hook in which each of them changes nothing."""
    found: list[lib.Step] = []
    while (step := lib.next_step(start)) is not None:
        found.append(step)
        start = dataclasses.replace(start, tried=(*start.tried, step))
    return found


# The workload's answer


def test_members_are_read_in_the_order_of_their_names() -> None:
    """So that all units find the same communicator, whatever order `list` prints."""
    text = consumer.members(("node-1", "spare", "UNREACHABLE"), "node-0").stdout

    workload = lib.parse_members(text, "node-0")

    assert workload == lib.Workload(
        lib.Membership.MEMBER,
        (
            lib.Member("node-0", "voter", "ONLINE"),
            lib.Member("node-1", "spare", "UNREACHABLE"),
        ),
    )
    assert [member.online for member in workload.members] == [True, False]
    assert workload.find("node-1") == lib.Member("node-1", "spare", "UNREACHABLE")
    assert workload.find("node-2") is None


def test_a_member_without_a_role_and_with_unknown_fields_is_read() -> None:
    """Other microclusters have other fields."""
    text = json.dumps([{"name": "node-0", "status": "Online", "roles": ["database"], "x": None}])

    assert lib.parse_members(text, "node-0").members == (lib.Member("node-0", "", "Online"),)


@pytest.mark.parametrize(
    ("status", "online"),
    [
        ("ONLINE", True),
        ("Online", True),
        ("UNREACHABLE", False),
        ("Offline", False),
        ("NOT ONLINE", False),
        ("", False),
    ],
)
def test_only_a_member_that_is_online_is_called_so(status: str, online: bool) -> None:
    """In whatever case the workload writes it."""
    assert lib.Member("node-0", "voter", status).online is online


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        '[{"name": "node-0"',
        "null",
        "{}",
        "[]",
        "[1]",
        "[[]]",
        "7",
        '"node-0"',
        "NaN",
        '{"name": "node-0", "status": "ONLINE"}',
        '[{"name": 1, "role": "voter", "status": "ONLINE"}]',
        '[{"role": "voter", "status": "ONLINE"}]',
        '[{"name": "node-0", "role": "voter"}]',
        '[{"name": "node-0", "role": "voter", "status": null}]',
        '[{"name": "node-0", "role": ["voter"], "status": "ONLINE"}]',
        '[{"name": "node-0", "role": "voter", "status": "ONLINE"}, null]',
        "[" * 10_000,
        "[" * 10_000 + "]" * 10_000,
        '[{"name": "node-1", "role": "voter", "status": "ONLINE"}]',
    ],
)
def test_output_of_another_shape_tells_nothing(text: str) -> None:
    """It is not taken for a list without members, which would be a reason to act."""
    workload = lib.parse_members(text, "node-0")

    assert workload.membership is lib.Membership.UNKNOWN
    assert workload.find("node-0") is None
    assert workload.reason


def test_a_node_that_its_own_list_does_not_name_might_be_anything() -> None:
    """It is neither a member nor certainly none."""
    workload = lib.parse_members(consumer.members("node-1").stdout, "node-0")

    assert workload.reason == "its list of members lacks node-0"


# Who joins


def test_a_newcomer_joins_with_the_token_that_is_shown_for_it() -> None:
    """Only its own; where that fails, it asks whether it took effect all the same."""
    shown = mirror({"node-0": TOKEN_0, "node-1": TOKEN_1})

    assert steps(situation(OUTSIDE, shown)) == [lib.Join(TOKEN_0), lib.ListAgain()]


@pytest.mark.parametrize(
    "shown",
    [
        None,
        mirror(),
        mirror({"node-1": TOKEN_1}),
        mirror({"node-0": EMPTY}),
        mirror({"node-0": JOINED}),
        mirror({"node-0": TOKEN_0}, hold=frozenset({"node-2"})),
        mirror({"node-0": "-rf"}),
        mirror({"node-0": "two words"}),
        mirror({"node-0": "line\nend"}),
    ],
    ids=[
        "no distributor",
        "shown nothing",
        "shown another's token",
        "empty",
        "joined",
        "on hold",
        "an option",
        "with a space",
        "with a line end",
    ],
)
def test_nobody_joins_without_a_token_of_its_own_and_an_all_clear(
    shown: lib.Mirror | None,
) -> None:
    """A token can wait for the better part of a day before it is any use."""
    assert steps(situation(OUTSIDE, shown)) == []


def test_nobody_joins_under_a_host_name_that_cannot_be_a_members() -> None:
    """It would be taken for an option."""
    shown = mirror({"-node": TOKEN_0}, bootstrap_unit="micro/0")

    assert steps(situation(OUTSIDE, shown, hostname="-node")) == []


@pytest.mark.parametrize("workload", [cluster("node-0", "node-1"), NO_TELLING])
def test_only_who_is_certainly_no_member_joins(workload: lib.Workload) -> None:
    """A member would be refused, and one that cannot tell might be a member."""
    shown = mirror({"node-0": TOKEN_0, "node-1": JOINED}, bootstrap_unit="micro/0")

    assert steps(situation(workload, shown)) == []


def test_a_token_that_failed_before_is_tried_again() -> None:
    """The network may have been at fault, not the token."""
    bag = {"failed": lib.digest(TOKEN_0)}
    shown = mirror({"node-0": TOKEN_0}, failed={"node-0": TOKEN_0})

    assert steps(situation(OUTSIDE, shown, bag=bag)) == [lib.Join(TOKEN_0), lib.ListAgain()]


# Who bootstraps


def test_the_unit_that_is_granted_it_bootstraps_whoever_leads() -> None:
    """The lease can have moved on since the grant."""
    shown = mirror({"node-0": EMPTY, "node-1": EMPTY}, bootstrap_unit="micro/0")

    assert steps(situation(OUTSIDE, shown, leads=False)) == [lib.Bootstrap()]


@pytest.mark.parametrize(
    "shown",
    [
        mirror({"node-0": EMPTY}),
        mirror({"node-0": EMPTY}, bootstrap_app="micro"),
        mirror({"node-0": EMPTY}, bootstrap_unit="micro/1", bootstrap_app="micro"),
        mirror({"node-1": EMPTY}, bootstrap_unit="micro/0"),
        mirror({"node-0": EMPTY, "node-1": JOINED}, bootstrap_unit="micro/0"),
        mirror({"node-0": EMPTY, "node-1": TOKEN_1}, bootstrap_unit="micro/0"),
        mirror({"node-0": EMPTY}, bootstrap_unit="micro/0", hold=frozenset({"node-1"})),
    ],
    ids=[
        "no grant",
        "a grant for the application alone",
        "another's grant",
        "not heard yet",
        "a member",
        "a token",
        "somebody down",
    ],
)
def test_nobody_bootstraps_without_the_grant_or_beside_a_cluster(shown: lib.Mirror) -> None:
    """A second cluster can never be made one with the first."""
    assert steps(situation(OUTSIDE, shown, leads=True)) == []


def test_a_charms_own_value_is_no_sign_of_a_cluster() -> None:
    """It may be what a cluster that is gone has left in the mirror."""
    shown = mirror({"node-0": EMPTY, "central": "192.0.2.1"}, bootstrap_unit="micro/0")

    assert steps(situation(OUTSIDE, shown)) == [lib.Bootstrap()]


@pytest.mark.parametrize("bootstrap_app", ["", "micro"])
def test_by_an_earlier_distributors_rule_the_leader_of_the_application_bootstraps(
    bootstrap_app: str,
) -> None:
    """Such a distributor names an application at most, and patches before that not even this."""
    shown = mirror({"node-0": EMPTY}, leader="", bootstrap_app=bootstrap_app)

    assert steps(situation(OUTSIDE, shown, leads=True)) == [lib.Bootstrap()]
    assert steps(situation(OUTSIDE, shown, leads=False)) == []


@pytest.mark.parametrize(
    "values",
    [{"node-1": EMPTY}, {"node-0": EMPTY, "node-1": TOKEN_1}],
    ids=["not heard yet", "a token"],
)
def test_an_earlier_distributors_rule_has_the_same_limits(values: dict[str, str]) -> None:
    """It has to have heard of the unit, and nothing may show a cluster."""
    shown = mirror(values, leader="", bootstrap_app="micro")

    assert steps(situation(OUTSIDE, shown, leads=True)) == []


def test_by_an_earlier_distributors_rule_another_application_does_not_bootstrap() -> None:
    """All applications are to form one cluster."""
    shown = mirror({"node-0": EMPTY}, leader="", bootstrap_app="other")

    assert steps(situation(OUTSIDE, shown, leads=True)) == []


@pytest.mark.parametrize("workload", [cluster("node-0"), NO_TELLING])
def test_only_who_is_certainly_no_member_bootstraps(workload: lib.Workload) -> None:
    """A member would be refused, and one that cannot tell might be a member."""
    shown = mirror({"node-0": EMPTY}, bootstrap_unit="micro/0")

    assert steps(situation(workload, shown)) == []


# Who communicates


@pytest.mark.parametrize(
    ("workload", "values", "communicates"),
    [
        (cluster("node-0", "node-1"), {"node-0": JOINED, "node-1": JOINED}, True),
        (cluster("node-0", "another"), {"node-0": JOINED, "another": JOINED}, False),
        (cluster(("node-0", "spare", "ONLINE"), "node-1"), {"node-1": JOINED}, False),
        (cluster("node-0", ("another", "spare", "ONLINE")), {"another": JOINED}, True),
        (cluster("node-0", ("another", "voter", "UNREACHABLE")), {"another": JOINED}, True),
        (cluster(("node-0", "PENDING", "ONLINE")), {"node-0": EMPTY}, True),
        (
            cluster(("node-0", "PENDING", "ONLINE"), ("node-1", "PENDING", "ONLINE")),
            {"node-0": JOINED, "node-1": JOINED},
            True,
        ),
        (
            cluster(("node-0", "PENDING", "ONLINE"), ("another", "PENDING", "ONLINE")),
            {"node-0": JOINED, "another": JOINED},
            False,
        ),
        (cluster("node-0", "another"), {"node-0": JOINED}, True),
        (cluster(("node-0", "voter", "UNREACHABLE"), "node-1"), {"node-1": JOINED}, False),
        (cluster(("node-0", "voter", "UNREACHABLE")), {"node-0": JOINED}, False),
        (OUTSIDE, {"node-0": JOINED}, False),
        (NO_TELLING, {"node-0": JOINED}, False),
    ],
    ids=[
        "the first voter",
        "not the first voter",
        "no voter beside one",
        "a voter after a member without a vote",
        "a voter after one that is down",
        "alone and pending",
        "the first pending",
        "not the first pending",
        "the first without a relation",
        "down by its own account",
        "alone and down",
        "no member",
        "no telling",
    ],
)
def test_the_first_online_voter_that_can_speak_communicates(
    workload: lib.Workload, values: dict[str, str], communicates: bool
) -> None:
    """All units come to the same result from the same list."""
    assert situation(workload, mirror(values)).is_communicator is communicates


def test_while_no_distributor_is_seen_any_member_may_be_the_communicator() -> None:
    """Two at once do no harm."""
    assert not situation(cluster("another", "node-0"), None).is_communicator
    assert situation(cluster("node-0", "node-1"), None).is_communicator


# Who is removed


def test_a_member_that_is_down_and_whose_unit_left_is_removed() -> None:
    """And the list is asked for again, since it has changed."""
    workload = cluster("node-0", ("node-1", "voter", "UNREACHABLE"))
    shown = mirror({"node-0": JOINED}, left=frozenset({"node-1", "node-9"}))

    assert steps(situation(workload, shown)) == [lib.Remove("node-1"), lib.ListAgain()]


@pytest.mark.parametrize("value", [TOKEN_1, JOINED])
def test_a_half_joined_member_is_removed_once_its_unit_says_that_it_failed(value: str) -> None:
    """It holds the place in the cluster that the newcomer needs."""
    workload = cluster("node-0", ("node-1", "spare", "UNREACHABLE"))
    shown = mirror({"node-0": JOINED, "node-1": value}, failed={"node-1": value})

    assert steps(situation(workload, shown)) == [lib.Remove("node-1"), lib.ListAgain()]


@pytest.mark.parametrize(
    ("workload", "shown"),
    [
        (
            cluster("node-0", "node-1"),
            mirror({"node-1": JOINED}, left=frozenset({"node-1"}), failed={"node-1": JOINED}),
        ),
        (
            cluster("node-0", ("node-1", "voter", "UNREACHABLE")),
            mirror({"node-0": JOINED, "node-1": JOINED}),
        ),
        (
            cluster("node-0", ("node-1", "voter", "UNREACHABLE")),
            mirror({"node-1": TOKEN_1_AGAIN}, failed={"node-1": TOKEN_1}),
        ),
        (
            cluster("node-0", ("--yes", "voter", "UNREACHABLE")),
            mirror({"node-0": JOINED}, left=frozenset({"--yes"})),
        ),
        (
            cluster("another", "node-0", ("node-1", "voter", "UNREACHABLE")),
            mirror({"another": JOINED, "node-0": JOINED}, left=frozenset({"node-1"})),
        ),
        (OUTSIDE, mirror({"node-0": EMPTY}, left=frozenset({"node-1"}))),
        (NO_TELLING, mirror({"node-0": JOINED}, left=frozenset({"node-1"}))),
        (cluster("node-0", ("node-1", "voter", "UNREACHABLE")), None),
    ],
    ids=[
        "an online one",
        "one whose unit is there",
        "one with a new token",
        "an option",
        "by another than the communicator",
        "by no member",
        "when there is no telling",
        "without a distributor",
    ],
)
def test_nobody_else_is_removed(workload: lib.Workload, shown: lib.Mirror | None) -> None:
    """A member is never taken out on a guess."""
    assert steps(situation(workload, shown)) == []


def test_nobody_removes_itself() -> None:
    """Not even when everybody says that it left."""
    workload = cluster(("node-0", "voter", "UNREACHABLE"), "node-1")
    shown = mirror({"node-0": JOINED}, left=frozenset({"node-0"}), failed={"node-0": JOINED})

    assert lib.removable(situation(workload, shown)) == []


def test_after_a_removal_the_members_are_listed_once_more_before_anything_is_issued() -> None:
    """What the removal left behind decides on whether a newcomer can join."""
    workload = cluster(
        "node-0", ("node-1", "voter", "UNREACHABLE"), ("node-2", "voter", "UNREACHABLE")
    )
    shown = mirror({"node-0": JOINED, "node-3": EMPTY}, left=frozenset({"node-1", "node-2"}))
    start = situation(workload, shown)

    assert steps(start) == [lib.Remove("node-1"), lib.Remove("node-2"), lib.ListAgain()]

    removed = (lib.Remove("node-1"), lib.Remove("node-2"), lib.ListAgain())
    healthy = dataclasses.replace(start, tried=removed, workload=cluster("node-0"))
    assert steps(healthy) == [lib.Issue("node-3")]


# Who gets a token


def test_a_newcomer_without_a_token_is_issued_one_in_the_order_of_names() -> None:
    """All of them in one hook."""
    shown = mirror({"node-2": EMPTY, "node-1": EMPTY, "node-0": JOINED})

    assert steps(situation(cluster("node-0"), shown)) == [lib.Issue("node-1"), lib.Issue("node-2")]


@pytest.mark.parametrize("value", [TOKEN_1, JOINED, "spoilt by a blank"])
def test_a_newcomer_that_got_nowhere_is_issued_another(value: str) -> None:
    """Whether the token was used, expired or spoilt, or a machine was replaced."""
    shown = mirror({"node-0": JOINED, "node-1": value}, failed={"node-1": value})

    assert steps(situation(cluster("node-0"), shown)) == [lib.Issue("node-1")]


def test_a_token_that_was_issued_here_and_failed_is_replaced() -> None:
    """Unless the workload refuses, because the first is still good."""
    shown = mirror({"node-0": JOINED, "node-1": TOKEN_1}, failed={"node-1": TOKEN_1})

    start = situation(cluster("node-0"), shown, kept={"node-1": TOKEN_1})

    assert steps(start) == [lib.Issue("node-1")]


@pytest.mark.parametrize(
    ("workload", "shown", "kept"),
    [
        (cluster("node-0"), mirror({"node-0": JOINED, "node-1": TOKEN_1}), {}),
        (cluster("node-0"), mirror({"node-0": JOINED, "node-1": JOINED}), {}),
        (cluster("node-0"), mirror({"node-0": EMPTY}), {}),
        (cluster("node-0", "node-1"), mirror({"node-0": JOINED, "node-1": EMPTY}), {}),
        (cluster("node-0"), mirror({"node-1": EMPTY}), {"node-1": TOKEN_1}),
        (
            cluster("node-0"),
            mirror({"node-1": TOKEN_1_AGAIN}, failed={"node-1": TOKEN_1_AGAIN}),
            {"node-1": TOKEN_1},
        ),
        (cluster("node-0", ("node-2", "voter", "UNREACHABLE")), mirror({"node-1": EMPTY}), {}),
        (cluster("node-0"), mirror({"a=b": EMPTY, "--x": EMPTY}), {}),
        (OUTSIDE, mirror({"node-1": EMPTY}), {}),
        (NO_TELLING, mirror({"node-1": EMPTY}), {}),
        (cluster("node-0"), None, {}),
    ],
    ids=[
        "one that is shown a token",
        "a member",
        "itself",
        "a member not yet shown so",
        "one for whom a token is kept",
        "one for whom a fresher token is kept",
        "anybody while a member is down",
        "what cannot be a host name",
        "anybody by no member",
        "anybody when there is no telling",
        "anybody without a distributor",
    ],
)
def test_nobody_else_is_issued_a_token(
    workload: lib.Workload, shown: lib.Mirror | None, kept: dict[str, str]
) -> None:
    """A token that nobody needs is a secret too many."""
    assert steps(situation(workload, shown, kept=kept)) == []


# What a member publishes


@pytest.mark.parametrize(
    ("published", "kept", "shown", "expected"),
    [
        ({}, {"node-1": TOKEN_1}, mirror({"node-1": EMPTY}), {"node-1": TOKEN_1}),
        ({"node-1": TOKEN_1}, {}, mirror({"node-1": EMPTY}), {"node-1": TOKEN_1}),
        ({"node-1": TOKEN_1}, {}, mirror({"node-1": TOKEN_1}), {"node-1": TOKEN_1}),
        (
            {"node-1": TOKEN_1},
            {},
            mirror({"node-1": TOKEN_1}, failed={"node-1": TOKEN_1}),
            {"node-1": TOKEN_1},
        ),
        (
            {"node-1": TOKEN_1},
            {"node-1": TOKEN_1_AGAIN},
            mirror({"node-1": TOKEN_1}, failed={"node-1": TOKEN_1}),
            {"node-1": TOKEN_1_AGAIN},
        ),
        ({}, {"node-1": TOKEN_1}, mirror({"node-1": TOKEN_1_AGAIN}), {}),
        ({"node-1": TOKEN_1}, {}, mirror({"node-1": JOINED}), {}),
        ({"node-1": TOKEN_1}, {"node-1": TOKEN_1}, mirror({"node-2": EMPTY}), {}),
        ({"node-1": TOKEN_1}, {"node-2": TOKEN_2}, None, {"node-1": TOKEN_1}),
        (
            {},
            {"node-1": TOKEN_1},
            mirror({"node-1": JOINED}, failed={"node-1": JOINED}),
            {"node-1": TOKEN_1},
        ),
    ],
    ids=[
        "kept and waited for",
        "published by an earlier library and waited for",
        "shown",
        "shown and refused: the only one that there is",
        "shown and refused: another is kept",
        "another one is shown",
        "the newcomer has joined",
        "the newcomer left",
        "no distributor: as it was",
        "a machine was replaced",
    ],
)
def test_a_token_is_published_while_somebody_waits_for_it(
    published: dict[str, str],
    kept: dict[str, str],
    shown: lib.Mirror | None,
    expected: dict[str, str],
) -> None:
    """And is taken out of sight afterwards."""
    bag = {f"mirror-{name}": value for name, value in published.items()}

    start = situation(cluster("node-0"), shown, bag=bag, kept=kept)

    assert lib.tokens_to_publish(start) == expected


def test_a_token_that_failed_is_not_published_beside_another_that_failed() -> None:
    """The distributor would take the one for the other, and back, for ever."""
    both = f"{lib.digest(TOKEN_1)} {lib.digest(TOKEN_1_AGAIN)}"
    shown = lib.Mirror(values={"node-1": TOKEN_1_AGAIN}, failed={"node-1": both})

    start = situation(cluster("node-0"), shown, kept={"node-1": TOKEN_1})

    assert lib.tokens_to_publish(start) == {}


def test_no_token_is_published_for_an_online_member() -> None:
    """It has no use for it, whatever the distributor shows."""
    shown = mirror({"node-1": TOKEN_1, "node-2": TOKEN_2})
    workload = cluster("node-0", "node-1", ("node-2", "spare", "UNREACHABLE"))

    start = situation(workload, shown, kept={"node-1": TOKEN_1, "node-2": TOKEN_2})

    assert lib.tokens_to_publish(start) == {"node-2": TOKEN_2}


def test_a_token_for_somebody_who_left_is_withdrawn_though_it_is_still_shown() -> None:
    """What the distributor's unit shows may be read from memory, and be older than who left."""
    shown = mirror({"node-0": JOINED, "node-1": TOKEN_1}, left=frozenset({"node-1"}))
    here = situation(cluster("node-0"), shown, kept={"node-1": TOKEN_1})

    assert lib.tokens_to_publish(here) == {}


# The databag


def test_a_newcomer_gives_its_name_and_says_that_it_is_no_member() -> None:
    """No key is there that has nothing to say."""
    assert lib.consumer_bag(situation(OUTSIDE, None)) == {"hostname": "node-0", "member": "false"}


def test_a_unit_without_a_host_name_gives_none() -> None:
    """It would be an empty key."""
    assert lib.consumer_bag(situation(OUTSIDE, None, hostname="")) == {"member": "false"}


def test_a_unit_that_dropped_out_takes_everything_back_but_the_charms_own_values() -> None:
    """What others put into a charm's databag is nobody else's business."""
    bag = {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
        "mirror-central": "192.0.2.1",
        "hold": "node-2",
        "gone": "node-3",
    }

    assert lib.consumer_bag(situation(OUTSIDE, mirror({"node-0": EMPTY}), bag=bag)) == {
        "hostname": "node-0",
        "member": "false",
        "mirror": "down",
        "mirror-central": "192.0.2.1",
    }


def test_a_unit_that_cannot_tell_takes_nothing_back_but_has_its_host_name_right() -> None:
    """Not even a hold: its reason may still stand."""
    bag = {
        "hostname": "old-name",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
        "hold": "node-2",
        "gone": "node-3",
        "failed": "0123",
        "ingress-address": "192.0.2.1",
    }

    assert lib.consumer_bag(situation(NO_TELLING, mirror(), bag=bag)) == {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
        "hold": "node-2",
        "gone": "node-3",
        "failed": "0123",
    }


def test_a_unit_that_could_never_tell_says_so() -> None:
    """The distributor must not grant the bootstrap to another before this is settled."""
    bag = lib.consumer_bag(situation(NO_TELLING, mirror()))

    assert bag == {"hostname": "node-0", "member": "unknown"}


def test_a_unit_that_said_it_was_no_member_and_cannot_tell_any_more_takes_nothing_back() -> None:
    """An answer that fails to come is no news."""
    before = {"hostname": "node-0", "member": "false"}

    assert lib.consumer_bag(situation(NO_TELLING, mirror(), bag=before)) == before


def test_the_communicator_speaks_even_when_it_has_nothing_to_say() -> None:
    """`up` tells the distributor's leader that a cluster exists."""
    start = situation(cluster("node-0"), mirror({"node-0": JOINED}))

    assert lib.consumer_bag(start) == {"hostname": "node-0", "member": "true", "mirror": "up"}


def test_the_communicator_names_who_is_down_and_who_is_gone() -> None:
    """Those who are down keep newcomers out; those who are gone need no removal."""
    workload = cluster(
        "node-0", ("node-2", "voter", "UNREACHABLE"), ("node-1", "spare", "UNREACHABLE")
    )
    shown = mirror({"node-0": JOINED}, left=frozenset({"node-1", "node-4", "node-3"}))

    bag = lib.consumer_bag(situation(workload, shown))

    assert bag == {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "hold": "node-1 node-2",
        "gone": "node-3 node-4",
    }


def test_the_communicator_takes_hold_and_gone_back_once_they_are_settled() -> None:
    """An absent key is as good as an empty one."""
    before = {"hold": "node-1", "gone": "node-3", "mirror": "up"}
    start = situation(cluster("node-0", "node-1"), mirror({"node-0": JOINED}), bag=before)

    bag = lib.consumer_bag(start)

    assert bag == {"hostname": "node-0", "member": "true", "mirror": "up"}


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, {}),
        ({"mirror": "up"}, {"mirror": "down"}),
        ({"mirror": "down"}, {"mirror": "down"}),
        ({"hold": "node-1", "gone": "node-3", "mirror": "up"}, {"mirror": "down"}),
        ({"mirror-central": "192.0.2.1"}, {"mirror-central": "192.0.2.1", "mirror": "up"}),
        (
            {"mirror-node-1": TOKEN_1, "mirror": "up"},
            {"mirror-node-1": TOKEN_1, "mirror": "up"},
        ),
    ],
    ids=["new", "was it", "was it long ago", "was it in trouble", "a charm's value", "a token"],
)
def test_another_member_than_the_communicator_speaks_only_of_values_that_it_has(
    before: dict[str, str], expected: dict[str, str]
) -> None:
    """So that the distributor does not take one member's word against another's."""
    shown = mirror({"another": JOINED, "node-0": JOINED, "node-1": EMPTY})
    workload = cluster("another", "node-0", ("node-2", "voter", "UNREACHABLE"))

    bag = lib.consumer_bag(situation(workload, shown, bag=before))

    assert bag == {"hostname": "node-0", "member": "true", **expected}


@pytest.mark.parametrize(
    ("value", "before", "spoilt", "expected"),
    [
        (TOKEN_0, [], [], []),
        (TOKEN_0, [], [TOKEN_0], [TOKEN_0]),
        (TOKEN_0, [TOKEN_0], [], [TOKEN_0]),
        (TOKEN_0, [TOKEN_1, TOKEN_0], [TOKEN_2], [TOKEN_0]),
        (TOKEN_0, [TOKEN_1], [], []),
        (EMPTY, [TOKEN_0], [TOKEN_0], []),
        (None, [TOKEN_0], [], []),
        (JOINED, [], [], [JOINED]),
        (JOINED, [TOKEN_0], [], [JOINED]),
        ("two words", [], [], ["two words"]),
        ("-rf", [], [], ["-rf"]),
    ],
    ids=[
        "not tried yet",
        "failed now",
        "failed before and not tried now",
        "only of the value shown",
        "another is shown now",
        "none is shown any more",
        "nothing is shown",
        "shown joined, and is no member",
        "shown joined after a failure",
        "with a space",
        "an option",
    ],
)
def test_a_newcomer_says_by_digest_which_value_got_it_nowhere(
    value: str | None, before: Collection[str], spoilt: Collection[str], expected: Collection[str]
) -> None:
    """A digest of a value that is shown no more would make the distributor drop a good one."""
    shown = mirror({} if value is None else {"node-0": value})
    start = situation(
        OUTSIDE,
        shown,
        bag={"failed": " ".join(lib.digest(text) for text in before)},
        spoilt=frozenset(lib.digest(text) for text in spoilt),
    )

    failed = lib.consumer_bag(start).get("failed", "")

    assert failed.split() == [lib.digest(text) for text in expected]


def test_while_no_distributor_is_seen_a_failure_is_not_forgotten() -> None:
    """It may be what the next distributor has to go by."""
    start = situation(OUTSIDE, None, bag={"failed": lib.digest(TOKEN_0)})

    assert lib.consumer_bag(start)["failed"] == lib.digest(TOKEN_0)


def test_a_member_has_nothing_to_complain_of() -> None:
    """It has got where it wanted."""
    start = situation(
        cluster("node-0"), mirror({"node-0": TOKEN_0}), bag={"failed": lib.digest(TOKEN_0)}
    )

    assert "failed" not in lib.consumer_bag(start)


@pytest.mark.parametrize("key", ["hold", "gone", "mirror"])
@pytest.mark.parametrize("after", [None, "node-2"], ids=["taken back", "changed"])
def test_a_databag_counts_how_often_it_took_back_what_comes_and_goes(
    key: str, after: str | None
) -> None:
    """So that it never is again what it was, which would be no change to Juju 4."""
    wanted = {**TRUE, **({key: after} if after else {})}

    once = lib.count_turns({**TRUE, key: "node-1"}, wanted)
    again = lib.count_turns({**TRUE, key: "node-1", "turns": "1"}, wanted)

    assert once == {**wanted, "turns": "1"}
    assert again == {**wanted, "turns": "2"}


@pytest.mark.parametrize("member", ["true", "false"])
def test_a_databag_counts_the_end_of_a_doubt(member: str) -> None:
    """The word for it comes and goes, too."""
    counted = lib.count_turns({**TRUE, "member": "unknown"}, {**TRUE, "member": member})

    assert counted == {**TRUE, "member": member, "turns": "1"}


@pytest.mark.parametrize(
    ("bag", "wanted"),
    [
        pytest.param({}, TRUE, id="its first word"),
        pytest.param(FALSE, TRUE, id="its unit joined"),
        pytest.param(TRUE, {**TRUE, "gone": "node-1"}, id="something came"),
        pytest.param({**TRUE, "gone": "node-1"}, {**TRUE, "gone": "node-1"}, id="it stays"),
        pytest.param({**TRUE, "mirror-port": "80"}, TRUE, id="a value that does not come and go"),
        pytest.param(
            {**TRUE, "member": "unknown"}, {**TRUE, "member": "unknown"}, id="still no telling"
        ),
    ],
)
def test_nothing_else_counts(bag: dict[str, str], wanted: dict[str, str]) -> None:
    """A count that has begun stays where it is."""
    assert lib.count_turns(bag, wanted) == wanted
    assert lib.count_turns({**bag, "turns": "3"}, wanted) == {**wanted, "turns": "3"}


@pytest.mark.parametrize("count", ["", "-1", "1.5", "many", "9" * 400])
def test_a_count_that_is_none_begins_anew(count: str) -> None:
    """Whoever wrote it."""
    bag = {**TRUE, "hold": "node-1", "turns": count}

    assert lib.count_turns(bag, TRUE) == {**TRUE, "turns": "1"}


# Who is believed that it is no member any more


@pytest.mark.parametrize("said", ["true", "", "perhaps"])
def test_who_says_for_the_first_time_that_it_is_no_member_is_asked_again(said: str) -> None:
    """A daemon that has just been started says so for a moment."""
    doubted = lib.doubt(OUTSIDE, said)

    assert doubted.membership is lib.Membership.UNKNOWN
    assert doubted.doubted


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        pytest.param(OUTSIDE, "unknown", id="the second time"),
        pytest.param(OUTSIDE, "false", id="as it always said"),
        pytest.param(cluster("node-0"), "true", id="a member"),
        pytest.param(cluster("node-0"), "false", id="a member by now"),
        pytest.param(NO_TELLING, "true", id="no telling"),
    ],
)
def test_any_other_answer_is_believed(workload: lib.Workload, said: str) -> None:
    """Nothing but a word that contradicts the databag's is in doubt."""
    assert lib.doubt(workload, said) == workload


# Who is proposed for the bootstrap


@pytest.mark.parametrize(
    ("leads", "workload", "hostname", "expected"),
    [
        (True, OUTSIDE, "node-0", "micro/0"),
        (False, OUTSIDE, "node-0", None),
        (True, cluster("node-0"), "node-0", None),
        (True, NO_TELLING, "node-0", None),
        (True, OUTSIDE, "", None),
    ],
    ids=["the leader", "no leader", "a member", "no telling", "no host name"],
)
def test_a_leader_that_is_certainly_no_member_proposes_itself(
    leads: bool, workload: lib.Workload, hostname: str, expected: str | None
) -> None:
    """The distributor chooses among these."""
    start = situation(workload, mirror(), leads=leads, hostname=hostname)

    assert lib.bootstrap_candidate(start) == expected


# Names, tokens and what may be shown of them


@pytest.mark.parametrize(
    "name",
    ["a", "A", "7", "node-0", "Node_0.lxd", "a.b_c-d", "mirror-node-0", "a" * 64],
)
def test_a_host_name_can_be_a_members(name: str) -> None:
    """From the kernel's shortest to its longest."""
    assert lib.is_hostname(name)


@pytest.mark.parametrize(
    "name",
    [
        *["", " ", ".", "-a", "a-", "a.", "_a", "--force", "$(reboot)"],
        *["a b", "a=b", "a/b", "a\n", "a\nb", "a\x00", "\x00", "é", "nöde", "٣", "node٣"],
        *["a" * 65, "a" * 300],
    ],
)
def test_what_could_be_taken_for_something_else_is_no_host_name(name: str) -> None:
    """It becomes part of a databag's key, a command's argument and a file's name."""
    assert not lib.is_hostname(name)


@pytest.mark.parametrize(
    "text",
    [
        *["", "-x", "--help", "-e30=", "a b", "e3 0=", "a\n", "a\tb", "\x00", "é"],
        "a" * (64 * 1024 + 1),
    ],
)
def test_what_cannot_be_an_argument_is_no_token(text: str) -> None:
    """It is handed to a command as one word."""
    assert not lib.is_usable_token(text)
    assert not lib.looks_like_token(text)


@pytest.mark.parametrize("text", [TOKEN_1, "eyJzZWNyZXQiOiAiIn0="], ids=["whole", "the least"])
def test_a_token_is_known_by_what_it_holds(text: str) -> None:
    """A secret, in an object, in JSON, in base64."""
    assert lib.is_usable_token(text)
    assert lib.looks_like_token(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("192.0.2.1:6642", id="an address"),
        *["6641", EMPTY, JOINED],
        pytest.param(TOKEN_1[:-8], id="cut short"),
        pytest.param("eyJhIjogMX0=", id="another object"),
        pytest.param("e30=", id="an empty object"),
        pytest.param("W10=", id="a list"),
        pytest.param("/w==", id="no UTF-8"),
        pytest.param("=" * 8, id="nothing"),
        pytest.param("a" * 64 * 1024, id="the longest"),
        # The parser gives up on it before this process does.
        pytest.param(base64.b64encode(b"[" * 40_000).decode(), id="nested deeply"),
    ],
)
def test_what_might_be_a_token_of_another_kind_does_not_look_like_one(text: str) -> None:
    """A charm's own values are mirrored beside the tokens, and show no cluster."""
    assert lib.is_usable_token(text)
    assert not lib.looks_like_token(text)


def test_no_representation_shows_a_token() -> None:
    """Neither of what is read, nor of what is decided, nor of what is to be done."""
    shown = mirror({"node-1": TOKEN_1}, failed={"node-1": TOKEN_1})
    bag = {"mirror-node-1": TOKEN_1, "mirror": "up"}
    start = situation(
        cluster("node-0"),
        shown,
        bag=bag,
        kept={"node-1": TOKEN_1},
        tried=(lib.Join(TOKEN_0), lib.Issue("node-1")),
        spoilt=frozenset({lib.digest(TOKEN_0)}),
    )
    unit = lib.ConsumerUnit.from_bag("micro/0", bag)
    app = lib.ConsumerApp("micro", units=[unit])

    consumer.check(
        text(value)
        for value in (shown, start, lib.Join(TOKEN_0), unit, app)
        for text in (repr, str)
    )
    assert consumer.leaks([repr({"mirror-node-1": TOKEN_1})]), "the check itself finds nothing"


# Who insists on leaving


@pytest.mark.parametrize(
    ("goal_state", "stays"),
    [
        (None, True),
        ({}, True),
        ({"units": None}, True),
        ({"units": {"a/0": {"status": "dying"}, "a/1": {"status": "active"}}}, True),
        # The third member is another application's.
        ({"units": {"a/0": {"status": "dying"}, "a/1": {"status": "dying"}}}, True),
        ({"units": {f"a/{number}": {"status": "dying"} for number in range(3)}}, False),
        ({"units": {"a/0": None, "a/1": {"status": "dying"}, "a/2": {"status": "dying"}}}, True),
    ],
)
def test_somebody_stays_unless_all_are_known_to_go(
    goal_state: dict[str, Any] | None, stays: bool
) -> None:
    """Where there is no telling, there is a cluster to be kept whole."""
    assert lib.somebody_stays(cluster("node-0", "node-1", "node-2"), goal_state) is stays


# When the workload need not be asked


SETTLED = {"node-0": JOINED, "node-1": JOINED}


@pytest.mark.parametrize(
    ("bag", "shown", "membership"),
    [
        (TRUE, mirror(SETTLED), lib.Membership.MEMBER),
        ({**TRUE, "mirror": "up"}, mirror(SETTLED), lib.Membership.MEMBER),
        ({**TRUE, "mirror-port": "80"}, mirror(SETTLED), lib.Membership.MEMBER),
        (
            {**TRUE, "private-address": "x"},
            mirror(SETTLED),
            lib.Membership.MEMBER,
        ),
        (FALSE, mirror({"node-1": JOINED}), lib.Membership.NOT_A_MEMBER),
        (FALSE, mirror({"node-0": EMPTY}), lib.Membership.NOT_A_MEMBER),
        (
            FALSE,
            mirror({"node-0": EMPTY}, bootstrap_unit="lxd/1"),
            lib.Membership.NOT_A_MEMBER,
        ),
    ],
)
def test_a_unit_that_has_nothing_to_do_need_not_ask(
    bag: dict[str, str], shown: lib.Mirror, membership: lib.Membership
) -> None:
    """It takes itself for what it said that it is."""
    assert lib.presume(bag, shown, "lxd/0") == lib.Workload(membership)


@pytest.mark.parametrize(
    ("bag", "shown"),
    [
        pytest.param(TRUE, None, id="nothing is shown"),
        pytest.param({}, mirror(SETTLED), id="it has said nothing"),
        pytest.param(
            {**TRUE, "member": "unknown"},
            mirror(SETTLED),
            id="it could not tell",
        ),
        pytest.param(TRUE, mirror({"node-1": JOINED}), id="it is not shown"),
        pytest.param(
            TRUE,
            mirror({**SETTLED, "node-2": EMPTY}),
            id="one waits for a token",
        ),
        pytest.param(
            TRUE,
            mirror({**SETTLED, "node-2": consumer.token("node-2")}),
            id="one has a token",
        ),
        pytest.param(
            TRUE,
            mirror(SETTLED, failed={"node-1": JOINED}),
            id="one is shown joined and is not",
        ),
        pytest.param(TRUE, mirror(SETTLED, left=frozenset({"node-2"})), id="one has left"),
        pytest.param(TRUE, mirror(SETTLED, hold=frozenset({"node-1"})), id="all are held"),
        pytest.param({**TRUE, "hold": "node-1"}, mirror(SETTLED), id="it holds all"),
        pytest.param({**TRUE, "gone": "node-2"}, mirror(SETTLED), id="it saw one go"),
        pytest.param(
            {**TRUE, "mirror-node-2": consumer.token("node-2")},
            mirror(SETTLED),
            id="it offers a token",
        ),
        pytest.param(
            FALSE,
            mirror({"node-0": consumer.token("node-0")}),
            id="it has a token",
        ),
        pytest.param(FALSE, mirror({"node-0": JOINED}), id="it is shown joined"),
        pytest.param(
            {**FALSE, "failed": "x"},
            mirror({"node-0": EMPTY}),
            id="its join failed",
        ),
        pytest.param(
            FALSE,
            mirror({"node-0": EMPTY}, bootstrap_unit="lxd/0"),
            id="it may bootstrap",
        ),
        pytest.param(FALSE, mirror({"node-0": EMPTY}, leader=""), id="an earlier distributor"),
    ],
)
def test_a_unit_that_may_have_to_do_something_asks(
    bag: dict[str, str], shown: lib.Mirror | None
) -> None:
    """Whoever waits for it is not made to wait for an update-status."""
    assert lib.presume(bag, shown, "lxd/0") is None
