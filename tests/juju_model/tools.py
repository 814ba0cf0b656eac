"""The hook tools, as `ops` calls them, answered by the model and counted."""

# The mocked backend is private to ops.testing: there is no public seam.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

from scenario import mocking

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence


class HookTools(Protocol):
    """What Juju answers to a hook's tools, what it takes from them, and what the clock says."""

    def count(self, tool: str) -> None:
        """Count a call of a tool that `ops.testing` answers."""
        ...

    def clock(self) -> float:
        """Tell the time, in seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass within the hook."""
        ...

    def relation_ids(self, endpoint: str) -> list[int]:
        """Give the ids of the relations on an endpoint that the unit is in."""
        ...

    def relation_list(self, relation_id: int) -> tuple[str, ...]:
        """Give the members that the unit knows."""
        ...

    def relation_get(self, relation_id: int, owner: str) -> dict[str, str]:
        """Give a unit's or an application's databag."""
        ...

    def relation_set(self, relation_id: int, owner: str, data: Mapping[str, str]) -> None:
        """Note changes of the unit's own databag or its application's, until the flush."""
        ...

    def is_leader(self) -> bool:
        """Tell whether the unit leads."""
        ...

    def status_set(self, name: str, message: str, *, is_app: bool) -> None:
        """Set the unit's or the application's status, at once."""
        ...

    def log(self, level: str, message: str) -> None:
        """Take a line of the log."""
        ...

    def run(
        self, argv: Sequence[str], timeout: float | None, into: int | None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line, be it a hook tool or a program on the unit's machine.

        Its output goes to the file descriptor `into`, if any, whatever becomes of the hook.
        """
        ...


class Backend(mocking._MockModelBackend):
    """The hook tools, answered by the model.

    Attributes:
        tools: what answers them.
        address: the address of the unit's machine.
        event_relation: the relation that the hook is about.
    """

    tools: HookTools
    address: str
    event_relation: int | None

    def relation_ids(self, relation_name: str) -> list[int]:
        """Give the ids of the relations on an endpoint."""
        return self.tools.relation_ids(relation_name)

    def relation_list(
        self,
        relation_id: int,
        *,
        relation_name: str | None = None,
    ) -> tuple[str, ...]:
        """Give the members of a relation."""
        self._get_relation_by_id(relation_id, relation_name)
        return self.tools.relation_list(relation_id)

    def relation_get(
        self,
        relation_id: int,
        member_name: str,
        is_app: bool,  # noqa: ARG002 - the overridden signature; the name tells
        *,
        relation_name: str | None = None,
    ) -> dict[str, str]:
        """Give a databag."""
        self._get_relation_by_id(relation_id, relation_name)
        return self.tools.relation_get(relation_id, member_name)

    def relation_set(
        self,
        relation_id: int,
        data: Mapping[str, str],
        is_app: bool,
        *,
        relation_name: str | None = None,
    ) -> None:
        """Change a databag of the unit's own or its application's."""
        self._get_relation_by_id(relation_id, relation_name)
        owner = self.app_name if is_app else self.unit_name
        self.tools.relation_set(relation_id, owner, data)

    def relation_remote_app_name(
        self,
        relation_id: int,
        *,
        relation_name: str | None = None,
        _raise_on_error: bool = False,
    ) -> str | None:
        """Name the application on the other side."""
        # ops knows the application of the event's own relation from the environment.
        if relation_id != self.event_relation:
            self.tools.count("relation-list")
        return super().relation_remote_app_name(
            relation_id, relation_name=relation_name, _raise_on_error=_raise_on_error
        )

    def is_leader(self) -> bool:
        """Tell whether the unit leads."""
        return self.tools.is_leader()

    def status_set(self, status: Any, message: str = "", *, is_app: bool = False) -> None:
        """Set a status."""
        super().status_set(status, message, is_app=is_app)
        self.tools.status_set(status, message, is_app=is_app)

    def juju_log(self, level: str, message: str) -> None:
        """Take a line of the log."""
        self.tools.log(level, message)

    def network_get(self, binding_name: str, relation_id: int | None = None) -> dict[str, Any]:
        """Give the addresses of an endpoint: those of the machine."""
        self.tools.count("network-get")
        super().network_get(binding_name, relation_id)
        address = self.address
        bound = {"value": address, "address": address, "hostname": "", "cidr": f"{address}/32"}
        return {
            "bind-addresses": [{"interface-name": "eth0", "addresses": [bound]}],
            "egress-subnets": [f"{address}/32"],
            "ingress-addresses": [address],
        }


# What `ops.testing` answers by itself, each with the tool that `ops` would run at that moment.
_ANSWERED = {
    "action_fail": "action-fail",
    "action_get": "action-get",
    "action_log": "action-log",
    "action_set": "action-set",
    "application_version_set": "application-version-set",
    "close_port": "close-port",
    "config_get": "config-get",
    "credential_get": "credential-get",
    "open_port": "open-port",
    "opened_ports": "opened-ports",
    "planned_units": "goal-state",
    "relation_model_get": "relation-model-get",
    "resource_get": "resource-get",
    "secret_add": "secret-add",
    "secret_get": "secret-get",
    "secret_grant": "secret-grant",
    "secret_info_get": "secret-info-get",
    "secret_remove": "secret-remove",
    "secret_revoke": "secret-revoke",
    "secret_set": "secret-set",
    "status_get": "status-get",
    "storage_add": "storage-add",
    "storage_get": "storage-get",
    "storage_list": "storage-list",
}


def _counted(method: str, tool: str) -> Callable[..., Any]:
    answer: Callable[..., Any] = getattr(mocking._MockModelBackend, method)

    @functools.wraps(answer)
    def counted(self: Backend, *args: Any, **kwargs: Any) -> Any:
        self.tools.count(tool)
        return answer(self, *args, **kwargs)

    return counted


for _method, _tool in _ANSWERED.items():
    setattr(Backend, _method, _counted(_method, _tool))
