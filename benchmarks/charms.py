"""The ways to form a cluster that are compared: this project, the field's own, a peer relation.

Nothing of the field's is kept here. The checkout that the command line names has the library of
patch 8 in `lib/` and the distributor in `src/charm.py`; its consumer is written here.
"""

from __future__ import annotations

import enum
import functools
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import ops

from tests import juju_model
from tests.clouds import local, protocol

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

_PEERS = "cluster"
_TOKEN = "token-"  # noqa: S105 - the beginning of a key


class Contender(enum.Enum):
    """A way to form a cluster."""

    OURS = "this project"
    FIELD = "the field's patch 8"
    PEERS = "a peer relation"


def deploy(
    juju: juju_model.Juju,
    contender: Contender,
    units: int,
    machine: Callable[[str], juju_model.Machine],
    checkout: pathlib.Path | None,
) -> None:
    """Deploy the consumer's units, and the distributor if there is one, and integrate them.

    `machine` makes a consumer's machine, given its host name; `Contender.FIELD` needs a checkout.
    """
    consumer, distributor = local.charm(protocol.CONSUMER), local.charm(protocol.DISTRIBUTOR)
    if contender is Contender.PEERS:
        meta = {"name": "peer-cluster", "peers": {_PEERS: {"interface": "peer-cluster"}}}
        consumer = juju_model.Charm(PeerClusterCharm, meta)
    elif contender is Contender.FIELD:
        consumer, distributor = field(cast("pathlib.Path", checkout))
    juju.deploy(consumer, protocol.CONSUMER, units=units, host_factory=machine)
    if contender is not Contender.PEERS:
        juju.deploy(distributor, protocol.DISTRIBUTOR)
        juju.integrate(protocol.CONSUMER, protocol.DISTRIBUTOR)


@functools.cache
def field(checkout: pathlib.Path) -> tuple[juju_model.Charm, juju_model.Charm]:
    """Load the field's consumer and distributor."""
    distributor = juju_model.Charm.load(checkout)
    # It has imported the library that lies beside it.
    library: Any = sys.modules["charms.microcluster_token_distributor.v0.token_distributor"]
    ours = local.charm(protocol.CONSUMER)
    base: Any = ours.charm_type

    class FieldConsumerCharm(base):
        """Does with the field's library what its base does with ours."""

        def __init__(self, framework: ops.Framework) -> None:
            ops.CharmBase.__init__(cast("ops.CharmBase", self), framework)
            self.cluster = library.TokenConsumer(
                charm=self, relation_name=local.ENDPOINT, command_name=local.COMMAND
            )
            self.cluster.bootstrap_args_func = self._address
            self.cluster.join_args_func = self._address
            framework.observe(self.cluster.on.joined, self._on_joined)

    consumer = juju_model.Charm(cast("type[ops.CharmBase]", FieldConsumerCharm), ours.meta)
    return consumer, distributor


class PeerClusterCharm(ops.CharmBase):
    """Forms the same cluster over its peer relation, without a distributor.

    It is as thrifty as a peer relation allows: the leader bootstraps at once and issues tokens
    into its application's databag, for newcomers in batches; no unit reports that it has joined;
    and it handles no failure.
    """

    _stored = ops.StoredState()

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        cast("Any", self._stored).set_default(member=False)
        peers = self.on[_PEERS]
        framework.observe(peers.relation_created, self._on_created)
        for event in (self.on.leader_elected, peers.relation_changed):
            framework.observe(event, self._reconcile)

    def _on_created(self, event: ops.RelationCreatedEvent) -> None:
        event.relation.data[self.unit]["hostname"] = os.uname().nodename

    def _reconcile(self, _: ops.EventBase) -> None:
        stored = cast("Any", self._stored)
        # Juju makes a peer relation with its application.
        peers = cast("ops.Relation", self.model.get_relation(_PEERS))
        bag = peers.data[self.app]
        if stored.member:
            if self.unit.is_leader():
                self._issue(peers, bag)
        elif self.unit.is_leader():
            _run("bootstrap")
            stored.member = True
        elif token := bag.get(_TOKEN + os.uname().nodename):
            _run("join", token)
            stored.member = True

    def _issue(self, peers: ops.Relation, bag: ops.RelationDataContent) -> None:
        """Issue tokens once all newcomers are there, or half as many as were served before."""
        served = sum(key.startswith(_TOKEN) for key in bag)
        missing = self.app.planned_units() - 1 - len(peers.units)
        waiting = len(peers.units) - served
        if not waiting or (missing > 0 and 2 * waiting < served):
            return
        names = {peers.data[unit].get("hostname") for unit in peers.units}
        for name in sorted(name for name in names if name and _TOKEN + name not in bag):
            bag[_TOKEN + name] = _run("add", name).strip()


def _run(*words: str) -> str:
    command = [*local.COMMAND, *words]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout  # noqa: S603 - fixed
