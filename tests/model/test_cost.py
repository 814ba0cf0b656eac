"""What forming a cluster costs, and how that grows; `python -m benchmarks` counts much more."""

from __future__ import annotations

import functools
import math

import pytest

from benchmarks import bound, counting, peer_charm, report, targets, timed
from tests.clouds import local
from tests.scenarios import telling

VERSIONS = ["3.6", "4.0"]

# Of the critical path: the distributor's start, the candidate, the grant, the bootstrap, the
# tokens, the join; and twice for each unit whom the distributor hears, but for the last.
_HOOKS_BESIDES = 11


@functools.cache
def grown(units: int, version: str = "4.0") -> counting.Growth:
    """Form a cluster through the distributor, and add a unit."""
    return counting.star(units, version=version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("units", [3, 10])
def test_hooks_are_close_to_the_lower_bound(units: int, version: str) -> None:
    """Juju has to run so many hooks, and few more run."""
    growth = grown(units, version)

    forming = growth.forming.hooks / bound.total(bound.forming(units))
    adding = growth.adding.hooks / bound.total(bound.adding(units))

    assert 1 <= forming <= bound.HOOKS_OVER_BOUND
    assert 1 <= adding <= bound.HOOKS_OVER_BOUND


@pytest.mark.parametrize("distributors", [2, 3])
def test_hooks_are_close_to_the_lower_bound_with_more_distributors(distributors: int) -> None:
    """Each further unit of the distributor hears what the first one hears, and writes nothing."""
    growth = counting.star(10, distributors=distributors)

    forming = growth.forming.hooks / bound.total(bound.forming(10, distributors))
    adding = growth.adding.hooks / bound.total(bound.adding(10, distributors))
    assert forming <= bound.HOOKS_OVER_BOUND
    assert adding <= bound.HOOKS_OVER_BOUND


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("units", [3, 10])
def test_a_hook_asks_for_the_members_once(units: int, version: str) -> None:
    """Only the communicator may ask again, for it may have removed some."""
    growth = grown(units, version)

    for cost in (growth.forming, growth.adding):
        of_others, of_communicator = cost.lists
        assert of_others <= bound.LISTS
        assert of_communicator <= bound.LISTS_OF_COMMUNICATOR
        assert cost.sides[counting.CONSUMER].commands["list"] > 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("units", [3, 10])
def test_nobody_waits_for_update_status(units: int, version: str) -> None:
    """All are members without one, and no token is left behind."""
    growth = grown(units, version)

    assert growth.forming.rounds == growth.adding.rounds == 0
    assert growth.forming.tokens_left == growth.adding.tokens_left == 0


def test_distributor_reads_no_more_of_each_unit_where_there_are_many() -> None:
    """From 30 units to 100, what it reads and how often it asks grows as they do."""
    few = grown(30).forming.sides[counting.DISTRIBUTOR]
    many = grown(100).forming.sides[counting.DISTRIBUTOR]

    read = exponent(few.bytes["read"], many.bytes["read"])
    called = exponent(timed.calls(few.tools), timed.calls(many.tools))
    assert read <= bound.DISTRIBUTOR_EXPONENT
    assert called <= bound.DISTRIBUTOR_EXPONENT


def test_hooks_grow_with_the_units() -> None:
    """And not with their square: newcomers that come together are shown together."""
    hooks = exponent(grown(30).forming.hooks, grown(100).forming.hooks)

    assert hooks <= bound.HOOKS_EXPONENT


def exponent(few: float, many: float) -> float:
    """Give the power of the units with which a cost grows from 30 to 100 of them."""
    return math.log(many / few) / math.log(100 / 30)


@pytest.mark.parametrize("units", [3, 10])
def test_forming_takes_a_bootstrap_a_join_and_hooks(units: int) -> None:
    """In the model's time; newcomers join side by side, and nobody waits for anything else."""
    cost = grown(units).forming
    bootstrap, join = (
        seconds for step in cost.path for name, seconds in step.commands if name in cost.waited_for
    )
    hooks = [
        timed.DISPATCH
        + timed.TOOL * step.tools
        + sum(seconds for name, seconds in step.commands if name in ("add", "list"))
        for step in cost.path
    ]

    assert cost.waited_for == ["bootstrap", "join"]
    assert cost.formed == pytest.approx(bootstrap + join + sum(hooks), abs=1e-6)
    assert cost.is_tight
    assert len(cost.path) <= 2 * (units - 1) + 1 + _HOOKS_BESIDES


def test_adding_takes_a_join_and_hooks() -> None:
    """Of the newcomer alone: its token is there by the time that its charm has started."""
    cost = grown(3).adding

    assert cost.waited_for == ["join"]
    assert cost.is_tight
    assert {step.unit for step in cost.path} == {f"{counting.CONSUMER}/3"}


def test_it_costs_the_same_each_time() -> None:
    """A table that is checked in changes only when the code does."""
    assert counting.star(3) == counting.star(3)


def test_the_page_has_what_is_counted_now() -> None:
    """Each row for 3 and 10 units, and the critical path; `tox -e bench` writes it anew."""
    page = (local.ROOT / "docs" / "reference" / "benchmark.md").read_text().splitlines()
    found = targets.Found(
        star={units: grown(units) for units in (3, 10)},
        mesh={units: counting.mesh(units) for units in (3, 10)},
    )

    written = report.write(found, targets.judge(found), report.TIMED)

    _, _, tables = written.partition("## Forming a cluster")
    rows = [line for line in tables.splitlines() if line.startswith("| ")]
    assert len(rows) > 50
    assert [row for row in rows if row not in page] == []


def test_a_used_grant_is_taken_back_at_the_first_update_status() -> None:
    """Which wakes each unit once, and is not in the tables; then there is peace."""
    with timed.TimedJuju() as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju))
        telling.deploy(cloud, 10)
        juju.settle()

        # Of each, eleven are update-status itself.
        first, second = juju.update_status_round() - 11, juju.update_status_round() - 11

    assert first in (10, 11)
    assert second == 0


@pytest.mark.parametrize("units", [3, 10])
def test_a_mesh_runs_hooks_whatever_its_charm(units: int) -> None:
    """So many, besides those that the charm's own writes cause."""
    hooks = counting.mesh(units).forming.sides[counting.PEERS].hooks

    assert hooks.total() - hooks["peer application-changed"] == bound.mesh(units)


def test_peer_baseline_forms_the_same_cluster() -> None:
    """With what Juju runs in a mesh whatever the charm, and little else."""
    growth = counting.mesh(10)

    hooks = growth.forming.sides[counting.PEERS].hooks
    commands = growth.forming.sides[counting.PEERS].commands
    assert hooks["peer relation-joined"] == hooks["peer relation-changed"] == 10 * 9
    assert commands["bootstrap"] == 1
    assert commands["add"] == commands["join"] == 9
    assert growth.forming.rounds == growth.adding.rounds == 0


@pytest.mark.parametrize(
    ("newcomers", "more", "served", "due"),
    [(1, 0, 9, True), (1, 3, 0, True), (2, 90, 8, False), (4, 90, 8, True), (1, 90, 0, True)],
)
def test_peer_baseline_writes_in_bursts(newcomers: int, more: int, served: int, due: bool) -> None:
    """By the distributor's own rule."""
    assert peer_charm.is_due(newcomers, more, served) is due
