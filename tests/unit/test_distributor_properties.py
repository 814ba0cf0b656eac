"""What holds of the distributor's rules for any databags, in any order, over any history."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import strategies as st

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Mapping, Sequence

given_histories = hypothesis.settings(max_examples=200)

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
HOSTS = [f"node-{letter}" for letter in "abcd"]
OWN_KEY = "port"
TOKENS = {host: [distributor.token(host, number) for number in (1, 2)] for host in HOSTS}
VALUES = [EMPTY, JOINED, "6641", *itertools.chain.from_iterable(TOKENS.values())]
# Mostly tokens of that name; a charm's own key never has one.
OFFERED = {host: [*TOKENS[host] * 4, *VALUES] for host in HOSTS} | {OWN_KEY: ["6641", "6642"]}
DIGESTS = [lib.digest(value) for value in VALUES]

# Strategies

JUNK = st.dictionaries(
    st.sampled_from(
        ["schema", "egress-subnets", "mirrors", "failure", "holdings", "gone-by", "Mirror", "left"]
    ),
    st.sampled_from(["", "up", "true", "node-a", "=", "\x00\n", "\U0001f4a5"]),
    max_size=4,
)


def words(of: Sequence[str]) -> st.SearchStrategy[str]:
    """Some of these words."""
    return st.lists(st.sampled_from(of), max_size=3).map(" ".join)


@st.composite
def offers(draw: st.DrawFn, keys: Sequence[str]) -> dict[str, str]:
    """Values under some of these keys: mostly a token of that name, sometimes anything."""
    offered: dict[str, str] = {}
    for key in draw(st.lists(st.sampled_from(keys), max_size=3)):
        offered[f"mirror-{key}"] = draw(st.sampled_from(OFFERED.get(key, VALUES)))
    return offered


@st.composite
def bags(
    draw: st.DrawFn, hosts: Sequence[str] = HOSTS, keys: Sequence[str] = (*HOSTS, OWN_KEY)
) -> dict[str, str]:
    """A consumer's databag, with no more sense than the wire demands."""
    bag = {
        "hostname": draw(st.sampled_from(["", *hosts])),
        "member": draw(st.sampled_from(["", "true", "false", "unknown"])),
        "mirror": draw(st.sampled_from(["", "up", "up", "down"])),
        "failed": draw(words(DIGESTS)),
        "hold": draw(words(HOSTS)),
        "gone": draw(words(HOSTS)),
        **draw(offers(keys)),
    }
    return {key: value for key, value in bag.items() if value}


@st.composite
def mirrors(draw: st.DrawFn) -> lib.Mirror:
    """What may be held."""
    values = {key: draw(st.sampled_from(["", *VALUES])) for key in HOSTS}
    values[OWN_KEY] = draw(st.sampled_from(["", "6641"]))
    failed = {key: set(draw(words(DIGESTS)).split()) for key in HOSTS}
    return lib.Mirror(
        values={key: value for key, value in values.items() if value},
        failed={key: " ".join(sorted(digests)) for key, digests in failed.items() if digests},
        hold=frozenset(draw(words(HOSTS)).split()),
        left=frozenset(draw(words(HOSTS)).split()),
    )


readings = st.sampled_from(lib.Reading)


# What most units say most of the time: nothing of others.
plain_bags = st.fixed_dictionaries(
    {"hostname": st.sampled_from(HOSTS), "member": st.sampled_from(["true", "false", "unknown"])}
)


@given_histories
@hypothesis.given(
    mirrors(),
    st.dictionaries(st.sampled_from(HOSTS), st.sampled_from([JOINED, lib.WAITING])),
    st.one_of(plain_bags, plain_bags, bags()),
)
def test_one_units_word_is_put_off_as_if_all_had_been_read(
    shown: lib.Mirror, put_off: dict[str, str], bag: dict[str, str]
) -> None:
    """What a few keys tell is what the whole databags tell."""
    held = lib.recall(shown, put_off)
    remembered = lib.to_remember(shown, held)
    unit = lib.ConsumerUnit.from_bag("here/0", bag)
    name = unit.hostname
    after = lib.state_after(remembered.get(name), unit)
    hypothesis.assume(after is not None and name and name not in shown.left)
    # A charm's own value under a unit's host name, or a failure of nothing, is nobody's doing.
    hypothesis.assume(remembered.get(name) or name not in {*shown.values, *shown.failed})

    heard = lib.reflect(held, [unit])

    assert lib.to_remember(shown, heard) == {**remembered, name: after}
    moved = lib.Tally.of(shown, held).moved(remembered.get(name), str(after))
    assert lib.Tally.of(shown, heard) == moved
    assert lib.Tally.from_text(moved.to_text()) == moved
    assert not lib.is_pressing(shown, heard)


@dataclasses.dataclass(frozen=True)
class Sight:
    """All that `reflect` is told."""

    held: lib.Mirror
    heard: Sequence[Mapping[str, str]]
    departed: Sequence[Mapping[str, str]]
    reading: lib.Reading
    takes_over: bool

    def units(self, bags_read: Sequence[Mapping[str, str]], app: str) -> list[lib.ConsumerUnit]:
        """Read databags."""
        return [
            lib.ConsumerUnit.from_bag(f"{app}/{number}", bag)
            for number, bag in enumerate(bags_read)
        ]

    def reflect(self, held: lib.Mirror | None = None) -> lib.Mirror:
        """Work out what is shown."""
        return lib.reflect(
            self.held if held is None else held,
            self.units(self.heard, "here"),
            self.units(self.departed, "gone"),
            reading=self.reading,
            takes_over=self.takes_over,
        )


@st.composite
def sights(draw: st.DrawFn, *, takes_over: bool = False) -> Sight:
    """Anything that can be read; host names may be given twice, and offers be for nobody.

    Args:
        draw: draws.
        takes_over: whether this may be a leader's first sight.
    """
    return Sight(
        held=draw(mirrors()),
        heard=draw(st.lists(bags(), max_size=4)),
        departed=draw(st.lists(bags(), max_size=2)),
        reading=draw(readings),
        takes_over=takes_over and draw(st.booleans()),
    )


# One sight


@hypothesis.given(sights())
def test_nothing_is_replaced_but_what_is_empty_used_or_failed(sight: Sight) -> None:
    """By the table of the wire's rules, and in that order."""
    shown = sight.reflect()

    heard = sight.units(sight.heard, "here")
    departed = {unit.hostname for unit in sight.units(sight.departed, "gone")}
    for key, value in sight.held.values.items():
        namesakes = [unit for unit in heard if unit.hostname == key]
        failed = {digest for unit in namesakes for digest in unit.failed}
        if not namesakes:
            failed = set(sight.held.failed.get(key, "").split())
        now = shown.values.get(key)
        if now == value:
            continue
        if now is None:
            nobody = sight.reading is lib.Reading.ALL_THERE_ARE and not namesakes
            assert key in departed or nobody
            assert key in shown.left or any(key in unit.gone for unit in heard)
        elif now == JOINED:
            assert any(unit.is_member for unit in namesakes)
        elif value == JOINED and key in departed:
            # It was the departed unit that had joined; a namesake has yet to.
            assert not any(unit.is_member for unit in namesakes)
        else:
            assert value == EMPTY or lib.digest(value) in failed
            assert now != EMPTY
            assert lib.digest(now) not in failed
            assert any(unit.up and unit.offers.get(key) == now for unit in heard)


@hypothesis.given(sights(takes_over=True))
def test_mirroring_twice_changes_nothing(sight: Sight) -> None:
    """Neither for the leader that it was, nor for the one that it is then."""
    once = sight.reflect()

    assert sight.reflect(once) == once
    assert dataclasses.replace(sight, takes_over=False).reflect(once) == once


@hypothesis.given(sights(takes_over=True), st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(sight: Sight, shuffler: random.Random) -> None:
    """Juju gives units and relations in no order."""
    heard, departed = list(sight.heard), list(sight.departed)
    shuffler.shuffle(heard)
    shuffler.shuffle(departed)

    shuffled = dataclasses.replace(sight, heard=heard, departed=departed).reflect()

    straight = sight.reflect()
    assert shuffled == straight
    assert list(shuffled.unit_bag().items()) == list(straight.unit_bag().items())
    assert list(shuffled.app_bag().items()) == list(straight.app_bag().items())


@hypothesis.given(sights(takes_over=True), JUNK, JUNK)
def test_unknown_keys_do_no_harm(
    sight: Sight, junk: dict[str, str], own_junk: dict[str, str]
) -> None:
    """Neither in the consumers' databags nor in the distributor's own."""
    own_junk.pop("left", None)  # of which the application's databag has one
    held = lib.Mirror.from_bags(
        [{**junk, **sight.held.unit_bag()}], [{**own_junk, **sight.held.app_bag()}]
    )
    junky = dataclasses.replace(
        sight,
        held=held,
        heard=[{**junk, **bag} for bag in sight.heard],
        departed=[{**junk, **bag} for bag in sight.departed],
    )

    assert held == sight.held
    assert junky.reflect() == sight.reflect()


@hypothesis.given(sights(takes_over=True))
def test_what_is_shown_is_read_as_it_was_meant(sight: Sight) -> None:
    """The databags are all that a distributor remembers."""
    shown = sight.reflect()

    assert lib.Mirror.from_bags([shown.unit_bag()], [shown.app_bag()]) == shown
    assert lib.Mirror.from_bags([shown.unit_bag()] * 2, [{}, shown.app_bag()]) == shown


@hypothesis.given(sights(takes_over=True))
def test_no_token_is_shown_that_nobody_gave(sight: Sight) -> None:
    """Each comes from what was held, or from a member that is up."""
    shown = sight.reflect()

    for key, value in shown.values.items():
        offered = any(
            unit.up and unit.offers.get(key) == value for unit in sight.units(sight.heard, "here")
        )
        assert value in (EMPTY, JOINED) or offered or sight.held.values.get(key) == value


# Histories


@dataclasses.dataclass(frozen=True)
class Act:
    """Something that happens to the unit of a host name: `say`, `leave`, `vanish` or `lose`."""

    kind: str
    host: str
    bag: Mapping[str, str]


@st.composite
def acts(draw: st.DrawFn) -> Act:
    """Something that happens, and a databag to go with it."""
    host = draw(st.sampled_from(HOSTS))
    bag = draw(bags([host]))
    # What is likely to be shown to it, lest it complain of what nobody ever showed.
    bag["failed"] = draw(words([lib.digest(value) for value in (*TOKENS[host], JOINED)]))
    kind = draw(st.sampled_from(["say", "say", "say", "say", "leave", "vanish", "lose"]))
    return Act(kind, host, {**bag, "hostname": host})


histories = st.lists(acts(), min_size=1, max_size=14)


class Model:
    """The units of one application, each with a host name of its own.

    Attributes:
        bags: the databags of those in the model, by their units' names.
        lost: those of them whose machine is lost.
    """

    def __init__(self) -> None:
        self.bags: dict[str, dict[str, str]] = {}
        self.lost: set[str] = set()
        self._names: dict[str, str] = {}
        self._number = itertools.count()

    def say(self, act: Act) -> str:
        """Let a unit speak, one that came anew if there is none, and give its name."""
        if act.host not in self._names:
            self._names[act.host] = f"microovn/{next(self._number)}"
        name = self._names[act.host]
        bag = dict(act.bag)
        if self.bags.get(name, {}).get("mirror") and "mirror" not in bag:
            # A unit that ever spoke for the cluster says whether it still does.
            bag["mirror"] = "down"
        self.bags[name] = bag
        self.lost.discard(name)
        return name

    def leave(self, host: str) -> tuple[str, dict[str, str]] | None:
        """Take a unit out of the model, and give its name and databag."""
        name = self._names.pop(host, None)
        if name is None:
            return None
        self.lost.discard(name)
        return name, self.bags.pop(name)

    def lose(self, host: str) -> None:
        """Let a unit's machine be lost."""
        if host in self._names:
            self.lost.add(self._names[host])

    def units(self) -> list[lib.ConsumerUnit]:
        """Read all databags."""
        return [lib.ConsumerUnit.from_bag(name, bag) for name, bag in self.bags.items()]


class Granter:
    """A distributor's leader that sweeps after everything, and notes whom it ever granted."""

    def __init__(self) -> None:
        self.model = Model()
        self.shown = lib.Mirror()
        self.ghosts: list[lib.ConsumerUnit] = []
        self.granted: list[str] = []

    def live(self, act: Act, leader: int) -> None:
        """Let something happen, let one of the units lead and propose itself, and sweep."""
        departed: list[lib.ConsumerUnit] = []
        if act.kind == "say":
            self.model.say(act)
            # A ghost whose name a newcomer has is another story.
            self.ghosts = [unit for unit in self.ghosts if unit.hostname != act.host]
        elif act.kind == "lose":
            self.model.lose(act.host)
        elif (left := self.model.leave(act.host)) is not None:
            unit = lib.ConsumerUnit.from_bag(*left)
            if act.kind == "leave":
                departed.append(unit)
            else:
                self.ghosts.append(unit)
        self._sweep(departed, leader)

    def _sweep(self, departed: Sequence[lib.ConsumerUnit], leader: int) -> None:
        units = self.model.units()
        candidate = units[leader % len(units)].name if units else ""
        reading = lib.Reading.ALL_THERE_ARE
        shown = lib.reflect(self.shown, units, [*departed, *self.ghosts], reading=reading)
        expected = set(self.model.bags) - self.model.lost
        app = lib.ConsumerApp("microovn", candidate, units)
        granted = lib.grant(shown, [app], expected)
        if any(unit.is_member for unit in units):
            # Used up: where that cluster goes, a grant may follow.
            self.granted.clear()
        self._check(granted, units, shown, expected)
        self.shown = dataclasses.replace(
            shown, bootstrap_app=granted.app, bootstrap_unit=granted.unit
        )

    def _check(
        self,
        granted: lib.Grant,
        units: Collection[lib.ConsumerUnit],
        shown: lib.Mirror,
        expected: Collection[str],
    ) -> None:
        if granted.unit in ("", self.shown.bootstrap_unit):
            return
        # Granted anew: that is safe only when nothing shows a cluster.
        assert not any(unit.is_member or unit.up or unit.member == "unknown" for unit in units)
        assert {shown.values[key] for key in shown.values if key != OWN_KEY} <= {EMPTY}
        assert {unit.name for unit in units if unit.spoke} >= set(expected)
        # And when whoever had it before is no longer there.
        assert not set(self.granted) & (set(expected) | {unit.name for unit in units})
        self.granted.append(granted.unit)


@given_histories
@hypothesis.given(histories, st.lists(st.integers(0, 3), min_size=14, max_size=14))
def test_at_most_one_unit_is_ever_granted_the_bootstrap(
    history: list[Act], leaders: list[int]
) -> None:
    """Until that one left and nothing shows a cluster."""
    granter = Granter()
    for act, leader in zip(history, leaders, strict=False):
        granter.live(act, leader)

    hypothesis.event(f"granted {len(granter.granted)} times")


class Listener:
    """A distributor's leader that reads one databag an event, beside one that reads them all."""

    def __init__(self) -> None:
        self.model = Model()
        self.by_one = lib.Mirror()
        self.by_all = lib.Mirror()

    def live(self, act: Act) -> None:
        """Let something happen, and hear of it both ways."""
        if act.kind == "say":
            self._say(act)
        elif (left := self.model.leave(act.host)) is not None:
            self._hear(None, lib.ConsumerUnit.from_bag(*left))
        # The others hear of it, and take back what is of no more use to anybody.
        for name, bag in self.model.bags.items():
            useful = self._useful(bag)
            if useful != bag:
                bag.clear()
                bag.update(useful)
                self._hear(lib.ConsumerUnit.from_bag(name, bag), None)

    def _say(self, act: Act) -> None:
        name = self.model.say(Act(act.kind, act.host, self._useful(act.bag)))
        self._hear(lib.ConsumerUnit.from_bag(name, self.model.bags[name]), None)

    def _useful(self, bag: Mapping[str, str]) -> dict[str, str]:
        """Leave out offers for names that are not shown, and who is gone but not left."""
        shown = {f"mirror-{key}" for key in (*self.by_all.values, OWN_KEY)}
        useful = {
            key: value
            for key, value in bag.items()
            if key != "gone" and (key in shown or not key.startswith("mirror-"))
        }
        if gone := self.by_all.left & set(bag.get("gone", "").split()):
            useful["gone"] = " ".join(sorted(gone))
        return useful

    def _hear(self, unit: lib.ConsumerUnit | None, departed: lib.ConsumerUnit | None) -> None:
        units, gone = self.model.units(), [departed] if departed else []
        self.by_all = lib.reflect(self.by_all, units, gone, reading=lib.Reading.ALL_SEEN)
        conflict = unit is not None and lib.is_conflict(self.by_one, unit)
        if conflict or (departed is not None and departed.up):
            self.by_one = lib.reflect(self.by_one, units, gone, reading=lib.Reading.ALL_SEEN)
        else:
            self.by_one = lib.reflect(self.by_one, [unit] if unit else [], gone)


@given_histories
@hypothesis.given(histories)
def test_hearing_one_unit_is_as_good_as_reading_all(history: list[Act]) -> None:
    """As long as each unit has a host name of its own."""
    listener = Listener()
    for act in history:
        listener.live(act)

        assert listener.by_one == listener.by_all
