"""The example for MicroCeph, on a strict fake of its command line, by its documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.microceph_workload import MicroCephWorkload
from microcluster_token_distributor import WorkloadError
from tests.unit import consumer, runner

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = ("microceph", "cluster")
ADDRESS = ("--microceph-ip", "192.0.2.1")
REMOVE = (*COMMAND, "remove", "node-1")
HOOK = 'Error: Failed to execute pre-remove hook on cluster member "node-1": '
TOO_FEW = runner.Answer(1, stderr=f"{HOOK}Need at least 3 mon, 1 mds, and 1 mgr besides node-1")
DISKS = runner.Answer(1, stderr=f"{HOOK}Node node-1 still has disks configured, remove before")


def test_forming_has_more_time_than_microceph_takes_itself(commands: runner.FakeRunner) -> None:
    commands.expect(*COMMAND, "bootstrap", *ADDRESS)
    commands.expect(*COMMAND, "join", consumer.TOKEN_1, *ADDRESS)

    MicroCephWorkload().bootstrap(ADDRESS)
    MicroCephWorkload().join(consumer.TOKEN_1, ADDRESS)

    assert all(limit and limit > 300 for limit in commands.timeouts)


@pytest.mark.parametrize(
    ("answers", "force", "expected"),
    [
        pytest.param([runner.Answer()], False, [REMOVE], id="four members"),
        pytest.param([TOO_FEW], False, [REMOVE, (*REMOVE, "--force")], id="three members"),
        pytest.param([DISKS], True, [(*REMOVE, "--force")], id="dead, with disks"),
    ],
)
def test_a_member_is_removed(
    commands: runner.FakeRunner,
    answers: Sequence[runner.Answer],
    force: bool,
    expected: list[tuple[str, ...]],
) -> None:
    """By force where it has to be, within the time that Ceph needs."""
    commands.expect(*REMOVE, answers=answers)
    commands.expect(*REMOVE, "--force")

    MicroCephWorkload().remove("node-1", (), force=force)

    assert commands.calls == expected
    assert set(commands.timeouts) == {900}


def test_a_member_with_disks_does_not_leave(commands: runner.FakeRunner) -> None:
    """The error is MicroCeph's own."""
    commands.expect(*REMOVE, answers=[DISKS])

    with pytest.raises(WorkloadError, match="still has disks configured"):
        MicroCephWorkload().remove("node-1", (), force=False)


def test_a_release_without_json_is_named_as_the_cause(commands: runner.FakeRunner) -> None:
    """Its list cannot be read, so nobody can tell whether it is a member."""
    unknown = runner.Answer(1, stderr="Error: unknown shorthand flag: 'f' in -f")
    commands.expect(*COMMAND, "list", "-f", "json", answers=[unknown])

    with pytest.raises(WorkloadError, match="older than its squid series"):
        MicroCephWorkload().members()
