"""The LXD cluster charm's workload on real daemons, beside what the conformance suite covers."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from microcluster_token_distributor import Workload, WorkloadError
from tests import juju_model
from tests.clouds import local, protocol
from tests.conformance import suite
from tests.microclusters import fake_tokens, lxd

if TYPE_CHECKING:
    import pathlib


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        pytest.param("not+a/token", "no join token", id="length"),
        pytest.param("täoken", "no join token", id="no base64"),
        pytest.param("", "no join token", id="empty"),
        pytest.param("//4=", "no join token", id="no text"),
        pytest.param("W10=", "no join token", id="a list"),
        pytest.param(fake_tokens.token(addresses=[1]), "no join token", id="a number"),
        pytest.param(fake_tokens.token(addresses=["far"]), "no join token", id="no address"),
        pytest.param(fake_tokens.token(server_name="b"), "not for node-1", id="another name"),
        pytest.param(fake_tokens.token(addresses=[]), "no member", id="nobody"),
        pytest.param(fake_tokens.token(addresses=["127.0.1.1:1"]), "no member", id="unreachable"),
    ],
)
def test_a_bad_token_is_refused_and_not_shown(
    cluster: lxd.LxdMicrocluster, token: str, problem: str
) -> None:
    """The machine can still bootstrap."""
    machine = cluster.add_machine("node-1")

    done = machine.run([*machine.command, "join", token])

    assert done.returncode == 1
    assert problem in done.stderr
    assert fake_tokens.SECRET not in done.stderr
    assert not token or token not in done.stderr
    suite.succeed(machine, "bootstrap")


def test_a_newcomer_trusts_only_the_certificate_that_the_token_names(
    cluster: lxd.LxdMicrocluster,
) -> None:
    """A token whose address leads to another cluster is not handed over to that one."""
    member, newcomer = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(member, "bootstrap")
    address = f"{member.address}:{lxd.PORT}"
    token = fake_tokens.token(server_name="node-2", addresses=[address])

    done = newcomer.run([*newcomer.command, "join", token])

    assert "no member that the token names answers with its certificate" in done.stderr
    assert suite.online(member) == {"node-1"}


def test_who_left_can_bootstrap_at_another_address(cluster: lxd.LxdMicrocluster) -> None:
    """LXD keeps the address that it had in the cluster, which must not come back."""
    machine, other = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(machine, "bootstrap")
    suite.succeed(machine, "remove", "node-1")

    suite.succeed(machine, "bootstrap", "--address", other.address)

    assert suite.members(machine)["node-1"].address == f"{other.address}:{lxd.PORT}"


@pytest.mark.parametrize(
    "args", [[], ["--address"], ["--address", "here"], ["--address", "192.0.2.1"]]
)
def test_an_address_that_cannot_be_listened_on_is_refused(
    cluster: lxd.LxdMicrocluster, args: list[str]
) -> None:
    """The machine can still bootstrap with a good one."""
    machine = cluster.add_machine("node-1")
    machine.run(["true"])

    with pytest.raises(WorkloadError):
        machine.workload.bootstrap(args)

    suite.succeed(machine, "bootstrap")


def test_a_token_is_in_its_file_and_an_issued_one_is_refused_again(
    cluster: lxd.LxdMicrocluster, tmp_path: pathlib.Path
) -> None:
    """A refusal leaves the file as it was."""
    member, newcomer = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(member, "bootstrap")
    first, second = tmp_path / "first", tmp_path / "second"
    second.touch()

    member.workload.issue("node-2", first)
    with pytest.raises(WorkloadError) as raised:
        member.workload.issue("node-2", second)

    token = suite.Token(first.read_text())
    assert not second.read_text()
    assert token.text not in str(raised.value)
    suite.succeed(newcomer, "join", token)


def test_a_unit_can_be_asked_for_its_members_from_outside(cluster: lxd.LxdMicrocluster) -> None:
    """By a program in the charm, with the words of a microcluster."""
    machine = cluster.add_machine("node-1")
    program = local.CONSUMER_ROOT / "src" / "lxd_microcluster.py"
    command = [sys.executable, str(program), "list", "-f", "json"]

    before = machine.run(command)
    suite.succeed(machine, "bootstrap")
    after = machine.run(command)

    assert protocol.Member.all_in(before.stdout) == []
    assert protocol.Member.all_in(after.stdout) == [
        protocol.Member("node-1", "voter", online=True)
    ]


def test_the_charm_forms_a_cluster_with_its_own_workload(cluster: lxd.LxdMicrocluster) -> None:
    """In other tests it has a command line in place of it, where faults can be injected."""
    charm = juju_model.Charm.load(local.CONSUMER_ROOT)
    base: Any = charm.charm_type
    machines: dict[str, lxd.LxdMachine] = {}

    class OnItsMachine(base):
        def _workload(self) -> Workload:
            return machines[os.uname().nodename].workload

    def add_machine(name: str) -> lxd.LxdMachine:
        machines[name] = cluster.add_machine(name)
        machines[name].run(["true"])
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
    for machine in machines.values():
        assert suite.online(machine) == set(machines)
