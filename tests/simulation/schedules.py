"""A schedule from its beginning to its end, and how schedules are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests import juju_model
from tests.simulation import cloud as clouds
from tests.simulation import invariants
from tests.simulation.operations import NAMES, Do, Operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.juju_model import HookContext

BATCH = 10
"""So many schedules are drawn in a test: of more, Hypothesis makes most by changing others."""

# Of update-status, five minutes of the model's time each: tokens that nobody holds any more block
# their host name for three hours.
_ROUNDS = 42
# Until an operator lends a hand, and again after as many.
_PATIENT_ROUNDS = 5
# Seconds of the model's time: a hook that has failed long ago is tried again every five minutes.
_PATIENCE = 300.0
# Of the hooks before a failure, how many its message shows.
_TAIL = 60

# One that may bootstrap must not be renamed yet: see the regressions.
_DRAWN = [name for name in NAMES if name != "rename_machine"]
_UNITS = (3, 4, 5, 6, 7, 1, 2)
_OFTEN = ("add_unit", "kill_machine", "start_machine", "remove_lost_unit", "pass_time")


def operations() -> st.SearchStrategy[list[Do]]:
    """Draw the operations of a schedule."""
    which, hooks = st.integers(0, 7), st.sampled_from((0, 1, 5, 20, 100))
    order = st.lists(st.integers(0, 15), max_size=5).map(tuple)
    deploy, units = st.sampled_from(("deploy", "deploy_across_models")), st.sampled_from(_UNITS)
    start = st.builds(Do, deploy, units, hooks, order)
    # The first of the names is what the others shrink to.
    names = st.sampled_from([*_DRAWN, *3 * _OFTEN])
    rest = st.lists(st.builds(Do, names, which, hooks, order), min_size=12, max_size=20)
    return st.tuples(start, rest).map(lambda drawn: [drawn[0], *filter(_does_something, drawn[1])])


def _does_something(operation: Do) -> bool:
    return operation.what != "wait" or operation.hooks > 0


class Failure(AssertionError):  # noqa: N818 - named for what it is
    """A schedule has failed; the message has it as a list, and what led to the failure."""


def replay(
    operations: Sequence[Do],
    *,
    juju: str,
    microcluster: str,
    consumer: str = "plain",
    interleaved: bool = False,
) -> list[str]:
    """Run a schedule, check everything, and return what was done.

    Raises:
        Failure: an invariant does not hold, or no whole cluster comes about in the end.
    """
    cloud = clouds.Cloud(juju, microcluster, consumer, interleaved=interleaved)
    watch, doing = invariants.Invariants(cloud), Operations(cloud)

    def at_point(context: HookContext) -> None:
        watch.at_point(context)
        doing.hook_fault(context)

    cloud.juju.faults = at_point
    cloud.juju.on_hook.append(watch.after_hook)
    with cloud.juju:
        try:
            for operation in operations:
                doing.do(operation)
            doing.stop_faults()
            _finish(cloud, watch, doing)
        except (AssertionError, invariants.Violation, juju_model.NotSettled) as error:
            lines = "".join(f"        {operation!r},\n" for operation in operations)
            hooks = "\n".join(map(str, list(cloud.juju.trace)[-_TAIL:]))
            raise Failure(
                f"{error}\n\n    replay(\n      [\n{lines}      ],\n      juju={juju!r}, "
                f"microcluster={microcluster!r}, consumer={consumer!r}, "
                f"interleaved={interleaved},\n    )\n-- done\n"
                + "\n".join(doing.log)
                + f"\n-- hooks\n{hooks}"
            ) from error
    return doing.log


def _finish(cloud: clouds.Cloud, watch: invariants.Invariants, doing: Operations) -> None:
    """Let one whole cluster come about, with every unit in it."""
    cloud.juju.settle(retry_failed=True, patience=_PATIENCE)
    problems: list[str] = []
    for done in range(_ROUNDS + 1):
        doing.relate_all()
        problems = watch.unfinished()
        if not problems:
            return
        if watch.beyond_help():
            doing.log.append("the quorum is lost")
            return
        if done and done % _PATIENT_ROUNDS == 0:
            doing.lend_a_hand()
        cloud.juju.update_status_round(retry_failed=True, patience=_PATIENCE)
    raise invariants.Violation("; ".join(problems))
