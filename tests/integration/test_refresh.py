"""From the published charms to this one."""

import pytest

from tests.integration import helpers
from tests.integration.helpers import DISTRIBUTOR, MICROOVN, TIMEOUT
from tests.integration.local import OpsTest

pytestmark = [pytest.mark.abort_on_fail, pytest.mark.usefixtures("artifacts")]

PUBLISHED_FOR = "ubuntu@24.04"


@pytest.mark.parametrize("channel", ["v1/stable", "latest/edge"])
async def test_refresh(
    ops_test: OpsTest, distributor: str, microovn: str, base: str, channel: str
) -> None:
    """The distributor is refreshed, then MicroOVN; the cluster grows after each."""
    if base != PUBLISHED_FOR:
        pytest.skip(f"the distributor was published for {PUBLISHED_FOR}, not for {base}")
    track = channel.partition("/")[0]
    mirror, cluster = f"{DISTRIBUTOR}-{track}", f"{MICROOVN}-{track}"
    await ops_test.model.set_config({"update-status-hook-interval": "60s"})
    await ops_test.juju(
        *("deploy", DISTRIBUTOR, mirror, "--channel", channel, "--base", base), check=True
    )
    await ops_test.juju(
        *("deploy", MICROOVN, cluster, "--channel", "latest/edge", "--base", base),
        *("--num-units", "3", "--constraints", "virt-type=virtual-machine cores=2 mem=2G"),
        check=True,
    )
    await ops_test.model.integrate(cluster, mirror)
    await ops_test.model.wait_for_idle([cluster], timeout=TIMEOUT, wait_for_exact_units=3)
    await helpers.assert_one_cluster(ops_test, cluster, distributor=mirror, earlier=True)

    await ops_test.model.applications[mirror].refresh(path=distributor)
    await ops_test.model.wait_for_idle([mirror, cluster], timeout=TIMEOUT)
    await ops_test.model.applications[cluster].add_unit()
    await ops_test.model.wait_for_idle([cluster], timeout=TIMEOUT, wait_for_exact_units=4)
    await helpers.assert_one_cluster(ops_test, cluster, distributor=mirror, earlier=True)

    await ops_test.model.applications[cluster].refresh(path=microovn)
    await ops_test.model.wait_for_idle([mirror, cluster], timeout=TIMEOUT)
    await helpers.assert_one_cluster(ops_test, cluster, distributor=mirror)
    await ops_test.model.applications[cluster].add_unit()
    await ops_test.model.wait_for_idle([cluster], timeout=TIMEOUT, wait_for_exact_units=5)
    await helpers.assert_one_cluster(ops_test, cluster, distributor=mirror)

    # There is hardly memory for the next channel's machines beside these.
    for application in (cluster, mirror):
        await ops_test.model.remove_application(
            application, block_until_done=True, force=True, timeout=TIMEOUT
        )
