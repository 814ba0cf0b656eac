"""The time to form a cluster of real LXD daemons, by the clock."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks import charms, counting
from benchmarks.charms import Contender
from tests import juju_model
from tests.microclusters import lxd

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

UNITS = 3
RUNS = 5

_ROUNDS = 50
_PAUSE = 0.1


def lxd_version() -> str:
    """Return LXD's version."""
    return subprocess.check_output(["lxd", "--version"], text=True).strip()  # noqa: S607 - as a charm finds it


def compare(checkout: pathlib.Path) -> dict[Contender, tuple[float, float]]:
    """Time both libraries in turn; return the medians of what `form` returns."""
    contenders = (Contender.FIELD, Contender.OURS)
    runs = [[form(each, checkout=checkout) for each in contenders] for _ in range(RUNS)]
    return {
        contender: (statistics.median(s for s, _ in each), statistics.median(j for _, j in each))
        for contender, each in zip(contenders, zip(*runs, strict=True), strict=True)
    }


def form(
    contender: Contender, units: int = UNITS, checkout: pathlib.Path | None = None
) -> tuple[float, float]:
    """Form a cluster of daemons that were started before; RuntimeError if it never forms.

    Returns:
        Seconds from the start of the first hook to the end of that in which the last one joined,
        and those of the commands `bootstrap` and `join` among them, which no library can save.
    """
    joined: dict[str, float] = {}
    forming: list[float] = []

    def add_machine(name: str) -> juju_model.Machine:
        machine = microcluster.add_machine(name)
        run = machine.run

        def timed(argv: Sequence[str], *, timeout: float | None = None) -> Any:
            began = time.perf_counter()
            try:
                return run(argv, timeout=timeout)
            finally:
                if {"bootstrap", "join"} & set(argv[:-1]) or argv[-1] == "bootstrap":
                    forming.append(time.perf_counter() - began)

        machine.run = timed
        return machine

    def note(hook: juju_model.Hook) -> None:
        if counting.ran(hook, "bootstrap", "join"):
            joined[hook.unit] = time.perf_counter()

    with (
        contextlib.closing(lxd.LxdMicrocluster()) as microcluster,
        juju_model.Juju(version=counting.VERSION) as juju,
    ):
        charms.deploy(juju, contender, units, add_machine, checkout)
        juju.on_hook.append(note)
        started = time.perf_counter()
        juju.settle(retry_failed=True)
        for _ in range(_ROUNDS):
            if len(joined) == units:
                return max(joined.values()) - started, sum(forming)
            time.sleep(_PAUSE)
            juju.update_status_round(retry_failed=True)
    raise RuntimeError(f"{units} LXD daemons never formed a cluster: {contender.value}")
