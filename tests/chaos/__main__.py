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
    parser.add_argument("--tail", type=int, default=run.TAIL, help="hooks to show of a failure")
    options = parser.parse_args()
    seeds = range(options.first, (options.last or options.first) + 1)
    failed = [message for seed in seeds if (message := _failure(seed, options.tail))]
    for message in failed:
        print(message if len(seeds) == 1 else message.splitlines()[0])
    print(f"{len(seeds)} seeds, {len(failed)} failed")
    return int(bool(failed))


def _failure(seed: int, tail: int) -> str:
    try:
        run.run(seed, tail_length=tail)
    except run.Failure as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
