"""A cloud on a specification of Jubilant's client, on which no time passes."""

from __future__ import annotations

import dataclasses
import time
from unittest import mock

import jubilant
import pytest

from tests.clouds import jubilant_cloud, options, protocol

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
        juju: knows each method and argument of Jubilant's client.
        lxc: the calls of `lxc`.
        slept: the seconds of each wait.
    """

    cloud: jubilant_cloud.JubilantCloud
    juju: mock.Mock
    lxc: mock.Mock
    slept: list[float]

    def shows(self, *statuses: jubilant.Status | Exception) -> None:
        """Let these be the next looks at the model, and the last of them all that follow."""
        left = list(statuses)

        def status() -> jubilant.Status:
            shown = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(shown, Exception):
                raise shown
            return shown

        self.juju.status.side_effect = status


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A cloud whose model shows nothing yet."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    lxc = mock.create_autospec(jubilant_cloud.lxc)
    juju = mock.create_autospec(jubilant.Juju, instance=True)
    juju.cli.return_value = "a picture of the model"
    cloud = jubilant_cloud.JubilantCloud(juju, SOURCES, TIMEOUTS, host=lxc)
    return World(cloud, juju, lxc, slept)
