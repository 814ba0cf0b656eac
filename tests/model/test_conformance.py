"""The fake microcluster passes the suite that real daemons pass too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance import suite
from tests.microclusters import fake

if TYPE_CHECKING:
    from collections.abc import Callable

JOINING = r"^Error: \d+ join attempts were unsuccessful\. Last error: "

# How the reference words it, as far as it was measured.
REFUSALS = suite.Refusals(
    already_member=r"^Error: Unable to initialize cluster: Database is online$",
    not_member=r"^Error: Database is not yet initialized$",
    name_taken=(
        r'^Error: unable to add server to microcluster, name "[^"]+" is taken:\n'
        r'Failed to create "core_token_records" entry: '
        r"UNIQUE constraint failed: core_token_records\.name$"
    ),
    token_unknown=JOINING + r"CoreTokenRecord not found$",
    token_expired=JOINING + r"Token expired$",
    token_of_other_name=(
        JOINING + r"Joining server certificate SAN does not contain join token name$"
    ),
    rubbish=r"^Error: illegal base64 data at input byte 8$",
    member_unreachable=r"^Error: .*connection refused$",
    no_such_member=r'^Error: No remote exists with the given name "nobody"$',
    no_quorum=r"^Error: .*no available dqlite leader server found$",
    join_unconfirmed=(
        r'^Error: Failed to confirm new member "node-4" on any existing system \(3\): '
        r".*connection refused$"
    ),
    cannot_leave=r"^Error: .*context deadline exceeded$",
    only_member=r"^Error: Cannot leave a cluster with 1 members$",
    cut_off=r"^Error: .*context canceled$",
)


class TestFakeMicrocluster(suite.ConformanceSuite):
    @pytest.fixture(params=["2.0.5", "3.0.0"])
    def cluster(self, request: pytest.FixtureRequest) -> fake.FakeMicrocluster:
        return fake.FakeMicrocluster(version=request.param)

    @pytest.fixture
    def world(self, cluster: fake.FakeMicrocluster) -> suite.Traits:
        def eventually(predicate: Callable[[], bool], limit: float) -> None:
            for _ in range(int(limit)):
                if predicate():
                    return
                cluster.advance(1.0)
            assert predicate()

        return suite.Traits(
            eventually=eventually,
            at_once=suite.one_after_the_other,
            refusals=REFUSALS,
            joins_while_member_down=cluster.version.joins_while_degraded,
            cuts_off_leaver=cluster.version.cuts_off_leaver,
        )
