"""What operators and fate do to a cloud; one seed makes every choice."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
from typing import TYPE_CHECKING

from tests.clouds import local, protocol
from tests.juju_model import AgentKilled, HookFault, Point
from tests.microclusters import fake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.juju_model import HookContext

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR
SECOND = "second-cluster"

_MOST_UNITS = 8
# How often a fault may strike, roughly: a hook has several points, a command two moments.
_POINTS_OF_HOOK = 4
_MOMENTS_OF_COMMAND = 2
# How likely the rarer mishaps are where they are to be had at all.
_NO_GOAL_STATE = 0.1
_INDISCREET = 0.1
_DROWSY = 0.5


def _has_rare_mishaps(seed: int) -> bool:
    """Tell whether rarer mishaps befall a schedule: half of those on Juju 3.6, a sixth on 4.0.

    Why so odd a share: no schedule may change that a test keeps for what it has shown.
    """
    return seed % 4 == 2 or seed % 24 in (3, 13)


class Schedule:
    """Draws deeds and faults.

    Args:
        cloud: the cloud.
        microcluster: the fake microcluster below it.
        seed: makes every choice.

    Attributes:
        deeds: what was done so far, for a trace.
        raging: whether hooks and commands fail.
    """

    def __init__(
        self, cloud: local.LocalCloud, microcluster: fake.FakeMicrocluster, seed: int
    ) -> None:
        self._cloud = cloud
        self._juju = cloud.juju
        self._microcluster = microcluster
        self._rng = random.Random(f"schedule {seed}")  # noqa: S311 - a schedule, not a secret
        self.deeds: list[str] = []
        self.raging = True
        self._hook_faults = self._rng.choice((0.0, 0.0, 0.01, 0.05))
        self._command_faults = self._rng.choice((0.0, 0.0, 0.02, 0.1))
        # They make choices of their own, so that the other schedules stay what they were.
        self._rare = random.Random(f"rare {seed}") if _has_rare_mishaps(seed) else None  # noqa: S311 - as above
        self._drowsy: set[str] = set()
        self._offered = ""
        microcluster.faults = self._command_fault

    # The deeds

    def begin(self) -> None:
        """Deploy and integrate, in some order."""
        size = self._rng.randint(3, 7)
        deploy: list[Callable[[], object]] = [
            lambda: self._cloud.deploy(CONSUMER, units=size),
            lambda: self._cloud.deploy(DISTRIBUTOR, units=self._rng.randint(1, 3)),
        ]
        self._rng.shuffle(deploy)
        for deed in deploy:
            deed()
            if self._rng.random() < 0.3:
                self.hooks(self._rng.randint(0, 60))
        self._cloud.integrate(CONSUMER, DISTRIBUTOR)
        self.deeds.append(f"{size} units, integrated")

    def deed(self) -> None:
        """Do one thing, and let some hooks run after it."""
        deeds: list[tuple[float, Callable[[], str | None]]] = [
            (3, self._add_unit),
            (2, self._remove_unit),
            (3, self._kill_consumer),
            (3, self._start_machine),
            (3, self._remove_dead),
            (2, self._depose),
            (2, self._kill_distributor),
            (1, self._replace_distributors),
            (1, self._expire),
            (1, self._restart_agent),
            (1, self._same_name),
            (1, self._relate_again),
            (1, self._second_application),
            (1, self._scale_to_zero),
            (3, self._time_passes),
        ]
        if self._rare is not None:
            deeds += [
                (2, self._remove_distributor),
                (1, self._expel),
                (1, self._relate_again),
            ]
        weights = [weight for weight, _ in deeds]
        _, chosen = self._rng.choices(deeds, weights)[0]
        said = chosen()
        if said is not None:
            self.deeds.append(f"{self._juju.now:8.1f}s  {said}")
        self.hooks(self._rng.choice((0, 1, 5, 20, 100)))

    def calm(self) -> None:
        """Stop all faults, and put right what only an operator can."""
        self.raging = False
        self._drowsy.clear()
        for app in list(self._juju.apps):
            for unit in self._cloud.units(app):
                if not self._juju.unit(unit).machine.up:
                    self._cloud.start_machine(unit)
        if not self._cloud.units(DISTRIBUTOR):
            self._cloud.add_unit(DISTRIBUTOR)
        for app in self._consumers():
            if not self._juju.relation_ids(app, "microcluster-cluster"):
                self._cloud.integrate(app, DISTRIBUTOR)
        self._lay_ghosts()
        self.deeds.append(f"{self._juju.now:8.1f}s  calm")

    def _lay_ghosts(self) -> None:
        """Restart the agents of the distributor where nothing else tells them that a unit is gone.

        On Juju 4 a unit removed by force stays in `relation-list`. Whether it is gone cannot be
        told if goal-state has never named it: it does not name all subordinate units, either.
        """
        for unit in self._cloud.units(DISTRIBUTOR):
            for seen in self._juju.unit(unit).relations.values():
                if not seen.relation.peer and set(seen.members) - set(self._units()):
                    self._juju.restart_agent(unit)

    def forget_members(self) -> None:
        """Remove members of which no unit is left and nobody knows, as only an operator can.

        Where a unit vanishes before any leader of the distributor has seen it, goal-state has
        nothing to say of its host name, and nobody is removed on a guess.
        """
        names = {self._cloud.hostname(unit) for unit in self._units()}
        left = self._cloud.bag(DISTRIBUTOR).get("left", "").split()
        for cluster in self._microcluster.clusters:
            unknown = set(cluster.members) - names - set(left) - set(cluster.online)
            for name in sorted(unknown):
                other = next((m for m in cluster.members.values() if m.online), None)
                if other is not None:
                    other.machine.run([*local.COMMAND, "remove", name, "--force"])
                    self.deeds.append(f"{self._juju.now:8.1f}s  an operator removes {name}")

    def hooks(self, number: int) -> None:
        """Run some hooks."""
        for _ in range(number):
            if self._juju.step() is None:
                return

    # What fails

    def hook_fault(self, context: HookContext) -> None:
        """Let a hook fail, or its agent die, now and then.

        Raises:
            HookFault: it fails.
            AgentKilled: it dies.
            OSError: a tool of its own cannot be run.
        """
        self._rare_fault(context)
        if not self.raging or self._rng.random() >= self._hook_faults / _POINTS_OF_HOOK:
            return
        if context.point is Point.BEFORE_FLUSH and self._rng.random() < 0.5:
            app = context.unit.split("/")[0]
            if self._cloud.leader(app) == context.unit and len(self._cloud.units(app)) > 1:
                self._juju.depose(app, believing=True)
                return
        if self._rng.random() < 0.5:
            raise HookFault("injected")
        raise AgentKilled("injected")

    def _rare_fault(self, context: HookContext) -> None:
        if self._rare is None or not self.raging or context.point is not Point.BEFORE_COMMAND:
            return
        words = list(context.argv)
        if words[:1] == ["goal-state"] and self._rare.random() < _NO_GOAL_STATE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
        if "join" in words[:-1]:
            self._offered = words[words.index("join") + 1]

    def _rare_command_fault(
        self, machine: fake.FakeMachine, moment: str, words: Sequence[str]
    ) -> fake.Fault | None:
        if self._rare is None or not self.raging or moment != "before":
            return None
        if words[0] == "list" and machine.name in self._drowsy:
            # A daemon that has just been started may not have opened its database yet.
            self._drowsy.remove(machine.name)
            return fake.fails(fake.NOT_INITIALIZED)
        if words[0] == "join" and self._rare.random() < _INDISCREET:
            return fake.fails(f"Error: cannot use {self._offered}")
        return None

    def _command_fault(
        self, machine: fake.FakeMachine, moment: str, words: Sequence[str]
    ) -> fake.Fault | None:
        rare = self._rare_command_fault(machine, moment, words)
        if rare is not None:
            return rare
        if not self.raging or self._rng.random() >= self._command_faults / _MOMENTS_OF_COMMAND:
            return None
        faults = [fake.fails(), fake.dies(), fake.hangs()]
        if words[0] == "list":
            faults.append(fake.prints("{]"))
        return self._rng.choice(faults)

    # Each deed says what it did, or None if there was nothing to do.

    def _add_unit(self) -> str | None:
        app = self._rng.choice(self._consumers() or [""])
        if not app or self._count() >= _MOST_UNITS:
            return None
        return f"added {self._cloud.add_unit(app)}"

    def _remove_unit(self) -> str | None:
        unit = self._pick([unit for unit in self._living() if self._survivable(unit)])
        if unit is None or self._count() <= 1:
            return None
        self._cloud.remove_unit(unit)
        return f"removing {unit}"

    def _kill_consumer(self) -> str | None:
        living = self._living()
        unit = self._pick(living)
        if unit is None or not self._may_lose_one():
            return None
        self._cloud.kill_machine(unit)
        return f"the machine of {unit} dies"

    def _start_machine(self) -> str | None:
        unit = self._pick(self._dead())
        if unit is None:
            return None
        self._cloud.start_machine(unit)
        if self._rare is not None and self._rare.random() < _DROWSY:
            self._drowsy.add(self._cloud.hostname(unit))
        return f"the machine of {unit} is back"

    def _remove_dead(self) -> str | None:
        unit = self._pick([unit for unit in self._dead() if self._survivable(unit)])
        if unit is None:
            return None
        self._cloud.remove_unit(unit, force=True)
        return f"removed {unit} by force"

    def _depose(self) -> str | None:
        app = self._rng.choice(list(self._juju.apps))
        if len(self._cloud.units(app)) < 2:
            return None
        self._juju.depose(app, believing=self._rng.random() < 0.5)
        return f"deposed the leader of {app}"

    def _kill_distributor(self) -> str | None:
        unit = self._cloud.leader(DISTRIBUTOR)
        if unit is None or not self._juju.unit(unit).machine.up:
            return None
        self._cloud.kill_machine(unit)
        return f"the machine of {unit} dies"

    def _replace_distributors(self) -> str | None:
        for unit in self._cloud.units(DISTRIBUTOR):
            if self._juju.unit(unit).machine.up:
                self._cloud.kill_machine(unit)
            self._cloud.remove_unit(unit, force=True)
        for _ in range(self._rng.randint(1, 2)):
            self._cloud.add_unit(DISTRIBUTOR)
        return "replaced all units of the distributor"

    def _remove_distributor(self) -> str | None:
        units = self._cloud.units(DISTRIBUTOR)
        if len(units) < 2 or not all(self._juju.unit(unit).machine.up for unit in units):
            return None
        unit = self._cloud.leader(DISTRIBUTOR) or units[0]
        self._cloud.remove_unit(unit)
        return f"removing {unit}"

    def _expel(self) -> str | None:
        living = self._living()
        # As long as its permission to bootstrap stands, it might make use of it once more.
        granted = self._cloud.bag(DISTRIBUTOR).get("bootstrap-host")
        unit = self._pick(
            [u for u in living if self._survivable(u) and self._cloud.hostname(u) != granted]
        )
        names = {self._cloud.hostname(unit) for unit in living}
        clusters = [cluster for cluster in self._microcluster.clusters if cluster.lives]
        if unit is None or len(clusters) != 1 or set(clusters[0].members) != names:
            return None  # An operator would not do that now.
        name = self._cloud.hostname(unit)
        other = self._pick([other for other in living if other != unit])
        if other is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._juju.host(other).run([*local.COMMAND, "remove", name], timeout=60)
        return f"an operator takes {name} out of the cluster"

    def _expire(self) -> str | None:
        if self._rng.random() < 0.5:
            self._microcluster.expire_tokens()
            return "tokens expire"
        self._microcluster.revoke_tokens()
        return "tokens are revoked"

    def _restart_agent(self) -> str | None:
        app = self._rng.choice(list(self._juju.apps))
        unit = self._pick(self._cloud.units(app))
        if unit is None:
            return None
        self._juju.restart_agent(unit)
        return f"the agent of {unit} starts anew"

    def _same_name(self) -> str | None:
        unit = self._pick([unit for unit in self._dead() if self._survivable(unit)])
        if unit is None:
            return None
        name = self._cloud.hostname(unit)
        self._cloud.remove_unit(unit, force=True)
        newcomer = self._cloud.add_unit(unit.split("/")[0], hostname=name)
        return f"{newcomer} takes the place and the name of {unit}"

    def _relate_again(self) -> str | None:
        app = self._rng.choice(self._consumers() or [""])
        everybody = [*self._units(), *self._cloud.units(DISTRIBUTOR)]
        if not app or not all(self._juju.unit(unit).machine.up for unit in everybody):
            return None  # It would not go until the lost machines are removed.
        if len(self._consumers()) > 1:
            return None  # With all members out of its sight, the other might form its own.
        try:
            self._cloud.remove_relation(app, DISTRIBUTOR)
        except ValueError:
            return None  # There is none.
        # Who is not related cannot be known: the relation comes back before anything else does.
        for _ in range(100):
            self.hooks(50)
            if not self._juju.relation_ids(app, "microcluster-cluster"):
                break
            self._juju.advance(60.0)
        newcomer = self._newcomer_leads(app)
        self._cloud.integrate(app, DISTRIBUTOR)
        return f"removed the relation of {app} and made it again{newcomer}"

    def _newcomer_leads(self, app: str) -> str:
        if self._rare is None or self._count() >= _MOST_UNITS or self._rare.random() < 0.5:
            return ""
        newcomer = self._cloud.add_unit(app)
        self.hooks(50)
        self._juju.set_leader(newcomer)
        return f", and {newcomer} leads"

    def _second_application(self) -> str | None:
        if SECOND in self._juju.apps or self._count() >= _MOST_UNITS - 1:
            return None
        self._cloud.deploy(CONSUMER, SECOND, units=self._rng.randint(1, 2))
        self._cloud.integrate(SECOND, DISTRIBUTOR)
        return "a second application"

    def _scale_to_zero(self) -> str | None:
        app = self._rng.choice(self._consumers() or [""])
        if not app or self._dead() or self._rng.random() < 0.7:
            return None
        if any(cluster.unreachable() for cluster in self._microcluster.clusters):
            return None  # Nobody could leave, and all would take their votes with them.
        for unit in self._cloud.units(app):
            self._cloud.remove_unit(unit)
        self.hooks(200)
        self._cloud.add_unit(app)
        return f"scaled {app} to zero and back"

    def _time_passes(self) -> str | None:
        self._juju.advance(self._rng.choice((1.0, 10.0, 60.0, 300.0)))
        if self._rng.random() < 0.5:
            self._juju.mark_update_status()
        return None

    # Helpers

    def _consumers(self) -> list[str]:
        return [app for app in self._juju.apps if not app.startswith(DISTRIBUTOR)]

    def _units(self) -> list[str]:
        return [unit for app in self._consumers() for unit in self._cloud.units(app)]

    def _count(self) -> int:
        return len(self._units())

    def _living(self) -> list[str]:
        return [
            unit
            for unit in self._units()
            if self._juju.unit(unit).machine.up and not self._juju.unit(unit).dying
        ]

    def _dead(self) -> list[str]:
        return [unit for unit in self._units() if not self._juju.unit(unit).machine.up]

    def _pick(self, units: list[str]) -> str | None:
        return self._rng.choice(units) if units else None

    def _may_lose_one(self) -> bool:
        """Tell whether a machine is left that can be asked: the others can be started again."""
        return len(self._living()) > 1

    def _survivable(self, unit: str) -> bool:
        """Tell whether the cluster keeps a majority of its voters without a unit's machine.

        A cluster that has lost it for good is beyond any charm's help.
        """
        host = self._cloud.juju.host(unit)
        for cluster in self._microcluster.clusters:
            member = cluster.members.get(host.name)
            if member is not None and member.machine is host:
                voters = [m for m in cluster.members.values() if m.raft == "voter"]
                leaving = {
                    self._cloud.hostname(other)
                    for other in self._units()
                    if self._juju.unit(other).dying
                }
                staying = [
                    m
                    for m in voters
                    if m is not member
                    and m.machine.member is m
                    and not m.machine.destroyed
                    and m.name not in leaving
                ]
                return not voters or 2 * len(staying) > len(voters)
        return True
