"""What the charms in the field rely on: the names that they use, and a distributor of their time.

How they form whole clusters is told in `tests/model`.
"""

from __future__ import annotations

import dataclasses

import ops
import pytest

from charms.microcluster_token_distributor.v0 import token_distributor
from tests.unit import consumer

TOKEN_0 = consumer.token("node-0")
TOKEN_1 = consumer.token("node-1")


# Beside a distributor that speaks only the earlier keys


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_with_several_mirroring_units_a_value_wins_over_the_word_for_none(
    unit: consumer.Unit, order: tuple[int, int]
) -> None:
    """One of them may be behind, be it the first or the second."""
    behind = {"mirror": "up", "mirror-node-0": "empty", "mirror-node-1": TOKEN_1}
    ahead = {"mirror": "up", "mirror-node-0": TOKEN_0}
    down = {"mirror": "down", "mirror-node-0": consumer.token("node-0", 2)}
    unit.relate(
        dataclasses.replace(
            unit.relation(),
            remote_units_data={0: down, order[0]: behind, order[1]: ahead},
            remote_app_data={"bootstrap-app": "micro"},
        )
    )
    unit.expect("join", TOKEN_0, "--address", "192.0.2.7")

    hook = unit.hook("relation_changed", remote_unit=1)

    assert hook.calls == [consumer.LIST, ("join", TOKEN_0, "--address", "192.0.2.7")]


def test_a_token_from_a_communicator_with_an_earlier_library_is_taken(unit: consumer.Unit) -> None:
    """Nothing of the new keys is needed for it."""
    unit.show({"node-0": TOKEN_0, "node-1": "empty"}, leader="", bootstrap_app="micro")
    unit.expect("join", TOKEN_0, "--address", "192.0.2.7")

    assert unit.hook("relation_changed", remote_unit=0).events == ["prejoin", "joined"]


def test_while_a_member_is_down_no_token_is_issued_beside_an_earlier_distributor(
    unit: consumer.Unit,
) -> None:
    """It shows no hold, so all depends on the communicator."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "empty", "node-1": TOKEN_1, "node-2": "empty"}, leader="")
    unit.lists(consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")))

    assert unit.hook("relation_changed", remote_unit=0).calls == [consumer.LIST]


# The names


def test_a_key_is_made_of_its_prefix_and_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charms build keys of their own by it."""
    consumer.set_hostname(monkeypatch, "node-9")

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


def test_a_charm_with_positional_arguments_works_as_well(unit: consumer.Unit) -> None:
    """In the order of the names."""

    class PositionalCharm(ops.CharmBase):
        seen: tuple[str, ...] = ()
        in_cluster = False

        def __init__(self, framework: ops.Framework):
            super().__init__(framework)
            self.consumer = token_distributor.TokenConsumer(
                self, consumer.ENDPOINT, list(consumer.COMMAND)
            )

    unit.use(PositionalCharm)
    unit.show({"node-0": TOKEN_0})
    unit.expect("join", TOKEN_0)

    assert unit.hook("update_status").calls == [consumer.LIST, ("join", TOKEN_0)]


@pytest.mark.parametrize("leader", ["distributor/0", ""])
def test_a_charm_finds_what_is_mirrored(unit: consumer.Unit, leader: str) -> None:
    """Whichever library the distributor has, and whether or not arguments are named."""

    def ask(library: token_distributor.TokenConsumer, relation: ops.Relation) -> dict[str, object]:
        return {
            "mirrors": [mirror.name for mirror in library.find_mirrors(relation)],
            "any": library.any_data_exists(relation),
            "a value": library.find_value(relation, "central"),
            "none yet": library.find_value(relation, "node-0"),
            "none yet, kept": library.find_value(relation, "node-0", True),
            "none yet, left out": library.find_value(relation, "node-0", keep_empty=False),
            "nobody's": library.find_value(relation, "nobody"),
            "all": library.get_relevant_mirror_data(relation),
            "some": library.get_relevant_mirror_data(relation, False),
            "some, named": library.get_relevant_mirror_data(relation, keep_empty=False),
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


def test_a_charm_finds_nothing_where_nothing_is_mirrored(unit: consumer.Unit) -> None:
    """Neither before the distributor speaks, nor when all that it says is `empty`."""
    before = unit.ask(lambda c, r: (c.find_mirrors(r), c.find_value(r, "x"), c.any_data_exists(r)))
    unit.show({"node-1": "empty"})
    after = unit.ask(lambda c, r: (c.find_value(r, "node-1", False), c.any_data_exists(r)))

    assert before == ([], False, False)
    assert after == (False, False)


@pytest.mark.parametrize(("in_cluster", "mirror"), [(True, "up"), (False, None)])
def test_a_value_that_a_charm_adds_is_mirrored_once_its_unit_is_a_member(
    unit: consumer.Unit, in_cluster: bool, mirror: str | None
) -> None:
    """Added at once in any case."""
    unit.remember(in_cluster=in_cluster)
    unit.show({"node-0": "joined", "another": "joined"})

    unit.ask(lambda c, r: c.add_to_mirror(r, {"central": "192.0.2.1", "port": "6642"}))
    added = dict(unit.relation().local_unit_data)
    unit.lists(consumer.members("another", "node-0"))
    bag = unit.hook("update_status").bag

    assert added.get("mirror") == mirror
    assert {"mirror-central": "192.0.2.1", "mirror-port": "6642"}.items() <= added.items()
    assert bag == {**added, "hostname": "node-0", "member": "true", "mirror": "up"}


def test_a_value_that_a_charm_adds_takes_the_place_of_the_last(unit: consumer.Unit) -> None:
    """And an empty one takes it away."""
    unit.remember(in_cluster=True)
    unit.write({"mirror-central": "192.0.2.1", "mirror-port": "6642"})
    unit.show({"node-0": "joined"})

    unit.ask(lambda c, r: c.add_to_mirror(r, {"central": "192.0.2.2", "port": ""}))

    assert unit.relation().local_unit_data == {"mirror-central": "192.0.2.2", "mirror": "up"}
