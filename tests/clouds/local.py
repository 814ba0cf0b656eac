"""A cloud on this machine: the in-memory model of Juju, with a microcluster of any kind below."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import pathlib
import subprocess
import time
from typing import TYPE_CHECKING

from tests import juju_model
from tests.charms import earlier, variants
from tests.clouds import protocol
from tests.microclusters import fake, lxd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.microclusters import protocol as microclusters

ROOT = pathlib.Path(__file__).parents[2]
CONSUMER_ROOT = ROOT / "tests" / "charms" / "lxd_cluster"
COMMAND = lxd.COMMAND
"""How the consumer's charm calls its microcluster."""
ENDPOINT = "microcluster-cluster"
"""The endpoint that all these charms share."""

# Seconds of the model's time that a command takes before it is killed.
_TIME_LIMIT = 30.0
# Rounds of update-status until what is expected must be there.
_ROUNDS = 8
# Real daemons need real time to notice things: seconds before each round, twice as many each time.
_REAL_ROUNDS = 35
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
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
    # An earlier revision differs in its code, not in its endpoints.
    if name == protocol.EARLIER_DISTRIBUTOR:
        return juju_model.Charm(earlier.EarlierDistributorCharm, charm(protocol.DISTRIBUTOR).meta)
    if name == protocol.EARLIER_CONSUMER:
        return juju_model.Charm(earlier.EarlierConsumerCharm, charm(protocol.CONSUMER).meta)
    return variants.variant(name, juju_model.Charm.load(CONSUMER_ROOT))


def fake_microcluster(
    juju: juju_model.Juju, seed: int = 0, version: str = "2.0.5"
) -> fake.FakeMicrocluster:
    """Return a fake microcluster that answers the consumer's command, in the model's time."""
    return fake.FakeMicrocluster(
        clock=lambda: juju.now, spend=juju.advance, seed=seed, command=COMMAND, version=version
    )


@dataclasses.dataclass
class _Fault:
    """What happens at a moment of a unit's hooks, so many times; it may raise."""

    what: str
    unit: str
    is_due: Callable[[juju_model.HookContext], bool]
    act: Callable[[juju_model.HookContext], None]
    times: float = 1


def _runs(command: str, *, before: bool = False) -> Callable[[juju_model.HookContext], bool]:
    point = juju_model.Point.BEFORE_COMMAND if before else juju_model.Point.AFTER_COMMAND
    words = [*COMMAND, command]
    return lambda context: context.point is point and list(context.argv[: len(words)]) == words


class LocalCloud:
    """The in-memory model of Juju, on machines of a microcluster.

    It is a `tests.clouds.protocol.Cloud`, and has the fault injectors below besides. Some of them
    need a fake microcluster.
    """

    def __init__(self, juju: juju_model.Juju, microcluster: microclusters.Microcluster):
        self.juju = juju
        self.microcluster = microcluster
        self._real = not isinstance(microcluster, fake.FakeMicrocluster)
        self._faults: list[_Fault] = []
        self._paused: set[str] = set()
        juju.on_hook.append(self._keep_paused)
        juju.faults = self._strike
        # The operations that are the model's own.
        self.integrate = juju.integrate
        self.remove_relation = juju.remove_relation
        self.add_unit = juju.add_unit
        self.remove_unit = juju.remove_unit
        self.remove_application = juju.remove_application
        self.kill_machine = juju.kill_machine
        self.start_machine = juju.start_machine
        self.leader = juju.leader

    @property
    def name(self) -> str:
        below = "real daemons" if self._real else "a fake microcluster"
        return f"the model of Juju {self.juju.behaviour.juju_version} on {below}"

    @property
    def capabilities(self) -> frozenset[protocol.Capability]:
        capability = protocol.Capability
        missing = {capability.FAKE_MACHINES} if self._real else set[protocol.Capability]()
        if self._real or not self.fake.release.is_v3:
            missing.add(capability.JOINS_WHILE_DEGRADED)
        return frozenset(capability) - missing

    @property
    def fake(self) -> fake.FakeMicrocluster:
        """The microcluster, which has to be a fake one."""
        assert isinstance(self.microcluster, fake.FakeMicrocluster)
        return self.microcluster

    def machine(self, unit: str) -> fake.FakeMachine:
        """Return a unit's machine, which has to be a fake one."""
        machine = self.juju.host(unit)
        assert isinstance(machine, fake.FakeMachine)
        return machine

    # Operations.

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        deployed = charm(charm_name)
        factory = None if deployed.endpoints("provides") else self.microcluster.add_machine
        return self.juju.deploy(
            deployed, application or charm_name, units=units, host_factory=factory
        )

    def refresh(self, application: str, charm_name: str) -> None:
        self.juju.refresh(application, charm(charm_name))

    def run(self, unit: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the cluster on a unit's machine, as an operator does."""
        return self.juju.host(unit).run([*COMMAND, *words], timeout=60)

    # Observations.

    def units(self, application: str) -> list[str]:
        return sorted(self.juju.units(application), key=lambda unit: int(unit.split("/")[1]))

    def hostname(self, unit: str) -> str:
        return self.juju.host(unit).name

    def bag(self, owner: str, other: str = "") -> Mapping[str, str]:
        app = owner.partition("/")[0]
        for relation in self.juju.apps[app].related(ENDPOINT):
            if not relation.dying and other in ("", relation.other(app).app):
                return self.juju.bag(owner, relation_id=relation.id)
        return {}

    def status(self, unit: str) -> tuple[str, str]:
        status = self.juju.status(unit)
        return status.name, status.message

    def members(self, unit: str) -> list[protocol.Member]:
        listed = self.run(unit, "list", "-f", "json")
        return [] if listed.returncode else protocol.Member.all_in(listed.stdout)

    def commands(self, unit: str, command: str) -> list[fake.Command]:
        """Return the runs of one of the cluster's commands on a unit's machine, in order."""
        name = self.hostname(unit)
        return [
            ran for ran in self.fake.history if ran.machine == name and ran.words[0] == command
        ]

    def failed_hooks(self, unit: str) -> list[str]:
        """Return the names of the hooks of a unit that failed."""
        return [hook.kind for hook in self.juju.errors if hook.unit == unit]

    # Time.

    def settle(self) -> None:
        self._run(self.juju.settle)

    def wait(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self._wait(_SHORTEST_PAUSE)

    def eventually(self, what: str, observed: Callable[[], bool]) -> None:
        self.settle()
        for attempt in range(_REAL_ROUNDS if self._real else _ROUNDS):
            if observed():
                return
            self._wait(min(_SHORTEST_PAUSE * 2**attempt, _LONGEST_PAUSE))
        if not observed():
            raise AssertionError(f"not observed: {what}; the last hooks were\n{self.last_hooks()}")

    def last_hooks(self) -> str:
        """Return what led to a failure, without the rounds of update-status that end a wait."""
        hooks = self.juju.trace
        told = [str(h) for h in hooks if h.kind != "update-status" or h.writes or h.error]
        return "\n".join(told[-40:])

    def _wait(self, pause: float) -> None:
        """Go through a round of update-status, after as many seconds if there are real daemons."""
        if self._real:
            time.sleep(pause)
        self._run(self.juju.update_status_round)

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
        """Do something in a hook of a unit, or an application, right after it has run a command.

        Or right after it has written a key that begins so, for everybody to see.
        """

        def has_written(context: juju_model.HookContext) -> bool:
            writes = context.hook.writes if context.point is juju_model.Point.AFTER_FLUSH else ()
            return any(w.key.startswith(wrote) and w.new is not None for w in writes)

        what = f"an operation upon {command or wrote}"
        is_due = _runs(command) if command else has_written
        self._faults.append(_Fault(what, unit, is_due, lambda _: operation()))

    def hang(self, command: str, *, unit: str, times: int = 1, in_effect: bool = False) -> None:
        """Let a command run into its time limit, though its work may be done."""

        def strike(_: juju_model.HookContext) -> None:
            self.juju.advance(_TIME_LIMIT)
            # Without the arguments, among which a token may be.
            raise subprocess.TimeoutExpired([*COMMAND, command], _TIME_LIMIT)

        is_due = _runs(command, before=not in_effect)
        self._faults.append(_Fault(f"{command} hangs", unit, is_due, strike, times))

    def kill_agent(self, *, unit: str, after: str, times: int = 1, at_once: bool = False) -> None:
        """Kill a unit's agent in mid-hook, before whatever the charm does after a command.

        Or `at_once`, before the charm has the command's result. What the hook wrote is lost, and
        the hook is tried again.
        """
        what = f"the agent dies after {after}"

        def die(context: juju_model.HookContext) -> None:
            raise juju_model.AgentKilled(f"{context.unit}: {what}")

        def die_next(context: juju_model.HookContext) -> None:
            hook = context.hook
            self._faults.append(_Fault(what, context.unit, lambda later: later.hook is hook, die))

        act = die if at_once else die_next
        self._faults.append(_Fault(what, unit, _runs(after), act, times))

    def pause_agent(self, unit: str) -> None:
        """Let a unit's agent run no further hook, as if it were slow; its machine works on."""
        self._paused.add(unit)
        self.juju.unit(unit).machine.busy = True

    def resume_agent(self, unit: str) -> None:
        """Let a paused agent go on, with what it had read before."""
        self._paused.remove(unit)
        self.juju.unit(unit).machine.busy = False

    def _keep_paused(self, hook: juju_model.Hook) -> None:
        # An agent that is paused in mid-hook finishes that hook, which frees its machine.
        if hook.unit in self._paused and hook.unit in self.units(hook.unit.partition("/")[0]):
            self.juju.unit(hook.unit).machine.busy = True

    def break_hooks(self, unit: str) -> None:
        """Let each hook of a unit fail from now on, so that its agent is in error."""

        def fail(_: juju_model.HookContext) -> None:
            raise juju_model.HookFault(f"{unit}: this hook fails, whatever it is")

        self._faults.append(_Fault("each hook fails", unit, lambda _: True, fail, math.inf))

    def fail_command(
        self, command: str, *, unit: str, errors: Iterable[str], seconds: float = 0.02
    ) -> None:
        """Let a command fail in a unit's next hooks, after so many seconds, without any effect.

        It fails once with each of these standard errors, then works again. A later call for the
        same unit replaces them.
        """
        left = iter(errors)

        def fail(
            _: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
        ) -> fake.Fault | None:
            # A command that a test runs itself is not affected.
            if moment != "before" or words[0] != command or not self.juju.unit(unit).in_hook:
                return None
            error = next(left, None)
            return None if error is None else fake.fails(error, cost=seconds)

        self.machine(unit).faults = fail

    def spoil_joins(self, unit: str) -> None:
        """Let each join of a unit fail, and use up its token, until `machine(unit).faults = None`.

        This is a machine on whose network the cluster has no address.
        """

        def errors() -> Iterator[str]:
            for clusters in itertools.repeat(self.fake.clusters):
                for cluster in clusters:
                    cluster.tokens.pop(self.hostname(unit), None)
                yield "Error: the network interface has no such address"

        self.fail_command("join", unit=unit, errors=errors())

    def check(self) -> None:
        """Expect that all faults have struck: a scenario shows nothing without its fault."""
        left = [
            f"{each.what} on {each.unit}" for each in self._faults if 0 < each.times < math.inf
        ]
        assert not left, f"these faults never struck: {', '.join(left)}"

    def _strike(self, context: juju_model.HookContext) -> None:
        owners = (context.unit, context.unit.partition("/")[0])
        for fault in tuple(self._faults):
            if fault.times > 0 and fault.unit in owners and fault.is_due(context):
                fault.times -= 1
                fault.act(context)
