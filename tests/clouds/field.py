"""The powers of `tests.clouds.protocol.Field`, on the model of Juju with a fake microcluster."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.microclusters import fake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests import juju_model
    from tests.microclusters import protocol as microclusters


class LocalField:
    """Powers over a model's machines, daemons and offers.

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
        self._answers: dict[str, list[tuple[str, fake.Fault]]] = {}
        self._spoilt: set[str] = set()

    @property
    def _fake(self) -> fake.FakeMicrocluster:
        if not isinstance(self.microcluster, fake.FakeMicrocluster):
            raise TypeError("only the fake microcluster has these powers")
        return self.microcluster

    def _machine(self, unit: str) -> fake.FakeMachine:
        machine = self.juju.host(unit)
        if not isinstance(machine, fake.FakeMachine):
            raise TypeError("only the fake microcluster has these powers")
        return machine

    def rename_machine(self, unit: str, hostname: str) -> None:
        """Give a unit's machine another host name."""
        self._machine(unit).rename(hostname)

    def allow_same_names(self) -> None:
        """Let a new machine have the host name of another."""
        self._fake.unique_names = False

    def drop_packets(self, unit: str, *, drops: bool = True) -> None:
        """Let a unit's machine answer nothing, instead of refusing connections."""
        self._machine(unit).drops_packets = drops

    def stop_agent(self, unit: str) -> None:
        """Let the agent of a unit's machine die, and not the machine."""
        self.juju.stop_agent(unit)

    def refresh_daemon(self, unit: str) -> None:
        """Bring a unit's daemon to the next version of its database's schema."""
        self._machine(unit).refresh()

    def answer(
        self, command: str, *, unit: str, errors: Sequence[str], seconds: float = 0.02
    ) -> None:
        """Let a command fail in a unit's next hooks, without any effect."""
        self._answers[unit] = [(command, fake.fails(error, cost=seconds)) for error in errors]
        self._machine(unit).faults = functools.partial(self._go_wrong, unit)

    def spoil_joins(self, unit: str, *, spoils: bool = True) -> None:
        """Let each join of a unit fail, and use up its token."""
        (self._spoilt.add if spoils else self._spoilt.discard)(unit)
        self._machine(unit).faults = functools.partial(self._go_wrong, unit)

    def refuse_removals(self, needed: int) -> None:
        """Let the workload refuse a removal that leaves fewer members than needed."""
        self._fake.needed_after_removal = needed

    def leave_by_hand(self, unit: str) -> None:
        """Remove a unit's machine from the cluster though a member is down."""
        machine = self._machine(unit)
        before, self._fake.degraded_leave = self._fake.degraded_leave, "fast"
        machine.run([*machine.command, "remove", machine.name], timeout=60)
        self._fake.degraded_leave = before

    def add_unprovisioned_unit(self, application: str) -> str:
        """Add a unit whose machine does not come until it is provisioned."""
        return self.juju.add_unit(application, provisioned=False)

    def provision(self, unit: str) -> None:
        """Let the machine of such a unit come."""
        self.juju.provision(unit)

    def consume(self, application: str, offered: str, *, alias: str, url: str = "") -> None:
        """Integrate an application with one that another model offers."""
        self.juju.consume(application, offered, alias=alias, url=url)

    def suspend(self, application: str) -> None:
        """Suspend the relation of an application across models."""
        self.juju.suspend(self._across_models(application))

    def resume(self, application: str) -> None:
        """Resume it."""
        self.juju.resume(self._across_models(application))

    def remove_application_in_part(self, application: str) -> None:
        """Remove an application whose relations linger on the other side."""
        self.juju.remove_application(application, lingers=True)

    def leave_unnamed(self, unit: str) -> None:
        """Keep a unit out of `goal-state`."""
        self.juju.unnamed.add(unit)

    def refuse_bag(self, unit: str) -> None:
        """Let a unit's databags be refused once it has departed."""
        self.juju.unreadable.add(unit)

    def commands(self, unit: str, command: str) -> list[protocol.Ran]:
        """Return the runs of a command on a unit's machine."""
        name = self.juju.host(unit).name
        return [
            protocol.Ran(ran.words, ran.code)
            for ran in self._fake.history
            if ran.machine == name and ran.words[0] == command
        ]

    def failed_hooks(self, unit: str) -> list[str]:
        """Name the hooks of a unit that failed."""
        return [hook.kind for hook in self.juju.errors if hook.unit == unit]

    def log(self, unit: str) -> str:
        """Return what a unit's charm has logged."""
        hooks = (hook for hook in self.juju.trace if hook.unit == unit)
        return "\n".join(message for hook in hooks for _, message in hook.logs)

    def _across_models(self, application: str) -> int:
        relations = self.juju.apps[application].relations.values()
        return next(relation.id for relation in relations if relation.across_models)

    def _go_wrong(
        self, unit: str, _: fake.FakeMachine, moment: fake.Moment, words: tuple[str, ...]
    ) -> fake.Fault | None:
        # What a test asks a machine goes by.
        if moment == "after" or not self.juju.unit(unit).in_hook:
            return None
        if words[0] == "join" and unit in self._spoilt:
            for cluster in self._fake.clusters:
                cluster.tokens.pop(self.juju.host(unit).name, None)
            return fake.fails("Error: the network interface has no such address")
        answers = self._answers.get(unit, [])
        if answers and answers[0][0] == words[0]:
            return answers.pop(0)[1]
        return None
