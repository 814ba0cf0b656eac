"""The schemas of the wire agree with the library, the vectors and the page about them."""

from __future__ import annotations

import re
from typing import Any, cast

import jsonschema_rs
import pytest

from microcluster_token_distributor import _wire
from tests.simulation import bags
from tests.docs import pages
from tests.unit import vectors

PAGE = pages.DOCS / "reference" / "wire.md"
FORMS = {
    "earlier": bags.Form.EARLIER,
    "current": bags.Form.WRITTEN,
    "future": bags.Form.READ,
}


def _vectors() -> list[Any]:
    files = {
        "consumer_unit_bags.json": {"bag": bags.Kind.CONSUMER_UNIT},
        "distributor_bags.json": {
            "unit_bag": bags.Kind.DISTRIBUTOR_UNIT,
            "app_bag": bags.Kind.DISTRIBUTOR_APPLICATION,
        },
    }
    return [
        pytest.param(kind, vector["version"], vector[key], id=f"{kind.value}: {vector['name']}")
        for file, kinds in files.items()
        for vector in vectors.load(file)
        for key, kind in kinds.items()
    ]


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
    """In the form of its version, and in that which all have to accept."""
    assert not bags.complaint(kind, FORMS[version], bag)
    assert not bags.complaint(kind, bags.Form.READ, bag)


@pytest.mark.parametrize(
    ("kind", "bag", "complaint"),
    [
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a"}, "member"),
        (bags.Kind.CONSUMER_UNIT, {"member": "false"}, "hostname"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "yes"}, "member"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "true"}, "cluster"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "x": "y"}, "x"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "mirror": "up"}, "mirror"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "hold": "b"}, "hold"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "failed": "0"}, "failed"),
        (bags.Kind.CONSUMER_UNIT, {"hostname": "a", "member": "unknown", "gone": "b"}, "gone"),
        (bags.Kind.DISTRIBUTOR_UNIT, {"mirror-node-a": "empty"}, "anyOf"),
        (bags.Kind.DISTRIBUTOR_UNIT, {"mirror": "down", "mirror-node-a": "x"}, "mirror-node-a"),
        (bags.Kind.DISTRIBUTOR_UNIT, {"mirror": "up", "generation": "0"}, "generation"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"bootstrap-app": "micro"}, "leader"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"leader": "d/0"}, "leader"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"leader": "0", "bootstrap-host": "a"}, "-app"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"leader": "0", "waiting": "a=x"}, "waiting"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"leader": "0", "left": "a  b"}, "left"),
        (bags.Kind.DISTRIBUTOR_APPLICATION, {"leader": "0", "hold": "a,b"}, "hold"),
        (bags.Kind.DISTRIBUTOR_PEERS, {"unit-micro": "node-a"}, "unit-micro"),
        (bags.Kind.DISTRIBUTOR_PEERS, {"unit-micro/0": "!"}, "anyOf"),
    ],
)
def test_what_is_never_written_is_refused(
    kind: bags.Kind, bag: dict[str, str], complaint: str
) -> None:
    """With what is wrong."""
    assert complaint in bags.complaint(kind, bags.Form.WRITTEN, bag)


def test_complaints_hold_no_value() -> None:
    """It may be a token."""
    secret = vectors.token("node-a")
    bag = {"hostname": "node-a", "member": secret, "hold": secret, "failed": secret}

    complaint = bags.complaint(bags.Kind.CONSUMER_UNIT, bags.Form.WRITTEN, bag)

    assert complaint
    assert secret not in complaint


NAMES = [
    *("a", "0", "7up", "1.a", "a.1", "a.b-c.d", "a_b", "A", "", "-a", "a-", "a b", "a\n", "nöde"),
    *(".", "a.", "a=b", "x" * 63, "x" * 64, f"{'x' * 32}.{'x' * 31}", f"{'x' * 33}.{'x' * 31}"),
]


@pytest.mark.parametrize("text", NAMES)
def test_host_names_are_what_the_library_takes_for_such(text: str) -> None:
    """Alone, and among others."""
    common = {
        name: bags.validator("common", f"#/$defs/{name}")
        for name in ("host-name", "host-names", "waiting")
    }
    expected = _wire.is_hostname(text)

    assert common["host-name"].is_valid(text) == expected
    if " " not in text and text:
        assert common["host-names"].is_valid(f"node-a {text} node-b") == expected
        assert common["waiting"].is_valid(f"node-a {text}={'0' * 64} b") == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mirror-node-a", "x"),
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
    fits = [
        bags.validator("common", f"#/$defs/{name}").is_valid(text)
        for name, text in (("mirrored-key", key), ("value", value))
    ]

    assert all(fits) == bool(_wire.Report.from_bag("micro/0", {key: value}).values)


def test_page_names_each_key_of_each_databag() -> None:
    """In the table of that databag, with the version that has it first, and no other keys."""
    tables = {
        table.header[0]: {row[0]: row[1] for row in table.rows}
        for table in pages.page(PAGE).tables()
    }
    for kind in bags.Kind:
        forms = {
            version: _keys(bags.schema(kind.value)["$defs"][form])
            for version, form in (("current", "written"), ("earlier", "earlier"))
        }
        assert tables[f"key ({kind.value})"] == {
            key: "earlier" if key in forms["earlier"] else "current" for key in forms["current"]
        }


def _keys(form: dict[str, Any]) -> set[str]:
    """Return the keys of a form, but for Juju's own, as the page writes them."""
    properties = cast("dict[str, Any]", form.get("properties", {}))
    keys = {key for key, value in properties.items() if "juju" not in str(value)}
    written_out = {"mirror": "mirror-KEY", "unit": "unit-UNIT"}
    patterns = cast("dict[str, Any]", form.get("patternProperties", {}))
    return keys | {written_out[re.findall(r"\w+", pattern)[0]] for pattern in patterns}


def test_page_names_the_versions_of_the_vectors() -> None:
    """And the folder that they are in."""
    text = pages.page(PAGE).text

    assert "tests/unit/vectors" in text
    for version in FORMS:
        assert f"`{version}`" in text
