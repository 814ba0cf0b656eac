"""A cloud on a fake of the `juju` program, on which no time passes."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from unittest import mock

import jubilant
import pytest

from tests.clouds import jubilant_cloud, options, protocol
from tests.drivers import fake_juju_cli

SOURCES = {
    protocol.DISTRIBUTOR: options.CharmSource("/charms/distributor.charm", base="ubuntu@24.04"),
    protocol.CONSUMER: options.CharmSource(
        "microovn",
        channel="latest/edge",
        base="ubuntu@24.04",
        constraints={"virt-type": "virtual-machine", "mem": "2G"},
        command="microovn cluster",
        logs="journalctl --no-pager",
    ),
}
TIMEOUTS = jubilant_cloud.Timeouts(poll=5.0, update_status=30.0, limit=50.0)


@dataclasses.dataclass
class World:
    """A cloud with what is behind it.

    Attributes:
        cloud: the cloud.
        juju: the fake of the program.
        lxc: the calls of `lxc`.
        slept: the seconds of each wait.
    """

    cloud: jubilant_cloud.JubilantCloud
    juju: fake_juju_cli.FakeJujuCli
    lxc: mock.Mock
    slept: list[float]


@pytest.fixture
def juju(monkeypatch: pytest.MonkeyPatch) -> fake_juju_cli.FakeJujuCli:
    """The fake of the program."""
    made = fake_juju_cli.FakeJujuCli()
    monkeypatch.setattr(subprocess, "run", made.run)
    return made


@pytest.fixture
def world(juju: fake_juju_cli.FakeJujuCli, monkeypatch: pytest.MonkeyPatch) -> World:
    """A cloud of a model `m`."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    lxc = mock.create_autospec(jubilant_cloud.lxc)
    client = jubilant.Juju(model="m")
    cloud = jubilant_cloud.JubilantCloud(client, SOURCES, TIMEOUTS, host=lxc)
    return World(cloud, juju, lxc, slept)
