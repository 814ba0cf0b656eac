"""What stories are made of: how one is marked, and what it expects to see after a step.

Nothing here looks behind the cloud: an expectation asks the machines for the cluster's own list of
members, reads databags and statuses, and says which unit is not as it has to be, and why. It never
shows a databag's value, for that may be a token.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from typing import TYPE_CHECKING

from tests.clouds import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


@dataclasses.dataclass(frozen=True)
class Story:
    """A story that can be told on a cloud.

    Attributes:
        tell: tells it.
        needs: what a cloud must be able to do for it.
    """

    tell: Callable[[protocol.Cloud], None]
    needs: frozenset[protocol.Trait] = frozenset()

    @property
    def module(self) -> str:
        """The module it is in, without the package."""
        return self.tell.__module__.rpartition(".")[2]

    @property
    def name(self) -> str:
        """Its module and its title."""
        return f"{self.module}::{self.tell.__name__}"

    def obstacle(self, cloud: protocol.Cloud) -> str:
        """Say why a cloud cannot express it; empty if it can."""
        missing = sorted(f"one that {need.value}" for need in self.needs - cloud.traits)
        return f"{cloud.name} is not {' nor '.join(missing)}" if missing else ""


def story(*needs: protocol.Trait) -> Callable[[Callable[[protocol.Cloud], None]], Story]:
    """Mark a function as a story.

    Args:
        needs: what a cloud must be able to do for it.
    """
    return lambda tell: Story(tell, frozenset(needs))


def faults(cloud: protocol.Cloud) -> protocol.Faults:
    """Take a cloud's powers over the moment, which the story has to name among its needs.

    Raises:
        TypeError: it has none.
    """
    if not isinstance(cloud, protocol.Faults):
        raise TypeError(f"{cloud.name} has no such powers")
    return cloud


def field(cloud: protocol.Cloud) -> protocol.Field:
    """Take a cloud's powers over the field, which the story has to name among its needs.

    Raises:
        TypeError: it has none.
    """
    if not isinstance(cloud, protocol.Field):
        raise TypeError(f"{cloud.name} has no such powers")
    return cloud


# Steps that many stories begin with.


def deploy(
    cloud: protocol.Cloud,
    units: int = 3,
    *,
    distributors: int = 1,
    consumer_charm: str = CONSUMER,
    distributor_charm: str = DISTRIBUTOR,
) -> None:
    """Deploy a consumer and a distributor, and integrate them.

    Args:
        cloud: the cloud.
        units: of the consumer.
        distributors: units of the distributor.
        consumer_charm: an earlier one instead, in an application that can be refreshed.
        distributor_charm: likewise.
    """
    cloud.deploy(consumer_charm, CONSUMER, units=units)
    cloud.deploy(distributor_charm, DISTRIBUTOR, units=distributors)
    cloud.integrate(CONSUMER, DISTRIBUTOR)


def form(
    cloud: protocol.Cloud, units: int = 3, *, distributors: int = 1, settled: bool = True
) -> None:
    """Deploy and integrate them, and see one cluster.

    Args:
        cloud: the cloud.
        units: of the consumer.
        distributors: units of the distributor.
        settled: whether to wait until every member has its role: until then, the cluster does not
            survive the loss of the one that has bootstrapped it.
    """
    deploy(cloud, units, distributors=distributors)
    expect_whole(cloud)
    if settled:
        first = cloud.units(CONSUMER)[0]
        cloud.eventually(
            "a role for each member",
            lambda: all(member.role != "PENDING" for member in cloud.members(first)),
        )


def form_two(cloud: protocol.Cloud, first: int, second: int, *, distributors: int = 1) -> None:
    """Let the units of two applications, named `first` and `second`, form one cluster.

    Args:
        cloud: the cloud.
        first: units of the one.
        second: units of the other.
        distributors: units of the distributor.
    """
    cloud.deploy(CONSUMER, "first", units=first)
    cloud.deploy(CONSUMER, "second", units=second)
    cloud.deploy(DISTRIBUTOR, units=distributors)
    cloud.integrate("first", DISTRIBUTOR)
    cloud.integrate("second", DISTRIBUTOR)
    expect_whole(cloud, "first", "second")


def let_newcomer_lead(cloud: protocol.Cloud, units: int) -> list[str]:
    """Form a cluster, remove its relation, and let a newcomer lead.

    Args:
        cloud: the cloud.
        units: that form the cluster.

    Returns:
        All units, the newcomer last.
    """
    form(cloud, units)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    newcomer = cloud.add_unit(CONSUMER)
    cloud.settle()
    faults(cloud).make_leader(newcomer)
    return cloud.units(CONSUMER)


def communicator(cloud: protocol.Cloud, application: str = CONSUMER) -> str:
    """Name the unit of an application that speaks for a cluster whose members are all online."""
    members = cloud.members(cloud.units(application)[0])
    voters = [member.name for member in members if member.role == "voter" and member.online]
    names = voters or [member.name for member in members if member.online]
    return next(unit for unit in cloud.units(application) if cloud.hostname(unit) == min(names))


def another(cloud: protocol.Cloud, *units: str) -> str:
    """Name the first unit of the same application that is none of these."""
    application = units[0].partition("/")[0]
    return next(unit for unit in cloud.units(application) if unit not in units)


def leader(cloud: protocol.Cloud, application: str) -> str:
    """Name the unit that leads.

    Raises:
        AssertionError: none does.
    """
    name = cloud.leader(application)
    assert name is not None, f"no unit of {application} leads"
    return name


def fall_asleep_once_named(cloud: protocol.Cloud, newcomer: str) -> None:
    """Let a fresh unit's machine go down when it has given its host name, but not joined."""
    faults(cloud).upon(lambda: cloud.kill_machine(newcomer), unit=newcomer, wrote="hostname")


def pause_once_named(cloud: protocol.Cloud, newcomer: str) -> None:
    """Let a fresh unit's agent run no further hook once it has given its host name."""
    powers = faults(cloud)
    powers.upon(lambda: powers.pause_agent(newcomer), unit=newcomer, wrote="hostname")


def offers_token(cloud: protocol.Cloud, newcomer: str) -> bool:
    """Tell whether the distributor shows a token for a unit."""
    application = newcomer.partition("/")[0]
    bag = cloud.bag(leader(cloud, DISTRIBUTOR), application)
    return is_token(bag.get(f"mirror-{cloud.hostname(newcomer)}", ""))


# Expectations.


def expect_whole(
    cloud: protocol.Cloud,
    *applications: str,
    distributor: str = DISTRIBUTOR,
    earlier: Collection[str] = (),
    lost: Collection[str] = (),
) -> None:
    """Expect that the units form one cluster and that nothing is left to do.

    Args:
        cloud: the cloud.
        applications: whose units; those of the one consumer by default.
        distributor: the distributor.
        earlier: those of the applications, or the distributor, that speak only the old keys: of
            these only the members are expected, and a status without a complaint.
        lost: units whose machines are down, and which are no members.

    Raises:
        AssertionError: it does not come to that; with what is not as it has to be, unit by unit.
    """
    view = _View(cloud, applications or (CONSUMER,), distributor, earlier, lost)
    _expect("one cluster of all units, and nothing left to do", cloud, view.problems)


def expect_waiting(cloud: protocol.Cloud, newcomer: str, *down: str) -> None:
    """Expect that a unit waits to join, that it says for whom, and that the cluster is unharmed.

    Where its charm does not show what the library says, it has to wait all the same.

    Args:
        cloud: the cloud.
        newcomer: the unit.
        down: the units that it has to wait for.
    """

    def problems() -> Iterator[str]:
        for unit in (newcomer, leader(cloud, DISTRIBUTOR)):
            status, message = cloud.status(unit)
            if unit == newcomer and protocol.Trait.SAYS_WHAT_FOR not in cloud.traits:
                if status == "active":
                    yield f"{unit} does not wait: it is {status}, {message!r}"
                continue
            for name in map(cloud.hostname, down):
                if status != "waiting" or name not in message:
                    yield f"{unit} does not wait for {name}: it is {status}, {message!r}"
        yield from _harm(cloud, newcomer, down)

    _expect(f"{newcomer} waits for {', '.join(down)}", cloud, problems)
    # It goes on waiting, however often it is asked.
    cloud.wait(2)
    found = list(problems())
    assert not found, "; ".join(found)


def _harm(cloud: protocol.Cloud, newcomer: str, down: Collection[str]) -> Iterator[str]:
    """Say what a join while members are down has done, or an attempt at one."""
    if cloud.members(newcomer):
        yield f"{newcomer} has joined while {', '.join(down)} is down"
    for unit in cloud.units(newcomer.partition("/")[0]):
        if unit == newcomer or unit in down:
            continue
        names = {member.name for member in cloud.members(unit)}
        if not names:
            yield f"{unit} lists no members: the cluster has lost its quorum"
        if cloud.hostname(newcomer) in names:
            yield f"{unit} lists {cloud.hostname(newcomer)}, which has not joined"


def expect_hold(cloud: protocol.Cloud, *down: str) -> None:
    """Expect that the distributor holds newcomers back for these units, and for no others."""
    names = {cloud.hostname(unit) for unit in down}

    def held() -> bool:
        published = cloud.bag(DISTRIBUTOR, CONSUMER)
        return set(published.get("hold", "").split()) == names

    cloud.eventually(f"the distributor holds newcomers back for {', '.join(down)}", held)


def expect_members(cloud: protocol.Cloud, units: Collection[str], names: Collection[str]) -> None:
    """Expect that some units list certain members, and no others.

    Args:
        cloud: the cloud.
        units: the units that are asked.
        names: the members, online or not, by the names under which they joined.
    """

    def problems() -> Iterator[str]:
        for unit in units:
            listed = {member.name for member in cloud.members(unit)}
            if listed != set(names):
                yield f"{unit} lists {', '.join(sorted(listed)) or 'nobody'}"

    _expect(f"{', '.join(units)} list {', '.join(sorted(names))}", cloud, problems)


def expect_status(cloud: protocol.Cloud, unit: str, name: str, *words: str) -> None:
    """Expect that a unit has a status, with some words in its message."""

    def problems() -> Iterator[str]:
        status, message = cloud.status(unit)
        if status != name or not all(word in message for word in words):
            yield f"{unit} is {status}: {message!r}"

    _expect(f"{unit} is {name}, and says {', '.join(words) or 'anything'}", cloud, problems)


def hostnames(cloud: protocol.Cloud, *applications: str) -> set[str]:
    """Return the host names of all units, by default of the one consumer's."""
    units = (unit for app in applications or (CONSUMER,) for unit in cloud.units(app))
    return {cloud.hostname(unit) for unit in units}


def expect_no_member(cloud: protocol.Cloud, application: str = CONSUMER) -> None:
    """Expect that no unit of an application is in a cluster."""
    _expect(
        f"no unit of {application} is a member",
        cloud,
        lambda: (
            f"{unit} is still a member" for unit in cloud.units(application) if cloud.members(unit)
        ),
    )


def is_token(value: str) -> bool:
    """Tell whether a databag's value is a join token: base64 of a JSON object."""
    try:
        return isinstance(json.loads(base64.b64decode(value, validate=True)), dict)
    except (binascii.Error, ValueError):
        return False


def _expect(what: str, cloud: protocol.Cloud, problems: Callable[[], Iterator[str]]) -> None:
    found: list[str] = []

    def seen() -> bool:
        found[:] = problems()
        return not found

    try:
        cloud.eventually(what, seen)
    except AssertionError as error:
        raise AssertionError(f"{'; '.join(found)}\n{error}") from None


@dataclasses.dataclass(frozen=True)
class _View:
    """Looks at a cloud for what keeps it from being one cluster with nothing left to do."""

    cloud: protocol.Cloud
    applications: Collection[str]
    distributor: str
    earlier: Collection[str]
    lost: Collection[str]

    def problems(self) -> Iterator[str]:
        """Say what is not as it has to be, unit by unit."""
        names = {unit: self.cloud.hostname(unit) for unit in self._consumers()}
        # What is wrong there is often the cause of what is wrong elsewhere, so it comes first.
        if self.distributor not in self.earlier:
            for application in self.applications:
                yield from self._distributor_bags(application, set(names.values()))
            if any(unit.partition("/")[0] not in self.earlier for unit in names):
                # Only a member can tell that who left is no longer in the cluster.
                yield from self._left()
        for unit, name in names.items():
            yield from self._membership(unit, name, set(names.values()))
        for unit in names:
            if unit.partition("/")[0] not in self.earlier:
                yield from self._consumer_bag(unit)
        for unit in [*names, *self._living(self.distributor)]:
            status, message = self.cloud.status(unit)
            if status != "active":
                yield f"{unit} is {status}: {message!r}"

    def _consumers(self) -> list[str]:
        return [unit for application in self.applications for unit in self._living(application)]

    def _living(self, application: str) -> list[str]:
        return [unit for unit in self.cloud.units(application) if unit not in self.lost]

    def _membership(self, unit: str, name: str, expected: set[str]) -> Iterator[str]:
        members = self.cloud.members(unit)
        if not members:
            yield f"{unit} ({name}) is no member of any cluster"
            return
        listed = {member.name for member in members}
        for other in sorted(listed - expected):
            yield f"{unit} lists {other}, which no unit is: a ghost that nobody has removed"
        for other in sorted(expected - listed):
            yield f"{unit} does not list {other}, which is in no cluster or in another"
        for member in members:
            if not member.online:
                yield f"{unit} lists {member.name} as not online"

    def _consumer_bag(self, unit: str) -> Iterator[str]:
        bag = self.cloud.bag(unit, self.distributor)
        if bag.get("member") != "true":
            yield f"{unit} does not say that it is a member"
        yield from self._leftovers(unit, bag, ("hold", "gone", "failed"))

    def _distributor_bags(self, application: str, expected: set[str]) -> Iterator[str]:
        leads = self.cloud.leader(self.distributor)
        if leads is None:
            yield f"no unit of {self.distributor} leads"
            return
        decided = self.cloud.bag(self.distributor, application)
        if decided.get("leader", "") != leads.rpartition("/")[2]:
            yield f"{leads} leads, and does not say so to {application}: it has not taken over"
        for word in sorted(decided.get("waiting", "").split()):
            name = word.partition("=")[0]
            issued = self._issued(name)
            yield f"{self.distributor} publishes to {application} that {name} waits{issued}"
        for key in sorted(decided.keys() & {"hold", "bootstrap-host"}):
            yield f"{self.distributor} still publishes {key} to {application}: {decided[key]}"
        if expected and decided.get("formed") != "true":
            yield f"{self.distributor} does not publish to {application} that a cluster is formed"
        carried = self.cloud.bag(leads, application)
        for key in carried:
            if key.startswith("mirror-") and key.removeprefix("mirror-") not in expected:
                yield f"{leads} publishes {key} to {application}, whose unit is gone"
        for unit in self._living(self.distributor):
            yield from self._leftovers(unit, self.cloud.bag(unit, application), ())

    def _issued(self, name: str) -> str:
        """Say who has issued a token that is not published."""
        for unit in self._consumers():
            if is_token(self.cloud.bag(unit, self.distributor).get(f"mirror-{name}", "")):
                return f", and does not mirror the token that {unit} has issued"
        return ""

    def _left(self) -> Iterator[str]:
        for application in self.applications:
            left = self.cloud.bag(self.distributor, application).get("left")
            if left:
                yield f"{self.distributor} still says to {application} that these left: {left}"

    def _is_earlier(self, name: str) -> bool:
        return any(
            self.cloud.hostname(unit) == name
            for application in self.applications
            if application in self.earlier
            for unit in self.cloud.units(application)
        )

    def _leftovers(
        self, unit: str, bag: Mapping[str, str], unwanted: Collection[str]
    ) -> Iterator[str]:
        for key in unwanted:
            if key in bag:
                yield f"{unit} still says {key}: {bag[key]}"
        for key, value in bag.items():
            # An earlier charm never says that it is a member: its token is shown for good.
            if is_token(value) and not self._is_earlier(key.removeprefix("mirror-")):
                yield f"{unit} still has a token in {key}"
