"""Counts what clusters cost as they grow, and writes tables and pictures of it.

Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import sys

from benchmarks import counting, plots, report, targets, wall
from tests.clouds import local

SIZES = (3, 10, 30, 100, 300, 1000)
"""The numbers of units."""

LARGEST_MESH = 300
"""The most units for which the baseline is run: a thousand would take hours."""


def main() -> int:
    """Run the benchmark; give the exit code."""
    arguments = _arguments()
    folder: pathlib.Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "benchmark.md"
    # First, for what is counted keeps all cores busy.
    last = _timed_part(page, without_lxd=arguments.without_lxd)
    found = count(sorted(set(arguments.sizes)))
    judged = targets.judge(found)
    plots.draw(found, folder)
    page.write_text(report.write(found, judged, last))
    _say(f"wrote {page}")
    missed = targets.missed(judged)
    for target in missed:
        _say(f"missed: {target.what}: {target.limit}, found {target.found}")
    return 1 if missed else 0


def count(sizes: list[int]) -> targets.Found:
    """Count what clusters of these sizes cost, several at a time.

    Args:
        sizes: the numbers of units.
    """
    found = targets.Found()
    # The longest first, so that nobody waits for one that began last.
    tasks = [(n * n, counting.mesh, n) for n in sizes if n <= LARGEST_MESH]
    tasks += [(70 * n, counting.star, n) for n in sizes]
    tasks.sort(key=lambda task: task[0], reverse=True)
    with concurrent.futures.ProcessPoolExecutor(
        max_workers=len(os.sched_getaffinity(0)),
        mp_context=multiprocessing.get_context("spawn"),
    ) as pool:
        futures = {pool.submit(run, units): (run, units) for _, run, units in tasks}
        for future in concurrent.futures.as_completed(futures):
            run, units = futures[future]
            growth = future.result()
            kept = found.star if run is counting.star else found.mesh
            kept[units] = growth
            _say(f"{run.__name__} of {units}: {growth.forming.hooks} hooks")
    return found


def _timed_part(page: pathlib.Path, *, without_lxd: bool) -> str:
    reason = "left out by --without-lxd" if without_lxd else wall.lxd.available()
    if reason is not None:
        _say(f"not timed, and what an earlier run found is kept: {reason}")
        return report.kept_part(page, reason)
    return report.timed_part()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=SIZES,
        metavar="N",
        help=f"the numbers of units, 2 or more (default: {' '.join(map(str, SIZES))})",
    )
    parser.add_argument(
        "--without-lxd",
        action="store_true",
        help="time nothing, and keep what an earlier run found",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=local.ROOT / "docs" / "reference",
        metavar="DIR",
        help="where the tables and pictures go (default: docs/reference)",
    )
    arguments = parser.parse_args()
    if min(arguments.sizes) < 2:
        parser.error("a cluster that forms has two units at the least")
    return arguments


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
