"""The demonstration on a fake microcluster: it runs, fails when it must, and ends cleanly."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pty
import re
import signal
from typing import TYPE_CHECKING

import pytest

from demo import command
from tests import juju_model
from tests.clouds import local
from tests.demo import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clouds import protocol
    from tests.microclusters import fake


def _at_the_end(
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[juju_model.Juju, fake.FakeMicrocluster], None],
) -> None:
    """Do something once the last newcomer has joined, before the list is checked."""
    make = local.fake_microcluster

    def make_and_watch(juju: juju_model.Juju, seed: int = 0) -> fake.FakeMicrocluster:
        cluster = make(juju, seed)

        def watch(hook: juju_model.Hook) -> None:
            if hook.unit == "lxd/5" and any("join" in each.argv for each in hook.commands):
                act(juju, cluster)

        juju.on_hook.append(watch)
        return cluster

    monkeypatch.setattr(local, "fake_microcluster", make_and_watch)


def _issue(juju: juju_model.Juju, name: str) -> str:
    issued = juju.host("lxd/1").run([*local.COMMAND, "add", name])
    assert issued.returncode == 0
    return issued.stdout.strip()


def test_it_names_the_fake_at_both_ends() -> None:
    with running.started("--fake") as run:
        code, out, err = run.end()
        left = run.left()

    assert (code, err, left) == (0, "", [])
    running.assert_expected(out)
    running.assert_no_token(out)
    assert "FAKE" in out.splitlines()[0]
    assert "FAKE" in out.partition("== Summary")[2]
    assert "real LXD" not in out
    unit = r"^distributor/\d\*? +juju-demo-\d +active +5 of 5 units in the cluster$"
    assert re.search(unit, out, re.MULTILINE)


@pytest.mark.parametrize("seed", range(1, 3))
def test_any_order_of_events_ends_well(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    code = command.main(["--fake", "--seed", str(seed)])

    assert code == 0
    running.assert_expected(capsys.readouterr().out)


@pytest.mark.parametrize("dead", [False, True])
def test_a_member_that_is_no_unit_fails_it(
    dead: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No charm may remove it while it is online, or if no unit ever had its name."""

    def admit(juju: juju_model.Juju, cluster: fake.FakeMicrocluster) -> None:
        intruder = cluster.add_machine("intruder")
        joined = intruder.run([*local.COMMAND, "join", _issue(juju, "intruder")])
        assert joined.returncode == 0
        if dead:
            intruder.kill()

    _at_the_end(monkeypatch, admit)

    code = command.main(["--fake"])

    out, err = capsys.readouterr()
    assert code == 1
    assert "intruder" in out.partition("own list of members")[2]
    assert "It is right" not in out
    assert err.startswith("FAILED: the list that lxd/1 gives is wrong")


@pytest.mark.parametrize("how", ["lacks one", "has one offline"])
def test_a_wrong_list_of_one_machine_fails_it(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = local.LocalCloud.members

    def members(cloud: local.LocalCloud, unit: str) -> list[protocol.Member]:
        listed = truth(cloud, unit)
        if unit == "lxd/4":
            offline = [dataclasses.replace(each, online=False) for each in listed[:1]]
            return listed[1:] + ([] if how == "lacks one" else offline)
        return listed

    def change(_: object, __: object) -> None:
        monkeypatch.setattr(local.LocalCloud, "members", members)

    _at_the_end(monkeypatch, change)

    code = command.main(["--fake"])

    out, err = capsys.readouterr()
    assert code == 1
    assert err.startswith("FAILED: the list that lxd/4 gives is wrong")
    assert "It is right" not in out


def test_a_token_that_is_left_in_a_databag_fails_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens: list[str] = []

    def leak(juju: juju_model.Juju, _: object) -> None:
        tokens.append(_issue(juju, "somebody"))
        (local_side,) = juju.unit("lxd/2").relations.values()
        local_side.relation.bags["lxd/2"].apply({"note": tokens[0]})

    _at_the_end(monkeypatch, leak)

    code = command.main(["--fake"])

    out, err = capsys.readouterr()
    assert code == 1
    assert err == "FAILED: a token is left in the databag of lxd/2\n"
    assert tokens[0] not in out + err


def test_a_hook_that_fails_is_named_without_its_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message of an exception may contain anything."""
    make = local.fake_microcluster
    secret = "c2VjcmV0" * 8

    def make_faulty(juju: juju_model.Juju, seed: int = 0) -> fake.FakeMicrocluster:
        def fail(context: juju_model.HookContext) -> None:
            if context.unit == "lxd/1" and context.point is juju_model.Point.BEFORE_COMMAND:
                raise RuntimeError(f"a word, and {secret}")

        juju.faults = fail
        return make(juju, seed)

    monkeypatch.setattr(local, "fake_microcluster", make_faulty)

    code = command.main(["--fake"])

    out, err = capsys.readouterr()
    assert code == 1
    assert re.fullmatch(r"FAILED: .*lxd/1 microcluster-cluster-relation-created.*\n", err)
    assert secret not in out + err


def test_an_unforeseen_error_is_one_line_without_a_secret() -> None:
    try:
        raise ValueError("c2VjcmV0" * 8 + "\nmore lines")
    except ValueError as error:
        reason = command.reason_of(error)

    assert re.fullmatch(r"ValueError at test_fake.py:\d+: \[cut\]", reason)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_nothing_is_left(signum: signal.Signals) -> None:
    with running.started("--fake") as run:
        run.read_until("bootstraps the cluster")
        run.process.send_signal(signum)
        run.process.send_signal(signum)
        code, out, err = run.end()
        left = run.left()

    assert (code, left) == (128 + signum, [])
    assert err == "Interrupted; everything that was started is stopped.\n"
    assert "It is right" not in out


def test_a_closed_pipe_ends_it_and_nothing_is_left() -> None:
    with running.started("--fake") as run:
        run.read_until("one cluster forms")
        assert run.process.stdout is not None
        run.process.stdout.close()
        run.process.stdout = None
        code, _, err = run.end()
        left = run.left()

    assert (code, err, left) == (1, "", [])


def test_without_lxd_or_a_terminal_the_exit_code_is_2() -> None:
    with running.started(env={"PATH": "/nonexistent"}) as run:
        code, out, err = run.end()

    assert (code, out) == (2, "")
    assert err.startswith("LXD daemons cannot run here: ")
    assert "make demo ARGS=--fake" in err


@pytest.mark.parametrize(("answer", "expected"), [("y\n", 0), ("\n", 2), ("\x04", 2)])
def test_without_lxd_a_person_at_a_terminal_is_asked(answer: str, expected: int) -> None:
    """Only a clear yes starts the fake."""
    ours, theirs = pty.openpty()
    files = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with running.started(env={"PATH": "/nonexistent"}, files=files) as run:
        os.close(theirs)
        os.write(ours, answer.encode())
        shown = b""
        with contextlib.suppress(OSError):  # once the other end is closed
            while True:
                shown += os.read(ours, 65536)
        code, _, _ = run.end()
    os.close(ours)

    assert code == expected
    assert b"LXD daemons cannot run here: " in shown
    assert (b"On a FAKE microcluster" in shown) == (expected == 0)
