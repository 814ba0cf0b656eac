"""What must hold after every hook, and what once the faults have stopped."""

from collections.abc import Iterator, Sequence

from microcluster_token_distributor import _wire
from tests.clouds import local
from tests.juju_model import Hook, HookContext, Outcome, Point
from tests.microclusters import fake
from tests.simulation import bags
from tests.simulation import cloud as clouds

# Seconds: an operator's patience. A communicator may run into several limits of its commands.
_LONGEST_HOOK = 1200.0
# Why a hook may fail; also by a lease that is lost in mid-hook.
_REASONS = (*local.GOOD_REASONS, "RelationDataAccessError")


class Violation(BaseException):
    """An invariant does not hold. Raised within a hook, it does not pass for its failure."""


class Invariants:
    """Watches a cloud."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        self._cloud = cloud
        self._juju = cloud.juju
        self._fake = cloud.fake
        self._held_before: dict[str, bool] = {}
        # The members that the last list in its hook has shown to a unit, and those not online.
        self._seen: dict[str, dict[str, fake.Member]] = {}
        self._seen_down: dict[str, dict[str, fake.Member]] = {}
        self._lived: set[int] = set()

    # Around each command

    def at_point(self, context: HookContext) -> None:
        """Note what a unit sees as its hook begins, and check a command that is about to run.

        Raises:
            Violation: it must not.
        """
        unit = context.unit
        if context.point is Point.BEFORE_HOOK:
            self._held_before[unit] = self._sees_hold(unit)
            self._seen[unit] = self._seen_down[unit] = {}
        prefix = len(local.COMMAND)
        if list(context.argv[:prefix]) != local.COMMAND:
            return
        words = context.argv[prefix:]
        cluster = self._cloud.cluster_of(unit)
        if words[0] == "list" and cluster is not None:
            # What it shows for certain: while it runs, other machines' hooks may.
            if context.point is Point.BEFORE_COMMAND:
                self._seen[unit] = dict(cluster.members)
            # By identity: another member of the same name may have joined.
            members = {n: m for n, m in self._seen[unit].items() if cluster.members.get(n) is m}
            # Who is cut off and alone sees itself online.
            down = {n: m for n, m in members.items() if not m.online}
            down.pop(self._cloud.member_name(unit), None)
            if context.point is Point.AFTER_COMMAND:
                down = {name: down[name] for name in down.keys() & self._seen_down[unit].keys()}
            self._seen[unit], self._seen_down[unit] = members, down
        elif context.point is Point.BEFORE_COMMAND:
            self._before_command(unit, words[0], words[1:], cluster)

    def _before_command(
        self, unit: str, verb: str, args: Sequence[str], cluster: fake.Cluster | None
    ) -> None:
        name = self._cloud.member_name(unit)
        # In between, other units' hooks may have run, and the charm reads when it wants to.
        if verb == "join" and self._held_before.get(unit) and self._sees_hold(unit):
            raise Violation(f"{unit} joins though it is told to hold")
        if verb == "add" and self._cloud.consumer != "tolerant" and self._seen_down[unit]:
            down = ", ".join(sorted(self._seen_down[unit]))
            raise Violation(f"{unit} issues a token while {down} is down")
        if verb == "add" and args[0] in {name, *self._seen[unit]}:
            raise Violation(f"{unit} issues a token for {args[0]}, which is a member")
        if verb == "remove" and args[0] != name and cluster and args[0] in cluster.members:
            self._before_removal(unit, cluster.members[args[0]])

    def _before_removal(self, unit: str, member: fake.Member) -> None:
        if member.online:
            raise Violation(f"{unit} removes {member.name}, which is online")
        # Whose last word was that its join failed may have joined all the same, before it went
        # down; nobody can tell it from what a failed join leaves behind.
        # What is published of that may be out of date while nobody leads the distributor.
        waiting = self._cloud.bag(clouds.DISTRIBUTOR).get("waiting", "")
        failed = any(
            "failed" in view.data
            for view in self._juju.bags()
            if view.data.get("hostname") == member.name
        )
        is_there = any(self._juju.host(u) is member.machine for u in self._cloud.units())
        if is_there and not (member.ghost or failed or f"{member.name}=" in waiting):
            raise Violation(f"{unit} removes {member.name}, whose unit is in the model")

    def _sees_hold(self, unit: str) -> bool:
        """Tell whether a unit can see that no newcomer may join."""
        return any(
            self._juju.bag(clouds.DISTRIBUTOR, relation_id=relation).get("hold")
            for relation, seen in self._juju.unit(unit).relations.items()
            if seen.endpoint == local.ENDPOINT
        )

    # After each hook

    def after_hook(self, hook: Hook) -> None:
        """Check all that a hook has left behind.

        Raises:
            Violation: something of it must not be.
        """
        for complaint in bags.complaints(self._juju, hook, self._fake):
            raise Violation(f"{hook}: {complaint}")
        expected = any(reason in hook.error for reason in _REASONS)
        if hook.outcome is Outcome.FAILED and not expected:
            raise Violation(f"{hook}: fails of itself: {hook.error}")
        # Where hooks interleave, one's duration has others' in it.
        if hook.duration > _LONGEST_HOOK and not self._juju.interleave:
            raise Violation(f"{hook} took {hook.duration:.0f} s")
        for cluster in self._fake.clusters:
            others = [other for other in self._fake.clusters if other is not cluster]
            if cluster.number not in self._lived and any(map(self._stays, others)):
                raise Violation(f"a second bootstrap: {cluster!r} beside {others}")
            self._lived.add(cluster.number)

    def _stays(self, cluster: fake.Cluster) -> bool:
        """Tell whether any member is left whose unit is not being removed.

        A cluster of dying units alone ends with them; nobody is to wait for that.
        """
        dying = self._cloud.dying()
        members = cluster.members.items()
        return any(m.machine.member is m and name not in dying for name, m in members)

    # Once the faults have stopped

    def unfinished(self) -> list[str]:
        """Name what is not yet as it has to be in the end."""
        return [*self._cluster_problems(), *self._status_problems(), *self._bag_problems()]

    def _cluster_problems(self) -> Iterator[str]:
        names = self._cloud.member_names()
        living = [cluster for cluster in self._fake.clusters if cluster.lives]
        if len(living) != bool(names):
            yield f"{len(living)} clusters, {len(names)} units"
            return
        for cluster in living:
            members = set(cluster.members)
            yield from (f"{name} is a ghost" for name in sorted(members - set(names.values())))
            yield from (f"{name} is not online" for name in sorted(members - {*cluster.online}))
            for unit, name in sorted(names.items()):
                if name not in members:
                    yield f"{unit} on {name} is no member"

    def _status_problems(self) -> Iterator[str]:
        quiet = self._cloud.units() if self._cloud.consumer == "quiet" else []
        for unit in [*self._cloud.units(), *self._cloud.units(clouds.DISTRIBUTOR)]:
            status = self._juju.status(unit)
            if status.name != ("unknown" if unit in quiet else "active"):
                yield f"{unit} is {status.name}: {status.message}"

    def _bag_problems(self) -> Iterator[str]:
        usable = self._fake.usable_tokens()
        for view in self._juju.bags():
            app, _, unit = view.owner.partition("/")
            if unit and view.owner not in self._juju.units(app):
                continue
            is_distributor = app == clouds.DISTRIBUTOR
            # What one shows that does not lead counts for nobody.
            silent = is_distributor and unit and view.data.get("mirror") != "up"
            for key, value in view.data.items():
                name = key.removeprefix("mirror-")
                if _wire.digest(value) in usable or (self._fake.is_token(value) and not silent):
                    yield f"the bag of {view.owner} still has a token for {name}"
                elif silent or (key == "left" and not self._cloud.units()):
                    continue  # Nobody is there who could report that they are gone.
                elif key in ("hold", "failed", "gone", "left", "waiting", "bootstrap-host"):
                    yield f"the bag of {view.owner} still has {key}"
                elif name != key and is_distributor:
                    yield f"the bag of {view.owner} still mirrors {name}"

    def beyond_help(self) -> bool:
        """Tell whether a cluster has lost its quorum for good, although all machines are up.

        A member was lost, and a newcomer joined before the communicator could tell it to wait: on
        a real microcluster that can cost the quorum, and no charm gets it back.
        """
        return any(
            cluster.ghosts and not cluster.quorum and cluster.unreachable() is not None
            for cluster in self._fake.clusters
            if cluster.lives
        )
