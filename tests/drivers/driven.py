"""A cloud that is driven by one library or the other, and what the tests have behind it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests.clouds import protocol, real
from tests.drivers import stand_in

if TYPE_CHECKING:
    from unittest import mock

DISTRIBUTOR = protocol.DISTRIBUTOR
CONSUMER = protocol.CONSUMER

SOURCES = {
    DISTRIBUTOR: real.CharmSource("/charms/distributor.charm", base="ubuntu@24.04"),
    CONSUMER: real.CharmSource(
        "microovn",
        channel="latest/edge",
        base="ubuntu@24.04",
        constraints={"virt-type": "virtual-machine", "mem": "2G"},
        command="microovn cluster",
        logs="journalctl --no-pager",
    ),
}
PACE = real.Pace(poll=5.0, update_status=30.0, limit=50.0, command=60.0)


@dataclasses.dataclass
class Driven:
    """A cloud with what is behind it.

    Attributes:
        cloud: driven by either library.
        juju: the stand-in for the program.
        host: the calls of `lxc`.
        slept: the seconds of each wait.
        model: the specification of python-libjuju's model.
        application: and of its applications, which are all one here.
        pace: the cloud's.
    """

    cloud: real.RealCloud
    juju: stand_in.JujuOnPath
    host: mock.Mock
    slept: list[float]
    model: mock.Mock
    application: mock.Mock
    pace: real.Pace = PACE

    def answers(self, command: str, *texts: str) -> None:
        """Lay down what a command of `juju` prints, call by call; the last for all that follow."""
        self.juju.answers(command, *(stand_in.Answer(text) for text in texts))
