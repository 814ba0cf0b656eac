"""`ops_test` without a Juju, for `--driver local`: the model of it in memory, on LXD daemons.

It offers what the suite uses, with the signatures of pytest-operator's and python-libjuju's own
classes, which test_surface.py compares; the suite is typed by these classes. To sleep is to let
update-status fall due everywhere.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import pathlib
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import jinja2
import pytest
import yaml
from pytest_operator import plugin

from tests import juju_model
from tests.clouds import local, packing, protocol
from tests.microclusters import lxd, needs_lxd


def charm(source: str, channel: str | None) -> str:
    """Name what stands for a charm of Charmhub, or at a path: an LXD cluster for MicroOVN's."""
    if channel:
        return {
            protocol.DISTRIBUTOR: protocol.EARLIER_DISTRIBUTOR,
            "microovn": protocol.EARLIER_CONSUMER,
        }[source]
    if pathlib.Path(source) == local.ROOT:
        return protocol.DISTRIBUTOR
    with zipfile.ZipFile(source) as packed:
        assert packed.read(packing.LIBRARY) == (local.ROOT / packing.LIBRARY).read_bytes()
    return protocol.CONSUMER


@dataclasses.dataclass(frozen=True)
class Machine:
    _host: juju_model.Machine

    @property
    def hostname(self) -> str | None:
        return self._host.name


@dataclasses.dataclass(frozen=True)
class Unit:
    _cloud: local.LocalCloud
    _name: str

    @property
    def name(self) -> str:
        return self._name

    @property
    def machine(self) -> Machine | None:
        return Machine(self._cloud.juju.host(self._name))

    @property
    def agent_status(self) -> str:
        return "idle" if self._cloud.juju.unit(self._name).started else "allocating"

    @property
    def workload_status(self) -> str:
        return self._cloud.status(self._name)[0]

    @property
    def workload_status_message(self) -> str:
        return self._cloud.status(self._name)[1]

    async def is_leader_from_status(self) -> bool:
        return self._cloud.leader(self._name.partition("/")[0]) == self._name


@dataclasses.dataclass(frozen=True)
class Application:
    _cloud: local.LocalCloud
    _name: str

    @property
    def units(self) -> list[Unit]:
        return [Unit(self._cloud, name) for name in self._cloud.units(self._name)]

    async def add_unit(self, count: int = 1) -> list[Unit]:
        return [Unit(self._cloud, self._cloud.add_unit(self._name)) for _ in range(count)]

    async def refresh(self, *, path: pathlib.Path | str | None = None) -> None:
        self._cloud.refresh(self._name, charm(str(path), None))


@dataclasses.dataclass(frozen=True)
class Model:
    _cloud: local.LocalCloud

    @property
    def applications(self) -> dict[str, Application]:
        return {name: Application(self._cloud, name) for name in self._cloud.juju.apps}

    async def set_config(self, config: Mapping[str, str]) -> None:
        """Do nothing: the model's time passes as fast as it can, and failed hooks are retried."""

    async def integrate(self, relation1: str, relation2: str) -> None:
        self._cloud.integrate(relation1, relation2)

    async def destroy_unit(self, unit_id: str, *, force: bool = False) -> None:
        self._cloud.remove_unit(unit_id, force=force)

    async def remove_application(
        self,
        app_name: str,
        block_until_done: bool = False,
        force: bool = False,
        *,
        timeout: float | None = None,
    ) -> None:
        for unit in self._cloud.units(app_name) if force else ():
            self._cloud.kill_machine(unit)
            self._cloud.remove_unit(unit, force=True)
        self._cloud.remove_application(app_name)
        if block_until_done:
            await self.block_until(lambda: app_name not in self.applications, timeout=timeout)

    async def block_until(
        self, *conditions: Callable[[], bool], timeout: float | None = None
    ) -> None:
        """Run hooks until all conditions hold; a hook that fails as it should not is an error."""
        what = f"the conditions within {timeout} s"
        self._cloud.eventually(what, lambda: all(condition() for condition in conditions))

    async def wait_for_idle(
        self,
        apps: Iterable[str] | None = None,
        raise_on_error: bool = True,  # noqa: ARG002, see `block_until`
        *,
        timeout: float | None = 10 * 60,
        wait_for_exact_units: int | None = None,
    ) -> None:
        """Run hooks until applications have nothing to do, and so many units each."""
        await self.block_until(
            lambda: all(
                wait_for_exact_units in (None, len(self._cloud.units(app))) for app in apps or ()
            ),
            timeout=timeout,
        )


class OpsTest:
    """What pytest-operator hands to the tests."""

    def __init__(self, cloud: local.LocalCloud, directory: pathlib.Path) -> None:
        self.aborted = False
        self._cloud = cloud
        self._directory = directory

    @property
    def model(self) -> Model:
        return Model(self._cloud)

    async def build_charm(self, charm_path: pathlib.Path | str) -> pathlib.Path:
        """Pack nothing: a project is loaded as it is."""
        return pathlib.Path(charm_path).absolute()

    def render_bundle(self, bundle: pathlib.Path | str, **kwcontext: str) -> pathlib.Path:
        rendered = jinja2.Template(pathlib.Path(bundle).read_text()).render(**kwcontext)
        path = self._directory / pathlib.Path(bundle).name
        path.write_text(rendered)
        return path

    async def run(self, *cmd: str, check: bool = False) -> tuple[int | None, str, str]:
        """Run `juju`, or `lxc stop` for a machine; anything else is an error of the tests."""
        words, options = _parse(cmd)
        code, out = 0, ""
        match words:
            case ["lxc", "stop", name]:
                hosts = {self._cloud.hostname(unit): unit for unit in self._units()}
                self._cloud.kill_machine(hosts[name])
            case ["juju", "deploy", bundle]:
                self._deploy_bundle(yaml.safe_load(pathlib.Path(bundle).read_text()))
            case ["juju", "deploy", source, name]:
                self._cloud.deploy(charm(source, options.channel), name, units=options.num_units)
            case ["juju", "download", "microovn"]:
                with zipfile.ZipFile(options.filepath, "w") as packed:
                    packed.writestr(packing.LIBRARY, "an earlier one")
            case ["juju", "exec", "microovn", "cluster", *rest]:
                done = self._cloud.run(options.unit, *rest)
                code, out = done.returncode, done.stdout
            case ["juju", "show-unit", *units]:
                out = json.dumps({u: {"relation-info": list(self._relations(u))} for u in units})
            case ["juju", "status"]:
                out = "\n".join(f"{unit} {self._cloud.status(unit)}" for unit in self._units())
            case ["juju", "debug-log"]:
                hooks = self._cloud.juju.trace
                out = "\n".join(f"{hook.unit} {log}" for hook in hooks for _, log in hook.logs)
            case _:
                raise ValueError(f"--driver local does not run {cmd}")
        assert not (check and code), f"{cmd} failed: {out}"
        return code, out, ""

    async def juju(self, *args: str, check: bool = False) -> tuple[int | None, str, str]:
        return await self.run("juju", *args, check=check)

    async def sleep(self, seconds: float) -> None:
        """Let a little real time pass, for the daemons, and update-status hooks run."""
        time.sleep(min(seconds, 1))
        self._cloud.wait()

    def _units(self) -> list[str]:
        return [unit for app in self._cloud.juju.apps for unit in self._cloud.units(app)]

    def _deploy_bundle(self, bundle: dict[str, Any]) -> None:
        for name, app in bundle["applications"].items():
            self._cloud.deploy(charm(app["charm"], None), name, units=app["num_units"])
        for one, two in bundle["relations"]:
            self._cloud.integrate(one, two)

    def _relations(self, unit: str) -> Iterator[dict[str, Any]]:
        juju = self._cloud.juju
        app = juju.apps[unit.partition("/")[0]]
        for relation in app.relations.values():
            other = relation.other(app.name)
            bags = {name: juju.bag(name, relation_id=relation.id) for name in other.scope}
            yield {
                "endpoint": relation.side(app.name).endpoint,
                "related-endpoint": other.endpoint,
                "application-data": juju.bag(other.app, relation_id=relation.id),
                "related-units": {name: {"data": data} for name, data in bags.items()},
            }


def _parse(cmd: tuple[str, ...]) -> tuple[list[str], argparse.Namespace]:
    """Part the words of a command, with those behind `--`, from its options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    for flag in ("force", "no-progress", "no-tail", "relations", "replay"):
        parser.add_argument(f"--{flag}", action="store_true")
    for option in ("arch", "base", "channel", "constraints", "filepath", "format", "unit", "wait"):
        parser.add_argument(f"--{option}")
    parser.add_argument("--num-units", type=int, default=1)
    end = cmd.index("--") if "--" in cmd else len(cmd)
    options = parser.parse_intermixed_args(cmd[:end])
    return [*options.words, *cmd[end + 1 :]], options


@pytest.fixture(scope="module")
async def ops_test(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpsTest]:
    """A model of its own for each module, as pytest-operator gives it."""
    needs_lxd.require()
    with (
        contextlib.closing(lxd.LxdMicrocluster()) as cluster,
        juju_model.Juju(version="3.6") as juju,
        pytest.MonkeyPatch.context() as patch,
    ):
        double = OpsTest(local.LocalCloud(juju, cluster), tmp_path_factory.mktemp("bundles"))
        # For the marker abort_on_fail.
        patch.setattr(plugin.OpsTest, "_instance", double)
        patch.setattr(asyncio, "sleep", double.sleep)
        yield double
