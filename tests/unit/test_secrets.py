"""No token is where people read: in a log, a status, an exception, or what is stored.

Each other test of the consumer checks this too: see `conftest.py`, and `consumer.Unit.hook`.
"""

from __future__ import annotations

import logging
import subprocess
import textwrap
import traceback

import pytest
from ops import testing

from microcluster_token_distributor import _consumer, _membership, _wire, _workload
from tests.unit import consumer, runner
from tests.unit.consumer import JOIN, NO, TOKEN_0, TOKEN_1, members


def failures(token: str) -> dict[str, runner.Answer]:
    """Return the ways in which a command can fail and repeat a token as it does."""
    timeout = subprocess.TimeoutExpired([*consumer.COMMAND, token], 30, token, token)
    return {
        "bare": runner.Answer(1, stderr=token),
        "in a sentence": runner.Answer(1, stderr=f"Error: bad token {token!r}: refused\n"),
        "as an option": runner.Answer(1, stderr=f"unknown flag --token={token};"),
        "again and again": runner.Answer(1, stderr=f"{token},{token}\n" * 20),
        "in parts": runner.Answer(1, stderr=f"Error: {token[:60]}...{token[-60:]}"),
        "broken into lines": runner.Answer(1, stderr="\n".join(textwrap.wrap(token, 76))),
        "on both outputs": runner.Answer(1, stdout=token, stderr=f"issued {token}"),
        "killed": runner.Answer(-6, stderr=f"panic: {token}"),
        "hanging": runner.Answer(error=timeout),
        "an error of the system": runner.Answer(error=OSError(7, "Argument list too long", token)),
        "a bad argument": runner.Answer(error=ValueError(f"embedded null byte in {token}")),
    }


@pytest.mark.parametrize("kind", failures("x"))
@pytest.mark.parametrize("command", ["list", "bootstrap", "join", "add", "remove"])
def test_failing_command_shows_no_token(unit: consumer.Unit, command: str, kind: str) -> None:
    """Though its complaint is logged, and is in the status or the exception."""
    failure = failures(TOKEN_0 if command == "join" else TOKEN_1)[kind]
    if command == "list":
        unit.lists(failure)
    elif command == "join":
        unit.offer(ends=failure)
    elif command == "bootstrap":
        unit.grant(ends=failure)
    else:
        unit.settle("node-0", "node-2", waiting="node-1")
        unit.goal(micro_0="dying", micro_1="active")
        unit.expect("add", "node-1", answers=[failure])
        unit.expect("remove", "node-0", "--now", answers=[failure])

    if command != "remove":
        unit.hook()
        return
    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")
    consumer.check(traceback.format_exception(caught.type, caught.value, caught.tb))


@pytest.mark.parametrize("form", ["short-token-1", "a.b!c~d" * 8])
@pytest.mark.parametrize("kind", ["bare", "in a sentence", "again and again", "killed"])
def test_token_of_another_form_is_cut_out_too(unit: consumer.Unit, kind: str, form: str) -> None:
    """It is known, so it need not look like one."""
    unit.publish({"node-0": form}, formed="true")
    unit.expect("join", form, *JOIN[2:], answers=[failures(form)[kind]])

    hook = unit.changed()

    assert "ERROR node-0 cannot join the cluster: " in hook.log
    assert form not in f"{hook.log} {hook.status}"


def test_hook_that_dies_shows_no_token(unit: consumer.Unit) -> None:
    unit.use(fails_at="joined")
    unit.offer()
    unit.lists(NO, members("node-0", "node-1"))

    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.changed()

    consumer.check(traceback.format_exception(caught.type, caught.value, caught.tb))


def test_tokens_are_stored_in_their_own_files_alone(unit: consumer.Unit) -> None:
    """Not in StoredState or a deferred event, which `hook` looks through; not in any argument."""
    unit.use(defers=True)
    unit.grant(waiting="node-0 node-1")
    unit.lists(NO, members("node-0"))
    unit.issues("node-1")

    hook = unit.hook()

    assert unit.state.deferred
    assert [path.name for path in unit.root.rglob("*") if path.is_file()] == ["node-1"]
    assert unit.token_files() == {"node-1": TOKEN_1}
    consumer.check(word for call in hook.calls for word in call)


def test_representations_show_no_token() -> None:
    published = _wire.Published(values={"node-0": TOKEN_0})
    own = _wire.Report("micro/0", values={"node-1": TOKEN_1})
    state = _membership.UnitState("node-0", own, published, tokens={"node-1": TOKEN_1})

    consumer.check(map(repr, [published, own, state, _membership.report(state)]))


@pytest.mark.parametrize("text", [TOKEN_0, f"'{TOKEN_0}'", f"x {TOKEN_0[30:75]}..."])
@pytest.mark.parametrize("place", ["log", "module's log", "status", "exception"])
def test_checks_see_a_token_wherever_it_is(
    unit: consumer.Unit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
    text: str,
) -> None:
    """Whole or in part, in a library that is made to show one."""

    def show(*_: object, **__: object) -> _membership.MembershipReport:
        if place == "exception":
            raise _workload.WorkloadError(text)
        if "log" in place:
            level = logging.DEBUG if place == "module's log" else logging.INFO
            logging.getLogger("any.module").log(level, "got %s", text)
        return _membership.MembershipReport(reason=text if place == "status" else "")

    monkeypatch.setattr(_consumer.TokenConsumer, "_ask", show)

    with pytest.raises(AssertionError, match="parts of tokens are shown"):
        unit.hook()
    # The log of this test's own is checked as well.
    caplog.clear()
