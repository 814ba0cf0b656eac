"""The LXD cluster charm's workload on real daemons, beside what the conformance suite covers."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from typing import Any

import pytest

from microcluster_token_distributor import Workload, WorkloadError
from tests import juju_model
from tests.clouds import local, protocol
from tests.conformance import suite
from tests.microclusters import fake_tokens, lxd


def test_bad_tokens_and_addresses_are_refused_and_not_shown(cluster: lxd.LxdMicrocluster) -> None:
    """Nor is a token handed over to a cluster that it is not of."""
    member, newcomer = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(member, "bootstrap")
    token = functools.partial(fake_tokens.token, server_name="node-2")
    here = f"{member.address}:{lxd.PORT}"
    problems = {
        # Of a wrong length, no base64, nothing, no text, a list, with a number or no address.
        **dict.fromkeys(("not+a/token", "täoken", "", "//4=", "W10="), "no join token"),
        token(addresses=[1]): "no join token",
        token(addresses=["far"]): "no join token",
        token(server_name="b"): "not for node-2",
        token(addresses=[]): "no member that the token names answers",
        token(addresses=["127.0.1.1:1"]): "no member that the token names answers",
        token(addresses=[here]): "no member that the token names answers with its certificate",
    }

    for bad, problem in problems.items():
        error = newcomer.run([*newcomer.command, "join", bad]).stderr
        assert problem in error
        assert fake_tokens.SECRET not in error
        assert not bad or bad not in error
    for args in ([], ["--address"], ["--address", "here"], ["--address", "192.0.2.1"]):
        with pytest.raises(WorkloadError):
            newcomer.workload.bootstrap(args)

    assert suite.online(member) == {"node-1"}
    suite.succeed(newcomer, "bootstrap")


def test_who_left_can_bootstrap_at_another_address(cluster: lxd.LxdMicrocluster) -> None:
    """LXD keeps the address that it had in the cluster, which must not come back."""
    machine, other = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(machine, "bootstrap")
    suite.succeed(machine, "remove", "node-1")

    suite.succeed(machine, "bootstrap", "--address", other.address)

    assert suite.members(machine)["node-1"]["address"] == f"{other.address}:{lxd.PORT}"


def test_the_charm_forms_a_cluster_with_its_own_workload(cluster: lxd.LxdMicrocluster) -> None:
    """In other tests it has a command line in place of it, where faults can be injected.

    A program in the charm lists its members, for whoever looks at a unit from outside.
    """
    charm = juju_model.Charm.load(local.CONSUMER_ROOT)
    base: Any = charm.charm_type
    machines: dict[str, lxd.LxdMachine] = {}

    class OnItsMachine(base):
        def _workload(self) -> Workload:
            return machines[os.uname().nodename].workload

    def add_machine(name: str) -> lxd.LxdMachine:
        machines[name] = cluster.add_machine(name)
        machines[name].come_up()
        return machines[name]

    with juju_model.Juju(version="4.0") as juju:
        juju.deploy(local.charm(protocol.DISTRIBUTOR), "distributor")
        consumer = dataclasses.replace(charm, charm_type=OnItsMachine)
        juju.deploy(consumer, "lxd", units=3, host_factory=add_machine)
        juju.integrate("lxd", "distributor")
        juju.settle()
        for _ in range(3):
            juju.update_status_round()
        statuses = {juju.status(f"lxd/{number}").name for number in range(3)}
        hooks = "\n".join(map(str, juju.trace))

    assert statuses == {"active"}, hooks
    program = local.CONSUMER_ROOT / "src" / "lxd_microcluster.py"
    for machine in machines.values():
        listed = machine.run([sys.executable, str(program)]).stdout
        assert {m.name for m in protocol.Member.all_in(listed) if m.online} == set(machines)
