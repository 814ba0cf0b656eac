"""The events by which a `TokenConsumer` tells its charm what happens."""

from __future__ import annotations

from typing import Any

import ops


class ClusterBootstrappedEvent(ops.EventBase):
    """This unit has bootstrapped the cluster."""


class TokenGeneratedEvent(ops.EventBase):
    """This unit has issued a token for a newcomer."""


class ClusterJoinedEvent(ops.EventBase):
    """This unit has become a member; `bootstrapper` says whether by bootstrapping the cluster.

    Where the hook died in which it became a member, that is a guess: yes, if it was granted the
    bootstrap, or is the only member.
    """

    def __init__(self, handle: ops.Handle, bootstrapper: bool = False):
        super().__init__(handle)
        self.bootstrapper = bootstrapper

    def snapshot(self) -> dict[str, Any]:
        """Return what a deferral has to keep."""
        return {"bootstrapper": self.bootstrapper}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take up what a deferral has kept; an earlier library kept nothing."""
        self.bootstrapper = bool((snapshot or {}).get("bootstrapper", False))


class ClusterPreBootstrapEvent(ops.EventBase):
    """This unit is about to bootstrap the cluster."""


class ClusterPreJoinEvent(ops.EventBase):
    """This unit is about to try to join the cluster."""


class ClusterPreLeaveEvent(ops.EventBase):
    """This unit is about to try to leave the cluster."""


class TokenConsumerEvents(ops.ObjectEvents):
    """What a `TokenConsumer` emits."""

    bootstrapped = ops.EventSource(ClusterBootstrappedEvent)
    token_generated = ops.EventSource(TokenGeneratedEvent)
    joined = ops.EventSource(ClusterJoinedEvent)
    prebootstrap = ops.EventSource(ClusterPreBootstrapEvent)
    prejoin = ops.EventSource(ClusterPreJoinEvent)
    preleave = ops.EventSource(ClusterPreLeaveEvent)
