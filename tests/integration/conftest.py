"""Options, and the charms to deploy; `--driver local` replaces `ops_test`, see local.py."""

from __future__ import annotations

import os
import pathlib
import platform
import re
from typing import TYPE_CHECKING

import pytest

from tests.integration import helpers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.local import OpsTest

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add to pytest-operator's options; all but the driver can come from the environment."""
    group = parser.getgroup("integration", "integration tests")
    group.addoption("--driver", choices=("juju", "local"), default="juju", help="see README.md")
    for option, default, text in (
        ("--base", "ubuntu@24.04", "of all machines"),
        ("--charm-path", "", "the packed charm, or a directory with one for each base"),
        ("--microovn-charm", "", "a packed MicroOVN, deployed as it is"),
        ("--microovn-channel", "latest/edge", "of MicroOVN's charm"),
        ("--artifacts", ".tox/artifacts", "where logs go after a failure"),
    ):
        variable = option.strip("-").replace("-", "_").upper()
        group.addoption(option, default=os.environ.get(variable) or default, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Replace `ops_test`, or prepare for the real one."""
    config.option.asyncio_mode = "auto"
    if config.getoption("driver") == "local":
        config.pluginmanager.import_plugin("tests.integration.local")
        return
    # pytest-operator's dependencies warn.
    for category in ("DeprecationWarning", "pytest.PytestUnraisableExceptionWarning"):
        config.addinivalue_line("filterwarnings", f"default::{category}")
    # For one base, not for all that charmcraft.yaml names.
    config.option.charmcraft_args.append(f"--platform={config.option.base}:{ARCHITECTURE}")


@pytest.fixture(scope="module")
def base(pytestconfig: pytest.Config) -> str:
    """The base of all machines."""
    return str(pytestconfig.getoption("base"))


@pytest.fixture(scope="module")
async def distributor(request: pytest.FixtureRequest, ops_test: OpsTest, base: str) -> str:
    """The charm under test, as a path."""
    given = request.config.getoption("charm_path")
    if not given:
        return str(await ops_test.build_charm("."))
    path = pathlib.Path(str(given)).resolve()
    if path.is_dir():
        path /= f"{helpers.DISTRIBUTOR}_{base}-{ARCHITECTURE}.charm"
    assert path.is_file(), f"there is no charm {path}"
    return str(path)


@pytest.fixture(scope="module")
async def microovn(
    request: pytest.FixtureRequest,
    ops_test: OpsTest,
    base: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """MicroOVN's published charm with this project's library, as a path."""
    if given := request.config.getoption("microovn_charm"):
        return str(pathlib.Path(str(given)).resolve())
    charm = tmp_path_factory.mktemp("microovn") / "microovn.charm"
    await ops_test.juju(
        *("download", helpers.MICROOVN, "--base", base, "--arch", ARCHITECTURE, "--no-progress"),
        *("--channel", str(request.config.getoption("microovn_channel"))),
        *("--filepath", str(charm)),
        check=True,
    )
    return str(helpers.with_library(charm))


@pytest.fixture(scope="module")
async def artifacts(request: pytest.FixtureRequest, ops_test: OpsTest) -> AsyncIterator[None]:
    """Keep the model's status and logs if a test failed, without tokens."""
    yield
    if request.session.testsfailed:
        directory = pathlib.Path(str(request.config.getoption("artifacts")), request.path.stem)
        directory.mkdir(parents=True, exist_ok=True)
        for name, command in (
            ("status.txt", ("status", "--relations")),
            ("debug-log.txt", ("debug-log", "--replay", "--no-tail")),
        ):
            _, text, _ = await ops_test.juju(*command)
            (directory / name).write_text(re.sub(r"[\w+/-]{100,}=*", "<token>", text))
