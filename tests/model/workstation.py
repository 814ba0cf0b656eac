"""A host with a few programs, and charms that run them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import ops

from tests import juju_model
from tests.juju_model import toys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Workstation(juju_model.PlainHost):
    """A host with the programs `true`, `false`, `hang` and `ask`.

    Attributes:
        power: what befell it.
        asked: the answers of this process's own `subprocess.run` while it ran `ask`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "192.0.2.7")
        self.power: list[str] = []
        self.asked: list[str] = []

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program."""
        if argv[0] == "hang":
            raise subprocess.TimeoutExpired(list(argv), timeout or 0)
        if argv[0] == "ask":
            result = subprocess.run(["/bin/echo", "real"], check=True, capture_output=True)
            self.asked.append(result.stdout.decode().strip())
        if argv[0] not in ("true", "false", "ask"):
            return super().run(argv, timeout=timeout)
        return subprocess.CompletedProcess(list(argv), int(argv[0] == "false"), "out", "err")

    def kill(self) -> None:
        """Die."""
        self.power.append("killed")

    def start(self) -> None:
        """Come back."""
        self.power.append("started")

    def destroy(self) -> None:
        """Go."""
        self.power.append("destroyed")


def at_start(
    action: Callable[[toys.Toy], object],
) -> Callable[[toys.Toy, ops.EventBase], None]:
    """Make a reaction that does something in the start hook alone."""

    def react(self: toys.Toy, event: ops.EventBase) -> None:
        if isinstance(event, ops.StartEvent):
            action(self)

    return react


def started(action: Callable[[toys.Toy], object], **options: Any) -> juju_model.Hook:
    """Run a charm that does something when it starts, and give the record of that hook."""
    with juju_model.Juju(**options) as juju:
        juju.deploy(toys.provider("left", at_start(action)), host_factory=Workstation)
        juju.settle()
        return next(hook for hook in juju.trace if hook.kind == "start")


def count_and_write(self: toys.Toy, event: ops.EventBase) -> None:
    """React to start by counting it in the stored state and in both peer databags."""
    if not isinstance(event, ops.StartEvent):
        return
    count = str(self.count())
    for relation in self.model.relations["peers"]:
        relation.data[self.unit]["count"] = count
        if self.unit.is_leader():
            relation.data[self.app]["count"] = count
    subprocess.run(["true"], check=True, timeout=9)  # noqa: S607 - the model's
