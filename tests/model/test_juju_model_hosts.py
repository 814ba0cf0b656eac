"""The model of Juju gives each charm a machine of its own, which lives and dies with Juju's."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import Any

import pytest

from tests import juju_model
from tests.juju_model import toys
from tests.model.workstation import Workstation, at_start, count_and_write, started


def test_a_charm_sees_its_own_machine() -> None:
    """Its host name, its addresses and its programs."""
    seen: list[object] = []

    def act(self: toys.Toy) -> None:
        binding = self.model.get_binding("link")
        assert binding is not None
        seen.extend(
            [
                os.uname().nodename,
                socket.gethostname(),
                str(binding.network.bind_address),
                subprocess.run(["true"], check=True).args,  # noqa: S607 - the model's
            ]
        )

    before = os.uname()
    hook = started(act, name="m")

    assert seen == ["juju-m-0", "juju-m-0", "192.0.2.7", ["true"]]
    assert [command.returncode for command in hook.commands] == [0]
    assert os.uname() == before


def test_a_host_has_the_real_subprocess_to_itself() -> None:
    """While it runs a command for a hook."""
    with juju_model.Juju() as juju:
        charm = toys.provider("left", at_start(lambda _: subprocess.run(["ask"], check=True)))  # noqa: S607 - the model's
        juju.deploy(charm, host_factory=Workstation)
        juju.settle()
        host = juju.host("left/0")

        assert isinstance(host, Workstation)
        assert host.asked == ["real"]


@pytest.mark.parametrize(
    ("options", "stdout"),
    [({}, None), ({"capture_output": True}, b"out"), ({"stdout": -1, "text": True}, "out")],
)
def test_a_command_gives_what_subprocess_run_would(
    options: dict[str, Any], stdout: bytes | str | None
) -> None:
    """Captured or not, text or bytes."""
    results: list[Any] = []

    def act(self: toys.Toy) -> None:
        del self
        results.append(subprocess.run(["false"], check=False, **options))  # noqa: S607 - the model's

    started(act)

    assert (results[0].returncode, results[0].stdout) == (1, stdout)


def test_a_command_that_fails_hangs_or_is_missing_raises_as_subprocess_run_does() -> None:
    """A hang takes its time limit of the model's time."""
    errors: list[str] = []

    def act(self: toys.Toy) -> None:
        del self
        for program in ("false", "hang", "missing"):
            with pytest.raises((OSError, subprocess.SubprocessError)) as caught:
                subprocess.run([program], check=True, timeout=20)  # noqa: S603 - the model's
            errors.append(caught.typename)

    hook = started(act, hook_cost=1)

    assert errors == ["CalledProcessError", "TimeoutExpired", "FileNotFoundError"]
    assert list(map(str, hook.commands)) == [
        "false (1)",
        "hang (TimeoutExpired)",
        "missing (FileNotFoundError)",
    ]
    assert hook.duration == 21


def test_a_fault_can_stand_in_for_a_command_before_or_after_its_effect() -> None:
    """The charm sees it as the command's."""
    seen: list[tuple[str, int]] = []

    def act(self: toys.Toy) -> None:
        try:
            subprocess.run(["true"], check=True, timeout=5)  # noqa: S607 - the model's
        except subprocess.TimeoutExpired:
            seen.append((self.unit.name, 1))

    for point, commands in (
        (juju_model.Point.BEFORE_COMMAND, 0),
        (juju_model.Point.AFTER_COMMAND, 1),
    ):
        with juju_model.Juju() as juju:

            def faults(context: juju_model.HookContext, point: juju_model.Point = point) -> None:
                if context.point is point and tuple(context.argv) == ("true",):
                    raise subprocess.TimeoutExpired("true", 5)

            juju.faults = faults
            juju.deploy(toys.provider("left", at_start(act)), host_factory=Workstation)
            juju.settle()
            hook = next(hook for hook in juju.trace if hook.kind == "start")

        assert len(hook.commands) == commands
    assert seen == [("left/0", 1)] * 2


def test_a_machine_that_dies_in_mid_hook_takes_the_hook_with_it() -> None:
    """It is retried once the machine is back."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.peer("left", count_and_write), host_factory=Workstation)

        def faults(context: juju_model.HookContext) -> None:
            if context.point is juju_model.Point.BEFORE_COMMAND:
                juju.faults = None
                juju.kill_machine(context.unit)

        juju.faults = faults
        juju.settle(retry_failed=True)
        lost = juju.status("left/0").name
        juju.start_machine("left/0")
        juju.settle()
        host = juju.host("left/0")

        assert lost == "unknown"
        assert [hook.outcome for hook in juju.trace if hook.kind == "start"] == [
            juju_model.Outcome.KILLED,
            juju_model.Outcome.OK,
        ]
        assert isinstance(host, Workstation)
        assert host.power == ["killed", "started"]


def test_an_agent_that_dies_leaves_its_machine_well() -> None:
    """No hook runs until it is back, and then no start hook."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.provider(), host_factory=Workstation)
        juju.settle()
        since = len(juju.trace)
        juju.stop_agent("left/0")
        juju.update_status_round()
        lost = juju.status("left/0").name
        juju.start_machine("left/0")
        juju.update_status_round()
        host = juju.host("left/0")

        assert lost == "unknown"
        assert [hook.kind for hook in list(juju.trace)[since:]] == [
            "leader-elected",
            "update-status",
        ]
        assert isinstance(host, Workstation)
        assert host.power == []


def test_a_machine_goes_with_its_last_unit() -> None:
    """Not before."""
    with juju_model.Juju() as juju:
        juju.deploy(toys.provider(), host_factory=Workstation)
        juju.deploy(toys.requirer(), units=0)
        juju.add_unit("right", to="left/0")
        juju.settle()
        host = juju.host("left/0")
        assert isinstance(host, Workstation)
        juju.remove_unit("left/0")
        juju.settle()
        shared = list(host.power)
        juju.remove_unit("right/0")
        juju.settle()

        assert (shared, host.power) == ([], ["destroyed"])


def test_host_names_count_up_and_can_be_used_again() -> None:
    """A machine of the same name is another machine."""
    with juju_model.Juju(name="m") as juju:
        juju.deploy(toys.provider(), units=2)
        old = juju.host("left/1")
        juju.remove_unit("left/1")
        juju.settle()
        back = juju.host(juju.add_unit("left", hostname=old.name))
        fresh = juju.host(juju.add_unit("left"))

        assert (old.name, back.name, fresh.name) == ("juju-m-1", "juju-m-1", "juju-m-3")
        assert back is not old
