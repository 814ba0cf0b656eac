"""What the charms in the field rely on: the names that they use, and a distributor of their time.

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
from tests.microclusters import fake
from tests.unit import charms, runner

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping, Sequence

no_token_leaks = charms.no_token_leaks
unit = charms.unit

TOKEN_0 = charms.token("node-0")
TOKEN_1 = charms.token("node-1")


class EarlierCharm(ops.CharmBase):
    """A charm as it was written for patch 8: it uses all that the library offered then."""

    command: Sequence[str] = charms.COMMAND

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.seen: list[str] = []
        self.token_consumer = token_distributor.TokenConsumer(
            charm=self, relation_name=charms.ENDPOINT, command_name=list(self.command)
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
        consumer = self.token_consumer
        relation = self.model.get_relation(charms.ENDPOINT)
        if relation is None or not consumer.find_mirrors(relation) or not self.in_cluster:
            return
        if not consumer.find_value(relation, "central", False):
            consumer.add_to_mirror(relation, {"central": token_distributor.get_hostname()})


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
            for key, value in bag.items():
                name = key.partition("mirror-")[2]
                if name and self.values.get(name, "empty") == "empty":
                    self.values[name] = value

    def unit_bag(self) -> dict[str, str]:
        """Return its leader's databag."""
        return {"mirror": "up", **{f"mirror-{key}": v for key, v in self.values.items()}}


class Model:
    """Units of one charm on machines of a microcluster, beside a distributor."""

    def __init__(self, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch, count: int):
        self._monkeypatch = monkeypatch
        self.cluster = fake.FakeMicrocluster(command=charms.COMMAND)
        self.units: list[charms.Unit] = []
        self.machines: list[fake.FakeMachine] = []
        self.hooks: list[list[charms.Hook]] = []
        for number in range(count):
            folder = root / str(number)
            folder.mkdir()
            unit = charms.Unit(folder, runner.FakeRunner(), number=number, charm=EarlierCharm)
            unit.leads = number == 0
            self.units.append(unit)
            self.machines.append(self.cluster.add_machine(unit.hostname))
            self.hooks.append([])

    def hook(self, number: int, kind: str, **about: Any) -> charms.Hook:
        """Run a hook of one unit on its machine."""
        machine = self.machines[number]

        def run(argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
            done = machine.run(argv, timeout=kwargs["timeout"])
            if done.stdout and argv[len(charms.COMMAND)] == "add":
                charms.watch(done.stdout.strip())
                os.write(kwargs["stdout"], done.stdout.encode())
            return done

        self._monkeypatch.setattr(subprocess, "run", run)
        charms.set_hostname(self._monkeypatch, machine.name)
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


# Beside a distributor that speaks only the earlier keys


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


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_with_several_mirroring_units_a_value_wins_over_the_word_for_none(
    unit: charms.Unit, order: tuple[int, int]
) -> None:
    """One of them may be behind, be it the first or the second."""
    behind = {"mirror": "up", "mirror-node-0": "empty", "mirror-node-1": TOKEN_1}
    ahead = {"mirror": "up", "mirror-node-0": TOKEN_0}
    down = {"mirror": "down", "mirror-node-0": charms.token("node-0", 2)}
    unit.relate(
        dataclasses.replace(
            unit.relation(),
            remote_units_data={0: down, order[0]: behind, order[1]: ahead},
            remote_app_data={"bootstrap-app": "micro"},
        )
    )
    unit.expect("join", TOKEN_0, "--address", "192.0.2.7")

    hook = unit.hook("relation_changed", remote_unit=1)

    assert hook.calls == [charms.LIST, ("join", TOKEN_0, "--address", "192.0.2.7")]


def test_a_token_from_a_communicator_with_an_earlier_library_is_taken(unit: charms.Unit) -> None:
    """Nothing of the new keys is needed for it."""
    unit.show({"node-0": TOKEN_0, "node-1": "empty"}, leader="", bootstrap_app="micro")
    unit.expect("join", TOKEN_0, "--address", "192.0.2.7")

    assert unit.hook("relation_changed", remote_unit=0).events == ["prejoin", "joined"]


def test_while_a_member_is_down_no_token_is_issued_beside_an_earlier_distributor(
    unit: charms.Unit,
) -> None:
    """It shows no hold, so all depends on the communicator."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "empty", "node-1": TOKEN_1, "node-2": "empty"}, leader="")
    unit.lists(charms.members("node-0", ("node-1", "voter", "UNREACHABLE")))

    assert unit.hook("relation_changed", remote_unit=0).calls == [charms.LIST]


# The names


def test_a_key_is_made_of_its_prefix_and_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charms build keys of their own by it."""
    charms.set_hostname(monkeypatch, "node-9")

    assert token_distributor.mirror_id("node-1") == "mirror-node-1"
    assert token_distributor.get_hostname() == "node-9"


def test_all_parts_of_the_library_that_charms_import_are_there() -> None:
    """By the names under which charms know them."""
    assert token_distributor.LIBID == "ec674038842544928b4e21ee6e199666"
    assert token_distributor.LIBAPI == 0
    assert token_distributor.LIBPATCH >= 9
    assert issubclass(token_distributor.TokenConsumer, ops.Object)
    assert issubclass(token_distributor.TokenDistributorProvides, ops.Object)
    assert set(token_distributor.TokenConsumer.on.events()) >= {
        "prebootstrap",
        "bootstrapped",
        "prejoin",
        "joined",
        "token_generated",
    }


def test_a_charm_with_positional_arguments_works_as_well(unit: charms.Unit) -> None:
    """In the order of the names."""

    class PositionalCharm(ops.CharmBase):
        seen: tuple[str, ...] = ()
        in_cluster = False

        def __init__(self, framework: ops.Framework):
            super().__init__(framework)
            self.consumer = token_distributor.TokenConsumer(
                self, charms.ENDPOINT, list(charms.COMMAND)
            )

    unit.use(PositionalCharm)
    unit.show({"node-0": TOKEN_0})
    unit.expect("join", TOKEN_0)

    assert unit.hook("update_status").calls == [charms.LIST, ("join", TOKEN_0)]


@pytest.mark.parametrize("leader", ["distributor/0", ""])
def test_a_charm_finds_what_is_mirrored(unit: charms.Unit, leader: str) -> None:
    """Whichever library the distributor has, and whether or not arguments are named."""

    def ask(
        consumer: token_distributor.TokenConsumer, relation: ops.Relation
    ) -> dict[str, object]:
        return {
            "mirrors": [mirror.name for mirror in consumer.find_mirrors(relation)],
            "any": consumer.any_data_exists(relation),
            "a value": consumer.find_value(relation, "central"),
            "none yet": consumer.find_value(relation, "node-0"),
            "none yet, kept": consumer.find_value(relation, "node-0", True),
            "none yet, left out": consumer.find_value(relation, "node-0", keep_empty=False),
            "nobody's": consumer.find_value(relation, "nobody"),
            "all": consumer.get_relevant_mirror_data(relation),
            "some": consumer.get_relevant_mirror_data(relation, False),
            "some, named": consumer.get_relevant_mirror_data(relation, keep_empty=False),
        }

    unit.show({"central": "192.0.2.1"}, leader=leader)

    assert unit.ask(ask) == {
        "mirrors": ["distributor/0"],
        "any": True,
        "a value": "192.0.2.1",
        "none yet": "empty",
        "none yet, kept": "empty",
        "none yet, left out": False,
        "nobody's": False,
        "all": {"node-0": "empty", "central": "192.0.2.1"},
        "some": {"central": "192.0.2.1"},
        "some, named": {"central": "192.0.2.1"},
    }


def test_a_charm_finds_nothing_where_nothing_is_mirrored(unit: charms.Unit) -> None:
    """Neither before the distributor speaks, nor when all that it says is `empty`."""
    before = unit.ask(lambda c, r: (c.find_mirrors(r), c.find_value(r, "x"), c.any_data_exists(r)))
    unit.show({"node-1": "empty"})
    after = unit.ask(lambda c, r: (c.find_value(r, "node-1", False), c.any_data_exists(r)))

    assert before == ([], False, False)
    assert after == (False, False)


@pytest.mark.parametrize(("in_cluster", "mirror"), [(True, "up"), (False, None)])
def test_a_value_that_a_charm_adds_is_mirrored_once_its_unit_is_a_member(
    unit: charms.Unit, in_cluster: bool, mirror: str | None
) -> None:
    """Added at once in any case."""
    unit.remember(in_cluster=in_cluster)
    unit.show({"node-0": "joined", "another": "joined"})

    unit.ask(lambda c, r: c.add_to_mirror(r, {"central": "192.0.2.1", "port": "6642"}))
    added = dict(unit.relation().local_unit_data)
    unit.lists(charms.members("another", "node-0"))
    bag = unit.hook("update_status").bag

    assert added.get("mirror") == mirror
    assert {"mirror-central": "192.0.2.1", "mirror-port": "6642"}.items() <= added.items()
    assert bag == {**added, "hostname": "node-0", "member": "true", "mirror": "up"}


def test_a_value_that_a_charm_adds_takes_the_place_of_the_last(unit: charms.Unit) -> None:
    """And an empty one takes it away."""
    unit.remember(in_cluster=True)
    unit.write({"mirror-central": "192.0.2.1", "mirror-port": "6642"})
    unit.show({"node-0": "joined"})

    unit.ask(lambda c, r: c.add_to_mirror(r, {"central": "192.0.2.2", "port": ""}))

    assert unit.relation().local_unit_data == {"mirror-central": "192.0.2.2", "mirror": "up"}
