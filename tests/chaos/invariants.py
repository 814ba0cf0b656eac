"""What must hold after every hook, and what once the faults have stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microcluster_token_distributor import _wire
from tests.chaos import bags
from tests.clouds import local, protocol
from tests.juju_model import Outcome, Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.juju_model import Hook, HookContext
    from tests.juju_model.hooks import Write
    from tests.microclusters import fake

# Seconds. Juju itself sets none; an operator's patience does. A communicator may run into several
# limits of its commands in one hook.
_LONGEST_HOOK = 1200.0
# Why a hook may fail: fate too.
# Besides, a unit may lose the lease in mid-hook, and must not read its application's databag then.
_REASONS = ("HookFault", "RelationDataAccessError", *local.GOOD_REASONS)


class Violation(BaseException):
    """An invariant does not hold. Raised within a hook, it does not pass for its failure."""


class Invariants:
    """Watches a cloud.

    Args:
        cloud: the cloud, on a fake microcluster.
        microcluster: that microcluster.
    """

    def __init__(self, cloud: local.LocalCloud, microcluster: fake.FakeMicrocluster):
        self._cloud = cloud
        self._juju = cloud.juju
        self._microcluster = microcluster
        self._held_before: dict[str, bool] = {}
        self._seen_down: dict[str, frozenset[str]] = {}
        self._seen: dict[str, frozenset[str]] = {}
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
        if context.point is Point.BEFORE_HOOK:
            self._held_before[context.unit] = self._sees_hold(context.unit)
            self._seen_down.pop(context.unit, None)
            self._seen.pop(context.unit, None)
            if context.unit.startswith(f"{protocol.DISTRIBUTOR}/"):
                up = self._cloud.bag(context.unit).get("mirror") == "up"
                self._up_before[context.unit] = up and self._counts(context.unit)
        words = self._words(context)
        if not words:
            return
        if context.point is Point.BEFORE_COMMAND:
            self._before_command(context.unit, words)
        elif context.point is Point.AFTER_COMMAND and words[0] == "list":
            self._after_list(context.unit)

    def _after_list(self, unit: str) -> None:
        """Note what a list has shown for certain: while it ran, other machines' hooks may have."""
        cluster = self._cluster_of(unit)
        if cluster is not None and unit in self._seen:
            self._seen_down[unit] &= frozenset(cluster.members) - frozenset(cluster.online)
            self._seen[unit] &= frozenset(cluster.members)

    def _before_command(self, unit: str, words: list[str]) -> None:
        verb = words[0]
        host = self._cloud.hostname(unit)
        cluster = self._cluster_of(unit)
        if verb == "list" and cluster is not None:
            down = frozenset(cluster.members) - frozenset(cluster.online)
            self._seen_down[unit] = down
            self._seen[unit] = frozenset(cluster.members)
        # In between, other units' hooks may have run, and the charm reads when it wants to.
        if verb == "join" and self._held_before.get(unit) and self._sees_hold(unit):
            raise Violation(f"{unit} joins though it is told to hold")
        if verb == "add" and self._seen_down.get(unit):
            down = ", ".join(sorted(self._seen_down[unit]))
            raise Violation(f"{unit} issues a token while {down} is down")
        if verb == "add" and words[1] in {host} | self._seen.get(unit, frozenset()):
            raise Violation(f"{unit} issues a token for {words[1]}, which is a member")
        if verb == "remove" and words[1] != host and cluster is not None:
            member = cluster.members.get(words[1])
            if member is not None and member.online:
                raise Violation(f"{unit} removes {words[1]}, which is online")
            # Whose last word was that its join failed may have joined all the same, before it went
            # down; nobody can tell it from what a failed join leaves behind.
            # What is published of that may be out of date while nobody leads the distributor.
            failed = any("failed" in bag for bag in self._bags_of(words[1]).values())
            failed = failed or f"{words[1]}=" in self._cloud.bag(protocol.DISTRIBUTOR).get(
                "waiting", ""
            )
            if member is not None and not member.ghost and not failed and self._has_unit(member):
                raise Violation(f"{unit} removes {words[1]}, whose unit is in the model")

    # After each hook

    def after_hook(self, hook: Hook) -> None:
        """Check all that a hook has left behind.

        Raises:
            Violation: something of it must not be.
        """
        self._check_secrets(hook)
        self._check_failure(hook)
        self._check_bootstraps()
        # Where hooks interleave, one's duration has others' in it.
        if hook.duration > _LONGEST_HOOK and not self._juju.interleave:
            raise Violation(f"{hook} took {hook.duration:.0f} s")
        if hook.outcome is Outcome.OK and hook.unit.startswith(protocol.DISTRIBUTOR):
            for write in hook.writes:
                self._check_replacement(hook, write)
            self._check_hold(hook)
        for complaint in bags.complaints(self._juju, hook):
            self._bad_bags.append(f"{hook}: {complaint}")

    def _check_secrets(self, hook: Hook) -> None:
        for what, text in self._texts(hook):
            if self._microcluster.shows_token(text):
                raise Violation(f"{hook}: {what} shows a token")

    def _texts(self, hook: Hook) -> Iterator[tuple[str, str]]:
        """Name and give all that a hook leaves behind for people to read, or on a disk."""
        yield from (("a log line", message) for _, message in hook.logs)
        yield "an exception", hook.error
        yield from (
            (write.key, write.new or "")
            for write in hook.writes
            if not write.key.startswith("mirror-")
        )
        if hook.unit in self._juju.units(hook.unit.split("/")[0]):
            unit = self._juju.unit(hook.unit)
            yield "a status", unit.status.message
            yield from (("StoredState", repr(state.content)) for state in unit.stored_states)
            yield from (("a deferred event", repr(event)) for event in unit.deferred)

    def _check_failure(self, hook: Hook) -> None:
        """Check that a hook fails for no other reasons than those that fate has."""
        fated = any(reason in hook.error for reason in _REASONS)
        if hook.outcome is Outcome.FAILED and not fated:
            raise Violation(f"{hook}: fails of itself")

    def _check_bootstraps(self) -> None:
        for cluster in self._microcluster.clusters:
            if cluster.number in self._lived:
                continue
            self._lived.add(cluster.number)
            for other in self._microcluster.clusters:
                if other is not cluster and self._stays(other):
                    raise Violation(f"a second bootstrap: {cluster!r} beside {other!r}")

    def _stays(self, cluster: fake.Cluster) -> bool:
        """Tell whether any member is left whose unit is not being removed.

        A cluster of dying units alone ends with them; nobody is to wait for that.
        """
        dying = {
            self._cloud.hostname(unit)
            for app in self._consumers()
            for unit in self._cloud.units(app)
            if self._juju.unit(unit).dying
        }
        return any(
            member.machine.member is member and not member.machine.destroyed and name not in dying
            for name, member in cluster.members.items()
        )

    def _check_replacement(self, hook: Hook, write: Write) -> None:
        """Check a mirrored value's change against the wire's rules."""
        if not write.key.startswith("mirror-") or write.old in (None, "empty"):
            return
        if not self._up_before.get(hook.unit):
            return  # It takes over, and knows no better than what it reads.
        name = write.key.removeprefix("mirror-")
        said = self._bags_of(name)
        old, new = write.old or "", write.new or ""
        if new == "":
            # Gone: nobody of that name may be left, whose word the distributor could know.
            return
        if new == "empty":
            if not all(map(self._is_there, said)):
                return  # Another unit has the name now.
            raise Violation(f"{hook}: empty replaces a value for {name}")
        if new == "joined":
            if not self._says_member(name):
                raise Violation(f"{hook}: {name} is published as joined, and is no member")
            return
        if old == "joined" or not all(map(self._is_there, said)):
            return  # Another unit has the name now.
        complaints = [bag.get("failed", "") for bag in said.values()]
        # Its unit may have found meanwhile that the value is good after all.
        complaints.append(self._cloud.bag(protocol.DISTRIBUTOR).get("waiting", ""))
        if not any(_wire.digest(old) in complaint for complaint in complaints):
            raise Violation(f"{hook}: a value for {name} is replaced that has not failed")

    def _check_hold(self, hook: Hook) -> None:
        """Check that who is named by the unit that the hook was about is shown to all."""
        unit = hook.remote_unit
        if (
            self._juju.interleave
            or unit is None
            or hook.kind != "relation-changed"
            or self._cloud.leader(protocol.DISTRIBUTOR) != hook.unit
            or hook.unit not in self._cloud.units(protocol.DISTRIBUTOR)
            or unit not in [each for app in self._consumers() for each in self._cloud.units(app)]
        ):
            return
        said, decided = self._cloud.bag(unit), self._cloud.bag(protocol.DISTRIBUTOR)
        if said.get("member") != "true":
            return
        kept_back = set(said.get("hold", "").split()) - set(decided.get("hold", "").split())
        if kept_back:
            raise Violation(f"{hook}: does not show that {', '.join(sorted(kept_back))} is down")

    def _says_member(self, hostname: str) -> bool:
        return any(bag.get("member") == "true" for bag in self._bags_of(hostname).values())

    def _bags_of(self, hostname: str) -> dict[str, Mapping[str, str]]:
        """Return the bags of all units of a host name, those that left included."""
        return {
            view.owner: view.data
            for view in self._juju.bags()
            if "/" in view.owner and view.data.get("hostname") == hostname
        }

    # Once the faults have stopped

    def unfinished(self) -> list[str]:
        """Say what is not yet as it has to be in the end.

        Raises:
            Violation: a databag was not as it has to be at any time.
        """
        if self._bad_bags:
            raise Violation(self._bad_bags[0])
        if not (self._cloud.units(protocol.DISTRIBUTOR) and self._related()):
            return []
        return [
            *self._cluster_problems(),
            *self._status_problems(),
            *self._token_problems(),
            *self._pending_problems(),
        ]

    def _cluster_problems(self) -> list[str]:
        names = self._names()
        living = [cluster for cluster in self._microcluster.clusters if cluster.lives]
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
        return [
            f"{unit} is {': '.join(status)}"
            for app in [*self._consumers(), protocol.DISTRIBUTOR]
            for unit in self._cloud.units(app)
            if (status := self._cloud.status(unit))[0] != "active"
        ]

    def _token_problems(self) -> list[str]:
        usable = self._microcluster.usable_tokens()
        return [
            f"the bag of {view.owner} holds a usable token"
            for view in self._juju.bags()
            if self._is_there(view.owner)
            and any(_wire.digest(value) in usable for value in view.data.values())
        ]

    def _pending_problems(self) -> list[str]:
        names = set(self._names().values())
        problems: list[str] = []
        for view in self._juju.bags():
            said = view.data.get("mirror")
            if not self._is_there(view.owner) or (
                # What one shows that does not lead counts for nobody.
                view.owner.startswith(f"{protocol.DISTRIBUTOR}/") and said != "up"
            ):
                continue
            for key, value in view.data.items():
                if key == "left" and not names:
                    continue  # Nobody is there who could say that they are gone.
                name = key.removeprefix("mirror-")
                if key in ("hold", "failed", "gone", "left", "waiting", "bootstrap-host"):
                    problems.append(f"the bag of {view.owner} still says {key}")
                elif self._microcluster.is_token(value):
                    problems.append(f"the bag of {view.owner} still has a token for {name}")
                elif name != key and view.owner.startswith(protocol.DISTRIBUTOR):
                    problems.append(f"the bag of {view.owner} still mirrors {name}")
        return problems

    def _is_there(self, owner: str) -> bool:
        return "/" not in owner or owner in self._juju.units(owner.split("/")[0])

    def _names(self) -> dict[str, str]:
        """Return the host names of the consumers' units."""
        return {
            unit: self._cloud.hostname(unit)
            for app in self._consumers()
            for unit in self._cloud.units(app)
        }

    def beyond_help(self) -> bool:
        """Tell whether a cluster has lost its quorum for good, although all machines are up.

        A member was lost, and a newcomer joined before the communicator could tell it to wait: on
        a real microcluster that can cost the quorum, and no charm gets it back.
        """
        return any(
            cluster.ghosts and not cluster.quorum and cluster.unreachable() is not None
            for cluster in self._microcluster.clusters
            if cluster.lives
        )

    def _has_unit(self, member: fake.Member) -> bool:
        return any(
            self._juju.host(unit) is member.machine
            for app in self._consumers()
            for unit in self._cloud.units(app)
        )

    def _related(self) -> bool:
        return any(
            self._juju.relation_ids(app, "microcluster-cluster") for app in self._consumers()
        )

    # Helpers

    def _consumers(self) -> list[str]:
        return [app for app in self._juju.apps if not app.startswith(protocol.DISTRIBUTOR)]

    def _cluster_of(self, unit: str) -> fake.Cluster | None:
        machine = self._juju.host(unit)
        for cluster in self._microcluster.clusters:
            member = cluster.members.get(machine.name)
            if member is not None and member.machine is machine:
                return cluster
        return None

    def _sees_hold(self, unit: str) -> bool:
        """Tell whether a unit can see that no newcomer may join."""
        relations = self._juju.relation_ids(unit.split("/")[0], "microcluster-cluster")
        return any(
            self._juju.bag(protocol.DISTRIBUTOR, relation_id=relation).get("hold")
            for relation in relations
            if relation in self._juju.unit(unit).relations
        )

    def _counts(self, unit: str) -> bool:
        """Tell whether a unit of the distributor is the one that mirrors."""
        leader = self._cloud.bag(protocol.DISTRIBUTOR).get("leader")
        return unit.rpartition("/")[2] == leader

    @staticmethod
    def _words(context: HookContext) -> list[str]:
        prefix = len(local.COMMAND)
        argv = list(context.argv)
        return argv[prefix:] if argv[:prefix] == local.COMMAND else []
