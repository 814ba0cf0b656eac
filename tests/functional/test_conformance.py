"""Real LXD daemons behave as the measured microcluster does, but for what `world` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tenacity

from tests.conformance import suite

if TYPE_CHECKING:
    from collections.abc import Callable


def _eventually(predicate: Callable[[], bool], limit: float) -> None:
    """Ask again and again, for daemons do some things in their own time.

    A predicate that fails counts as one that does not hold: while the database elects a leader,
    no member answers.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held)
        | tenacity.retry_if_exception_type(AssertionError),
        stop=tenacity.stop_after_delay(limit),
        wait=tenacity.wait_fixed(0.2),
        reraise=True,
    )
    try:
        retrying(predicate)
    except tenacity.RetryError:
        pytest.fail(f"it did not come about within {limit:g} s")


class TestLxd(suite.ConformanceSuite):
    """The suite, with clusters of LXD daemons."""

    @pytest.fixture
    def world(self) -> suite.Traits:
        """LXD by its workload: a newcomer can join while a member is dead."""
        return suite.Traits(
            eventually=_eventually,
            joins_while_member_down=True,
            only_member_leaves=True,
            checks_names=False,
            pending_after_join=False,
            refusals=suite.Refusals(
                already_member="LXD is part of a cluster already",
                not_member="LXD is not part of a cluster",
                name_taken="there is an unused token for node-3",
                token_unknown="No matching cluster join operation found",  # noqa: S106, no token
                token_expired="No matching cluster join operation found",  # noqa: S106, no token
                token_of_other_name="the token is not for node-2",  # noqa: S106, no token
                rubbish="this is no join token",
                member_unreachable="node-3 is offline",
                no_such_member="there is no member nobody",
                cannot_leave="node-2 cannot leave while a member is offline",
                no_quorum="most of the voters do not answer|no available dqlite leader",
            ),
        )
