"""The double of `ops_test` against the installed pytest-operator and python-libjuju.

The suite is typed by the double, so what the suite calls is compared, too.
"""

from __future__ import annotations

import inspect
from typing import Any

import juju.application
import juju.machine
import juju.model
import juju.unit
import pytest
from pytest_operator import plugin

from tests.integration import local

REAL: dict[type, type] = {
    local.Application: juju.application.Application,
    local.Machine: juju.machine.Machine,
    local.Model: juju.model.Model,
    local.OpsTest: plugin.OpsTest,
    local.Unit: juju.unit.Unit,
}
# `juju` hands its keywords on to `run`.
RUN: Any = vars(plugin.OpsTest)["run"]


@pytest.mark.parametrize(
    ("double", "name"),
    [
        pytest.param(double, name, id=f"{double.__name__}.{name}")
        for double in REAL
        for name in vars(double)
        if name[0] != "_" and (double, name) != (local.OpsTest, "sleep")
    ],
)
def test_what_the_double_takes_the_real_class_takes(double: type, name: str) -> None:
    """The first parameters are those that go by position, others may be anywhere."""
    offered, real = vars(double)[name], getattr(REAL[double], name)
    assert isinstance(offered, property) == isinstance(real, property)
    if isinstance(offered, property):
        return
    assert inspect.iscoroutinefunction(offered) == inspect.iscoroutinefunction(real)
    ours = inspect.signature(offered).parameters
    theirs = dict(inspect.signature(real).parameters)
    positional = [key for key, one in ours.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert list(theirs)[: len(positional)] == positional
    missing = {key for key, one in theirs.items() if one.default is one.empty} - ours.keys()
    assert all(theirs[key].kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for key in missing)
    if "kwargs" in theirs:
        theirs |= inspect.signature(RUN).parameters
    defaults = {key: one.default for key, one in ours.items()}
    assert defaults == {key: theirs[key].default for key in ours}
