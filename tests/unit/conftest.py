"""What all unit tests share."""

from __future__ import annotations

import subprocess

import pytest

from tests.unit import runner


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> runner.FakeRunner:
    """All commands go to a strict fake, in which none is expected yet but a lone `goal-state`."""
    fake = runner.FakeRunner()
    monkeypatch.setattr(subprocess, "run", fake.run)
    return fake
