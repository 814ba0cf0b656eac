"""What can be done to a cloud: by operators, by machines and networks, by daemons and by Juju.

The tables at the end have all operations. One that is impossible at the moment, or unfair, does
nothing. It is unfair to lose the majority of a cluster's voters for good, or to hide a cluster
from the distributor while others wait for one: no charm can help then.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from tests import juju_model
from tests.clouds import local
from tests.juju_model import AgentKilled, HookContext, HookFault, Point
from tests.microclusters import fake
from tests.simulation import cloud as clouds

Options: TypeAlias = Callable[["Operations"], Sequence[str]]
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
        return f"Do{tuple(self)}".replace("'", '"')


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
            if among := options(self):
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
        for unit in self.late():
            self.juju.remove_unit(unit)
        for unit in self.cloud.units():
            self.drop_packets(unit, drops=False)
        for unit in [*self.lost(), *self.distributors()]:
            self.juju.start_machine(unit)
        if not self.distributors():
            self.juju.add_unit(clouds.DISTRIBUTOR)
        self.relate_all()
        # On Juju 4 a unit removed by force stays in `relation-list`. Whether it is gone cannot be
        # told if goal-state has never named it: it does not name all subordinate units, either.
        for unit in self.distributors():
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
        granted the bootstrap, only a new relation helps. And a unit that may not leave a cluster
        without a quorum, since a newcomer was added, has to be given up.
        """
        for unit in self.units():
            cluster = self.cloud.machine(unit).cluster
            if (
                cluster
                and not cluster.quorum
                and 'hook failed: "remove"' in self.cloud.status(unit)
            ):
                self.force(unit)
                self.note(f"an operator gives {unit} up")
        names = {*self.cloud.member_names().values()}
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
                    other.machine.run([*local.COMMAND, "remove", name, "--force"])
                    self.note(f"an operator removes {name}")

    # To whom something can be done

    def units(self) -> list[str]:
        return self.cloud.units()

    def distributors(self) -> list[str]:
        return self.cloud.units(clouds.DISTRIBUTOR)

    def everybody(self) -> list[str]:
        return [*self.units(), *self.distributors()]

    def members(self) -> list[str]:
        return [unit for unit in self.units() if self.cloud.machine(unit).member]

    def living(self) -> list[str]:
        """Name the consumers' units whose agents answer, and that are not being removed."""
        units = ((name, self.juju.unit(name)) for name in self.units())
        return [name for name, unit in units if unit.machine.up and not unit.dying]

    def spare(self) -> list[str]:
        """Name them, if another is left that can be asked: they can be started again."""
        living = self.living()
        return living if len(living) > 1 else []

    def lost(self) -> list[str]:
        return [unit for unit in self.units() if self.juju.unit(unit).machine.lost]

    def late(self) -> list[str]:
        return [unit for unit in self.units() if not self.juju.unit(unit).machine.provisioned]

    def leavers(self) -> list[str]:
        units = self.living() if len(self.units()) > 1 else []
        return [unit for unit in units if self._is_removable(unit)]

    def removable_lost(self) -> list[str]:
        return [unit for unit in self.lost() if self._is_removable(unit)]

    def emptiable(self) -> list[str]:
        """Name the applications of which all units can leave at once.

        With a member down nobody could, and all would take their votes with them.
        """
        clusters = self.cloud.fake.clusters
        if self.lost() or self.hidden() or any(c.unreachable() or c.ghosts for c in clusters):
            return []
        return self.cloud.consumers()

    def leading_distributor(self) -> list[str]:
        leader = self.juju.leader(clouds.DISTRIBUTOR)
        return [leader] if leader and self.juju.unit(leader).machine.up else []

    def replaceable_distributor(self) -> list[str]:
        units = [self.juju.unit(unit) for unit in self.distributors()]
        able = sum(unit.machine.up and not unit.dying for unit in units) > 1
        return self.leading_distributor() if able else []

    def led_apps(self) -> list[str]:
        return [app for app in self.juju.apps if len(self.juju.units(app)) > 1]

    def hidden(self) -> list[str]:
        return [app for app in self.cloud.consumers() if not self.cloud.related(app)]

    def unrelated(self) -> list[str]:
        """Name the consumers that have no relation, not even one that is being removed."""
        apps = self.cloud.consumers()
        return [app for app in apps if not self.juju.relation_ids(app, local.ENDPOINT)]

    def suspended(self) -> list[str]:
        relations = {app: self.juju.apps[app].related(local.ENDPOINT) for app in self.offered}
        return [
            app for app in relations if any(r.suspended and not r.dying for r in relations[app])
        ]

    def hideable(self) -> list[str]:
        """Name the consumers that can be hidden without hiding the only cluster."""
        if self.hidden() or not all(self.juju.unit(u).machine.up for u in self.everybody()):
            return []
        apps = self.cloud.consumers()
        return [app for app in apps if len(apps) == 1 or self._visible_members(without=app)]

    def suspendable(self) -> list[str]:
        return [app for app in self.hideable() if app in self.offered]

    def _visible_members(self, *, without: str) -> list[str]:
        """Name the members that the distributor sees, without an application or a unit."""
        return [
            unit
            for unit in self.members()
            if not self.juju.unit(unit).dying
            and self.cloud.related(unit.split("/")[0])
            and without not in (unit, unit.split("/")[0])
        ]

    def _is_removable(self, unit: str) -> bool:
        """Tell whether the cluster is kept, and kept in sight, without a unit's machine."""
        cluster = self.cloud.cluster_of(unit)
        if cluster is None:
            return True
        if self.hidden() and not self._visible_members(without=unit):
            return False
        gone = self.cloud.dying() | {self.cloud.member_name(unit)}
        voters = [m for m in cluster.members.values() if m.raft == "voter"]
        staying = sum(m.machine.member is m and m.name not in gone for m in voters)
        return not voters or 2 * staying > len(voters)

    # What is done

    def force(self, unit: str, *, unreadable: bool = False, replaced: bool = False) -> None:
        if unreadable:
            self.juju.unreadable.add(unit)
        name = self.cloud.member_name(unit)
        self.juju.remove_unit(unit, force=True)
        if replaced:
            self.juju.add_unit(unit.split("/")[0], hostname=name)

    def empty(self, app: str) -> None:
        for unit in self.juju.units(app):
            self.juju.remove_unit(unit)

    def drop_packets(self, unit: str, *, drops: bool = True) -> None:
        self.cloud.machine(unit).drops_packets = drops

    def silence(self, unit: str) -> None:
        self.juju.kill_machine(unit)
        self.drop_packets(unit)

    def start(self, unit: str, *, slowly: bool = False) -> None:
        self.drop_packets(unit, drops=False)
        self.juju.start_machine(unit)
        if slowly:
            self.cloud.machine(unit).restart(opening=3)

    def rename(self, unit: str) -> None:
        self.renamed += 1
        self.cloud.machine(unit).rename(f"renamed-{self.renamed}")

    def integrate(self, app: str) -> None:
        if app in self.offered:
            self.juju.consume(app, clouds.DISTRIBUTOR, alias=f"offer-{app}")
        else:
            self.juju.integrate(app, clouds.DISTRIBUTOR)

    def deploy(self, units: int, *, offered: bool = False) -> str | None:
        if self.deployed > 1 or self.hidden():
            return None
        app = ("first", "second")[self.deployed]
        self.deployed += 1
        self.offered += [app] if offered else []
        units = max(1, min(units, _MOST_UNITS - len(self.units())))
        self.cloud.deploy(clouds.CHARMS[self.cloud.consumer], app, units=units)
        self.integrate(app)
        return f"{app}, {units} units"

    def add(self, which: int, *, late: bool = False, named: bool = True) -> str | None:
        apps = self.cloud.consumers()
        if not apps or len(self.units()) >= _MOST_UNITS:
            return None
        unit = self.juju.add_unit(apps[which % len(apps)], provisioned=not late)
        self.juju.unnamed.update(() if named else {unit})
        return unit

    def add_distributor(self, _: int) -> str | None:
        return self.juju.add_unit(clouds.DISTRIBUTOR) if len(self.distributors()) < 3 else None

    def replace_distributors(self, which: int) -> str:
        for unit in self.distributors():
            self.juju.kill_machine(unit)
            self.juju.remove_unit(unit, force=True)
        return ", ".join(self.juju.add_unit(clouds.DISTRIBUTOR) for _ in range(1 + which % 2))

    def refuse_removals(self, _: int) -> int:
        self.cloud.fake.needed_after_removal ^= 3
        return self.cloud.fake.needed_after_removal

    def spoil_joins(self, which: int) -> int:
        self.spoilt_joins = 1 + which
        return self.spoilt_joins

    def pass_time(self, which: int) -> float:
        self.juju.advance(_DURATIONS[which % 4])
        if which > 3:
            self.juju.mark_update_status()
        return _DURATIONS[which % 4]


def _model(act: Callable[[juju_model.Juju, str], object]) -> Act:
    return lambda doing, name: act(doing.juju, name)


def _relations(act: Callable[[juju_model.Juju, int], object]) -> Act:
    def act_on_each(doing: Operations, app: str) -> None:
        for relation in doing.juju.relation_ids(app, local.ENDPOINT):
            act(doing.juju, relation)

    return act_on_each


_Juju, _Ops = juju_model.Juju, Operations

TO_ONE: dict[str, tuple[Options, Act]] = {
    "remove_unit": (_Ops.leavers, _model(_Juju.remove_unit)),
    "remove_lost_unit": (_Ops.removable_lost, _Ops.force),
    "remove_unreadable_unit": (_Ops.removable_lost, lambda do, u: do.force(u, unreadable=True)),
    "replace_lost_unit": (_Ops.removable_lost, lambda do, unit: do.force(unit, replaced=True)),
    "scale_to_zero": (_Ops.emptiable, _Ops.empty),
    "provision": (_Ops.late, _model(_Juju.provision)),
    "remove_late_unit": (_Ops.late, _model(_Juju.remove_unit)),
    "remove_distributor": (_Ops.replaceable_distributor, _model(_Juju.remove_unit)),
    "kill_distributor": (_Ops.leading_distributor, _model(_Juju.kill_machine)),
    "depose": (_Ops.led_apps, _model(_Juju.depose)),
    "remove_relation": (_Ops.hideable, _relations(_Juju.remove_relation)),
    "integrate": (_Ops.unrelated, _Ops.integrate),
    "suspend": (_Ops.suspendable, _relations(_Juju.suspend)),
    "resume": (_Ops.suspended, _relations(_Juju.resume)),
    "kill_machine": (_Ops.spare, _model(_Juju.kill_machine)),
    "silence_machine": (_Ops.spare, _Ops.silence),
    "cut_off": (_Ops.spare, _Ops.drop_packets),
    "reconnect": (_Ops.units, lambda do, unit: do.drop_packets(unit, drops=False)),
    "stop_agent": (_Ops.spare, _model(_Juju.stop_agent)),
    "start_machine": (_Ops.lost, _Ops.start),
    "start_machine_slowly": (_Ops.lost, lambda do, unit: do.start(unit, slowly=True)),
    "restart_daemon": (_Ops.living, lambda do, unit: do.cloud.machine(unit).restart()),
    "restart_agent": (_Ops.everybody, _model(_Juju.restart_agent)),
    "rename_machine": (_Ops.units, _Ops.rename),
    "rename_member": (_Ops.members, _Ops.rename),
}
"""Operations to one of several: to which, and what is done to it."""

OTHERS: dict[str, Callable[[Operations, int], object]] = {
    "wait": lambda _, __: None,
    "deploy": _Ops.deploy,
    "deploy_across_models": lambda do, units: do.deploy(units, offered=True),
    "add_unit": _Ops.add,
    "add_late_unit": lambda do, which: do.add(which, late=True),
    "add_unnamed_unit": lambda do, which: do.add(which, named=False),
    "add_distributor": _Ops.add_distributor,
    "replace_distributors": _Ops.replace_distributors,
    "expire_tokens": lambda do, _: do.cloud.fake.expire_tokens() or "all",
    "revoke_tokens": lambda do, _: do.cloud.fake.revoke_tokens() or "all",
    "refuse_removals": _Ops.refuse_removals,
    "spoil_joins": _Ops.spoil_joins,
    "pass_time": _Ops.pass_time,
}
"""Operations with a number."""

FAULTS = {
    "fail_hook": Fault(error=HookFault),
    "kill_agent": Fault(error=AgentKilled),
    "lose_lease": Fault(deposes=True),
    "fail_command": Fault(fake.fails()),
    "kill_command": Fault(fake.Fault(-9)),
    "hang_command": Fault(fake.Fault(cost=math.inf)),
    "garble_list": Fault(fake.Fault(stdout="{]"), only="list"),
    "lose_goal_state": Fault(error=FileNotFoundError, only="goal-state"),
}
"""What goes wrong after so many moments, 0, 1, 3, 7 and so on."""

NAMES = [*OTHERS, *TO_ONE, *FAULTS]
"""The names of all operations; the first does nothing."""
