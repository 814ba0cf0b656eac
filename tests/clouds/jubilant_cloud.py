"""A cloud of a real Juju, 3.x or 4.x, driven by Jubilant, on LXD's machines of this host.

Nothing here trusts an "idle" of one moment: each wait looks at the model again and again, with a
limit. Within one look `juju status` runs once, and so does `juju show-unit` for each unit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import subprocess
import time
from typing import TYPE_CHECKING, Any

import jubilant

from tests.clouds import options, protocol, redaction

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Generator, Iterator, Mapping

    from jubilant import statustypes, unittypes

logger = logging.getLogger(__name__)

INTERFACE = "worker-cluster"
"""The interface between the distributor and its consumers."""

ENDPOINT = "microcluster-cluster"
"""The distributor's endpoint of that interface; the consumers call theirs as they like."""

# So many looks in a row without anything going on: a moment between two hooks does not count.
_QUIET_LOOKS = 3
_ERRORS = (jubilant.CLIError, jubilant.TaskError, TimeoutError)


class FailedHookError(AssertionError):
    """A hook has failed that should not have."""


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """How long things take, in seconds.

    Attributes:
        poll: between two looks at the model.
        update_status: between two update-status hooks of a unit; Juju itself varies it by a fifth.
        limit: for whatever is waited for. A fresh virtual machine with its snaps takes most of it.
        command: for a command on a unit's machine. Without a quorum a microcluster takes 10.5.
    """

    poll: float = 5.0
    update_status: float = 30.0
    limit: float = 1800.0
    command: float = 60.0

    @property
    def config(self) -> dict[str, jubilant.ConfigValue]:
        """The configuration of the model: a failed hook has to fail the run, too."""
        return {
            "automatically-retry-hooks": False,
            "update-status-hook-interval": f"{self.update_status:g}s",
        }


def lxc(*arguments: str) -> None:
    """Run LXD's client on this machine, which is the host of the model's machines."""
    # What it prints is left to pytest, which shows it if this fails.
    subprocess.run(["lxc", *arguments], check=True, timeout=300)  # noqa: S603, S607, our words


class ModelStatus:
    """One look at a model.

    Args:
        juju: speaks to the model.

    Attributes:
        status: what `juju status` shows.
        units: of all applications, by name, in the order of their numbers.
    """

    def __init__(self, juju: jubilant.Juju):
        self._juju = juju
        self._shown: dict[str, unittypes.UnitInfo] = {}
        self.status = juju.status()
        units = [unit for app in self.status.apps.values() for unit in app.units.items()]
        self.units = dict(sorted(units, key=lambda unit: int(unit[0].partition("/")[2])))

    @property
    def major(self) -> int:
        """The first number of Juju's version."""
        return int(self.status.model.version.partition(".")[0])

    def units_of(self, application: str) -> list[str]:
        """Return the units of an application."""
        return [unit for unit in self.units if unit.partition("/")[0] == application]

    def machine(self, unit: str) -> statustypes.MachineStatus | None:
        """Return a unit's machine; None before there is one."""
        return self.status.machines.get(self.units[unit].machine)

    def related(self, application: str) -> list[str]:
        """Return the applications at the other side of `INTERFACE`, without the peers."""
        found = self.status.apps.get(application)
        return [
            relation.related_app
            for relations in (found.relations if found else {}).values()
            for relation in relations
            if relation.interface == INTERFACE and relation.related_app != application
        ]

    def relations(self, unit: str) -> list[unittypes.RelationData]:
        """Return what a unit is shown of its relations with `ENDPOINT`."""
        if unit not in self._shown:
            self._shown[unit] = self._juju.show_unit(unit)
        return [
            relation
            for relation in self._shown[unit].relation_info
            if ENDPOINT in (relation.endpoint, relation.related_endpoint)
        ]


class JubilantCloud:
    """A model of a real Juju; it is a `tests.clouds.protocol.Cloud`.

    Args:
        juju: speaks to the model.
        charms: where the charms that `tests.clouds.protocol` names come from, by name.
        timeouts: how long things take.
        host: runs `lxc` with these arguments.
    """

    def __init__(
        self,
        juju: jubilant.Juju,
        charms: Mapping[str, options.CharmSource],
        timeouts: Timeouts | None = None,
        host: Callable[..., None] = lxc,
    ):
        self._juju = juju
        self._charms = charms
        self._timeouts = timeouts or Timeouts()
        self._host = host
        self._look: ModelStatus | None = None
        self._sources: dict[str, options.CharmSource] = {}
        self._leaving: set[str] = set()
        # Machines by number.
        self._down: set[str] = set()
        self._restarted: set[str] = set()

    @property
    def name(self) -> str:
        return f"Juju {self._observe().status.model.version}"

    @property
    def capabilities(self) -> frozenset[protocol.Capability]:
        found: set[protocol.Capability] = set()
        if self._observe().major < 4:
            found.add(protocol.Capability.FORCE_DEPARTS)
        if self._charms[protocol.CONSUMER].status_names_cause:
            found.add(protocol.Capability.STATUS_NAMES_CAUSE)
        if {protocol.EARLIER_CONSUMER, protocol.EARLIER_DISTRIBUTOR} <= set(self._charms):
            found.add(protocol.Capability.EARLIER_CHARMS)
        return frozenset(found)

    # Operations.

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        name = application or charm_name
        source = self._sources[name] = self._charms[charm_name]
        self._juju.deploy(
            source.charm,
            name,
            base=source.base or None,
            channel=source.channel or None,
            constraints=source.constraints or None,
            num_units=units,
        )
        return name

    def integrate(self, one: str, two: str) -> None:
        self._juju.integrate(one, two)

    def remove_relation(self, one: str, two: str) -> None:
        self._juju.remove_relation(one, two)

    def add_unit(self, application: str, *, hostname: str | None = None) -> str:
        """Add a unit, on a machine of its own.

        Raises:
            ValueError: Juju gives machines their host names, and takes none.
        """
        if hostname is not None:
            raise ValueError(f"{self.name} does not choose host names")
        before = self._observe().units
        self._juju.add_unit(application)
        added = [unit for unit in self._observe().units_of(application) if unit not in before]
        assert len(added) == 1, f"{application} got {added} instead of one more unit"
        return added[0]

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        self._leaving.add(unit)
        machine = self._observe().units[unit].machine
        if force and machine in self._down:
            # On a Juju 3 a dead machine outlives the unit that was removed from it by force.
            self._juju.cli("remove-machine", "--force", "--no-prompt", machine)
        else:
            self._juju.remove_unit(unit, force=force)

    def remove_application(self, application: str) -> None:
        self._leaving.update(self._observe().units_of(application))
        self._juju.remove_application(application)

    def refresh(self, application: str, charm_name: str) -> None:
        source = self._sources[application] = self._charms[charm_name]
        if source.charm.startswith("/"):
            self._juju.refresh(application, path=source.charm)
        else:
            self._juju.refresh(application, channel=source.channel or None)

    def kill_machine(self, unit: str) -> None:
        self._down.add(self._observe().units[unit].machine)
        self._host("stop", "--force", self._instance(unit))

    def start_machine(self, unit: str) -> None:
        self._host("start", self._instance(unit))
        machine = self._observe().units[unit].machine
        self._down.discard(machine)
        self._restarted.add(machine)

    def _instance(self, unit: str) -> str:
        machine = self._observe().machine(unit)
        assert machine is not None, f"{unit} has no machine"
        return machine.instance_id

    # Observations.

    def units(self, application: str) -> list[str]:
        return [
            unit
            for unit in self._staying(self._observe())
            if unit.partition("/")[0] == application
        ]

    def leader(self, application: str) -> str | None:
        look = self._observe()
        return next((unit for unit in look.units_of(application) if look.units[unit].leader), None)

    def hostname(self, unit: str) -> str:
        machine = self._observe().machine(unit)
        return machine.hostname if machine else ""

    def bag(self, owner: str, other: str = "") -> Mapping[str, str]:
        look = self._observe()
        application = owner.partition("/")[0]
        for far in [other] if other else look.related(application):
            # Up to Juju 3.6 a unit is shown the application databag of the other side, from 4.0 on
            # its own. A unit's databag is shown to the other side alone.
            own = "/" not in owner and look.major >= 4
            for unit in look.units_of(application if own else far):
                for relation in look.relations(unit):
                    shown = {name.partition("/")[0] for name in relation.related_units}
                    if owner in relation.related_units:
                        return _texts(relation.related_units[owner].data)
                    if "/" not in owner and (not shown or (far if own else application) in shown):
                        return _texts(relation.app_data)
        return {}

    def status(self, unit: str) -> tuple[str, str]:
        found = self._observe().units[unit].workload_status
        return found.current, found.message

    def members(self, unit: str) -> list[protocol.Member]:
        if self._observe().units[unit].juju_status.current not in ("idle", "executing"):
            return []
        command = self._sources[unit.partition("/")[0]].command
        try:
            return protocol.Member.all_in(self._run_on(unit, f"{command} list -f json"))
        except (*_ERRORS, json.JSONDecodeError) as error:
            logger.info("%s lists no members: %s", unit, redaction.redact(str(error)))
            return []

    def _run_on(self, unit: str, command: str) -> str:
        return self._juju.exec(command, unit=unit, wait=self._timeouts.command).stdout

    # Time.

    def settle(self) -> None:
        """Wait until removed units are gone, and no agent has had anything to do lately.

        Raises:
            AssertionError: it does not come to that.
        """
        quiet = 0
        busy: list[str] = []

        def is_quiet() -> bool:
            nonlocal quiet
            busy[:] = self._busy(self._observe())
            quiet = 0 if busy else quiet + 1
            return quiet >= _QUIET_LOOKS

        self._retry(is_quiet, lambda: f"not settled: {'; '.join(busy)}")

    def wait(self, rounds: int = 1) -> None:
        time.sleep(rounds * self._timeouts.update_status * 1.2)
        self.settle()

    def eventually(self, what: str, observed: Callable[[], bool]) -> None:
        problems: list[str] = []

        def looked() -> bool:
            try:
                return observed()
            except AssertionError as error:
                # For example, a leader may be missing for a minute.
                problems[:] = [str(error)]
                return False

        self._retry(looked, lambda: f"not observed: {'; '.join([what, *problems])}")

    def _observe(self) -> ModelStatus:
        return self._look or ModelStatus(self._juju)

    @contextlib.contextmanager
    def _looking(self) -> Generator[None]:
        """Observe one moment of the model, in which no hook has failed."""
        look = ModelStatus(self._juju)
        self._check_hooks(look)
        self._look = look
        try:
            yield
        finally:
            self._look = None

    def _check_hooks(self, look: ModelStatus) -> None:
        for name, unit in look.units.items():
            if unit.workload_status.current != "error" or unit.machine in self._down:
                continue
            if name not in self._leaving and unit.machine not in self._restarted:
                raise FailedHookError(f"{name} is in error: {unit.workload_status.message}")
            # The cluster does not let it go yet; or the hook died with the machine.
            self._juju.cli("resolved", name)

    def _staying(self, look: ModelStatus) -> list[str]:
        return [
            name
            for name, unit in look.units.items()
            if name not in self._leaving
            and not {unit.juju_status.life, unit.workload_status.life} & {"dying", "dead"}
        ]

    def _busy(self, look: ModelStatus) -> list[str]:
        """Return what is still going on, on machines that run."""
        agents = {name: look.units[name].juju_status.current for name in self._staying(look)}
        busy = [f"{name} is there" for name in look.units if name in self._leaving] + [
            f"{name}'s agent is {agent or 'not there'}"
            for name, agent in agents.items()
            if look.units[name].machine not in self._down and agent != "idle"
        ]
        if not busy:
            self._leaving.clear()
        return busy

    def _retry(self, observed: Callable[[], bool], problem: Callable[[], str]) -> None:
        """Look again and again, also where Juju does not answer for a moment."""
        failed = ""
        for attempt in range(max(1, round(self._timeouts.limit / self._timeouts.poll))):
            if attempt:
                time.sleep(self._timeouts.poll)
            try:
                with self._looking():
                    if observed():
                        return
                failed = ""
            except _ERRORS as error:
                failed = f"; the last look failed: {error}"
        picture = self._text(lambda: self._juju.cli("status", "--relations"))
        raise AssertionError(redaction.redact(f"{problem()}{failed}\n{picture}"))

    # After a failure.

    def collect_artifacts(self, folder: pathlib.Path) -> None:
        """Write to a folder what a person needs to find the cause, without tokens."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._artifacts():
            (folder / name).write_text(self._text(text))

    def _artifacts(self) -> Iterator[tuple[str, Callable[[], str]]]:
        cli = self._juju.cli
        yield "status.txt", lambda: cli("status", "--relations")
        yield "status.json", lambda: cli("status", "--format", "json")
        yield "debug-log.txt", lambda: cli("debug-log", "--replay", "--no-tail", "--date", "--ms")
        try:
            units = ModelStatus(self._juju).units
        except _ERRORS:
            return
        for name, unit in units.items():
            file = name.replace("/", "-")
            yield f"show-unit-{file}.yaml", lambda name=name: cli("show-unit", name)
            source = self._sources.get(name.partition("/")[0])
            if source and source.logs and unit.machine not in self._down:
                logs = source.logs
                yield (
                    f"workload-{file}.txt",
                    lambda name=name, logs=logs: self._run_on(name, logs),
                )

    @staticmethod
    def _text(read: Callable[[], str]) -> str:
        try:
            return redaction.redact(read())
        except _ERRORS as error:
            return redaction.redact(f"{error}\n")


@contextlib.contextmanager
def temporary_cloud(option: Any) -> Generator[JubilantCloud]:
    """Make a model of its own, gone afterwards unless it is to be kept.

    Args:
        option: the values of `tests.clouds.options`.
    """
    charms = options.sources(option)
    timeouts = Timeouts()
    with jubilant.temp_model(
        keep=option.keep_models,
        controller=option.juju_controller or None,
        cloud=option.juju_cloud or None,
        config=timeouts.config,
    ) as juju:
        yield JubilantCloud(juju, charms, timeouts)


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in data.items()}
