"""The time to form a cluster of real LXD daemons, by the clock."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks import charms, counting, report
from benchmarks.charms import Contender
from tests import juju_model
from tests.microclusters import lxd

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

_UNITS = 3
_RUNS = 5
_LIMIT = 120.0
_PAUSE = 0.1


def compare(checkout: pathlib.Path) -> str:
    """Time both libraries in turn; return the table of the medians of what `form` returns."""
    version = subprocess.check_output(["lxd", "--version"], text=True).strip()  # noqa: S607 - as a charm finds it
    contenders = (Contender.FIELD, Contender.OURS)
    runs = [[form(each, checkout) for each in contenders] for _ in range(_RUNS)]
    rows = [
        [
            contender.value,
            *(f"{statistics.median(column):.1f}" for column in zip(*each, strict=True)),
        ]
        for contender, each in zip(contenders, zip(*runs, strict=True), strict=True)
    ]
    return report.table([f"LXD {version}", "s", "bootstrap and join"], rows)


def form(contender: Contender, checkout: pathlib.Path) -> tuple[float, float]:
    """Form a cluster of daemons that were started before; TimeoutError if it never forms.

    Returns:
        Seconds from the start of the first hook to the end of that in which the last one joined,
        and those of the commands `bootstrap` and `join` among them, which no library can save.
    """
    joined: list[float] = []
    forming: list[float] = []

    def add_machine(name: str) -> juju_model.Host:
        machine = microcluster.add_machine(name)
        run = machine.run

        def timed(argv: Sequence[str], *, timeout: float | None = None) -> Any:
            began = time.perf_counter()
            done = run(argv, timeout=timeout)
            if argv[1] in ("bootstrap", "join"):
                forming.append(time.perf_counter() - began)
            return done

        machine.run = timed
        return machine

    def note(hook: juju_model.Hook) -> None:
        if counting.ran(hook, "bootstrap", "join"):
            joined.append(time.perf_counter())

    with (
        contextlib.closing(lxd.LxdMicrocluster()) as microcluster,
        juju_model.Juju(version=counting.VERSION) as juju,
    ):
        charms.deploy(juju, contender, _UNITS, add_machine, checkout)
        juju.on_hook.append(note)
        started = time.perf_counter()
        juju.settle(retry_failed=True)
        while len(joined) < _UNITS:
            if time.perf_counter() - started > _LIMIT:
                raise TimeoutError(
                    f"{_UNITS} LXD daemons never formed a cluster: {contender.value}"
                )
            time.sleep(_PAUSE)
            juju.update_status_round(retry_failed=True)
    return joined[-1] - started, sum(forming)
