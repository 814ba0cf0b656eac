"""What charmcraft.yaml says of the charm, and the icon that goes with it."""

from __future__ import annotations

import pathlib
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHARM: dict[str, Any] = yaml.safe_load((ROOT / "charmcraft.yaml").read_text())


def test_charmhub_can_list_it() -> None:
    """With all that Charmhub asks of a charm's metadata before it lists the charm."""
    assert all(CHARM[key].strip() for key in ("title", "summary", "description"))
    assert len(CHARM["summary"]) <= 78
    assert set(CHARM["links"]) == {"contact", "documentation", "issues", "source", "website"}


def test_documentation_is_linked_where_it_is() -> None:
    """The link leads into this repository, and to a page of it."""
    links: dict[str, str] = CHARM["links"]

    path = links["documentation"].removeprefix(f"{links['source']}/blob/main/")
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("role", ["provides", "requires", "peers"])
def test_endpoints_say_that_they_are_optional(role: str) -> None:
    """Juju does not enforce it; it is said for readers."""
    endpoints: dict[str, dict[str, Any]] = CHARM.get(role, {})

    assert all(endpoint["optional"] is True for endpoint in endpoints.values())


def test_actions_refuse_what_they_do_not_know() -> None:
    """What goes without saying differs between Juju 3 and 4."""
    actions: dict[str, dict[str, Any]] = CHARM["actions"]

    assert all(action["additionalProperties"] is False for action in actions.values())


def test_icon_has_the_size_of_an_icon() -> None:
    """A square of 100 pixels, in the root of what is packed."""
    icon = ET.parse(ROOT / "icon.svg").getroot()  # noqa: S314, it is the project's own

    assert (icon.get("width"), icon.get("height")) == ("100", "100")
    assert "icon.svg" in CHARM["parts"]["charm"]["override-build"]
