"""Steps and expectations that scenarios share.

An expectation asks the machines for the cluster's own list of members, and reads databags and
statuses. Its failure names each unit that is wrong, and why. It never shows the value of a
mirrored key, for that may be a token.
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

    from tests.clouds.local import LocalCloud
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER
DISTRIBUTOR = protocol.DISTRIBUTOR


# Steps.


def deploy(
    cloud: Cloud,
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
        consumer_charm: another charm, under the same application name.
        distributor_charm: likewise.
    """
    cloud.deploy(consumer_charm, CONSUMER, units=units)
    cloud.deploy(distributor_charm, DISTRIBUTOR, units=distributors)
    cloud.integrate(CONSUMER, DISTRIBUTOR)


def form(cloud: Cloud, units: int = 3, *, distributors: int = 1, settled: bool = True) -> None:
    """Deploy and integrate, and expect one cluster.

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


def form_two(cloud: Cloud, first: int, second: int, *, distributors: int = 1) -> None:
    """Form one cluster of two applications, `first` and `second`, with so many units."""
    cloud.deploy(CONSUMER, "first", units=first)
    cloud.deploy(CONSUMER, "second", units=second)
    cloud.deploy(DISTRIBUTOR, units=distributors)
    cloud.integrate("first", DISTRIBUTOR)
    cloud.integrate("second", DISTRIBUTOR)
    expect_whole(cloud, "first", "second")


def grow(cloud: Cloud, *, earlier: Collection[str] = (), lost: Collection[str] = ()) -> None:
    """Add a unit to the consumer, and expect one cluster; see `expect_whole`."""
    cloud.add_unit(CONSUMER)
    expect_whole(cloud, earlier=earlier, lost=lost)


def let_newcomer_lead(cloud: LocalCloud, units: int) -> list[str]:
    """Form a cluster, remove its relation, add a unit and make it the leader.

    Returns:
        All units, the newcomer last.
    """
    form(cloud, units)
    cloud.remove_relation(CONSUMER, DISTRIBUTOR)
    cloud.settle()
    newcomer = cloud.add_unit(CONSUMER)
    cloud.settle()
    cloud.juju.set_leader(newcomer)
    return cloud.units(CONSUMER)


def add_sleeping_newcomer(cloud: LocalCloud) -> str:
    """Add a unit whose machine goes down once it has published its name, and issue its token."""
    newcomer = cloud.add_unit(CONSUMER)
    cloud.upon(lambda: cloud.kill_machine(newcomer), unit=newcomer, wrote="hostname")
    expect_token(cloud, newcomer)
    return newcomer


def kill_leader(cloud: Cloud) -> str:
    """Kill the machine of the distributor's leader, and wait for another leader.

    Returns:
        The unit that led.
    """
    former = leader(cloud, DISTRIBUTOR)
    cloud.kill_machine(former)
    expect_another_leader(cloud, former)
    return former


def reboot(cloud: Cloud, unit: str) -> None:
    """Keep a machine down for as long as it takes to remove its member from the cluster."""
    cloud.kill_machine(unit)
    cloud.wait(3)
    cloud.start_machine(unit)
    cloud.wait()


def go_silent(cloud: LocalCloud, unit: str) -> None:
    """Kill a unit's machine, and let it drop packets instead of refusing connections."""
    cloud.kill_machine(unit)
    cloud.machine(unit).drops_packets = True


# Observations.


def communicator(cloud: Cloud, application: str = CONSUMER) -> str:
    """Return the communicator of a cluster whose members are all online."""
    members = cloud.members(cloud.units(application)[0])
    voters = [member.name for member in members if member.role == "voter" and member.online]
    names = voters or [member.name for member in members if member.online]
    return next(unit for unit in cloud.units(application) if cloud.hostname(unit) == min(names))


def another(cloud: Cloud, *units: str) -> str:
    """Return the first other unit of the same application."""
    application = units[0].partition("/")[0]
    return next(unit for unit in cloud.units(application) if unit not in units)


def follower(cloud: Cloud) -> str:
    """Return a consumer's unit that is not the communicator."""
    return another(cloud, communicator(cloud))


def leader(cloud: Cloud, application: str = DISTRIBUTOR) -> str:
    """Return the unit that leads.

    Raises:
        AssertionError: none does.
    """
    name = cloud.leader(application)
    assert name is not None, f"no unit of {application} leads"
    return name


def hostnames(cloud: Cloud, *applications: str) -> set[str]:
    """Return the host names of all units, by default of the one consumer's."""
    units = (unit for app in applications or (CONSUMER,) for unit in cloud.units(app))
    return {cloud.hostname(unit) for unit in units}


def member_names(cloud: Cloud, unit: str) -> set[str]:
    """Return the names of the members that a unit's machine lists."""
    return {member.name for member in cloud.members(unit)}


def is_token(value: str) -> bool:
    """Tell whether a databag's value is a join token: base64 of a JSON object."""
    try:
        return isinstance(json.loads(base64.b64decode(value, validate=True)), dict)
    except (binascii.Error, ValueError):
        return False


# Expectations.


def expect_whole(
    cloud: Cloud,
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
        AssertionError: it does not come to that; with what is wrong, unit by unit.
    """
    whole = _Whole(cloud, applications or (CONSUMER,), distributor, earlier, lost)
    _expect("one cluster of all units, and nothing left to do", cloud, whole.problems)


def expect_waiting(cloud: Cloud, newcomer: str, *down: str) -> None:
    """Expect that a unit waits to join for members that are down, and that nothing is harmed."""

    def problems() -> Iterator[str]:
        for unit in (newcomer, leader(cloud)):
            status, message = cloud.status(unit)
            if (
                unit == newcomer
                and protocol.Capability.STATUS_NAMES_CAUSE not in cloud.capabilities
            ):
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


def _harm(cloud: Cloud, newcomer: str, down: Collection[str]) -> Iterator[str]:
    """Yield what a join while members are down has done, or an attempt at one."""
    if cloud.members(newcomer):
        yield f"{newcomer} has joined while {', '.join(down)} is down"
    for unit in cloud.units(newcomer.partition("/")[0]):
        if unit == newcomer or unit in down:
            continue
        names = member_names(cloud, unit)
        if not names:
            yield f"{unit} lists no members: the cluster has lost its quorum"
        if cloud.hostname(newcomer) in names:
            yield f"{unit} lists {cloud.hostname(newcomer)}, which has not joined"


def expect_hold(cloud: Cloud, *down: str) -> None:
    """Expect that the distributor pauses joins for these units, and for no others."""
    names = {cloud.hostname(unit) for unit in down}
    cloud.eventually(
        f"the distributor pauses joins for {', '.join(down)}",
        lambda: set(cloud.bag(DISTRIBUTOR, CONSUMER).get("hold", "").split()) == names,
    )


def expect_members(cloud: Cloud, units: Collection[str], names: Collection[str]) -> None:
    """Expect that some units list certain members, online or not, and no others."""

    def problems() -> Iterator[str]:
        for unit in units:
            listed = member_names(cloud, unit)
            if listed != set(names):
                yield f"{unit} lists {', '.join(sorted(listed)) or 'nobody'}"

    _expect(f"{', '.join(units)} list {', '.join(sorted(names))}", cloud, problems)


def expect_no_member(cloud: Cloud) -> None:
    """Expect that no unit of the consumer is in a cluster."""

    def problems() -> Iterator[str]:
        for unit in cloud.units(CONSUMER):
            if cloud.members(unit):
                yield f"{unit} is still a member"

    _expect("no unit is a member", cloud, problems)


def expect_status(cloud: Cloud, unit: str, name: str, *words: str) -> None:
    """Expect that a unit has a status, with some words in its message."""

    def problems() -> Iterator[str]:
        status, message = cloud.status(unit)
        if status != name or not all(word in message for word in words):
            yield f"{unit} is {status}: {message!r}"

    _expect(f"{unit} is {name}, with {', '.join(words) or 'any message'}", cloud, problems)


def expect_units(cloud: Cloud, number: int) -> None:
    """Check the number of the consumer's units."""
    units = cloud.units(CONSUMER)
    assert len(units) == number, f"there should be {number} units, and these are left: {units}"


def expect_another_leader(cloud: Cloud, former: str) -> None:
    """Expect that another unit of the distributor leads."""
    cloud.eventually("another leader", lambda: cloud.leader(DISTRIBUTOR) not in (former, None))


def expect_token(cloud: Cloud, newcomer: str) -> None:
    """Expect that the distributor publishes a token for a unit."""
    key = f"mirror-{cloud.hostname(newcomer)}"
    application = newcomer.partition("/")[0]
    cloud.eventually(
        f"a token for {newcomer}",
        lambda: is_token(cloud.bag(leader(cloud), application).get(key, "")),
    )


def _expect(what: str, cloud: Cloud, problems: Callable[[], Iterator[str]]) -> None:
    found: list[str] = []

    def observed() -> bool:
        found[:] = problems()
        return not found

    try:
        cloud.eventually(what, observed)
    except AssertionError as error:
        raise AssertionError(f"{'; '.join(found)}\n{error}") from None


@dataclasses.dataclass(frozen=True)
class _Whole:
    """What keeps a cloud from being one cluster with nothing left to do."""

    cloud: Cloud
    applications: Collection[str]
    distributor: str
    earlier: Collection[str]
    lost: Collection[str]

    def problems(self) -> Iterator[str]:
        """Yield what is wrong, unit by unit."""
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
            yield f"{unit} does not report that it is a member"
        for key in ("hold", "offline", "gone", "failed"):
            if key in bag:
                yield f"{unit} still reports {key}: {bag[key]}"
        yield from self._tokens(unit, bag)

    def _distributor_bags(self, application: str, expected: set[str]) -> Iterator[str]:
        leads = self.cloud.leader(self.distributor)
        if leads is None:
            yield f"no unit of {self.distributor} leads"
            return
        decided = self.cloud.bag(self.distributor, application)
        if decided.get("leader", "") != leads.rpartition("/")[2]:
            yield f"{leads} leads, and does not publish it to {application}"
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
            yield from self._tokens(unit, self.cloud.bag(unit, application))

    def _issued(self, name: str) -> str:
        """Name the unit that has issued a token which is not published."""
        for unit in self._consumers():
            if is_token(self.cloud.bag(unit, self.distributor).get(f"mirror-{name}", "")):
                return f", and does not mirror the token that {unit} has issued"
        return ""

    def _left(self) -> Iterator[str]:
        for application in self.applications:
            left = self.cloud.bag(self.distributor, application).get("left")
            if left:
                yield f"{self.distributor} still publishes left to {application}: {left}"

    def _is_earlier(self, name: str) -> bool:
        return any(
            self.cloud.hostname(unit) == name
            for application in self.applications
            if application in self.earlier
            for unit in self.cloud.units(application)
        )

    def _tokens(self, unit: str, bag: Mapping[str, str]) -> Iterator[str]:
        for key, value in bag.items():
            # An earlier charm never reports that it is a member: its token is shown for good.
            if is_token(value) and not self._is_earlier(key.removeprefix("mirror-")):
                yield f"{unit} still has a token in {key}"
