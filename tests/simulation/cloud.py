"""The model of Juju on a fake microcluster, in which a schedule makes every choice."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

from tests import juju_model
from tests.clouds import local, protocol
from tests.microclusters import fake

_T = TypeVar("_T")

DISTRIBUTOR = "distributor"
CHARMS = {
    "plain": protocol.CONSUMER,
    "quiet": protocol.QUIET_CONSUMER,
    # Only microcluster v3 bears its joins.
    "tolerant": protocol.TOLERANT_CONSUMER,
}


class Choices(random.Random):
    """Chooses as a list of numbers says, from its beginning again when it has come to its end.

    Attributes:
        numbers: the list; 0 is the first of the options, and "no". Without numbers it is always 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self._taken = self._secrets = 0
        self.numbers: tuple[int, ...] = ()

    def _next(self) -> int:
        self._taken += 1
        return self.numbers[self._taken % len(self.numbers)] if self.numbers else 0

    def choice(self, seq: Sequence[_T]) -> _T:  # pyright: ignore[reportIncompatibleMethodOverride]
        return seq[self._next() % len(seq)]

    def randrange(self, start: int, *_: object) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._next() % start

    def random(self) -> float:
        """Choose between yes, which is less than any likelihood, and no."""
        return 0.0 if self._next() % 4 == 3 else 0.99

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * (self._next() % 8) / 8

    def getrandbits(self, k: int) -> int:
        """Make a secret, another one each time; it is no choice."""
        self._secrets += 1
        digest = hashlib.sha256(str(self._secrets).encode()).digest()
        return int.from_bytes(digest, "big") >> (256 - k)


class Cloud(local.LocalCloud):
    """What operations and invariants have to know of the model and the fake.

    Args:
        juju_version: `3.6` or `4.0`.
        microcluster_version: `2.0.5` or `3.0.0`.
        consumer: one of `CHARMS`.
        interleaved: whether hooks of several machines run at the same time.
    """

    def __init__(
        self, juju_version: str, microcluster_version: str, consumer: str, *, interleaved: bool
    ) -> None:
        self.choices = Choices()
        self.consumer = consumer
        interleave = 0.5 if interleaved else 0.0
        juju = juju_model.Juju(self.choices, version=juju_version, interleave=interleave)
        super().__init__(juju, local.fake_microcluster(juju, version=microcluster_version))
        self.fake.rng = self.choices
        self.deploy(protocol.DISTRIBUTOR, DISTRIBUTOR)

    def consumers(self) -> list[str]:
        """Name the applications that form the cluster."""
        return [app for app in self.juju.apps if app != DISTRIBUTOR]

    def units(self, application: str = "") -> list[str]:
        """Name the units of an application, by default of all consumers."""
        apps = [application] if application else self.consumers()
        return [unit for app in apps for unit in self.juju.units(app)]

    def member_name(self, unit: str) -> str:
        """Return the name under which a unit is a member, else that of its machine."""
        machine = self.machine(unit)
        return machine.member.name if machine.member else machine.name

    def member_names(self) -> dict[str, str]:
        """Return these names of all consumers' units."""
        return {unit: self.member_name(unit) for unit in self.units()}

    def dying(self) -> set[str]:
        """Return these names of the units that are being removed."""
        return {n for unit, n in self.member_names().items() if self.juju.unit(unit).dying}

    def cluster_of(self, unit: str) -> fake.Cluster | None:
        """Return the cluster that lists a unit's machine, were it half joined."""
        machine = self.machine(unit)
        for cluster in self.fake.clusters:
            if any(member.machine is machine for member in cluster.members.values()):
                return cluster
        return None

    def related(self, app: str) -> bool:
        """Tell whether an application's relation is there, and not suspended."""
        relations = self.juju.apps[app].related(local.ENDPOINT)
        return any(not (relation.dying or relation.suspended) for relation in relations)
