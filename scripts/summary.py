#!/usr/bin/env python3
"""Print one closing line for all test suites, like pytest's own, from their reports.

    scripts/summary.py REPORTS STATUS

REPORTS is a directory of JUnit XML files, STATUS the exit code of `make test`, which is also this
script's. A failure without a failed test (a linter's, say) counts as an error.
"""

from __future__ import annotations

import collections
import pathlib
import sys
import xml.etree.ElementTree as ET

total: collections.Counter[str] = collections.Counter()
seconds = 0.0
for report in pathlib.Path(sys.argv[1]).glob("*.xml"):
    for suite in ET.parse(report).iter("testsuite"):  # noqa: S314 - pytest wrote it
        numbers = {key: int(suite.get(key, "0")) for key in ("failures", "errors", "skipped")}
        total["failed"] += numbers["failures"]
        total["errors"] += numbers["errors"]
        total["skipped"] += numbers["skipped"]
        total["passed"] += int(suite.get("tests", "0")) - sum(numbers.values())
        seconds += float(suite.get("time", "0"))
status = int(sys.argv[2])
if status and not total["failed"] + total["errors"]:
    total["errors"] = 1
outcomes = [
    f"{total[name]} {'error' if name == 'errors' and total[name] == 1 else name}"
    for name in ("failed", "passed", "skipped", "errors")
    if total[name] or name == "passed"
]
print(f"== {', '.join(outcomes)} in {seconds:.2f}s ==")
sys.exit(status or int(total["failed"] + total["errors"] > 0))
