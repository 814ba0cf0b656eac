"""A cloud of a real Juju, 3.x or 4.x, driven by Jubilant, which calls the `juju` program."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jubilant

from tests.clouds import real

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class JubilantCloud(real.RealCloud):
    """A model, driven by Jubilant.

    Args:
        client: speaks to the model.
        charms: as for `real.RealCloud`.
        pace: as for `real.RealCloud`.
        host: as for `real.RealCloud`.
        sleep: lets real time pass.
    """

    driver = "Jubilant"

    def __init__(
        self,
        client: jubilant.Juju,
        charms: Mapping[str, real.CharmSource],
        pace: real.Pace | None = None,
        host: Callable[..., None] = real.lxc,
        sleep: Callable[[float], None] = time.sleep,
    ):
        super().__init__(charms, pace, host)
        self._client = client
        self._sleep = sleep

    def juju(self, *arguments: str) -> str:
        """Run the `juju` program on this model and return its standard output."""
        try:
            return self._client.cli(*arguments)
        except jubilant.CLIError as error:
            raise real.CommandError(f"juju {' '.join(arguments)}", error.stderr) from None

    def sleep(self, seconds: float) -> None:
        """Let real time pass."""
        self._sleep(seconds)

    def integrate(self, one: str, two: str) -> None:
        """Integrate two applications."""
        self._client.integrate(one, two)

    def remove_relation(self, one: str, two: str) -> None:
        """Remove the relation between two applications."""
        self._client.remove_relation(one, two)

    def _deploy(self, source: real.CharmSource, application: str, units: int) -> None:
        self._client.deploy(
            source.charm,
            application,
            base=source.base or None,
            channel=source.channel or None,
            constraints=source.constraints or None,
            num_units=units,
        )

    def _add_unit(self, application: str) -> None:
        self._client.add_unit(application)

    def _remove_unit(self, unit: str, *, force: bool) -> None:
        self._client.remove_unit(unit, force=force)

    def _remove_application(self, application: str) -> None:
        self._client.remove_application(application)

    def _refresh(self, application: str, source: real.CharmSource) -> None:
        if source.local:
            self._client.refresh(application, path=source.charm)
        else:
            self._client.refresh(application, channel=source.channel or None)
