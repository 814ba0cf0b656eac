"""The model of Juju on a fake microcluster, in which a schedule makes every choice."""

from __future__ import annotations

import functools
import hashlib
import pathlib
import random
from typing import TYPE_CHECKING, TypeVar

from tests import juju_model
from tests.charms import variants
from tests.microclusters import fake, lxd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_T = TypeVar("_T")

DISTRIBUTOR = "distributor"
ENDPOINT = "microcluster-cluster"
CHARMS = ("plain", "quiet", "tolerant")
"""The consumers: as it is; one that sets no status; one that lets units join while a member is
down, which only microcluster v3 bears."""

_ROOT = pathlib.Path(__file__).parents[2]
_CONSUMER_ROOT = _ROOT / "tests" / "charms" / "lxd_cluster"
COMMAND = lxd.COMMAND


@functools.cache
def charm(name: str) -> juju_model.Charm:
    """Load the distributor, or one of `CHARMS`."""
    if name == DISTRIBUTOR:
        return juju_model.Charm.load(_ROOT)
    if name == "plain":
        return variants.commanded(juju_model.Charm.load(_CONSUMER_ROOT))
    return variants.variant(f"{name}-consumer", charm("plain"))


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
        """Choose one of several."""
        return seq[self._next() % len(seq)]

    def randrange(self, start: int, *_: object) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Choose a place in a list of so many."""
        return self._next() % start

    def random(self) -> float:
        """Choose between yes, which is less than any likelihood, and no."""
        return 0.0 if self._next() % 4 == 3 else 0.99

    def uniform(self, a: float, b: float) -> float:
        """Choose a time."""
        return a + (b - a) * (self._next() % 8) / 8

    def getrandbits(self, k: int) -> int:
        """Make a secret, another one each time; it is no choice."""
        self._secrets += 1
        digest = hashlib.sha256(str(self._secrets).encode()).digest()
        return int.from_bytes(digest, "big") >> (256 - k)


class Cloud:
    """The model, the fake, and what operations and invariants have to know of both.

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
        self.juju = juju_model.Juju(
            self.choices, version=juju_version, interleave=0.5 if interleaved else 0.0
        )
        self.fake = fake.FakeMicrocluster(
            clock=lambda: self.juju.now,
            spend=self.juju.advance,
            seed=self.choices,
            command=COMMAND,
            version=microcluster_version,
        )
        self.juju.deploy(charm(DISTRIBUTOR), DISTRIBUTOR)

    def consumers(self) -> list[str]:
        """Name the applications that form the cluster."""
        return [app for app in self.juju.apps if app != DISTRIBUTOR]

    def distributors(self) -> list[str]:
        """Name the distributor's units."""
        return self.juju.units(DISTRIBUTOR)

    def units(self) -> list[str]:
        """Name the consumers' units."""
        return [unit for app in self.consumers() for unit in self.juju.units(app)]

    def is_there(self, owner: str) -> bool:
        """Tell whether a unit, or an application, is in the model."""
        return "/" not in owner or owner in self.juju.units(owner.split("/")[0])

    def machine(self, unit: str) -> fake.FakeMachine:
        """Return the machine of a consumer's unit."""
        machine = self.juju.host(unit)
        assert isinstance(machine, fake.FakeMachine)
        return machine

    def name(self, unit: str) -> str:
        """Return the name under which a unit is a member, else that of its machine."""
        machine = self.machine(unit)
        return machine.member.name if machine.member else machine.name

    def names(self) -> dict[str, str]:
        """Return the names of the consumers' units."""
        return {unit: self.name(unit) for unit in self.units()}

    def cluster_of(self, unit: str) -> fake.Cluster | None:
        """Return the cluster that lists a unit's machine, were it half joined."""
        machine = self.machine(unit)
        for cluster in self.fake.clusters:
            if any(member.machine is machine for member in cluster.members.values()):
                return cluster
        return None

    def dying(self) -> set[str]:
        """Return the names of the units that are being removed."""
        return {name for unit, name in self.names().items() if self.juju.unit(unit).dying}

    def bag(self, owner: str) -> Mapping[str, str]:
        """Return a databag in the first relation of its application that is not being removed."""
        for relation in self.juju.apps[owner.split("/")[0]].related(ENDPOINT):
            if not relation.dying:
                return self.juju.bag(owner, relation_id=relation.id)
        return {}

    def related(self, app: str) -> bool:
        """Tell whether an application's relation is there, and not suspended."""
        relations = self.juju.apps[app].related(ENDPOINT)
        return any(not (relation.dying or relation.suspended) for relation in relations)
