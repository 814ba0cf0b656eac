"""What the consumer has to say in `collect-status`: blocked, waiting or active, and why."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ops import testing

from tests.unit import consumer, runner

TOKEN_0 = consumer.token("node-0")
JOIN = ("join", TOKEN_0, "--address", "192.0.2.7")
DOWN = ("node-1", "voter", "UNREACHABLE")
BLOCKING = "no unit can join until online: node-1"

# Events at which the library looks around, and some at which it does not.
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("update_status", {}),
    ("relation_changed", {"remote_unit": 0}),
    ("install", {}),
    ("stop", {}),
    ("action", {"name": "look"}),
]

every_event = pytest.mark.parametrize(
    ("event", "about"), EVENTS, ids=[event for event, _ in EVENTS]
)


@pytest.fixture
def shown(unit: consumer.Unit) -> consumer.Unit:
    """A unit of a charm that shows what the library has to say."""
    unit.use(consumer.StatusCharm)
    return unit


@every_event
@pytest.mark.parametrize(
    ("values", "more", "expected"),
    [
        ({}, {}, "waiting for a unit to be allowed to bootstrap"),
        ({}, {"bootstrap_unit": "micro/1"}, "waiting for micro/1 to bootstrap"),
        ({}, {"bootstrap_app": "other"}, "waiting for a unit to be allowed to bootstrap"),
        ({"node-1": "joined"}, {}, "waiting for a token"),
        ({"node-0": "joined"}, {}, "waiting for a token"),
        (
            {"node-0": TOKEN_0},
            {"unit_bag": {"hold": "node-2 node-1"}},
            "waits to join until online: node-1, node-2",
        ),
    ],
    ids=["nobody yet", "another", "another application", "a token", "another token", "a hold"],
)
def test_a_newcomer_says_what_it_waits_for(
    shown: consumer.Unit,
    event: str,
    about: dict[str, Any],
    values: dict[str, str],
    more: dict[str, Any],
    expected: str,
) -> None:
    """The same at an event at which the library did nothing."""
    shown.show(values, **more)

    hook = shown.hook(event, **about)

    assert hook.status == ("waiting", expected)
    assert hook.calls == [consumer.LIST]


@every_event
def test_a_unit_that_may_bootstrap_waits_until_it_is_shown(
    shown: consumer.Unit, event: str, about: dict[str, Any]
) -> None:
    """Juju brings the application's databag and the unit's one after the other."""
    shown.show({}, bootstrap_unit="micro/0")
    shown.relate(dataclasses.replace(shown.relation(), remote_units_data={0: {"mirror": "up"}}))

    hook = shown.hook(event, **about)

    assert hook.status == (
        "waiting",
        "waiting for the token distributor to show its host name",
    )
    assert hook.calls == [consumer.LIST]


@every_event
def test_a_unit_waits_for_the_distributor(
    shown: consumer.Unit, event: str, about: dict[str, Any]
) -> None:
    """Its units may be there long before one of them mirrors."""
    assert shown.hook(event, **about).status == ("waiting", "waiting for the token distributor")


def test_a_unit_waits_for_the_databag_of_the_distributors_leader(shown: consumer.Unit) -> None:
    """Another unit's may be old."""
    shown.show({"node-0": TOKEN_0}, leader="distributor/7")

    assert shown.hook().status == ("waiting", "waiting for the token distributor")


@every_event
def test_a_member_has_nothing_to_say(
    shown: consumer.Unit, event: str, about: dict[str, Any]
) -> None:
    """And is asked for once in a hook, not twice."""
    shown.remember(in_cluster=True)
    shown.show({"node-0": "joined"})
    shown.lists(consumer.members("node-0"))

    hook = shown.hook(event, **about)

    assert hook.status == ("active", "")
    assert hook.calls == [consumer.LIST]


@pytest.mark.parametrize(
    ("values", "failed", "rows", "message"),
    [
        (
            {"node-2": "empty"},
            {},
            ["node-0", DOWN, ("node-3", "spare", "UNREACHABLE")],
            f"{BLOCKING}, node-3",
        ),
        (
            {"node-2": "joined"},
            {"failed-node-2": "17d5f0e9a6b7"},
            ["node-0", DOWN],
            "",
        ),
        ({"node-2": "joined"}, {}, ["node-0", DOWN], ""),
        ({"node-2": "empty"}, {}, ["another", "node-0", DOWN], ""),
        ({"node-2": "empty"}, {}, [("node-0", "PENDING", "ONLINE"), DOWN], BLOCKING),
    ],
    ids=[
        "somebody waits",
        "a complaint of something else",
        "nobody waits",
        "another communicates",
        "pending",
    ],
)
def test_the_communicator_says_who_keeps_newcomers_out(
    shown: consumer.Unit,
    values: dict[str, str],
    failed: dict[str, str],
    rows: list[str | tuple[str, str, str]],
    message: str,
) -> None:
    """Its own part of the cluster works: it is active, and says more only if somebody waits."""
    shown.remember(in_cluster=True)
    known = {"another": "joined", "node-0": "joined", "node-1": "joined"}
    shown.show({**known, **values}, unit_bag=failed)
    shown.lists(consumer.members(*rows))

    assert shown.hook().status == ("active", message)


@pytest.mark.parametrize("event", ["update_status", "install", "stop"])
@pytest.mark.parametrize("answer", [consumer.NOT_A_MEMBER, consumer.NO_QUORUM])
def test_without_a_relation_a_unit_that_is_no_member_is_blocked(
    shown: consumer.Unit, event: str, answer: runner.Answer
) -> None:
    """Somebody has to integrate it."""
    shown.relate()
    shown.lists(answer)

    assert shown.hook(event).status == (
        "blocked",
        "integrate with microcluster-token-distributor",
    )


@pytest.mark.parametrize("event", ["update_status", "relation_broken"])
def test_without_a_relation_a_member_is_fine(shown: consumer.Unit, event: str) -> None:
    """A cluster can do without a distributor until it is to grow."""
    shown.remember(in_cluster=True)
    shown.lists(consumer.members("node-0", "node-1"))
    if event == "update_status":
        shown.relate()

    assert shown.hook(event).status == ("active", "")


def test_when_the_relation_breaks_a_newcomer_is_blocked(shown: consumer.Unit) -> None:
    """The relation is still there during its last event."""
    shown.show({"node-0": TOKEN_0})

    hook = shown.hook("relation_broken")

    assert hook.status == ("blocked", "integrate with microcluster-token-distributor")


@every_event
@pytest.mark.parametrize("answer", [consumer.NOT_A_MEMBER, consumer.members("node-0")])
def test_with_several_distributors_a_unit_is_blocked(
    shown: consumer.Unit, event: str, about: dict[str, Any], answer: runner.Answer
) -> None:
    """Each could make a cluster of its own."""
    second = testing.Relation("cluster", id=2, remote_app_name="another")
    shown.relate(shown.relation(), second)
    shown.lists(answer)

    assert shown.hook(event, **about).status == (
        "blocked",
        "integrate with one token distributor, not with several",
    )


@every_event
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (consumer.NO_QUORUM, "no available dqlite leader server found"),
        (consumer.prints("oops"), "its list of members is not JSON"),
        (consumer.prints("{}"), "its list of members has an unknown shape"),
        (consumer.members("node-1"), "its list of members lacks node-0"),
        (
            runner.Answer(error=FileNotFoundError(2, "No such file or directory")),
            "cannot run micro: No such file or directory",
        ),
        (runner.Answer(-11), "killed by signal 11."),
        (runner.Answer(3), "exit code 3"),
        (runner.Answer(1, stderr="first\n  last line  \n\n"), "cluster: last line"),
        (runner.Answer(1, stderr="long " * 100), "long lo..."),
    ],
)
def test_a_unit_that_cannot_tell_says_why(
    shown: consumer.Unit, event: str, about: dict[str, Any], answer: runner.Answer, reason: str
) -> None:
    """In one short line."""
    shown.show({"node-0": TOKEN_0})
    shown.lists(answer)

    kind, said = shown.hook(event, **about).status

    assert kind == "waiting"
    assert said.startswith("cannot tell about the cluster: ")
    assert said.endswith(reason)
    assert "\n" not in said
    assert len(said) <= 160


@pytest.mark.parametrize("name", ["", "-x", "a b", "a=b", "a\nb", "x" * 300])
@every_event
def test_a_unit_whose_host_name_cannot_be_used_is_blocked(
    shown: consumer.Unit,
    monkeypatch: pytest.MonkeyPatch,
    event: str,
    about: dict[str, Any],
    name: str,
) -> None:
    """Somebody has to give its machine another."""
    consumer.set_hostname(monkeypatch, name)

    assert shown.hook(event, **about).status == (
        "blocked",
        "this machine's host name cannot be a member's name",
    )


def test_a_join_that_failed_is_said(shown: consumer.Unit) -> None:
    """And where to read why."""
    shown.show({"node-0": TOKEN_0})
    shown.expect(*JOIN, answers=[runner.Answer(1, stderr="Error: refused")])

    hook = shown.hook()

    assert hook.status == ("waiting", "join failed and will be tried again, see the log")


def test_a_bootstrap_that_failed_is_said(shown: consumer.Unit) -> None:
    """And where to read why."""
    shown.show({}, bootstrap_unit="micro/0")
    shown.expect("bootstrap", "--first", answers=[runner.Answer(1, stderr="Error: refused")])

    hook = shown.hook()

    assert hook.status == ("waiting", "bootstrap failed and will be tried again, see the log")


@pytest.mark.parametrize("way", ["join", "bootstrap"])
def test_a_unit_is_active_in_the_hook_in_which_it_becomes_a_member(
    shown: consumer.Unit, way: str
) -> None:
    """Without another look."""
    if way == "join":
        shown.show({"node-0": TOKEN_0})
        shown.expect(*JOIN)
    else:
        shown.show({}, bootstrap_unit="micro/0")
        shown.expect("bootstrap", "--first")

    hook = shown.hook()

    assert hook.status == ("active", "")
    assert hook.calls.count(consumer.LIST) == 1


def test_a_unit_that_left_the_cluster_says_so_to_the_end(shown: consumer.Unit) -> None:
    """The status is asked for after the last hook too."""
    shown.relate()
    shown.remember(in_cluster=True)
    shown.lists(consumer.members("node-0", "node-1"), consumer.NOT_A_MEMBER)
    shown.expect("remove", "node-0")

    hook = shown.hook("remove")

    assert hook.status == ("blocked", "integrate with microcluster-token-distributor")


def test_a_unit_beside_a_distributor_with_an_earlier_library_says_what_it_waits_for(
    shown: consumer.Unit,
) -> None:
    """It names an application at most."""
    shown.show({}, leader="", bootstrap_app="micro")
    first = shown.hook()
    relation = dataclasses.replace(shown.relation(), remote_units_data={0: {"mirror": "down"}})
    shown.relate(relation)
    second = shown.hook()

    assert first.status == ("waiting", "waiting for a unit to be allowed to bootstrap")
    assert second.status == ("waiting", "waiting for the token distributor")
