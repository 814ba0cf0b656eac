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
        """LXD through its adapter: kind to whoever joins while a member is dead."""
        return suite.Traits(
            eventually=_eventually,
            joins_while_member_down=True,
            only_member_leaves=True,
            checks_names=False,
            pending_after_join=False,
            refusals=suite.Refusals(
                already_member="Unable to initialize cluster: Database is online",
                not_member="^Error: Database is not yet initialized$",
                name_taken='name "node-3" is taken:\n.*UNIQUE constraint failed',
                token_unknown="Last error: CoreTokenRecord not found",  # noqa: S106, no token
                token_expired="Last error: CoreTokenRecord not found",  # noqa: S106, no token
                token_of_other_name="does not contain join token name",  # noqa: S106, no token
                rubbish="illegal base64 data at input byte 8",
                member_unreachable="connection refused",
                no_such_member='No remote exists with the given name "nobody"',
                cannot_leave="context deadline exceeded",
                no_quorum="no available dqlite leader server found",
            ),
        )
