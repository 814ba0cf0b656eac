"""What all unit tests share."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.unit import consumer, runner

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

# Without a database and with a fixed seed a failure can be had again.
hypothesis.settings.register_profile(
    "unit",
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("unit")


@pytest.fixture(autouse=True)
def no_token_leaks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test logs a token, at whatever level."""
    caplog.set_level(logging.DEBUG)
    yield
    consumer.check(map(logging.Formatter().format, caplog.get_records("call")))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> runner.FakeRunner:
    """All commands go to a strict fake, in which none is expected yet."""
    fake = runner.FakeRunner()
    monkeypatch.setattr(subprocess, "run", fake.run)
    return fake


@pytest.fixture
def unit(
    tmp_path: pathlib.Path, commands: runner.FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> consumer.Unit:
    """The unit `micro/0` on `node-0`, no member, beside a distributor that publishes nothing."""
    return consumer.Unit(tmp_path, commands, monkeypatch)
