"""The fixture `cloud`, chosen by `--cloud`.

- `model`: the in-memory model of Juju with a fake microcluster, for each pair of their versions;
- `lxd`: the same model with real LXD daemons, which die by kill -9;
- `jubilant`: a real Juju with a real microcluster.
"""

from __future__ import annotations

import contextlib
import pathlib
from typing import TYPE_CHECKING, cast

import pytest

from tests import juju_model
from tests.clouds import local, options, protocol
from tests.microclusters import lxd, needs_lxd

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeAlias

    from tests.clouds.protocol import Capability

    _Made: TypeAlias = contextlib.AbstractContextManager[protocol.Cloud]

CLOUDS = ("model", "lxd", "jubilant")
_PAIRS = (
    (("3.6", "2.0.5"), ("4.0", "3.0.0")),
    (("3.6", "3.0.0"), ("4.0", "2.0.5")),
)
_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of a cloud."""
    group = parser.getgroup("scenarios")
    group.addoption(
        "--cloud",
        choices=CLOUDS,
        default=CLOUDS[0],
        help="where the scenarios run (default: %(default)s)",
    )
    group.addoption(
        "--scenario-seeds",
        type=int,
        default=2,
        metavar="N",
        help="on the model, run each scenario with the seeds 0 to N-1 (default: %(default)s)",
    )
    options.add(parser.getgroup("jubilant", "scenarios on a real Juju"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each scenario on the model with several seeds, each on half of the pairs of versions."""
    if "cloud" in metafunc.fixturenames and metafunc.config.getoption("cloud") == "model":
        seeds = cast("int", metafunc.config.getoption("scenario_seeds"))
        metafunc.parametrize(
            "cloud",
            [
                pytest.param(
                    (seed, version, microcluster),
                    id=f"juju{version}-microcluster{microcluster}-seed{seed}",
                )
                for seed in range(seeds)
                for version, microcluster in _PAIRS[seed % 2]
            ],
            indirect=True,
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a real Juju, where each scenario takes minutes, choose the smoke tests without `-m`."""
    if config.getoption("cloud") == "jubilant" and not config.getoption("markexpr"):
        left_out = [item for item in items if item.get_closest_marker("smoke") is None]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixture know whether the scenario has failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Generator[protocol.Cloud]:
    """An empty cloud; a scenario that it cannot run is skipped."""
    item = cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType]
    makers: dict[str, Callable[[], _Made]] = {
        "model": lambda: _model(request.param),
        "lxd": _lxd,
        "jubilant": lambda: _jubilant(item),
    }
    with makers[cast("str", request.config.getoption("cloud"))]() as made:
        if reason := protocol.unsupported_reason(made, _required(item)):
            pytest.skip(reason)
        yield made
        if isinstance(made, local.LocalCloud) and not item.stash[_FAILED]:
            made.check()


def _required(item: pytest.Item) -> set[Capability]:
    return {each for marker in item.iter_markers("requires") for each in marker.args}


def _model(param: tuple[int, str, str]) -> _Made:
    # On another cloud its requirements need not be there.
    from tests.scenarios import checked

    return checked.model(*param)


@contextlib.contextmanager
def _lxd() -> Generator[local.LocalCloud]:
    """The model of Juju with LXD daemons."""
    needs_lxd.require()
    cluster = lxd.LxdMicrocluster()
    try:
        with juju_model.Juju() as juju:
            yield local.LocalCloud(juju, cluster)
    finally:
        cluster.close()


@contextlib.contextmanager
def _jubilant(item: pytest.Item) -> Generator[protocol.Cloud]:
    """A model of its own; what is known of it is kept if the scenario fails."""
    # On another cloud its requirements need not be there.
    from tests.clouds import jubilant_cloud

    with jubilant_cloud.temporary_cloud(item.config.option) as made:
        yield made
        if item.stash[_FAILED]:
            artifacts = cast("str", item.config.getoption("artifacts"))
            made.collect_artifacts(pathlib.Path(artifacts, item.name))
