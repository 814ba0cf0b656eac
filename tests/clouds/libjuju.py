"""A cloud of a real Juju 3.x, driven by python-libjuju in the hands of pytest-operator.

The library is asynchronous and the stories are not: each deed runs to its end on the loop that
pytest-operator has connected its model on, and so does each wait, or the connection would starve.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from juju import errors

from tests.clouds import real

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Coroutine, Mapping

    from pytest_operator import plugin

_T = TypeVar("_T")


# Neither library types all of its parameters. What is used of them is written down here, and that
# the real classes have it so is checked where their objects are assigned to these.


class _Application(Protocol):
    async def add_unit(self, count: int = 1) -> object: ...

    async def refresh(
        self, channel: str | None = None, *, path: pathlib.Path | str | None = None
    ) -> None: ...


class _Model(Protocol):
    @property
    def applications(self) -> Mapping[str, _Application]: ...

    async def block_until(
        self, *conditions: Callable[[], bool], timeout: float | None = None
    ) -> None: ...

    async def destroy_unit(self, unit_id: str, *, force: bool = False) -> object: ...

    async def integrate(self, relation1: str, relation2: str) -> object: ...

    async def remove_application(self, app_name: str) -> None: ...

    async def set_config(self, config: Mapping[str, str]) -> None: ...


class _OpsTest(Protocol):
    @property
    def model(self) -> _Model | None: ...

    async def juju(self, *args: str) -> tuple[int | None, str, str]: ...


class LibjujuCloud(real.RealCloud):
    """A model, driven by python-libjuju.

    Args:
        ops_test: pytest-operator's, connected to the model.
        loop: on which it is connected; nothing else runs on it meanwhile.
        charms: as for `real.RealCloud`.
        pace: as for `real.RealCloud`.
        host: as for `real.RealCloud`.

    Raises:
        ValueError: pytest-operator is connected to no model.
    """

    driver = "python-libjuju"

    def __init__(
        self,
        ops_test: plugin.OpsTest,
        loop: asyncio.AbstractEventLoop,
        charms: Mapping[str, real.CharmSource],
        pace: real.Pace | None = None,
        host: Callable[..., None] = real.lxc,
    ):
        super().__init__(charms, pace, host)
        self._ops_test: _OpsTest = ops_test
        if self._ops_test.model is None:
            raise ValueError("pytest-operator is connected to no model")
        self._model: _Model = self._ops_test.model
        self._loop = loop

    def configure(self) -> None:
        """Configure the model as the stories need it."""
        self._run(self._model.set_config(self._pace.config))

    def juju(self, *arguments: str) -> str:
        """Run the `juju` program on this model and return its standard output."""
        code, out, err = self._run(self._ops_test.juju(*arguments))
        if code:
            raise real.CommandError(f"juju {' '.join(arguments)}", err)
        return out

    def sleep(self, seconds: float) -> None:
        """Let real time pass, and the connection live."""
        self._run(asyncio.sleep(seconds))

    def integrate(self, one: str, two: str) -> None:
        """Integrate two applications."""
        self._run(self._model.integrate(one, two))

    def remove_relation(self, one: str, two: str) -> None:
        """Remove the relation between two applications."""
        self.juju("remove-relation", one, two)

    def _deploy(self, source: real.CharmSource, application: str, units: int) -> None:
        # The library puts a charm of this machine on a base of its own choice, not on ours.
        words = ["deploy", source.charm, application, "--num-units", str(units)]
        for flag, value in (("--base", source.base), ("--channel", source.channel)):
            if value:
                words += [flag, value]
        for key, value in source.constraints.items():
            words += ["--constraints", f"{key}={value}"]
        self.juju(*words)
        self._run(self._appears(application))

    def _add_unit(self, application: str) -> None:
        self._run(self._application(application).add_unit(count=1))

    def _remove_unit(self, unit: str, *, force: bool) -> None:
        self._run(self._model.destroy_unit(unit, force=force))

    def _remove_application(self, application: str) -> None:
        self._run(self._model.remove_application(application))

    def _refresh(self, application: str, source: real.CharmSource) -> None:
        if source.local:
            self._run(self._application(application).refresh(path=source.charm))
        else:
            self._run(self._application(application).refresh(channel=source.channel or None))

    def _application(self, name: str) -> _Application:
        self._run(self._appears(name))
        return self._model.applications[name]

    async def _appears(self, application: str) -> None:
        """Wait until the library has heard of what the `juju` program has made."""
        await self._model.block_until(
            lambda: application in self._model.applications, timeout=self._pace.command
        )

    def _run(self, deed: Coroutine[Any, Any, _T]) -> _T:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(deed, self._pace.limit))
        except errors.JujuError as error:
            raise real.CommandError(type(error).__name__, str(error)) from None
        except asyncio.TimeoutError:
            what = cast("str", getattr(deed, "__qualname__", "the library"))
            raise real.CommandError(what, f"no end within {self._pace.limit:g} s") from None
