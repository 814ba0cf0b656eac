"""The consumer's charm, changed in one thing each, as charms in the field differ from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

import ops

import microcluster_token_distributor
from tests.clouds import protocol
from tests.microclusters import lxd

if TYPE_CHECKING:
    from tests import juju_model

NAMES = frozenset(
    {protocol.QUIET_CONSUMER, protocol.TOLERANT_CONSUMER, protocol.FORCEFUL_CONSUMER}
)
"""The names of all variants."""


class Consumer(ops.CharmBase):
    """What a variant has to know of the consumer's charm, which is loaded from its own folder."""

    cluster: microcluster_token_distributor.TokenConsumer

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None: ...


def variant(name: str, consumer: juju_model.Charm) -> juju_model.Charm:
    """Return the variant of the consumer's charm that has one of the `NAMES`."""
    base = cast("type[Consumer]", consumer.charm_type)

    class Variant(base):
        def __init__(self, framework: ops.Framework) -> None:
            super().__init__(framework)
            self.cluster.joins_while_degraded = name == protocol.TOLERANT_CONSUMER
            if name == protocol.FORCEFUL_CONSUMER:
                self.cluster.leave_args_func = lambda: ["--force"]

        def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
            if name != protocol.QUIET_CONSUMER:
                super()._on_collect_status(event)

    return dataclasses.replace(consumer, charm_type=Variant, meta={**consumer.meta, "name": name})


def commanded(consumer: juju_model.Charm) -> juju_model.Charm:
    """Return the consumer's charm with a command line, where the model can observe each call."""
    base = cast("type[Consumer]", consumer.charm_type)

    class Commanded(base):
        def _workload(self) -> microcluster_token_distributor.Workload:
            return microcluster_token_distributor.CommandWorkload(lxd.COMMAND)

    return dataclasses.replace(consumer, charm_type=Commanded)
