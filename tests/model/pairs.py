"""Two related applications of stub charms, and a machine with a few programs."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests import juju_model
from tests.juju_model.stub_charms import stub

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


class Workstation(juju_model.PlainHost):
    """A host with the programs `true`, `false` and `hang`.

    Attributes:
        power: what happened to it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "192.0.2.7")
        self.power: list[str] = []

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program."""
        if argv[0] == "hang":
            raise subprocess.TimeoutExpired(list(argv), timeout or 0)
        if argv[0] not in ("true", "false"):
            return super().run(argv, timeout=timeout)
        # Meanwhile `subprocess.run` is the process's own.
        real = subprocess.run(["/bin/echo", "out"], check=True, capture_output=True, text=True)
        return subprocess.CompletedProcess(list(argv), int(argv[0] == "false"), real.stdout, "err")

    def kill(self) -> None:
        """Die."""
        self.power.append("killed")

    def start(self) -> None:
        """Come back."""
        self.power.append("started")

    def destroy(self) -> None:
        """Go."""
        self.power.append("destroyed")


@contextlib.contextmanager
def pair(
    seed: int = 0,
    *,
    left: juju_model.Charm | None = None,
    right: juju_model.Charm | None = None,
    units: tuple[int, int] = (1, 2),
    offer: bool = False,
    **options: Any,
) -> Generator[juju_model.Juju]:
    """Settle a model with `left` and `right`, related by relation 0, or with `left` offered."""
    with juju_model.Juju(seed, **options) as juju:
        juju.deploy(left or stub("link"), "left", units=units[0], host_factory=Workstation)
        juju.deploy(right or stub("want"), "right", units=units[1], host_factory=Workstation)
        if offer:
            juju.consume("right:want", "left:link", alias="offered", url="admin/other.offered")
        elif juju.apps["left"].charm.has_endpoint("link"):
            juju.integrate("left:link", "right:want")
        juju.settle()
        yield juju


def hooks(juju: juju_model.Juju, since: int = 0) -> dict[str, list[str]]:
    """Return the hooks by unit, without `relation-`, each with the unit that it was about."""
    found: dict[str, list[str]] = {}
    for hook in list(juju.trace)[since:]:
        if hook.kind != "action":
            name = f"{hook.kind.removeprefix('relation-')} {hook.remote_unit or ''}".rstrip()
            found.setdefault(hook.unit, []).append(name)
    return found


def write(juju: juju_model.Juju, unit: str, *, app: bool = False, **data: str) -> None:
    """Let a unit write to the databags of its first endpoint."""
    juju.run_action(unit, "write", app=app, data=data)


def see(juju: juju_model.Juju, unit: str) -> dict[str, Any]:
    """Return what a unit sees of its relations (by id), and its `goal-state`."""
    return json.loads(juju.run_action(unit, "see")["seen"])


def leader(juju: juju_model.Juju, app: str) -> str:
    """Name an application's leader, which there must be."""
    found = juju.leader(app)
    assert found is not None
    return found
