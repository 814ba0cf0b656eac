"""The LXD cluster charm: what it does besides using the library, with a fake LXD.

That it forms clusters, and goes on where LXD is neither there nor to be had, scenarios show.
"""

from __future__ import annotations

import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from ops import testing

from microcluster_token_distributor import Member
from tests import juju_model
from tests.charms.lxd_cluster.src import lxd_workload
from tests.unit import runner

if TYPE_CHECKING:
    import ops

ROOT = pathlib.Path(__file__).parents[1] / "charms" / "lxd_cluster"
ENDPOINT = "microcluster-cluster"
APT = [("apt-get", "update"), ("apt-get", "install", "--yes", "--no-install-recommends", "lxd")]
SNAP = [("snap", "install", "lxd")]


@pytest.fixture
def context(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> testing.Context[ops.CharmBase]:
    """The charm's unit, on a machine with nothing installed."""
    uname = os.uname_result(("Linux", "node-0", "", "", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: uname)
    monkeypatch.setenv("PATH", str(tmp_path))
    charm = juju_model.Charm.load(ROOT)
    return testing.Context(charm.charm_type, meta=dict(charm.meta), unit_id=0)


@pytest.mark.parametrize("addresses", [["192.0.2.7", "192.0.2.8"], []])
def test_it_forms_a_cluster_at_the_relations_own_address(
    context: testing.Context[ops.CharmBase],
    commands: runner.FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
    addresses: list[str],
) -> None:
    """Where the model has one; and it shows LXD's version."""
    lxd: Any = mock.create_autospec(lxd_workload.LxdWorkload, joins_while_degraded=False)
    here = [Member("node-0", "voter", "ONLINE")]
    lxd.members.side_effect = lambda: here if lxd.bootstrap.called else []
    monkeypatch.setattr(sys.modules["lxd_workload"], "LxdWorkload", lambda: lxd)
    commands.expect("lxd", "--version", answers=[runner.Answer(stdout="5.0.2\n")])
    relation = testing.Relation(
        ENDPOINT,
        # Without a report of its own a unit is not granted anything.
        local_unit_data={"hostname": "node-0", "member": "false"},
        remote_app_data={"leader": "0", "bootstrap-host": "node-0", "waiting": "node-0"},
        remote_units_data={0: {"mirror": "up"}},
    )
    bound = testing.BindAddress([testing.Address(value) for value in addresses])
    network = testing.Network(ENDPOINT, bind_addresses=[bound] if addresses else [])
    state = testing.State(relations={relation}, networks={network})

    after = context.run(context.on.update_status(), state)

    lxd.bootstrap.assert_called_once_with(["--address", "192.0.2.7"] if addresses else [])
    assert after.unit_status == testing.ActiveStatus()
    assert after.workload_version == "5.0.2"


@pytest.mark.parametrize(
    ("programs", "scripts", "expected"),
    [
        pytest.param(["lxd", "lxc", "apt-get"], [], [], id="installed"),
        pytest.param(["apt-get"], [], APT, id="a package"),
        pytest.param(["lxd", "snap"], [], SNAP, id="no client"),
        # Those of Ubuntu ask whether to install the snap.
        pytest.param(["lxc", "apt-get", "snap"], ["lxd"], SNAP, id="a script"),
    ],
)
def test_it_installs_lxd_where_there_is_none(
    context: testing.Context[ops.CharmBase],
    commands: runner.FakeRunner,
    tmp_path: pathlib.Path,
    programs: list[str],
    scripts: list[str],
    expected: list[tuple[str, ...]],
) -> None:
    """As the distribution has it, both the daemon and its client."""
    for name in (*programs, *scripts):
        (tmp_path / name).write_text("#!/bin/sh\n" if name in scripts else "\x7fELF")
        (tmp_path / name).chmod(0o755)
    for line in expected:
        commands.expect(*line)

    context.run(context.on.install(), testing.State())

    assert commands.calls == expected
