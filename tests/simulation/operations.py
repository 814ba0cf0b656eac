"""What can be done to a cloud: by operators, by machines and networks, by daemons and by Juju.

The tables at the end have all operations. One that is impossible at the moment, or unfair, does
nothing. It is unfair to lose the majority of a cluster's voters for good, or to hide a cluster
from the distributor while others wait for one: no charm can help then.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tests import juju_model
from tests.juju_model import AgentKilled, HookFault, Point
from tests.microclusters import fake
from tests.simulation import cloud as clouds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.juju_model import HookContext

    Options: TypeAlias = Callable[["Operations"], Iterable[str]]
    Act: TypeAlias = Callable[["Operations", str], object]

_MOST_UNITS = 8
# Faults that come after as many moments come again and again after as many.
_RARE = 31
_DURATIONS = (1.0, 10.0, 60.0, 300.0)


class Do(NamedTuple):
    """One operation.

    Attributes:
        what: its name.
        which: of those to which it can be done, or how many, or after how much.
        hooks: how many hooks run after it.
        order: the choices made from then on, see `cloud.Choices`.
    """

    what: str
    which: int = 0
    hooks: int = 0
    order: tuple[int, ...] = ()

    def __repr__(self) -> str:
        values = [self.what, self.which, self.hooks, self.order]
        while len(values) > 1 and not values[-1]:
            values.pop()
        return f"Do({', '.join(map(repr, values))})"


class Fault(NamedTuple):
    """What strikes at a moment of a hook, or before or after a command."""

    answer: fake.Fault | None = None  # the command's
    error: type[BaseException] | None = None
    only: str = ""  # the only command to which it applies
    deposes: bool = False  # a unit that leads


class Operations:
    """Does operations to a cloud."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        self.cloud = cloud
        self.juju = cloud.juju
        self.log: list[str] = []
        self.deployed = self.renamed = self.spoilt_joins = 0
        self.offered: list[str] = []
        self.faults: list[tuple[int, int, Fault]] = []
        cloud.fake.faults = self._command_fault

    def do(self, operation: Do) -> None:
        """Do one operation, and let hooks run after it."""
        what, which, hooks, self.cloud.choices.numbers = operation
        done: object = None
        if what in TO_ONE:
            options, act = TO_ONE[what]
            if among := list(options(self)):
                done = among[which % len(among)]
                act(self, done)
        elif what in FAULTS:
            after = done = 2**which - 1
            self.faults.append((after, after, FAULTS[what]))
        else:
            done = OTHERS[what](self, which)
        if done is not None:
            self.note(f"{what}: {done}")
        for _ in range(hooks):
            if self.juju.step() is None:
                return

    def note(self, text: str) -> None:
        """Write into the log."""
        self.log.append(f"{self.juju.now:8.1f}s  {text}")

    # Faults

    def hook_fault(self, context: HookContext) -> None:
        """Let what is due strike at a moment of a hook."""
        around = context.point in (Point.BEFORE_COMMAND, Point.AFTER_COMMAND)
        fault = self._due(context.argv[0] if around else "", of_command=False)
        app = context.unit.split("/")[0]
        leads = self.juju.leader(app) == context.unit and len(self.juju.units(app)) > 1
        if fault and fault.deposes and leads:
            self.juju.depose(app, believing=True)
        if fault and fault.error:
            raise fault.error("injected")

    def _command_fault(
        self, machine: fake.FakeMachine, moment: str, words: Sequence[str]
    ) -> fake.Fault | None:
        if words[0] == "join" and moment == "before" and self.spoilt_joins:
            self.spoilt_joins -= 1
            for cluster in self.cloud.fake.clusters:
                cluster.tokens.pop(machine.name, None)
            return fake.fails("Error: the network interface has no such address")
        fault = self._due(words[0], of_command=True)
        return fault.answer if fault else None

    def _due(self, command: str, *, of_command: bool) -> Fault | None:
        """Count down the faults that apply at this moment; return the one that strikes."""
        due: Fault | None = None
        armed, self.faults = self.faults, []
        for after, again, fault in armed:
            applies = (fault.answer is not None) is of_command and fault.only in ("", command)
            if not applies or after > 0 or due is not None:
                self.faults.append((max(0, after - applies), again, fault))
                continue
            due = fault
            if again >= _RARE:
                self.faults.append((again, again, fault))
        return due

    # The end

    def stop_faults(self) -> None:
        """Stop all faults, and put right what only an operator can."""
        self.faults.clear()
        self.spoilt_joins = self.cloud.fake.needed_after_removal = 0
        for unit in _late(self):
            self.juju.remove_unit(unit)
        for unit in self.cloud.units():
            _reconnect(self.cloud.machine(unit))
        for unit in [*_lost(self), *self.cloud.distributors()]:
            self.juju.start_machine(unit)
        if not self.cloud.distributors():
            self.juju.add_unit(clouds.DISTRIBUTOR)
        self.relate_all()
        # On Juju 4 a unit removed by force stays in `relation-list`. Whether it is gone cannot be
        # told if goal-state has never named it: it does not name all subordinate units, either.
        for unit in self.cloud.distributors():
            for seen in self.juju.unit(unit).relations.values():
                if not seen.relation.peer and set(seen.members) - set(self.cloud.units()):
                    self.juju.restart_agent(unit)
        self.note("the faults stop")

    def relate_all(self) -> None:
        """Resume and make again all relations; one that is being removed has to be gone first."""
        for name in ("resume", "integrate"):
            options, act = TO_ONE[name]
            for app in options(self):
                act(self, app)

    def lend_a_hand(self) -> None:
        """Do what only an operator can: remove members of which no unit is left and nobody knows.

        Where a unit vanishes before any leader of the distributor has seen it, or out of another
        model, goal-state has nothing to say of it, and nobody is removed on a guess. Had it been
        granted the bootstrap, only a new relation helps.
        """
        names = {*self.cloud.names().values()}
        bag = self.cloud.bag(clouds.DISTRIBUTOR)
        if bag.get("bootstrap-host", next(iter(names), "")) not in names:
            for app in self.offered:
                TO_ONE["remove_relation"][1](self, app)
                self.note(f"an operator removes the relation of {app}")
        for cluster in self.cloud.fake.clusters:
            other = next((m for m in cluster.members.values() if m.online), None)
            for name, member in sorted(cluster.members.items()):
                # Of a machine that drops packets, and has a successor of its name.
                silent = member.machine.destroyed and member.machine.drops_packets
                known = name in bag.get("left", "").split() or (name in names and not silent)
                if other and not (member.online or known):
                    other.machine.run([*clouds.COMMAND, "remove", name, "--force"])
                    self.note(f"an operator removes {name}")


# To whom something can be done


def _units(doing: Operations) -> list[str]:
    return doing.cloud.units()


def _everybody(doing: Operations) -> list[str]:
    return [*doing.cloud.units(), *doing.cloud.distributors()]


def _members(doing: Operations) -> list[str]:
    return [unit for unit in doing.cloud.units() if doing.cloud.machine(unit).member]


def _living(doing: Operations) -> list[str]:
    """Name the consumers' units whose agents answer, and that are not being removed."""
    units = ((name, doing.juju.unit(name)) for name in doing.cloud.units())
    return [name for name, unit in units if unit.machine.up and not unit.dying]


def _spare(doing: Operations) -> list[str]:
    """Name them, if another is left that can be asked: they can be started again."""
    living = _living(doing)
    return living if len(living) > 1 else []


def _lost(doing: Operations) -> list[str]:
    return [unit for unit in doing.cloud.units() if doing.juju.unit(unit).machine.lost]


def _late(doing: Operations) -> list[str]:
    units = doing.cloud.units()
    return [unit for unit in units if not doing.juju.unit(unit).machine.provisioned]


def _leavers(doing: Operations) -> list[str]:
    units = _living(doing) if len(doing.cloud.units()) > 1 else []
    return [unit for unit in units if _removable(doing, unit)]


def _removable_lost(doing: Operations) -> list[str]:
    return [unit for unit in _lost(doing) if _removable(doing, unit)]


def _expellable(doing: Operations) -> list[str]:
    """Name those that an operator might take out of the cluster."""
    living = _spare(doing)
    # As long as its permission to bootstrap stands, it might make use of it once more.
    granted = doing.cloud.bag(clouds.DISTRIBUTOR).get("bootstrap-host")
    clusters = [cluster for cluster in doing.cloud.fake.clusters if cluster.lives]
    if [set(cluster.members) for cluster in clusters] != [set(map(doing.cloud.name, living))]:
        return []
    return [u for u in living if _removable(doing, u) and doing.cloud.name(u) != granted]


def _emptiable(doing: Operations) -> list[str]:
    """Name the applications of which all units can leave at once.

    With a member down nobody could, and all would take their votes with them.
    """
    clusters = doing.cloud.fake.clusters
    if _lost(doing) or _hidden(doing) or any(c.unreachable() or c.ghosts for c in clusters):
        return []
    return doing.cloud.consumers()


def _leading_distributor(doing: Operations) -> list[str]:
    leader = doing.juju.leader(clouds.DISTRIBUTOR)
    return [leader] if leader and doing.juju.unit(leader).machine.up else []


def _replaceable_distributor(doing: Operations) -> list[str]:
    units = [doing.juju.unit(unit) for unit in doing.cloud.distributors()]
    able = sum(unit.machine.up and not unit.dying for unit in units) > 1
    return _leading_distributor(doing) if able else []


def _apps(doing: Operations) -> list[str]:
    return [app for app in doing.juju.apps if len(doing.juju.units(app)) > 1]


def _hidden(doing: Operations) -> list[str]:
    return [app for app in doing.cloud.consumers() if not doing.cloud.related(app)]


def _unrelated(doing: Operations) -> list[str]:
    """Name the consumers that have no relation, not even one that is being removed."""
    return [a for a in doing.cloud.consumers() if not doing.juju.relation_ids(a, clouds.ENDPOINT)]


def _suspended(doing: Operations) -> list[str]:
    return [
        app
        for app in doing.offered
        if any(r.suspended and not r.dying for r in doing.juju.apps[app].related(clouds.ENDPOINT))
    ]


def _hideable(doing: Operations) -> list[str]:
    """Name the consumers that can be hidden without hiding the only cluster."""
    if _hidden(doing) or not all(doing.juju.unit(u).machine.up for u in _everybody(doing)):
        return []
    apps = doing.cloud.consumers()
    return [a for a in apps if len(apps) == 1 or _visible_members(doing, without=a)]


def _suspendable(doing: Operations) -> list[str]:
    return [app for app in _hideable(doing) if app in doing.offered]


def _visible_members(doing: Operations, *, without: str) -> list[str]:
    """Name the members that the distributor sees, without an application or a unit."""
    return [
        unit
        for unit in _members(doing)
        if not doing.juju.unit(unit).dying
        and doing.cloud.related(unit.split("/")[0])
        and without not in (unit, unit.split("/")[0])
    ]


def _removable(doing: Operations, unit: str) -> bool:
    """Tell whether the cluster is kept, and kept in sight, without a unit's machine."""
    cluster = doing.cloud.cluster_of(unit)
    if cluster is None:
        return True
    if _hidden(doing) and not _visible_members(doing, without=unit):
        return False
    dying = doing.cloud.dying()
    voters = [m for m in cluster.members.values() if m.raft == "voter"]
    staying = [
        m
        for m in voters
        if m.machine is not doing.cloud.machine(unit)
        and m.machine.member is m
        and not m.machine.destroyed
        and m.name not in dying
    ]
    return not voters or 2 * len(staying) > len(voters)


# What is done to one of them


def _to_model(act: Callable[[juju_model.Juju, str], object]) -> Act:
    return lambda doing, name: act(doing.juju, name)


def _to_machine(act: Callable[[fake.FakeMachine], object]) -> Act:
    return lambda doing, unit: act(doing.cloud.machine(unit))


def _to_relations(act: Callable[[juju_model.Juju, int], object]) -> Act:
    def do(doing: Operations, app: str) -> None:
        for relation in doing.juju.relation_ids(app, clouds.ENDPOINT):
            act(doing.juju, relation)

    return do


def _integrate(doing: Operations, app: str) -> None:
    if app in doing.offered:
        doing.juju.consume(app, clouds.DISTRIBUTOR, alias=f"offer-{app}")
    else:
        doing.juju.integrate(app, clouds.DISTRIBUTOR)


def _force(doing: Operations, unit: str) -> None:
    doing.juju.remove_unit(unit, force=True)


def _force_unreadable(doing: Operations, unit: str) -> None:
    doing.juju.unreadable.add(unit)
    _force(doing, unit)


def _replace(doing: Operations, unit: str) -> None:
    name = doing.cloud.name(unit)
    _force(doing, unit)
    doing.juju.add_unit(unit.split("/")[0], hostname=name)


def _expel(doing: Operations, unit: str) -> None:
    other = next(other for other in _living(doing) if other != unit)
    with contextlib.suppress(subprocess.TimeoutExpired):
        command = [*clouds.COMMAND, "remove", doing.cloud.name(unit)]
        doing.cloud.machine(other).run(command, timeout=60)


def _empty(doing: Operations, app: str) -> None:
    for unit in doing.juju.units(app):
        doing.juju.remove_unit(unit)


def _silence(doing: Operations, unit: str) -> None:
    doing.juju.kill_machine(unit)
    _drop_packets(doing.cloud.machine(unit))


def _drop_packets(machine: fake.FakeMachine) -> None:
    machine.drops_packets = True


def _reconnect(machine: fake.FakeMachine) -> None:
    machine.drops_packets = False


def _start(doing: Operations, unit: str) -> None:
    _reconnect(doing.cloud.machine(unit))
    doing.juju.start_machine(unit)


def _start_slowly(doing: Operations, unit: str) -> None:
    _start(doing, unit)
    doing.cloud.machine(unit).restart(opening=3)


def _rename(doing: Operations, unit: str) -> None:
    doing.renamed += 1
    doing.cloud.machine(unit).rename(f"renamed-{doing.renamed}")


# What is done otherwise


def _deploy(doing: Operations, units: int, *, offered: bool = False) -> str | None:
    if doing.deployed > 1 or _hidden(doing):
        return None
    app = ("first", "second")[doing.deployed]
    doing.deployed += 1
    doing.offered += [app] if offered else []
    units = max(1, min(units, _MOST_UNITS - len(doing.cloud.units())))
    charm, machines = clouds.charm(doing.cloud.consumer), doing.cloud.fake.add_machine
    doing.juju.deploy(charm, app, units=units, host_factory=machines)
    _integrate(doing, app)
    return f"{app}, {units} units"


def _add(doing: Operations, which: int, *, late: bool = False, named: bool = True) -> str | None:
    apps = doing.cloud.consumers()
    if not apps or len(doing.cloud.units()) >= _MOST_UNITS:
        return None
    unit = doing.juju.add_unit(apps[which % len(apps)], provisioned=not late)
    doing.juju.unnamed.update(() if named else {unit})
    return unit


def _add_distributor(doing: Operations, _: int) -> str | None:
    few = len(doing.cloud.distributors()) < 3
    return doing.juju.add_unit(clouds.DISTRIBUTOR) if few else None


def _replace_distributors(doing: Operations, which: int) -> str:
    for unit in doing.cloud.distributors():
        doing.juju.kill_machine(unit)
        _force(doing, unit)
    return ", ".join(doing.juju.add_unit(clouds.DISTRIBUTOR) for _ in range(1 + which % 2))


def _refuse_removals(doing: Operations, _: int) -> int:
    doing.cloud.fake.needed_after_removal ^= 3
    return doing.cloud.fake.needed_after_removal


def _spoil_joins(doing: Operations, which: int) -> int:
    doing.spoilt_joins = 1 + which
    return doing.spoilt_joins


def _pass_time(doing: Operations, which: int) -> float:
    doing.juju.advance(_DURATIONS[which % 4])
    if which > 3:
        doing.juju.mark_update_status()
    return _DURATIONS[which % 4]


_Juju = juju_model.Juju

TO_ONE: dict[str, tuple[Options, Act]] = {
    "remove_unit": (_leavers, _to_model(_Juju.remove_unit)),
    "remove_lost_unit": (_removable_lost, _force),
    "remove_unreadable_unit": (_removable_lost, _force_unreadable),
    "replace_lost_unit": (_removable_lost, _replace),
    "scale_to_zero": (_emptiable, _empty),
    "expel": (_expellable, _expel),
    "provision": (_late, _to_model(_Juju.provision)),
    "remove_late_unit": (_late, _to_model(_Juju.remove_unit)),
    "remove_distributor": (_replaceable_distributor, _to_model(_Juju.remove_unit)),
    "kill_distributor": (_leading_distributor, _to_model(_Juju.kill_machine)),
    "depose": (_apps, _to_model(_Juju.depose)),
    "depose_unawares": (_apps, lambda do, app: do.juju.depose(app, believing=True)),
    "remove_relation": (_hideable, _to_relations(_Juju.remove_relation)),
    "integrate": (_unrelated, _integrate),
    "suspend": (_suspendable, _to_relations(_Juju.suspend)),
    "resume": (_suspended, _to_relations(_Juju.resume)),
    "kill_machine": (_spare, _to_model(_Juju.kill_machine)),
    "silence_machine": (_spare, _silence),
    "cut_off": (_spare, _to_machine(_drop_packets)),
    "reconnect": (_units, _to_machine(_reconnect)),
    "stop_agent": (_spare, _to_model(_Juju.stop_agent)),
    "start_machine": (_lost, _start),
    "start_machine_slowly": (_lost, _start_slowly),
    "restart_daemon": (_living, _to_machine(fake.FakeMachine.restart)),
    "restart_agent": (_everybody, _to_model(_Juju.restart_agent)),
    "rename_machine": (_units, _rename),
    "rename_member": (_members, _rename),
}
"""Operations to one of several: to which, and what is done to it."""

OTHERS: dict[str, Callable[[Operations, int], object]] = {
    "wait": lambda _, __: None,
    "deploy": _deploy,
    "deploy_across_models": lambda do, units: _deploy(do, units, offered=True),
    "add_unit": _add,
    "add_late_unit": lambda do, which: _add(do, which, late=True),
    "add_unnamed_unit": lambda do, which: _add(do, which, named=False),
    "add_distributor": _add_distributor,
    "replace_distributors": _replace_distributors,
    "expire_tokens": lambda do, _: do.cloud.fake.expire_tokens() or "all",
    "revoke_tokens": lambda do, _: do.cloud.fake.revoke_tokens() or "all",
    "refuse_removals": _refuse_removals,
    "spoil_joins": _spoil_joins,
    "pass_time": _pass_time,
}
"""Operations with a number."""

FAULTS = {
    "fail_hook": Fault(error=HookFault),
    "kill_agent": Fault(error=AgentKilled),
    "lose_lease": Fault(deposes=True),
    "fail_command": Fault(fake.fails()),
    "kill_command": Fault(fake.dies()),
    "hang_command": Fault(fake.hangs()),
    "garble_list": Fault(fake.prints("{]"), only="list"),
    "lose_goal_state": Fault(error=FileNotFoundError, only="goal-state"),
}
"""What goes wrong after so many moments, 0, 1, 3, 7 and so on."""

NAMES = [*OTHERS, *TO_ONE, *FAULTS]
"""The names of all operations; the first does nothing."""
