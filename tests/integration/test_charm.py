"""One model from the deployment to the removal; each test goes on where the last one ended."""

import re

import pytest

from tests.integration import helpers
from tests.integration.helpers import DISTRIBUTOR, MICROOVN, TIMEOUT
from tests.integration.local import OpsTest

pytestmark = [pytest.mark.abort_on_fail, pytest.mark.usefixtures("artifacts")]


async def test_deploy(ops_test: OpsTest, distributor: str, microovn: str, base: str) -> None:
    """Three units of a bundle form one cluster."""
    bundle = ops_test.render_bundle(
        helpers.BUNDLE, distributor=distributor, consumer=microovn, base=base
    )
    await ops_test.model.set_config({"update-status-hook-interval": "60s"})
    await ops_test.juju("deploy", str(bundle), check=True)
    await ops_test.model.wait_for_idle([MICROOVN], timeout=TIMEOUT, wait_for_exact_units=3)

    await helpers.assert_one_cluster(ops_test, MICROOVN)


async def test_tokens(ops_test: OpsTest) -> None:
    """One unit bootstrapped; each other was issued a token, and joined with it."""
    await _assert_tokens_issued_and_used(ops_test)


async def test_scale_out(ops_test: OpsTest) -> None:
    """Two units are added at once; databags show that they have become members."""
    before = dict(await helpers.databags(ops_test, DISTRIBUTOR))
    newcomers = await ops_test.model.applications[MICROOVN].add_unit(2)
    await ops_test.model.wait_for_idle([MICROOVN], timeout=TIMEOUT, wait_for_exact_units=5)

    await helpers.assert_one_cluster(ops_test, MICROOVN)
    await _assert_tokens_issued_and_used(ops_test)
    after = dict(await helpers.databags(ops_test, DISTRIBUTOR))
    for unit in newcomers:
        assert unit.name not in before
        assert after[unit.name]["member"] == "true"


async def test_distributor_leader_is_lost(ops_test: OpsTest) -> None:
    """Another unit of the distributor takes over, and a newcomer joins."""
    await ops_test.model.applications[DISTRIBUTOR].add_unit(2)
    await ops_test.model.wait_for_idle([DISTRIBUTOR], timeout=TIMEOUT, wait_for_exact_units=3)
    dead = await helpers.leader(ops_test, DISTRIBUTOR)
    await helpers.kill_machine(ops_test, dead)
    await ops_test.model.applications[MICROOVN].add_unit()
    await ops_test.model.wait_for_idle([MICROOVN], timeout=TIMEOUT, wait_for_exact_units=6)

    await helpers.assert_one_cluster(ops_test, MICROOVN, lost=[dead.name])

    await ops_test.model.destroy_unit(dead.name, force=True)
    await ops_test.model.wait_for_idle([DISTRIBUTOR], timeout=TIMEOUT, wait_for_exact_units=2)
    await helpers.assert_one_cluster(ops_test, MICROOVN)


async def test_communicator_is_lost(ops_test: OpsTest) -> None:
    """A newcomer waits while a member is down, and joins when its unit is removed by force."""
    dead = await helpers.communicator(ops_test, MICROOVN)
    survivor = next(u for u in helpers.units(ops_test, MICROOVN) if u.name != dead.name)
    await helpers.kill_machine(ops_test, dead)
    [newcomer] = await ops_test.model.applications[MICROOVN].add_unit()
    await ops_test.model.block_until(lambda: newcomer.agent_status == "idle", timeout=TIMEOUT)

    names = await helpers.members(ops_test, survivor)
    assert names, f"{survivor.name} lists no members: the cluster has lost its quorum"
    has_joined = helpers.hostname(newcomer) in names
    assert not has_joined, f"{newcomer.name} has joined while {dead.name} is down"

    await ops_test.model.destroy_unit(dead.name, force=True)
    await ops_test.model.wait_for_idle([MICROOVN], timeout=TIMEOUT, wait_for_exact_units=6)
    await helpers.assert_one_cluster(ops_test, MICROOVN)


async def test_scale_in(ops_test: OpsTest) -> None:
    """Two units are removed at once, the communicator among them."""
    first = await helpers.communicator(ops_test, MICROOVN)
    other = next(u for u in helpers.units(ops_test, MICROOVN) if u.name != first.name)
    # A cluster may refuse to let a unit go while another one leaves: its hook tries again.
    await ops_test.model.set_config({"automatically-retry-hooks": "true"})
    for unit in (first, other):
        await ops_test.model.destroy_unit(unit.name)
    await ops_test.model.wait_for_idle(
        [MICROOVN], raise_on_error=False, timeout=TIMEOUT, wait_for_exact_units=4
    )

    await helpers.assert_one_cluster(ops_test, MICROOVN)


async def test_distributor_is_replaced(ops_test: OpsTest, distributor: str, base: str) -> None:
    """A new one learns of the cluster from its members, and a newcomer joins."""
    await ops_test.model.remove_application(DISTRIBUTOR, block_until_done=True, timeout=TIMEOUT)
    await ops_test.model.applications[MICROOVN].add_unit()
    await ops_test.juju("deploy", distributor, "another", "--base", base, check=True)
    await ops_test.model.wait_for_idle(["another"], timeout=TIMEOUT)
    await ops_test.model.integrate(MICROOVN, "another")
    await ops_test.model.wait_for_idle([MICROOVN], timeout=TIMEOUT, wait_for_exact_units=5)

    await helpers.assert_one_cluster(ops_test, MICROOVN, distributor="another")


async def test_application_is_removed(ops_test: OpsTest) -> None:
    """All units leave; the distributor asks to be integrated again."""
    await ops_test.model.remove_application(MICROOVN, block_until_done=True, timeout=TIMEOUT)
    await ops_test.model.wait_for_idle(["another"], timeout=TIMEOUT)

    [unit] = helpers.units(ops_test, "another")
    assert unit.workload_status_message.startswith("integrate with a charm")


async def _assert_tokens_issued_and_used(ops_test: OpsTest) -> None:
    _, log, _ = await ops_test.juju("debug-log", "--replay", "--no-tail", check=True)
    names = {helpers.hostname(unit) for unit in helpers.units(ops_test, MICROOVN)}
    bootstrapped = set(re.findall(r"action=cluster_bootstrap node=(\S+)", log))
    issued = set(re.findall(r"event=authn_token_created node=(\S+)", log))
    joined = set(re.findall(r"action=cluster_join node=(\S+)", log))

    assert len(bootstrapped) == 1
    assert issued == joined == names - bootstrapped
