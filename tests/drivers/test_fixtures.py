"""A story's model is made and handed back, and what is known of it is kept if the story fails.

Whole runs of `tests/integration`, in which the first deed fails, with a stand-in for `juju` and
specifications in the place of python-libjuju's controller.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.clouds import protocol
from tests.drivers import shapes, stand_in
from tests.integration import packing

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

STATUS = shapes.status({protocol.CONSUMER: {f"{protocol.CONSUMER}/0": shapes.unit("0")}})


@dataclasses.dataclass
class Ran:
    """A run of pytest that has come to its end.

    Attributes:
        code: how it ended.
        out: what it printed.
        juju: the stand-in that it had.
        artifacts: what it has kept, by the file's name.
    """

    code: int
    out: str
    juju: stand_in.JujuOnPath
    artifacts: dict[str, str]


@pytest.fixture
def run(juju: stand_in.JujuOnPath, tmp_path: pathlib.Path) -> Callable[..., Ran]:
    """Run the module about the bundle, with these options."""
    juju.answers("status", stand_in.Answer(STATUS))
    juju.answers("debug-log", stand_in.Answer(f"a token: {shapes.TOKEN}\n"))
    juju.answers("deploy", stand_in.Answer(err="ERROR no such charm\n", code=1))
    data = tmp_path / "data"
    data.mkdir()
    (data / "controllers.yaml").write_text("controllers: {c: {}}\ncurrent-controller: c\n")
    charm = tmp_path / "distributor.charm"
    charm.touch()
    # What tox and pytest-xdist have set is about the run that this one is in.
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "TOX_", "CONSUMER", "BASE", "CHARM_PATH"))
    }

    def run_with(*options: str) -> Ran:
        done = subprocess.run(  # noqa: S603, ours
            [
                *(sys.executable, "-m", "pytest", "tests/integration/test_formation.py"),
                *("-p", "tests.drivers.without_controller", "-p", "no:cacheprovider", "-s"),
                *("--basetemp", str(tmp_path / "inner"), "--artifacts", str(tmp_path / "kept")),
                *("--charm-path", str(charm), "--consumer-library", "published", *options),
            ],
            cwd=packing.ROOT,
            env={**environment, "JUJU_DATA": str(data)},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        kept = (tmp_path / "kept").rglob("*.*")
        return Ran(
            done.returncode, done.stdout, juju, {path.name: path.read_text() for path in kept}
        )

    return run_with


@pytest.mark.parametrize("driver", ["libjuju", "jubilant"])
def test_a_failed_story_leaves_its_evidence_and_says_why(
    run: Callable[..., Ran], driver: str
) -> None:
    """The model is gone afterwards, so this is all that there is."""
    ran = run("--driver", driver)

    assert ran.code == pytest.ExitCode.TESTS_FAILED, ran.out
    assert "no such charm" in ran.out
    assert shapes.TOKEN not in ran.out
    assert ran.artifacts["status.json"] == STATUS
    assert ran.artifacts["debug-log.txt"] == "a token: <token>\n"
    assert f"show-unit-{protocol.CONSUMER}-0.yaml" in ran.artifacts


def test_jubilant_makes_a_model_and_destroys_it(run: Callable[..., Ran]) -> None:
    """A failed hook is to fail there, and update-status to come often."""
    ran = run("--driver", "jubilant", "--cloud", "localhost", "--controller", "c")

    (made,) = ran.juju.calls("add-model")
    assert "localhost" in made
    assert made[made.index("--controller") + 1] == "c"
    assert {"automatically-retry-hooks=false", "update-status-hook-interval=30s"} <= set(made)
    (destroyed,) = ran.juju.calls("destroy-model")
    assert destroyed[1].startswith("c:jubilant-")


def test_python_libjuju_makes_a_model_and_destroys_it(run: Callable[..., Ran]) -> None:
    """It is what there is without an option; the deploying is left to the `juju` program."""
    ran = run()

    assert "destroyed by libjuju: made-by-libjuju" in ran.out
    assert not ran.juju.calls("add-model")
    assert len(ran.juju.calls("deploy")) == 1


@pytest.mark.parametrize("driver", ["libjuju", "jubilant"])
def test_models_can_be_kept(run: Callable[..., Ran], driver: str) -> None:
    """For a person to look into."""
    ran = run("--driver", driver, "--keep-models")

    assert ran.code == pytest.ExitCode.TESTS_FAILED, ran.out
    assert not ran.juju.calls("destroy-model")
    assert "destroyed by libjuju" not in ran.out


def test_jubilant_takes_a_model_that_is_there(run: Callable[..., Ran]) -> None:
    """It configures it, and leaves it."""
    ran = run("--driver", "jubilant", "--model", "mine")

    assert not ran.juju.calls("add-model")
    assert not ran.juju.calls("destroy-model")
    (configured,) = ran.juju.calls("model-config")
    assert configured[1:3] == ["--model", "mine"]
    assert "automatically-retry-hooks=false" in configured


def test_a_driver_that_there_is_not_is_refused(run: Callable[..., Ran]) -> None:
    """Before anything is deployed."""
    ran = run("--driver", "pylibjuju")

    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert "argument --driver: invalid choice" in ran.out
    assert not ran.juju.calls()
