"""For tests that need real LXD daemons: they fail where there can be none."""

from __future__ import annotations

import os

import pytest

from tests.microclusters import lxd


def require() -> None:
    """Fail if LXD cannot run here, or skip if a person has set `MCTD_WITHOUT_LXD=1`.

    Nobody should believe that the real daemons were tested when they were not.
    """
    reason = lxd.available()
    if reason is None:
        return
    if os.environ.get("MCTD_WITHOUT_LXD") == "1":
        pytest.skip(f"MCTD_WITHOUT_LXD=1, and LXD daemons cannot run here: {reason}")
    pytest.fail(f"LXD daemons cannot run here: {reason}; MCTD_WITHOUT_LXD=1 skips", pytrace=False)
