"""Real LXD daemons behave as the measured microcluster does, but for what `world` names."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING

import pytest
import tenacity

from tests.conformance import suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.microclusters import lxd


def _eventually(predicate: Callable[[], bool]) -> None:
    """Ask again and again, for daemons do some things in their own time.

    While the database elects a leader, no member answers, and the predicate fails.
    """
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(AssertionError),
        stop=tenacity.stop_after_delay(suite.SETTLING),
        wait=tenacity.wait_fixed(0.2),
        reraise=True,
    ):
        with attempt:
            assert predicate()


class TestLxd(suite.ConformanceSuite):
    """The suite, with clusters of LXD daemons."""

    @pytest.fixture
    def world(self) -> suite.Traits:
        """LXD by its workload: a newcomer can join while a member is dead."""
        refusals = {
            "member": "LXD is part of a cluster already",
            "not a member": "LXD is not part of a cluster",
            "name taken": "there is an unused token for node-3",
            "used token": "No matching cluster join operation found",
            "expired token": "No matching cluster join operation found",
            "another's token": "the token is not for node-3",
            "rubbish": "this is no join token",
            "unreachable": "node-1 is offline",
            "nobody": "there is no member nobody",
            "cannot leave": "node-2 cannot leave while a member is offline",
            "no quorum": "most of the voters do not answer|no available dqlite leader",
        }
        return suite.Traits(_eventually, refusals, "LXD")

    def test_two_machines_join_at_once(
        self, cluster: lxd.LxdMicrocluster, world: suite.Traits
    ) -> None:
        first, *newcomers = map(cluster.add_machine, ("node-1", "node-2", "node-3"))
        suite.succeed(first, "bootstrap")
        tokens = [suite.add(first, newcomer.name) for newcomer in newcomers]

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(suite.succeed, newcomers, ["join"] * 2, tokens))

        suite.settle(world, first, 3)
