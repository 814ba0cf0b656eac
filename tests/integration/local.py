"""`ops_test` without a Juju, for `--driver local`: the model of it in memory, on LXD daemons.

It offers what the suite uses, with the signatures of pytest-operator's and python-libjuju's own
classes, which test_surface.py compares; the suite is typed by these classes. To sleep is to let
update-status fall due everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import pathlib
import time
import zipfile
from typing import TYPE_CHECKING, Any, cast

import jinja2
import pytest
import yaml
from juju import errors
from pytest_operator import plugin

from tests import juju_model
from tests.charms import earlier, variants
from tests.integration import helpers
from tests.microclusters import lxd, needs_lxd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    # A command's exit code, and what it printed.
    Answer = tuple[int, str, str]

ROOT = pathlib.Path(__file__).parents[2]

# The substitution: the LXD cluster charm stands in for MicroOVN's, and on its machines their own
# command line for `microovn cluster`.
LXD_CLUSTER = ROOT / "tests" / "charms" / "lxd_cluster"
MICROOVN_CLUSTER = ["microovn", "cluster"]

# Seconds of the model's time in which failed hooks are tried again, and leaders elected.
_PATIENCE = 240.0
_ROUNDS = 40
_FLAGS = frozenset({"--no-progress", "--no-tail", "--relations", "--replay"})


@functools.cache
def load(root: pathlib.Path) -> juju_model.Charm:
    """Load a charm's project; the LXD cluster charm uses the command line of its machines."""
    loaded = juju_model.Charm.load(root)
    return variants.commanded(loaded) if root == LXD_CLUSTER else loaded


def charm(source: str, channel: str = "") -> juju_model.Charm:
    """Return what `juju` would deploy: what lies at a path, else what Charmhub has."""
    path = pathlib.Path(source)
    if path == ROOT:
        return load(ROOT)
    if source == helpers.DISTRIBUTOR and channel:
        return juju_model.Charm(earlier.EarlierDistributorCharm, load(ROOT).meta)
    if source == helpers.MICROOVN and channel:
        return juju_model.Charm(earlier.EarlierConsumerCharm, load(LXD_CLUSTER).meta)
    with zipfile.ZipFile(path) as packed:
        assert packed.read(helpers.LIBRARY) == (ROOT / helpers.LIBRARY).read_bytes()
    return load(LXD_CLUSTER)


@dataclasses.dataclass(frozen=True)
class Machine:
    """A unit's machine."""

    _host: juju_model.Machine

    @property
    def hostname(self) -> str | None:
        return self._host.name

    @property
    def data(self) -> Mapping[str, str]:
        return {"instance-id": self._host.name}


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit of the model."""

    _juju: juju_model.Juju
    _name: str

    @property
    def name(self) -> str:
        return self._name

    @property
    def machine(self) -> Machine | None:
        return Machine(self._juju.host(self._name))

    @property
    def agent_status(self) -> str:
        return "idle" if self._juju.unit(self._name).started else "allocating"

    @property
    def workload_status(self) -> str:
        return self._juju.status(self._name).name

    @property
    def workload_status_message(self) -> str:
        return self._juju.status(self._name).message

    async def is_leader_from_status(self) -> bool:
        return self._juju.leader(self._name.partition("/")[0]) == self._name


@dataclasses.dataclass(frozen=True)
class Application:
    """An application of the model."""

    _juju: juju_model.Juju
    _name: str

    @property
    def units(self) -> list[Unit]:
        return [Unit(self._juju, name) for name in self._juju.units(self._name)]

    async def add_unit(self, count: int = 1) -> list[Unit]:
        return [Unit(self._juju, self._juju.add_unit(self._name)) for _ in range(count)]

    async def refresh(self, *, path: pathlib.Path | str | None = None) -> None:
        self._juju.refresh(self._name, charm(str(path)))


class Model:
    """The model."""

    def __init__(self, juju: juju_model.Juju) -> None:
        self._juju = juju
        self._failures = 0  # of hooks, seen by `wait_for_idle`

    @property
    def applications(self) -> dict[str, Application]:
        return {name: Application(self._juju, name) for name in self._juju.apps}

    async def set_config(self, config: Mapping[str, str]) -> None:
        """Do nothing: the model's time passes as fast as it can, and failed hooks are retried."""

    async def integrate(self, relation1: str, relation2: str) -> None:
        self._juju.integrate(relation1, relation2)

    async def destroy_unit(self, unit_id: str, *, force: bool = False) -> None:
        self._juju.remove_unit(unit_id, force=force)

    async def remove_application(
        self,
        app_name: str,
        block_until_done: bool = False,
        force: bool = False,
        *,
        timeout: float | None = None,
    ) -> None:
        for unit in self._juju.units(app_name) if force else ():
            self._juju.kill_machine(unit)
            self._juju.remove_unit(unit, force=True)
        self._juju.remove_application(app_name)
        if block_until_done:
            await self.block_until(lambda: app_name not in self._juju.apps, timeout=timeout)

    async def block_until(
        self, *conditions: Callable[[], bool], timeout: float | None = None
    ) -> None:
        """Run hooks until all conditions hold."""
        self.settle()
        for _ in range(_ROUNDS):
            if all(condition() for condition in conditions):
                return
            await asyncio.sleep(1)
        raise asyncio.TimeoutError(f"not within {timeout} s")

    async def wait_for_idle(
        self,
        apps: Iterable[str] | None = None,
        raise_on_error: bool = True,
        *,
        timeout: float | None = 10 * 60,
        wait_for_exact_units: int | None = None,
    ) -> None:
        """Run hooks until applications have nothing to do, and so many units each."""
        names = list(apps or self.applications)
        await self.block_until(
            lambda: all(
                wait_for_exact_units in (None, len(self._juju.units(name))) for name in names
            ),
            timeout=timeout,
        )
        failed, self._failures = self._juju.errors[self._failures :], len(self._juju.errors)
        for hook in failed if raise_on_error else ():
            if hook.unit.partition("/")[0] in names:
                raise errors.JujuUnitError(f"Unit in error: {hook.unit}\n{hook.error}")

    def settle(self) -> None:
        """Run the hooks that are due, and what comes of them."""
        self._juju.settle(retry_failed=True, patience=_PATIENCE)


class OpsTest:
    """What pytest-operator hands to the tests."""

    def __init__(
        self, juju: juju_model.Juju, cluster: lxd.LxdMicrocluster, directory: pathlib.Path
    ) -> None:
        self.aborted = False
        self._juju = juju
        self._cluster = cluster
        self._model = Model(juju)
        self._directory = directory
        self._commands = {
            "debug-log": self._debug_log,
            "deploy": self._deploy,
            "download": self._download,
            "exec": self._exec,
            "show-unit": self._show_unit,
            "status": self._status,
        }

    @property
    def model(self) -> Model:
        return self._model

    async def build_charm(self, charm_path: pathlib.Path | str) -> pathlib.Path:
        """Pack nothing: a project is loaded as it is."""
        return pathlib.Path(charm_path).absolute()

    def render_bundle(self, bundle: pathlib.Path | str, **kwcontext: str) -> pathlib.Path:
        rendered = jinja2.Template(pathlib.Path(bundle).read_text()).render(**kwcontext)
        path = self._directory / pathlib.Path(bundle).name
        path.write_text(rendered)
        return path

    async def run(
        self, *cmd: str, check: bool = False, fail_msg: str | None = None
    ) -> tuple[int | None, str, str]:
        """Run `juju`, or `lxc stop` for a machine; anything else is an error of the tests."""
        match cmd:
            case ("juju", verb, *rest) if verb in self._commands:
                code, out, err = self._commands[verb](*_parse(rest))
            case ("lxc", "stop", "--force", instance):
                self._juju.kill_machine(self._unit_on(instance))
                code, out, err = 0, "", ""
            case _:
                raise ValueError(f"--driver local does not run {cmd}")
        if check and code:
            raise AssertionError(f"{fail_msg or f'Command {list(cmd)} failed'} ({code}): {err}")
        return code, out, err

    async def juju(
        self, *args: str, check: bool = False, fail_msg: str | None = None
    ) -> tuple[int | None, str, str]:
        return await self.run("juju", *args, check=check, fail_msg=fail_msg)

    async def sleep(self, seconds: float) -> None:
        """Let a little real time pass, for the daemons, and update-status hooks run."""
        time.sleep(min(seconds / 30, 1))
        self._juju.update_status_round(retry_failed=True, patience=_PATIENCE)

    def _unit_on(self, instance: str) -> str:
        units = (unit for app in self._juju.apps for unit in self._juju.units(app))
        return next(unit for unit in units if self._juju.host(unit).name == instance)

    # The commands of `juju`.

    def _deploy(self, words: Sequence[str], options: Mapping[str, str]) -> Answer:
        path = pathlib.Path(words[0])
        if path.suffix == ".yaml":
            bundle = cast("dict[str, Any]", yaml.safe_load(path.read_text()))
            for name, app in bundle["applications"].items():
                self._add(charm(app["charm"]), name, app["num_units"])
            for one, two in bundle["relations"]:
                self._juju.integrate(one, two)
        else:
            deployed = charm(words[0], options.get("--channel", ""))
            self._add(deployed, words[1], int(options.get("--num-units", "1")))
        return 0, "", ""

    def _add(self, deployed: juju_model.Charm, name: str, units: int) -> None:
        factory = None if deployed.endpoints("provides") else self._cluster.add_machine
        self._juju.deploy(deployed, name, units=units, host_factory=factory)

    def _download(self, _: Sequence[str], options: Mapping[str, str]) -> Answer:
        with zipfile.ZipFile(options["--filepath"], "w") as packed:
            packed.writestr(helpers.LIBRARY, "an earlier one")
        return 0, "", ""

    def _exec(self, words: Sequence[str], options: Mapping[str, str]) -> Answer:
        machine = self._juju.host(options["--unit"])
        assert words[:2] == MICROOVN_CLUSTER, f"not `microovn cluster`: {words}"
        done = machine.run([*machine.command, *words[2:]], timeout=60)
        return done.returncode, done.stdout, done.stderr

    def _show_unit(self, words: Sequence[str], _: Mapping[str, str]) -> Answer:
        shown = {unit: {"relation-info": list(self._relations(unit))} for unit in words}
        return 0, json.dumps(shown), ""

    def _relations(self, unit: str) -> Iterator[dict[str, Any]]:
        app = self._juju.apps[unit.partition("/")[0]]
        for relation in app.relations.values():
            other = relation.other(app.name)
            bags = {name: self._juju.bag(name, relation_id=relation.id) for name in other.scope}
            yield {
                "endpoint": relation.side(app.name).endpoint,
                "related-endpoint": other.endpoint,
                "application-data": self._juju.bag(other.app, relation_id=relation.id),
                "related-units": {name: {"data": data} for name, data in bags.items()},
            }

    def _status(self, _: Sequence[str], __: Mapping[str, str]) -> Answer:
        lines = [
            f"{unit.name}  {unit.workload_status}  {unit.workload_status_message}"
            for app in self._model.applications.values()
            for unit in app.units
        ]
        return 0, "\n".join(lines), ""

    def _debug_log(self, _: Sequence[str], __: Mapping[str, str]) -> Answer:
        lines = [
            f"unit.{hook.unit}.juju-log {message}"
            for hook in self._juju.trace
            for _, message in hook.logs
        ]
        return 0, "\n".join(lines), ""


def _parse(args: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Part the words of a `juju` command, or of the one behind `--`, from its options."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return rest, options
        if word.startswith("--"):
            options[word] = "" if word in _FLAGS else rest.pop(0)
        else:
            words.append(word)
    return words, options


@pytest.fixture(scope="module")
async def ops_test(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpsTest]:
    """A model of its own for each module, as pytest-operator gives it."""
    needs_lxd.require()
    with (
        contextlib.closing(lxd.LxdMicrocluster()) as cluster,
        juju_model.Juju(version="3.6") as juju,
        pytest.MonkeyPatch.context() as patch,
    ):
        double = OpsTest(juju, cluster, tmp_path_factory.mktemp("bundles"))
        # For the marker abort_on_fail.
        patch.setattr(plugin.OpsTest, "_instance", double)
        patch.setattr(asyncio, "sleep", double.sleep)
        yield double
