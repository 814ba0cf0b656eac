"""The demonstration on a fake microcluster: it runs, fails when it should, and ends cleanly."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from demo import command, interruption
from tests import juju_model
from tests.clouds import local, protocol
from tests.demo import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.microclusters import fake

    Harm = Callable[[juju_model.Juju, fake.FakeMicrocluster, pytest.MonkeyPatch], None]


def _lack_one(members: list[protocol.Member]) -> list[protocol.Member]:
    return members[1:]


def _know_nobody(_: list[protocol.Member]) -> list[protocol.Member]:
    return []


def _list_one_twice(members: list[protocol.Member]) -> list[protocol.Member]:
    return [*members, *members[:1]]


def _rename_one(members: list[protocol.Member]) -> list[protocol.Member]:
    return [dataclasses.replace(member, name="stranger") for member in members[:1]] + members[1:]


def _miss_one(members: list[protocol.Member]) -> list[protocol.Member]:
    return members[1:] + [dataclasses.replace(member, online=False) for member in members[:1]]


def _run() -> int:
    with interruption.Interruption() as interrupted:
        return command.main(["--fake"], interrupted)


def _harm_at_the_end(monkeypatch: pytest.MonkeyPatch, harm: Harm) -> None:
    """Do harm once the last newcomer has joined, before the list is checked."""
    make = local.fake_microcluster

    def make_harmed(juju: juju_model.Juju, seed: int = 0) -> fake.FakeMicrocluster:
        cluster = make(juju, seed)

        def strike(hook: juju_model.Hook) -> None:
            if hook.unit == "lxd/5" and any("join" in each.argv for each in hook.commands):
                harm(juju, cluster, monkeypatch)

        juju.on_hook.append(strike)
        return cluster

    monkeypatch.setattr(local, "fake_microcluster", make_harmed)


def _issue(juju: juju_model.Juju, name: str) -> str:
    issued = juju.host("lxd/1").run([*local.COMMAND, "add", name])
    assert issued.returncode == 0
    return issued.stdout.strip()


def _admit_intruder(
    juju: juju_model.Juju, cluster: fake.FakeMicrocluster, _: pytest.MonkeyPatch
) -> None:
    """Let a machine join that no unit is on: no charm may remove it, since it is online."""
    intruder = cluster.add_machine("intruder")
    joined = intruder.run([*local.COMMAND, "join", _issue(juju, "intruder")])
    assert joined.returncode == 0


def _leave_ghost(
    juju: juju_model.Juju, cluster: fake.FakeMicrocluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leave a dead member of which no unit ever knew."""
    _admit_intruder(juju, cluster, monkeypatch)
    cluster.machines[-1].kill()


def test_it_names_the_fake_at_both_ends() -> None:
    """All that matters is said in its order, and nobody can take the fake for the real thing."""
    with running.started("--fake", env={"COLUMNS": "40", "LINES": "10"}) as run:
        code, out, err = run.end()
        left = run.left()

    assert (code, err, left) == (0, "", [])
    running.assert_in_order(out, running.EXPECTED)
    running.assert_no_token(out)
    assert "FAKE" in out.splitlines()[0]
    assert "FAKE" in out.partition("== Summary")[2]
    assert "real LXD" not in out
    # However narrow a terminal the environment claims to have, no line is cut or wrapped.
    running.assert_in_order(
        out,
        [
            r"^Unit +Machine +Cluster +Status +Message$",
            r"^lxd/\d\* +juju-demo-\d +(voter|stand-by) +active$",
            r"^distributor/\d\*? +juju-demo-\d +active  5 of 5 units in the cluster$",
        ],
    )
    assert "\N{HORIZONTAL ELLIPSIS}" not in out
    assert "\x1b" not in out


@pytest.mark.parametrize("seed", range(1, 3))
def test_it_goes_well_in_any_order_of_events(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The seed chooses which hook runs next, and who is elected."""
    with interruption.Interruption() as interrupted:
        code = command.main(["--fake", "--seed", str(seed)], interrupted)

    assert code == 0
    running.assert_in_order(capsys.readouterr().out, running.EXPECTED)


@pytest.mark.parametrize("harm", [_admit_intruder, _leave_ghost])
def test_a_member_that_is_no_unit_fails_it(
    harm: Harm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown in the list, and the exit code is not 0."""
    _harm_at_the_end(monkeypatch, harm)

    code = _run()

    out, err = capsys.readouterr()
    assert code == 1
    assert "intruder" in out.partition("own list of members")[2]
    assert "It is right" not in out
    assert err.startswith("FAILED: the list that lxd/1 gives is wrong")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("whose", "lie"),
    [
        ("lxd/4", _lack_one),
        (None, _know_nobody),
        ("lxd/4", _list_one_twice),
        (None, _rename_one),
        ("lxd/4", _miss_one),
    ],
)
def test_any_list_that_is_not_exactly_right_fails_it(
    whose: str | None,
    lie: Callable[[list[protocol.Member]], list[protocol.Member]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also when one machine alone gives it."""

    def make_wrong(_: object, __: object, patch: pytest.MonkeyPatch) -> None:
        truth = local.LocalCloud.members

        def members(cloud: local.LocalCloud, unit: str) -> list[protocol.Member]:
            listed = truth(cloud, unit)
            # With the newcomer still on its way, the list is not checked yet.
            return lie(listed) if whose in (None, unit) and unit != "lxd/5" else listed

        patch.setattr(local.LocalCloud, "members", members)

    _harm_at_the_end(monkeypatch, make_wrong)

    code = _run()

    out, err = capsys.readouterr()
    assert code == 1
    assert err.startswith(f"FAILED: the list that {whose or 'lxd/1'} gives is wrong")
    assert "It is right" not in out


def test_a_token_that_is_left_in_a_databag_fails_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under whatever key; the message says where, not what."""
    tokens: list[str] = []

    def leak(juju: juju_model.Juju, _: object, __: object) -> None:
        tokens.append(_issue(juju, "somebody"))
        (local_side,) = juju.unit("lxd/2").relations.values()
        local_side.relation.bag_of("lxd/2").apply({"note": tokens[0]})

    _harm_at_the_end(monkeypatch, leak)

    code = _run()

    out, err = capsys.readouterr()
    assert code == 1
    assert err == "FAILED: a token is left in the databag of lxd/2\n"
    assert tokens[0] not in out + err


def test_a_hook_that_fails_is_named_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a hook raised may hold anything."""
    make = local.fake_microcluster
    secret = "c2VjcmV0" * 8

    def make_faulty(juju: juju_model.Juju, seed: int = 0) -> fake.FakeMicrocluster:
        def strike(context: juju_model.HookContext) -> None:
            if context.unit == "lxd/1" and context.point is juju_model.Point.BEFORE_COMMAND:
                raise RuntimeError(f"a word, and {secret}")

        juju.faults = strike
        return make(juju, seed)

    monkeypatch.setattr(local, "fake_microcluster", make_faulty)

    code = _run()

    out, err = capsys.readouterr()
    assert code == 1
    assert err.startswith("FAILED: ")
    assert "lxd/1 microcluster-cluster-relation-created" in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert secret not in out + err


@pytest.mark.parametrize(
    "error",
    [
        ValueError("c2VjcmV0" * 8 + "\nmore lines"),
        subprocess.TimeoutExpired(["join", "c2VjcmV0" * 8], 3),
        OSError(28, "No space left on device"),
    ],
)
def test_any_other_end_has_a_reason_of_one_line_without_a_secret(error: Exception) -> None:
    """Nobody foresaw it, so the place in the code is given too."""
    try:
        raise error
    except Exception as raised:  # whatever it is
        reason = command.reason_of(raised)

    assert reason.startswith(f"{type(error).__name__} at test_fake.py:")
    assert "c2VjcmV0c2VjcmV0" not in reason
    assert len(reason.splitlines()) == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_nothing_is_left(signum: signal.Signals) -> None:
    """The exit code is a shell's, and the next run works."""
    with running.started("--fake") as run:
        run.read_until("bootstraps the cluster")
        run.process.send_signal(signum)
        run.process.send_signal(signum)
        code, out, err = run.end()
        left = run.left()

    assert (code, left) == (128 + signum, [])
    assert err == "Interrupted; everything that was started is stopped.\n"
    assert "It is right" not in out


def test_a_signal_while_things_are_started_or_stopped_waits_until_that_is_done() -> None:
    """And the second one of two changes nothing."""
    steps: list[str] = []
    with interruption.Interruption() as interrupted:
        with interrupted.held():
            os.kill(os.getpid(), signal.SIGINT)
            interrupted.check()
            steps.append("started")
        with pytest.raises(KeyboardInterrupt):
            interrupted.check()
        os.kill(os.getpid(), signal.SIGTERM)
        steps.append("stopped")

    assert steps == ["started", "stopped"]
    assert interrupted.signum == signal.SIGINT


def test_a_signal_in_a_finaliser_interrupts_what_comes_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Python drops what is raised there; nobody has to read about it."""

    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            list(range(3))

    with interruption.Interruption() as interrupted:
        dying = Dying()
        del dying
        with pytest.raises(KeyboardInterrupt):
            interrupted.check()

    assert capsys.readouterr().err == ""


def test_a_closed_pipe_ends_it_and_nothing_is_left() -> None:
    """As with `make demo | head -3`."""
    with running.started("--fake") as run:
        run.read_until("one cluster forms")
        assert run.process.stdout is not None
        run.process.stdout.close()
        run.process.stdout = None
        code, _, err = run.end()
        left = run.left()

    assert (code, err, left) == (command.READER_GONE, "", [])


def test_without_lxd_the_fake_is_named_and_the_exit_code_is_2() -> None:
    """Where nobody can be asked."""
    with running.started(env={"PATH": "/nonexistent"}) as run:
        code, out, err = run.end()

    assert (code, out) == (2, "")
    assert err.startswith("LXD daemons cannot run here: ")
    assert "make demo ARGS=--fake" in err


def _on_terminal(*options: str, answer: str = "", path: str = "") -> tuple[int, str]:
    """Run the demonstration on a terminal; returns its exit code and all that was drawn."""
    ours, theirs = pty.openpty()
    try:
        env = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PATH": path or os.defpath}
        with running.started(*options, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as run:
            os.close(theirs)
            os.write(ours, answer.encode())
            drawn = b""
            with contextlib.suppress(OSError):  # once the other end is closed
                while True:
                    drawn += os.read(ours, 65536)
            code, _, _ = run.end()
    finally:
        os.close(ours)
    return code, drawn.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("answer", "expected"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("\x04", 2)])
def test_without_lxd_a_person_at_a_terminal_is_asked(answer: str, expected: int) -> None:
    """Only a clear yes starts the fake."""
    code, drawn = _on_terminal(answer=answer, path="/nonexistent")

    assert code == expected
    assert "LXD daemons cannot run here: " in drawn
    assert "Go on with the fake? [y/N]" in drawn
    assert ("On a FAKE microcluster" in drawn) == (expected == 0)


def test_on_a_terminal_each_line_is_drawn_once_with_a_table_below() -> None:
    """The table is drawn over; the lines stay, so that they can be read at the end."""
    code, drawn = _on_terminal("--fake")

    assert code == 0
    assert drawn.count("== Two more machines: five") == 1
    assert drawn.count("leads in its place") == 1
    assert drawn.count("bootstraps the cluster") == 1
    assert drawn.count("shows: waiting to join: member") == 1
    # The titles are drawn for good only at the end.
    before, _, after = drawn.partition("== The units")
    assert before.count("Machine") > 1
    assert "Machine" in after
    # The cursor, hidden while a table is drawn over and over, is there again.
    assert drawn.rfind("\x1b[?25h") > drawn.rfind("\x1b[?25l")
