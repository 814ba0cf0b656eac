"""The fixture `cloud`, chosen by `--cloud`.

- `model`: the in-memory model of Juju with a fake microcluster, for each pair of their versions;
- `lxd`: the same model with real LXD daemons, which die by kill -9;
- `jubilant`: a real Juju with a real microcluster.
"""

import contextlib
import pathlib
from collections.abc import Generator
from typing import cast

import pytest

from tests import juju_model
from tests.clouds import local, options, protocol
from tests.microclusters import lxd, needs_lxd

_PAIRS = ((("3.6", "2.0.5"), ("4.0", "3.0.0")), (("3.6", "3.0.0"), ("4.0", "2.0.5")))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of a cloud."""
    group = parser.getgroup("scenarios")
    group.addoption(
        "--cloud",
        choices=("model", "lxd", "jubilant"),
        default="model",
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


def pytest_configure(config: pytest.Config) -> None:
    """On a real Juju, where each scenario takes minutes, choose the smoke tests without `-m`."""
    if config.getoption("cloud") == "jubilant" and not config.getoption("markexpr"):
        config.option.markexpr = "smoke"


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Generator[protocol.Cloud]:
    """An empty cloud; a scenario that it cannot run is skipped."""
    item = cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType]
    make = {"model": _model, "lxd": _lxd, "jubilant": _jubilant}
    with make[cast("str", request.config.getoption("cloud"))](request) as made:
        required = {each for mark in item.iter_markers("requires") for each in mark.args}
        if missing := sorted(each.value for each in required - made.capabilities):
            pytest.skip(f"{made.name} does not {', nor '.join(missing)}")
        failed = item.session.testsfailed
        yield made
        if isinstance(made, local.LocalCloud) and item.session.testsfailed == failed:
            made.check()


@contextlib.contextmanager
def _model(request: pytest.FixtureRequest) -> Generator[protocol.Cloud]:
    """The model of Juju with a fake microcluster.

    After each hook, databags have to fit their schemas, and tokens are nowhere but in them.
    """
    # On another cloud its requirements need not be there.
    from tests.simulation import bags

    seed, version, microcluster = request.param
    # With two seeds of three, other machines run their hooks while one waits for a command.
    interleave = 0.3 if seed % 3 else 0.0
    with juju_model.Juju(seed, version=version, interleave=interleave) as juju:
        made = local.LocalCloud(juju, local.fake_microcluster(juju, seed, microcluster))

        def check(hook: juju_model.Hook) -> None:
            for complaint in bags.complaints(juju, hook, made.fake):
                pytest.fail(f"{complaint}: {hook}")

        juju.on_hook.append(check)
        yield made


@contextlib.contextmanager
def _lxd(_: pytest.FixtureRequest) -> Generator[protocol.Cloud]:
    """The model of Juju with LXD daemons."""
    needs_lxd.require()
    cluster = lxd.LxdMicrocluster()
    try:
        with juju_model.Juju(version="4.0") as juju:
            yield local.LocalCloud(juju, cluster)
    finally:
        cluster.close()


@contextlib.contextmanager
def _jubilant(request: pytest.FixtureRequest) -> Generator[protocol.Cloud]:
    """A model of its own; what is known of it is kept if the scenario fails."""
    # On another cloud its requirements need not be there.
    from tests.clouds import jubilant_cloud

    failed = request.session.testsfailed
    with jubilant_cloud.temporary_cloud(request.config.option) as made:
        yield made
        if request.session.testsfailed > failed:
            artifacts = cast("str", request.config.getoption("artifacts"))
            made.collect_artifacts(pathlib.Path(artifacts, cast("pytest.Item", request.node).name))
