"""One whole cluster comes about, whatever happens before."""

from __future__ import annotations

from typing import cast

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.simulation import cloud, schedules

_PARTS = 2


@pytest.mark.parametrize("part", range(_PARTS))
@pytest.mark.parametrize("juju", ["3.6", "4.0"])
@pytest.mark.parametrize("microcluster", ["2.0.5", "3.0.0"])
def test_cluster_is_whole_in_the_end(
    juju: str, microcluster: str, part: int, request: pytest.FixtureRequest
) -> None:
    """A failure is shown as the shortest list of operations found, for `test_regressions`."""
    # Only v3 bears that units join while a member is down.
    consumers = cloud.CHARMS if microcluster == "3.0.0" else cloud.CHARMS[:2]
    schedules_in_all = cast("int", request.config.getoption("--schedules"))
    seed = (request.config.getoption("--hypothesis-seed") or 0, juju, microcluster, part)

    @hypothesis.seed(str(seed))
    @hypothesis.settings(
        max_examples=schedules_in_all // (4 * _PARTS),
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
