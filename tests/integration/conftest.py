"""Options, and the charms to deploy; `--driver local` replaces `ops_test`, see local.py."""

import os
import pathlib
from collections.abc import AsyncIterator

import pytest

from tests.clouds import packing, redaction
from tests.integration import helpers, local
from tests.integration.local import OpsTest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add to pytest-operator's options; all but the driver can come from the environment."""
    group = parser.getgroup("integration", "integration tests")
    group.addoption("--driver", choices=("juju", "local"), default="juju", help="see README.md")
    for option, default, text in (
        ("--base", "ubuntu@24.04", "of all machines"),
        ("--charm-path", "", "the packed charm, or a directory with one for each base"),
        ("--microovn-channel", "latest/edge", "of MicroOVN's charm"),
        ("--artifacts", ".tox/artifacts", "where logs go after a failure"),
    ):
        variable = option.strip("-").replace("-", "_").upper()
        group.addoption(option, default=os.environ.get(variable) or default, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Replace `ops_test`, or prepare for the real one."""
    config.option.asyncio_mode = "auto"
    if config.getoption("driver") == "local":
        config.pluginmanager.register(local)
        return
    # pytest-operator's dependencies warn.
    for category in ("DeprecationWarning", "pytest.PytestUnraisableExceptionWarning"):
        config.addinivalue_line("filterwarnings", f"default::{category}")
    # For one base, not for all that charmcraft.yaml names.
    platform = f"{config.option.base}:{packing.ARCHITECTURE}"
    config.option.charmcraft_args.append(f"--platform={platform}")


@pytest.fixture(scope="module")
def base(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.getoption("base"))


@pytest.fixture(scope="module")
async def distributor(pytestconfig: pytest.Config, ops_test: OpsTest, base: str) -> str:
    """The charm under test, as a path."""
    if path := str(pytestconfig.getoption("charm_path")):
        return packing.given(path, helpers.DISTRIBUTOR, base)
    return str(await ops_test.build_charm("."))


@pytest.fixture(scope="module")
async def microovn(
    pytestconfig: pytest.Config,
    ops_test: OpsTest,
    base: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """MicroOVN's published charm with this project's library, as a path."""
    charm = tmp_path_factory.mktemp("microovn") / "microovn.charm"
    channel = str(pytestconfig.getoption("microovn_channel"))
    await ops_test.juju(
        *("download", helpers.MICROOVN, "--channel", channel, "--base", base, "--no-progress"),
        *("--arch", packing.ARCHITECTURE, "--filepath", str(charm)),
        check=True,
    )
    return packing.replace_library(charm)


@pytest.fixture(scope="module")
async def artifacts(request: pytest.FixtureRequest, ops_test: OpsTest) -> AsyncIterator[None]:
    """Keep the model's status and logs if a test failed, without tokens."""
    yield
    if request.session.testsfailed:
        directory = pathlib.Path(str(request.config.getoption("artifacts")), request.path.stem)
        directory.mkdir(parents=True, exist_ok=True)
        for command in (("status", "--relations"), ("debug-log", "--replay", "--no-tail")):
            _, text, _ = await ops_test.juju(*command)
            (directory / f"{command[0]}.txt").write_text(redaction.redact(text))
