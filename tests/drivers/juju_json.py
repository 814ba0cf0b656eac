"""Juju's JSON, in the shape that it has, with what a test wants to be in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "eyJzZWNyZXQiOiAibm90LWEtcmVhbC1vbmUiLCAiYWRkcmVzc2VzIjogW119"  # noqa: S105, of nothing
"""It looks like a join token, and is none: base64 of a JSON object."""


def unit(
    machine: str,
    *,
    leader: bool = False,
    agent: str = "idle",
    workload: str = "active",
    message: str = "",
    life: str = "",
) -> dict[str, Any]:
    """Return a unit of `juju status`."""
    return {
        "workload-status": {"current": workload, "message": message},
        "juju-status": {"current": agent} | ({"life": life} if life else {}),
        "machine": machine,
    } | ({"leader": True} if leader else {})


def status(
    applications: Mapping[str, Mapping[str, Mapping[str, Any]]],
    related: tuple[str, ...] = (),
    version: str = "3.6.9",
) -> str:
    """Return the output of `juju status --format json`.

    Args:
        applications: their units, by application and name; each on the machine it names.
        related: two applications that are related to each other.
        version: of the agents.
    """
    machines = {unit["machine"] for units in applications.values() for unit in units.values()}
    return json.dumps(
        {
            "model": {
                "name": "m",
                "type": "iaas",
                "controller": "c",
                "cloud": "localhost",
                "version": version,
            },
            "machines": {
                number: {"hostname": f"juju-abc-{number}", "instance-id": f"juju-abc-{number}"}
                for number in machines
            },
            "applications": {
                name: {
                    "charm": f"local:{name}-0",
                    "charm-origin": "local",
                    "charm-name": name,
                    "charm-rev": 0,
                    "exposed": False,
                    "units": units,
                    "relations": {
                        # The distributor's peers have the same interface.
                        "cluster": [_related_to(name)],
                        "microcluster-cluster": [
                            _related_to(other)
                            for other in related
                            if name in related and other != name
                        ],
                    },
                }
                for name, units in applications.items()
            },
        }
    )


def _related_to(application: str) -> dict[str, str]:
    return {
        "related-application": application,
        "interface": "worker-cluster",
        "scope": "global",
    }


def shown_unit(name: str, *relations: Mapping[str, Any]) -> str:
    """Return the output of `juju show-unit --format json`."""
    found: dict[str, Any] = {"opened-ports": [], "charm": "local:x-0", "leader": True}
    return json.dumps({name: {**found, "relation-info": list(relations)}})


def relation(
    endpoints: tuple[str, str],
    others: Mapping[str, Mapping[str, str]],
    application: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Return a relation of `juju show-unit`.

    Args:
        endpoints: the unit's own, and the other side's.
        others: the databags of the units at the other side.
        application: the databag of an application: whose, depends on Juju's version.
    """
    return {
        "relation-id": 1,
        "endpoint": endpoints[0],
        "related-endpoint": endpoints[1],
        "application-data": dict(application or {}),
        "related-units": {
            unit: {"in-scope": True, "data": dict(data)} for unit, data in others.items()
        },
    }


def task(name: str, stdout: str) -> str:
    """Return the output of `juju exec --format json`."""
    results = {"return-code": 0, "stdout": stdout}
    return json.dumps({name: {"id": "1", "status": "completed", "results": results}})
