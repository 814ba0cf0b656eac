"""A schedule from its beginning to its end."""

from collections.abc import Sequence

from tests import juju_model
from tests.juju_model import HookContext
from tests.simulation import cloud as clouds
from tests.simulation import invariants
from tests.simulation.operations import Do, Operations

# Of update-status, five minutes each: a token that nobody holds blocks its host name for three
# hours.
_ROUNDS = 42
# Until an operator lends a hand, and again after as many.
_PATIENT_ROUNDS = 5
# Seconds of the model's time: a hook that has failed long ago is tried again every five minutes.
_PATIENCE = 300.0
# Until all is quiet after the faults: hundreds are usual.
_MOST_HOOKS = 1500


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
            raise Failure(
                f"{error}\n\n    replay(\n      [\n{lines}      ],\n      juju={juju!r}, "
                f"microcluster={microcluster!r}, consumer={consumer!r}, "
                f"interleaved={interleaved},\n    )\n-- done\n"
                + "\n".join(doing.log)
                + f"\n-- hooks\n{cloud.last_hooks()}"
            ) from error
    return doing.log


def _finish(cloud: clouds.Cloud, watch: invariants.Invariants, doing: Operations) -> None:
    """Let one whole cluster come about, with every unit in it."""
    cloud.juju.settle(_MOST_HOOKS, retry_failed=True, patience=_PATIENCE)
    for done in range(_ROUNDS + 1):
        doing.relate_all()
        if not watch.unfinished():
            return
        if watch.beyond_help():
            doing.log.append("the quorum is lost")
            return
        if done and done % _PATIENT_ROUNDS == 0:
            doing.lend_a_hand()
        cloud.juju.update_status_round(retry_failed=True, patience=_PATIENCE)
    raise invariants.Violation("; ".join(watch.unfinished()))
