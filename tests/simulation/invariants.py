"""What must hold after every hook, and what once the faults have stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microcluster_token_distributor import _wire
from tests.juju_model import Outcome, Point
from tests.simulation import bags
from tests.simulation import cloud as clouds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.juju_model import Hook, HookContext, Write
    from tests.microclusters import fake

# Seconds. Juju itself sets none; an operator's patience does. A communicator may run into several
# limits of its commands in one hook.
_LONGEST_HOOK = 1200.0
# Why a hook may fail: an injected fault, a lease that is lost in mid-hook, a cluster that does not
# let a unit go yet.
_REASONS = ("HookFault", "RelationDataAccessError", "FlushRefused", "LeaveRefusedError")


class Violation(BaseException):
    """An invariant does not hold. Raised within a hook, it does not pass for its failure."""


class Invariants:
    """Watches a cloud."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        self._cloud = cloud
        self._juju = cloud.juju
        self._fake = cloud.fake
        self._held_before: dict[str, bool] = {}
        self._seen_down: dict[str, frozenset[str]] = {}
        self._seen: dict[str, dict[str, fake.Member]] = {}
        self._lived: set[int] = set()
        # Whether what each unit of the distributor mirrored counted when its hook began.
        self._up_before: dict[str, bool] = {}
        # What comes of a databag that does not fit the wire's schema tells more than that it does
        # not, so each is kept until the end.
        self._bad_bags: list[str] = []

    # Around each command

    def at_point(self, context: HookContext) -> None:
        """Note what a unit sees as its hook begins, and check a command that is about to run.

        Raises:
            Violation: it must not.
        """
        unit = context.unit
        if context.point is Point.BEFORE_HOOK:
            self._held_before[unit] = self._sees_hold(unit)
            self._seen_down.pop(unit, None)
            self._seen.pop(unit, None)
            if unit.startswith(f"{clouds.DISTRIBUTOR}/"):
                up = self._cloud.bag(unit).get("mirror") == "up"
                self._up_before[unit] = up and self._counts(unit)
        prefix = len(clouds.COMMAND)
        words = list(context.argv)[prefix:]
        if list(context.argv)[:prefix] != clouds.COMMAND:
            return
        if context.point is Point.BEFORE_COMMAND:
            self._before_command(unit, words)
        elif context.point is Point.AFTER_COMMAND and words[0] == "list":
            # What it has shown for certain: while it ran, other machines' hooks may have.
            cluster = self._cloud.cluster_of(unit)
            if cluster is not None and unit in self._seen:
                self._seen_down[unit] &= frozenset(cluster.members) - {*cluster.online}
                # By identity: another member of the same name may have joined.
                before, after = self._seen[unit], cluster.members
                self._seen[unit] = {n: m for n, m in before.items() if after.get(n) is m}

    def _before_command(self, unit: str, words: list[str]) -> None:
        verb, name = words[0], self._cloud.name(unit)
        cluster = self._cloud.cluster_of(unit)
        if verb == "list" and cluster is not None:
            # Who is cut off and alone sees itself online.
            self._seen_down[unit] = frozenset(cluster.members) - {*cluster.online, name}
            self._seen[unit] = dict(cluster.members)
        # In between, other units' hooks may have run, and the charm reads when it wants to.
        if verb == "join" and self._held_before.get(unit) and self._sees_hold(unit):
            raise Violation(f"{unit} joins though it is told to hold")
        if verb == "add" and self._cloud.consumer != "tolerant" and self._seen_down.get(unit):
            down = ", ".join(sorted(self._seen_down[unit]))
            raise Violation(f"{unit} issues a token while {down} is down")
        if verb == "add" and words[1] in {name, *self._seen.get(unit, ())}:
            raise Violation(f"{unit} issues a token for {words[1]}, which is a member")
        if verb == "remove" and words[1] != name and cluster is not None:
            self._before_removal(unit, cluster.members.get(words[1]))

    def _before_removal(self, unit: str, member: fake.Member | None) -> None:
        if member is None:
            return
        if member.online:
            raise Violation(f"{unit} removes {member.name}, which is online")
        # Whose last word was that its join failed may have joined all the same, before it went
        # down; nobody can tell it from what a failed join leaves behind.
        # What is published of that may be out of date while nobody leads the distributor.
        waiting = self._cloud.bag(clouds.DISTRIBUTOR).get("waiting", "")
        failed = any("failed" in bag for bag in self._bags_of(member.name).values())
        is_there = any(self._juju.host(u) is member.machine for u in self._cloud.units())
        if is_there and not (member.ghost or failed or f"{member.name}=" in waiting):
            raise Violation(f"{unit} removes {member.name}, whose unit is in the model")

    # After each hook

    def after_hook(self, hook: Hook) -> None:
        """Check all that a hook has left behind.

        Raises:
            Violation: something of it must not be.
        """
        for what, text in self._texts(hook):
            if self._fake.shows_token(text):
                raise Violation(f"{hook}: {what} shows a token")
        expected = any(reason in hook.error for reason in _REASONS)
        if hook.outcome is Outcome.FAILED and not expected:
            raise Violation(f"{hook}: fails of itself: {hook.error}")
        self._check_bootstraps()
        # Where hooks interleave, one's duration has others' in it.
        if hook.duration > _LONGEST_HOOK and not self._juju.interleave:
            raise Violation(f"{hook} took {hook.duration:.0f} s")
        if hook.outcome is Outcome.OK and hook.unit.startswith(f"{clouds.DISTRIBUTOR}/"):
            for write in hook.writes:
                self._check_replacement(hook, write)
            self._check_hold(hook)
        complaints = bags.complaints(self._juju, hook)
        self._bad_bags += [f"{hook}: {complaint}" for complaint in complaints]

    def _texts(self, hook: Hook) -> Iterator[tuple[str, str]]:
        """Name and give all that a hook leaves behind for people to read, or on a disk."""
        yield from (("a log line", message) for _, message in hook.logs)
        yield "an exception", hook.error
        for write in hook.writes:
            if not write.key.startswith("mirror-"):
                yield write.key, write.new or ""
        if self._cloud.is_there(hook.unit):
            unit = self._juju.unit(hook.unit)
            yield "a status", unit.status.message
            yield from (("StoredState", repr(state.content)) for state in unit.stored_states)
            yield from (("a deferred event", repr(event)) for event in unit.deferred)

    def _check_bootstraps(self) -> None:
        for cluster in self._fake.clusters:
            if cluster.number not in self._lived:
                self._lived.add(cluster.number)
                for other in self._fake.clusters:
                    if other is not cluster and self._stays(other):
                        raise Violation(f"a second bootstrap: {cluster!r} beside {other!r}")

    def _stays(self, cluster: fake.Cluster) -> bool:
        """Tell whether any member is left whose unit is not being removed.

        A cluster of dying units alone ends with them; nobody is to wait for that.
        """
        dying = self._cloud.dying()
        return any(
            member.machine.member is member and not member.machine.destroyed and name not in dying
            for name, member in cluster.members.items()
        )

    def _check_replacement(self, hook: Hook, write: Write) -> None:
        """Check a mirrored value's change against the wire's rules."""
        old, new, name = write.old or "", write.new or "", write.key.removeprefix("mirror-")
        if name == write.key or old in ("", "empty") or not self._up_before.get(hook.unit):
            return  # It takes over, and knows no better than what it reads.
        reported = self._bags_of(name)
        if new == "":
            return  # Nobody of that name may be left, whose report the distributor could know.
        if new == "joined":
            if not any(bag.get("member") == "true" for bag in reported.values()):
                raise Violation(f"{hook}: {name} is published as joined, and is no member")
            return
        if not all(map(self._cloud.is_there, reported)):
            return  # Another unit has the name now.
        if new == "empty":
            raise Violation(f"{hook}: empty replaces a value for {name}")
        complaints = [bag.get("failed", "") for bag in reported.values()]
        # Its unit may have found meanwhile that the value is good after all.
        complaints.append(self._cloud.bag(clouds.DISTRIBUTOR).get("waiting", ""))
        if old != "joined" and not any(_wire.digest(old) in each for each in complaints):
            raise Violation(f"{hook}: a value for {name} is replaced that has not failed")

    def _check_hold(self, hook: Hook) -> None:
        """Check that who is named by the unit that the hook was about is shown to all."""
        if (
            self._juju.interleave
            or hook.kind != "relation-changed"
            or hook.remote_unit not in self._cloud.units()
            or self._juju.leader(clouds.DISTRIBUTOR) != hook.unit
        ):
            return
        reported, decided = self._cloud.bag(hook.remote_unit), self._cloud.bag(clouds.DISTRIBUTOR)
        hidden = set(reported.get("hold", "").split()) - set(decided.get("hold", "").split())
        if hidden and reported.get("member") == "true":
            raise Violation(f"{hook}: does not show that {', '.join(sorted(hidden))} is down")

    # Once the faults have stopped

    def unfinished(self) -> list[str]:
        """Name what is not yet as it has to be in the end.

        Raises:
            Violation: a databag was not as it has to be at any time.
        """
        if self._bad_bags:
            raise Violation(self._bad_bags[0])
        return [
            *self._cluster_problems(),
            *self._status_problems(),
            *self._token_problems(),
            *self._pending_problems(),
        ]

    def _cluster_problems(self) -> list[str]:
        names = self._cloud.names()
        living = [cluster for cluster in self._fake.clusters if cluster.lives]
        if len(living) != bool(names):
            return [f"{len(living)} clusters, {len(names)} units"]
        problems: list[str] = []
        for cluster in living:
            members = set(cluster.members)
            problems += [f"{name} is a ghost" for name in sorted(members - set(names.values()))]
            problems += [f"{name} is not online" for name in sorted(members - set(cluster.online))]
            problems += [
                f"{unit} on {name} is no member"
                for unit, name in sorted(names.items())
                if name not in members
            ]
        return problems

    def _status_problems(self) -> list[str]:
        quiet = self._cloud.units() if self._cloud.consumer == "quiet" else []
        return [
            f"{unit} is {status.name}: {status.message}"
            for unit in [*self._cloud.units(), *self._cloud.distributors()]
            if (status := self._juju.status(unit)).name
            != ("unknown" if unit in quiet else "active")
        ]

    def _token_problems(self) -> list[str]:
        usable = self._fake.usable_tokens()
        return [
            f"the bag of {view.owner} holds a usable token"
            for view in self._juju.bags()
            if self._cloud.is_there(view.owner)
            and any(_wire.digest(value) in usable for value in view.data.values())
        ]

    def _pending_problems(self) -> list[str]:
        problems: list[str] = []
        for view in self._juju.bags():
            is_distributor = view.owner.startswith(clouds.DISTRIBUTOR)
            # What one shows that does not lead counts for nobody.
            silent = is_distributor and "/" in view.owner and view.data.get("mirror") != "up"
            if silent or not self._cloud.is_there(view.owner):
                continue
            for key, value in view.data.items():
                if key == "left" and not self._cloud.units():
                    continue  # Nobody is there who could report that they are gone.
                name = key.removeprefix("mirror-")
                if key in ("hold", "failed", "gone", "left", "waiting", "bootstrap-host"):
                    problems.append(f"the bag of {view.owner} still has {key}")
                elif self._fake.is_token(value):
                    problems.append(f"the bag of {view.owner} still has a token for {name}")
                elif name != key and is_distributor:
                    problems.append(f"the bag of {view.owner} still mirrors {name}")
        return problems

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

    # Helpers

    def _bags_of(self, hostname: str) -> dict[str, Mapping[str, str]]:
        """Return the bags of all units of a host name, those that left included."""
        return {
            view.owner: view.data
            for view in self._juju.bags()
            if "/" in view.owner and view.data.get("hostname") == hostname
        }

    def _sees_hold(self, unit: str) -> bool:
        """Tell whether a unit can see that no newcomer may join."""
        return any(
            self._juju.bag(clouds.DISTRIBUTOR, relation_id=relation).get("hold")
            for relation, seen in self._juju.unit(unit).relations.items()
            if seen.endpoint == clouds.ENDPOINT
        )

    def _counts(self, unit: str) -> bool:
        """Tell whether a unit of the distributor is the one that mirrors."""
        return unit.rpartition("/")[2] == self._cloud.bag(clouds.DISTRIBUTOR).get("leader")
