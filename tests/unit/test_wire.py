"""The wire: databags of each age are read as they are meant, and written to the letter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microcluster_token_distributor import _wire
from tests.unit import vectors

TOKEN = vectors.token("node-a")


def vectors_of(file: str) -> Any:
    """Parametrise a test by the vectors of a file."""
    params = [pytest.param(v, id=f"{v['version']}: {v['name']}") for v in vectors.load(file)]
    return pytest.mark.parametrize("vector", params)


def fields(content: dict[str, Any]) -> dict[str, Any]:
    """Take lists for sets, which JSON lacks."""
    names = {key: content[key] for key in ("hold", "offline", "gone", "left") if key in content}
    return {**content, **{key: frozenset(value) for key, value in names.items()}}


@vectors_of("consumer_unit_bags.json")
def test_report_vector(vector: dict[str, Any]) -> None:
    """It is read, judged, and written again where this project writes it so."""
    report = _wire.Report.from_bag("microovn/0", vector["bag"])

    assert report == _wire.Report("microovn/0", **fields(vector["report"]))
    assert report.is_old == vector.get("is_old", False)
    assert report.is_member == vector.get("is_member", False)
    assert report.offers == vector.get("offers", {})
    if vector["version"] == "current":
        assert write({}, report.to_bag()) == vector["bag"]


@vectors_of("distributor_bags.json")
def test_published_vector(vector: dict[str, Any]) -> None:
    """It is read, and written again where this project writes it so."""
    app_bag, unit_bag = vector["app_bag"], vector["unit_bag"]
    if vector["version"] == "earlier":
        published = _wire.Published.from_old_bags(app_bag, [unit_bag])
    else:
        published = _wire.Published.from_bags(app_bag, unit_bag)

    assert published == _wire.Published(**fields(vector["published"]))
    for hostname, token in vector.get("tokens", {}).items():
        assert published.token_for(hostname) == token
    if vector["version"] == "current":
        assert write({}, published.to_app_bag()) == app_bag
        assert write({}, published.to_unit_bag()) == unit_bag


def test_a_token_wins_over_empty_where_old_units_disagree() -> None:
    """Whichever of them is read first."""
    bags = [{"mirror-node-a": "empty"}, {"mirror-node-a": TOKEN}]

    for order in (bags, bags[::-1]):
        assert _wire.Published.from_old_bags({}, order).token_for("node-a") == TOKEN


NO_NAMES = ["node_a", "1234", "a.1", "-a", "node-a,node-b", "\x00", "ä", "x" * 65]
NO_NUMBERS = ["", "-1", "x", "1" * 10, "٣"]
PUBLISHED = {"leader": "0", "bootstrap-host": "node-a", "waiting": "node-a", "left": "node-x"}
BAG = {"hostname": "node-a", "member": "true", "mirror": "up", "mirror-a": "x", **PUBLISHED}
UNUSABLE = {
    "hostname": NO_NAMES,
    "member": ["True", "yes", "1", " true", "unknown\n"],
    "mirror": ["UP", "yes", "up down"],
    "cluster": [*NO_NAMES, "node-a node-b"],
    "failed": ["0" * 63, "0" * 65, "A" * 64, "x", TOKEN],
    **dict.fromkeys(["hold", "offline", "gone", "left"], NO_NAMES),
    "mirror-node-a": ["x" * 65537],
    "mirror-a=b": [TOKEN],
    f"mirror-{'k' * 257}": [TOKEN],
    "generation": NO_NUMBERS,
    "leader": [*NO_NUMBERS, "distributor/0"],
    "bootstrap-host": [*NO_NAMES, "node-a node-b"],
    "waiting": [*NO_NAMES, "=", f"={'0' * 64}", f"a_b={'0' * 64}"],
    "formed": ["True", "1", "false", "true "],
}


def read(bag: dict[str, str]) -> list[object]:
    return [_wire.Report.from_bag("a/0", bag), _wire.Published.from_bags(bag, bag)]


@pytest.mark.parametrize(("key", "values"), UNUSABLE.items())
def test_an_unusable_value_is_left_out(key: str, values: list[str]) -> None:
    """All that is beside it counts."""
    without = read({k: v for k, v in BAG.items() if k != key})

    assert [read({**BAG, key: value}) for value in values] == [without] * len(values)


def write(bag: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """Write as Juju does, which has no empty values."""
    _wire.write(bag, wanted)
    for key in [key for key, value in bag.items() if not value]:
        del bag[key]
    return bag


bags = st.dictionaries(st.sampled_from(["member", "left", "mirror-a"]), st.sampled_from("xy"))


@given(st.lists(bags, min_size=1), st.sampled_from(["", "0", "7", "-1", "x", "9" * 10]))
def test_a_bag_is_never_again_what_it_was(wanted: list[dict[str, str]], start: str) -> None:
    """A reader that read it in between is thus sure to be notified."""
    bag = {"generation": start} if start else {}
    seen = [dict(bag)]

    for each in wanted:
        write(bag, each)
        assert {key: value for key, value in bag.items() if key != "generation"} == each
        assert bag == seen[-1] or bag not in seen
        seen.append(dict(bag))
        assert write(bag, each) == seen[-1]


def test_only_what_is_taken_back_is_counted() -> None:
    """Additions alone cannot bring back an earlier content."""
    assert write({"hold": "x"}, {"hold": "x", "left": "y"}) == {"hold": "x", "left": "y"}
    assert write({"hold": "x"}, {"hold": "y"}) == {"hold": "y", "generation": "1"}
    assert write({"hold": "x", "generation": "8"}, {}) == {"generation": "9"}


def test_only_our_own_keys_are_written() -> None:
    """Juju has some in a unit's databag, and a charm may have others."""
    others = {"ingress-address": "10.0.0.1", "mtu": "1500"}

    assert write({**others, "hold": "x"}, {"hold": "x", "mtu": "9000"}) == {**others, "hold": "x"}


GOOD_NAMES = ["node-a", "Node-A", "a.b", "7up", "1.a", "x" * 63, f"{'x' * 32}.{'y' * 31}"]
BAD_NAMES = ["", ".", "a.", "a..b", "a-", "x" * 64, "a b", "a\n", "a=b", "a/b", "--force"]


@pytest.mark.parametrize("text", [*GOOD_NAMES, *BAD_NAMES, *NO_NAMES])
def test_host_names_are_those_that_microcluster_accepts(text: str) -> None:
    """As measured, see `docs/reference/measured.md`; and no option of a command."""
    assert _wire.is_hostname(text) == (text in GOOD_NAMES)


@pytest.mark.parametrize(
    ("text", "is_usable", "is_token"),
    [
        (TOKEN, True, True),
        ("eyJzZWNyZXQiOiAieCJ9", True, True),
        ("eyJzZWNyZXRzIjogIngifQ==", True, False),
        ("W1tb" * 10000, True, False),
        *((text, False, False) for text in ("empty", "joined", "-token", "tökén", "")),
        (f"{TOKEN}\n", False, False),
        ("x" * 65537, False, False),
    ],
)
def test_tokens_are_told_from_other_values(text: str, is_usable: bool, is_token: bool) -> None:
    """A token may be anything that can be an argument; most look like microcluster's."""
    assert _wire.is_usable_token(text) == is_usable
    assert _wire.looks_like_token(text) == is_token


def test_digest_is_the_sha_256() -> None:
    """Of any text."""
    assert _wire.digest("abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")
    assert len(_wire.digest("\udcff")) == 64
