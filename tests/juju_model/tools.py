"""The hook tools, as `ops` calls them, answered by the model and counted."""

# The mocked backend is private to ops.testing: there is no public seam.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from scenario import mocking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.juju_model import running


class Backend(mocking._MockModelBackend):
    """The hook tools of the hook `flight`."""

    flight: running.Running

    def relation_ids(self, relation_name: str) -> list[int]:
        return self.flight.relation_ids(relation_name)

    def relation_list(self, relation_id: int, **_: Any) -> tuple[str, ...]:
        return self.flight.relation_list(relation_id)

    def relation_get(
        self,
        relation_id: int,
        member_name: str,
        is_app: bool,  # noqa: ARG002 - the name shows it
        **_: Any,
    ) -> dict[str, str]:
        return self.flight.relation_get(relation_id, member_name)

    def relation_set(
        self, relation_id: int, data: Mapping[str, str], is_app: bool, **_: Any
    ) -> None:
        self.flight.relation_set(relation_id, self.app_name if is_app else self.unit_name, data)

    def relation_remote_app_name(self, relation_id: int, **options: Any) -> str | None:
        # ops knows the application of the event's own relation from the environment.
        if relation_id != self.flight.due.relation_id:
            self.flight.count("relation-list")
        return super().relation_remote_app_name(relation_id, **options)

    def is_leader(self) -> bool:
        return self.flight.is_leader()

    def status_set(self, status: Any, message: str = "", *, is_app: bool = False) -> None:
        super().status_set(status, message, is_app=is_app)
        self.flight.status_set(status, message, is_app=is_app)

    def juju_log(self, level: str, message: str) -> None:
        self.flight.log(level, message)

    def network_get(self, binding_name: str, relation_id: int | None = None) -> dict[str, Any]:
        """Return the addresses of the machine for each endpoint."""
        self.flight.count("network-get")
        super().network_get(binding_name, relation_id)
        address = self.flight.unit.machine.host.address
        bound = {"value": address, "address": address, "hostname": "", "cidr": f"{address}/32"}
        return {
            "bind-addresses": [{"interface-name": "eth0", "addresses": [bound]}],
            "egress-subnets": [f"{address}/32"],
            "ingress-addresses": [address],
        }


# What `ops.testing` answers by itself, by the names of the tools that `ops` would run.
_ANSWERED = (
    *("action_fail", "action_get", "action_log", "action_set", "application_version_set"),
    *("close_port", "config_get", "open_port", "opened_ports", "planned_units", "resource_get"),
    *("secret_add", "secret_get", "secret_grant", "secret_info_get", "secret_remove"),
    *("secret_revoke", "secret_set", "status_get", "relation_model_get"),
)


def _counted(method: str) -> Callable[..., Any]:
    answer: Callable[..., Any] = getattr(mocking._MockModelBackend, method)
    tool = "goal-state" if method == "planned_units" else method.replace("_", "-")

    @functools.wraps(answer)
    def counted(self: Backend, *args: Any, **kwargs: Any) -> Any:
        self.flight.count(tool)
        return answer(self, *args, **kwargs)

    return counted


for _method in _ANSWERED:
    setattr(Backend, _method, _counted(_method))
