"""The bundle, as `juju deploy` is given it."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from tests.clouds import bundle
from tests.drivers import shapes
from tests.scenarios import forming

if TYPE_CHECKING:
    from tests.drivers.driven import Driven

WORDS = {
    "base": "ubuntu@24.04",
    "consumer": "microovn",
    "consumer_channel": "24.03/stable",
    "consumer_constraints": "virt-type=virtual-machine mem=2G",
    "distributor": "/charms/distributor.charm",
    "distributor_channel": "",
    "distributor_constraints": "",
}


def _rendered(**words: str) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(bundle.render(forming.BUNDLE, WORDS | words)))


def test_a_charm_of_this_machine_has_no_channel() -> None:
    """An empty one would be none that Juju knows."""
    rendered = _rendered(consumer="/charms/microovn.charm", consumer_channel="")

    assert "channel" not in rendered["applications"]["microovn"]


def test_a_word_without_a_value_is_an_error() -> None:
    """Rather than braces that Juju would be given."""
    with pytest.raises(KeyError, match="base"):
        bundle.render(forming.BUNDLE, {})


def test_a_cloud_gives_each_word_its_value(
    driven: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it renders is what `juju deploy` is given, under an absolute path."""
    given: list[str] = []

    def juju(*arguments: str) -> str:
        if arguments[0] == "deploy":
            path = pathlib.Path(arguments[1])
            assert path.is_absolute()
            assert path.suffix == ".yaml"
            given.append(path.read_text())
        return shapes.status({})

    monkeypatch.setattr(driven.cloud, "juju", juju)

    driven.cloud.deploy_bundle(forming.BUNDLE)

    (text,) = given
    assert yaml.safe_load(text) == _rendered(consumer_channel="latest/edge")
