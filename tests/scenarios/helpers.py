"""Steps and expectations that scenarios share.

A failed expectation names each unit that is wrong, and why. It never shows the value of a mirrored
key, for that may be a token.
"""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Iterator, Mapping

from tests.clouds import protocol
from tests.clouds.local import LocalCloud
from tests.clouds.protocol import CONSUMER, DISTRIBUTOR, Cloud

# Steps.


def deploy(
    cloud: Cloud,
    units: int = 3,
    *,
    application: str = CONSUMER,
    distributor: str = DISTRIBUTOR,
    distributors: int = 1,
    consumer_charm: str = CONSUMER,
    distributor_charm: str = DISTRIBUTOR,
) -> None:
    """Deploy a consumer and a distributor, and integrate them."""
    cloud.deploy(consumer_charm, application, units=units)
    cloud.deploy(distributor_charm, distributor, units=distributors)
    cloud.integrate(application, distributor)


def form(
    cloud: Cloud, units: int = 3, *, distributors: int = 1, consumer_charm: str = CONSUMER
) -> None:
    """Deploy and integrate, and expect one cluster, in which each member has its role.

    Until then, it does not survive the loss of the member that has bootstrapped it.
    """
    deploy(cloud, units, distributors=distributors, consumer_charm=consumer_charm)
    expect_whole(cloud)
    first = cloud.units(CONSUMER)[0]
    cloud.eventually(
        "a role for each member",
        lambda: all(member.role != "PENDING" for member in cloud.members(first)),
    )


def form_two(cloud: Cloud, first: int, second: int, *, distributors: int = 1) -> None:
    """Form one cluster of two applications, `first` and `second`, with so many units."""
    cloud.deploy(CONSUMER, "second", units=second)
    deploy(cloud, first, application="first", distributors=distributors)
    cloud.integrate("second", DISTRIBUTOR)
    expect_whole(cloud, "first", "second")


def grow(cloud: Cloud, *, earlier: Collection[str] = (), lost: Collection[str] = ()) -> None:
    """Add a unit to the consumer, and expect one cluster; see `expect_whole`."""
    cloud.add_unit(CONSUMER)
    expect_whole(cloud, earlier=earlier, lost=lost)


def add_newcomer_that_dies_before_its_token(cloud: LocalCloud) -> str:
    """Add a unit whose machine dies once it has published its name; then its token is issued."""
    newcomer = cloud.add_unit(CONSUMER)
    cloud.upon(lambda: cloud.kill_machine(newcomer), unit=newcomer, wrote="hostname")
    key = f"mirror-{cloud.hostname(newcomer)}"
    cloud.eventually(
        f"a token for {newcomer}",
        lambda: _is_token(cloud.bag(leader(cloud), CONSUMER).get(key, "")),
    )
    return newcomer


def kill_leader(cloud: Cloud) -> str:
    """Kill the machine of the distributor's leader, and wait for another; return the former."""
    former = leader(cloud)
    cloud.kill_machine(former)
    cloud.eventually("another leader", lambda: cloud.leader(DISTRIBUTOR) not in (former, None))
    return former


def reboot(cloud: Cloud, unit: str) -> None:
    """Keep a machine down for as long as it takes to remove its member from the cluster."""
    cloud.kill_machine(unit)
    cloud.wait(3)
    cloud.start_machine(unit)
    cloud.wait()


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
    """Return the unit that leads, which has to be there."""
    name = cloud.leader(application)
    assert name is not None, f"no unit of {application} leads"
    return name


def hostnames(cloud: Cloud, *applications: str) -> set[str]:
    """Return the host names of all units, by default of the one consumer's."""
    units = (unit for app in applications or (CONSUMER,) for unit in cloud.units(app))
    return {cloud.hostname(unit) for unit in units}


def _is_token(value: str) -> bool:
    """Tell whether a databag's value is a join token: base64 of a JSON object."""
    try:
        return isinstance(json.loads(base64.b64decode(value, validate=True)), dict)
    except (binascii.Error, ValueError):
        return False


# Expectations.


def _expect(what: str, cloud: Cloud, problems: Callable[[], Iterator[str]]) -> None:
    found: list[str] = []

    def observed() -> bool:
        found[:] = problems()
        return not found

    try:
        cloud.eventually(what, observed)
    except AssertionError as error:
        raise AssertionError(f"{'; '.join(found)}\n{error}") from None


def expect_waiting(cloud: Cloud, newcomer: str, *down: str) -> None:
    """Expect that a unit waits to join for members that are down, and that nothing is harmed."""

    def problems() -> Iterator[str]:
        shows_cause = protocol.Capability.STATUS_NAMES_CAUSE in cloud.capabilities
        for unit in (leader(cloud), *((newcomer,) if shows_cause else ())):
            status, message = cloud.status(unit)
            for name in map(cloud.hostname, down):
                if status != "waiting" or name not in message:
                    yield f"{unit} does not wait for {name}: it is {status}, {message!r}"
        if cloud.members(newcomer):
            yield f"{newcomer} has joined while {', '.join(down)} is down"
        for unit in cloud.units(newcomer.partition("/")[0]):
            if unit not in (newcomer, *down) and not cloud.members(unit):
                yield f"{unit} lists no members: the cluster has lost its quorum"

    _expect(f"{newcomer} waits for {', '.join(down)}", cloud, problems)
    # It goes on waiting, however often it is asked.
    cloud.wait(2)
    found = list(problems())
    assert not found, "; ".join(found)


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
            listed = {member.name for member in cloud.members(unit)}
            if listed != set(names):
                yield f"{unit} lists {', '.join(sorted(listed)) or 'nobody'}"

    _expect(f"{', '.join(units)} list {', '.join(sorted(names))}", cloud, problems)


def expect_status(cloud: Cloud, unit: str, name: str, *words: str) -> None:
    """Expect that a unit has a status, with some words in its message."""
    what = f"{unit} is {name}, with {', '.join(words) or 'any message'}"
    _expect(what, cloud, lambda: _status(cloud, unit, name, *words))


def expect_whole(
    cloud: Cloud,
    *applications: str,
    distributor: str = DISTRIBUTOR,
    earlier: Collection[str] = (),
    lost: Collection[str] = (),
) -> None:
    """Expect that the units, by default of the one consumer, form one cluster and all is done.

    Of `earlier` applications, or distributor, that speak only the old keys only the members are
    expected, and the status. The machines of `lost` units are down, and no members.
    """

    def problems() -> Iterator[str]:
        apps = applications or (CONSUMER,)
        units = [unit for app in apps for unit in cloud.units(app) if unit not in lost]
        distributors = [unit for unit in cloud.units(distributor) if unit not in lost]
        names = {unit: cloud.hostname(unit) for unit in units}
        todays = [unit for unit in units if unit.partition("/")[0] not in earlier]
        bags = [(unit, cloud.bag(unit, distributor)) for unit in todays]
        # What is wrong there is often the cause of what is wrong elsewhere, so it comes first.
        if distributor not in earlier:
            bags += [(unit, cloud.bag(unit, app)) for app in apps for unit in distributors]
            # Only a member can tell that who left is no longer in the cluster.
            done = {"bootstrap-host", "hold", *(["left"] if todays else [])}
            for app in apps:
                yield from _undecided(cloud, distributor, app, set(names.values()), done)
        for unit in units:
            yield from _membership(cloud, unit, set(names.values()))
        # An earlier charm never reports that it is a member: its token is shown for good.
        for_good = {f"mirror-{name}" for unit, name in names.items() if unit not in todays}
        for unit, bag in bags:
            yield from _bag(unit, bag, for_good, is_member=unit in todays)
        for unit in [*units, *distributors]:
            yield from _status(cloud, unit, "active")

    _expect("one cluster of all units, and nothing left to do", cloud, problems)


def _undecided(
    cloud: Cloud, distributor: str, app: str, names: set[str], done: set[str]
) -> Iterator[str]:
    """Yield what a distributor still publishes to an application, or does not yet."""
    leads = cloud.leader(distributor)
    decided = cloud.bag(distributor, app)
    if leads is None or decided.get("leader", "") != leads.rpartition("/")[2]:
        yield f"{leads} leads, and does not publish it to {app}"
    for word in sorted(decided.get("waiting", "").split()):
        yield f"{distributor} publishes to {app} that {word.partition('=')[0]} waits"
    for key in sorted(decided.keys() & done):
        yield f"{distributor} still publishes {key} to {app}: {decided[key]}"
    if names and decided.get("formed") != "true":
        yield f"{distributor} does not publish to {app} that a cluster is formed"
    for key in cloud.bag(leads, app) if leads else ():
        if key.startswith("mirror-") and key.removeprefix("mirror-") not in names:
            yield f"{leads} publishes {key} to {app}, whose unit is gone"


def _membership(cloud: Cloud, unit: str, names: set[str]) -> Iterator[str]:
    members = cloud.members(unit)
    if not members:
        yield f"{unit} is no member of any cluster"
        return
    listed = {member.name for member in members}
    for other in sorted(listed - names):
        yield f"{unit} lists {other}, which no unit is: a ghost that nobody has removed"
    for other in sorted(names - listed):
        yield f"{unit} does not list {other}, which is in no cluster or in another"
    for member in members:
        if not member.online:
            yield f"{unit} lists {member.name} as not online"


def _bag(
    unit: str, bag: Mapping[str, str], for_good: Collection[str], *, is_member: bool
) -> Iterator[str]:
    if is_member and bag.get("member") != "true":
        yield f"{unit} does not report that it is a member"
    for key in bag:
        if key in ("hold", "gone", "failed"):
            yield f"{unit} still reports {key}: {bag[key]}"
        if _is_token(bag[key]) and key not in for_good:
            yield f"{unit} still has a token in {key}"


def _status(cloud: Cloud, unit: str, name: str, *words: str) -> Iterator[str]:
    status, message = cloud.status(unit)
    if status != name or not all(word in message for word in words):
        yield f"{unit} is {status}: {message!r}"
