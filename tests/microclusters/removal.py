"""What `remove` does: to another member, to oneself, and to oneself while a member is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.microclusters import commands

if TYPE_CHECKING:
    from tests.microclusters.cluster import Cluster, Member
    from tests.microclusters.commands import Outcome
    from tests.microclusters.fake import FakeMicrocluster
    from tests.microclusters.machine import FakeMachine

# Up to this many members a cluster is left at once, or, while another is down, not at all.
SMALL = 3


def remove(world: FakeMicrocluster, machine: FakeMachine, name: str, *, force: bool) -> Outcome:
    """Run `remove NAME`, with or without `--force`, on a machine."""
    cluster = machine.cluster
    if cluster is None:
        # Not measured: in the words of `add` and `list`.
        return commands.error(commands.AT_ONCE, commands.NOT_INITIALIZED)
    target = cluster.members.get(name)
    if target is None:
        message = f'Error: No remote exists with the given name "{name}"'
        return commands.error(commands.AT_ONCE, message)
    if not machine.has_database(cluster):
        # Measured are the times, and how the message of the one with `--force` ends.
        cost = commands.DEADLINE if force else world.version.no_leader_to_remove
        return commands.error(cost, commands.TIMED_OUT)
    delay = cluster.elect()
    refusal = _refusal(world, cluster, target, force=force)
    if refusal is not None:
        cost, message = refusal
        return commands.error(cost + delay, message)
    dead = cluster.unreachable(besides=target)
    if target is not machine.member:
        return _remove_other(world, cluster, target, dead, delay)
    if dead is not None:
        return _leave_degraded(world, cluster, target, dead)
    return _leave(world, cluster, target, delay)


def unanswered(member: Member) -> str:
    """What a request to a member that cannot be reached ends in, as Go words it."""
    address = member.address
    end = "i/o timeout" if member.machine.drops_packets else "connect: connection refused"
    return f'Post "https://{address}/core/internal": dial tcp {address}: {end}'


def _refusal(
    world: FakeMicrocluster, cluster: Cluster, target: Member, *, force: bool
) -> tuple[float, str] | None:
    """Why a removal is refused, with the seconds until the answer."""
    if len(cluster.members) == 1:
        return commands.AT_ONCE, commands.ONLY_MEMBER
    if all(member.role == "PENDING" for member in cluster.members.values()):
        # From the source; it lasts until the first heartbeat.
        return commands.AT_ONCE, commands.ALL_PENDING
    if not force and len(cluster.members) <= world.needed_after_removal:
        # The wording is a guess.
        return commands.AT_ONCE, f"Error: {world.needed_after_removal} other members are needed"
    if force or target.online:
        return None
    if target.machine.drops_packets:
        return commands.DEADLINE, commands.TIMED_OUT
    return 0.05, f"Error: {unanswered(target)}"


def _remove_other(
    world: FakeMicrocluster, cluster: Cluster, target: Member, dead: Member | None, delay: float
) -> Outcome:
    """Take another member out, by force if it is unreachable."""
    cost = world.version.remove if target.online else world.version.remove_by_force
    cost += delay + (commands.DEADLINE if cluster.silent() else 0.0)
    ghost = target.ghost
    world.take_out(cluster, target)
    if dead is None:
        return commands.done(cost)
    # The hook that follows a removal runs on every member, and the dead one fails it: an error
    # after the fact. Measured for ghosts; for others it follows from the source.
    if ghost:
        cluster.refused_addresses[target.address] = world.rng.random() < world.address_sticks
    return commands.error(cost, f"Error: Failed to run post-remove hook: {unanswered(dead)}")


def _leave(world: FakeMicrocluster, cluster: Cluster, member: Member, delay: float) -> Outcome:
    """Leave a cluster whose other members are all online."""
    slow = len(cluster.members) > SMALL and world.happens(world.version.slow_leave)
    world.take_out(cluster, member)
    cost = (16.0 if slow else world.version.leave) + delay
    if not world.version.cuts_off_leaver:
        return commands.done(cost)
    member.machine.resets_for = world.rng.uniform(0.1, 0.25)
    return commands.error(cost, commands.CUT_OFF)


def _leave_degraded(
    world: FakeMicrocluster, cluster: Cluster, member: Member, dead: Member
) -> Outcome:
    """Try to leave while another member is down."""
    way = "stays"
    if world.version.leaves_while_degraded and len(cluster.members) > SMALL:
        way = world.degraded_leave or world.rng.choice(("stays", "stalls", "slow", "fast"))
    if way == "stalls":
        cluster.stalled_by = dead
    if way in ("stays", "stalls"):
        return commands.error(commands.DEADLINE, commands.TIMED_OUT)
    if member.raft == "voter":
        cluster.pass_vote()
    machine = member.machine
    world.take_out(cluster, member)
    # The daemon has not noticed: it goes on with the database of the others.
    machine.member, machine.cluster, machine.lists_without_itself = member, cluster, True
    return commands.error(16.0 if way == "slow" else commands.REFUSED_BY_PEER, commands.CUT_OFF)
