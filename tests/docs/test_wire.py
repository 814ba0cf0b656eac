"""The schemas of the wire agree with the library, the vectors and the page about them."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, cast

import jsonschema_rs
import pytest

from charms.microcluster_token_distributor.v0 import token_distributor
from tests.chaos import bags
from tests.docs import pages
from tests.unit import distributor

PAGE = pages.DOCS / "reference" / "wire.md"
VECTORS = pages.ROOT / "tests" / "unit" / "vectors"
FORMS = {
    "patch 1-8": bags.Form.EARLIER,
    "patch 9": bags.Form.WRITTEN,
    "of the future": bags.Form.READ,
}


def _filled(text: str) -> str:
    """Put tokens and digests in the place of what stands for them."""
    text = re.sub(r"<token ([^<>]+)>", lambda match: distributor.token(match[1]), text)
    return re.sub(r"<digest of ([^<>]+)>", lambda match: token_distributor.digest(match[1]), text)


def _vectors() -> list[Any]:
    found: list[Any] = []
    for file, kinds in {
        "consumer_unit_bags.json": {"bag": bags.Kind.CONSUMER_UNIT},
        "distributor_bags.json": {
            "unit_bag": bags.Kind.DISTRIBUTOR_UNIT,
            "app_bag": bags.Kind.DISTRIBUTOR_APPLICATION,
        },
    }.items():
        vectors = cast("list[dict[str, Any]]", json.loads((VECTORS / file).read_text()))
        for vector in vectors:
            for key, kind in kinds.items():
                bag = {name: _filled(value) for name, value in vector[key].items()}
                name = f"{vector['version']}: {vector['name']} ({kind.value})"
                found.append(pytest.param(kind, vector["version"], bag, id=name))
    return found


def _strict(name: str) -> jsonschema_rs.Draft202012Validator:
    return bags.validator("common", f"#/$defs/{name}")


@pytest.mark.parametrize("name", bags.names())
def test_schema_is_one(name: str) -> None:
    """Of the dialect that it names, under its own name."""
    schema = bags.schema(name)

    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert str(schema["$id"]).endswith(f"/{name}.schema.json")


def test_each_databag_has_a_schema() -> None:
    """And nothing else has, save what they have in common."""
    assert set(bags.names()) == {*(kind.value for kind in bags.Kind), "common"}
    for kind in bags.Kind:
        assert set(bags.schema(kind.value)["$defs"]) == {"written", "earlier"}


@pytest.mark.parametrize(("kind", "version", "bag"), _vectors())
def test_vector_fits_its_schema(kind: bags.Kind, version: str, bag: dict[str, str]) -> None:
    """In the form of its version, and in that which all have to put up with."""
    assert not bags.complaint(kind, FORMS[version], bag)
    assert not bags.complaint(kind, bags.Form.READ, bag)


@pytest.mark.parametrize(
    ("kind", "bag", "complaint"),
    [
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a"}, "member"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "yes"}, "member"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "true", "x": "y"}, "x"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "mirror": "up"}, "mirror"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "true", "hold": "b"}, "mirror"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "failed": "0"}, "failed"),
        (bags.Kind.CONSUMER_APPLICATION, {"bootstrap-candidate": "micro"}, "candidate"),
        (bags.Kind.DISTRIBUTOR_UNIT, {"mirror-node-a": "empty"}, "anyOf"),
        (bags.Kind.DISTRIBUTOR_UNIT, {"mirror": "up", "hold": "a,b"}, "hold"),
        (bags.Kind.DISTRIBUTOR_UNIT, {"mirror": "up", "failed--": "0" * 64}, "failed--"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"bootstrap-app": "micro"}, "leader"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"leader": "d/0", "left": "a  b"}, "left"),
        (bags.Kind.DISTRIBUTOR_PEERS, {"host-node-a": "gone"}, "host-node-a"),
        (bags.Kind.DISTRIBUTOR_PEERS, {"expected": "-1"}, "expected"),
        (bags.Kind.DISTRIBUTOR_PEERS, {"tally": "{"}, "tally"),
        (bags.Kind.DISTRIBUTOR_PEERS, {"tally": '{"hosts": "3"}'}, "hosts"),
    ],
)
def test_what_patch_9_never_writes_is_refused(
    kind: bags.Kind, bag: dict[str, str], complaint: str
) -> None:
    """With what is wrong, so that the schema is known to be looked at."""
    assert complaint in bags.complaint(kind, bags.Form.WRITTEN, bag)


def test_complaints_hold_no_value() -> None:
    """It may be a token."""
    secret = distributor.token("node-a")
    bag = {"hostname": "node-a", "member": secret, "hold": secret, "failed": secret}

    complaint = bags.complaint(bags.Kind.CONSUMER_UNIT, bags.Form.WRITTEN, bag)

    assert complaint
    assert secret not in complaint


@pytest.mark.parametrize(
    "text",
    ["a", "0", "a.b_c-d", "x" * 64, "x" * 65, "", "-a", "a-", "a b", "a\n", "nöde", ".", "a=b"],
)
def test_host_names_are_what_the_library_takes_for_such(text: str) -> None:
    """Otherwise one of the two is wrong."""
    assert _strict("host-name").is_valid(text) == token_distributor.is_hostname(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mirror-node-a", "x"),
        ("mirror-port", "6641"),
        ("mirror-mirror-x", "x"),
        (f"mirror-{'k' * 256}", "x"),
        (f"mirror-{'k' * 257}", "x"),
        ("mirror-", "x"),
        ("mirror-a=b", "x"),
        ("mirror-a b", "x"),
        ("mirrored", "x"),
        ("mirror-node-a", ""),
        ("mirror-node-a", "x" * 65536),
        ("mirror-node-a", "x" * 65537),
    ],
)
def test_mirrored_values_are_what_the_library_mirrors(key: str, value: str) -> None:
    """It leaves the others out."""
    offers = token_distributor.ConsumerUnit.from_bag("micro/0", {key: value}).offers

    fits = _strict("mirrored-key").is_valid(key) and _strict("value").is_valid(value)

    assert fits == bool(offers)


def test_a_tally_fits_its_schema() -> None:
    """Whole and empty; and the page names all that is in it."""
    whole = token_distributor.Tally(9, 3, 2, 1, True, ("node-a",), ("node-b", "node-c"))
    for tally in (whole, token_distributor.Tally()):
        bag = {"tally": tally.to_text()}
        assert not bags.complaint(bags.Kind.DISTRIBUTOR_PEERS, bags.Form.WRITTEN, bag)
    rows = [row for table in pages.page(PAGE).tables() for row in table.rows]
    (row,) = [row for row in rows if row[0] == "tally"]
    for field in dataclasses.fields(whole):
        assert re.search(rf"\b{field.name}\b", row[3])


def test_page_names_each_key_of_each_databag() -> None:
    """In the table of that databag, and no other keys."""
    tables = {
        table.header[0]: {row[0] for row in table.rows} for table in pages.page(PAGE).tables()
    }
    for kind in bags.Kind:
        written = cast("dict[str, Any]", bags.schema(kind.value)["$defs"]["written"])
        keys = {key for key, value in written["properties"].items() if "juju" not in str(value)}
        keys |= {_written_out(pattern) for pattern in written.get("patternProperties", ())}
        assert tables[f"key ({kind.value})"] == keys


def _written_out(pattern: str) -> str:
    """Return how the page writes keys of a pattern."""
    prefix, _, rest = pattern.lstrip("^").partition("-")
    what = {"[!": "KEY", "[a": "APPLICATION"}.get(rest[:2], "HOST")
    return f"{prefix}-{what}"


def test_page_names_the_versions_of_the_vectors() -> None:
    """And the folder that they are in."""
    text = pages.page(PAGE).text

    assert "tests/unit/vectors" in text
    for version in FORMS:
        assert f"`{version}`" in text
