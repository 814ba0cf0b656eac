"""Counts and times what clusters cost, beside the field's own charm and library.

Writes the page and its pictures into docs/reference, and ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import pathlib
import statistics
import subprocess
import sys

from benchmarks import counting, plots, report
from benchmarks.charms import Contender
from tests.clouds import local

_PAGES = local.ROOT / "docs" / "reference"
_SIZES = (3, 10, 20, 50, 100, 300, 1000)
_SEEDS = 15
_RUNS = 5
_COMPARED = 50
"""The most units for which anything but this project is run, and more than one seed."""


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--field",
        type=lambda path: pathlib.Path(path).resolve(strict=True),
        required=True,
        metavar="CHECKOUT",
        help="a checkout of the repository with the field's own charm and library",
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, metavar="N")
    parser.add_argument("--without-lxd", action="store_true", help="leave the times as they are")
    arguments = parser.parse_args()
    # First, since the counting keeps all cores busy.
    times = [] if arguments.without_lxd else [compare(arguments.field)]
    growths = count(sorted(arguments.sizes), arguments.field)
    judged = list(report.judge(growths))
    page = _PAGES / "benchmark.md"
    page.write_text(report.filled(page.read_text(), [*report.tables(growths, judged), *times]))
    plots.draw(growths, _PAGES)
    missed = [target for target in judged if not target.met]
    for target in missed:
        print(f"missed: {target.what}: {target.found:.3g}, at most {target.limit:g}")
    return 1 if missed else 0


def compare(checkout: pathlib.Path) -> str:
    """Time both libraries on LXD daemons in turn; return the table of the medians of seconds."""
    version = subprocess.check_output(["lxd", "--version"], text=True).strip()  # noqa: S607 - as a charm finds it
    contenders = (Contender.FIELD, Contender.OURS)
    runs = [[counting.timed(each, checkout) for each in contenders] for _ in range(_RUNS)]
    rows: list[list[str]] = []
    for contender, several in zip(contenders, zip(*runs, strict=True), strict=True):
        medians = map(statistics.median, zip(*several, strict=True))
        rows.append([contender.value, *(f"{seconds:.1f}" for seconds in medians)])
    return report.table([f"LXD {version}", "s", "bootstrap and join"], rows)


def count(sizes: list[int], checkout: pathlib.Path) -> dict[Contender, dict[int, counting.Growth]]:
    """Count what clusters of these numbers of units cost, several at a time."""
    growths: dict[Contender, dict[int, counting.Growth]] = {each: {} for each in Contender}
    with concurrent.futures.ProcessPoolExecutor() as pool:
        # The longest first, so that none of them starts last.
        runs = {
            (contender, units): [
                pool.submit(counting.grow, contender, units, seed, checkout)
                for seed in range(
                    1 if units > _COMPARED or contender is Contender.PEERS else _SEEDS
                )
            ]
            for units in reversed(sizes)
            for contender in Contender
            if contender is Contender.OURS or units <= _COMPARED
        }
        for (contender, units), seeds in reversed(runs.items()):
            growths[contender][units] = counting.median([seed.result() for seed in seeds])
    return growths


if __name__ == "__main__":
    sys.exit(main())
