"""A charm written for the earlier library forms clusters beside a distributor of its time.

The distributor here is a double, written from the description of the wire before `member`,
`failed`, `hold`, `left`, `leader` and `bootstrap-unit`.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from typing import TYPE_CHECKING, Any, cast

import ops
import pytest

from charms.microcluster_token_distributor.v0 import token_distributor
from tests.charms import earlier
from tests.microclusters import fake
from tests.unit import consumer, runner

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping, Sequence


class EarlierCharm(ops.CharmBase):
    """A charm as it was written for patch 8: it uses all that the library offered then."""

    command: Sequence[str] = consumer.COMMAND

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.seen: list[str] = []
        self.token_consumer = token_distributor.TokenConsumer(
            charm=self, relation_name=consumer.ENDPOINT, command_name=list(self.command)
        )
        self.token_consumer.join_args_func = list
        self.token_consumer.bootstrap_args_func = list
        on = self.token_consumer.on
        self.framework.observe(on.prebootstrap, self._on_event)
        self.framework.observe(on.bootstrapped, self._on_bootstrapped)
        self.framework.observe(on.prejoin, self._on_event)
        self.framework.observe(on.joined, self._on_joined)
        self.framework.observe(on.token_generated, self._on_event)
        self.framework.observe(self.on.update_status, self._on_update_status)

    @property
    def in_cluster(self) -> bool:
        """What the library keeps of the membership."""
        stored = self.token_consumer._stored  # pyright: ignore[reportPrivateUsage]
        return cast("Any", stored).in_cluster

    def _on_event(self, event: ops.EventBase) -> None:
        self.seen.append(event.handle.kind)

    def _on_bootstrapped(self, event: ops.EventBase) -> None:
        self.seen.append(f"{event.handle.kind} {self.in_cluster}")

    def _on_joined(self, event: Any) -> None:
        self.seen.append(f"{event.handle.kind} {event.bootstrapper} {self.in_cluster}")

    def _on_update_status(self, _: ops.EventBase) -> None:
        library = self.token_consumer
        relation = self.model.get_relation(consumer.ENDPOINT)
        if relation is None or not library.find_mirrors(relation) or not self.in_cluster:
            return
        if not library.find_value(relation, "central", False):
            library.add_to_mirror(relation, {"central": token_distributor.get_hostname()})


class EarlierDistributor:
    """A distributor that knows the keys `mirror`, `mirror-*` and `bootstrap-app`, and no others.

    Attributes:
        values: what its leader shows, by host name or other key.
    """

    def __init__(self, bootstrap_app: str = "micro"):
        self.values: dict[str, str] = {}
        self.app_bag = {"bootstrap-app": bootstrap_app} if bootstrap_app else {}

    def mirror(self, bags: Iterable[Mapping[str, str]]) -> None:
        """Show what is new in the databags of the consumers' units."""
        for bag in bags:
            if bag.get("hostname"):
                self.values.setdefault(bag["hostname"], "empty")
            if bag.get("mirror") != "up":
                continue
            for name, value in earlier.mirrored(bag).items():
                if self.values.get(name, "empty") == "empty":
                    self.values[name] = value

    def unit_bag(self) -> dict[str, str]:
        """Return its leader's databag."""
        return {"mirror": "up", **{f"mirror-{key}": v for key, v in self.values.items()}}


class Model:
    """Units of one charm on machines of a microcluster, beside a distributor."""

    def __init__(self, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch, count: int):
        self._monkeypatch = monkeypatch
        self.cluster = fake.FakeMicrocluster(command=consumer.COMMAND)
        self.units: list[consumer.Unit] = []
        self.machines: list[fake.FakeMachine] = []
        self.hooks: list[list[consumer.Hook]] = []
        for number in range(count):
            folder = root / str(number)
            folder.mkdir()
            unit = consumer.Unit(folder, runner.FakeRunner(), number=number, charm=EarlierCharm)
            unit.leads = number == 0
            self.units.append(unit)
            self.machines.append(self.cluster.add_machine(unit.hostname))
            self.hooks.append([])

    def hook(self, number: int, kind: str, **about: Any) -> consumer.Hook:
        """Run a hook of one unit on its machine."""
        machine = self.machines[number]

        def run(argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
            done = machine.run(argv, timeout=kwargs["timeout"])
            if done.stdout and argv[len(consumer.COMMAND)] == "add":
                consumer.watch(done.stdout.strip())
                os.write(kwargs["stdout"], done.stdout.encode())
            return done

        self._monkeypatch.setattr(subprocess, "run", run)
        consumer.set_hostname(self._monkeypatch, machine.name)
        hook = self.units[number].hook(kind, **about)
        self.hooks[number].append(hook)
        return hook

    def show(self, distributor: EarlierDistributor) -> None:
        """Let the distributor read all databags, and all units see what it shows then."""
        distributor.mirror(unit.relation().local_unit_data for unit in self.units)
        for unit in self.units:
            unit.relate(
                dataclasses.replace(
                    unit.relation(),
                    remote_units_data={0: distributor.unit_bag()},
                    remote_app_data=distributor.app_bag,
                )
            )

    def settle(self, distributor: EarlierDistributor, rounds: int = 8) -> None:
        """Run relation-changed of all units for some rounds, with a heartbeat between them."""
        for _ in range(rounds):
            self.show(distributor)
            for number in range(len(self.units)):
                self.hook(number, "relation_changed", remote_unit=0)
            self.cluster.beat()

    def events(self, number: int) -> list[str]:
        """Return the library's events that a unit's charm saw so far."""
        return [event for hook in self.hooks[number] for event in hook.events]


@pytest.fixture
def model(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Three units, none of which has had its relation-changed yet."""
    model = Model(tmp_path, monkeypatch, 3)
    for number in range(3):
        model.hook(number, "relation_created")
    return model


@pytest.mark.parametrize("bootstrap_app", ["micro", ""])
def test_an_earlier_charm_forms_one_cluster_beside_an_earlier_distributor(
    model: Model, bootstrap_app: str
) -> None:
    """With and without the key that patches before the eighth did not have."""
    model.settle(EarlierDistributor(bootstrap_app))

    assert [len(cluster.members) for cluster in model.cluster.clusters] == [3]
    assert model.cluster.online_members() == ["node-0", "node-1", "node-2"]
    assert model.events(0) == [
        "prebootstrap",
        "bootstrapped True",
        "joined True True",
        "token_generated",
        "token_generated",
    ]
    assert model.events(1) == model.events(2) == ["prejoin", "joined False True"]
    assert all(hooks[-1].in_cluster for hooks in model.hooks)


def test_once_all_have_joined_no_databag_holds_a_token(model: Model) -> None:
    """The earlier distributor keeps those that it shows; the consumers need not."""
    model.settle(EarlierDistributor())

    bags = [unit.relation().local_unit_data for unit in model.units]

    assert [set(bag) for bag in bags] == [
        {"hostname", "member", "mirror"},
        {"hostname", "member"},
        {"hostname", "member"},
    ]
    assert [unit.token_files() for unit in model.units] == [{}, {}, {}]


def test_a_charms_own_values_reach_all_units_by_an_earlier_distributor(model: Model) -> None:
    """In a round or two."""
    distributor = EarlierDistributor()
    model.settle(distributor)
    model.hook(0, "update_status")
    model.settle(distributor, rounds=2)

    found = [
        unit.ask(lambda c, relation: c.find_value(relation, "central")) for unit in model.units
    ]

    assert found == ["node-0"] * 3


def test_a_unit_of_the_wrong_application_bootstraps_nothing(model: Model) -> None:
    """The earlier distributor names the one application that may."""
    model.settle(EarlierDistributor("other"))

    assert model.cluster.clusters == []
    assert all(model.events(number) == [] for number in range(3))


def test_a_unit_that_left_the_cluster_and_is_still_there_forms_no_second_one(model: Model) -> None:
    """Its earlier token is shown still; only a new one would do, and that never comes."""
    model.settle(EarlierDistributor())
    model.hook(2, "remove")
    model.cluster.beat()

    model.hook(2, "update_status")
    model.hook(2, "update_status")

    assert model.cluster.online_members() == ["node-0", "node-1"]
    assert len(model.cluster.clusters) == 1
    assert model.hooks[2][-1].bag["member"] == "false"
