"""Juju's JSON, in the shape that it has, with what a test wants to be in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "eyJzZWNyZXQiOiAibm90LWEtcmVhbC1vbmUiLCAiYWRkcmVzc2VzIjogW119"  # noqa: S105, of nothing
"""What looks like a join token, and is none: base64 of a JSON object."""


def unit(
    machine: str,
    *,
    leader: bool = False,
    agent: str = "idle",
    workload: str = "active",
    message: str = "",
    life: str = "",
) -> dict[str, Any]:
    """A unit in `juju status --format json`."""
    found: dict[str, Any] = {
        "workload-status": {"current": workload, "since": "23 Nov 2026 10:00:00Z"},
        "juju-status": {"current": agent, "since": "23 Nov 2026 10:00:00Z", "version": "3.6.9"},
        "machine": machine,
        "public-address": f"10.0.0.{machine}",
    }
    if message:
        found["workload-status"]["message"] = message
    if leader:
        found["leader"] = True
    if life:
        found["juju-status"]["life"] = life
    return found


def status(
    applications: Mapping[str, Mapping[str, Mapping[str, Any]]],
    related: Mapping[str, str] | None = None,
    version: str = "3.6.9",
) -> str:
    """The JSON of `juju status --format json`.

    Args:
        applications: their units, by application and name; each on the machine it names.
        related: the application at the other side of each one's relation.
        version: of the agents.
    """
    found: dict[str, Any] = {}
    machines: dict[str, Any] = {}
    for name, units in applications.items():
        found[name] = {
            "charm": f"local:{name}-0",
            "charm-origin": "local",
            "charm-name": name,
            "charm-rev": 0,
            "base": {"name": "ubuntu", "channel": "24.04"},
            "exposed": False,
            "application-status": {"current": "active"},
            "relations": {},
        }
        if units:
            found[name]["units"] = units
        if related and name in related:
            found[name]["relations"]["microcluster-cluster"] = [
                {
                    "related-application": related[name],
                    "interface": "worker-cluster",
                    "scope": "global",
                }
            ]
        if name == "microcluster-token-distributor":
            found[name]["relations"]["cluster"] = [
                {"related-application": name, "interface": "worker-cluster", "scope": "global"}
            ]
        for number in {unit["machine"] for unit in units.values()}:
            machines[number] = {
                "juju-status": {"current": "started"},
                "hostname": f"juju-abc-{number}",
                "dns-name": f"10.0.0.{number}",
                "instance-id": f"juju-abc-{number}",
            }
    return json.dumps(
        {
            "model": {"name": "m", "type": "iaas", "controller": "c", "version": version},
            "machines": machines,
            "applications": found,
            "storage": {},
            "controller": {"timestamp": "10:00:00Z"},
        }
    )


def shown_unit(name: str, *relations: Mapping[str, Any]) -> str:
    """The JSON of `juju show-unit --format json`."""
    return json.dumps(
        {
            name: {
                "machine": "0",
                "opened-ports": [],
                "public-address": "10.0.0.0",
                "charm": "local:x-0",
                "leader": True,
                "life": "alive",
                "relation-info": list(relations),
            }
        }
    )


def relation(
    number: int,
    endpoints: tuple[str, str],
    own: Mapping[str, str],
    others: Mapping[str, Mapping[str, str]],
    application: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """A relation in `juju show-unit`.

    Args:
        number: its id.
        endpoints: the unit's own, and the other side's.
        own: the unit's databag.
        others: those of the units at the other side.
        application: the databag of the application at the other side.
    """
    return {
        "relation-id": number,
        "endpoint": endpoints[0],
        "related-endpoint": endpoints[1],
        "application-data": dict(application or {}),
        "local-unit": {"in-scope": True, "data": dict(own)},
        "related-units": {
            unit: {"in-scope": True, "data": dict(data)} for unit, data in others.items()
        },
    }


def members(*names: str, down: tuple[str, ...] = ()) -> str:
    """What the cluster's own `list -f json` prints."""
    return json.dumps(
        [
            {
                "name": name,
                "address": "10.0.0.1:6443",
                "role": "voter",
                "status": "UNREACHABLE" if name in down else "ONLINE",
            }
            for name in names
        ]
    )
