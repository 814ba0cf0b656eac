"""The consumer's charm as the model runs it, and changed in one thing, as charms in the field."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import microcluster_token_distributor
from tests.clouds import protocol
from tests.microclusters import lxd

if TYPE_CHECKING:
    import ops

    from tests import juju_model


def variant(name: str, consumer: juju_model.Charm) -> juju_model.Charm:
    """Return the consumer's charm with a command line, where the model can observe each call."""
    base: Any = consumer.charm_type

    class Variant(base):
        def __init__(self, framework: ops.Framework) -> None:
            base.__init__(self, framework)
            self.cluster.joins_while_degraded = name == protocol.TOLERANT_CONSUMER
            if name == protocol.FORCEFUL_CONSUMER:
                self.cluster.leave_args_func = lambda: ["--force"]

        def _workload(self) -> microcluster_token_distributor.Workload:
            return microcluster_token_distributor.CommandWorkload(lxd.COMMAND)

        def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
            if name != protocol.QUIET_CONSUMER:
                base._on_collect_status(self, event)

    return dataclasses.replace(consumer, charm_type=Variant, meta={**consumer.meta, "name": name})
