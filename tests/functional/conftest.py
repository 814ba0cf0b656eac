"""Every test here needs real LXD daemons, and fails where there can be none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.microclusters import lxd, needs_lxd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def lxd_daemons() -> None:
    """No test here runs without LXD."""
    needs_lxd.require()


@pytest.fixture
def cluster() -> Iterator[lxd.LxdMicrocluster]:
    """Machines with LXD daemons, which are gone after the test."""
    microcluster = lxd.LxdMicrocluster()
    try:
        yield microcluster
    finally:
        microcluster.close()
