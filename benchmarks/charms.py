"""The ways to form a cluster that are compared: this project, the field's own, a peer relation.

Nothing of the field's is kept here. The checkout that the command line names has the library of
patch 8 in `lib/` and the distributor in `src/charm.py`; its consumer is written here.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import importlib.util
import os
import subprocess
import sys
import unittest.mock
from typing import TYPE_CHECKING, Any, cast

import ops

from tests import juju_model
from tests.clouds import local, protocol

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR

_LIBRARY = "charms.microcluster_token_distributor.v0.token_distributor"
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
    checkout: pathlib.Path | None = None,
) -> None:
    """Deploy the consumer's units, and the distributor if there is one, and integrate them.

    `machine` makes a consumer's machine, given its host name; `Contender.FIELD` needs a checkout.
    """
    if contender is Contender.PEERS:
        meta = {"name": "peer-cluster", "peers": {_PEERS: {"interface": "peer-cluster"}}}
        charm = juju_model.Charm(PeerClusterCharm, meta)
        juju.deploy(charm, CONSUMER, units=units, host_factory=machine)
        return
    consumer, distributor = local.charm(CONSUMER), local.charm(DISTRIBUTOR)
    if contender is Contender.FIELD:
        consumer, distributor = field(cast("pathlib.Path", checkout))
    juju.deploy(consumer, CONSUMER, units=units, host_factory=machine)
    juju.deploy(distributor, DISTRIBUTOR)
    juju.integrate(CONSUMER, DISTRIBUTOR)


@functools.cache
def field(checkout: pathlib.Path) -> tuple[juju_model.Charm, juju_model.Charm]:
    """Load the field's consumer and distributor; FileNotFoundError if they are not there."""
    path = checkout.joinpath("lib", *_LIBRARY.split(".")).with_suffix(".py")
    spec = cast("Any", importlib.util.spec_from_file_location("_field_token_distributor", path))
    library: Any = importlib.util.module_from_spec(spec)
    sys.modules[library.__name__] = library
    spec.loader.exec_module(library)
    # Its distributor imports it under the name that ours has too.
    with unittest.mock.patch.dict(sys.modules, {_LIBRARY: library}):
        distributor = juju_model.Charm.load(checkout)

    class FieldConsumerCharm(ops.CharmBase):
        """Does with the field's library what `lxd_cluster` does with ours."""

        def __init__(self, framework: ops.Framework) -> None:
            super().__init__(framework)
            self.cluster = library.TokenConsumer(
                charm=self, relation_name=local.ENDPOINT, command_name=local.COMMAND
            )
            self.cluster.bootstrap_args_func = self._address
            self.cluster.join_args_func = self._address
            framework.observe(self.cluster.on.joined, self._on_joined)

        def _on_joined(self, _: ops.EventBase) -> None:
            with contextlib.suppress(FileNotFoundError):
                command = ["lxd", "--version"]
                done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 - fixed
                self.unit.set_workload_version(done.stdout.strip())

        def _address(self) -> list[str]:
            binding = self.model.get_binding(local.ENDPOINT)
            address = binding.network.bind_address if binding else None
            return ["--address", str(address)] if address else []

    consumer = juju_model.Charm(FieldConsumerCharm, dict(local.charm(CONSUMER).meta))
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
        if stored.member:
            if self.unit.is_leader():
                self._issue()
        elif self.unit.is_leader():
            _run("bootstrap")
            stored.member = True
        elif token := self._peers.data[self.app].get(_TOKEN + os.uname().nodename):
            _run("join", token)
            stored.member = True

    def _issue(self) -> None:
        """Issue tokens once all newcomers are there, or half as many as were served before."""
        bag = self._peers.data[self.app]
        served = sum(key.startswith(_TOKEN) for key in bag)
        missing = self.app.planned_units() - 1 - len(self._peers.units)
        waiting = len(self._peers.units) - served
        if not waiting or (missing > 0 and 2 * waiting < served):
            return
        names = {self._peers.data[unit].get("hostname") for unit in self._peers.units}
        for name in sorted(name for name in names if name and _TOKEN + name not in bag):
            bag[_TOKEN + name] = _run("add", name).strip()

    @property
    def _peers(self) -> ops.Relation:
        # Juju makes a peer relation with its application.
        return cast("ops.Relation", self.model.get_relation(_PEERS))


def _run(*words: str) -> str:
    command = [*local.COMMAND, *words]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout  # noqa: S603 - fixed
