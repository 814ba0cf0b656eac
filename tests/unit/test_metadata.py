"""The charm's metadata and its icon."""

from __future__ import annotations

import pathlib
import xml.etree.ElementTree as ET
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHARM: dict[str, Any] = yaml.safe_load((ROOT / "charmcraft.yaml").read_text())


def test_charmhub_can_list_it() -> None:
    assert all(CHARM[key].strip() for key in ("title", "summary", "description"))
    links: dict[str, str] = CHARM["links"]
    assert set(links) == {"contact", "documentation", "issues", "source", "website"}
    # It leads to a page of this repository.
    path = links["documentation"].removeprefix(f"{links['source']}/blob/main/")
    assert (ROOT / path).is_file()


def test_icon_has_the_size_of_an_icon_and_is_packed() -> None:
    icon = ET.parse(ROOT / "icon.svg").getroot()  # noqa: S314, it is the project's own

    assert (icon.get("width"), icon.get("height")) == ("100", "100")
    assert "icon.svg" in CHARM["parts"]["charm"]["override-build"]


def test_actions_take_no_other_parameters() -> None:
    """Versions of Juju differ in what they take it for."""
    assert all(action["additionalProperties"] is False for action in CHARM["actions"].values())
