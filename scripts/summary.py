#!/usr/bin/env python3
"""Print one closing line for all test suites, like pytest's own, from their reports.

    scripts/summary.py REPORTS STATUS

REPORTS is a directory of JUnit XML files, STATUS the exit code of `make test`, which is also this
script's. A failure without a failed test (a linter's, say) counts as an error.
"""

import pathlib
import sys
import xml.etree.ElementTree as ET

status = int(sys.argv[2])
reports = pathlib.Path(sys.argv[1]).glob("*.xml")
suites = [suite for report in reports for suite in ET.parse(report).iter("testsuite")]  # noqa: S314 - pytest wrote it
failed, skipped, errors, tests = (
    sum(int(suite.attrib[name]) for suite in suites)
    for name in ("failures", "skipped", "errors", "tests")
)
passed = tests - failed - skipped - errors
if status and not failed + errors:
    errors = 1
outcomes = [f"{failed} failed"] if failed else []
outcomes.append(f"{passed} passed")
outcomes += [f"{skipped} skipped"] if skipped else []
outcomes += [f"{errors} error{'s' if errors > 1 else ''}"] if errors else []
seconds = sum(float(suite.attrib["time"]) for suite in suites)
print(f"== {', '.join(outcomes)} in {seconds:.2f}s ==")
sys.exit(status or failed + errors > 0)
