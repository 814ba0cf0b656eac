"""One whole cluster comes about, whatever happens before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
from hypothesis import strategies as st

from tests.simulation import cloud, schedules

if TYPE_CHECKING:
    import pytest

_VERSIONS = [
    (juju, microcluster) for juju in ("3.6", "4.0") for microcluster in ("2.0.5", "3.0.0")
]


def test_cluster_is_whole_in_the_end(batch: int, request: pytest.FixtureRequest) -> None:
    """A failure is shown as the shortest list of operations found, for `test_regressions`."""
    juju, microcluster = _VERSIONS[batch % len(_VERSIONS)]
    # Only v3 bears that units join while a member is down.
    consumers = cloud.CHARMS if microcluster == "3.0.0" else cloud.CHARMS[:2]

    @hypothesis.seed(f"{request.config.getoption('--hypothesis-seed')} {batch}")
    @hypothesis.settings(
        max_examples=schedules.BATCH,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    @hypothesis.given(schedules.operations(), st.sampled_from(consumers), st.booleans())
    def run(operations: list[schedules.Do], consumer: str, interleaved: bool) -> None:
        schedules.replay(
            operations,
            juju=juju,
            microcluster=microcluster,
            consumer=consumer,
            interleaved=interleaved,
        )

    run()
