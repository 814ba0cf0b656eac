"""Both drivers wait for what they look at themselves, with a limit, and say what they saw."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.clouds import protocol, real
from tests.drivers import shapes, stand_in

if TYPE_CHECKING:
    from tests.drivers.driven import Driven

CONSUMER = protocol.CONSUMER


def _status(*agents: str, workload: str = "active") -> str:
    units = {
        f"{CONSUMER}/{number}": shapes.unit(str(number), agent=agent, workload=workload)
        for number, agent in enumerate(agents)
    }
    return shapes.status({CONSUMER: units})


def test_a_model_is_settled_when_it_has_been_quiet_for_a_while(driven: Driven) -> None:
    """A moment between two hooks is no quiet."""
    idle, busy = _status("idle", "idle"), _status("idle", "executing")
    driven.answers("status", busy, idle, idle, busy, idle)

    driven.cloud.settle()

    assert len(driven.juju.calls("status")) == 7
    assert driven.slept == [driven.pace.poll] * 6


def test_a_dead_machines_agent_is_not_waited_for(driven: Driven) -> None:
    """It shows nothing but "lost"."""
    driven.answers("status", _status("idle", "lost"))
    driven.cloud.kill_machine(f"{CONSUMER}/1")

    driven.cloud.settle()

    assert driven.cloud.status(f"{CONSUMER}/1") == ("active", "")


def test_a_unit_that_leaves_is_waited_for(driven: Driven) -> None:
    """The model is not settled before it is gone."""
    both, one = _status("idle", "idle"), _status("idle")
    driven.answers("status", both)
    driven.cloud.remove_unit(f"{CONSUMER}/1")
    asked = len(driven.juju.calls("status"))
    driven.answers("status", both, both, one)

    driven.cloud.settle()

    assert len(driven.juju.calls("status")) - asked == 5


def test_a_model_that_never_settles_fails_with_who_is_busy(driven: Driven) -> None:
    """And with the status for a person to read."""
    driven.answers("status", _status("idle", "executing"))

    with pytest.raises(AssertionError, match=f"not settled: {CONSUMER}/1's agent is executing"):
        driven.cloud.settle()

    assert sum(driven.slept) <= driven.pace.limit


def test_what_is_waited_for_is_looked_for_until_it_is_seen(driven: Driven) -> None:
    """A missing leader, say, is a reason to look again."""
    driven.answers("status", _status("idle"))
    looks = iter([False, AssertionError("no unit leads"), True])

    def seen() -> bool:
        look = next(looks)
        if isinstance(look, AssertionError):
            raise look
        return look

    driven.cloud.eventually("something", seen)

    assert len(driven.slept) == 2


def test_what_is_never_seen_fails_with_what_it_was(driven: Driven) -> None:
    """With the last reason why not, and the status."""
    driven.answers("status", _status("idle"))

    def seen() -> bool:
        raise AssertionError("no unit leads")

    with pytest.raises(AssertionError, match="not seen: a leader; no unit leads") as caught:
        driven.cloud.eventually("a leader", seen)

    assert f"{CONSUMER}/0" in str(caught.value)
    assert sum(driven.slept) <= driven.pace.limit


def test_a_controller_that_does_not_answer_for_a_moment_is_asked_again(driven: Driven) -> None:
    """It may be busy."""
    driven.juju.answers(
        "status",
        stand_in.Answer(err="ERROR connection is shut down", code=1),
        stand_in.Answer(_status("idle")),
    )

    driven.cloud.eventually("an answer", lambda: True)

    assert len(driven.slept) == 1


def test_a_controller_that_never_answers_is_told_of(driven: Driven) -> None:
    """Rather than what could not be seen without it."""
    driven.juju.answers("status", stand_in.Answer(err="ERROR connection refused", code=1))

    with pytest.raises(AssertionError, match="connection refused"):
        driven.cloud.eventually("an answer", lambda: True)


def test_a_failed_hook_fails_the_story_at_once(driven: Driven) -> None:
    """No waiting will mend it, for the model does not retry hooks."""
    driven.answers("status", _status("idle", workload="error"))

    with pytest.raises(real.FailedHookError, match=f"{CONSUMER}/0 is in error"):
        driven.cloud.eventually("anything", lambda: False)

    assert not driven.slept
    assert not driven.juju.calls("resolved")


def test_a_hook_that_died_with_its_machine_is_tried_again(driven: Driven) -> None:
    """That is no fault of the charm's."""
    driven.answers("status", _status("idle", workload="error"))
    driven.cloud.kill_machine(f"{CONSUMER}/0")
    driven.cloud.start_machine(f"{CONSUMER}/0")

    driven.cloud.eventually("anything", lambda: True)

    assert [call[-1] for call in driven.juju.calls("resolved")] == [f"{CONSUMER}/0"]


def test_a_unit_that_its_cluster_does_not_let_go_tries_again(driven: Driven) -> None:
    """Its hook fails until then, and that is by design."""
    driven.answers("status", _status("idle", "idle", workload="error"))
    driven.cloud.remove_unit(f"{CONSUMER}/0")
    driven.cloud.remove_unit(f"{CONSUMER}/1")

    driven.cloud.eventually("anything", lambda: True)

    assert len(driven.juju.calls("resolved")) == 2


def test_waiting_lasts_for_so_many_rounds_of_update_status(driven: Driven) -> None:
    """Juju varies their interval, so it is a little longer."""
    driven.answers("status", _status("idle"))

    driven.cloud.wait(2)

    assert driven.slept[0] > 2 * driven.pace.update_status


def test_python_libjujus_loop_goes_on_while_a_story_waits(by_libjuju: Driven) -> None:
    """Its connection lives on that loop, and would be closed if nothing answered it."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    cloud = by_libjuju.cloud
    loop = cloud.__dict__["_loop"]
    assert isinstance(loop, asyncio.AbstractEventLoop)
    ticking = loop.create_task(tick())

    type(cloud).sleep(cloud, 0.01)

    assert ticks > 1
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(ticking)


def test_a_deed_of_python_libjuju_that_hangs_is_given_up(
    by_libjuju: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library waits for some things without a limit of its own."""
    monkeypatch.setattr(by_libjuju.cloud, "_pace", real.Pace(limit=0.01))

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    by_libjuju.model.integrate.side_effect = hang

    with pytest.raises(real.CommandError, match="no end within"):
        by_libjuju.cloud.integrate("one", "two")
