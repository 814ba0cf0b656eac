"""The consumer's charm, changed in one thing each, as charms in the field differ from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

import ops

import microcluster_token_distributor
from tests.clouds import protocol
from tests.microclusters import lxd

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests import juju_model


class Consumer(ops.CharmBase):
    """What a variant has to know of the consumer's charm, which is loaded from its own folder."""

    cluster: microcluster_token_distributor.TokenConsumer


def variant(name: str, consumer: juju_model.Charm) -> juju_model.Charm:
    """Return a variant of the consumer's charm.

    Args:
        name: one of those in `tests.clouds.protocol`.
        consumer: the charm itself.
    """
    charm_type = _VARIANTS[name](cast("type[Consumer]", consumer.charm_type))
    meta = {**consumer.meta, "name": name}
    return dataclasses.replace(consumer, charm_type=charm_type, meta=meta)


def commanded(consumer: juju_model.Charm) -> juju_model.Charm:
    """Return the consumer's charm with a command line, where the model can observe each call."""
    base = cast("type[Consumer]", consumer.charm_type)

    class CommandedCharm(base):
        """Forms its cluster by commands."""

        def _workload(self) -> microcluster_token_distributor.Workload:
            return microcluster_token_distributor.CommandWorkload(lxd.COMMAND)

    return dataclasses.replace(consumer, charm_type=CommandedCharm)


def _quiet(base: type[Consumer]) -> type[ops.CharmBase]:
    class QuietCharm(base):
        """Sets no status."""

        def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
            """Add none."""

    return QuietCharm


def _tolerant(base: type[Consumer]) -> type[ops.CharmBase]:
    class TolerantCharm(base):
        """Knows that its microcluster is not harmed by joins while a member is down."""

        def __init__(self, framework: ops.Framework) -> None:
            super().__init__(framework)
            self.cluster.joins_while_degraded = True

    return TolerantCharm


def _forceful(base: type[Consumer]) -> type[ops.CharmBase]:
    class ForcefulCharm(base):
        """Leaves by force."""

        def __init__(self, framework: ops.Framework) -> None:
            super().__init__(framework)
            self.cluster.leave_args_func = lambda: ["--force"]

    return ForcefulCharm


_VARIANTS: dict[str, Callable[[type[Consumer]], type[ops.CharmBase]]] = {
    protocol.QUIET_CONSUMER: _quiet,
    protocol.TOLERANT_CONSUMER: _tolerant,
    protocol.FORCEFUL_CONSUMER: _forceful,
}

NAMES = frozenset(_VARIANTS)
"""The names of all variants."""
