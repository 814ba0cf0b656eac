"""The names that charms in the field import, from the package and from the file they vendor."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import ops
import pytest
from ops import testing

import microcluster_token_distributor
from charms.microcluster_token_distributor.v0 import token_distributor
from tests.unit import consumer

if TYPE_CHECKING:
    from tests.unit import runner

both = pytest.mark.parametrize("lib", [microcluster_token_distributor, token_distributor])
NAMES = {
    *("ClusterBootstrappedEvent", "ClusterJoinedEvent", "ClusterPreBootstrapEvent"),
    *("ClusterPreJoinEvent", "TokenConsumer", "TokenConsumerEvents", "TokenGeneratedEvent"),
    *("get_hostname", "mirror_id"),
}
METHODS = {
    "add_to_mirror": ["relation", "data"],
    "find_mirrors": ["relation"],
    "find_value": ["relation", "key", "keep_empty"],
    "get_relevant_mirror_data": ["relation", "keep_empty"],
    "any_data_exists": ["relation"],
}


@both
def test_names_that_charms_use_are_there(unit: consumer.Unit, lib: Any) -> None:
    unit.rename("node-9")

    arguments = list(inspect.signature(lib.TokenConsumer).parameters)
    assert arguments[:3] == ["charm", "relation_name", "command_name"]
    for name, parameters in METHODS.items():
        method = getattr(lib.TokenConsumer, name)
        assert list(inspect.signature(method).parameters)[1:] == parameters
    events = {"prebootstrap", "bootstrapped", "prejoin", "joined", "token_generated"}
    assert set(lib.TokenConsumer.on.events()) == {*events, "preleave"}
    assert lib.mirror_id("node-1") == "mirror-node-1"
    assert lib.get_hostname() == "node-9"
    assert set(lib.__all__) <= set(dir(lib))
    assert set(lib.__all__) >= NAMES


def test_single_file_has_its_identity() -> None:
    assert token_distributor.LIBID == "ec674038842544928b4e21ee6e199666"
    assert (token_distributor.LIBAPI, token_distributor.LIBPATCH) == (0, 9)
    assert token_distributor.__all__ == microcluster_token_distributor.__all__


@both
@pytest.mark.parametrize("snapshot", [{}, {"bootstrapper": False}, {"bootstrapper": None}, None])
def test_joined_is_restored_from_what_was_kept(lib: Any, snapshot: Any) -> None:
    """Whatever an earlier library or an earlier `ops` kept."""
    event = lib.ClusterJoinedEvent(ops.Handle(None, "joined", "1"), bootstrapper=True)

    event.restore(snapshot)

    assert event.bootstrapper is False


@both
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

    rows = consumer.members("node-0")
    commands.expect("microovn", "cluster", *consumer.LIST, answers=[consumer.NO, rows])
    commands.expect("microovn", "cluster", "bootstrap", "--first")
    unit.grant()
    context = testing.Context(FieldCharm, meta=consumer.META, charm_root=unit.root)

    state = context.run(context.on.update_status(), unit.state)

    assert state.get_relation(1).local_unit_data["member"] == "true"  # pyright: ignore
