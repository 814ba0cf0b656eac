"""What the distributor shows of what it reads, rule by rule: pure functions over plain values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
ONE_EVENT = lib.Reading.ONE_EVENT
ALL_SEEN = lib.Reading.ALL_SEEN
ALL_THERE_ARE = lib.Reading.ALL_THERE_ARE

A, B, C = "node-a", "node-b", "node-c"
T1, T2, T3 = sorted(distributor.token("node-c", number) for number in (1, 2, 3))
D1, D2 = lib.digest(T1), lib.digest(T2)
DJ = lib.digest(JOINED)


def unit(number: int, bag: Mapping[str, str]) -> lib.ConsumerUnit:
    """Read a databag of microovn's unit of a number."""
    return lib.ConsumerUnit.from_bag(f"microovn/{number}", bag)


def member(number: int, hostname: str, **keys: str) -> lib.ConsumerUnit:
    """Make a member that is not the communicator."""
    return unit(number, distributor.says(hostname, "true", **keys))


def newcomer(number: int, hostname: str, **keys: str) -> lib.ConsumerUnit:
    """Make a unit that is certainly no member."""
    return unit(number, distributor.says(hostname, "false", **keys))


def old(number: int, hostname: str, **keys: str) -> lib.ConsumerUnit:
    """Make a unit with a library before patch 9."""
    return unit(number, distributor.says(hostname, **keys))


def communicator(
    number: int, hostname: str, tokens: Mapping[str, str] | None = None, **keys: str
) -> lib.ConsumerUnit:
    """Make a member that offers tokens, by host name."""
    return unit(number, distributor.offering(hostname, tokens or {}, **keys))


def mirror(
    values: Mapping[str, str] | None = None,
    *,
    failed: Mapping[str, str] | None = None,
    hold: Collection[str] = (),
    left: Collection[str] = (),
) -> lib.Mirror:
    """Make a mirror."""
    return lib.Mirror(
        values=values or {},
        failed=failed or {},
        hold=frozenset(hold),
        left=frozenset(left),
        leader="distributor/0",
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table of rules: what was held, what was read, what is shown."""

    shows: lib.Mirror
    held: lib.Mirror = dataclasses.field(default_factory=mirror)
    heard: Collection[lib.ConsumerUnit] = ()
    departed: Collection[lib.ConsumerUnit] = ()
    readings: Collection[lib.Reading] = tuple(lib.Reading)
    takes_over: bool = False


RULES: dict[str, Case] = {
    # Names
    "nothing read, nothing shown": Case(mirror()),
    "a unit that has yet to speak is not shown": Case(mirror(), heard=[unit(0, {})]),
    "a name is answered": Case(mirror({C: EMPTY}), heard=[newcomer(2, C)]),
    "an old library's name is answered": Case(mirror({C: EMPTY}), heard=[old(2, C)]),
    "a name that cannot be used is not": Case(mirror(), heard=[unit(2, {"hostname": "a b"})]),
    "a member's name shows joined": Case(mirror({A: JOINED}), heard=[member(0, A)]),
    "a unit that cannot tell is not joined": Case(
        mirror({A: EMPTY}), heard=[unit(0, distributor.says(A, "unknown"))]
    ),
    "a unit that no longer can tell stays joined": Case(
        mirror({A: JOINED}),
        mirror({A: JOINED}),
        [unit(0, distributor.says(A, "unknown"))],
    ),
    "one that dropped out stays joined until it complains": Case(
        mirror({A: JOINED}), mirror({A: JOINED}), [newcomer(0, A)]
    ),
    "a used token gives way to joined": Case(mirror({C: JOINED}), mirror({C: T1}), [member(2, C)]),
    "an old member's used token stays": Case(mirror({C: T1}), mirror({C: T1}), [old(2, C)]),
    "the failures of one that joined are forgotten": Case(
        mirror({C: JOINED}), mirror({C: T1}, failed={C: D1}), [member(2, C, failed=D1)]
    ),
    "a name that a charm's own key has is a member's first": Case(
        mirror({A: JOINED}), mirror({A: "6641"}), [member(0, A)]
    ),
    # Offers
    "an offer fills what is empty": Case(
        mirror({A: JOINED, C: T1}),
        mirror({A: JOINED, C: EMPTY}),
        [communicator(0, A, {C: T1}), newcomer(2, C)],
    ),
    "an old library's offer fills what is empty": Case(
        mirror({A: EMPTY, C: T1}),
        mirror({A: EMPTY, C: EMPTY}),
        [old(0, A, mirror="up", **{f"mirror-{C}": T1}), old(2, C)],
    ),
    "an offer of a member that is down is none": Case(
        mirror({B: JOINED, C: EMPTY}),
        mirror({B: JOINED, C: EMPTY}),
        [member(1, B, mirror="down", **{f"mirror-{C}": T1}), newcomer(2, C)],
    ),
    "an offer without a word about the mirror is none": Case(
        mirror({B: JOINED, C: EMPTY}),
        mirror({B: JOINED, C: EMPTY}),
        [member(1, B, **{f"mirror-{C}": T1}), newcomer(2, C)],
    ),
    "an offer of one that is certainly no member is none": Case(
        mirror({B: EMPTY, C: EMPTY}),
        mirror({B: EMPTY, C: EMPTY}),
        [newcomer(1, B, mirror="up", **{f"mirror-{C}": T1})],
        readings=[ONE_EVENT, ALL_SEEN],
    ),
    "an offer of one that cannot tell any more counts": Case(
        mirror({B: JOINED, C: T1}),
        mirror({B: JOINED, C: EMPTY}),
        [unit(1, distributor.says(B, "unknown", mirror="up", **{f"mirror-{C}": T1}))],
        readings=[ONE_EVENT, ALL_SEEN],
    ),
    "another offer does not replace a token": Case(
        mirror({A: JOINED, C: T2}),
        mirror({A: JOINED, C: T2}),
        [communicator(0, A, {C: T1}), newcomer(2, C)],
    ),
    "of several offers it is always the same": Case(
        mirror({A: JOINED, B: JOINED, C: T1}),
        mirror({A: JOINED, B: JOINED, C: EMPTY}),
        [communicator(0, A, {C: T2}), communicator(1, B, {C: T1})],
        readings=[ONE_EVENT, ALL_SEEN],
    ),
    "a withdrawn offer takes no token away": Case(
        mirror({A: JOINED, C: T1}),
        mirror({A: JOINED, C: T1}),
        [communicator(0, A), newcomer(2, C)],
    ),
    "the word empty replaces nothing": Case(
        mirror({A: JOINED, C: T1}),
        mirror({A: JOINED, C: T1}),
        [communicator(0, A, {C: EMPTY}), newcomer(2, C)],
    ),
    "the word joined is a unit's own to say": Case(
        mirror({A: JOINED, C: EMPTY}),
        mirror({A: JOINED, C: EMPTY}),
        [communicator(0, A, {C: JOINED}), newcomer(2, C)],
    ),
    "an offer for a member is too late": Case(
        mirror({A: JOINED, C: JOINED}),
        mirror({A: JOINED, C: EMPTY}),
        [communicator(0, A, {C: T1}), member(2, C)],
    ),
    "an offer for a name that is still to come is kept for it": Case(
        mirror({A: JOINED, C: T1}),
        mirror({A: JOINED}),
        [communicator(0, A, {C: T1})],
        readings=[ONE_EVENT, ALL_SEEN],
    ),
    "a charm's own value is mirrored": Case(
        mirror({A: JOINED, "port": "6641"}),
        mirror({A: JOINED}),
        [communicator(0, A, {"port": "6641"})],
    ),
    "a charm's own value is not replaced": Case(
        mirror({A: JOINED, "port": "6641"}),
        mirror({A: JOINED, "port": "6641"}),
        [communicator(0, A, {"port": "1"})],
    ),
    # Failures
    "a failure is shown": Case(
        mirror({C: T1}, failed={C: D1}), mirror({C: T1}), [newcomer(2, C, failed=D1)]
    ),
    "a failure of another value is shown, too, and does nothing": Case(
        mirror({A: JOINED, C: T1}, failed={C: D2}),
        mirror({A: JOINED, C: T1}),
        [communicator(0, A, {C: T3}), newcomer(2, C, failed=D2)],
        readings=[ALL_SEEN, ALL_THERE_ARE],
    ),
    "a failure that its unit no longer has is forgotten": Case(
        mirror({C: T1}), mirror({C: T1}, failed={C: D1}), [newcomer(2, C)]
    ),
    "a failed token stays while there is no other": Case(
        mirror({A: JOINED, C: T1}, failed={C: D1}),
        mirror({A: JOINED, C: T1}, failed={C: D1}),
        [communicator(0, A, {C: T1})],
        readings=[ONE_EVENT, ALL_SEEN],
    ),
    "a failed token gives way to the other communicator's": Case(
        mirror({A: JOINED, B: JOINED, C: T2}, failed={C: D1}),
        mirror({A: JOINED, B: JOINED, C: T1}),
        [communicator(0, A, {C: T1}), communicator(1, B, {C: T2}), newcomer(2, C, failed=D1)],
    ),
    "a failed token gives way to a later offer": Case(
        mirror({A: JOINED, C: T2}, failed={C: D1}),
        mirror({A: JOINED, C: T1}, failed={C: D1}),
        [communicator(0, A, {C: T2})],
        readings=[ONE_EVENT, ALL_SEEN],
    ),
    "an offer that failed already does not come back": Case(
        mirror({A: JOINED, C: EMPTY}, failed={C: D1}),
        mirror({A: JOINED, C: EMPTY}),
        [communicator(0, A, {C: T1}), newcomer(2, C, failed=D1)],
    ),
    "joined that is not true gives way to a token": Case(
        mirror({A: JOINED, C: T1}, failed={C: DJ}),
        mirror({A: JOINED, C: JOINED}),
        [communicator(0, A, {C: T1}), newcomer(2, C, failed=DJ)],
    ),
    "joined that is not true stays until there is a token": Case(
        mirror({C: JOINED}, failed={C: DJ}), mirror({C: JOINED}), [newcomer(2, C, failed=DJ)]
    ),
    # Two units of one host name
    "of two units of one host name one is a member": Case(
        mirror({A: JOINED}), heard=[newcomer(0, A, failed=D1), member(1, A)]
    ),
    "of two units of one host name both failed": Case(
        mirror({C: T1}, failed={C: " ".join(sorted([D1, D2]))}),
        mirror({C: T1}),
        [newcomer(0, C, failed=D1), newcomer(1, C, failed=D2)],
    ),
    # Who left
    "a departed unit's name goes to left": Case(
        mirror({A: JOINED}, left=[C]),
        mirror({A: JOINED, C: JOINED}),
        [member(0, A)],
        [member(2, C)],
    ),
    "so does a newcomer's, for it may be half a member": Case(
        mirror({A: JOINED}, left=[C]),
        mirror({A: JOINED, C: T1}, failed={C: D1}),
        [member(0, A)],
        [newcomer(2, C, failed=D1)],
    ),
    "a departed member whose namesake has yet to join": Case(
        mirror({A: JOINED, C: EMPTY}, left=[C]),
        mirror({A: JOINED, C: JOINED}),
        [member(0, A), newcomer(5, C)],
        [member(2, C)],
        readings=[ALL_SEEN, ALL_THERE_ARE],
    ),
    "a departed newcomer whose namesake is a member": Case(
        mirror({A: JOINED, C: JOINED}),
        mirror({A: JOINED, C: JOINED}),
        [member(0, A), member(5, C)],
        [newcomer(2, C)],
    ),
    "a departed unit that was not shown leaves nothing": Case(
        mirror({A: JOINED}), mirror({A: JOINED}), [member(0, A)], [newcomer(2, C)]
    ),
    "a departed unit without a name leaves nothing": Case(
        mirror({A: JOINED}), mirror({A: JOINED}), [member(0, A)], [unit(2, {})]
    ),
    "no token is shown for one that left": Case(
        mirror({A: JOINED}, left=[C]),
        mirror({A: JOINED}, left=[C]),
        [communicator(0, A, {C: T1})],
    ),
    "left ends when the communicator finds it gone": Case(
        mirror({A: JOINED}, left=[B]),
        mirror({A: JOINED}, left=[B, C]),
        [communicator(0, A, gone=C)],
    ),
    "gone is no word of a member that is not the communicator": Case(
        mirror({A: JOINED}, left=[C]), mirror({A: JOINED}, left=[C]), [member(0, A, gone=C)]
    ),
    "gone is no word of a member that is down itself": Case(
        mirror({A: JOINED, B: JOINED}, hold=[A], left=[C]),
        mirror({A: JOINED, B: JOINED}, hold=[A], left=[C]),
        [communicator(0, A, gone=C, hold="x")],
        readings=[ONE_EVENT],
    ),
    "gone is no word of a member that the other communicator finds down": Case(
        mirror({A: JOINED, B: JOINED}, hold=[A], left=[C]),
        mirror({A: JOINED, B: JOINED}, hold=[A], left=[C]),
        [communicator(0, A, gone=C), communicator(1, B, hold=A)],
        readings=[ALL_SEEN, ALL_THERE_ARE],
    ),
    "left ends when the name comes back as a member": Case(
        mirror({A: JOINED}), mirror(left=[A]), [member(0, A)]
    ),
    "left ends when the name comes back in an old library": Case(
        mirror({A: EMPTY}), mirror(left=[A]), [old(0, A)]
    ),
    "left stays when the name comes back as no member": Case(
        mirror({A: EMPTY}, left=[A]), mirror(left=[A]), [newcomer(0, A)]
    ),
    "the failure of a unit whose name is held is shown where there is no token": Case(
        mirror({A: JOINED, C: EMPTY}, failed={C: lib.digest(EMPTY)}, hold=[C]),
        mirror({A: JOINED, C: EMPTY}, hold=[C]),
        [communicator(0, A, hold=C), newcomer(2, C, failed=lib.digest(EMPTY))],
    ),
    "a token is shown for a name that came back while it is left": Case(
        mirror({A: JOINED, C: T1}, left=[C]),
        mirror({A: JOINED}, left=[C]),
        [communicator(0, A, {C: T1}), newcomer(2, C)],
    ),
    "left of the departed stays when the gone is of another": Case(
        mirror({A: JOINED}, left=[C]),
        mirror({A: JOINED, C: JOINED}),
        [communicator(0, A, gone=B)],
        [member(2, C)],
    ),
    # How much was read
    "names that nobody has any more are forgotten when all was read": Case(
        mirror({A: JOINED, "port": "6641"}, left=[B, C, "node-d"]),
        mirror({A: JOINED, B: EMPTY, C: T1, "node-d": JOINED, "port": "6641"}, failed={C: D1}),
        [member(0, A)],
        readings=[ALL_THERE_ARE],
    ),
    "and never when there may be more": Case(
        mirror({A: JOINED, B: EMPTY, C: T1, "node-d": JOINED}, failed={C: D1}),
        mirror({A: JOINED, B: EMPTY, C: T1, "node-d": JOINED}, failed={C: D1}),
        [member(0, A)],
        readings=[ONE_EVENT, ALL_SEEN],
    ),
    "hold is what all members that are up name": Case(
        mirror({A: JOINED, B: JOINED}, hold=["node-x", "node-y", "node-z"]),
        mirror({A: JOINED, B: JOINED}, hold=["node-q"]),
        [
            communicator(0, A, hold="node-x node-y"),
            communicator(1, B, hold="node-y node-z"),
        ],
        readings=[ALL_SEEN, ALL_THERE_ARE],
    ),
    "hold is not heard from who is not up": Case(
        mirror({A: JOINED, B: JOINED, C: EMPTY}),
        mirror({A: JOINED, B: JOINED, C: EMPTY}, hold=["node-q"]),
        [
            member(0, A, hold="node-x"),
            member(1, B, mirror="down", hold="node-x"),
            newcomer(2, C, mirror="up", hold="node-x"),
        ],
        readings=[ALL_SEEN, ALL_THERE_ARE],
    ),
    "one unit's word alone changes no hold": Case(
        mirror({A: JOINED, B: JOINED}, hold=["node-q"]),
        mirror({A: JOINED, B: JOINED}, hold=["node-q"]),
        [communicator(0, A, hold="node-x")],
        readings=[ONE_EVENT],
    ),
    # Taking over
    "a new leader does not show what only its old databag has": Case(
        mirror({A: JOINED}, left=["node-d"]),
        mirror({A: EMPTY, B: JOINED, C: EMPTY, "port": "6641"}, failed={A: D1}, left=["node-d"]),
        [member(0, A)],
        readings=[ONE_EVENT, ALL_SEEN],
        takes_over=True,
    ),
    "a new leader prefers what is offered to its old token": Case(
        mirror({A: JOINED, C: T2}),
        mirror({A: JOINED, C: T1}),
        [communicator(0, A, {C: T2}), newcomer(2, C)],
        takes_over=True,
    ),
    "a new leader has its old token where nobody offers one": Case(
        mirror({A: JOINED, C: T1}),
        mirror({A: JOINED, C: T1}),
        [communicator(0, A), newcomer(2, C)],
        takes_over=True,
    ),
    "a new leader has no old token that failed": Case(
        mirror({A: JOINED, C: EMPTY}, failed={C: D1}),
        mirror({A: JOINED, C: T1}),
        [communicator(0, A), newcomer(2, C, failed=D1)],
        takes_over=True,
    ),
    "a new leader does not believe its old joined": Case(
        mirror({C: EMPTY}), mirror({C: JOINED}), [newcomer(2, C)], takes_over=True
    ),
    "a new leader says of each ghost that it left": Case(
        mirror({A: JOINED}, left=[C]), mirror(), [member(0, A)], [member(2, C)], takes_over=True
    ),
}


@pytest.mark.parametrize(
    ("case", "reading"),
    [
        pytest.param(case, reading, id=f"{name} ({reading.name})")
        for name, case in RULES.items()
        for reading in case.readings
    ],
)
def test_what_the_mirror_shows(case: Case, reading: lib.Reading) -> None:
    """And doing it once more, as the leader that it is then, changes nothing."""
    shown = lib.reflect(
        case.held, case.heard, case.departed, reading=reading, takes_over=case.takes_over
    )

    assert shown == case.shows
    assert lib.reflect(shown, case.heard, case.departed, reading=reading) == shown


@pytest.mark.parametrize(
    ("reading", "left"), [(ONE_EVENT, []), (ALL_SEEN, []), (ALL_THERE_ARE, [B, C])]
)
def test_names_that_an_earlier_leader_has_shown(reading: lib.Reading, left: list[str]) -> None:
    """They left if nobody has them, and all was read; the leader before may not have told."""
    shown = lib.reflect(
        mirror(), [member(0, A)], reading=reading, takes_over=True, remembered=[A, B, C]
    )

    assert shown == mirror({A: JOINED}, left=left)


def test_what_is_not_the_mirrors_own_business_stays() -> None:
    """The grant and the leader are decided elsewhere."""
    held = lib.Mirror(
        values={A: EMPTY},
        leader="distributor/7",
        bootstrap_app="microovn",
        bootstrap_unit="microovn/3",
    )

    shown = lib.reflect(held, [member(0, A)], reading=ALL_THERE_ARE)

    assert shown == dataclasses.replace(held, values={A: JOINED})


def test_what_was_held_is_not_changed_in_place() -> None:
    """Or what has to be written could not be told from what was."""
    values, failed = {A: JOINED, C: T1}, {C: D1}
    held = lib.Mirror(values=values, failed=failed)

    lib.reflect(held, [newcomer(2, C)], [member(0, A)])

    assert values == {A: JOINED, C: T1}
    assert failed == {C: D1}


def test_a_ghost_is_left_once_and_not_again_after_gone() -> None:
    """On a real Juju its databag can be read for long after it left."""
    ghost = member(2, C)
    mirrors = [mirror({A: JOINED, C: JOINED})]
    for speaker in (
        communicator(0, A),
        communicator(0, A),
        communicator(0, A, gone=C),
        communicator(0, A, gone=C),
        communicator(0, A),
    ):
        mirrors.append(lib.reflect(mirrors[-1], [speaker], [ghost], reading=ALL_THERE_ARE))

    assert [sorted(shown.left) for shown in mirrors] == [[], [C], [C], [], [], []]
    assert all(shown.values == {A: JOINED} for shown in mirrors[1:])


@pytest.mark.parametrize("reading", [ALL_SEEN, ALL_THERE_ARE])
def test_a_ghost_takes_no_token_from_the_unit_that_has_its_name_now(reading: lib.Reading) -> None:
    """A machine was replaced; Juju goes on showing the databag of the first one's unit."""
    ghost, successor = member(0, C), newcomer(5, C)
    held = mirror({A: JOINED, C: T1})

    shown = lib.reflect(held, [communicator(1, A), successor], [ghost], reading=reading)

    assert shown.values == {A: JOINED, C: T1}


def test_a_ghosts_name_does_not_come_and_go_while_a_newcomer_has_it() -> None:
    """The communicator removes by force who is in `left`: here, somebody who is just joining."""
    ghost, successor = member(0, C), newcomer(5, C)
    shown = mirror({A: JOINED, C: T1}, left=[C])
    shown = lib.reflect(shown, [communicator(1, A, gone=C)])
    assert shown.left == frozenset()

    shown = lib.reflect(shown, [communicator(1, A), successor], [ghost], reading=ALL_SEEN)

    assert shown.left == frozenset()


def test_a_stale_offer_for_a_ghost_is_not_shown() -> None:
    """A member that has not heard yet of the departure still offers its token."""
    heard, ghost = [communicator(0, A, {C: T1})], newcomer(2, C)

    shown = lib.reflect(mirror({A: JOINED}), heard, [ghost], reading=ALL_SEEN)

    assert shown == mirror({A: JOINED})


def test_a_token_for_nobody_is_not_shown_when_all_was_read() -> None:
    """Doing it once more would put a name into `left` that has never been there."""
    heard = [communicator(0, A, {C: T1})]

    shown = lib.reflect(mirror({A: JOINED}), heard, reading=ALL_THERE_ARE)

    assert lib.reflect(shown, heard, reading=ALL_THERE_ARE) == shown


def test_an_offer_for_whom_its_own_unit_calls_gone_is_not_shown() -> None:
    """The communicator may have read the distributor's unit from memory when it said both."""
    held = mirror({A: JOINED}, left=[C])

    shown = lib.reflect(held, [communicator(0, A, {C: T1}, gone=C)])

    assert shown == mirror({A: JOINED})


# What one unit's word cannot settle


@pytest.mark.parametrize(
    ("held", "said", "expected"),
    [
        pytest.param(mirror(), unit(0, {}), False, id="a unit that has yet to speak"),
        pytest.param(mirror(), newcomer(2, C), False, id="a new name"),
        pytest.param(mirror({C: EMPTY}), newcomer(2, C), False, id="a newcomer that waits"),
        pytest.param(mirror({C: T1}), member(2, C), False, id="a newcomer that joined"),
        pytest.param(mirror({C: JOINED}), member(2, C), False, id="a member"),
        pytest.param(
            mirror({A: JOINED, C: EMPTY}),
            communicator(0, A, {C: T1}),
            False,
            id="an offer",
        ),
        pytest.param(
            mirror({A: JOINED}, hold=[B]), communicator(0, A, hold=B), False, id="hold as before"
        ),
        pytest.param(mirror({A: JOINED}), communicator(0, A, hold=B), True, id="more hold"),
        pytest.param(mirror({A: JOINED}, hold=[B]), communicator(0, A), True, id="less hold"),
        pytest.param(
            mirror({B: JOINED}, hold=[A]),
            member(1, B, mirror="down"),
            True,
            id="hold, and one that no longer speaks",
        ),
        pytest.param(
            mirror({B: JOINED, C: EMPTY}, hold=[A]),
            newcomer(2, C),
            False,
            id="hold, and a newcomer, which never spoke",
        ),
        pytest.param(mirror({C: JOINED}), newcomer(2, C), True, id="shown joined, no member"),
        pytest.param(mirror({C: JOINED}), old(2, C), True, id="shown joined, does not say"),
        pytest.param(mirror({C: T1}), newcomer(2, C, failed=D1), True, id="the token failed"),
        pytest.param(
            mirror({C: T2}), newcomer(2, C, failed=D1), False, id="an earlier token failed"
        ),
        pytest.param(mirror(), newcomer(2, C, failed=D1), False, id="failed, and not shown yet"),
        pytest.param(
            mirror({C: EMPTY}, hold=[C]),
            newcomer(2, C, failed=lib.digest(EMPTY)),
            True,
            id="failed, and there is no token",
        ),
    ],
)
def test_what_cannot_be_settled_by_one_units_word(
    held: lib.Mirror,
    said: lib.ConsumerUnit,
    expected: bool,
) -> None:
    """Each of these could be said by two units at once, or settled by a third one's databag."""
    assert lib.is_conflict(held, said) == expected
