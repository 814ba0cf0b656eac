"""The baseline: a charm that forms the same cluster over its peer relation, without a distributor.

It is written to be as thrifty as a peer relation lets it be, and thriftier than such charms are:

- The leader bootstraps as soon as it is told that it leads; nobody has to be asked.
- It issues tokens into its application's databag, by the very rule by which the distributor shows
  newcomers: a handful at once, a burst in shares of those that were served before.
- It reads its peers' databags, and asks for the list of members, only in the hooks in which it
  issues; and reads only those of units that it has not served yet.
- A unit that has joined keeps to itself that it has, since that word would wake every peer. So
  used tokens stay in the databag until the leader writes the next ones.
- A unit with nothing to do ends its hook without a single hook tool of its own.

It heals nothing and holds nobody back: what that costs is not charged to it.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, cast

import ops

from charms.microcluster_token_distributor.v0 import token_distributor
from tests import juju_model
from tests.clouds import local

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENDPOINT = "cluster"
"""The peer relation."""

NAME = "peer-cluster"
"""The application."""

_TOKEN = "token-"  # noqa: S105 - the beginning of a key
_SERVED = "served"


class PeerClusterCharm(ops.CharmBase):
    """A unit of a cluster that its leader has formed."""

    _stored = ops.StoredState()

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self._stored.set_default(member=False)
        peers = self.on[ENDPOINT]
        framework.observe(peers.relation_created, self._on_created)
        for event in (self.on.leader_elected, peers.relation_changed, self.on.update_status):
            framework.observe(event, self._on_news)

    def _on_created(self, event: ops.RelationCreatedEvent) -> None:
        event.relation.data[self.unit]["hostname"] = os.uname().nodename

    def _on_news(self, _: ops.EventBase) -> None:
        if self._member:
            if self.unit.is_leader():
                self._issue()
            return
        relation = self._relation()
        if self.unit.is_leader():
            _run("bootstrap")
        elif token := relation.data[self.app].get(_TOKEN + os.uname().nodename):
            _run("join", token)
        else:
            return
        self._member = True
        self.unit.status = ops.ActiveStatus()

    def _issue(self) -> None:
        """Issue tokens for all newcomers seen so far, once they are enough for a write."""
        relation = self._relation()
        bag = relation.data[self.app]
        served = frozenset(bag.get(_SERVED, "").split())
        newcomers = [unit for unit in relation.units if unit.name not in served]
        more = self.app.planned_units() - 1 - len(relation.units)
        if not newcomers or not is_due(len(newcomers), more, len(served)):
            return
        names = _host_names(relation, newcomers)
        if not names:
            return
        written = {_TOKEN + name: "" for name in _members() if _TOKEN + name in bag}
        for name in sorted(names.values()):
            written[_TOKEN + name] = _run("add", name).strip()
        written[_SERVED] = " ".join(sorted(served | set(names)))
        bag.update(written)

    def _relation(self) -> ops.Relation:
        # Juju makes a peer relation with its application.
        return cast("ops.Relation", self.model.get_relation(ENDPOINT))

    @property
    def _member(self) -> bool:
        return bool(cast("Any", self._stored).member)

    @_member.setter
    def _member(self, value: bool) -> None:
        cast("Any", self._stored).member = value


def is_due(newcomers: int, more: int, served: int) -> bool:
    """Tell whether to issue tokens now: the distributor's own rule.

    Args:
        newcomers: how many wait.
        more: how many are still to come.
        served: how many were served before.
    """
    hosts = served + newcomers
    tally = token_distributor.Tally(hosts, unshown=newcomers, cluster=True)
    return tally.is_due(hosts + more, granted=True)


def charm() -> juju_model.Charm:
    """Give the charm as the model deploys it."""
    meta = {"name": NAME, "peers": {ENDPOINT: {"interface": NAME}}}
    return juju_model.Charm(PeerClusterCharm, meta)


def _host_names(relation: ops.Relation, units: Iterable[ops.Unit]) -> dict[str, str]:
    """Give the host names by unit, of those units that have given theirs."""
    names = {unit.name: relation.data[unit].get("hostname", "") for unit in units}
    return {unit: name for unit, name in names.items() if name}


def _members() -> list[str]:
    """Give the names of the cluster's members."""
    rows = cast("list[dict[str, str]]", json.loads(_run("list", "-f", "json")))
    return [row["name"] for row in rows]


def _run(*words: str) -> str:
    """Run a command of the cluster's and give what it printed."""
    line: Sequence[str] = [*local.COMMAND, *words]
    done = subprocess.run(line, capture_output=True, check=True, text=True)  # noqa: S603 - fixed
    return done.stdout
