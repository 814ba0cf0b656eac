"""Every test here needs real LXD daemons, and fails where there can be none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.microclusters import lxd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def lxd_daemons() -> None:
    """Fail each test if LXD cannot run here, or skip it if a person has said that this is known.

    Nobody should believe that the real daemons were tested when they were not.
    """
    reason = lxd.available()
    if reason is None:
        return
    if os.environ.get("MCTD_WITHOUT_LXD") == "1":
        pytest.skip(f"MCTD_WITHOUT_LXD=1, and LXD daemons cannot run here: {reason}")
    pytest.fail(f"LXD daemons cannot run here: {reason}; MCTD_WITHOUT_LXD=1 skips", pytrace=False)


@pytest.fixture
def cluster() -> Iterator[lxd.LxdMicrocluster]:
    """Machines with LXD daemons, which are gone after the test."""
    microcluster = lxd.LxdMicrocluster()
    try:
        yield microcluster
    finally:
        microcluster.close()
