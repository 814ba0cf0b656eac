"""The hook tools, as `ops` calls them, answered by the model and counted."""

# The mocked backend is private to ops.testing: there is no public seam.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ops
from scenario import mocking

from tests.juju_model import entities, hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.juju_model import running

# Seconds for which `ops` keeps the answer of `is-leader`, since Juju lets a leader rely on it.
_LEASE = 30.0


class Backend(mocking._MockModelBackend):
    """The hook tools of the hook `flight`."""

    flight: running.Running
    _leads = False
    _asked_leader = float("-inf")

    def relation_ids(self, relation_name: str) -> list[int]:
        self.flight.count("relation-ids")
        return sorted(i for i, of in self.flight.locals.items() if of.endpoint == relation_name)

    def relation_list(self, relation_id: int, **_: Any) -> tuple[str, ...]:
        """Return the members that the unit knows: those joined so far, and the one joining."""
        self.flight.count("relation-list")
        remote = self.flight.locals[relation_id].remote
        return tuple(sorted(map(remote.shown, self._members(relation_id))))

    def relation_get(
        self, relation_id: int, member_name: str, *_: Any, **__: Any
    ) -> dict[str, str]:
        """Return a databag, with the hook's own writes in it."""
        self.flight.count("relation-get")
        local = self.flight.locals[relation_id]
        owner = local.remote.real(member_name)
        written = self.flight.writes.get((relation_id, owner), {})
        data = {**self._read(local, owner), **written}
        data = {key: value for key, value in data.items() if value}
        self.flight.count("bytes-read", _size(data))
        return data

    def relation_set(
        self, relation_id: int, data: Mapping[str, str], is_app: bool, **_: Any
    ) -> None:
        """Note changes until the flush."""
        self.flight.strike(hooks.Point.BEFORE_WRITE)
        self.flight.count("relation-set")
        self.flight.count("bytes-written", _size(data))
        owner = self.app_name if is_app else self.unit_name
        self.flight.writes.setdefault((relation_id, owner), {}).update(data)
        self.flight.strike(hooks.Point.AFTER_WRITE)

    def relation_remote_app_name(self, relation_id: int, **options: Any) -> str | None:
        # ops knows the application of the event's own relation from the environment.
        if relation_id != self.flight.due.relation_id:
            self.flight.count("relation-list")
        return super().relation_remote_app_name(relation_id, **options)

    def is_leader(self) -> bool:
        """Whether Juju takes the unit for the leader; asked again after a while, as `ops` does."""
        unit, now = self.flight.unit, self.flight.juju.now
        if now - self._asked_leader > _LEASE:
            self.flight.count("is-leader")
            self._asked_leader = now
            self._leads = unit.app.leader is unit or unit.believes_until > now
        return self._leads

    def status_set(self, status: Any, message: str = "", *, is_app: bool = False) -> None:
        """Set a status, at once."""
        self.flight.count("status-set")
        super().status_set(status, message, is_app=is_app)
        if not is_app:
            self.flight.unit.status = entities.Status(status, message)
            self.flight.unit.status_set = True

    def juju_log(self, level: str, message: str) -> None:
        self.flight.count("juju-log")
        self.flight.hook.logs.append((level, message))

    def network_get(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Return the address of the machine, for each endpoint."""
        self.flight.count("network-get")
        bound = {"value": self.flight.unit.machine.host.address}
        return {"bind-addresses": [{"interface-name": "eth0", "addresses": [bound]}]}

    def _members(self, relation_id: int) -> set[str]:
        due, members = self.flight.due, set(self.flight.locals[relation_id].members)
        if relation_id == due.relation_id and due.remote_unit is not None:
            if due.kind == "relation-joined":
                members.add(due.remote_unit)
            elif due.kind == "relation-departed":
                members.discard(due.remote_unit)
        return members

    def _read(self, local: entities.Local, owner: str) -> Mapping[str, str]:
        relation = local.relation
        is_member = owner in self._members(relation.id)
        gone = not is_member or owner not in relation.present
        if gone and owner in self.flight.juju.unreadable:
            raise ops.ModelError("ERROR permission denied")
        fresh = relation.bags[owner].data
        # A unit keeps what it has read of a member until that member's next event (not measured).
        return local.cache.setdefault(owner, fresh) if is_member else fresh


def _size(data: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) for key, value in data.items())


def _counted(method: str) -> Callable[..., Any]:
    answer: Callable[..., Any] = getattr(mocking._MockModelBackend, method)
    tool = "goal-state" if method == "planned_units" else method.replace("_", "-")

    def counted(self: Backend, *args: Any, **kwargs: Any) -> Any:
        self.flight.count(tool)
        return answer(self, *args, **kwargs)

    return counted


# What `ops.testing` answers by itself.
for _method in vars(mocking._MockModelBackend).keys() - vars(Backend).keys():
    if not _method.startswith("_"):
        setattr(Backend, _method, _counted(_method))
