"""No token is where people read: in a log, a status, an exception, or what is stored.

Each other test of the consumer checks this too: see `conftest.py`, and `consumer.Unit.hook`.
"""

from __future__ import annotations

import subprocess
import textwrap
import traceback

import pytest
from ops import testing

from microcluster_token_distributor import _membership, _wire
from tests.unit import consumer, runner
from tests.unit.consumer import NO, TOKEN_0, TOKEN_1

HANGING = subprocess.TimeoutExpired([*consumer.COMMAND, TOKEN_0], 30, TOKEN_0, TOKEN_0)
FAILURES = {
    "in a sentence": runner.Answer(1, stderr=f"Error: bad token {TOKEN_0!r}: refused\n"),
    "again and again": runner.Answer(1, stderr=f"{TOKEN_0},{TOKEN_0}\n" * 20),
    "broken into lines": runner.Answer(1, stderr="\n".join(textwrap.wrap(TOKEN_0, 76))),
    "on both outputs": runner.Answer(-6, stdout=TOKEN_0, stderr=f"issued {TOKEN_0}"),
    "hanging": runner.Answer(error=HANGING),
    "an error of the system": runner.Answer(error=OSError(7, "Argument list too long", TOKEN_0)),
    "a bad argument": runner.Answer(error=ValueError(f"embedded null byte in {TOKEN_0}")),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failing_command_shows_no_token(unit: consumer.Unit, failure: runner.Answer) -> None:
    """Though its complaint is logged, and is in the status or the exception."""
    unit.lists(failure)
    unit.hook()
    unit.lists(NO)
    unit.offer(ends=failure)
    unit.hook()
    unit.grant(ends=failure)
    unit.hook()
    unit.settle("node-0", "node-2", waiting="node-1")
    unit.expect("add", "node-1", answers=[failure])
    unit.hook()
    unit.expect("remove", "node-0", "--now", answers=[failure])
    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")
    consumer.check(traceback.format_exception(caught.type, caught.value, caught.tb))


def test_representations_show_no_token() -> None:
    published = _wire.Published(values={"node-0": TOKEN_0})
    own = _wire.Report("micro/0", values={"node-1": TOKEN_1})
    state = _membership.UnitState("node-0", own, published, tokens={"node-1": TOKEN_1})

    consumer.check(map(repr, [published, own, state, _membership.report(state)]))
