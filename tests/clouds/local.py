"""A cloud on this machine: the in-memory model of Juju, with a microcluster of any kind below."""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import yaml

from tests import juju_model
from tests.charms import earlier
from tests.clouds import protocol
from tests.microclusters import fake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.microclusters import protocol as microclusters

ROOT = pathlib.Path(__file__).parents[2]
CONSUMER_ROOT = ROOT / "tests" / "charms" / "lxd_cluster"
COMMAND = [sys.executable, str(CONSUMER_ROOT / "src" / "lxd_microcluster.py")]
"""How the consumer's charm calls its microcluster."""

# Rounds of update-status, five minutes of the model's time each.
_ROUNDS = 8
# Seconds of real time between two rounds: real daemons need it to notice things.
_REAL_PAUSE = 1.0
_REAL_ROUNDS = 60


@functools.cache
def charm(name: str) -> juju_model.Charm:
    """Load one of the charms that `tests.clouds.protocol` names."""
    if name == protocol.DISTRIBUTOR:
        return juju_model.Charm.load(ROOT)
    if name == protocol.CONSUMER:
        return juju_model.Charm.load(CONSUMER_ROOT)
    charm_type, root = {
        protocol.EARLIER_DISTRIBUTOR: (earlier.EarlierDistributorCharm, ROOT),
        protocol.EARLIER_CONSUMER: (earlier.EarlierConsumerCharm, CONSUMER_ROOT),
    }[name]
    # An earlier revision differs in its code, not in its endpoints.
    project = cast("dict[str, Any]", yaml.safe_load((root / "charmcraft.yaml").read_text()))
    meta = {key: project[key] for key in ("requires", "provides", "peers") if key in project}
    return juju_model.Charm(charm_type, {"name": name, **meta})


def fake_microcluster(juju: juju_model.Juju, seed: int = 0) -> fake.FakeMicrocluster:
    """Return a fake microcluster that answers the consumer's command, in the model's time."""
    return fake.FakeMicrocluster(
        clock=lambda: juju.now, spend=juju.advance, seed=seed, command=COMMAND
    )


class LocalCloud:
    """The in-memory model of Juju, on machines of a microcluster.

    Args:
        juju: the model.
        microcluster: gives the machines of the consumers' units.

    Attributes:
        juju: as given.
        microcluster: as given.
    """

    def __init__(self, juju: juju_model.Juju, microcluster: microclusters.Microcluster):
        self.juju = juju
        self.microcluster = microcluster
        self._real = not isinstance(microcluster, fake.FakeMicrocluster)

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        """Deploy a charm; one with `provides` needs no machine of the microcluster."""
        deployed = charm(charm_name)
        factory = None if deployed.endpoints("provides") else self.microcluster.add_machine
        return self.juju.deploy(
            deployed, application or charm_name, units=units, host_factory=factory
        )

    def integrate(self, one: str, two: str) -> None:
        """Integrate two applications."""
        self.juju.integrate(one, two)

    def remove_relation(self, one: str, two: str) -> None:
        """Remove the relation between two applications."""
        self.juju.remove_relation(one, two)

    def add_unit(self, application: str, *, hostname: str | None = None) -> str:
        """Add a unit, on a machine of its own."""
        return self.juju.add_unit(application, hostname=hostname)

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        """Remove a unit."""
        self.juju.remove_unit(unit, force=force)

    def remove_application(self, application: str) -> None:
        """Remove an application."""
        self.juju.remove_application(application)

    def refresh(self, application: str, charm_name: str) -> None:
        """Put another charm in an application's place."""
        self.juju.refresh(application, charm(charm_name))

    def kill_machine(self, unit: str) -> None:
        """Let the machine of a unit die."""
        self.juju.kill_machine(unit)

    def start_machine(self, unit: str) -> None:
        """Start a machine that died."""
        self.juju.start_machine(unit)

    def units(self, application: str) -> list[str]:
        """Name the units of an application."""
        return sorted(self.juju.units(application), key=lambda unit: int(unit.split("/")[1]))

    def leader(self, application: str) -> str | None:
        """Name the unit that leads."""
        return self.juju.leader(application)

    def hostname(self, unit: str) -> str:
        """Return the host name of a unit's machine."""
        return self.juju.host(unit).name

    def bag(self, owner: str) -> Mapping[str, str]:
        """Return a databag on the endpoint that all these charms share."""
        return self.juju.bag(owner, "microcluster-cluster")

    def status(self, unit: str) -> tuple[str, str]:
        """Return a unit's status and its message."""
        status = self.juju.status(unit)
        return status.name, status.message

    def members(self, unit: str) -> list[protocol.Member]:
        """Ask the machine of a unit."""
        listed = self.juju.host(unit).run([*COMMAND, "list", "-f", "json"], timeout=30)
        if listed.returncode:
            return []
        rows = cast("list[dict[str, str]]", json.loads(listed.stdout))
        return sorted(
            (protocol.Member(row["name"], row["role"], row["status"] == "ONLINE") for row in rows),
            key=lambda member: member.name,
        )

    def settle(self) -> None:
        """Run all hooks that are due, and those that come of them."""
        self.juju.settle()

    def eventually(self, what: str, seen: Callable[[], bool]) -> None:
        """Go through rounds of update-status until something is seen."""
        self.settle()
        for _ in range(_REAL_ROUNDS if self._real else _ROUNDS):
            if seen():
                return
            if self._real:
                time.sleep(_REAL_PAUSE)
            self.juju.update_status_round()
        if not seen():
            last = "\n".join(str(hook) for hook in list(self.juju.trace)[-30:])
            raise AssertionError(f"not seen: {what}; the last hooks were\n{last}")
