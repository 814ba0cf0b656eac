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
    from collections.abc import Container, Iterator

    from tests.integration.local import OpsTest, Unit

DISTRIBUTOR = "microcluster-token-distributor"
MICROOVN = "microovn"
BUNDLE = "tests/integration/microovn_bundle.yaml"

# A new virtual machine with its snaps takes minutes.
TIMEOUT = 30 * 60

LIBRARY = "lib/charms/microcluster_token_distributor/v0/token_distributor.py"
_RELATION = "microcluster-cluster"


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


async def databags(ops_test: OpsTest, *applications: str) -> list[tuple[str, dict[str, str]]]:
    """Return owners and contents of the databags on the distributor's relations, as 3.x shows."""
    names = [unit.name for unit in units(ops_test, *applications)]
    _, out, _ = await ops_test.juju("show-unit", *names, "--format", "json", check=True)
    found: list[tuple[str, dict[str, str]]] = []
    for shown in json.loads(out).values():
        for relation in shown.get("relation-info") or ():
            if _RELATION not in (relation["endpoint"], relation["related-endpoint"]):
                continue
            related: dict[str, Any] = relation.get("related-units") or {}
            others = {unit.partition("/")[0] for unit in related}
            found += [(other, relation.get("application-data") or {}) for other in others]
            found += [(unit, seen.get("data") or {}) for unit, seen in related.items()]
    return found


def is_token(value: str) -> bool:
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
        lost: units whose machines are down.
        earlier: the library or the distributor is an earlier one, which keeps tokens on show.

    Raises:
        AssertionError: what is wrong, a line each, the likeliest cause first.
    """
    async for attempt in retrying():
        with attempt:
            found: list[str] = []
            if not earlier:
                found += await _not_taken_over(ops_test, distributor, applications)
            found += await _wrong_members(ops_test, applications, lost)
            if not earlier:
                bags = await databags(ops_test, distributor, *applications)
                found += [f"{owner} still shows {key}, a token" for owner, key in _tokens(bags)]
            found += [
                f"{unit.name} is {unit.workload_status}: {unit.workload_status_message}"
                for unit in units(ops_test, distributor, *applications)
                if unit.name not in lost and unit.workload_status != "active"
            ]
            if found:
                raise AssertionError("\n".join(found))


def _tokens(bags: list[tuple[str, dict[str, str]]]) -> Iterator[tuple[str, str]]:
    for owner, bag in bags:
        yield from ((owner, key) for key, value in bag.items() if is_token(value))


async def _not_taken_over(
    ops_test: OpsTest, distributor: str, applications: tuple[str, ...]
) -> list[str]:
    """Say whether the distributor's databag names another leader than Juju does."""
    leads = (await leader(ops_test, distributor)).name
    published = {
        bag.get("leader", "")
        for owner, bag in await databags(ops_test, *applications)
        if owner == distributor
    }
    if published == {leads.rpartition("/")[2]}:
        return []
    named = ", ".join(f"{distributor}/{number}" for number in sorted(published) if number)
    return [f"{leads} leads but has not taken over: the databag names {named or 'no leader'}"]


async def _wrong_members(
    ops_test: OpsTest, applications: tuple[str, ...], lost: Container[str]
) -> list[str]:
    """Say who should not be in the cluster and is, then who should be and is not."""
    living = [unit for unit in units(ops_test, *applications) if unit.name not in lost]
    names = {hostname(unit): unit.name for unit in units(ops_test, *applications)}
    ghosts: list[str] = []
    missing: list[str] = []
    others: list[str] = []
    for unit in living:
        rows = await members(ops_test, unit)
        listed = {row["name"] for row in rows}
        if hostname(unit) not in listed:
            status = f"{unit.workload_status}: {unit.workload_status_message}"
            missing.append(f"{unit.name} is not in the cluster: {status}")
            continue
        ghosts += [
            f"{unit.name} lists {name}, whose unit is gone: nobody removed it from the cluster"
            for name in sorted(listed - names.keys())
        ]
        others += [
            f"{unit.name} does not list {names[name]} ({name})"
            for name in sorted(names.keys() - listed)
        ]
        others += [
            f"{unit.name} lists {row['name']} as {row['role']}, {row['status']}"
            for row in rows
            if row["status"] != "ONLINE" or row["role"] == "PENDING"
        ]
    return [*ghosts, *missing, *others]
