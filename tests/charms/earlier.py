"""Peers that speak only the old keys, written from the wire's description.

They stand for charms in the field with the library's patches 1 to 8: no `member`, `failed`,
`hold`, `left`, nor a grant to one unit. What they do badly they do badly here too: they believe
what they stored rather than the workload, and never replace a token.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, cast

import ops

from tests.microclusters import lxd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ENDPOINT = "microcluster-cluster"


def mirrored(bag: Mapping[str, str]) -> dict[str, str]:
    """Return the values that a databag mirrors, by host name or other key."""
    return {key[7:]: value for key, value in bag.items() if key.startswith("mirror-")}


class EarlierDistributorCharm(ops.CharmBase):
    """A distributor that mirrors, names an application for the bootstrap, and no more."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        framework.observe(self.on.leader_elected, self._on_any_event)
        framework.observe(self.on[ENDPOINT].relation_changed, self._on_any_event)
        framework.observe(self.on.start, self._on_start)

    def _on_start(self, _: ops.StartEvent) -> None:
        self.unit.status = ops.ActiveStatus()

    def _on_any_event(self, _: ops.EventBase) -> None:
        relations = sorted(self.model.relations[ENDPOINT], key=lambda relation: relation.id)
        if not self.unit.is_leader():
            for relation in relations:
                if "mirror" in relation.data[self.unit]:
                    relation.data[self.unit]["mirror"] = "down"
            return
        merged: dict[str, str] = {}
        for key, value in self._values(relations):
            if merged.get(key, "empty") == "empty":
                merged[key] = value
        for relation in relations:
            relation.data[self.unit]["mirror"] = "up"
            for key, value in merged.items():
                relation.data[self.unit][f"mirror-{key}"] = value
            relation.data[self.app].setdefault("bootstrap-app", relations[0].app.name)

    def _values(self, relations: Iterable[ops.Relation]) -> Iterator[tuple[str, str]]:
        for relation in relations:
            yield from mirrored(relation.data[self.unit]).items()
            for unit in sorted(relation.units, key=lambda unit: unit.name):
                bag = relation.data[unit]
                if bag.get("mirror") == "up":
                    yield from mirrored(bag).items()
                if bag.get("hostname"):
                    yield bag["hostname"], "empty"


class EarlierConsumerCharm(ops.CharmBase):
    """A microcluster charm that bootstraps as leader, joins, and issues what it sees missing."""

    _stored = ops.StoredState()

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self._memory: Any = self._stored
        self._memory.set_default(in_cluster=False)
        self._hostname = os.uname().nodename
        framework.observe(self.on[ENDPOINT].relation_joined, self._on_relation_joined)
        framework.observe(self.on[ENDPOINT].relation_changed, self._on_relation_changed)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

    def _on_relation_joined(self, event: ops.RelationJoinedEvent) -> None:
        relation = event.relation
        relation.data[self.unit]["hostname"] = self._hostname
        app_bag = relation.data[relation.app]
        if not self._mirrors(relation) or (app_bag and "bootstrap-app" not in app_bag):
            event.defer()
            return
        if self._memory.in_cluster or not self.unit.is_leader() or self._values(relation):
            return
        if app_bag.get("bootstrap-app", self.app.name) != self.app.name:
            return
        if self._call("bootstrap", *self._address(relation)).returncode:
            event.defer()
            return
        self._memory.in_cluster = True
        self._speak(relation)

    def _on_relation_changed(self, event: ops.RelationChangedEvent) -> None:
        relation = event.relation
        token = self._values(relation).get(self._hostname)
        if not self._memory.in_cluster and token:
            if self._call("join", token, *self._address(relation)).returncode:
                event.defer()
                return
            self._memory.in_cluster = True
        if self._memory.in_cluster:
            self._speak(relation)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        if self._memory.in_cluster:
            self._call("remove", self._hostname)

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        waiting = ops.WaitingStatus("not in the cluster")
        event.add_status(ops.ActiveStatus() if self._memory.in_cluster else waiting)

    def _speak(self, relation: ops.Relation) -> None:
        """Issue tokens if this is the first of the online voters."""
        bag = relation.data[self.unit]
        listed = self._call("list", "-f", "json")
        if listed.returncode:
            return
        members = cast("list[dict[str, str]]", json.loads(listed.stdout))
        online = [member for member in members if member["status"] == "ONLINE"]
        # They sit in the hook until nobody is pending; here the hook takes that as done.
        voters = [member["name"] for member in online if member["role"] in ("voter", "PENDING")]
        if not voters or min(voters) != self._hostname:
            if "mirror" in bag:
                bag["mirror"] = "down"
            return
        bag["mirror"] = "up"
        for unit in self._mirrors(relation):
            for name, value in mirrored(relation.data[unit]).items():
                if value == "empty" and f"mirror-{name}" not in bag:
                    added = self._call("add", name)
                    if added.returncode == 0:
                        bag[f"mirror-{name}"] = added.stdout.strip()

    def _mirrors(self, relation: ops.Relation) -> list[ops.Unit]:
        return [unit for unit in relation.units if relation.data[unit].get("mirror") == "up"]

    def _values(self, relation: ops.Relation) -> dict[str, str]:
        """Return all values but `empty` that any unit of the distributor mirrors."""
        bags = [mirrored(relation.data[unit]) for unit in self._mirrors(relation)]
        return {key: value for bag in bags for key, value in bag.items() if value != "empty"}

    def _address(self, relation: ops.Relation) -> list[str]:
        binding = self.model.get_binding(relation)
        address = binding.network.bind_address if binding else None
        return ["--address", str(address)] if address else []

    def _call(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the words are this charm's and the cluster's
            [*lxd.COMMAND, *args], capture_output=True, text=True, timeout=300, check=False
        )
