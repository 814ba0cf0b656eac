"""No token is ever where people read: in a log, a status, an exception, or what is stored.

Every other test of the consumer checks this too: see `no_token_leaks` of `conftest.py`, and
`consumer.Unit`.
"""

from __future__ import annotations

import logging
import pathlib
import re
import subprocess
import textwrap
import traceback

import pytest
from ops import testing

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import consumer, runner

TOKEN_0 = consumer.token("node-0")
TOKEN_1 = consumer.token("node-1")
JOIN = ("join", TOKEN_0, "--address", "192.0.2.7")


def failures(token: str, *argv: str) -> dict[str, runner.Answer]:
    """Return the ways in which a command can fail and repeat a token as it does."""
    timeout = subprocess.TimeoutExpired([*consumer.COMMAND, *argv, token], 30, token, token)
    return {
        "bare": runner.Answer(1, stderr=token),
        "in a sentence": runner.Answer(1, stderr=f"Error: bad token {token!r}: refused\n"),
        "as an option": runner.Answer(1, stderr=f"unknown flag --token={token};"),
        "again and again": runner.Answer(1, stderr=f"{token},{token}\n" * 20),
        "its beginning": runner.Answer(1, stderr=f"Error: illegal base64 data: {token[:60]}..."),
        "its end": runner.Answer(1, stderr=f"Error: ...{token[-60:]}"),
        "broken into lines": runner.Answer(1, stderr="\n".join(textwrap.wrap(token, 76))),
        "killed": runner.Answer(-6, stderr=f"panic: {token}"),
        "hanging": runner.Answer(error=timeout),
        "an error of the system": runner.Answer(error=OSError(7, "Argument list too long", token)),
        "a bad argument": runner.Answer(error=ValueError(f"embedded null byte in {token}")),
    }


KINDS = list(failures("x"))
every_failure = pytest.mark.parametrize("kind", KINDS)


@every_failure
def test_a_join_that_fails_shows_no_token(unit: consumer.Unit, kind: str) -> None:
    """Its command line is the one that holds one."""
    unit.use(consumer.StatusCharm)
    unit.show({"node-0": TOKEN_0})
    unit.expect(*JOIN, answers=[failures(TOKEN_0, "join")[kind]])

    hook = unit.hook("update_status")

    assert hook.logged("ERROR node-0 cannot join the cluster: .+")
    assert hook.status == ("waiting", "join failed and will be tried again, see the log")
    assert hook.bag == {"hostname": "node-0", "member": "false", "failed": lib.digest(TOKEN_0)}


@every_failure
@pytest.mark.parametrize("form", ["short-token-1", "a.b!c~d" * 8])
def test_a_token_of_another_form_is_cut_out_of_what_join_says(
    unit: consumer.Unit, kind: str, form: str
) -> None:
    """It is known, so it need not look like one."""
    consumer.watch(form)
    whole = not kind.startswith(("its ", "broken"))
    unit.show({"node-0": form})
    unit.expect("join", form, "--address", "192.0.2.7", answers=[failures(form)[kind]])

    hook = unit.hook("update_status")

    assert hook.logged("ERROR node-0 cannot join the cluster: .+")
    assert not whole or all(form not in line for line in hook.log)


@every_failure
def test_a_list_that_fails_shows_no_token(unit: consumer.Unit, kind: str) -> None:
    """Though its complaint is in the status too."""
    unit.use(consumer.StatusCharm)
    unit.show({"node-0": TOKEN_0})
    unit.lists(failures(TOKEN_0, "list")[kind])

    hook = unit.hook("update_status")

    assert hook.status[0] == "waiting"
    assert hook.logged("WARNING cannot list the members of the cluster: .+")


@every_failure
def test_an_add_that_fails_shows_no_token(unit: consumer.Unit, kind: str) -> None:
    """Neither the new one nor the one that it was to replace."""
    unit.use(consumer.StatusCharm)
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[failures(TOKEN_1, "add")[kind]])

    hook = unit.hook("update_status")

    assert hook.logged("WARNING no token for node-1: .+")
    assert "mirror-node-1" not in hook.bag


@every_failure
@pytest.mark.parametrize("command", ["bootstrap", "remove --force"])
def test_no_other_command_that_fails_shows_a_token(
    unit: consumer.Unit, kind: str, command: str
) -> None:
    """Whatever it has to do with it."""
    unit.use(consumer.StatusCharm)
    answer = failures(TOKEN_1)[kind]
    down = ("node-1", "voter", "UNREACHABLE")
    if command == "bootstrap":
        unit.show({}, bootstrap_unit="micro/0")
        unit.expect("bootstrap", "--first", answers=[answer])
    else:
        unit.remember(in_cluster=True)
        unit.show({"node-0": "joined"}, left="node-1")
        unit.lists(consumer.members("node-0", down))
        unit.expect("remove", "node-1", "--force", answers=[answer])

    hook = unit.hook("update_status")

    assert any(re.match("WARNING removing|ERROR", line) for line in hook.log)


@every_failure
def test_a_leave_that_is_refused_shows_no_token(unit: consumer.Unit, kind: str) -> None:
    """Neither in the log nor in the exception, which `Unit.hook` looks through."""
    unit.use(consumer.StatusCharm)
    unit.remember(in_cluster=True)
    unit.lists(consumer.members("node-0", "node-1"))
    unit.expect("remove", "node-0", answers=[failures(TOKEN_1)[kind]])
    unit.commands.expect("goal-state", "--format=json", answers=[runner.Answer(1)])

    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("remove")

    assert isinstance(caught.value.__cause__, lib.LeaveRefusedError)


def test_what_add_prints_besides_is_not_shown(unit: consumer.Unit) -> None:
    """It is no token, but may hold one."""
    unit.use(consumer.StatusCharm)
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"})
    unit.lists(consumer.members("node-0"))
    answer = runner.Answer(stdout=f"Token for node-1:\n{TOKEN_1}\n", stderr=f"issued {TOKEN_1}")
    unit.expect("add", "node-1", answers=[answer])

    hook = unit.hook("update_status")

    assert hook.logged("WARNING no token for node-1: issued .cut.")


def test_a_list_that_prints_tokens_shows_none(unit: consumer.Unit) -> None:
    """Its output is not repeated, whatever it is."""
    unit.use(consumer.StatusCharm)
    unit.show({"node-0": TOKEN_0})
    unit.lists(consumer.prints(TOKEN_0))

    assert unit.hook("update_status").status[0] == "waiting"


def test_a_hook_that_dies_shows_no_token(unit: consumer.Unit) -> None:
    """Neither in its exception, nor in its traceback."""
    unit.use(consumer.FailingCharm)
    unit.show({"node-0": TOKEN_0, "node-1": TOKEN_1})
    unit.expect(*JOIN)

    with pytest.raises(testing.errors.UncaughtCharmError) as caught:
        unit.hook("update_status")

    consumer.check(traceback.format_exception(caught.type, caught.value, caught.tb))


def test_neither_what_is_stored_nor_a_deferred_event_holds_a_token(unit: consumer.Unit) -> None:
    """They end up in a database on the machine, and in bug reports."""
    unit.use(consumer.DeferringCharm)
    unit.show({"node-0": TOKEN_0, "node-1": TOKEN_1})
    unit.expect(*JOIN)

    hook = unit.hook("update_status")

    contents = {str(stored.content) for stored in unit.state.stored_states}
    assert "{'in_cluster': True}" in contents
    assert [event.snapshot_data for event in hook.deferred] == [{"bootstrapper": False}]


def test_nothing_is_written_beside_the_tokens_own_files(unit: consumer.Unit) -> None:
    """Those are readable by root alone."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1)])

    unit.hook("update_status")

    files = [file for file in unit.root.rglob("*") if file.is_file()]
    assert [file.relative_to(unit.root) for file in files] == [
        pathlib.Path(".cluster-tokens/node-1")
    ]
    assert unit.token_files() == {"node-1": TOKEN_1}


def test_a_token_is_in_no_command_line_but_that_of_join(unit: consumer.Unit) -> None:
    """All users of a machine can read command lines; the workload leaves no other way to join."""
    unit.remember(in_cluster=True)
    unit.write({"mirror-node-2": consumer.token("node-2"), "mirror": "up"})
    unit.show(
        {"node-0": TOKEN_0, "node-1": "empty", "node-2": consumer.token("node-2")}, left="node-3"
    )
    unit.lists(consumer.members("node-0", ("node-3", "voter", "OFF")), consumer.members("node-0"))
    unit.expect("remove", "node-3", "--force")
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1)])

    hook = unit.hook("update_status")

    assert len(hook.calls) == 4
    consumer.check(word for call in hook.calls for word in call)


# The checks themselves


@pytest.mark.parametrize("text", [TOKEN_0, f"'{TOKEN_0}'", f"x {TOKEN_0[30:75]}...", "a" * 9000])
def test_the_check_finds_a_part_of_a_token(text: str) -> None:
    """It would not be worth much else."""
    holds = not text.startswith("aaa")

    assert bool(consumer.leaks([f"Error: {text}"])) is holds


@pytest.mark.parametrize("place", ["charm's log", "module's log", "status", "exception"])
def test_the_checks_see_a_token_wherever_it_is(
    unit: consumer.Unit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
) -> None:
    """Each of them, in a library that is made to show one."""

    def show(*_: object, **__: object) -> lib.Workload:
        if place == "exception":
            raise ValueError(TOKEN_0)
        if place != "status":
            level = logging.DEBUG if place == "module's log" else logging.INFO
            logging.getLogger("any.module").log(level, "got %s", TOKEN_0)
        return lib.Workload(lib.Membership.UNKNOWN, reason=TOKEN_0 if place == "status" else "")

    unit.use(consumer.StatusCharm)
    monkeypatch.setattr(lib.TokenConsumer, "_ask", show)

    with pytest.raises(AssertionError, match="texts hold a token"):
        unit.hook("update_status")
    # The log of this test's own is checked as well.
    caplog.clear()
