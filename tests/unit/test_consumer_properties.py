"""What holds of the consumer's rules whatever a unit sees and whatever its commands answer."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import strategies as st

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import consumer

if TYPE_CHECKING:
    from collections.abc import Iterable


SELF = "node-1"
HOSTS = ["node-0", SELF, "node-2", "node-3"]
TOKENS = [consumer.token(name, number) for name in HOSTS for number in (1, 2)]
VALUES = ["empty", "empty", "joined", *TOKENS, "192.0.2.1:6642", "-rf", "two words", "x" * 70_000]
# Letters enough, and all that has a meaning somewhere.
SIGNS = "aZ09-_.=/+ \n\t\0\x7f\u00e9\u0663\u2028\N{SNOWMAN}"
JUNK = ["mirror-", "mirror-a b", "mirror-=", "version", "left", "FAILED-x", "egress-subnets"]
CUSTOM = {"central": "192.0.2.1", "port": "6642"}

# Rare combinations matter here, and each example takes little.
several = hypothesis.settings(max_examples=200)


def some(values: list[str]) -> st.SearchStrategy[frozenset[str]]:
    """Return sets of some of the values."""
    return st.frozensets(st.sampled_from(values))


texts = st.text(st.sampled_from(SIGNS), max_size=80)
names = some(HOSTS)
junk = st.dictionaries(st.sampled_from(JUNK), texts.filter(bool))
digests = st.lists(st.sampled_from([*TOKENS, "joined", "empty"]), max_size=3).map(
    lambda values: " ".join(sorted({lib.digest(value) for value in values}))
)


@st.composite
def shown_values(draw: st.DrawFn) -> dict[str, str]:
    """Return anything for hosts, and charms' own values, for which `empty` is never shown."""
    own = draw(some(list(CUSTOM)))
    hosts = st.dictionaries(st.sampled_from([*HOSTS, "-rf"]), st.sampled_from(VALUES))
    return {**draw(hosts), **{key: CUSTOM[key] for key in sorted(own)}}


mirrors = st.builds(
    lib.Mirror,
    values=shown_values(),
    failed=st.dictionaries(st.sampled_from(HOSTS), digests),
    hold=st.one_of(st.just(frozenset[str]()), names),
    left=names,
    leader=st.sampled_from(["distributor/0", ""]),
    bootstrap_app=st.sampled_from(["micro", "other", ""]),
    bootstrap_unit=st.sampled_from(["micro/1", "micro/2", ""]),
)
members = st.builds(
    lib.Member,
    name=st.sampled_from([*HOSTS, "--yes"]),
    role=st.sampled_from(["voter", "voter", "spare", "PENDING", ""]),
    status=st.sampled_from(["ONLINE", "Online", "UNREACHABLE", "Offline", ""]),
)


@st.composite
def workloads(draw: st.DrawFn) -> lib.Workload:
    """Return any answer of a workload; a member's own row is always in its list."""
    membership = draw(st.sampled_from(lib.Membership))
    if membership is not lib.Membership.MEMBER:
        return lib.Workload(membership, reason="no telling")
    rows = draw(st.lists(members, unique_by=lambda member: member.name))
    own = draw(members.map(lambda member: dataclasses.replace(member, name=SELF)))
    others = [row for row in rows if row.name != SELF]
    return lib.Workload(membership, tuple(sorted([own, *others], key=lambda row: row.name)))


@st.composite
def bags(draw: st.DrawFn) -> dict[str, str]:
    """Return any databag that this unit may find of its own making, and some junk."""
    mirrored = draw(st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(TOKENS)))
    own: dict[str, st.SearchStrategy[str]] = {
        "hostname": st.sampled_from([SELF, "old-name"]),
        "member": st.sampled_from(["true", "false", "unknown", "perhaps"]),
        "mirror": st.sampled_from(["up", "down"]),
        "failed": digests,
        "hold": st.sampled_from(HOSTS),
        "gone": st.sampled_from(HOSTS),
    }
    keys = draw(some(list(own)))
    custom = draw(some(list(CUSTOM)))
    return {
        **{f"mirror-{name}": token for name, token in mirrored.items()},
        **{key: value for key in sorted(keys) if (value := draw(own[key]))},
        **{f"mirror-{key}": CUSTOM[key] for key in custom},
        **draw(junk),
    }


situations = st.builds(
    lib.Situation,
    unit=st.just("micro/1"),
    app=st.just("micro"),
    leads=st.booleans(),
    hostname=st.just(SELF),
    workload=workloads(),
    shown=st.one_of(st.none(), mirrors, mirrors, mirrors),
    bag=bags(),
    kept=st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(TOKENS)),
)


@st.composite
def newcomers(draw: st.DrawFn) -> lib.Situation:
    """Return a unit that sees a distributor, and may have a token or the grant."""
    shown = draw(mirrors)
    values = {**shown.values, SELF: draw(st.sampled_from(VALUES))}
    hold = draw(st.sampled_from([frozenset[str](), shown.hold]))
    shown = dataclasses.replace(shown, values=values, hold=hold)
    outside = lib.Workload(lib.Membership.NOT_A_MEMBER)
    return dataclasses.replace(draw(situations), workload=outside, shown=shown)


@st.composite
def communicators(draw: st.DrawFn) -> lib.Situation:
    """Return the only voter of a cluster, with newcomers to serve or members that are down."""
    all_online = draw(st.booleans())
    least, most = (0, 1) if all_online else (2, None)
    rows = draw(
        st.lists(members, min_size=least, max_size=most, unique_by=lambda member: member.name)
    )
    others = [
        dataclasses.replace(row, role="spare", status="ONLINE" if all_online else row.status)
        for row in rows
        if row.name != SELF
    ]
    own = lib.Member(SELF, "voter", "ONLINE")
    shown = draw(mirrors)
    values = {**shown.values, **dict.fromkeys(draw(names), "empty")}
    left = shown.left | {row.name for row in others if draw(st.booleans())}
    return dataclasses.replace(
        draw(situations),
        workload=lib.Workload(lib.Membership.MEMBER, (own, *others)),
        shown=dataclasses.replace(shown, values=values, left=left),
    )


@dataclasses.dataclass
class Hook:
    """One hook in an environment that answers at random.

    Attributes:
        before: the situation before each step, with the step.
        end: the situation in which there was no step left.
    """

    before: list[tuple[lib.Situation, lib.Step]]
    end: lib.Situation

    def taken(self, kind: type[lib.Step]) -> Iterable[tuple[lib.Situation, lib.Step]]:
        """Return the steps of one kind, each with the situation before it."""
        return [(start, step) for start, step in self.before if isinstance(step, kind)]


@st.composite
def hooks(draw: st.DrawFn, start: st.SearchStrategy[lib.Situation] = situations) -> Hook:
    """Let a unit take its steps, each of which may succeed, fail, or end in no telling."""
    now = draw(start)
    before: list[tuple[lib.Situation, lib.Step]] = []
    while (step := lib.next_step(now)) is not None:
        assert len(before) < 3 * len(HOSTS), "there is no end"
        before.append((now, step))
        now = dataclasses.replace(outcome(draw, now, step), tried=(*now.tried, step))
    return Hook(before, now)


def outcome(draw: st.DrawFn, now: lib.Situation, step: lib.Step) -> lib.Situation:
    """Return the situation after a step, however it ended."""
    if isinstance(step, lib.Remove):
        return now
    if isinstance(step, lib.ListAgain):
        return dataclasses.replace(now, workload=draw(workloads()))
    ending = draw(st.sampled_from(["succeeds", "succeeds", "fails", "no telling"]))
    if ending == "no telling":
        return dataclasses.replace(now, workload=lib.Workload(lib.Membership.UNKNOWN))
    if ending == "fails":
        token = step.token if isinstance(step, lib.Join) else ""
        return dataclasses.replace(now, spoilt=now.spoilt | {lib.digest(token)})
    if isinstance(step, lib.Issue):
        return dataclasses.replace(now, kept={**now.kept, step.name: consumer.token(step.name, 3)})
    member = lib.Member(SELF, "PENDING", "ONLINE")
    rows = (member,) if isinstance(step, lib.Bootstrap) else ()
    return dataclasses.replace(now, workload=lib.Workload(lib.Membership.MEMBER, rows))


def is_online(situation: lib.Situation, name: str) -> bool:
    """Tell whether a host name is an online member's, by the row itself."""
    rows = {row.name: row.status for row in situation.workload.members}
    return rows.get(name, "").upper() == "ONLINE"


# Steps


@several
@hypothesis.given(hooks(communicators()))
def test_nobody_removes_an_online_member_or_itself(hook: Hook) -> None:
    """Nor whom nobody spoke of, nor what could be taken for an option."""
    for start, step in hook.taken(lib.Remove):
        assert isinstance(step, lib.Remove)
        assert start.shown is not None
        assert step.name in [row.name for row in start.workload.members]
        assert not is_online(start, step.name)
        assert step.name in HOSTS
        assert step.name != SELF
        assert step.name in start.shown.left or start.shown.failed.get(step.name)


@several
@hypothesis.given(hooks(newcomers()))
def test_nobody_joins_or_bootstraps_during_a_hold(hook: Hook) -> None:
    """Nor who is not certainly no member, nor without being shown its token or its name."""
    for start, step in [*hook.taken(lib.Join), *hook.taken(lib.Bootstrap)]:
        assert start.shown is not None
        assert not start.shown.hold
        assert start.workload.membership is lib.Membership.NOT_A_MEMBER
        if isinstance(step, lib.Join):
            assert step.token == start.shown.values[SELF]
        else:
            values = start.shown.values.values()
            assert SELF in start.shown.values
            assert not any(value == "joined" or lib.looks_like_token(value) for value in values)
            assert start.shown.bootstrap_unit == start.unit or not start.shown.leader


@several
@hypothesis.given(hooks(communicators()))
def test_nobody_issues_while_a_member_is_not_online(hook: Hook) -> None:
    """Nor for a member, nor for itself, nor for whom nobody asked."""
    for start, step in hook.taken(lib.Issue):
        assert isinstance(step, lib.Issue)
        assert start.shown is not None
        rows = start.workload.members
        assert start.workload.membership is lib.Membership.MEMBER
        assert all(is_online(start, row.name) for row in rows)
        assert step.name not in [row.name for row in rows]
        assert step.name in start.shown.values


@several
@hypothesis.given(st.one_of(hooks(), hooks(newcomers()), hooks(communicators())))
def test_who_cannot_tell_does_nothing(hook: Hook) -> None:
    """Nor who sees no distributor."""
    for start, _ in hook.before:
        assert start.workload.membership is not lib.Membership.UNKNOWN
        assert start.shown is not None


@several
@hypothesis.given(st.one_of(hooks(), hooks(newcomers()), hooks(communicators())))
def test_a_hook_ends_and_takes_no_step_twice(hook: Hook) -> None:
    """At most a removal and a token for each other host, and one look between."""
    steps = [step for _, step in hook.before]

    assert all(steps.count(step) == 1 for step in steps)
    assert len(steps) <= 2 * len(HOSTS) + 1
    assert lib.next_step(hook.end) is None


# The databag


@several
@hypothesis.given(hooks())
def test_a_token_is_published_under_mirror_keys_alone_and_by_a_member_alone(hook: Hook) -> None:
    """Who cannot tell says no token that it has not said before."""
    end = hook.end
    bag = lib.consumer_bag(end)

    shown = {key for key, value in bag.items() if consumer.leaks([value])}

    assert all(key.startswith("mirror-") for key in shown)
    if end.workload.membership is lib.Membership.NOT_A_MEMBER:
        assert not shown
    if end.workload.membership is lib.Membership.UNKNOWN:
        assert all(bag[key] == end.bag[key] for key in shown)


@several
@hypothesis.given(hooks())
def test_a_charms_own_values_stay_in_the_databag(hook: Hook) -> None:
    """Whatever the membership, and whatever else is mirrored."""
    own = {
        key: value
        for key, value in hook.end.bag.items()
        if key.removeprefix("mirror-") in CUSTOM and value in CUSTOM.values()
    }

    assert own.items() <= lib.consumer_bag(hook.end).items()


@several
@hypothesis.given(hooks())
def test_a_databag_says_nothing_new_the_second_time(hook: Hook) -> None:
    """Or each hook would be an event for the distributor."""
    once = lib.consumer_bag(hook.end)

    assert lib.consumer_bag(dataclasses.replace(hook.end, bag=once)) == once


@several
@hypothesis.given(hooks())
def test_no_value_of_a_databag_is_empty(hook: Hook) -> None:
    """To write one is to delete the key."""
    assert all(lib.consumer_bag(hook.end).values())


@several
@hypothesis.given(hooks())
def test_a_databag_speaks_the_truth_about_the_membership(hook: Hook) -> None:
    """Nothing is taken back by who cannot tell."""
    end = hook.end
    bag = lib.consumer_bag(end)

    membership = end.workload.membership

    if membership is lib.Membership.MEMBER:
        assert bag["member"] == "true"
        assert "failed" not in bag
    elif membership is lib.Membership.NOT_A_MEMBER:
        assert bag["member"] == "false"
        assert bag.get("mirror") != "up"
        assert not {"hold", "gone"} & set(bag)
    else:
        assert bag["member"] == end.bag.get("member", "unknown")
        assert set(bag) >= {key for key in end.bag if key in ("mirror", "hold", "gone")}


@several
@hypothesis.given(situations, st.lists(members, unique_by=lambda member: member.name))
def test_all_that_is_down_and_nobody_else_is_on_hold(
    situation: lib.Situation, rows: list[lib.Member]
) -> None:
    """By the word of the communicator, here the only voter that can be reached."""
    own = lib.Member(SELF, "voter", "ONLINE")
    others = [row for row in rows if row.name != SELF and row.role != "voter"]
    workload = lib.Workload(lib.Membership.MEMBER, (own, *others))
    end = dataclasses.replace(situation, workload=workload)

    bag = lib.consumer_bag(end)

    down = {row.name for row in others if row.status.upper() != "ONLINE"}
    assert set(bag.get("hold", "").split()) == down
    assert bag["mirror"] == "up"


@several
@hypothesis.given(situations, junk)
def test_unknown_keys_of_databags_change_nothing(
    situation: lib.Situation, extra: dict[str, str]
) -> None:
    """Other versions and other libraries may write what they like."""
    clean = {key: value for key, value in situation.bag.items() if key not in JUNK}
    plain = dataclasses.replace(situation, bag=clean)
    mixed = dataclasses.replace(situation, bag={**extra, **clean})

    bag = lib.consumer_bag(mixed)

    assert {key: bag[key] for key in bag if key not in extra} == lib.consumer_bag(plain)
    assert lib.next_step(mixed) == lib.next_step(plain)


@several
@hypothesis.given(mirrors, junk)
def test_unknown_keys_of_the_distributors_databags_change_nothing(
    mirror: lib.Mirror, extra: dict[str, str]
) -> None:
    """Not even where their values are."""
    app_extra = {key: value for key, value in extra.items() if key != "left"}

    plain = lib.Mirror.from_bags([mirror.unit_bag()], [mirror.app_bag()])
    mixed = lib.Mirror.from_bags(
        [{**extra, **mirror.unit_bag()}], [{**app_extra, **mirror.app_bag()}]
    )

    assert mixed == plain


# Reading


@several
@hypothesis.given(st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.sampled_from(HOSTS),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["name", "role", "status", "x"]), inner),
    max_leaves=12,
))  # fmt: skip
def test_whatever_is_json_is_a_list_of_members_or_tells_nothing(content: object) -> None:
    """No shape of it raises, and none makes a unit certainly no member."""
    workload = lib.parse_members(json.dumps(content), SELF)

    if workload.membership is lib.Membership.MEMBER:
        assert isinstance(content, list)
        assert workload.find(SELF) is not None
    else:
        assert workload.membership is lib.Membership.UNKNOWN
        assert workload.reason


@several
@hypothesis.given(texts)
def test_a_host_name_is_one_safe_word(text: str) -> None:
    """As an argument, as a key and as a file's name."""
    if lib.is_hostname(text):
        assert text.isascii()
        assert text.split() == [text]
        assert not text.startswith(("-", "."))
        assert not set("/=\0") & set(text)
        assert len(text) <= 64


@several
@hypothesis.given(texts)
def test_a_usable_token_is_one_word_and_no_option(text: str) -> None:
    """So that it can be handed to a command."""
    if lib.is_usable_token(text):
        assert text.split() == [text]
        assert text.isascii()
        assert text.isprintable()
        assert not text.startswith("-")
