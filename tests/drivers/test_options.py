"""The options of a run, and the charms that follow from them."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from tests.clouds import options, packing, protocol


@pytest.fixture(autouse=True)
def charms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack and download nothing."""

    def pack(project: Any, base: str, *, with_package: bool = False) -> str:
        return f"/dist/{project.name if with_package else 'distributor'}_{base}.charm"

    def download(name: str, channel: str, base: str) -> str:
        return f"/dist/{name}_{channel}_{base}.charm"

    monkeypatch.setattr(packing, "pack", pack)
    monkeypatch.setattr(packing, "download", download)
    monkeypatch.setattr(packing, "architecture", lambda: "amd64")


def _sources(**chosen: str) -> dict[str, options.CharmSource]:
    values = {
        option[2:].replace("-", "_"): default for option, (default, _) in options.OPTIONS.items()
    }
    return options.sources(mock.Mock(**{**values, **chosen}))


def test_options_go_before_variables_and_these_before_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jobs of a matrix set variables; a person at a terminal gives options."""
    monkeypatch.setenv("BASE", "ubuntu@22.04")
    monkeypatch.delenv("CONSUMER_CHANNEL", raising=False)
    parser = pytest.Parser(_ispytest=True)
    options.add(parser.getgroup("jubilant"))

    parsed = parser.parse_known_args(["--consumer", "lxd-cluster"])

    assert parsed.consumer == "lxd-cluster"
    assert parsed.base == "ubuntu@22.04"
    assert parsed.consumer_channel == "latest/edge"


def test_microovn_gets_this_library_and_the_earlier_one_is_as_published() -> None:
    """Only scenarios about a refresh are about the published one."""
    found = _sources(consumer_channel="24.03/stable", earlier_channel="latest/beta")

    consumer = found[protocol.CONSUMER]
    assert consumer.charm == "/dist/microovn_24.03/stable_ubuntu@24.04.charm"
    assert not consumer.channel
    earlier = found[protocol.EARLIER_CONSUMER]
    assert (earlier.charm, earlier.channel) == ("microovn", "24.03/stable")
    for source in (consumer, earlier):
        assert source.constraints["virt-type"] == "virtual-machine"
        assert source.command == "microovn cluster"
    distributor = found[protocol.EARLIER_DISTRIBUTOR]
    assert (distributor.charm, distributor.channel) == (protocol.DISTRIBUTOR, "latest/beta")
    assert found[protocol.DISTRIBUTOR].charm == "/dist/distributor_ubuntu@24.04.charm"
    assert {source.base for source in found.values()} == {"ubuntu@24.04"}


def test_microovn_can_keep_its_own_library() -> None:
    """Once it has been published with this one."""
    found = _sources(consumer_library="published")

    assert found[protocol.CONSUMER] == found[protocol.EARLIER_CONSUMER]


def test_lxd_clusters_take_the_place_of_microovn() -> None:
    """In containers, and with a status that names the cause of a wait."""
    found = _sources(consumer="lxd-cluster")

    assert set(found) == {protocol.DISTRIBUTOR, protocol.CONSUMER}
    source = found[protocol.CONSUMER]
    assert source.charm == "/dist/lxd_cluster_ubuntu@24.04.charm"
    assert source.status_names_cause
    assert not source.constraints


@pytest.mark.parametrize(
    ("base", "architecture"), [("ubuntu@26.04", "amd64"), ("ubuntu@24.04", "arm64")]
)
def test_there_are_no_earlier_charms_where_none_was_published(
    base: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenarios that require them are skipped there, with the reason."""
    monkeypatch.setattr(packing, "architecture", lambda: architecture)

    found = _sources(base=base)

    assert set(found) == {protocol.DISTRIBUTOR, protocol.CONSUMER}
    assert {source.base for source in found.values()} == {base}


def test_no_other_consumer_is_known() -> None:
    """What its cluster's command is could only be guessed."""
    with pytest.raises(ValueError, match="not 'microceph'"):
        _sources(consumer="microceph")
