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
from tests.unit.consumer import TOKEN_0, TOKEN_1


def failures(token: str) -> dict[str, runner.Answer]:
    """Return the ways in which a command can fail and repeat a token as it does."""
    timeout = subprocess.TimeoutExpired([*consumer.COMMAND, token], 30, token, token)
    return {
        "in a sentence": runner.Answer(1, stderr=f"Error: bad token {token!r}: refused\n"),
        "again and again": runner.Answer(1, stderr=f"{token},{token}\n" * 20),
        "broken into lines": runner.Answer(1, stderr="\n".join(textwrap.wrap(token, 76))),
        "on both outputs": runner.Answer(-6, stdout=token, stderr=f"issued {token}"),
        "hanging": runner.Answer(error=timeout),
        "an error of the system": runner.Answer(error=OSError(7, "Argument list too long", token)),
        "a bad argument": runner.Answer(error=ValueError(f"embedded null byte in {token}")),
    }


@pytest.mark.parametrize("kind", failures("x"))
@pytest.mark.parametrize("command", ["list", "bootstrap", "join", "add"])
def test_failing_command_shows_no_token(unit: consumer.Unit, command: str, kind: str) -> None:
    """Though its complaint is logged, and is in the status."""
    failure = failures(TOKEN_0 if command == "join" else TOKEN_1)[kind]
    if command == "list":
        unit.lists(failure)
    elif command == "join":
        unit.offer(ends=failure)
    elif command == "bootstrap":
        unit.grant(ends=failure)
    else:
        unit.settle("node-0", "node-2", waiting="node-1")
        unit.expect("add", "node-1", answers=[failure])
    unit.hook()


@pytest.mark.parametrize("kind", failures("x"))
def test_unit_that_cannot_leave_shows_no_token(unit: consumer.Unit, kind: str) -> None:
    """Nor does what its exception was raised from."""
    unit.settle("node-0", "node-2")
    unit.expect("remove", "node-0", "--now", answers=[failures(TOKEN_1)[kind]])

    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")

    consumer.check(traceback.format_exception(caught.type, caught.value, caught.tb))


def test_representations_show_no_token() -> None:
    published = _wire.Published(values={"node-0": TOKEN_0})
    own = _wire.Report("micro/0", values={"node-1": TOKEN_1})
    state = _membership.UnitState("node-0", own, published, tokens={"node-1": TOKEN_1})

    consumer.check(map(repr, [published, own, state, _membership.report(state)]))
