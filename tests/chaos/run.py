"""One seed from its beginning to its end."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests import juju_model
from tests.chaos import invariants, schedule
from tests.clouds import local

if TYPE_CHECKING:
    from tests.juju_model import HookContext

# Of update-status, five minutes of the model's time each: tokens that nobody holds any more block
# their host name for three hours.
_ROUNDS = 42
# Until an operator lends a hand.
_PATIENT_ROUNDS = 5
# Seconds of the model's time: a hook that has failed long ago is tried again every five minutes.
_PATIENCE = 300.0
DEEDS = 20
"""How many things befall the cloud."""

SEEDS_IN_CI = 500
"""How many schedules the tests run, from 0 on."""

TAIL = 60
"""Of the hooks before a failure, how many its message shows."""


@dataclasses.dataclass(frozen=True)
class Result:
    """How a schedule ended in which everything held.

    Attributes:
        hooks: how many ran.
        lost: whether the cluster lost its quorum for good, which the schedule then ends with.
    """

    hooks: int
    lost: bool


class Failure(AssertionError):  # noqa: N818 - named for what it is
    """A seed has failed; the message holds the seed and a trace."""


def run(
    seed: int, *, deeds: int = DEEDS, tail_length: int = TAIL, microcluster: str = ""
) -> Result:
    """Run a schedule, and check everything.

    The seed says more than what befalls the cloud: odd ones run on Juju 4.0 and even ones on 3.6,
    in every third hooks of several machines interleave, and some have rarer mishaps, see
    `schedule`.

    Args:
        seed: makes every choice.
        deeds: how many things befall the cloud.
        tail_length: how many of the last hooks a failure's message shows.
        microcluster: its version; by default the seed says that, too.

    Returns:
        How it ended.

    Raises:
        Failure: an invariant does not hold.
    """
    version = "4.0" if seed % 2 else "3.6"
    release = microcluster or ("3.0.0" if seed // 2 % 2 else "2.0.5")
    interleave = 0.2 if seed % 3 == 0 else 0.0
    with juju_model.Juju(seed=seed, version=version, interleave=interleave) as juju:
        below = local.fake_microcluster(juju, seed, release)
        # An address that is refused for good keeps its unit out, whatever any charm does.
        below.address_sticks = 0.0
        cloud = local.LocalCloud(juju, below)
        watch = invariants.Invariants(cloud, below)
        fate = schedule.Schedule(cloud, below, seed)

        def at_point(context: HookContext) -> None:
            watch.at_point(context)
            fate.hook_fault(context)

        juju.faults = at_point
        juju.on_hook.append(watch.after_hook)
        try:
            fate.begin()
            for _ in range(deeds):
                fate.deed()
            fate.calm()
            juju.settle(retry_failed=True, patience=_PATIENCE)
            rounds = 0
            while (problems := watch.unfinished()) and rounds < _ROUNDS:
                if watch.beyond_help():
                    return Result(len(juju.trace), lost=True)
                if rounds == _PATIENT_ROUNDS:
                    fate.forget_members()
                juju.update_status_round(retry_failed=True, patience=_PATIENCE)
                rounds += 1
            if problems:
                raise invariants.Violation("; ".join(problems))
        except (AssertionError, invariants.Violation, juju_model.NotSettled) as error:
            tail = local.tail(juju, tail_length)
            done = "\n".join(fate.deeds)
            raise Failure(
                f"seed {seed} with {deeds} deeds on Juju {version} and microcluster {release}: "
                f"{error}\n-- deeds\n{done}\n-- hooks\n{tail}"
            ) from error
        return Result(len(juju.trace), lost=False)
