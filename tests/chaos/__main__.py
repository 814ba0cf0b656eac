"""Run seeds from the command line: `python -m tests.chaos FIRST [LAST]`."""

from __future__ import annotations

import argparse
import sys

from tests.chaos import run


def main() -> int:
    """Run seeds, and print those that fail; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("first", type=int, help="a seed")
    parser.add_argument("last", type=int, nargs="?", help="run all seeds up to this one")
    parser.add_argument("--deeds", type=int, default=run.DEEDS, help="to befall the cloud")
    parser.add_argument("--tail", type=int, default=run.TAIL, help="hooks to show of a failure")
    options = parser.parse_args()
    seeds = range(options.first, (options.last or options.first) + 1)
    failed = lost = 0
    for seed in seeds:
        end = _run(seed, options.deeds, options.tail)
        if isinstance(end, run.Failure):
            failed += 1
            print(end if len(seeds) == 1 else str(end).splitlines()[0], flush=True)
        elif end.lost:
            lost += 1
    print(f"{len(seeds)} seeds: {failed} failed, {lost} lost the quorum")
    return int(bool(failed))


def _run(seed: int, deeds: int, tail: int) -> run.Result | run.Failure:
    try:
        return run.run(seed, deeds=deeds, tail_length=tail)
    except run.Failure as error:
        return error


if __name__ == "__main__":
    sys.exit(main())
