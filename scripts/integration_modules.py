#!/usr/bin/env python3
"""Print the modules of the integration tests as a workflow's output, for a job of each.

The line is `modules=` and a JSON list of names without `.py`. A new module needs no other mention.
"""

from __future__ import annotations

import json
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "integration"


def main() -> int:
    """Print the line and return the exit code."""
    modules = sorted(path.stem for path in TESTS.glob("test_*.py"))
    if not modules:
        # An empty matrix is skipped, and what is skipped looks like success.
        print(f"there is no test_*.py in {TESTS}", file=sys.stderr)
        return 1
    print(f"modules={json.dumps(modules)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
