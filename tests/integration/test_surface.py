"""The double of `ops_test` against the installed pytest-operator and python-libjuju.

The suite is typed by the double, so what the suite calls is compared, too.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import juju.application
import juju.machine
import juju.model
import juju.unit
import pytest
from pytest_operator import plugin

from tests.integration import local

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REAL: dict[type, type] = {
    local.Application: juju.application.Application,
    local.Machine: juju.machine.Machine,
    local.Model: juju.model.Model,
    local.OpsTest: plugin.OpsTest,
    local.Unit: juju.unit.Unit,
}
# What the double has for itself.
OWN = {local.Model.settle, local.OpsTest.sleep}
RUN: Any = vars(plugin.OpsTest)["run"]
WAIT_FOR_IDLE: Any = juju.model.Model.wait_for_idle


@pytest.mark.parametrize("double", REAL, ids=lambda double: double.__name__)
def test_the_double_is_a_part_of_the_real_class(double: type) -> None:
    """What is called on the double can be called so on the real thing."""
    offered = {name: member for name, member in vars(double).items() if name[0] != "_"}
    problems = [
        f"{double.__name__}.{name}: {problem}"
        for name, member in offered.items()
        if member not in OWN
        for problem in _differences(member, getattr(REAL[double], name, None))
    ]

    assert offered
    assert not problems


async def _wait(model: object, timeout: float = 1, *, app: str) -> None:
    """Stand for a call that `wait_for_idle` does not take."""


def test_differences_are_found() -> None:
    """The comparison notices what the real one would refuse."""
    assert list(_differences(_wait, WAIT_FOR_IDLE)) == [
        "it has ['self', 'apps'] first, not ['model', 'timeout']",
        "timeout is 600 by default",
        "it has no app",
    ]
    assert list(_differences(len, WAIT_FOR_IDLE)) == ["only one is awaited"]
    assert list(_differences(_wait, None)) == ["there is none"]


def _differences(offered: Any, real: Any) -> Iterator[str]:
    if real is None:
        yield "there is none"
    elif isinstance(offered, property):
        if not isinstance(real, property):
            yield "it is no property"
    elif inspect.iscoroutinefunction(offered) != inspect.iscoroutinefunction(real):
        yield "only one is awaited"
    else:
        yield from _parameters(inspect.signature(offered).parameters, real)


def _parameters(offered: Mapping[str, inspect.Parameter], real: Any) -> Iterator[str]:
    """Compare the parameters: positional ones have to be the first there, others anywhere."""
    theirs = inspect.signature(real).parameters
    positional = [name for name, one in offered.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    first = list(theirs)[: len(positional)]
    if first != positional:
        yield f"it has {first} first, not {positional}"
    # `juju` hands its keywords on to `run`.
    taken = dict(inspect.signature(RUN).parameters) if "kwargs" in theirs else {}
    taken.update(theirs)
    for name, one in offered.items():
        if name not in taken:
            if name not in positional:
                yield f"it has no {name}"
        elif one.default != taken[name].default:
            yield f"{name} is {taken[name].default!r} by default"
    for name, one in theirs.items():
        is_needed = one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
        if is_needed and name not in (*offered, "self"):
            yield f"it needs {name}"
