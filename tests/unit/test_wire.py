"""The wire: what old and new libraries say is read as it is meant, and written to the letter.

A vector is a databag as it is on the wire, in `vectors/`. No join token is kept there: a word in
angle brackets stands for one that is made up as the tests run.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from typing import Any, cast

import pytest

from charms.microcluster_token_distributor.v0 import token_distributor
from tests.unit import distributor

VECTORS = pathlib.Path(__file__).parent / "vectors"
_TOKEN = re.compile(r"<token ([^<>]+)>")
_DIGEST = re.compile(r"<digest of ([^<>]+)>")

JUNK = {
    "egress-subnets": "10.0.0.1/32",
    "ingress-address": "10.0.0.1",
    "private-address": "10.0.0.1",
    "schema": "99",
    "mirrored": "yes",
    "Mirror": "up",
    "mirror_node": "x",
    "failure": "x",
    "unheard-of": "\x7f\n=",
}


def _filled(thing: Any) -> Any:
    """Put tokens and digests in the place of what stands for them."""
    if isinstance(thing, str):
        thing = _TOKEN.sub(lambda match: distributor.token(match[1]), thing)
        return _DIGEST.sub(lambda match: token_distributor.digest(match[1]), thing)
    if isinstance(thing, list):
        return [_filled(item) for item in cast("list[Any]", thing)]
    if isinstance(thing, dict):
        return {key: _filled(value) for key, value in cast("dict[str, Any]", thing).items()}
    return thing


def _vectors(file: str, *, having: str = "bag") -> list[Any]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / file).read_text())
    return [
        pytest.param(_filled(vector), id=f"{vector['version']}: {vector['name']}")
        for vector in vectors
        if vector.get(having) not in (None, False)
    ]


def _frozen(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has no sets: read its lists as such."""
    return {
        key: frozenset(cast("list[str]", value)) if isinstance(value, list) else value
        for key, value in fields.items()
    }


def _mirror(fields: dict[str, Any]) -> token_distributor.Mirror:
    return token_distributor.Mirror(**_frozen(fields))


def _situation(fields: dict[str, Any]) -> token_distributor.Situation:
    members = tuple(token_distributor.Member(*row) for row in fields.get("members", ()))
    return token_distributor.Situation(
        unit=fields["unit"],
        app=fields["unit"].split("/")[0],
        leads=False,
        hostname=fields["hostname"],
        workload=token_distributor.Workload(
            token_distributor.Membership(
                {
                    "a member": "a member",
                    "not a member": "certainly not a member",
                    "cannot tell": "cannot tell",
                }[fields["membership"]]
            ),
            members,
        ),
        shown=_mirror(fields["shown"]) if "shown" in fields else None,
        bag=fields.get("bag", {}),
        kept=fields.get("kept", {}),
        spoilt=frozenset(fields.get("spoilt", ())),
    )


CONSUMERS = _vectors("consumer_unit_bags.json")
EMITTED_BY_CONSUMERS = _vectors("consumer_unit_bags.json", having="situation")
DISTRIBUTORS = _vectors("distributor_bags.json", having="unit_bag")
EMITTED_BY_DISTRIBUTORS = _vectors("distributor_bags.json", having="same")


def test_there_are_vectors_of_old_new_and_future_libraries_on_both_sides() -> None:
    """All vectors are loaded, and none is left out by a slip of its keys."""
    for params in (CONSUMERS, DISTRIBUTORS):
        versions = {cast("str", param.id).split(":")[0] for param in params}
        assert versions == {"patch 1-8", "patch 9", "of the future"}
    # One vector of a patch 9 consumer is silence, which no situation leads to.
    assert len(EMITTED_BY_CONSUMERS) == 9
    assert len(EMITTED_BY_DISTRIBUTORS) == 6


def test_no_vector_keeps_a_token() -> None:
    """Nor anything that looks like one."""
    text = "".join(file.read_text() for file in sorted(VECTORS.iterdir()))

    assert not re.search(r"[A-Za-z0-9+/=]{40,}", text)


@pytest.mark.parametrize("vector", CONSUMERS)
def test_a_consumers_bag_is_read_as_plain_values(vector: dict[str, Any]) -> None:
    """What the vector does not name is as if nothing had been said."""
    nothing: dict[str, Any] = {
        "hostname": "",
        "spoke": False,
        "member": "",
        "mirror": "",
        "offers": {},
        "failed": frozenset(),
        "hold": frozenset(),
        "gone": frozenset(),
        "up": False,
        "is_member": False,
    }

    said = token_distributor.ConsumerUnit.from_bag("microovn/0", vector["bag"])

    assert said.name == "microovn/0"
    read = {name: getattr(said, name) for name in nothing}
    assert read == {**nothing, **_frozen(vector["read"])}


@pytest.mark.parametrize("vector", CONSUMERS)
def test_unknown_keys_change_nothing_of_what_a_consumer_says(vector: dict[str, Any]) -> None:
    """Keys of Juju, of other libraries and of later patches."""
    read = token_distributor.ConsumerUnit.from_bag

    assert read("microovn/0", {**JUNK, **vector["bag"]}) == read("microovn/0", vector["bag"])


@pytest.mark.parametrize("vector", CONSUMERS)
def test_each_key_of_a_consumer_can_be_missing(vector: dict[str, Any]) -> None:
    """Only what that key says is missing then."""
    whole = token_distributor.ConsumerUnit.from_bag("microovn/0", vector["bag"])
    fields = {field.name for field in dataclasses.fields(whole)} - {"hostname", "spoke"}
    for missing in vector["bag"]:
        bag = {key: value for key, value in vector["bag"].items() if key != missing}

        said = token_distributor.ConsumerUnit.from_bag("microovn/0", bag)

        changed = {name for name in fields if getattr(said, name) != getattr(whole, name)}
        assert changed <= {"offers" if missing.startswith("mirror-") else missing}
        assert said.spoke == ("hostname" in bag)


@pytest.mark.parametrize("vector", EMITTED_BY_CONSUMERS)
def test_a_consumer_writes_its_bag_to_the_letter(vector: dict[str, Any]) -> None:
    """No key more, no key less."""
    situation = _situation(vector["situation"])

    assert token_distributor.consumer_bag(situation) == vector["bag"]


@pytest.mark.parametrize("vector", DISTRIBUTORS)
def test_a_distributors_bags_are_read_as_plain_values(vector: dict[str, Any]) -> None:
    """By a consumer, and by the distributor itself."""
    mirror = token_distributor.Mirror.from_bags([vector["unit_bag"]], [vector["app_bag"]])

    assert mirror == _mirror(vector["mirror"])
    assert mirror.shows_cluster == vector.get("cluster", False)
    waiting = [name for name in sorted(mirror.values) if mirror.wants_token(name)]
    assert waiting == vector.get("waiting", [])


@pytest.mark.parametrize("vector", DISTRIBUTORS)
def test_unknown_keys_change_nothing_of_what_a_distributor_shows(vector: dict[str, Any]) -> None:
    """In neither of its bags."""
    read = token_distributor.Mirror.from_bags

    junky = read([{**JUNK, **vector["unit_bag"]}], [{**JUNK, **vector["app_bag"]}])

    assert junky == read([vector["unit_bag"]], [vector["app_bag"]])


@pytest.mark.parametrize("vector", DISTRIBUTORS)
def test_each_key_of_a_distributor_can_be_missing(vector: dict[str, Any]) -> None:
    """Only what that key says is missing then."""
    whole = token_distributor.Mirror.from_bags([vector["unit_bag"]], [vector["app_bag"]])
    for missing in vector["unit_bag"]:
        bag = {key: value for key, value in vector["unit_bag"].items() if key != missing}

        mirror = token_distributor.Mirror.from_bags([bag], [vector["app_bag"]])

        lost = {f"mirror-{key}" for key in whole.values if key not in mirror.values}
        assert lost == ({missing} if missing.startswith("mirror-") else set()) - {"mirror-"}
        assert dataclasses.replace(mirror, values={}, failed={}, hold=frozenset()) == (
            dataclasses.replace(whole, values={}, failed={}, hold=frozenset())
        )
    without_app_bag = token_distributor.Mirror.from_bags([vector["unit_bag"]], [{}])
    assert without_app_bag.values == whole.values
    assert without_app_bag.left == frozenset()


@pytest.mark.parametrize("vector", EMITTED_BY_DISTRIBUTORS)
def test_a_distributor_writes_its_bags_to_the_letter(vector: dict[str, Any]) -> None:
    """No key more, no key less."""
    mirror = _mirror(vector["mirror"])

    assert mirror.unit_bag() == vector["unit_bag"]
    assert mirror.app_bag() == vector["app_bag"]


@pytest.mark.parametrize("vector", EMITTED_BY_DISTRIBUTORS)
def test_the_order_on_the_wire_does_not_depend_on_the_order_of_reading(
    vector: dict[str, Any],
) -> None:
    """Keys come in the order of the vector."""
    backwards = [dict(reversed(list(vector[bag].items()))) for bag in ("unit_bag", "app_bag")]

    mirror = token_distributor.Mirror.from_bags([backwards[0]], [backwards[1]])

    assert list(mirror.unit_bag().items()) == list(vector["unit_bag"].items())
    assert list(mirror.app_bag().items()) == list(vector["app_bag"].items())


def test_sets_are_written_sorted() -> None:
    """Or equal sets would be written anew."""
    names = frozenset(f"node-{letter}" for letter in "qwertyuiopasdfghjklzxcvbnm")

    mirror = token_distributor.Mirror(hold=names, left=names)

    in_order = " ".join(f"node-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    assert mirror.unit_bag()["hold"] == in_order
    assert mirror.app_bag()["left"] == in_order


def test_where_bags_differ_a_value_wins_over_empty() -> None:
    """And the sets are put together."""
    one, two, three = sorted(token_distributor.digest(word) for word in ("one", "two", "three"))

    mirror = token_distributor.Mirror.from_bags(
        [
            {
                "mirror-node-a": "empty",
                "mirror-node-b": "joined",
                "failed-node-a": f"{two} {one}",
            },
            {
                "mirror-node-a": "joined",
                "mirror-node-b": "empty",
                "failed-node-a": f"{three} {one}",
            },
        ],
        [{"left": "node-x", "leader": ""}, {"left": "node-y", "leader": "distributor/0"}],
    )

    assert mirror.values == {"node-a": "joined", "node-b": "joined"}
    assert mirror.failed == {"node-a": f"{one} {two} {three}"}
    assert mirror.left == {"node-x", "node-y"}
    assert mirror.leader == "distributor/0"
