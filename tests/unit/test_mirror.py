"""What the distributor publishes, and when: the pure functions, case by case and as properties."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

import mirror
from microcluster_token_distributor import _wire
from tests.unit import consumer, distributor

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    Case = tuple[_wire.Published, list[_wire.Report], dict[str, str], mirror.Goal | None]

report, goal_of, offers = distributor.report, distributor.goal_of, distributor.offers
Published = _wire.Published

T1, T2, T3 = sorted(consumer.token("a-2", number) for number in (1, 2, 3))
D1, D2, D3 = map(_wire.digest, (T1, T2, T3))
A, B, C = report("a/0", "true", cluster="a-0"), report("a/1", "true"), report("a/2", "false")
OLD, OLD_MEMBER = report("a/1", ""), report("a/0", "", mirror="up")
SAME = report("b/0", hostname="a-2")
REJECTED = report("a/2", failed=D1)
GONE = report("a/0", "true", gone="a-2")
UNKNOWN = report("a/1", "unknown", failed=D1, hold="a-2", cluster="a-1")
GIVER, *_, NO_GIVER = GIVERS = [
    report("a/0", "true", mirror="up", **{"mirror-a-2": token}) for token in (T1, T2, T3, "-1")
]

FORMED = Published(leader="0", bootstrap_app="a", formed=True)
GRANTED = Published(leader="0", bootstrap_app="a", bootstrap_host="a-0")
LEDGER = {"a/0": "a-0", "a/1": "a-1", "a/2": "a-2"}


# What is published


@distributor.rows(
    "reports,expected",
    ("a newcomer beside a member", [A, C], {"a-2": ""}),
    ("one whose join failed", [REJECTED], {"a-2": D1}),
    ("one that cannot tell", [UNKNOWN], {}),
    ("an old one", [OLD], {"a-1": ""}),
    ("an old one with a token", [report("a/2", "")], {}),
    ("an old one that is a member", [OLD_MEMBER], {}),
    ("two of one host name", [C, SAME], {}),
    ("an unusable host name", [report("a/2", hostname="a_2")], {}),
)
def test_who_waits(reports: list[_wire.Report], expected: dict[str, str]) -> None:
    """Only who says that it is no member. An old one cannot tell that it has used its token."""
    published = dataclasses.replace(FORMED, values={"a-2": T1})

    assert mirror.publish(published, reports, {}, None).waiting == expected


@distributor.rows(
    "reports,expected",
    ("a member", [A, report("a/1", "true", hold="a-2 a-3")], "a-2 a-3"),
    ("one that cannot tell", [UNKNOWN], "a-2"),
    ("no member", [report("a/1", "false", hold="a-2")], ""),
)
def test_hold(reports: list[_wire.Report], expected: str) -> None:
    """Whoever may be a member can pause the joins."""
    assert mirror.publish(FORMED, reports, {}, None).hold == {*expected.split()}


def test_a_member_shows_that_a_cluster_is_formed() -> None:
    """And nothing that is missing shows the contrary."""
    for reports in ([A, C], [OLD_MEMBER]):
        assert mirror.publish(Published(), reports, {}, None).formed
    assert not mirror.publish(Published(), [C, UNKNOWN], {}, None).formed
    assert mirror.publish(FORMED, [C], {}, None).formed


@distributor.rows(
    "goal,reports,ledger,published,expected",
    ("removed", goal_of("a/0 a/1"), [A, B], LEDGER, "", "a-2"),
    ("dying", goal_of("a/0 a/1 a/2:dying"), [A], LEDGER, "", ""),
    ("application not named", goal_of("b/0"), [], LEDGER, "", ""),
    ("no unit is named", goal_of("a"), [], LEDGER, "", "a-0 a-1 a-2"),
    ("never named", goal_of("a/0"), [A], {"a/0": "a-0"}, "", ""),
    ("goal-state is missing", None, [A, B], LEDGER, "", ""),
    ("published before", None, [A, B], LEDGER, "a-2", "a-2"),
    ("published, and seen again", None, [A, B, C], LEDGER, "a-2", ""),
    ("gone", goal_of("a/0 a/1"), [GONE, B], LEDGER, "a-2", ""),
    ("gone by no member", goal_of("a/0 a/1"), [report("a/1", gone="a-2")], LEDGER, "", "a-2"),
    ("another has the name", goal_of("a/0 b/0"), [A, SAME], LEDGER, "", "a-1"),
    ("without a name", goal_of("a"), [], {"a/1": "?", "a/2": "-"}, "", ""),
)
def test_who_has_left(
    goal: Any, reports: list[_wire.Report], ledger: dict[str, str], published: str, expected: str
) -> None:
    """Nobody but by goal-state, which names its application and not it."""
    before = dataclasses.replace(FORMED, left=frozenset(published.split()))

    assert mirror.publish(before, reports, ledger, goal).left == {*expected.split()}


def test_a_unit_that_is_named_again_has_not_left() -> None:
    """An application is deployed anew under its name, and its units have their numbers again."""
    assert not goal_of("a/0").departed({"a/0": mirror.DEALT_WITH})


def test_where_clusters_are_several_nothing_is_issued_nor_removed() -> None:
    """An operator has to choose."""
    following = mirror.publish(FORMED, [A, C], LEDGER, goal_of("a/0"), is_divided=True)

    assert (following.waiting, following.left) == ({}, frozenset())


@distributor.rows(
    "rows,apps,units",
    ("units", "a a/0 a-b/12", "a", "a/0 a-b/12"),
    ("offers", "admin/default.a prod/m.a a/0", "", "a/0"),
    ("neither", "a/ /0 a/x a/0/1 A/0 a/٣", "", ""),
)
def test_units_are_told_from_applications_and_offers(rows: str, apps: str, units: str) -> None:
    """An offer's name has a slash in it, and is neither."""
    goal = mirror.Goal.of(dict.fromkeys(rows.split(), "active"))

    assert goal == mirror.Goal(frozenset(apps.split()), dict.fromkeys(units.split(), "active"))


@distributor.rows(
    "reports,goal,expected",
    ("all say so", [C], "a/2", True),
    ("one is a member", [A, C], "a/0 a/2", False),
    ("one cannot tell", [C, UNKNOWN], "a/1 a/2", False),
    ("one that goes is silent", [C], "a/2 a/1:dying", False),
    ("nobody is there", [], "a", False),
)
def test_a_cluster_is_dissolved(reports: list[_wire.Report], goal: str, expected: bool) -> None:
    """Where all say that they are in none."""
    assert mirror.is_dissolved(reports, goal_of(goal)) is expected
    assert not mirror.is_dissolved(reports, None)


def test_who_is_forgotten_goes_while_it_is_offline() -> None:
    """Whatever goal-state says, and not when it is back."""
    down = report("a/0", "true", hold="a-1")
    here = goal_of("a/0 a/1 a/2")

    for reports, expected in (([down, B], {"a-1"}), ([A, B], set[str]())):
        following = mirror.publish(FORMED, reports, LEDGER, here, forgotten=frozenset({"a-1"}))
        assert following.left == expected


def test_clusters_are_named_by_their_first_members() -> None:
    """By what these say of themselves."""
    other = report("b/0", "true", cluster="b-0")

    assert mirror.clusters([other, A, report("b/1", "true", cluster="b-0")]) == ["a-0", "b-0"]
    assert mirror.clusters([report("a/1", "true", cluster="a-0"), UNKNOWN, OLD_MEMBER]) == []


# What is mirrored

PORT = report("a/0", "true", mirror="up", **{"mirror-port": "6641"})
OLD_PORT = report("a/0", "", mirror="up", **{"mirror-port": "6641"})


def _values(*reports: _wire.Report, leaving: Sequence[_wire.Report] = (), **fields: Any) -> Any:
    return mirror.values(dataclasses.replace(FORMED, **fields), reports, leaving)


@distributor.rows(
    "current,reports,expected",
    ("no token", {}, [A, C], {}),
    ("a token", {}, [GIVER, C], {"a-2": T1}),
    ("empty is overwritten", {"a-2": "empty"}, [GIVER, C], {"a-2": T1}),
    ("a token is not", {"a-2": T2}, [GIVER, C], {"a-2": T2}),
    ("rejected, and no better one", {"a-2": T1}, [A, REJECTED], {"a-2": T1}),
    ("rejected, and offered again", {"a-2": T1}, [GIVER, REJECTED], {"a-2": T1}),
    ("the next of three", {"a-2": T1}, [*GIVERS, REJECTED], {"a-2": T2}),
    ("the last of three", {"a-2": T2}, [*GIVERS, report("a/2", failed=D2)], {"a-2": T3}),
    ("the first of three again", {"a-2": T3}, [*GIVERS, report("a/2", failed=D3)], {"a-2": T1}),
    ("no argument of a command", {}, [NO_GIVER, C], {}),
    ("for nobody", {"a-2": T2}, [A], {}),
    ("offered for nobody", {}, [GIVER], {}),
    ("used", {"a-1": T1}, [A, B], {}),
    ("no token of a member", {"a-1": "1"}, [A, B], {}),
    ("offered by no member", {}, [report("a/0", "false", **offers("a-2")), C], {}),
    ("not to be mirrored", {}, [report("a/0", "true", **{"mirror-a-2": T1}), C], {}),
    ("a shared value", {}, [PORT], {"port": "6641"}),
    ("it is never overwritten", {"port": "1"}, [PORT], {"port": "1"}),
    ("and outlives who gave it", {"port": "1"}, [A], {"port": "1"}),
    ("an old one's", {"port": "empty"}, [OLD_PORT], {"a-0": "empty", "port": "6641"}),
)
def test_values(
    current: dict[str, str], reports: list[_wire.Report], expected: dict[str, str]
) -> None:
    """A token while its unit waits for it, and shared values for good."""
    assert _values(*reports, values=current) == expected


def test_a_departing_units_tokens_outlive_it() -> None:
    """They cannot be issued again while they are valid."""
    assert _values(A, C, leaving=[GIVER]) == {"a-2": T1}
    assert _values(A, B, leaving=[GIVER]) == {}


@distributor.rows(
    "fields,shown",
    ("formed", {}, True),
    ("formed under a grant", {"bootstrap_host": "a-0"}, True),
    ("granted to an old application", {"formed": False}, True),
    ("granted to a new one", {"formed": False, "bootstrap_host": "a-0"}, False),
    ("not granted", {"formed": False, "bootstrap_app": ""}, False),
)
def test_old_units_see_names(fields: dict[str, Any], shown: bool) -> None:
    """For them `empty` is leave to bootstrap."""
    assert _values(A, OLD, **fields) == ({"a-0": "joined", "a-1": "empty"} if shown else {})
    assert _values(A, B, **fields) == {}


def test_no_token_is_shown_while_nothing_is_formed() -> None:
    """It is a remnant."""
    assert _values(GIVER, C, formed=False, values={"a-2": T2}) == {}
    assert _values(GIVER, C, OLD, formed=False)["a-2"] == "empty"


# When it is published


def _with(**keys: str) -> Published:
    return Published.from_bags({**FORMED.to_app_bag(), **keys}, {})


NEWCOMER, FAILED = _with(waiting="a-1"), _with(waiting=f"a-1={D1}")


@distributor.rows(
    "before,after,expected",
    ("a grant", Published(), GRANTED, True),
    ("an old grant", Published(), Published(bootstrap_app="a"), True),
    ("a grant moved", GRANTED, dataclasses.replace(GRANTED, bootstrap_host="a-1"), True),
    ("formed, and the grant used up", GRANTED, FORMED, False),
    ("a hold", FORMED, _with(hold="a-1"), True),
    ("a hold taken back", _with(hold="a-1"), FORMED, True),
    ("one that has left", FORMED, _with(left="a-1"), True),
    ("another has left", _with(left="a-1"), _with(left="a-2"), True),
    ("one that is gone", _with(left="a-1"), FORMED, False),
    ("its join failed", NEWCOMER, FAILED, True),
    ("and not any more", FAILED, NEWCOMER, True),
    ("it joined", NEWCOMER, FORMED, False),
    ("it joined after all", FAILED, FORMED, True),
    ("before a cluster", GRANTED, dataclasses.replace(GRANTED, waiting={"a-1": ""}), False),
)
def test_what_is_due_in_the_applications_bag(
    before: Published, after: Published, expected: bool
) -> None:
    """The rows of the table at the top of `mirror`."""
    assert mirror.is_app_due(before, after, units=3, expected=3) is expected


@distributor.rows(
    "published,new,units,expected,is_due",
    ("none", 0, 0, 3, 3, False),
    ("one", 0, 1, 21, 21, True),
    ("five in all", 0, 1, 21, 25, True),
    ("six in all", 0, 1, 21, 26, False),
    ("less than half as many", 0, 9, 29, 40, False),
    ("half as many", 0, 10, 30, 40, True),
    ("the last of a burst", 0, 6, 40, 40, True),
    ("more than expected", 0, 6, 40, 39, True),
    ("published before", 10, 0, 40, 40, False),
    ("the next of a burst", 10, 1, 40, 60, False),
)
def test_newcomers_of_a_burst_are_published_together(
    published: int, new: int, units: int, expected: int, is_due: bool
) -> None:
    """Few at once, and many in growing parts."""
    names = [f"b-{number}" for number in range(published + new)]
    before, after = (_with(waiting=" ".join(some)) for some in (names[:published], names))

    assert mirror.are_newcomers_due(before, after, units, expected) is is_due
    assert mirror.is_app_due(before, after, units, expected) is is_due


@distributor.rows(
    "before,after,expected",
    ("a token", {}, {"a-2": T1}, True),
    ("another token", {"a-2": T1}, {"a-2": T2}, True),
    ("a token used, for old units", {"a-2": T1}, {"a-2": "joined"}, False),
    ("a token used", {"a-2": T1}, {}, False),
    ("a newcomer, for old units", {}, {"a-2": "empty"}, True),
    ("a shared value", {}, {"port": "1"}, True),
)
def test_what_is_due_in_the_units_bag(
    before: dict[str, str], after: dict[str, str], expected: bool
) -> None:
    """What somebody waits for."""
    assert mirror.is_unit_due(Published(values=before), Published(values=after)) is expected


@distributor.rows(
    "ledger,left,reports,goal,listed,expected",
    ("named", {}, "", [], "a/0", "", {"a/0": "?"}),
    ("reported", {"a/0": "?"}, "", [A], "a/0", "a/0", {"a/0": "a-0"}),
    ("reported, and never named", {}, "", [A], "b/0", "a/0", {"b/0": "?"}),
    ("unusable host name", {}, "", [report("a/0", hostname="-")], "a/0", "a/0", {"a/0": "?"}),
    ("renamed", {"a/0": "a-9"}, "", [A], "a/0", "a/0", {"a/0": "a-0"}),
    ("not seen", {"a/0": "a-0"}, "", [], "a/0", "", {"a/0": "a-0"}),
    ("application not named", {"a/0": "a-0"}, "", [], "b", "", {"a/0": "a-0"}),
    ("has left", {"a/0": "a-0"}, "a-0", [], "a", "a/0", {"a/0": "a-0"}),
    ("gone, and is listed", {"a/0": "a-0"}, "", [], "a", "a/0", {"a/0": "-"}),
    ("still listed", {"a/0": "-"}, "", [], "a", "a/0", {"a/0": "-"}),
    ("application gone", {"a/0": "-"}, "", [], "b", "", {}),
    ("named again", {"a/0": "-"}, "", [], "a/0", "a/0", {"a/0": "?"}),
    ("gone", {"a/0": "a-0"}, "", [], "a", "", {}),
    ("never came", {"a/0": "?"}, "", [], "a", "", {}),
)
def test_ledger(
    ledger: Any, left: str, reports: Any, goal: str, listed: str, expected: dict[str, str]
) -> None:
    """From `?` to a name and away again, by way of `-` where Juju goes on to list the unit."""
    rest = (frozenset(left.split()), reports, goal_of(goal), frozenset(listed.split()))

    after = mirror.enter(ledger, *rest)

    assert after == expected
    assert mirror.enter(after, *rest) == expected


# Properties

UNITS, NAMES = ["a/0", "a/1", "b/0", "b/1"], ["a-0", "a-1", "b-0", "b-1", "b_1"]
some_names = st.lists(st.sampled_from(NAMES), max_size=2).map(" ".join)
bags = st.fixed_dictionaries(
    {"hostname": st.sampled_from(NAMES), "member": st.sampled_from(["", "true", "false"])},
    optional={
        "cluster": st.sampled_from(NAMES),
        "failed": st.sampled_from([D1, D2]),
        "hold": some_names,
        "gone": some_names,
        "mirror": st.sampled_from(["up", "down"]),
        "mirror-a-1": st.sampled_from([T1, T2, "empty"]),
        "mirror-port": st.sampled_from(["1", "2"]),
    },
)
publisheds = st.builds(
    Published,
    leader=st.just("0"),
    bootstrap_app=st.sampled_from(["", "a"]),
    formed=st.booleans(),
    left=st.frozensets(st.sampled_from(NAMES[:4])),
    values=st.dictionaries(st.sampled_from(["a-1", "port"]), st.sampled_from([T1, "empty", "1"])),
)
cases = st.tuples(
    publisheds,
    st.dictionaries(st.sampled_from(UNITS), bags).map(
        lambda reports: [_wire.Report.from_bag(unit, bag) for unit, bag in reports.items()]
    ),
    st.dictionaries(st.sampled_from(UNITS), st.sampled_from([*NAMES[:4], "?", "-"])),
    st.none() | st.lists(st.sampled_from([*UNITS, "a", "b"])).map(" ".join).map(goal_of),
)


@given(cases, st.randoms(use_true_random=False))
def test_reports_one_by_one_and_in_any_order(case: Case, order: random.Random) -> None:
    """They come to the same as all at once, though no values are remembered."""
    published, reports, ledger, goal = case
    following, seen = published, list[_wire.Report]()

    for each in order.sample(reports, len(reports)):
        following = mirror.publish(following, [*seen, each], ledger, goal)
        following = Published.from_bags(following.to_app_bag(), published.to_unit_bag())
        seen.append(dataclasses.replace(each, values={}))
    following = mirror.publish(following, seen, ledger, goal)

    assert following == mirror.publish(*case)
    assert mirror.values(published, reports[::-1]) == mirror.values(published, reports)


@given(cases)
def test_nobody_has_left_without_evidence(case: Case) -> None:
    """Goal-state names its application and not it, and nobody who is seen has its name."""
    published, reports, ledger, goal = case

    left = mirror.publish(*case).left

    assert left.isdisjoint(each.hostname for each in reports)
    named = {ledger[unit] for unit in (goal.departed(ledger) if goal else ())} - {"?", "-"}
    assert left <= (published.left if goal is None else named)


@given(cases)
def test_what_is_published_is_not_published_again(case: Case) -> None:
    """Neither bag changes, nor is anything due."""
    published, reports, ledger, goal = case

    def fold(before: Published) -> Published:
        after = mirror.publish(before, reports, ledger, goal)
        return dataclasses.replace(after, values=mirror.values(after, reports))

    first = fold(fold(published))
    second = fold(first)

    assert first.to_app_bag() == second.to_app_bag()
    assert first.to_unit_bag() == second.to_unit_bag()
    assert not mirror.is_app_due(first, second, len(reports), expected=9)
    assert not mirror.is_unit_due(first, second)
