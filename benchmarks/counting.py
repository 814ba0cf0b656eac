"""Forms clusters on the model, adds a unit to each, and adds up what that took."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from typing import TYPE_CHECKING

from benchmarks import peer_charm, timed
from tests.clouds import local, protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests import juju_model
    from tests.microclusters import fake

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR
PEERS = peer_charm.NAME

_MOST_ROUNDS = 8
# Seconds, for floating-point numbers that are added up in different orders.
_INSTANT = 1e-6


@dataclasses.dataclass
class Side:
    """What the units of one application did.

    Attributes:
        hooks: how many hooks, by kind; see `kind`.
        tools: how many calls of each hook tool.
        bytes: of databags and names: `read`, `written`, `listed` by relation-list, `goal-state`.
        commands: how many of each command of the cluster.
    """

    hooks: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter[str])
    tools: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter[str])
    bytes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter[str])
    commands: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter[str]
    )

    def add(self, hook: juju_model.Hook) -> None:
        """Add a hook that ran."""
        self.hooks[kind(hook)] += 1
        for tool, number in hook.tools.items():
            if tool.startswith("bytes-"):
                self.bytes[tool.removeprefix("bytes-")] += number
            else:
                self.tools[tool] += number
        self.commands.update(
            name for command in hook.commands if (name := timed.sub_command(command.argv))
        )


def kind(hook: juju_model.Hook) -> str:
    """Name what a hook is: Juju's kind, and whether it is about peers or an application's data."""
    due = hook.due
    peers = due.remote_app == due.unit.partition("/")[0]
    if due.kind == "relation-changed" and due.remote_unit is None:
        return "peer application-changed" if peers else "application-changed"
    return f"peer {due.kind}" if peers else due.kind


@dataclasses.dataclass
class Cost:
    """What it took until all units were members, and no hook was due.

    Attributes:
        sides: by application.
        rounds: how many rounds of update-status it needed.
        formed: seconds of the model's time until the last unit had joined.
        path: the critical path to the last join.
        tokens_left: how many values that show a token are left in databags.
        lists: the most calls of `list` in a hook of a unit that issued no token, and of one that
            did.
    """

    sides: dict[str, Side] = dataclasses.field(default_factory=dict[str, Side])
    rounds: int = 0
    formed: float = 0.0
    path: list[timed.Step] = dataclasses.field(default_factory=list[timed.Step])
    tokens_left: int = 0
    lists: tuple[int, int] = (0, 0)

    @property
    def hooks(self) -> int:
        """All hooks of the model."""
        return sum(side.hooks.total() for side in self.sides.values())

    @property
    def waited_for(self) -> list[str]:
        """The commands on the critical path that do more than ask."""
        names = (name for step in self.path for name, _ in step.commands)
        return [name for name in names if name not in ("add", "list")]

    @property
    def is_tight(self) -> bool:
        """Whether the hooks of the critical path make up all of the time."""
        gaps = [after.start - before.end for before, after in itertools.pairwise(self.path)]
        lost = self.formed - sum(step.seconds for step in self.path)
        return bool(self.path) and all(abs(gap) < _INSTANT for gap in [*gaps, lost])


@dataclasses.dataclass
class Growth:
    """What it took to form a cluster, and then to add a unit to it.

    Attributes:
        units: how many formed it.
        forming: what that took, all of them started together.
        adding: what one more took.
    """

    units: int
    forming: Cost
    adding: Cost


class _Meter:
    """Adds up what runs on a model until it is read.

    Args:
        juju: the model.
        microcluster: where the members are.
        expected: how many members there are to be.
    """

    def __init__(
        self, juju: timed.TimedJuju, microcluster: fake.FakeMicrocluster, expected: int
    ) -> None:
        self.cost = Cost(sides={app: Side() for app in juju.apps})
        self._juju = juju
        self._microcluster = microcluster
        self._expected = expected
        self._started = juju.now
        self._lists = [0, 0]
        self._last_join: timed.Step | None = None
        juju.rest()

    def run(self) -> Cost:
        """Run hooks until all is done, with as many rounds of update-status as that needs.

        Raises:
            RuntimeError: it is never done.
        """
        self._juju.on_hook.append(self._on_hook)
        self._juju.settle()
        while not self._done():
            if self.cost.rounds == _MOST_ROUNDS:
                raise RuntimeError("the cluster never forms")
            self.cost.rounds += 1
            self._juju.update_status_round()
        self._juju.on_hook.remove(self._on_hook)
        self.cost.lists = self._lists[0], self._lists[1]
        self.cost.tokens_left = sum(
            self._microcluster.shows_token(value)
            for bag in self._juju.bags()
            for value in bag.data.values()
        )
        if self._last_join is not None:
            # A step's times are the clock's; the path is told from where it begins.
            self.cost.path = [
                dataclasses.replace(
                    step, start=step.start - self._started, end=step.end - self._started
                )
                for step in self._last_join.path()
            ]
        return self.cost

    def _done(self) -> bool:
        return len(self._microcluster.online_members()) == self._expected

    def _on_hook(self, hook: juju_model.Hook) -> None:
        self.cost.sides[hook.unit.partition("/")[0]].add(hook)
        names = [timed.sub_command(command.argv) for command in hook.commands]
        issues = int("add" in names)
        self._lists[issues] = max(self._lists[issues], names.count("list"))
        if "join" in names or "bootstrap" in names:
            self.cost.formed = self._juju.now - self._started
            self._last_join = self._juju.last


def star(units: int, *, distributors: int = 1, version: str = "4.0", seed: int = 0) -> Growth:
    """Form a cluster through the distributor, and add a unit.

    Args:
        units: how many form it.
        distributors: how many units the distributor has.
        version: the release of Juju.
        seed: draws where Juju's own order is random.
    """
    with timed.TimedJuju(seed, version=version) as juju:
        cloud = local.LocalCloud(juju, microcluster := local.fake_microcluster(juju))
        telling.deploy(cloud, units, distributors=distributors)
        return _grow(juju, microcluster, CONSUMER, units)


def mesh(units: int, *, version: str = "4.0", seed: int = 0) -> Growth:
    """Form the same cluster over a peer relation, and add a unit: the baseline.

    Args:
        units: how many form it.
        version: the release of Juju.
        seed: draws where Juju's own order is random.
    """
    with timed.TimedJuju(seed, version=version) as juju:
        microcluster = local.fake_microcluster(juju)
        juju.deploy(peer_charm.charm(), PEERS, units=units, host_factory=microcluster.add_machine)
        return _grow(juju, microcluster, PEERS, units)


def _grow(
    juju: timed.TimedJuju, microcluster: fake.FakeMicrocluster, app: str, units: int
) -> Growth:
    forming = _Meter(juju, microcluster, units).run()
    juju.add_unit(app)
    return Growth(units, forming, _Meter(juju, microcluster, units + 1).run())
