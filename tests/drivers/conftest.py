"""Both drivers, on a stand-in for the `juju` program and specifications of their libraries."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import jubilant
import pytest
from juju import application as juju_application
from juju import model as juju_model
from pytest_operator import plugin

from tests.clouds import jubilant_cloud, libjuju, real
from tests.drivers import driven as clouds
from tests.drivers import stand_in

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator


@pytest.fixture
def juju(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> stand_in.JujuOnPath:
    """The stand-in for `juju`, first on PATH."""
    made = stand_in.JujuOnPath(tmp_path / "stand-in")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(stand_in.VARIABLE, str(made.home))
    monkeypatch.setenv("HOME", str(tmp_path))
    return made


@pytest.fixture
def by_jubilant(juju: stand_in.JujuOnPath) -> clouds.Driven:
    """A cloud driven by Jubilant."""
    slept: list[float] = []
    host = mock.create_autospec(real.lxc)
    cloud = jubilant_cloud.JubilantCloud(
        jubilant.Juju(model="m"), clouds.SOURCES, clouds.PACE, host=host, sleep=slept.append
    )
    return clouds.Driven(cloud, juju, host, slept, mock.Mock(), mock.Mock())


@pytest.fixture
def by_libjuju(
    juju: stand_in.JujuOnPath, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[clouds.Driven]:
    """A cloud driven by python-libjuju, in the hands of a real `OpsTest` without a controller."""
    factory = cast("pytest.TempPathFactory", request.getfixturevalue("tmp_path_factory"))
    make: Any = plugin.OpsTest
    ops_test = cast("plugin.OpsTest", make(request, factory))
    application = mock.create_autospec(juju_application.Application, instance=True)
    model = mock.create_autospec(juju_model.Model, instance=True)
    model.applications = dict.fromkeys(clouds.SOURCES, application)
    state = plugin.ModelState[float](
        model,
        keep=False,
        destroy_storage=False,
        controller_name="c",
        cloud_name="localhost",
        model_name="m",
    )
    monkeypatch.setattr(ops_test, "_models", {"main": state})
    monkeypatch.setattr(ops_test, "_current_alias", "main")
    slept: list[float] = []
    host = mock.create_autospec(real.lxc)
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        cloud = libjuju.LibjujuCloud(ops_test, loop, clouds.SOURCES, clouds.PACE, host=host)
        monkeypatch.setattr(cloud, "sleep", slept.append)
        yield clouds.Driven(cloud, juju, host, slept, model, application)


@pytest.fixture(params=["jubilant", "libjuju"])
def driven(request: pytest.FixtureRequest) -> clouds.Driven:
    """A cloud driven by each library in turn."""
    return cast("clouds.Driven", request.getfixturevalue(f"by_{request.param}"))
