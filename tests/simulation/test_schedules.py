"""One whole cluster comes about, whatever happens before."""

import itertools
from typing import cast

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.simulation import cloud
from tests.simulation.operations import NAMES, Do
from tests.simulation.replay import replay

# So many are drawn in a test: of more, Hypothesis makes most by changing others.
_BATCH = 10
_VERSIONS = [
    (juju, microcluster) for juju in ("3.6", "4.0") for microcluster in ("2.0.5", "3.0.0")
]
_DEPLOY = ("deploy", "deploy", "deploy", "deploy_across_models")
_UNITS = (3, 4, 5, 6, 7, 1, 2)
_OFTEN = ("add_unit", "kill_machine", "start_machine", "remove_lost_unit", "pass_time")
# What is possible only after something else.
_SECOND = ("integrate", "suspend", "resume", "replace_lost_unit", "remove_distributor")


def operations() -> st.SearchStrategy[list[Do]]:
    """Draw the operations of a schedule."""
    which, hooks = st.integers(0, 7), st.sampled_from((0, 1, 5, 20, 100))
    order = st.lists(st.integers(0, 15), max_size=5).map(tuple)
    deploy, units = st.sampled_from(_DEPLOY), st.sampled_from(_UNITS)
    start = st.builds(Do, deploy, units, st.sampled_from((100, 20, 100, 5, 1, 0)), order)
    # The first of the names is what the others shrink to.
    names = st.sampled_from([*NAMES, *_SECOND, *3 * _OFTEN])
    # Fifteen on an average, and down to none when they shrink.
    few = st.lists(st.builds(Do, names, which, hooks, order), max_size=2)
    rest = st.tuples(*[few] * 15).map(itertools.chain.from_iterable)
    return st.tuples(start, rest).map(lambda drawn: [drawn[0], *drawn[1]])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each batch of schedules."""
    if "batch" in metafunc.fixturenames:
        number = cast("int", metafunc.config.getoption("--schedules"))
        metafunc.parametrize("batch", range(number // _BATCH))


def test_cluster_is_whole_in_the_end(batch: int, request: pytest.FixtureRequest) -> None:
    """A failure is shown as the shortest list of operations found, for `test_regressions`."""
    juju, microcluster = _VERSIONS[batch % len(_VERSIONS)]
    consumers = list(cloud.CHARMS)[: 3 if microcluster == "3.0.0" else 2]

    @hypothesis.seed(f"{request.config.getoption('--hypothesis-seed')} {batch}")
    @hypothesis.settings(
        max_examples=_BATCH,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    @hypothesis.given(operations(), st.sampled_from(consumers), st.booleans())
    def run(operations: list[Do], consumer: str, interleaved: bool) -> None:
        replay(
            operations,
            juju=juju,
            microcluster=microcluster,
            consumer=consumer,
            interleaved=interleaved,
        )

    run()
