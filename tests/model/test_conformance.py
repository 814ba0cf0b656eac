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
REFUSALS = {
    "member": "^Error: Unable to initialize cluster: Database is online$",
    "not a member": "^Error: Database is not yet initialized$",
    "name taken": r'name "[^"]+" is taken:\n.*UNIQUE .* failed: core_token_records\.name$',
    "used token": JOINING + "CoreTokenRecord not found$",
    "expired token": JOINING + "Token expired$",
    "another's token": JOINING + ".*certificate SAN does not contain join token name$",
    "rubbish": "^Error: illegal base64 data at input byte 8$",
    "unreachable": "^Error: .*connection refused$",
    "nobody": '^Error: No remote exists with the given name "nobody"$',
    "no quorum": "^Error: .*no available dqlite leader server found$",
    "unconfirmed": r'new member "node-4" on any .* system \(3\): .*connection refused$',
    "cannot leave": "^Error: .*context deadline exceeded$",
    "alone": "^Error: Cannot leave a cluster with 1 members$",
}


class TestFakeMicrocluster(suite.ConformanceSuite):
    @pytest.fixture(params=["2.0.5", "3.0.0"])
    def cluster(self, request: pytest.FixtureRequest) -> fake.FakeMicrocluster:
        return fake.FakeMicrocluster(version=request.param)

    @pytest.fixture
    def world(self, cluster: fake.FakeMicrocluster) -> suite.Traits:
        def eventually(predicate: Callable[[], bool]) -> None:
            for _ in range(int(suite.SETTLING)):
                if predicate():
                    return
                cluster.advance(1.0)
            assert predicate()

        return suite.Traits(eventually, REFUSALS, cluster.version)
