"""Form and keep one microcluster through a token distributor.

A charm for a microcluster (MicroOVN, MicroCeph, Sunbeam, LXD) requires an endpoint of interface
`worker-cluster`, which the charm `microcluster-token-distributor` provides, and a consumer:

    class MicroCharm(ops.CharmBase):
        def __init__(self, framework: ops.Framework):
            super().__init__(framework)
            self.cluster = TokenConsumer(self, "cluster", ["microovn", "cluster"])
            framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

        def _on_collect_unit_status(self, event: ops.CollectStatusEvent):
            event.add_status(self.cluster.status)
"""

from microcluster_token_distributor._consumer import (
    ClusterBootstrappedEvent,
    ClusterJoinedEvent,
    ClusterPreBootstrapEvent,
    ClusterPreJoinEvent,
    ClusterPreLeaveEvent,
    TokenConsumer,
    TokenConsumerEvents,
    TokenGeneratedEvent,
)
from microcluster_token_distributor._wire import get_hostname, mirror_id
from microcluster_token_distributor._workload import (
    CommandWorkload,
    LeaveRefusedError,
    Member,
    Workload,
    WorkloadError,
)

__all__ = [
    "ClusterBootstrappedEvent",
    "ClusterJoinedEvent",
    "ClusterPreBootstrapEvent",
    "ClusterPreJoinEvent",
    "ClusterPreLeaveEvent",
    "CommandWorkload",
    "LeaveRefusedError",
    "Member",
    "TokenConsumer",
    "TokenConsumerEvents",
    "TokenGeneratedEvent",
    "Workload",
    "WorkloadError",
    "get_hostname",
    "mirror_id",
]
