"""What the drivers do, in the words of their libraries, which know each name and argument."""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from juju import errors

from tests.clouds import protocol, real
from tests.drivers import shapes
from tests.scenarios import forming

if TYPE_CHECKING:
    from tests.drivers.driven import Driven

DISTRIBUTOR = protocol.DISTRIBUTOR
CONSUMER = protocol.CONSUMER

TWO = {f"{CONSUMER}/0": shapes.unit("0", leader=True), f"{CONSUMER}/1": shapes.unit("1")}


def _deeds(driven: Driven) -> list[list[str]]:
    """The calls that change something, without the model's name, where it is given."""
    return [
        [word for word in call if word not in ("--model", "m")]
        for call in driven.juju.calls()
        if call[0] not in ("status", "show-unit")
    ]


def test_a_charm_is_deployed_from_its_channel_on_the_base_that_was_asked_for(
    driven: Driven,
) -> None:
    """With all that its machines have to be."""
    name = driven.cloud.deploy(CONSUMER, "first", units=3)

    assert name == "first"
    (call,) = _deeds(driven)
    assert call[:3] == ["deploy", "microovn", "first"]
    flags = dict(zip(call[3::2], call[4::2], strict=True))
    assert flags["--base"] == "ubuntu@24.04"
    assert flags["--channel"] == "latest/edge"
    assert flags["--num-units"] == "3"
    assert call[3:].count("--constraints") == 2
    assert "virt-type=virtual-machine" in call


def test_a_charm_of_this_machine_is_deployed_by_its_path(driven: Driven) -> None:
    """Without a channel, which it has none of."""
    name = driven.cloud.deploy(DISTRIBUTOR)

    assert name == DISTRIBUTOR
    (call,) = _deeds(driven)
    assert call[:3] == ["deploy", "/charms/distributor.charm", DISTRIBUTOR]
    assert "--channel" not in call


def test_a_rendered_bundle_is_deployed_as_it_is(driven: Driven) -> None:
    """Its applications are known afterwards, each with the command of its cluster."""
    found = shapes.status({"microovn": {"microovn/0": shapes.unit("0")}, DISTRIBUTOR: {}})
    driven.answers("status", found)
    driven.answers("exec", shapes.members("juju-abc-0"))

    driven.cloud.deploy_bundle(forming.BUNDLE)

    (call,) = _deeds(driven)
    command, path = call
    assert command == "deploy"
    assert path.startswith("/")
    assert not pathlib.Path(path).exists(), "it is left behind"
    assert [member.name for member in driven.cloud.members("microovn/0")] == ["juju-abc-0"]


def test_a_unit_that_is_added_is_the_one_that_was_not_there(driven: Driven) -> None:
    """Of its application; others may get one at the same moment."""
    before = shapes.status({CONSUMER: TWO})
    after = shapes.status({CONSUMER: TWO | {f"{CONSUMER}/2": shapes.unit("2")}, "other": {}})
    driven.answers("status", before, after)

    added = driven.cloud.add_unit(CONSUMER)

    assert added == f"{CONSUMER}/2"


def test_a_host_name_cannot_be_chosen(driven: Driven) -> None:
    """A story that wants it says so among its needs."""
    driven.answers("status", shapes.status({CONSUMER: TWO}))

    with pytest.raises(ValueError, match="does not choose host names"):
        driven.cloud.add_unit(CONSUMER, hostname="node-1")


def test_a_unit_that_was_removed_is_no_unit_any_more(driven: Driven) -> None:
    """Though Juju shows it for as long as it takes to leave."""
    driven.answers("status", shapes.status({CONSUMER: TWO}))

    driven.cloud.remove_unit(f"{CONSUMER}/0")

    assert driven.cloud.units(CONSUMER) == [f"{CONSUMER}/1"]


def test_machines_are_stopped_and_started_by_their_host(driven: Driven) -> None:
    """As a power cut does it: Juju is not asked."""
    driven.answers("status", shapes.status({CONSUMER: TWO}))

    driven.cloud.kill_machine(f"{CONSUMER}/1")
    driven.cloud.start_machine(f"{CONSUMER}/1")

    assert driven.host.mock_calls == [
        mock.call("stop", "--force", "juju-abc-1"),
        mock.call("start", "juju-abc-1"),
    ]
    assert not _deeds(driven)


def test_a_unit_on_a_dead_machine_is_removed_by_force_with_it(driven: Driven) -> None:
    """Or the machine would stay."""
    driven.answers("status", shapes.status({CONSUMER: TWO}))
    driven.cloud.kill_machine(f"{CONSUMER}/1")

    driven.cloud.remove_unit(f"{CONSUMER}/1", force=True)

    assert _deeds(driven) == [["remove-machine", "--force", "--no-prompt", "1"]]


def test_jubilant_does_the_rest(by_jubilant: Driven) -> None:
    """Each command is one that Juju has."""
    by_jubilant.answers("status", shapes.status({CONSUMER: TWO}))
    cloud = by_jubilant.cloud

    _do_the_rest(cloud)

    assert _deeds(by_jubilant) == [
        ["integrate", CONSUMER, DISTRIBUTOR],
        ["remove-relation", CONSUMER, DISTRIBUTOR],
        ["remove-unit", "--no-prompt", f"{CONSUMER}/0"],
        ["remove-unit", "--no-prompt", f"{CONSUMER}/1", "--force"],
        ["remove-application", "--no-prompt", CONSUMER],
        ["refresh", DISTRIBUTOR, "--path", "/charms/distributor.charm"],
        ["refresh", CONSUMER, "--channel", "latest/edge"],
    ]


def _do_the_rest(cloud: real.RealCloud) -> None:
    cloud.integrate(CONSUMER, DISTRIBUTOR)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.remove_unit(f"{CONSUMER}/0")
    cloud.remove_unit(f"{CONSUMER}/1", force=True)
    cloud.remove_application(CONSUMER)
    cloud.refresh(DISTRIBUTOR, DISTRIBUTOR)
    cloud.refresh(CONSUMER, CONSUMER)


def test_python_libjuju_does_the_rest(by_libjuju: Driven) -> None:
    """Each method and argument is one that its classes have."""
    by_libjuju.answers("status", shapes.status({CONSUMER: TWO}))
    cloud, model, application = by_libjuju.cloud, by_libjuju.model, by_libjuju.application

    _do_the_rest(cloud)

    model.integrate.assert_awaited_once_with(CONSUMER, DISTRIBUTOR)
    assert _deeds(by_libjuju) == [["remove-relation", CONSUMER, DISTRIBUTOR]]
    assert model.destroy_unit.await_args_list == [
        mock.call(f"{CONSUMER}/0", force=False),
        mock.call(f"{CONSUMER}/1", force=True),
    ]
    model.remove_application.assert_awaited_once_with(CONSUMER)
    assert application.refresh.await_args_list == [
        mock.call(path="/charms/distributor.charm"),
        mock.call(channel="latest/edge"),
    ]


def test_an_error_of_python_libjuju_is_told_as_one_of_a_command(by_libjuju: Driven) -> None:
    """So a look at the model that fails for a moment is not the end of a story."""
    by_libjuju.model.integrate.side_effect = errors.JujuError("no such application")

    with pytest.raises(real.CommandError, match="no such application"):
        by_libjuju.cloud.integrate(CONSUMER, DISTRIBUTOR)


def test_a_removed_application_has_no_units_any_more(driven: Driven) -> None:
    """Nor do its units count as something to wait for in a story's expectations."""
    driven.answers("status", shapes.status({CONSUMER: TWO}))

    driven.cloud.remove_application(CONSUMER)

    assert driven.cloud.units(CONSUMER) == []


@pytest.mark.parametrize(
    "call",
    [
        ["add-units", "a"],
        ["add-unit"],
        ["add-unit", "a", "--count", "2"],
        ["add-unit", "a", "--num-units", "two"],
        ["deploy", "dist/x.charm"],
        ["deploy", "./x.charm", "a", "--series", "noble"],
        ["deploy", "x", "--base", "noble"],
        ["deploy", "x", "--constraints", "virt-type"],
        ["exec", "--unit", "a/leader/0", "--", "true"],
        ["exec", "--unit", "a/0", "--timeout", "60s", "--", "true"],
        ["integrate", "a"],
        ["refresh", "a", "--path", "x.charm"],
        ["remove-unit", "a"],
        ["remove-unit", "a/0", "--yes"],
        ["show-unit", "a/0", "--format", "tabular"],
        ["status", "--model"],
        ["status", "--watch", "5s"],
    ],
    ids=" ".join,
)
def test_the_stand_in_refuses_what_juju_does_not_have(
    by_jubilant: Driven, call: list[str]
) -> None:
    """It would have no worth otherwise."""
    with pytest.raises(real.CommandError, match=r"ERROR juju "):
        by_jubilant.cloud.juju(*call)

    assert not by_jubilant.juju.calls()


def test_the_stand_in_logs_what_it_was_called_with(by_jubilant: Driven) -> None:
    """All of it, word by word."""
    by_jubilant.cloud.juju("status", "--relations")

    log = (by_jubilant.juju.home / "log").read_text()
    assert [json.loads(line) for line in log.splitlines()] == [
        ["status", "--model", "m", "--relations"]
    ]
