"""What the tests ask of a model beyond python-libjuju: the cluster's members, and databags."""

import json
from collections.abc import Collection
from typing import Any

import tenacity

from tests.clouds import redaction
from tests.integration.local import OpsTest, Unit

# Owners and contents.
Bags = list[tuple[str, dict[str, str]]]

DISTRIBUTOR = "microcluster-token-distributor"
MICROOVN = "microovn"
BUNDLE = "tests/integration/microovn_bundle.yaml"
# A new virtual machine with its snaps takes minutes.
TIMEOUT = 30 * 60


def units(ops_test: OpsTest, *applications: str) -> list[Unit]:
    return [unit for name in applications for unit in ops_test.model.applications[name].units]


def hostname(unit: Unit) -> str:
    """Return a unit's host name, empty before its machine is there."""
    return (unit.machine.hostname if unit.machine else None) or ""


async def leader(ops_test: OpsTest, application: str) -> Unit:
    for unit in units(ops_test, application):
        if await unit.is_leader_from_status():
            return unit
    raise AssertionError(f"no unit of {application} leads")


async def kill_machine(ops_test: OpsTest, unit: Unit) -> None:
    """Stop a unit's machine as a power cut does; it is LXD's on this host, of the same name."""
    await ops_test.run("lxc", "stop", "--force", hostname(unit), check=True)


async def members(ops_test: OpsTest, unit: Unit) -> dict[str, dict[str, str]]:
    """Return the cluster's members as a unit's machine lists them, none if it is not in one."""
    command = ("--wait", "60s", "--", "microovn", "cluster", "list", "-f", "json")
    code, out, _ = await ops_test.juju("exec", "--unit", unit.name, *command)
    return {} if code else {row["name"]: row for row in json.loads(out)}


async def communicator(ops_test: OpsTest, application: str) -> Unit:
    """Return the unit that issues tokens: the first online voter, by name."""
    found = units(ops_test, application)
    rows = (await members(ops_test, found[0])).values()
    first = min(row["name"] for row in rows if (row["role"], row["status"]) == ("voter", "ONLINE"))
    return next(unit for unit in found if hostname(unit) == first)


async def databags(ops_test: OpsTest, *applications: str) -> Bags:
    """Return the databags on the distributor's relations that units are shown, without tokens.

    As on Juju 3, where a unit is shown the other side's application databag.
    """
    names = [unit.name for unit in units(ops_test, *applications)]
    _, out, _ = await ops_test.juju("show-unit", *names, "--format", "json", check=True)
    found: Bags = []
    for shown in json.loads(out).values():
        for relation in shown.get("relation-info", ()):
            if "microcluster-cluster" in (relation["endpoint"], relation["related-endpoint"]):
                related: dict[str, Any] = relation.get("related-units", {})
                others = {unit.partition("/")[0] for unit in related}
                found += [(other, relation.get("application-data", {})) for other in others]
                found += [(unit, seen.get("data", {})) for unit, seen in related.items()]
    return [
        (owner, {key: redaction.redact(str(value)) for key, value in bag.items()})
        for owner, bag in found
    ]


# For twenty minutes: update-status hooks raise no event here.
@tenacity.retry(
    retry=tenacity.retry_if_exception_type(AssertionError),
    stop=tenacity.stop_after_attempt(40),
    wait=tenacity.wait_fixed(30),
    reraise=True,
)
async def assert_one_cluster(
    ops_test: OpsTest,
    *applications: str,
    distributor: str = DISTRIBUTOR,
    lost: Collection[str] = (),
    earlier: bool = False,
) -> None:
    """Wait until the units form one cluster, with nothing left to do.

    What is asserted first is the likeliest cause of what comes after it. Units that are `lost` are
    the distributor's, on dead machines; an `earlier` revision on one side keeps tokens on show.
    """
    bags = await databags(ops_test, distributor, *applications)
    if not earlier:
        leads = (await leader(ops_test, distributor)).name
        numbers = {bag.get("leader") for owner, bag in bags if owner == distributor}
        assert numbers == {leads.partition("/")[2]}, (
            f"{leads} leads but has not taken over: the databag names {numbers}"
        )
    await _assert_members(ops_test, units(ops_test, *applications), distributor, bags)
    if not earlier:
        for owner, bag in bags:
            tokens = [key for key, value in bag.items() if value == redaction.CUT_OUT]
            assert not tokens, f"{owner} still shows a token: {tokens}"
    # An earlier library cannot tell the distributor that its unit is a member.
    for unit in units(ops_test, *applications, *([] if earlier else [distributor])):
        status, message = unit.workload_status, unit.workload_status_message
        assert unit.name in lost or status == "active", f"{unit.name} is {status}: {message}"


async def _assert_members(
    ops_test: OpsTest, found: list[Unit], distributor: str, bags: Bags
) -> None:
    """Expect nobody in the cluster who should not be, then that everybody is who should be."""
    names = {hostname(unit) for unit in found}
    listed = {unit.name: await members(ops_test, unit) for unit in found}
    for unit, rows in listed.items():
        ghosts = sorted(rows.keys() - names)
        assert not ghosts, f"{unit} lists {ghosts}, whose unit is gone: nobody removed it"
    for unit in found:
        assert hostname(unit) in listed[unit.name], (
            f"{unit.name} is not in the cluster: {unit.workload_status_message}"
            f"{_unmirrored(hostname(unit), distributor, bags)}"
        )
    for unit, rows in listed.items():
        others = sorted(names - rows.keys())
        assert not others, f"{unit} does not list {others}, which are in another cluster"
        for name, row in rows.items():
            role, status = row["role"], row["status"]
            is_well = status == "ONLINE" and role != "PENDING"
            assert is_well, f"{unit} lists {name} as {role}, {status}"


def _unmirrored(name: str, distributor: str, bags: Bags) -> str:
    """Say whose token for a host the distributor does not mirror, if there is one."""
    owners = [owner for owner, bag in bags if bag.get(f"mirror-{name}") == redaction.CUT_OUT]
    if not owners or any(owner.startswith(f"{distributor}/") for owner in owners):
        return ""
    return f"; {distributor} does not mirror its token, which {owners[0]} has issued"
