"""What charms in the field use, from the package and from the file they vendor."""

from __future__ import annotations

from typing import Any

import ops
import pytest
from ops import testing

import microcluster_token_distributor as package
from charms.microcluster_token_distributor.v0 import token_distributor
from tests.unit import consumer, runner

NAMES = {
    *("ClusterBootstrappedEvent", "ClusterJoinedEvent", "ClusterPreBootstrapEvent"),
    *("ClusterPreJoinEvent", "TokenConsumer", "TokenConsumerEvents", "TokenGeneratedEvent"),
    *("get_hostname", "mirror_id"),
}


def test_names_that_charms_use_are_there() -> None:
    assert set(dir(package)) >= set(package.__all__) >= NAMES
    events = {"prebootstrap", "bootstrapped", "prejoin", "joined", "token_generated"}
    assert set(package.TokenConsumer.on.events()) == {*events, "preleave"}
    assert package.mirror_id("node-1") == "mirror-node-1"


def test_single_file_has_its_identity() -> None:
    assert token_distributor.LIBID == "ec674038842544928b4e21ee6e199666"
    assert (token_distributor.LIBAPI, token_distributor.LIBPATCH) == (0, 9)
    assert token_distributor.__all__ == package.__all__


@pytest.mark.parametrize("snapshot", [{"bootstrapper": True}, {"bootstrapper": False}, {}, None])
def test_joined_is_restored_from_what_was_kept(snapshot: Any) -> None:
    """Whatever an earlier library or an earlier `ops` kept."""
    event = package.ClusterJoinedEvent(ops.Handle(None, "joined", "1"), bootstrapper=True)

    event.restore(snapshot)

    assert event.snapshot() == {"bootstrapper": snapshot == {"bootstrapper": True}}


@pytest.mark.parametrize("lib", [package, token_distributor])
def test_charm_of_the_field_bootstraps(
    commands: runner.FakeRunner, unit: consumer.Unit, lib: Any
) -> None:
    """With the arguments and attributes that it sets, and the memory that it asks."""

    class FieldCharm(ops.CharmBase):
        def __init__(self, framework: ops.Framework):
            super().__init__(framework)
            self.tokens = lib.TokenConsumer(
                charm=self, relation_name="cluster", command_name=["microovn", "cluster"]
            )
            self.tokens.bootstrap_args_func = lambda: ["--first"]
            framework.observe(self.tokens.on.joined, self._on_joined)

        def _on_joined(self, event: Any) -> None:
            assert event.bootstrapper
            assert self.tokens._stored.in_cluster is True
            relation = self.model.get_relation("cluster")
            self.tokens.add_to_mirror(relation, {"central": "192.0.2.1", "port": ""})

    rows = consumer.members("node-0")
    commands.expect("microovn", "cluster", *consumer.LIST, answers=[consumer.NO, rows])
    commands.expect("microovn", "cluster", "bootstrap", "--first")
    unit.grant()
    unit.change(local_unit_data={"mirror-port": "6642"})
    context = testing.Context(FieldCharm, meta=consumer.META, charm_root=unit.root)

    state = context.run(context.on.update_status(), unit.state)

    mirrored = {"mirror": "up", "mirror-central": "192.0.2.1"}
    [relation] = state.relations
    assert relation.local_unit_data == {**consumer.MEMBER, **mirrored, "generation": "1"}


@pytest.mark.parametrize("leader", ["0", ""])
def test_charm_finds_what_is_mirrored(unit: consumer.Unit, leader: str) -> None:
    """Whichever keys the distributor speaks."""
    unit.publish({"central": "192.0.2.1", "node-0": "empty"}, leader=leader)
    context = testing.Context(consumer.Charm, meta=consumer.META, charm_root=unit.root)

    with context(context.on.install(), unit.state) as manager:
        library = manager.charm.cluster
        [relation] = manager.charm.model.relations["cluster"]

        assert [mirror.name for mirror in library.find_mirrors(relation)] == ["distributor/0"]
        assert library.any_data_exists(relation)
        assert library.find_value(relation, "central") == "192.0.2.1"
        assert library.find_value(relation, "node-0") == "empty"
        assert library.find_value(relation, "node-0", keep_empty=False) is False
        mirrored = library.get_relevant_mirror_data(relation)
        assert mirrored == {"central": "192.0.2.1", "node-0": "empty"}
