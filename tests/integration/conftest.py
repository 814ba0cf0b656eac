"""The cloud on which the stories are told, by `--driver`; and what is kept when one fails."""

from __future__ import annotations

import contextlib
import pathlib
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests import juju_model
from tests.clouds import local, protocol, real
from tests.integration import choices, packing
from tests.microclusters import lxd, needs_lxd

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Iterator

    from pytest_operator import plugin

_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what can be chosen to pytest-operator's own options."""
    group = parser.getgroup("integration", "stories on real Juju")
    for choice in choices.ALL:
        also = f", or {choice.variable} in the environment" if choice.variable else ""
        default = f" (default: {choice.default})" if choice.default else ""
        group.addoption(choice.option, metavar="VALUE", help=f"{choice.what}{also}{default}")
    group.addoption(
        "--driver",
        choices=choices.DRIVERS,
        default=choices.DRIVERS[0],
        help="what drives Juju, or a model of Juju on LXD daemons (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add a marker, and let the drivers' dependencies be warned of things."""
    config.addinivalue_line("markers", "consumer(name): take this charm as consumer")
    if config.getoption("driver") != "local":
        # What the drivers' own dependencies are warned of is no reason for a story to fail.
        for category in ("DeprecationWarning", "pytest.PytestUnraisableExceptionWarning"):
            config.addinivalue_line("filterwarnings", f"default::{category}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the fixtures whether the test has failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def chosen(pytestconfig: pytest.Config) -> dict[choices.Choice, str]:
    """What was chosen, by option, by variable or by default."""
    return {
        choice: choice.value(cast("str | None", pytestconfig.getoption(choice.dest)))
        for choice in choices.ALL
    }


@pytest.fixture(scope="session")
def charms(chosen: dict[choices.Choice, str]) -> choices.Charms:
    """Charms of this machine, packed when they are asked for."""

    def distributor(base: str) -> str:
        if path := chosen[choices.CHARM_PATH]:
            return packing.given(path, protocol.DISTRIBUTOR, base)
        return packing.pack(packing.ROOT, base)

    def lxd_cluster(base: str) -> str:
        return packing.pack(local.CONSUMER_ROOT, base, with_package=True)

    return choices.Charms(distributor, lxd_cluster, packing.download, packing.architecture())


@pytest.fixture
def cloud(
    request: pytest.FixtureRequest, chosen: dict[choices.Choice, str]
) -> Iterator[protocol.Cloud]:
    """A model of its own, as `--driver` says; gone after the test, unless it is to be kept."""
    makers: dict[
        str, Callable[[pytest.FixtureRequest], contextlib.AbstractContextManager[protocol.Cloud]]
    ] = {"libjuju": _libjuju, "jubilant": _jubilant, "local": _local}
    driver = cast("str", request.config.getoption("driver"))
    with makers[driver](request) as made:
        yield made
        if _item(request).stash.get(_FAILED, False):
            directory = pathlib.Path(chosen[choices.ARTIFACTS], _item(request).path.stem)
            _keep(made.evidence(), directory)


def _item(request: pytest.FixtureRequest) -> pytest.Item:
    # pytest leaves it without a type.
    return cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType]


def _keep(evidence: Iterator[tuple[str, str]], directory: pathlib.Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in evidence:
        (directory / name).write_text(text)


@contextlib.contextmanager
def _local(_: pytest.FixtureRequest) -> Generator[local.LocalCloud, None, None]:
    """The in-memory model of Juju, on real LXD daemons."""
    needs_lxd.require()
    cluster = lxd.LxdMicrocluster()
    try:
        with juju_model.Juju(behaviour=juju_model.Behaviour.of("4.0")) as juju:
            yield local.LocalCloud(juju, cluster)
    finally:
        cluster.close()


@contextlib.contextmanager
def _libjuju(request: pytest.FixtureRequest) -> Generator[real.RealCloud, None, None]:
    """A model of pytest-operator's."""
    from tests.clouds import libjuju

    sources = _sources(request)
    ops_test = cast("plugin.OpsTest", request.getfixturevalue("ops_test"))
    loop = cast("asyncio.AbstractEventLoop", request.getfixturevalue("event_loop"))
    cloud = libjuju.LibjujuCloud(ops_test, loop, sources)
    cloud.configure()
    yield cloud


@contextlib.contextmanager
def _jubilant(request: pytest.FixtureRequest) -> Generator[real.RealCloud, None, None]:
    """A model of Jubilant's; pytest-operator's options hold for it, too."""
    import jubilant

    from tests.clouds import jubilant_cloud

    sources = _sources(request)
    option: Any = request.config.option
    pace = real.Pace()
    if option.model:
        name = f"{option.controller}:{option.model}" if option.controller else option.model
        client = jubilant.Juju(model=name)
        client.model_config(pace.config)
        yield jubilant_cloud.JubilantCloud(client, sources, pace)
        return
    with jubilant.temp_model(
        keep=option.keep_models,
        controller=option.controller,
        cloud=option.cloud,
        config=pace.config,
    ) as client:
        yield jubilant_cloud.JubilantCloud(client, sources, pace)


def _sources(request: pytest.FixtureRequest) -> dict[str, real.CharmSource]:
    marker = _item(request).get_closest_marker("consumer")
    return choices.sources(
        request.getfixturevalue("chosen"),
        request.getfixturevalue("charms"),
        consumer=marker.args[0] if marker else "",
    )
