"""Counts and times what clusters cost, beside the field's own charm and library.

Ends with 1 if a target is missed. Writes the page and its pictures only with `--field`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import sys

from benchmarks import charms, counting, plots, report, wall
from benchmarks.charms import Contender
from tests.clouds import local
from tests.microclusters import lxd

SIZES = (3, 10, 20, 50, 100, 300, 1000)
SEEDS = 15
COMPARED = 50
"""The most units for which anything but this project is run, and more than one seed."""


def main() -> int:
    """Run the benchmark; return the exit code."""
    arguments = _arguments()
    checkout: pathlib.Path | None = arguments.field and arguments.field.resolve()
    found = report.Found({}, {}, "")
    # First, since the counting keeps all cores busy.
    if checkout is not None:
        charms.field(checkout)
        reason = "left out by `--without-lxd`" if arguments.without_lxd else lxd.available()
        found.without_wall = reason or ""
        if reason is None:
            found.wall = wall.compare(checkout)
    found.growths = count(sorted(set(arguments.sizes)), arguments.seeds, checkout)
    judged = list(report.judge(found))
    if checkout is not None:
        folder: pathlib.Path = arguments.output
        folder.mkdir(parents=True, exist_ok=True)
        plots.draw(found.growths, folder)
        page = report.page(found, judged, arguments.seeds, COMPARED)
        (folder / "benchmark.md").write_text(page)
    missed = [target for target in judged if target.met is False]
    for target in missed:
        missing = f"missed: {target.what}: {target.found:.3g}, at most {target.limit:g}"
        print(missing, file=sys.stderr)
    return 1 if missed else 0


def count(
    sizes: list[int], seeds: int, checkout: pathlib.Path | None
) -> dict[Contender, dict[int, counting.Growth]]:
    """Count what clusters of these numbers of units cost, several at a time."""
    tasks = [(Contender.OURS, n, s) for n in sizes for s in range(seeds if n <= COMPARED else 1)]
    small = [n for n in sizes if n <= COMPARED]
    tasks += [(Contender.PEERS, n, 0) for n in small]
    if checkout is not None:
        tasks += [(Contender.FIELD, n, s) for n in small for s in range(seeds)]
    # The longest first, so that none of them starts last.
    tasks.sort(key=lambda task: task[1], reverse=True)
    runs: dict[tuple[Contender, int], list[counting.Growth]] = {}
    with concurrent.futures.ProcessPoolExecutor(
        max_workers=len(os.sched_getaffinity(0)),
        mp_context=multiprocessing.get_context("spawn"),
    ) as pool:
        futures = {pool.submit(counting.grow, *task, checkout): task for task in tasks}
        for future in concurrent.futures.as_completed(futures):
            contender, units, seed = futures[future]
            growth = future.result()
            runs.setdefault((contender, units), []).append(growth)
            hooks = growth.forming.bare.hooks
            say = f"{contender.value}, {units} units, seed {seed}: {hooks:.0f} hooks"
            print(say, file=sys.stderr, flush=True)
    return {
        each: {n: counting.median(runs[each, n]) for n in sizes if (each, n) in runs}
        for each in Contender
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--field",
        type=pathlib.Path,
        metavar="CHECKOUT",
        help="a checkout of the repository with the field's own charm and library",
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--without-lxd", action="store_true", help="time nothing")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=local.ROOT / "docs" / "reference",
        metavar="DIR",
        help="where the page and its pictures go (default: docs/reference)",
    )
    arguments = parser.parse_args()
    if min(arguments.sizes) < 2:
        parser.error("a cluster that forms has at least two units")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
