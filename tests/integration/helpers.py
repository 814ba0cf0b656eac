"""What the tests ask of a model beyond python-libjuju: the cluster's members, and databags."""

from __future__ import annotations

import base64
import binascii
import json
import pathlib
import zipfile
from typing import TYPE_CHECKING, Any

import tenacity

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from tests.integration.local import OpsTest, Unit

    # Owners and contents.
    Bags = list[tuple[str, dict[str, str]]]

DISTRIBUTOR = "microcluster-token-distributor"
MICROOVN = "microovn"
BUNDLE = "tests/integration/microovn_bundle.yaml"

# A new virtual machine with its snaps takes minutes.
TIMEOUT = 30 * 60

LIBRARY = "lib/charms/microcluster_token_distributor/v0/token_distributor.py"
_RELATION = "microcluster-cluster"
_TOKEN = "<token>"  # noqa: S105, what stands for one


def with_library(charm: pathlib.Path) -> pathlib.Path:
    """Copy a packed charm, with this project's library in place of its own."""
    ours = pathlib.Path(LIBRARY).read_bytes()
    changed = charm.with_suffix(".changed.charm")
    with zipfile.ZipFile(charm) as old, zipfile.ZipFile(changed, "w") as new:
        assert LIBRARY in old.namelist(), f"{charm.name} has no {LIBRARY}"
        for entry in old.infolist():
            # The entry keeps its mode.
            new.writestr(entry, ours if entry.filename == LIBRARY else old.read(entry))
    return changed


def retrying() -> tenacity.AsyncRetrying:
    """Retry failed assertions for twenty minutes: update-status hooks raise no event here."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(AssertionError),
        stop=tenacity.stop_after_attempt(40),
        wait=tenacity.wait_fixed(30),
        reraise=True,
    )


def units(ops_test: OpsTest, *applications: str) -> list[Unit]:
    """Return the units of applications, in order."""
    model = ops_test.model
    found = [unit for name in applications for unit in model.applications[name].units]
    return sorted(found, key=lambda unit: (len(unit.name), unit.name))


def hostname(unit: Unit) -> str:
    """Return a unit's host name, empty before its machine is there."""
    return (unit.machine.hostname if unit.machine else None) or ""


async def leader(ops_test: OpsTest, application: str, but: str = "") -> Unit:
    """Wait until a unit of an application leads, other than `but`."""
    async for attempt in retrying():
        with attempt:
            for unit in units(ops_test, application):
                if unit.name != but and await unit.is_leader_from_status():
                    return unit
            raise AssertionError(f"no other unit of {application} leads")
    raise AssertionError


async def kill_machine(ops_test: OpsTest, unit: Unit) -> None:
    """Stop a unit's machine as a power cut does; it is LXD's on this host."""
    assert unit.machine
    instance = unit.machine.data["instance-id"]
    await ops_test.run("lxc", "stop", "--force", instance, check=True)


async def members(ops_test: OpsTest, unit: Unit) -> list[dict[str, str]]:
    """Return the cluster's members as a unit's machine lists them, none if it is not in one."""
    command = ("--wait", "60s", "--", "microovn", "cluster", "list", "-f", "json")
    code, out, _ = await ops_test.juju("exec", "--unit", unit.name, *command)
    return [] if code else json.loads(out)


async def communicator(ops_test: OpsTest, application: str) -> Unit:
    """Return the unit that issues tokens: the first online voter, by name."""
    found = units(ops_test, application)
    rows = await members(ops_test, found[0])
    first = min(row["name"] for row in rows if (row["role"], row["status"]) == ("voter", "ONLINE"))
    return next(unit for unit in found if hostname(unit) == first)


async def databags(ops_test: OpsTest, *applications: str) -> Bags:
    """Return the databags on the distributor's relations, as Juju 3 shows them, without tokens."""
    names = [unit.name for unit in units(ops_test, *applications)]
    _, out, _ = await ops_test.juju("show-unit", *names, "--format", "json", check=True)
    found: Bags = []
    for shown in json.loads(out).values():
        for relation in shown.get("relation-info") or ():
            if _RELATION not in (relation["endpoint"], relation["related-endpoint"]):
                continue
            related: dict[str, Any] = relation.get("related-units") or {}
            others = {unit.partition("/")[0] for unit in related}
            found += [(other, relation.get("application-data") or {}) for other in others]
            found += [(unit, seen.get("data") or {}) for unit, seen in related.items()]
    return [
        (owner, {key: _TOKEN if _is_token(value) else value for key, value in bag.items()})
        for owner, bag in found
    ]


def _is_token(value: str) -> bool:
    """Tell whether a databag's value is a join token: base64 of a JSON object."""
    try:
        return isinstance(json.loads(base64.b64decode(value, validate=True)), dict)
    except (binascii.Error, ValueError):
        return False


async def assert_one_cluster(
    ops_test: OpsTest,
    *applications: str,
    distributor: str = DISTRIBUTOR,
    lost: Container[str] = (),
    earlier: bool = False,
) -> None:
    """Wait until the units form one cluster, with nothing left to do.

    Args:
        ops_test: pytest-operator's.
        applications: those of the cluster.
        distributor: the distributor's application.
        lost: units of the distributor whose machines are down.
        earlier: one side is an earlier revision, which keeps tokens on show.

    Raises:
        AssertionError: what is wrong, a line each, the likeliest cause first.
    """
    async for attempt in retrying():
        with attempt:
            found: list[str] = []
            bags = await databags(ops_test, distributor, *applications)
            if not earlier:
                found += _not_taken_over(await leader(ops_test, distributor), bags)
            found += await _wrong_members(ops_test, applications, distributor, bags)
            if not earlier:
                found += [
                    f"{owner} still shows {key}, a token"
                    for owner, bag in bags
                    for key, value in bag.items()
                    if value == _TOKEN
                ]
            # An earlier library cannot tell the distributor that its unit is a member.
            shown = applications if earlier else (distributor, *applications)
            found += [
                f"{unit.name} is {unit.workload_status}: {unit.workload_status_message}"
                for unit in units(ops_test, *shown)
                if unit.name not in lost and unit.workload_status != "active"
            ]
            if found:
                raise AssertionError("\n".join(found))


def _not_taken_over(leads: Unit, bags: Bags) -> list[str]:
    """Say whether the distributor's databags name another leader than Juju does."""
    application, _, number = leads.name.partition("/")
    named = {bag.get("leader", "?") for owner, bag in bags if owner == application}
    if named == {number}:
        return []
    others = ", ".join(f"{application}/{other}" for other in sorted(named))
    return [f"{leads.name} leads but has not taken over: the databag names {others or 'nobody'}"]


def _unmirrored(key: str, distributor: str, bags: Bags) -> str:
    """Say whose token the distributor does not mirror, if there is one."""
    owners = {owner for owner, bag in bags if bag.get(key) == _TOKEN}
    if not owners or any(owner.startswith(f"{distributor}/") for owner in owners):
        return ""
    return f"; {distributor} does not mirror the one issued by {', '.join(sorted(owners))}"


async def _wrong_members(
    ops_test: OpsTest, applications: Iterable[str], distributor: str, bags: Bags
) -> list[str]:
    """Say who is in the cluster and should not be, then who is not and should be."""
    names = {hostname(unit): unit for unit in units(ops_test, *applications)}
    listed = {name: await members(ops_test, unit) for name, unit in names.items()}
    inside = {name for name, rows in listed.items() if name in [row["name"] for row in rows]}
    ghosts: list[str] = []
    missing: list[str] = []
    others: list[str] = []
    for name, unit in names.items():
        if name not in inside:
            status = unit.workload_status_message or unit.workload_status
            token = _unmirrored(f"mirror-{name}", distributor, bags)
            missing.append(f"{unit.name} is not in the cluster: {status}{token}")
            continue
        rows = {row["name"]: row for row in listed[name]}
        ghosts += [
            f"{unit.name} lists {other}, whose unit is gone: nobody removed it from the cluster"
            for other in sorted(rows.keys() - names.keys())
        ]
        others += [
            f"{unit.name} does not list {names[other].name}, which is in another cluster"
            for other in sorted(inside - rows.keys())
        ]
        others += [
            f"{unit.name} lists {other} as {row['role']}, {row['status']}"
            for other, row in rows.items()
            if row["status"] != "ONLINE" or row["role"] == "PENDING"
        ]
    return [*ghosts, *missing, *others]
