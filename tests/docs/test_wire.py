"""The schemas of the wire agree with the library, the vectors and the page about them."""

from __future__ import annotations

import re
from typing import Any, cast

import jsonschema_rs
import pytest

from microcluster_token_distributor import _wire
from tests.docs import pages
from tests.simulation import bags
from tests.unit import vectors

PAGE = pages.DOCS / "reference" / "wire.md"
FORMS = {
    "earlier": bags.Form.EARLIER,
    "current": bags.Form.WRITTEN,
    "future": bags.Form.READ,
}


VECTORS = [
    pytest.param(kind, vector["version"], vector[key], id=f"{kind.value}: {vector['name']}")
    for file, key, kind in (
        ("consumer_unit_bags.json", "bag", bags.Kind.CONSUMER_UNIT),
        ("distributor_bags.json", "unit_bag", bags.Kind.DISTRIBUTOR_UNIT),
        ("distributor_bags.json", "app_bag", bags.Kind.DISTRIBUTOR_APPLICATION),
    )
    for vector in vectors.load(file)
]


def test_each_databag_has_a_schema() -> None:
    assert set(bags.names()) == {*(kind.value for kind in bags.Kind), "common"}
    for name in bags.names():
        schema = bags.schema(name)
        jsonschema_rs.meta.validate(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert str(schema["$id"]).endswith(f"/{name}.schema.json")
        assert name == "common" or set(schema["$defs"]) == {"written", "earlier"}


@pytest.mark.parametrize(("kind", "version", "bag"), VECTORS)
def test_vector_fits_its_schema(kind: bags.Kind, version: str, bag: dict[str, str]) -> None:
    """In the form of its version, and in that which every reader accepts."""
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
def test_schema_and_library_agree_on_host_names(text: str) -> None:
    expected = _wire.is_hostname(text)

    assert _is_valid("host-name", text) == expected
    if " " not in text and text:
        assert _is_valid("host-names", f"node-a {text} node-b") == expected
        assert _is_valid("waiting", f"node-a {text}={'0' * 64} b") == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, "x") for key in ("mirror-node-a", "mirror-mirror-x", "mirror-", "mirror-a=b")),
        *((key, "x") for key in ("mirror-a b", "mirrored", f"mirror-{'k' * 256}")),
        (f"mirror-{'k' * 257}", "x"),
        *(("mirror-node-a", value) for value in ("", "x" * 65536, "x" * 65537)),
    ],
)
def test_schema_and_library_agree_on_mirrored_values(key: str, value: str) -> None:
    """The library ignores the others."""
    fits = _is_valid("mirrored-key", key) and _is_valid("value", value)

    assert fits == bool(_wire.Report.from_bag("micro/0", {key: value}).values)


def _is_valid(name: str, text: str) -> bool:
    return bags.validator("common", f"#/$defs/{name}").is_valid(text)


def test_page_names_each_key_of_each_databag() -> None:
    """In the table of that databag, with the version that introduced it, and no other keys."""
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
    text = pages.page(PAGE).text

    assert "tests/unit/vectors" in text
    for version in FORMS:
        assert f"`{version}`" in text
