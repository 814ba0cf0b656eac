"""What the distributor's leader shows, and what it would show if nothing had been put off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.clouds import protocol

if TYPE_CHECKING:
    from tests import juju_model


def read(juju: juju_model.Juju, unit: str) -> tuple[lib.Mirror, lib.Mirror] | None:
    """Read the databags of the distributor, those that its units keep for each other included.

    Args:
        juju: the model of Juju.
        unit: the distributor's unit.

    Returns:
        What the unit shows and what it has heard; None where it is not the one that mirrors.
    """
    relations = [
        relation
        for relation in juju.relation_ids(protocol.DISTRIBUTOR, "microcluster-cluster")
        if relation in juju.unit(unit).relations
    ]
    unit_bags = [juju.bag(unit, relation_id=relation) for relation in relations]
    app_bags = [juju.bag(protocol.DISTRIBUTOR, relation_id=relation) for relation in relations]
    shown = lib.Mirror.from_bags(unit_bags, app_bags)
    if shown.leader != unit or any(bag.get("mirror") != "up" for bag in unit_bags):
        return None
    states = {
        key.removeprefix(lib.HOST_PREFIX): state
        for key, state in memory(juju).items()
        if key.startswith(lib.HOST_PREFIX)
    }
    return shown, lib.recall(shown, states)


def memory(juju: juju_model.Juju) -> dict[str, str]:
    """Return what the distributor's units keep for each other."""
    return juju.bag(protocol.DISTRIBUTOR, "cluster")
