"""Every test here needs real LXD daemons, and fails where there can be none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.microclusters import lxd, needs_lxd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cluster() -> Iterator[lxd.LxdMicrocluster]:
    """Machines with LXD daemons, which are gone after the test."""
    needs_lxd.require()
    with contextlib.closing(lxd.LxdMicrocluster()) as microcluster:
        yield microcluster
