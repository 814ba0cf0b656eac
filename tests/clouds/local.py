"""A cloud on this machine: the in-memory model of Juju, with a microcluster of any kind below."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
import pathlib
import subprocess
import time
from typing import TYPE_CHECKING, Any, cast

import yaml

from tests import juju_model
from tests.charms import earlier, variants
from tests.clouds import bundle, field, protocol, redaction
from tests.microclusters import fake, lxd

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tests.microclusters import protocol as microclusters

ROOT = pathlib.Path(__file__).parents[2]
CONSUMER_ROOT = ROOT / "tests" / "charms" / "lxd_cluster"
COMMAND = lxd.COMMAND
"""How the consumer's charm calls its microcluster."""

ENDPOINT = "microcluster-cluster"
"""The endpoint that all these charms share."""

# How often something goes wrong that does so each time.
_ALWAYS = math.inf
# Seconds of the model's time that a command takes before it is killed.
_HANGS = 30.0
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


def behaviour(version: str, needs: Collection[protocol.Trait]) -> juju_model.Behaviour:
    """Give a release's behaviour, but for what a story needs of a removal by force.

    Args:
        version: the release of Juju.
        needs: what the story needs.
    """
    release = juju_model.Behaviour.of(version)
    if protocol.Trait.FORCE_DEPARTS in needs:
        return dataclasses.replace(release, force_departs=True)
    if protocol.Trait.FORCE_IS_SILENT in needs:
        return dataclasses.replace(release, force_departs=False)
    return release


def fake_microcluster(
    juju: juju_model.Juju, seed: int = 0, version: str = "2.0.5"
) -> fake.FakeMicrocluster:
    """Return a fake microcluster that answers the consumer's command, in the model's time.

    Args:
        juju: the model, whose time it is.
        seed: makes every choice.
        version: of microcluster, see `fake.Release`.
    """
    return fake.FakeMicrocluster(
        clock=lambda: juju.now, spend=juju.advance, seed=seed, command=COMMAND, version=version
    )


def tail(juju: juju_model.Juju, length: int = 30) -> str:
    """Give the last hooks, line by line, for a failure's message.

    An update-status that went well and wrote nothing is left out: while something is waited for
    in vain there are rounds of them, and the cause lies before.

    Args:
        juju: the model.
        length: how many hooks to give.
    """
    telling = (
        hook
        for hook in reversed(juju.trace)
        if hook.kind != "update-status" or hook.writes or hook.outcome is not juju_model.Outcome.OK
    )
    return "\n".join(reversed([str(hook) for hook in itertools.islice(telling, length)]))


@dataclasses.dataclass
class _Fault:
    """Something that is to happen at a moment of a hook.

    Attributes:
        what: what has to happen first, in a word or two.
        unit: the unit, or the application for any of its units.
        point: where in the hook; `None` for anywhere.
        happened: tells whether it is that moment.
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


class LocalCloud(field.LocalField):
    """The in-memory model of Juju, on machines of a microcluster.

    It has the powers of `tests.clouds.protocol.Faults`, too, and with a fake microcluster those
    of `tests.clouds.protocol.Field`.

    Args:
        juju: the model.
        microcluster: gives the machines of the consumers' units.

    Attributes:
        juju: as given.
        microcluster: as given.
    """

    def __init__(self, juju: juju_model.Juju, microcluster: microclusters.Microcluster):
        super().__init__(juju, microcluster)
        self._real = not isinstance(microcluster, fake.FakeMicrocluster)
        self._faults: list[_Fault] = []
        self._paused: set[str] = set()

    @property
    def name(self) -> str:
        """What this cloud is made of, in a few words."""
        below = "real daemons" if self._real else "a fake microcluster"
        return f"the model of Juju {self.juju.behaviour.juju_version} on {below}"

    @property
    def traits(self) -> frozenset[protocol.Trait]:
        """What it can do, and does, that others may not."""
        traits = {
            protocol.Trait.FAULTS,
            protocol.Trait.CHOOSES_HOST_NAMES,
            protocol.Trait.EARLIER_CHARMS,
            protocol.Trait.SAYS_WHAT_FOR,
        }
        if self.juju.behaviour.force_departs:
            traits.add(protocol.Trait.FORCE_DEPARTS)
        else:
            traits.add(protocol.Trait.FORCE_IS_SILENT)
        if isinstance(self.microcluster, fake.FakeMicrocluster):
            traits |= {
                protocol.Trait.FIELD,
                protocol.Trait.PENDING_AT_FIRST,
                protocol.Trait.STAYS_PENDING,
                protocol.Trait.JOINS_WHILE_DEGRADED
                if self.microcluster.version.joins_while_degraded
                else protocol.Trait.HARMED_BY_DEGRADED_JOINS,
            }
        return frozenset(traits)

    def deploy(self, charm_name: str, application: str = "", *, units: int = 1) -> str:
        """Deploy a charm; one with `provides` needs no machine of the microcluster."""
        deployed = charm(charm_name)
        factory = None if deployed.endpoints("provides") else self.microcluster.add_machine
        return self.juju.deploy(
            deployed, application or charm_name, units=units, host_factory=factory
        )

    def deploy_bundle(self, template: pathlib.Path) -> None:
        """Deploy a bundle's applications, with the charms that its words stand for here."""
        charms = {"consumer": protocol.CONSUMER, "distributor": protocol.DISTRIBUTOR}
        words = dict.fromkeys(
            ("base", *(f"{of}_{what}" for of in charms for what in ("channel", "constraints"))), ""
        )
        wanted = cast("dict[str, Any]", yaml.safe_load(bundle.render(template, words | charms)))
        for name, application in wanted["applications"].items():
            self.deploy(application["charm"], name, units=application["num_units"])
        for one, two in wanted["relations"]:
            self.integrate(one, two)

    def integrate(self, one: str, two: str) -> None:
        """Integrate two applications."""
        self.juju.integrate(one, two)

    def remove_relation(self, one: str, two: str) -> None:
        """Remove the relation between two applications."""
        self.juju.remove_relation(one, two)

    def add_unit(self, application: str, *, hostname: str | None = None) -> str:
        """Add a unit, on a machine of its own."""
        return self.juju.add_unit(application, hostname=hostname)

    def remove_unit(self, unit: str, *, force: bool = False) -> None:
        """Remove a unit."""
        self.juju.remove_unit(unit, force=force)

    def remove_application(self, application: str) -> None:
        """Remove an application."""
        self.juju.remove_application(application)

    def refresh(self, application: str, charm_name: str) -> None:
        """Put another charm in an application's place."""
        self.juju.refresh(application, charm(charm_name))

    def kill_machine(self, unit: str) -> None:
        """Let the machine of a unit die."""
        self.juju.kill_machine(unit)

    def start_machine(self, unit: str) -> None:
        """Start a machine that died."""
        self.juju.start_machine(unit)

    def units(self, application: str) -> list[str]:
        """Name the units of an application."""
        return sorted(self.juju.units(application), key=lambda unit: int(unit.split("/")[1]))

    def leader(self, application: str) -> str | None:
        """Name the unit that leads."""
        return self.juju.leader(application)

    def hostname(self, unit: str) -> str:
        """Return the host name of a unit's machine."""
        return self.juju.host(unit).name

    def bag(self, owner: str, other: str = "") -> Mapping[str, str]:
        """Return a databag on the endpoint that all these charms share."""
        app = owner.partition("/")[0]
        living = [
            relation
            for relation in self.juju.apps[app].related(ENDPOINT)
            if not relation.dying and other in ("", relation.other(app).app)
        ]
        return self.juju.bag(owner, relation_id=living[0].id) if living else {}

    def status(self, unit: str) -> tuple[str, str]:
        """Return a unit's status and its message."""
        status = self.juju.status(unit)
        return status.name, status.message

    def members(self, unit: str) -> list[protocol.Member]:
        """Ask the machine of a unit."""
        listed = self.juju.host(unit).run([*COMMAND, "list", "-f", "json"], timeout=30)
        return [] if listed.returncode else protocol.Member.all_in(listed.stdout)

    def settle(self) -> None:
        """Run all hooks that are due, and those that come of them."""
        self._run(self.juju.settle)

    def wait(self, rounds: int = 1) -> None:
        """Go through rounds of update-status."""
        for _ in range(rounds):
            self._wait(_REAL_PAUSE)

    def _wait(self, pause: float) -> None:
        """Go through a round of update-status, after as many seconds if there are real daemons."""
        if self._real:
            time.sleep(pause)
        self._run(self.juju.update_status_round)

    def eventually(self, what: str, seen: Callable[[], bool]) -> None:
        """Go through rounds of update-status until something is seen."""
        self.settle()
        pause = _REAL_PAUSE
        for _ in range(_REAL_ROUNDS if self._real else _ROUNDS):
            if seen():
                return
            self._wait(pause)
            pause = min(2 * pause, _LONGEST_REAL_PAUSE)
        if not seen():
            raise AssertionError(f"not seen: {what}; the last hooks were\n{tail(self.juju)}")

    def evidence(self) -> Iterator[tuple[str, str]]:
        """Gather what a person needs who has to find out what went wrong.

        Yields:
            A file's name and its text, without tokens.
        """
        yield "hooks.txt", redaction.redact("".join(f"{hook}\n" for hook in self.juju.trace))
        bags = {
            f"{owner} to {relation.other(app.name).app}": dict(
                self.juju.bag(owner, relation_id=relation.id)
            )
            for app in self.juju.apps.values()
            for relation in app.related(ENDPOINT)
            for owner in (app.name, *self.units(app.name))
        }
        yield "databags.json", redaction.redact(json.dumps(bags, indent=2))

    # Faults.

    def upon(
        self, deed: Callable[[], None], *, unit: str, command: str = "", wrote: str = ""
    ) -> None:
        """Let something happen right after a command, or after a key was written."""
        if command:
            point, happened = juju_model.Point.AFTER_COMMAND, _runs(command)
        else:
            point, happened = juju_model.Point.AFTER_FLUSH, _wrote(wrote)
        what = f"a deed upon {command or wrote}"
        self._arm(_Fault(what, unit, point, happened, lambda _: deed()))

    def hang(self, command: str, *, unit: str, times: int = 1, in_effect: bool = False) -> None:
        """Let a command run into its time limit, before or after it has done its work."""

        def strike(_: juju_model.HookContext) -> None:
            self.juju.advance(_HANGS)
            # Without the arguments, among which a token may be.
            raise subprocess.TimeoutExpired([*COMMAND, command], _HANGS)

        point = juju_model.Point.AFTER_COMMAND if in_effect else juju_model.Point.BEFORE_COMMAND
        self._arm(_Fault(f"{command} hangs", unit, point, _runs(command), strike, times))

    def kill_agent(self, *, unit: str, after: str, times: int = 1, at_once: bool = False) -> None:
        """Let a unit's agent die after a command, at once or at the hook's next step."""
        what = f"the agent dies after {after}"

        def die(context: juju_model.HookContext) -> None:
            raise juju_model.AgentKilled(f"{context.unit}: {what}")

        def die_next(context: juju_model.HookContext) -> None:
            hook = context.hook
            self._arm(_Fault(what, context.unit, None, lambda later: later.hook is hook, die))

        point = juju_model.Point.AFTER_COMMAND
        self._arm(_Fault(what, unit, point, _runs(after), die if at_once else die_next, times))

    def pause_agent(self, unit: str) -> None:
        """Let a unit's agent run no further hook."""
        if not self._paused:
            self.juju.on_hook.append(self._stay_paused)
        self._paused.add(unit)
        self.juju.unit(unit).machine.busy = True

    def resume_agent(self, unit: str) -> None:
        """Let a paused agent go on."""
        self._paused.remove(unit)
        if not self._paused:
            self.juju.on_hook.remove(self._stay_paused)
        self.juju.unit(unit).machine.busy = False

    def _stay_paused(self, hook: juju_model.Hook) -> None:
        # An agent that is paused in mid-hook finishes that hook, which frees its machine.
        if hook.unit in self._paused and hook.unit in self.units(hook.unit.partition("/")[0]):
            self.juju.unit(hook.unit).machine.busy = True

    def break_hooks(self, unit: str) -> None:
        """Let each hook of a unit fail from now on."""

        def fail(_: juju_model.HookContext) -> None:
            raise juju_model.HookFault(f"{unit}: this hook fails, whatever it is")

        point = juju_model.Point.BEFORE_HOOK
        self._arm(_Fault("each hook fails", unit, point, lambda _: True, fail, _ALWAYS))

    def expire_tokens(self) -> None:
        """Let all unused join tokens reach the end of their life."""
        self.microcluster.expire_tokens()

    def make_leader(self, unit: str) -> None:
        """Give a unit its application's lease."""
        self.juju.set_leader(unit)

    def keep_pending(self, unit: str) -> None:
        """Keep a unit from ever getting a role."""
        self._machine(unit).stays_pending = True

    def unspent(self) -> list[str]:
        """Name the faults that never struck: what was told with them has shown nothing."""
        return [str(fault) for fault in self._faults if 0 < fault.times < _ALWAYS]

    def _arm(self, fault: _Fault) -> None:
        self._faults.append(fault)
        self.juju.faults = self._strike

    def _strike(self, context: juju_model.HookContext) -> None:
        for fault in tuple(self._faults):
            if fault.applies(context):
                fault.times -= 1
                fault.act(context)

    def _run(self, run: Callable[..., int]) -> None:
        """Run hooks; failures that are no fault of the charm are tried again."""
        before = len(self.juju.errors)
        run(retry_failed=True, patience=_PATIENCE)
        for hook in self.juju.errors[before:]:
            if hook.outcome is juju_model.Outcome.FAILED and not any(
                reason in hook.error for reason in GOOD_REASONS
            ):
                raise juju_model.HookFailed(hook)
