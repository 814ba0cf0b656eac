"""Each rule of the wire, and of each side, is kept by a test that fails where it is broken.

Each file in `patches` breaks one rule in one file. Its head states the rule, and names the test
that fails then, which may be a scenario, if need be with words of the first line of its failure:

    # rule: a unit that is a member does not bootstrap
    # noticed by tests/unit/test_membership.py::test_nobody_bootstraps_beside_a_cluster
    # noticed by tests/scenarios/test_loss.py::test_x[juju3.6-microcluster2.0.5-seed0]: has joined

A patch is applied by the text of its lines rather than by line numbers, so only a change where the
rule is kept matters.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PATCHES = sorted(pathlib.Path(__file__).with_name("patches").glob("*.patch"))

_PATCH = re.compile(
    r"(# rule: .*)\n# noticed by (\S+?)(?:: ([^\n]+))?\n--- [^\n]+\n\+\+\+ b/(\S+)\n(@@ .*)",
    re.DOTALL,
)
_FAILURE = re.compile(r"^(?:FAILED|ERROR) .*? - (.*)$", re.MULTILINE)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_broken_rule_is_noticed(patch: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """By the test that its patch names, and for the reason named."""
    parts = _PATCH.fullmatch(patch.read_text())
    assert parts, "this is no patch of one file with its rule and its test"
    rule, test, words, path, hunks = parts.groups(default="")
    broken = _broken((ROOT / path).read_text(), hunks)
    ignore = shutil.ignore_patterns(".*", "dist", "patches")
    shutil.copytree(ROOT, tmp_path, ignore=ignore, dirs_exist_ok=True)
    (tmp_path / path).write_text(broken)

    done = subprocess.run(  # noqa: S603 (our own command line)
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test],
        cwd=tmp_path,
        # Wide enough for pytest not to cut the line that is looked for.
        env=os.environ
        | {"COLUMNS": "2000", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    output = f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, f"{test} notices no: {rule}\n{output}"
    failure = "".join(_FAILURE.findall(done.stdout))
    assert words in failure, f"{test} fails for another reason than {words!r}: {failure}"


def _broken(text: str, hunks: str) -> str:
    """Return a file's text with the hunks applied, which have to fit in one place only."""
    text = f"\n{text}"
    for hunk in re.split(r"^@@ .*\n", hunks, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        old, new = (
            "".join(["\n", *(line[1:] for line in lines if line[0] in (" ", mark))])
            for mark in "-+"
        )
        assert text.count(old) == 1, f"where the rule is kept in another way, break it there:{old}"
        text = text.replace(old, new)
    return text[1:]
