"""The adapter's answers where a token or an address is not as it should be, on real daemons.

What a healthy cluster answers is in the conformance suite; what is answered without any daemon is
in `tests/unit`.
"""

from __future__ import annotations

import json

import pytest
import tenacity

from tests.conformance import suite
from tests.microclusters import forged, lxd

LISTING = ["list", "-f", "json"]


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        pytest.param("not+a/token", "illegal base64 data at input byte 8", id="short"),
        pytest.param("täoken", "illegal base64 data at input byte 1", id="no base64"),
        pytest.param("", "this is no join token of LXD's", id="empty"),
        pytest.param("//4=", "this is no join token of LXD's", id="no text"),
        pytest.param("W10=", "this is no join token of LXD's", id="another shape"),
        pytest.param(forged.token(addresses=[]), "this is no join token of LXD's", id="nowhere"),
        pytest.param(forged.token(addresses=[1]), "this is no join token of LXD's", id="number"),
        pytest.param(forged.token(server_name=""), "this is no join token of LXD's", id="nobody"),
        pytest.param(
            forged.token(server_name="b"), "does not contain join token name", id="other"
        ),
        pytest.param(forged.token(addresses=["far"]), "'far' is no IP address", id="no address"),
        pytest.param(
            forged.token(addresses=["127.0.1.1:1"] * 2), "2 join attempts were", id="unreachable"
        ),
    ],
)
def test_a_bad_token_is_refused_and_not_shown(
    cluster: lxd.LxdMicrocluster, token: str, problem: str
) -> None:
    """Whatever is wrong with it, it is not in the message, and the machine is still fresh."""
    machine = cluster.add_machine("node-1")

    done = machine.run([*machine.command, "join", token])

    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert problem in done.stderr
    assert forged.SECRET not in done.stderr
    assert not token or token not in done.stderr
    suite.refused(machine, *LISTING, because="not yet initialized")


def test_as_a_program_of_its_own_it_does_the_same(cluster: lxd.LxdMicrocluster) -> None:
    """What the other tests run by fork, a charm runs as its own command line."""
    first, second = cluster.add_machine("node-1"), cluster.add_machine("node-2")

    def program(machine: lxd.LxdMachine, *words: str) -> tuple[int, str, str]:
        # By way of `env`, it is not seen to be the adapter.
        done = machine.run(["env", *machine.command, *words], timeout=suite.PATIENCE)
        return done.returncode, done.stdout, done.stderr

    assert program(second, *LISTING) == (1, "", "Error: Database is not yet initialized\n")
    assert program(first, "bootstrap") == (0, "", "")
    code, token, _ = program(first, "add", "node-2")
    assert code == 0
    assert program(second, "join", token.strip()) == (0, "", "")
    code, listed, _ = program(second, *LISTING)
    assert (code, {row["name"] for row in json.loads(listed)}) == (0, {"node-1", "node-2"})
    assert program(first, "remove", "node-2") == (0, "", "")
    assert suite.online(first) == {"node-1"}
    code, _, stderr = program(first, "jion", token.strip())
    assert code == 2
    assert token.strip() not in stderr


def test_a_newcomer_trusts_only_the_certificate_that_the_token_names(
    cluster: lxd.LxdMicrocluster,
) -> None:
    """A token whose address leads to another cluster is not handed over to that one."""
    member, newcomer = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(member, "bootstrap")
    token = forged.token(server_name="node-2", addresses=[f"{member.address}:{lxd.PORT}"])

    suite.refused(newcomer, "join", token, because="certificate fingerprint mismatch")

    assert suite.online(member) == {"node-1"}


def test_a_token_ends_when_its_timeout_is_over(cluster: lxd.LxdMicrocluster) -> None:
    """It holds its name so long and no longer, and other tokens live as long as before."""
    member, newcomer = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    suite.succeed(member, "bootstrap")
    short = suite.succeed(member, "add", "node-2", "--timeout", "2").token
    retry = tenacity.retry(
        retry=tenacity.retry_if_exception_type(AssertionError),
        stop=tenacity.stop_after_delay(30),
        wait=tenacity.wait_fixed(0.2),
        reraise=True,
    )

    suite.refused(member, "add", "node-2", because="is taken")
    following = retry(suite.add)(member, "node-2")

    suite.refused(newcomer, "join", short, because="CoreTokenRecord not found")
    suite.succeed(newcomer, "join", following)
    settings = member.ask("GET", "/1.0")[1]["metadata"]["config"]
    assert "cluster.join_token_expiry" not in settings


def test_name_and_address_can_be_given(cluster: lxd.LxdMicrocluster) -> None:
    """They go before the host name and before the address that LXD listens on already."""
    first, second = cluster.add_machine("node-1"), cluster.add_machine("node-2")
    one, two = first.address, f"{second.address}:{lxd.PORT + 1}"

    suite.succeed(first, "bootstrap", "--name", "alpha", "--address", one)
    token = suite.add(first, "beta")
    suite.succeed(second, "join", token, "--name", "beta", "--address", two)

    listed = suite.members(first).values()
    assert {member.name: member.address for member in listed} == {
        "alpha": f"{one}:{lxd.PORT}",
        "beta": two,
    }


def test_who_left_a_cluster_can_bootstrap_at_another_address(cluster: lxd.LxdMicrocluster) -> None:
    """LXD keeps the address that it had in the cluster, which must not come back."""
    machine = cluster.add_machine("node-1")
    suite.succeed(machine, "bootstrap")
    suite.succeed(machine, "remove", "node-1")
    address = f"{machine.address}:{lxd.PORT + 1}"

    suite.succeed(machine, "bootstrap", "--address", address)

    assert suite.members(machine)["node-1"].address == address


@pytest.mark.parametrize("address", ["somewhere", "300.1.1.1", "127.0.1.2:port", "192.0.2.1"])
def test_an_address_that_cannot_be_listened_on_is_refused(
    cluster: lxd.LxdMicrocluster, address: str
) -> None:
    """The machine can still bootstrap with a good one."""
    machine = cluster.add_machine("node-1")

    suite.refused(machine, "bootstrap", "--address", address, because="^Error: ")

    suite.succeed(machine, "bootstrap", "--address", machine.address)
