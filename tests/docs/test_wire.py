"""The schemas of the wire agree with the library, the vectors and the page about them."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from microcluster_token_distributor import _wire
from tests.docs import pages
from tests.simulation import bags
from tests.simulation.bags import Form, Kind
from tests.unit import vectors

FORMS = {"earlier": Form.EARLIER, "current": Form.WRITTEN, "future": Form.READ}
VECTORS = [
    pytest.param(kind, FORMS[vector["version"]], vector[key], id=f"{kind.value}: {vector['name']}")
    for file, key, kind in (
        ("consumer_unit_bags.json", "bag", Kind.CONSUMER_UNIT),
        ("distributor_bags.json", "unit_bag", Kind.DISTRIBUTOR_UNIT),
        ("distributor_bags.json", "app_bag", Kind.DISTRIBUTOR_APPLICATION),
    )
    for vector in vectors.load(file)
]


def is_valid(definition: str, text: str) -> bool:
    return bags.validator("common", f"#/$defs/{definition}").is_valid(text)


@pytest.mark.parametrize(("kind", "form", "bag"), VECTORS)
def test_vector_fits_its_schema(kind: Kind, form: Form, bag: dict[str, str]) -> None:
    """In the form of its version, and in that which every reader accepts."""
    assert not bags.complaint(kind, form, bag)
    assert not bags.complaint(kind, Form.READ, bag)


@pytest.mark.parametrize(
    ("kind", "bag", "complaint"),
    [
        (Kind.CONSUMER_UNIT, {"hostname": "a"}, "member"),
        (Kind.CONSUMER_UNIT, {"hostname": "a", "member": "yes"}, "member"),
        (Kind.CONSUMER_UNIT, {"hostname": "a", "member": "true"}, "cluster"),
        (Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "x": "y"}, "x"),
        (Kind.CONSUMER_UNIT, {"hostname": "a", "member": "false", "failed": "0"}, "failed"),
        (Kind.CONSUMER_UNIT, {"hostname": "a", "member": "unknown", "gone": "b"}, "gone"),
        (Kind.DISTRIBUTOR_UNIT, {"mirror": "down", "mirror-node-a": "x"}, "mirror-node-a"),
        (Kind.DISTRIBUTOR_APPLICATION, {"bootstrap-app": "micro"}, "leader"),
        (Kind.DISTRIBUTOR_APPLICATION, {"leader": "0", "waiting": "a=x"}, "waiting"),
        (Kind.DISTRIBUTOR_PEERS, {"unit-micro": "node-a"}, "unit-micro"),
    ],
)
def test_what_is_never_written_is_refused(kind: Kind, bag: dict[str, str], complaint: str) -> None:
    assert complaint in bags.complaint(kind, Form.WRITTEN, bag)


@pytest.mark.parametrize(
    "text",
    [
        *("a", "0", "7up", "1.a", "a.1", "a.b-c.d", "A", "", "-a", "a-", "a b", "a\n", "nöde"),
        *("x" * 63, "x" * 64, f"{'x' * 32}.{'x' * 31}", f"{'x' * 33}.{'x' * 31}"),
    ],
)
def test_schema_and_library_agree_on_host_names(text: str) -> None:
    expected = _wire.is_hostname(text)

    assert is_valid("host-name", text) == expected
    if " " not in text and text:
        assert is_valid("host-names", f"node-a {text} node-b") == expected
        assert is_valid("waiting", f"node-a {text}={'0' * 64} b") == expected


@pytest.mark.parametrize("kind", Kind)
def test_page_names_each_key_of_a_databag(kind: Kind) -> None:
    """With the version that introduced it, and no other keys."""
    forms = bags.schema(kind.value)["$defs"]
    (table,) = pages.page(pages.DOCS / "reference" / "wire.md").tables(f"key ({kind.value})")

    earlier = keys(forms["earlier"])
    versions = {key: "earlier" if key in earlier else "current" for key in keys(forms["written"])}
    assert {row[0]: row[1] for row in table} == versions


def keys(form: dict[str, Any]) -> set[str]:
    """Return the keys of a form, but for Juju's own, as the page writes them."""
    properties = cast("dict[str, Any]", form.get("properties", {}))
    plain = {key for key, value in properties.items() if "juju" not in str(value)}
    written_out = {"mirror": "mirror-KEY", "unit": "unit-UNIT"}
    patterns = cast("dict[str, Any]", form.get("patternProperties", {}))
    return plain | {written_out[re.findall(r"\w+", pattern)[0]] for pattern in patterns}
