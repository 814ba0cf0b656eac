"""A cloud on this machine: the in-memory model of Juju, with a microcluster of any kind below."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import pathlib
import subprocess
import time
from typing import TYPE_CHECKING, Any, cast

import yaml

from tests import juju_model
from tests.charms import earlier, variants
from tests.clouds import protocol
from tests.microclusters import fake, lxd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.microclusters import protocol as microclusters

ROOT = pathlib.Path(__file__).parents[2]
CONSUMER_ROOT = ROOT / "tests" / "charms" / "lxd_cluster"
COMMAND = lxd.COMMAND
"""How the consumer's charm calls its microcluster."""

ENDPOINT = "microcluster-cluster"
"""The endpoint that all these charms share."""

# How often a fault strikes that never ends.
_ALWAYS = math.inf
# Seconds of the model's time that a command takes before it is killed.
_TIME_LIMIT = 30.0
# Rounds of update-status, five minutes of the model's time each.
_ROUNDS = 8
# Seconds of real time before a round: real daemons need it to notice things, some of them little.
_REAL_PAUSE = 0.1
_LONGEST_REAL_PAUSE = 1.0
_REAL_ROUNDS = 35
# Seconds of the model's time; a hook that has failed five times is tried again later than that.
_PATIENCE = 240.0
GOOD_REASONS = ("FlushRefused", "HookFault", "LeaveRefusedError")
"""Why a hook may fail without the charm's being at fault: another leader's databag, a fault that
was ordered, and a cluster that does not let a unit go yet."""


@functools.cache
def charm(name: str) -> juju_model.Charm:
    """Load one of the charms that `tests.clouds.protocol` names."""
    if name == protocol.DISTRIBUTOR:
        return juju_model.Charm.load(ROOT)
    if name == protocol.CONSUMER:
        return variants.commanded(juju_model.Charm.load(CONSUMER_ROOT))
    if name in variants.NAMES:
        return variants.variant(name, charm(protocol.CONSUMER))
    charm_type, root = {
        protocol.EARLIER_DISTRIBUTOR: (earlier.EarlierDistributorCharm, ROOT),
        protocol.EARLIER_CONSUMER: (earlier.EarlierConsumerCharm, CONSUMER_ROOT),
    }[name]
    # An earlier revision differs in its code, not in its endpoints.
    project = cast("dict[str, Any]", yaml.safe_load((root / "charmcraft.yaml").read_text()))
    meta = {key: project[key] for key in ("requires", "provides", "peers") if key in project}
    return juju_model.Charm(charm_type, {"name": name, **meta})


def fake_microcluster(
    juju: juju_model.Juju, seed: int = 0, version: str = "2.0.5"
) -> fake.FakeMicrocluster:
    """Return a fake microcluster that answers the consumer's command, in the model's time.

    Args:
        juju: the model, whose time it is.
        seed: makes every choice.
        version: of microcluster, `2.0.5` or `3.0.0`.
    """
    return fake.FakeMicrocluster(
        clock=lambda: juju.now, spend=juju.advance, seed=seed, command=COMMAND, version=version
    )


def tail(juju: juju_model.Juju, length: int = 30) -> str:
    """Return the last hooks, one a line, for a failure's message.

    An update-status that went well and wrote nothing is left out: a failed wait ends with rounds
    of them, and the cause lies before.
    """
    relevant = (
        hook
        for hook in reversed(juju.trace)
        if hook.kind != "update-status" or hook.writes or hook.outcome is not juju_model.Outcome.OK
    )
    return "\n".join(reversed([str(hook) for hook in itertools.islice(relevant, length)]))


@dataclasses.dataclass
class _Fault:
    """Something that happens at a moment of a hook.

    Attributes:
        what: what it is, in a word or two.
        unit: the unit, or the application for any of its units.
        point: where in the hook; None for anywhere.
        happened: whether it is that moment.
        act: what happens then; it may raise.
        times: how often.
    """

    what: str
    unit: str
    point: juju_model.Point | None
    happened: Callable[[juju_model.HookContext], bool]
    act: Callable[[juju_model.HookContext], None]
    times: float = 1

    def __str__(self) -> str:
        return f"{self.what} on {self.unit}"

    def applies(self, context: juju_model.HookContext) -> bool:
        """Tell whether this is the moment."""
        return (
            self.times > 0
            and self.point in (context.point, None)
            and self.unit in (context.unit, context.unit.partition("/")[0])
            and self.happened(context)
        )


def _runs(command: str) -> Callable[[juju_model.HookContext], bool]:
    words = [*COMMAND, command]
    return lambda context: list(context.argv[: len(words)]) == words


def _wrote(key: str) -> Callable[[juju_model.HookContext], bool]:
    return lambda context: any(
        write.new is not None
        and (write.key == key or (key.endswith("-") and write.key.startswith(key)))
        for write in context.hook.writes
    )


class LocalCloud:
    """The in-memory model of Juju, on machines of a microcluster.

    It is a `tests.clouds.protocol.Cloud`, and has the fault injectors below besides. Some of them
    need a fake microcluster, and raise TypeError without.

    Args:
        juju: the model.
        microcluster: gives the machines of the consumers' units.

    Attributes:
        juju: as given.
        microcluster: as given.
    """

    def __init__(self, juju: juju_model.Juju, microcluster: microclusters.Microcluster):
        self.juju = juju
        self.microcluster = microcluster
        self._real = not isinstance(microcluster, fake.FakeMicrocluster)
        self._faults: list[_Fault] = []
        self._paused: set[str] = set()

    @property
    def name(self) -> str:
        below = "real daemons" if self._real else "a fake microcluster"
        return f"the model of Juju {self.juju.behaviour.juju_version} on {below}"

    @property
    def capabilities(self) -> frozenset[protocol.Capability]:
        found = {
            protocol.Capability.CHOOSES_HOST_NAMES,
            protocol.Capability.EARLIER_CHARMS,
            protocol.Capability.FAULTS,
            protocol.Capability.STATUS_NAMES_CAUSE,
        }
        if self.juju.behaviour.force_departs:
            found.add(protocol.Capability.FORCE_DEPARTS)
        if isinstance(self.microcluster, fake.FakeMicrocluster):
            found |= {protocol.Capability.FAKE_MACHINES, protocol.Capability.PENDING_MEMBERS}
            if self.microcluster.version == "3.0.0":
                found.add(protocol.Capability.JOINS_WHILE_DEGRADED)
        return frozenset(found)

    @property
    def fake(self) -> fake.FakeMicrocluster:
        """The microcluster, which has to be a fake one."""
        if not isinstance(self.microcluster, fake.FakeMicrocluster):
            raise TypeError("this needs a fake microcluster")
        return self.microcluster

    def machine(self, unit: str) -> fake.FakeMachine:
        """Return a unit's machine, which has to be a fake one."""
        machine = self.juju.host(unit)
        if not isinstance(machine, fake.FakeMachine):
            raise TypeError("this needs a fake microcluster")
        return machine

    # Operations.

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        deployed = charm(charm_name)
        factory = None if deployed.endpoints("provides") else self.microcluster.add_machine
        return self.juju.deploy(
            deployed, application or charm_name, units=units, host_factory=factory
        )

    def integrate(self, one: str, two: str) -> None:
        self.juju.integrate(one, two)

    def remove_relation(self, one: str, two: str) -> None:
        self.juju.remove_relation(one, two)

    def add_unit(self, application: str, *, hostname: str | None = None) -> str:
        return self.juju.add_unit(application, hostname=hostname)

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        self.juju.remove_unit(unit, force=force)

    def remove_application(self, application: str) -> None:
        self.juju.remove_application(application)

    def refresh(self, application: str, charm_name: str) -> None:
        self.juju.refresh(application, charm(charm_name))

    def kill_machine(self, unit: str) -> None:
        self.juju.kill_machine(unit)

    def start_machine(self, unit: str) -> None:
        self.juju.start_machine(unit)

    def run(self, unit: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the cluster on a unit's machine, as an operator does."""
        return self.juju.host(unit).run([*COMMAND, *words], timeout=60)

    # Observations.

    def units(self, application: str) -> list[str]:
        return sorted(self.juju.units(application), key=lambda unit: int(unit.split("/")[1]))

    def leader(self, application: str) -> str | None:
        return self.juju.leader(application)

    def hostname(self, unit: str) -> str:
        return self.juju.host(unit).name

    def bag(self, owner: str, other: str = "") -> Mapping[str, str]:
        app = owner.partition("/")[0]
        living = [
            relation
            for relation in self.juju.apps[app].related(ENDPOINT)
            if not relation.dying and other in ("", relation.other(app).app)
        ]
        return self.juju.bag(owner, relation_id=living[0].id) if living else {}

    def status(self, unit: str) -> tuple[str, str]:
        status = self.juju.status(unit)
        return status.name, status.message

    def members(self, unit: str) -> list[protocol.Member]:
        listed = self.juju.host(unit).run([*COMMAND, "list", "-f", "json"], timeout=30)
        return [] if listed.returncode else protocol.Member.all_in(listed.stdout)

    def commands(self, unit: str, command: str) -> list[fake.Command]:
        """Return the runs of one of the cluster's commands on a unit's machine, in order."""
        name = self.juju.host(unit).name
        return [
            ran for ran in self.fake.history if ran.machine == name and ran.words[0] == command
        ]

    def failed_hooks(self, unit: str) -> list[str]:
        """Return the names of the hooks of a unit that failed."""
        return [hook.kind for hook in self.juju.errors if hook.unit == unit]

    def log(self, unit: str) -> str:
        """Return what a unit's charm has logged."""
        hooks = (hook for hook in self.juju.trace if hook.unit == unit)
        return "\n".join(message for hook in hooks for _, message in hook.logs)

    # Time.

    def settle(self) -> None:
        self._run(self.juju.settle)

    def wait(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self._wait(_REAL_PAUSE)

    def _wait(self, pause: float) -> None:
        """Go through a round of update-status, after as many seconds if there are real daemons."""
        if self._real:
            time.sleep(pause)
        self._run(self.juju.update_status_round)

    def eventually(self, what: str, observed: Callable[[], bool]) -> None:
        self.settle()
        pause = _REAL_PAUSE
        for _ in range(_REAL_ROUNDS if self._real else _ROUNDS):
            if observed():
                return
            self._wait(pause)
            pause = min(2 * pause, _LONGEST_REAL_PAUSE)
        if not observed():
            raise AssertionError(f"not observed: {what}; the last hooks were\n{tail(self.juju)}")

    def _run(self, run: Callable[..., int]) -> None:
        """Run hooks; failures that are no fault of the charm are tried again."""
        before = len(self.juju.errors)
        run(retry_failed=True, patience=_PATIENCE)
        for hook in self.juju.errors[before:]:
            if hook.outcome is juju_model.Outcome.FAILED and not any(
                reason in hook.error for reason in GOOD_REASONS
            ):
                raise juju_model.HookFailed(hook)

    # Fault injectors. Each strikes once unless told otherwise, on the first unit to which it
    # applies. An application as `unit` stands for any of its units.

    def upon(
        self, operation: Callable[[], None], *, unit: str, command: str = "", wrote: str = ""
    ) -> None:
        """Do something in the middle of a hook.

        Args:
            operation: what is done.
            unit: the unit whose hook it is.
            command: right after the hook has run this command, whatever the outcome.
            wrote: or right after it has written this key to a databag, for everybody to see. A
                key that ends in a hyphen stands for all that begin so.
        """
        if command:
            point, happened = juju_model.Point.AFTER_COMMAND, _runs(command)
        else:
            point, happened = juju_model.Point.AFTER_FLUSH, _wrote(wrote)
        what = f"an operation upon {command or wrote}"
        self._arm(_Fault(what, unit, point, happened, lambda _: operation()))

    def hang(self, command: str, *, unit: str, times: int = 1, in_effect: bool = False) -> None:
        """Let a command run into its time limit.

        Args:
            command: the command.
            unit: on which unit.
            times: how often.
            in_effect: whether it has done its work nevertheless.
        """

        def strike(_: juju_model.HookContext) -> None:
            self.juju.advance(_TIME_LIMIT)
            # Without the arguments, among which a token may be.
            raise subprocess.TimeoutExpired([*COMMAND, command], _TIME_LIMIT)

        point = juju_model.Point.AFTER_COMMAND if in_effect else juju_model.Point.BEFORE_COMMAND
        self._arm(_Fault(f"{command} hangs", unit, point, _runs(command), strike, times))

    def kill_agent(self, *, unit: str, after: str, times: int = 1, at_once: bool = False) -> None:
        """Kill a unit's agent in mid-hook, after a command.

        What the hook wrote is lost, and the hook is tried again.

        Args:
            unit: the unit.
            after: the command.
            times: how often.
            at_once: whether the agent dies before the charm has the command's result; otherwise
                it dies before whatever the charm does next.
        """
        what = f"the agent dies after {after}"

        def die(context: juju_model.HookContext) -> None:
            raise juju_model.AgentKilled(f"{context.unit}: {what}")

        def die_next(context: juju_model.HookContext) -> None:
            hook = context.hook
            self._arm(_Fault(what, context.unit, None, lambda later: later.hook is hook, die))

        point = juju_model.Point.AFTER_COMMAND
        self._arm(_Fault(what, unit, point, _runs(after), die if at_once else die_next, times))

    def pause_agent(self, unit: str) -> None:
        """Let a unit's agent run no further hook, as if it were slow; its machine works on."""
        if not self._paused:
            self.juju.on_hook.append(self._stay_paused)
        self._paused.add(unit)
        self.juju.unit(unit).machine.busy = True

    def resume_agent(self, unit: str) -> None:
        """Let a paused agent go on, with what it had read before."""
        self._paused.remove(unit)
        if not self._paused:
            self.juju.on_hook.remove(self._stay_paused)
        self.juju.unit(unit).machine.busy = False

    def _stay_paused(self, hook: juju_model.Hook) -> None:
        # An agent that is paused in mid-hook finishes that hook, which frees its machine.
        if hook.unit in self._paused and hook.unit in self.units(hook.unit.partition("/")[0]):
            self.juju.unit(hook.unit).machine.busy = True

    def break_hooks(self, unit: str) -> None:
        """Let each hook of a unit fail from now on, so that its agent is in error."""

        def fail(_: juju_model.HookContext) -> None:
            raise juju_model.HookFault(f"{unit}: this hook fails, whatever it is")

        point = juju_model.Point.BEFORE_HOOK
        self._arm(_Fault("each hook fails", unit, point, lambda _: True, fail, _ALWAYS))

    def fail_command(
        self, command: str, *, unit: str, errors: Sequence[str], seconds: float = 0.02
    ) -> None:
        """Let a command fail in a unit's next hooks, without any effect.

        Args:
            command: the command.
            unit: the unit.
            errors: its standard error, once each, in order; then the command works again. A later
                call for the same unit replaces them.
            seconds: how long each run takes.
        """
        left = list(errors)

        def fail(
            _: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
        ) -> fake.Fault | None:
            # A command that a test runs itself is not affected.
            if moment == "before" and left and words[0] == command and self._in_hook(unit):
                return fake.fails(left.pop(0), cost=seconds)
            return None

        self.machine(unit).faults = fail

    def spoil_joins(self, unit: str) -> None:
        """Let each join of a unit fail, and use up its token, until `machine(unit).faults = None`.

        This is a machine on whose network the cluster has no address.
        """

        def spoil(
            machine: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
        ) -> fake.Fault | None:
            if moment == "before" and words[0] == "join" and self._in_hook(unit):
                for cluster in self.fake.clusters:
                    cluster.tokens.pop(machine.name, None)
                return fake.fails("Error: the network interface has no such address")
            return None

        self.machine(unit).faults = spoil

    def _in_hook(self, unit: str) -> bool:
        return self.juju.unit(unit).in_hook

    def check(self) -> None:
        """Expect that all faults have struck: a scenario shows nothing without its fault."""
        left = [str(fault) for fault in self._faults if 0 < fault.times < _ALWAYS]
        assert not left, f"these faults never struck: {', '.join(left)}"

    def _arm(self, fault: _Fault) -> None:
        self._faults.append(fault)
        self.juju.faults = self._strike

    def _strike(self, context: juju_model.HookContext) -> None:
        for fault in tuple(self._faults):
            if fault.applies(context):
                fault.times -= 1
                fault.act(context)
