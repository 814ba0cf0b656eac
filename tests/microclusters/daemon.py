"""What a machine's daemon does for each command.

Theory of operation. A newcomer enters the database first, raft second, and is confirmed by every
member last. When a member cannot be reached, the last step of the older release fails and the
first two are not undone: the newcomer stays behind as a *ghost*, possibly one with a vote. The
newer release leaves no ghost, but a member that leaves there has its command cut off.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, NoReturn

from tests.microclusters import commands
from tests.microclusters.cluster import Member
from tests.microclusters.commands import CommandError, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.microclusters.cluster import Cluster
    from tests.microclusters.machine import FakeMachine

# Seconds of a command that changes the members.
_REMOVAL = 0.9

_LABEL = re.compile(r"(?![0-9]+$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

_ONLINE = "Unable to initialize cluster: Database is online"
_CUT_OFF = 'Delete "http://control.socket/core/1.0/cluster": context canceled'
_NAME_TAKEN = """unable to add server to microcluster, name "{}" is taken:
Failed to create "core_token_records" entry: UNIQUE constraint failed: core_token_records.name"""


def execute(machine: FakeMachine, words: Sequence[str]) -> Outcome:
    """Do what a command line asks, if it is one that the real programs have.

    Raises:
        CommandError: the command fails.
    """
    __tracebackhide__ = True  # a failed test must not show the arguments: one may be a token
    _expect_available(machine)
    match words:
        case ["bootstrap", *_]:
            return _bootstrap(machine)
        case ["add", name]:
            return _add(machine, name, 10800.0)
        case ["add", name, "--timeout", seconds]:
            return _add(machine, name, float(seconds))
        case ["join", token, *_]:
            return _join(machine, token)
        case ["list", "-f", "json"]:
            return _list(machine)
        case ["remove", name] | ["remove", name, "--force"]:
            return _remove(machine, name, force="--force" in words)
        case _:
            raise AssertionError(f"{machine.name}: no such command: {words[0]}")


def _expect_available(machine: FakeMachine) -> None:
    if machine.outage:
        raise CommandError(machine.outage)
    if machine.member is not None and not (machine.is_listed or machine.lists_without_itself):
        # It was removed by force while it was off; the older release's ends after 31 s.
        starting = "Database is still starting"
        raise CommandError(starting if machine.world.release.is_v3 else commands.NO_SOCKET)


def _database(machine: FakeMachine, otherwise: CommandError | None = None) -> Cluster:
    """The machine's cluster, if its database answers."""
    cluster = machine.cluster
    if cluster is None:
        # Not measured for `remove`.
        raise CommandError(commands.NOT_INITIALIZED)
    if not cluster.quorum or (machine.drops_packets and len(cluster.members) > 1):
        # Measured is only how the message ends.
        message = f"Failed to begin transaction: {commands.NO_QUORUM}"
        raise otherwise or CommandError(message, machine.world.release.no_leader)
    return cluster


def _bootstrap(machine: FakeMachine) -> Outcome:
    if machine.cluster is not None:
        raise CommandError(_ONLINE)
    cluster = machine.world.establish()
    machine.enter(cluster, Member(machine.name, machine.endpoint, machine, "voter"))
    return Outcome(cost=1.7)


def _add(machine: FakeMachine, name: str, life: float) -> Outcome:
    cluster = _database(machine)
    if not all(map(_LABEL.fullmatch, name.split("."))):
        # Which are refused was measured; the words are LXD's.
        raise CommandError("Name can only contain alphanumeric and hyphen characters")
    if cluster.unsettled:
        cluster.unsettled = False
        raise CommandError("Membership consistency check failed after timeout", 5.02)
    if name in cluster.tokens and cluster.tokens[name].expires > machine.world.now:
        raise CommandError(_NAME_TAKEN.format(name))
    return Outcome(stdout=f"{machine.world.issue(cluster, name, life)}\n", cost=0.025)


def _list(machine: FakeMachine) -> Outcome:
    cluster = _database(machine)
    if cluster.silent(besides=machine.member):
        # The client gives up.
        raise CommandError(commands.TIMED_OUT, commands.DEADLINE)
    rows = [
        {
            "name": member.name,
            "address": member.address,
            "role": member.role,
            "status": _status(machine, cluster, member),
        }
        for member in cluster.members.values()
    ]
    # It asks each member in turn; that this takes 2 ms for each is a guess.
    return Outcome(stdout=f"{json.dumps(rows)}\n", cost=commands.AT_ONCE + 0.002 * len(rows))


def _status(machine: FakeMachine, cluster: Cluster, member: Member) -> str:
    """A member's status, as a machine sees it."""
    reached = member.online or member is machine.member
    if not reached or machine.world.now < cluster.blind_until:
        return "UNREACHABLE"
    return "ONLINE" if member.machine.schema == machine.schema else "NEEDS UPGRADE"


def _join(machine: FakeMachine, text: str) -> Outcome:
    if machine.cluster is not None:
        raise CommandError(_ONLINE)
    try:
        token = json.loads(base64.b64decode(text, validate=True))
    except ValueError:
        raise CommandError(f"illegal base64 data at input byte {len(text) // 4 * 4}") from None
    if machine.drops_packets:
        raise CommandError(commands.TIMED_OUT, commands.DEADLINE)
    cluster = machine.world.reach(token["join_addresses"], token["fingerprint"])
    if cluster is None:
        # What Go prints for an error that nobody set, as the source has it there.
        _reject("%!w(<nil>)")
    if any(member.machine.schema < machine.schema for member in cluster.members.values()):
        raise CommandError("EOF")
    if not cluster.quorum:
        # Not measured: as long as `add` and `list` take, and in their words.
        _reject(commands.NO_QUORUM, machine.world.release.no_leader)
    _use_token(machine, cluster, token["secret"])
    return _enter(machine, cluster)


def _reject(reason: str, cost: float = 0.1) -> NoReturn:
    raise CommandError(f"1 join attempts were unsuccessful. Last error: {reason}", cost)


def _use_token(machine: FakeMachine, cluster: Cluster, secret: str) -> None:
    """Use up the token with which a machine joins, if the cluster lets it in."""
    taken = {member.address for member in cluster.members.values()}
    if machine.endpoint in taken | cluster.refused_addresses:
        _reject(f'Remote with address "{machine.endpoint}" exists')
    name = next((name for name, r in cluster.tokens.items() if r.secret == secret), None)
    if name is None:
        _reject("CoreTokenRecord not found")
    if cluster.tokens[name].expires <= machine.world.now:
        del cluster.tokens[name]
        _reject("Token expired")
    if name != machine.name:
        _reject("Joining server certificate SAN does not contain join token name")
    if name in cluster.members:
        # From the source: the row collides, and the transaction that would use up the token is
        # undone with it.
        _reject('This "core_cluster_members" entry already exists')
    del cluster.tokens[name]


def _enter(machine: FakeMachine, cluster: Cluster) -> Outcome:
    """Become a member, or leave a ghost behind where a member cannot be reached."""
    cost = 1.8 + (commands.DEADLINE if cluster.silent() else 0.0)
    dead, others = cluster.unreachable(), len(cluster.members)
    member = Member(machine.name, machine.endpoint, machine, cluster.role_at_start())
    if dead is None or machine.world.release.is_v3:
        if machine.stays_pending:
            member.raft = None
        machine.enter(cluster, member)
        return Outcome(cost=cost + min(2.2, 0.1 * len(cluster.members)))
    # A ghost. With fewer than three voters alive it took a vote as it started: that is how a
    # cluster of three loses its quorum. Else three roles were seen; `PENDING` is one that raft
    # never knew.
    cluster.members[machine.name] = member
    if member.raft == "voter":
        member.role = "voter"
    else:
        member.role = machine.world.rng.choice(("spare", "PENDING", "voter"))
        member.raft = None if member.role == "PENDING" else member.role
    system = f'new member "{machine.name}" on any existing system ({others})'
    raise CommandError(f"Failed to confirm {system}: {_unanswered(dead)}", cost)


def _unanswered(member: Member) -> str:
    """What a request to a member that cannot be reached ends in, as Go words it."""
    address = member.address
    end = "i/o timeout" if member.machine.drops_packets else "connect: connection refused"
    return f'Post "https://{address}/core/internal": dial tcp {address}: {end}'


def _remove(machine: FakeMachine, name: str, *, force: bool) -> Outcome:
    world = machine.world
    # Measured are the times, and how the message of the one with `--force` ends.
    patience = commands.DEADLINE if force else world.release.no_leader_to_remove
    cluster = _database(machine, CommandError(commands.TIMED_OUT, patience))
    target = cluster.members.get(name)
    if target is None:
        raise CommandError(f'No remote exists with the given name "{name}"')
    _expect_removable(cluster, target, 0 if force else world.needed_after_removal, force=force)
    dead = cluster.unreachable(besides=target)
    if target is not machine.member:
        return _remove_other(cluster, target, dead)
    if dead is not None:
        _leave_degraded(machine, cluster, target, dead)
    _take_out(cluster, target)
    if world.release.is_v3:
        answer = world.rng.choice(("Daemon is shutting down", "EOF", commands.NO_SOCKET))
        machine.outages = [(world.now + _REMOVAL + 0.25, answer)]
        raise CommandError(_CUT_OFF, _REMOVAL)
    return Outcome(cost=_REMOVAL)


def _expect_removable(cluster: Cluster, target: Member, needed: int, *, force: bool) -> None:
    if len(cluster.members) == 1:
        raise CommandError("Cannot leave a cluster with 1 members")
    if len(cluster.members) <= needed:
        # The wording is a guess.
        raise CommandError(f"{needed} other members are needed")
    if not force and not target.online:
        if target.machine.drops_packets:
            raise CommandError(commands.TIMED_OUT, commands.DEADLINE)
        raise CommandError(_unanswered(target))


def _remove_other(cluster: Cluster, target: Member, dead: Member | None) -> Outcome:
    """Take another member out, by force if it is unreachable."""
    cost = _REMOVAL + (commands.DEADLINE if cluster.silent() else 0.0)
    ghost = target.ghost
    _take_out(cluster, target)
    if dead is None:
        return Outcome(cost=cost)
    # The hook that follows a removal runs on every member, and the dead one fails it: an error
    # after the fact. Measured for ghosts; for others it follows from the source.
    if ghost:
        cluster.refused_addresses.add(target.address)
    raise CommandError(f"Failed to run post-remove hook: {_unanswered(dead)}", cost)


def _leave_degraded(
    machine: FakeMachine, cluster: Cluster, member: Member, dead: Member
) -> NoReturn:
    """Try to leave while another member is down."""
    world, way = machine.world, "stays"
    if world.release.is_v3 and len(cluster.members) > 3:
        way = world.degraded_leave or world.rng.choice(("stays", "stalls", "fast"))
    if way == "stalls":
        cluster.stalled_by = dead
    if way in ("stays", "stalls"):
        raise CommandError(commands.TIMED_OUT, commands.DEADLINE)
    if member.raft == "voter":
        cluster.pass_vote()
    _take_out(cluster, member)
    # The daemon has not noticed: it goes on with the database of the others.
    machine.member, machine.cluster, machine.lists_without_itself = member, cluster, True
    raise CommandError(_CUT_OFF, 0.1)


def _take_out(cluster: Cluster, member: Member) -> None:
    world = member.machine.world
    cluster.take_out(member)
    # How often the next `add` is refused is a guess.
    cluster.unsettled = world.release.is_v3 and world.rng.random() < 0.5
