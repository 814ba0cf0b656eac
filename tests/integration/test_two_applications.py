"""Two applications in one cluster, as Sunbeam deploys one for each architecture."""

import pytest

from tests.integration import helpers
from tests.integration.helpers import DISTRIBUTOR, MICROOVN, TIMEOUT
from tests.integration.local import OpsTest

pytestmark = [pytest.mark.abort_on_fail, pytest.mark.usefixtures("artifacts")]

ARM64 = "microovn-arm64"


async def test_two_applications_form_one_cluster(
    ops_test: OpsTest, distributor: str, microovn: str, base: str
) -> None:
    """Both are deployed at once."""
    bundle = ops_test.render_bundle(
        helpers.BUNDLE, distributor=distributor, consumer=microovn, base=base
    )
    await ops_test.model.set_config({"update-status-hook-interval": "60s"})
    await ops_test.juju("deploy", str(bundle), check=True)
    await ops_test.juju(
        *("deploy", microovn, ARM64, "--num-units", "2", "--base", base),
        *("--constraints", "virt-type=virtual-machine cores=2 mem=2G"),
        check=True,
    )
    await ops_test.model.integrate(ARM64, DISTRIBUTOR)
    await ops_test.model.wait_for_idle([MICROOVN, ARM64], timeout=TIMEOUT)

    await helpers.assert_one_cluster(ops_test, MICROOVN, ARM64)


async def test_each_grows(ops_test: OpsTest) -> None:
    """A unit is added to each."""
    for application in (MICROOVN, ARM64):
        await ops_test.model.applications[application].add_unit()
    await ops_test.model.wait_for_idle([MICROOVN, ARM64], timeout=TIMEOUT)

    await helpers.assert_one_cluster(ops_test, MICROOVN, ARM64)


async def test_the_first_is_removed(ops_test: OpsTest) -> None:
    """The other goes on without the one that bootstrapped, and grows."""
    await ops_test.model.set_config({"automatically-retry-hooks": "true"})
    await ops_test.model.remove_application(MICROOVN, block_until_done=True, timeout=TIMEOUT)
    await helpers.assert_one_cluster(ops_test, ARM64)

    await ops_test.model.applications[ARM64].add_unit()
    await ops_test.model.wait_for_idle([ARM64], timeout=TIMEOUT, wait_for_exact_units=4)
    await helpers.assert_one_cluster(ops_test, ARM64)
