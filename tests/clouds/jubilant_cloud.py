"""A cloud of a real Juju, 3.x or 4.x, driven by Jubilant, on LXD's machines of this host.

Nothing here trusts an "idle" of one moment: each wait looks at the model again and again, with a
limit. Within one look `juju status` runs once, and so does `juju show-unit` for each unit.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import time
from typing import TYPE_CHECKING, Any

import jubilant

from tests.clouds import local, options, protocol, redaction

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Generator, Mapping

    from jubilant import statustypes, unittypes

logger = logging.getLogger(__name__)

# Seconds between two looks at the model, and for which anything is waited for: a fresh virtual
# machine with its snaps takes most of it.
_POLL = 5
_LIMIT = 1800
# So many looks in a row without anything going on: a moment between two hooks does not count.
_QUIET_LOOKS = 3
# Seconds between two update-status hooks of a unit; Juju itself varies it by a fifth.
_UPDATE_STATUS = 30
# Seconds for a command on a unit's machine. Without a quorum a microcluster takes 10.5.
_COMMAND_LIMIT = 60
_ERRORS = (jubilant.CLIError, jubilant.TaskError, TimeoutError)


class FailedHookError(Exception):
    """A hook has failed that should not have."""


def lxc(*arguments: str) -> None:
    """Run LXD's client on this machine, which is the host of the model's machines."""
    # What it prints is left to pytest, which shows it if this fails.
    subprocess.run(["lxc", *arguments], check=True, timeout=300)  # noqa: S603, S607, our words


class JubilantCloud:
    """A model of a real Juju; it is a `tests.clouds.protocol.Cloud`."""

    def __init__(self, juju: jubilant.Juju, charms: Mapping[str, options.CharmSource]):
        self._juju = juju
        self._charms = charms
        self._consumer = charms[protocol.CONSUMER]
        # Of this look, if there is one: what `juju status` and `juju show-unit` show.
        self._look: jubilant.Status | None = None
        self._shown: dict[str, unittypes.UnitInfo] = {}
        self._leaving: set[str] = set()
        # Machines by number.
        self._down: set[str] = set()
        self._restarted: set[str] = set()
        self.integrate = juju.integrate
        self.remove_relation = juju.remove_relation

    @property
    def name(self) -> str:
        return f"Juju {self._status().model.version}"

    @property
    def capabilities(self) -> frozenset[protocol.Capability]:
        having = {
            protocol.Capability.STATUS_NAMES_CAUSE: self._consumer.status_names_cause,
            protocol.Capability.EARLIER_CHARMS: protocol.EARLIER_CONSUMER in self._charms,
        }
        return frozenset(capability for capability in having if having[capability])

    # Operations.

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        name = application or charm_name
        source = self._charms[charm_name]
        self._juju.deploy(
            source.charm,
            name,
            base=source.base,
            channel=source.channel,
            constraints=source.constraints,
            num_units=units,
        )
        return name

    def add_unit(self, application: str, *, hostname: str | None = None) -> str:
        assert hostname is None, f"{self.name} does not choose host names"
        before = self._units()
        self._juju.add_unit(application)
        [added] = [
            unit for unit in self._units() if unit not in before and _app(unit) == application
        ]
        return added

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        self._leaving.add(unit)
        machine = self._units()[unit].machine
        if force and machine in self._down:
            # On a Juju 3 a dead machine outlives the unit that was removed from it by force.
            self._juju.cli("remove-machine", "--force", "--no-prompt", machine)
        else:
            self._juju.remove_unit(unit, force=force)

    def remove_application(self, application: str) -> None:
        self._leaving.update(unit for unit in self._units() if _app(unit) == application)
        self._juju.remove_application(application)

    def refresh(self, application: str, charm_name: str) -> None:
        source = self._charms[charm_name]
        path = None if source.channel else source.charm
        self._juju.refresh(application, channel=source.channel, path=path)

    def kill_machine(self, unit: str) -> None:
        machine = self._units()[unit].machine
        self._down.add(machine)
        lxc("stop", "--force", self._status().machines[machine].instance_id)

    def start_machine(self, unit: str) -> None:
        machine = self._units()[unit].machine
        lxc("start", self._status().machines[machine].instance_id)
        self._down.discard(machine)
        self._restarted.add(machine)

    # Observations.

    def units(self, application: str) -> list[str]:
        return [
            name
            for name, unit in self._units().items()
            if _app(name) == application and not self._is_leaving(name, unit)
        ]

    def leader(self, application: str) -> str | None:
        leaders = (name for name, unit in self._units().items() if unit.leader)
        return next((name for name in leaders if _app(name) == application), None)

    def hostname(self, unit: str) -> str:
        # There is no machine at first.
        machine = self._status().machines.get(self._units()[unit].machine)
        return machine.hostname if machine else ""

    def bag(self, owner: str, other: str = "") -> Mapping[str, str]:
        for unit in self._units():
            here = _app(unit)
            for relation in self._relations(unit):
                far = {_app(name) for name in relation.related_units}
                if owner in relation.related_units and other in ("", here):
                    return _texts(relation.related_units[owner].data)
                # Up to Juju 3.6 a unit is shown the application databag of the other side, from
                # 4.0 on its own.
                is_own = int(self._status().model.version.partition(".")[0]) >= 4
                owners, others = ({here}, far) if is_own else (far, {here})
                if owner in owners and (not other or other in others):
                    return _texts(relation.app_data)
        return {}

    def status(self, unit: str) -> tuple[str, str]:
        found = self._units()[unit].workload_status
        return found.current, found.message

    def members(self, unit: str) -> list[protocol.Member]:
        if self._units()[unit].juju_status.current not in ("idle", "executing"):
            return []
        command = f"{self._consumer.command} list -f json"
        try:
            done = self._juju.exec(command, unit=unit, wait=_COMMAND_LIMIT)
            return protocol.Member.all_in(done.stdout)
        except (*_ERRORS, json.JSONDecodeError) as error:
            logger.info("%s lists no members: %s", unit, redaction.redact(str(error)))
            return []

    def _status(self) -> jubilant.Status:
        return self._look or self._juju.status()

    def _units(self) -> dict[str, statustypes.UnitStatus]:
        """Return the units of all applications, in the order of their numbers."""
        units = [unit for app in self._status().apps.values() for unit in app.units.items()]
        return dict(sorted(units, key=lambda unit: int(unit[0].partition("/")[2])))

    def _is_leaving(self, name: str, unit: statustypes.UnitStatus) -> bool:
        lives = {unit.juju_status.life, unit.workload_status.life}
        return name in self._leaving or not lives.isdisjoint({"dying", "dead"})

    def _relations(self, unit: str) -> list[unittypes.RelationData]:
        """Return what a unit is shown of its relations with the distributor's endpoint."""
        shown = self._shown.get(unit) or self._juju.show_unit(unit)
        if self._look:
            self._shown[unit] = shown
        return [
            relation
            for relation in shown.relation_info
            if local.ENDPOINT in (relation.endpoint, relation.related_endpoint)
        ]

    # Time.

    def settle(self) -> None:
        """Wait until removed units are gone, and no agent has had anything to do lately."""
        self._retry("the model is quiet", self._is_quiet, times=_QUIET_LOOKS)

    def wait(self, rounds: int = 1) -> None:
        time.sleep(rounds * _UPDATE_STATUS * 1.2)
        self.settle()

    def eventually(self, what: str, observed: Callable[[], bool]) -> None:
        self._retry(what, observed, times=1)

    def _is_quiet(self) -> bool:
        for name, unit in self._units().items():
            assert name not in self._leaving, f"{name} is there"
            agent = unit.juju_status.current
            waits = unit.machine not in self._down and not self._is_leaving(name, unit)
            assert agent == "idle" or not waits, f"{name}'s agent is {agent or 'not there'}"
        self._leaving.clear()
        return True

    def _retry(self, what: str, observed: Callable[[], bool], *, times: int) -> None:
        """Look again until something was observed so many times in a row.

        That a look fails is no harm: Juju may not answer, or a leader be missing, for a moment.
        """
        seen, problem = 0, ""
        for _ in range(_LIMIT // _POLL):
            try:
                self._look = self._juju.status()
                self._check_hooks()
                seen, problem = seen + 1 if observed() else 0, ""
            except (AssertionError, *_ERRORS) as error:
                seen, problem = 0, f"; the last look failed: {error}"
            finally:
                self._look = None
                self._shown.clear()
            if seen == times:
                return
            time.sleep(_POLL)
        shown = self._run("status", "--relations")
        raise AssertionError(redaction.redact(f"not observed: {what}{problem}\n{shown}"))

    def _check_hooks(self) -> None:
        for name, unit in self._units().items():
            if unit.workload_status.current != "error" or unit.machine in self._down:
                continue
            if name not in self._leaving and unit.machine not in self._restarted:
                raise FailedHookError(f"{name} is in error: {unit.workload_status.message}")
            # The cluster does not let it go yet; or the hook died with the machine.
            self._juju.cli("resolved", name)

    # After a failure.

    def collect_artifacts(self, folder: pathlib.Path) -> None:
        """Write to a folder what a person needs to find the cause, without tokens."""
        units: dict[str, statustypes.UnitStatus] = {}
        with contextlib.suppress(*_ERRORS):
            units = self._units()
        alive = ",".join(unit for unit in units if units[unit].machine not in self._down)
        folder.mkdir(parents=True, exist_ok=True)
        for file, words in {
            "status.txt": ("status", "--relations"),
            "debug-log.txt": ("debug-log", "--replay", "--no-tail", "--date", "--ms"),
            "databags.txt": ("show-unit", *units),
            "workloads.txt": ("exec", "--unit", alive, "--", "journalctl", "--no-pager", "--boot"),
        }.items():
            (folder / file).write_text(redaction.redact(self._run(*words)))

    def _run(self, *words: str) -> str:
        """Run `juju`; an error is no error here, where it would hide what has failed before."""
        try:
            return self._juju.cli(*words)
        except _ERRORS as error:
            return str(error)


@contextlib.contextmanager
def temporary_cloud(option: Any) -> Generator[JubilantCloud]:
    """Make a model of its own, gone afterwards unless it is to be kept."""
    charms = options.sources(option)
    config = {
        # A failed hook has to fail the run, too.
        "automatically-retry-hooks": False,
        "update-status-hook-interval": f"{_UPDATE_STATUS}s",
    }
    with jubilant.temp_model(keep=option.keep_models, config=config) as juju:
        yield JubilantCloud(juju, charms)


def _app(unit: str) -> str:
    return unit.partition("/")[0]


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in data.items()}
