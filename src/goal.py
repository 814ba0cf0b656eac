"""What Juju's `goal-state` says of the related units: the one evidence that a unit has left."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from microcluster_token_distributor import _workload

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNIT = re.compile(r"[a-z][a-z0-9-]*/[0-9]+", re.ASCII)


def app_of(unit: str) -> str:
    """Return the application of a unit."""
    return unit.partition("/")[0]


def number_of(unit: str) -> int:
    """Return the number in a unit's name."""
    return int(unit.rpartition("/")[2])


@dataclasses.dataclass(frozen=True)
class Goal:
    """Which related units the model has, or is going to have."""

    apps: frozenset[str]  # those of other models are not named
    units: Mapping[str, str]  # with their statuses; of subordinate ones some may not be named

    @classmethod
    def ask(cls, endpoint: str) -> Goal | None:
        """Ask what goal-state says of an endpoint; None if it says nothing of use.

        An offer can have a slash in its name, as in `admin/default.cluster`: it is no unit.
        """
        rows = _workload.goal_statuses("relations", endpoint)
        if rows is None:
            return None
        units = {name: status for name, status in rows.items() if _UNIT.fullmatch(name)}
        return cls(frozenset(name for name in rows if "/" not in name), units)

    def has_departed(self, unit: str) -> bool:
        """Tell whether a unit that was named before has left the model."""
        return unit not in self.units and app_of(unit) in self.apps

    @property
    def dying(self) -> frozenset[str]:
        """The units that are being removed."""
        return frozenset(unit for unit, status in self.units.items() if status == "dying")
