#!/usr/bin/env python3
"""Print one closing line for all suites of tests, like pytest's own, from their reports.

    scripts/summary.py REPORTS STATUS

REPORTS is a directory of JUnit XML files, STATUS the exit code of what ran the suites. It becomes
the exit code here too; and where it says that something failed though no test did, a linter say,
or an environment that could not be made, that counts as an error.
"""

from __future__ import annotations

import collections
import pathlib
import sys
import xml.etree.ElementTree as ET


def count(reports: pathlib.Path) -> tuple[collections.Counter[str], float]:
    """Add up the reports in a directory.

    Returns:
        How many tests had each outcome, in pytest's words, and the seconds that they all took.
    """
    total: collections.Counter[str] = collections.Counter()
    seconds = 0.0
    for report in sorted(reports.glob("*.xml")):
        # The files are our own pytest's, so nothing hostile is in them.
        for suite in ET.parse(report).iter("testsuite"):  # noqa: S314
            failed, errors, skipped = (
                int(suite.get(key, "0")) for key in ("failures", "errors", "skipped")
            )
            total["failed"] += failed
            total["errors"] += errors
            total["skipped"] += skipped
            total["passed"] += int(suite.get("tests", "0")) - failed - errors - skipped
            seconds += float(suite.get("time", "0"))
    return total, seconds


def main() -> int:
    """Print the line and return the exit code."""
    total, seconds = count(pathlib.Path(sys.argv[1]))
    status = int(sys.argv[2])
    if status and not total["failed"] + total["errors"]:
        total["errors"] += 1
    outcomes = [
        f"{total[name]} {'error' if name == 'errors' and total[name] == 1 else name}"
        for name in ("failed", "passed", "skipped", "errors")
        if total[name] or name == "passed"
    ]
    print(f"== {', '.join(outcomes)} in {seconds:.2f}s ==", flush=True)
    return status or int(total["failed"] + total["errors"] > 0)


if __name__ == "__main__":
    sys.exit(main())
