"""When the distributor shows what it has heard, and what it remembers until then."""

from __future__ import annotations

import dataclasses

import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
TOKEN = distributor.token("node-a")
CLUSTER = {f"old-{number}": JOINED for number in range(20)}


def with_newcomers(number: int) -> lib.Mirror:
    """Make the mirror of a cluster of 20 that shows so many newcomers as well."""
    return lib.Mirror({**CLUSTER, **{f"new-{each}": EMPTY for each in range(number)}})


@pytest.mark.parametrize(
    ("newcomers", "expected", "due"),
    [
        pytest.param(1, 21, True, id="one alone"),
        pytest.param(1, 25, True, id="the first of a handful"),
        pytest.param(1, 26, False, id="the first of more"),
        pytest.param(9, 60, False, id="less than half as many as are shown"),
        pytest.param(10, 60, True, id="half as many as are shown"),
        pytest.param(8, 28, True, id="all that are expected"),
        pytest.param(8, 20, True, id="more than were expected"),
        pytest.param(8, None, True, id="no telling"),
    ],
)
def test_newcomers_are_shown_together(newcomers: int, expected: int | None, due: bool) -> None:
    """But nobody waits for long, and few do not wait at all."""
    assert lib.is_due(lib.Mirror(CLUSTER), with_newcomers(newcomers), expected) is due


@pytest.mark.parametrize("expected", [3, 4, None])
def test_nothing_is_shown_before_one_may_bootstrap(expected: int | None) -> None:
    """Nobody could do anything for a newcomer."""
    heard = lib.Mirror({"node-a": EMPTY, "node-b": EMPTY, "node-c": EMPTY})

    assert not lib.is_due(lib.Mirror({}), heard, expected)
    assert lib.is_due(
        lib.Mirror({}), dataclasses.replace(heard, bootstrap_unit="microovn/0"), expected
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(lib.Mirror({"node-a": EMPTY}), lib.Mirror({"node-a": TOKEN}), id="a token"),
        pytest.param(lib.Mirror({"node-a": TOKEN}), lib.Mirror({}), id="one that left"),
        pytest.param(lib.Mirror({}), lib.Mirror({"key": "value"}), id="a charm's own value"),
        pytest.param(lib.Mirror({}), lib.Mirror({}, hold=frozenset({"node-a"})), id="a hold"),
        pytest.param(lib.Mirror({}), lib.Mirror({}, left=frozenset({"node-a"})), id="who left"),
        pytest.param(lib.Mirror({}), lib.Mirror({}, failed={"node-a": "digest"}), id="a failure"),
        pytest.param(
            lib.Mirror({}),
            lib.Mirror(bootstrap_app="microovn"),
            id="an application",
        ),
    ],
)
def test_what_somebody_waits_for_is_shown_at_once(before: lib.Mirror, after: lib.Mirror) -> None:
    """Whoever else is expected."""
    others = {"node-y": JOINED, "node-z": EMPTY}
    before = dataclasses.replace(before, values={**others, **before.values})
    after = dataclasses.replace(after, values={**others, **after.values})

    assert lib.is_due(before, after, 100)


def test_used_tokens_go_when_the_last_newcomer_has_joined() -> None:
    """And not one by one."""
    shown = lib.Mirror({"node-a": JOINED, "node-b": TOKEN, "node-c": TOKEN})
    one = lib.Mirror({"node-a": JOINED, "node-b": JOINED, "node-c": TOKEN})
    both = lib.Mirror({"node-a": JOINED, "node-b": JOINED, "node-c": JOINED})

    assert not lib.is_due(shown, one, 3)
    assert lib.is_due(shown, both, 3)


def test_nothing_new_is_no_reason_to_show_anything_else() -> None:
    """What is remembered and shown alike makes no difference."""
    shown = lib.Mirror({"node-a": JOINED, "node-b": TOKEN})

    assert not lib.is_pressing(shown, shown)
    assert not lib.is_due(shown, shown, 2)


def test_what_is_remembered_and_what_is_shown_give_what_was_heard() -> None:
    """However long it is not shown."""
    shown = lib.Mirror({"node-a": JOINED, "node-b": TOKEN, "node-c": EMPTY}, left=frozenset("x"))
    heard = lib.Mirror(
        {"node-a": JOINED, "node-b": JOINED, "node-c": EMPTY, "node-d": EMPTY, "node-e": JOINED},
        left=frozenset("x"),
    )

    remembered = lib.to_remember(shown, heard)

    assert remembered == {
        "node-a": JOINED,
        "node-b": JOINED,
        "node-c": lib.EMPTY_STRING,
        "node-d": lib.WAITING,
        "node-e": JOINED,
        "x": lib.KNOWN,
    }
    assert lib.recall(shown, remembered) == heard
    assert lib.recall(heard, lib.to_remember(heard, heard)) == heard


def test_what_another_leader_showed_is_known_and_no_more() -> None:
    """Whether a token that it remembers is shown now, nobody can tell."""
    states = {
        "node-a": JOINED,
        "node-b": lib.EMPTY_STRING,
        "node-c": lib.OFFERED,
        "node-d": lib.WAITING,
        "node-e": lib.KNOWN,
    }

    assert lib.unsettle(states) == {"node-b": lib.KNOWN, "node-c": lib.KNOWN}
