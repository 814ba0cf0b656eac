"""What the clouds of a real Juju share, whichever library drives them.

What is seen comes from the `juju` program's own JSON, whoever calls it: `status`, `show-unit`, and
the cluster's command on a unit's machine. What is done is left to the driver. Nothing here trusts
a library's "wait until idle", which is known to return early and to hang: each wait looks at the
model again and again, with a limit.
"""

from __future__ import annotations

import abc
import dataclasses
import json
import logging
import pathlib
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, cast

import tenacity

from tests.clouds import bundle, protocol, redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)

INTERFACE = "worker-cluster"
"""The interface over which the distributor speaks with its consumers."""

ENDPOINT = "microcluster-cluster"
"""The distributor's endpoint of that interface; the consumers call theirs as they like."""

# So many looks in a row without anything going on: a moment between two hooks is no quiet.
_QUIET_LOOKS = 3


class CommandError(Exception):
    """A command failed; the message says which and why, without tokens."""

    def __init__(self, what: str, why: str):
        super().__init__(redaction.redact(f"{what}: {why.strip()}"))


class FailedHookError(AssertionError):
    """A hook has failed, and no hook should."""


@dataclasses.dataclass(frozen=True)
class CharmSource:
    """Where a charm comes from, and what has to be known of it.

    Attributes:
        charm: its name in Charmhub, or a path that starts with `/` or `./`.
        channel: in Charmhub; empty for a path.
        base: what its machines run, like `ubuntu@24.04`.
        constraints: what its machines have to be, as Juju writes it: `virt-type=virtual-machine`.
        command: the words before `list -f json` in a shell on a unit's machine, where
            `JUJU_CHARM_DIR` is set; empty where there is no cluster.
        logs: a shell command on a unit's machine that prints the workload's logs.
        says_what_for: its status shows what the library says that it waits for.
    """

    charm: str
    channel: str = ""
    base: str = ""
    constraints: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    command: str = ""
    logs: str = ""
    says_what_for: bool = False

    @property
    def local(self) -> bool:
        """Whether it lies on this machine."""
        return self.charm.startswith(("./", "/"))


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long things may take, in seconds.

    Attributes:
        poll: between two looks at the model.
        update_status: between two update-status hooks of a unit; Juju itself varies it by a fifth.
        limit: what is waited for has to come within this time. A fresh virtual machine with its
            snaps takes most of it.
        command: a command on a unit's machine has to end within this time. Without a quorum a
            microcluster takes 10.5 to say so.
    """

    poll: float = 5.0
    update_status: float = 30.0
    limit: float = 1800.0
    command: float = 60.0

    @property
    def config(self) -> dict[str, str]:
        """What a model has to be configured with: a failed hook is to fail the run, too."""
        return {
            "automatically-retry-hooks": "false",
            "update-status-hook-interval": f"{self.update_status:g}s",
        }


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit, as `juju status` shows it."""

    name: str
    machine: str
    leads: bool
    agent: str
    status: str
    message: str
    dying: bool


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine, as `juju status` shows it."""

    hostname: str
    instance: str


@dataclasses.dataclass(frozen=True)
class View:
    """A model, as `juju status --format json` shows it.

    Attributes:
        version: of the model's agents, like `3.6.9`.
        machines: by number.
        units: of all applications, in order.
        related: the applications at the other side of `INTERFACE`, by application; also for one
            without units.
    """

    version: str
    machines: Mapping[str, Machine]
    units: tuple[Unit, ...]
    related: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str) -> View:
        """Read the JSON of `juju status`."""
        found = cast("dict[str, Any]", json.loads(text))
        applications = _mapping(found.get("applications"))
        units = [
            _unit(name, _mapping(unit))
            for application in applications.values()
            for name, unit in _mapping(application.get("units")).items()
        ]
        return cls(
            version=str(found["model"]["version"]),
            machines={
                number: Machine(machine.get("hostname", ""), machine.get("instance-id", ""))
                for number, machine in _mapping(found.get("machines")).items()
            },
            units=tuple(sorted(units, key=_by_number)),
            related={
                name: tuple(
                    relation["related-application"]
                    for relations in _mapping(application.get("relations")).values()
                    for relation in relations
                    if relation["interface"] == INTERFACE
                    and relation["related-application"] != name
                )
                for name, application in applications.items()
            },
        )

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version.partition(".")[0])

    def units_of(self, application: str) -> list[Unit]:
        """Return the units of an application, in order."""
        return [unit for unit in self.units if unit.name.partition("/")[0] == application]

    def unit(self, name: str) -> Unit:
        """Find a unit.

        Raises:
            KeyError: there is none of that name.
        """
        for unit in self.units:
            if unit.name == name:
                return unit
        raise KeyError(name)


def _mapping(found: Any) -> dict[str, Any]:
    """Take a part of Juju's JSON, where what is empty may be left out, or be null."""
    return cast("dict[str, Any]", found or {})


def _unit(name: str, found: Mapping[str, Any]) -> Unit:
    workload = _mapping(found.get("workload-status"))
    agent = _mapping(found.get("juju-status"))
    return Unit(
        name=name,
        machine=found.get("machine", ""),
        leads=bool(found.get("leader")),
        agent=agent.get("current", ""),
        status=workload.get("current", ""),
        message=workload.get("message", ""),
        dying=any(found.get("life") in ("dying", "dead") for found in (agent, workload)),
    )


def _by_number(unit: Unit) -> tuple[str, int]:
    application, _, number = unit.name.partition("/")
    return application, int(number)


def unit_bag(shown: str, owner: str) -> dict[str, str] | None:
    """Read the databag of a unit out of the JSON of `juju show-unit` of one at the other side.

    Juju 4 shows a unit's own databag to nobody: in the other side's words there is one in each.

    Returns:
        The bag; None where that unit is not related to it, or is not seen by it.
    """
    for relation in _relations_of(shown):
        seen = _mapping(relation.get("related-units"))
        if owner in seen:
            return _texts(_mapping(seen[owner]).get("data"))
    return None


def application_bag(shown: str, far: str) -> dict[str, str]:
    """Read the databag of an application out of the JSON of `juju show-unit`.

    Whose it is, Juju's version says: up to 3.6 that of the other side, from 4.0 on the unit's own.

    Args:
        shown: the JSON.
        far: the application on the other side.

    Returns:
        The bag; an empty one where there is no such relation.
    """
    for relation in _relations_of(shown):
        seen = {unit.partition("/")[0] for unit in _mapping(relation.get("related-units"))}
        if not seen or far in seen:
            return _texts(relation.get("application-data"))
    return {}


def _relations_of(shown: str) -> list[dict[str, Any]]:
    (info,) = _mapping(json.loads(shown)).values()
    return [
        relation
        for relation in cast("list[dict[str, Any]]", info.get("relation-info") or [])
        if ENDPOINT in (relation["endpoint"], relation["related-endpoint"])
    ]


def _texts(data: Any) -> dict[str, str]:
    return {key: str(value) for key, value in _mapping(data).items()}


def lxc(*arguments: str) -> None:
    """Run LXD's client on this machine, which is the host of the model's machines.

    Raises:
        CommandError: it failed.
    """
    done = subprocess.run(  # noqa: S603, words of our own and an instance's name
        ["lxc", *arguments],  # noqa: S607, a package's or a snap's
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise CommandError(f"lxc {' '.join(arguments)}", done.stderr)


class RealCloud(abc.ABC):
    """A model of a real Juju, whose machines are LXD's on this host.

    Args:
        charms: where the charms that `tests.clouds.protocol` names come from, by name.
        pace: how long things may take.
        host: runs `lxc` with these arguments.
    """

    driver = ""
    """What drives it, in a word."""

    def __init__(
        self,
        charms: Mapping[str, CharmSource],
        pace: Pace | None = None,
        host: Callable[..., None] = lxc,
    ):
        self._charms = charms
        self._pace = pace or Pace()
        self._host = host
        self._sources: dict[str, CharmSource] = {}
        self._leaving: set[str] = set()
        self._down: set[str] = set()
        self._risen: set[str] = set()

    # What a driver does.

    @abc.abstractmethod
    def juju(self, *arguments: str) -> str:
        """Run the `juju` program on this model and return its standard output.

        Raises:
            CommandError: it failed.
        """

    @abc.abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let real time pass."""

    @abc.abstractmethod
    def integrate(self, one: str, two: str) -> None:
        """Integrate two applications."""

    @abc.abstractmethod
    def remove_relation(self, one: str, two: str) -> None:
        """Remove the relation between two applications."""

    @abc.abstractmethod
    def _deploy(self, source: CharmSource, application: str, units: int) -> None:
        """Deploy a charm."""

    @abc.abstractmethod
    def _add_unit(self, application: str) -> None:
        """Add a unit."""

    @abc.abstractmethod
    def _remove_unit(self, unit: str, *, force: bool) -> None:
        """Remove a unit."""

    @abc.abstractmethod
    def _remove_application(self, application: str) -> None:
        """Remove an application."""

    @abc.abstractmethod
    def _refresh(self, application: str, source: CharmSource) -> None:
        """Refresh an application's charm."""

    # What they share.

    @property
    def name(self) -> str:
        """What this cloud is made of, in a few words."""
        return f"Juju {self.view().version}, driven by {self.driver}"

    @property
    def traits(self) -> frozenset[protocol.Trait]:
        """What it can do, and does, that others may not."""
        first = self.view().major
        traits = {protocol.Trait.FORCE_DEPARTS if first < 4 else protocol.Trait.FORCE_IS_SILENT}
        if self._charms[protocol.CONSUMER].says_what_for:
            traits.add(protocol.Trait.SAYS_WHAT_FOR)
        if {protocol.EARLIER_CONSUMER, protocol.EARLIER_DISTRIBUTOR} <= set(self._charms):
            traits.add(protocol.Trait.EARLIER_CHARMS)
        return frozenset(traits)

    def view(self) -> View:
        """Look at the model."""
        return View.parse(self.juju("status", "--format", "json"))

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        """Deploy one of the charms that `tests.clouds.protocol` names."""
        name = application or charm_name
        self._sources[name] = self._charms[charm_name]
        self._deploy(self._charms[charm_name], name, units)
        return name

    def deploy_bundle(self, template: pathlib.Path) -> None:
        """Deploy a bundle, with this cloud's charms for its words."""
        consumer = self._charms[protocol.CONSUMER]
        distributor = self._charms[protocol.DISTRIBUTOR]
        words = {"base": consumer.base}
        for word, source in (("consumer", consumer), ("distributor", distributor)):
            words[word] = source.charm
            words[f"{word}_channel"] = source.channel
            words[f"{word}_constraints"] = " ".join(
                f"{key}={value}" for key, value in source.constraints.items()
            )
        # A snap of Juju sees neither /tmp nor hidden directories; and Jubilant's own way round
        # that gives the file a charm's name.
        with tempfile.TemporaryDirectory(dir=pathlib.Path.home(), prefix="bundle-") as directory:
            path = pathlib.Path(directory) / "bundle.yaml"
            path.write_text(bundle.render(template, words))
            self.juju("deploy", str(path))
        for name in self.view().related:
            self._sources[name] = distributor if name == protocol.DISTRIBUTOR else consumer

    def add_unit(self, application: str, *, hostname: str | None = None) -> str:
        """Add a unit, on a machine of its own.

        Raises:
            ValueError: Juju gives machines their host names, and takes none.
        """
        if hostname is not None:
            raise ValueError(f"{self.name} does not choose host names")
        before = {unit.name for unit in self.view().units}
        self._add_unit(application)
        added = [
            unit.name for unit in self.view().units_of(application) if unit.name not in before
        ]
        assert len(added) == 1, f"{application} got {added} instead of one more unit"
        return added[0]

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        """Remove a unit; by force with its machine, if that is down."""
        self._leaving.add(unit)
        machine = self.view().unit(unit).machine
        if force and machine in self._down:
            # On a Juju 3 a dead machine outlives the unit that was removed from it by force.
            self.juju("remove-machine", "--force", "--no-prompt", machine)
        else:
            self._remove_unit(unit, force=force)

    def remove_application(self, application: str) -> None:
        """Remove an application with all its units."""
        self._leaving |= {unit.name for unit in self.view().units_of(application)}
        self._remove_application(application)

    def refresh(self, application: str, charm_name: str) -> None:
        """Put another charm in an application's place."""
        self._sources[application] = self._charms[charm_name]
        self._refresh(application, self._charms[charm_name])

    def kill_machine(self, unit: str) -> None:
        """Stop a unit's machine as a power cut does."""
        view = self.view()
        machine = view.unit(unit).machine
        self._down.add(machine)
        self._host("stop", "--force", view.machines[machine].instance)

    def start_machine(self, unit: str) -> None:
        """Start a machine that was stopped."""
        view = self.view()
        machine = view.unit(unit).machine
        self._host("start", view.machines[machine].instance)
        self._down.discard(machine)
        self._risen.add(machine)

    def units(self, application: str) -> list[str]:
        """Name the units of an application, without those on their way out."""
        return [
            unit.name
            for unit in self._staying(self.view())
            if unit.name.partition("/")[0] == application
        ]

    def leader(self, application: str) -> str | None:
        """Name the unit that leads."""
        leaders = (unit.name for unit in self.view().units_of(application) if unit.leads)
        return next(leaders, None)

    def hostname(self, unit: str) -> str:
        """Return the host name of a unit's machine; empty before that has started."""
        view = self.view()
        machine = view.machines.get(view.unit(unit).machine)
        return machine.hostname if machine else ""

    def bag(self, owner: str, other: str = "") -> Mapping[str, str]:
        """Return a databag on the endpoint that the distributor and its consumers share."""
        view = self.view()
        application = owner.partition("/")[0]
        for far in [other] if other else view.related.get(application, ()):
            # Up to Juju 3.6 a unit is shown the application databag of the other side.
            ours = "/" not in owner and view.major >= 4
            for unit in view.units_of(application if ours else far):
                shown = self.juju("show-unit", "--format", "json", unit.name)
                if "/" not in owner:
                    return application_bag(shown, far if ours else application)
                if (found := unit_bag(shown, owner)) is not None:
                    return found
        return {}

    def status(self, unit: str) -> tuple[str, str]:
        """Return a unit's status and its message."""
        found = self.view().unit(unit)
        return found.status, found.message

    def members(self, unit: str) -> list[protocol.Member]:
        """Ask the cluster's own command on a unit's machine."""
        if self.view().unit(unit).agent not in ("idle", "executing"):
            return []
        command = self._sources[unit.partition("/")[0]].command
        try:
            return protocol.Member.all_in(self._run_on(unit, f"{command} list -f json"))
        except (CommandError, json.JSONDecodeError) as error:
            logger.info("%s lists no members: %s", unit, error)
            return []

    def settle(self) -> None:
        """Wait until all that were removed are gone, and no agent has had anything to do lately.

        Raises:
            AssertionError: it does not come to that.
        """
        quiet = 0
        busy: list[str] = []

        def calm() -> bool:
            nonlocal quiet
            busy[:] = self._busy(self._look())
            quiet = 0 if busy else quiet + 1
            return quiet >= _QUIET_LOOKS

        self._retry(calm, lambda: f"not settled: {'; '.join(busy)}")

    def wait(self, rounds: int = 1) -> None:
        """Let so many update-status hooks run on each unit, and what comes of them."""
        self.sleep(rounds * self._pace.update_status * 1.2)
        self.settle()

    def eventually(self, what: str, seen: Callable[[], bool]) -> None:
        """Let time pass until something is seen, unless a hook fails before."""
        problems: list[str] = []

        def looked() -> bool:
            self._look()
            try:
                return seen()
            except AssertionError as error:
                # A leader may be missing for a minute, say.
                problems[:] = [str(error)]
                return False

        self._retry(looked, lambda: f"not seen: {'; '.join([what, *problems])}")

    def evidence(self) -> Iterator[tuple[str, str]]:
        """Gather what a person needs who has to find out what went wrong.

        Yields:
            A file's name and its text, without tokens.
        """
        wanted = [
            ("status.txt", ("status", "--relations")),
            ("status.json", ("status", "--format", "json")),
            ("debug-log.txt", ("debug-log", "--replay", "--no-tail", "--date", "--ms")),
        ]
        for name, arguments in wanted:
            yield name, self._said(self.juju, *arguments)
        try:
            units = self.view().units
        except (CommandError, ValueError):
            return
        for unit in units:
            file = unit.name.replace("/", "-")
            yield f"show-unit-{file}.yaml", self._said(self.juju, "show-unit", unit.name)
            source = self._sources.get(unit.name.partition("/")[0])
            if source and source.logs and unit.machine not in self._down:
                yield f"workload-{file}.txt", self._said(self._run_on, unit.name, source.logs)

    @staticmethod
    def _said(say: Callable[..., str], *arguments: str) -> str:
        try:
            return redaction.redact(say(*arguments))
        except CommandError as error:
            return f"{error}\n"

    def _run_on(self, unit: str, command: str) -> str:
        """Run a shell command on a unit's machine; returns its standard output."""
        limit = f"{self._pace.command:g}s"
        return self.juju("exec", "--unit", unit, "--wait", limit, "--", command)

    def _staying(self, view: View) -> list[Unit]:
        return [unit for unit in view.units if not unit.dying and unit.name not in self._leaving]

    def _busy(self, view: View) -> list[str]:
        """Name what is still going on, on machines that run."""
        found = [f"{unit.name} is there" for unit in view.units if unit.name in self._leaving] + [
            f"{unit.name}'s agent is {unit.agent or 'not there'}"
            for unit in self._staying(view)
            if unit.machine not in self._down and unit.agent != "idle"
        ]
        if not found:
            self._leaving.clear()
        return found

    def _look(self) -> View:
        """Look at the model.

        Raises:
            FailedHookError: a hook has failed that should not have.
        """
        view = self.view()
        for unit in view.units:
            if unit.status != "error" or unit.machine in self._down:
                continue
            if unit.name in self._leaving or unit.machine in self._risen:
                # The cluster does not let it go yet; or the hook died with the machine.
                self.juju("resolved", unit.name)
            else:
                raise FailedHookError(f"{unit.name} is in error: {unit.message}")
        return view

    def _retry(self, seen: Callable[[], bool], problem: Callable[[], str]) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda result: not result)
            | tenacity.retry_if_exception_type(CommandError),
            stop=tenacity.stop_after_attempt(max(1, round(self._pace.limit / self._pace.poll))),
            wait=tenacity.wait_fixed(self._pace.poll),
            sleep=self.sleep,
        )
        try:
            retrying(seen)
        except tenacity.RetryError as error:
            failed = error.last_attempt.exception()
            last = f"; the last look failed: {failed}" if failed else ""
            raise AssertionError(f"{problem()}{last}\n{self._picture()}") from None

    def _picture(self) -> str:
        return self._said(self.juju, "status", "--relations")
