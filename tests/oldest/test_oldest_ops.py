"""A unit bootstraps, joins and leaves with ops 2.10, and with ops-scenario as it was then."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import ops
import pytest
import scenario

import microcluster_token_distributor as lib
from microcluster_token_distributor import testing


class MicroCharm(ops.CharmBase):
    """The charm of an author."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.cluster = lib.TokenConsumer(self, "cluster", ["microovn", "cluster"])
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(self.cluster.status)


@pytest.mark.parametrize("state", ["may_bootstrap", "offered_token"])
def test_unit_becomes_a_member_and_leaves(state: str) -> None:
    """With the status that it shows, and what it reports."""
    workload = testing.FakeWorkload()
    relation = getattr(testing, state)()
    meta = {"name": "micro", "requires": {"cluster": {"interface": "worker-cluster"}}}
    # Not of the types that it has today.
    context: Any = scenario.Context(MicroCharm, meta=meta)
    before: Any = scenario.State(relations=[relation])

    with workload.installed():
        after = context.run("update-status", before)

        assert (workload.is_member, after.unit_status) == (True, ops.ActiveStatus())
        assert after.relations[0].local_unit_data["member"] == "true"
        context.run("remove", after)
    assert not workload.is_member


def test_this_is_the_oldest_ops_that_the_package_admits() -> None:
    """Otherwise its floor, or this environment, has to move."""
    assert importlib.metadata.version("ops") == "2.10.0"
