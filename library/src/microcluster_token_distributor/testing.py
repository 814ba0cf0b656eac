"""For the unit tests of a charm with a `TokenConsumer`: a fake workload, and ready-made relations.

It needs `ops[testing]`. The unit under test has the host name of the machine that runs the test.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import ops.testing

from microcluster_token_distributor import _wire, _workload

if not hasattr(ops.testing, "Relation"):
    raise ImportError("this needs microcluster-token-distributor[testing]")

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager


def fake_token(hostname: str) -> str:
    """Return a text in the form of a join token, always the same for a host name."""
    secret = hashlib.sha256(hostname.encode()).hexdigest()
    return base64.b64encode(json.dumps({"secret": secret}).encode()).decode()


class FakeWorkload(_workload.CommandWorkload):
    """A microcluster in memory, which runs no command.

    Args:
        others: the host names of the cluster's other members, all of them online voters.
        is_member: whether this unit is a member already; an attribute, too.

    Attributes:
        others: the other members, a list of `Member`; replace it to have one offline.
        failures: method (`members`, `bootstrap`, `issue`, `join`, `remove`) to error message;
            each of these methods raises a `WorkloadError` with it, and changes nothing.
        calls: all calls but those of `members`, in order: the method, then the host name or the
            token, then further arguments, such as `("join", token, "--address", "192.0.2.1")`.
    """

    def __init__(self, others: Iterable[str] = (), *, is_member: bool = False):
        super().__init__(())
        self.is_member = is_member
        self.others = [_workload.Member(name, "voter", "ONLINE") for name in others]
        self.failures: dict[str, str] = {}
        self.calls: list[tuple[str, ...]] = []

    def installed(self) -> AbstractContextManager[Any]:
        """Return a context in which each `TokenConsumer` with a `command_name` uses this."""
        return mock.patch.object(_workload, "CommandWorkload", return_value=self)

    def members(self) -> Sequence[_workload.Member]:  # noqa: D102 (as the `Workload` has them)
        self._fail_if_told("members")
        own = _workload.Member(_wire.get_hostname(), "voter", "ONLINE")
        return (own, *self.others) if self.is_member else ()

    def bootstrap(self, args: Sequence[str]) -> None:  # noqa: D102
        self._call("bootstrap", *args)
        self.is_member, self.others = True, []

    def issue(self, name: str, path: pathlib.Path, args: Sequence[str] = ()) -> None:  # noqa: D102
        self._call("issue", name, *args)
        path.write_text(fake_token(name))

    def join(self, token: str, args: Sequence[str]) -> None:  # noqa: D102
        self._call("join", token, *args)
        self.is_member = True

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:  # noqa: D102
        self._call("remove", name, *args, *(["--force"] if force else []))
        self.is_member &= name != _wire.get_hostname()
        self.others = [each for each in self.others if each.name != name]

    def _call(self, *call: str) -> None:
        self.calls.append(call)
        self._fail_if_told(call[0])

    def _fail_if_told(self, method: str) -> None:
        if method in self.failures:
            raise _workload.WorkloadError(self.failures[method])


def nothing_yet(endpoint: str = "cluster") -> ops.testing.Relation:
    """Return a relation in which neither side has written anything."""
    return _relation(endpoint, _wire.Report(""), _wire.Published())


def may_bootstrap(endpoint: str = "cluster") -> ops.testing.Relation:
    """Return a relation in which this unit, and no other, may bootstrap the cluster."""
    return _newcomer(endpoint, bootstrap_host=_wire.get_hostname())


def offered_token(endpoint: str = "cluster") -> ops.testing.Relation:
    """Return a relation in which `fake_token(get_hostname())` is published for this unit."""
    name = _wire.get_hostname()
    return _newcomer(endpoint, formed=True, values={name: fake_token(name)})


def held(*offline: str, endpoint: str = "cluster") -> ops.testing.Relation:
    """Return a relation in which this unit may not join, since these members are offline."""
    return _newcomer(endpoint, formed=True, hold=frozenset(offline))


def member(
    endpoint: str = "cluster", *, mirrored: Mapping[str, str] | None = None
) -> ops.testing.Relation:
    """Return a relation in which this unit is a member; `mirrored` has the units' own values."""
    return _member(endpoint, values=mirrored or {})


def asked_for_tokens(*hostnames: str, endpoint: str = "cluster") -> ops.testing.Relation:
    """Return a relation in which this unit is a member, and these newcomers wait for tokens."""
    return _member(endpoint, waiting=dict.fromkeys(hostnames, ""))


def stored_membership(charm: str, endpoint: str = "cluster") -> ops.testing.StoredState:
    """Return what a unit of a charm class stored as it joined; without it, it emits `joined`."""
    owner = f"{charm}/TokenConsumer[{endpoint}]"
    content = {"in_cluster": True, "hostname": _wire.get_hostname()}
    return ops.testing.StoredState("_stored", owner_path=owner, content=content)


def _newcomer(endpoint: str, **published: Any) -> ops.testing.Relation:
    own = _wire.Report("", _wire.get_hostname(), member="false")
    bags = _wire.Published(leader="0", waiting={own.hostname: ""}, **published)
    return _relation(endpoint, own, bags)


def _member(endpoint: str, **published: Any) -> ops.testing.Relation:
    name = _wire.get_hostname()
    own = _wire.Report("", name, member="true", cluster=name)
    return _relation(endpoint, own, _wire.Published(leader="0", formed=True, **published))


def _relation(endpoint: str, own: _wire.Report, bags: _wire.Published) -> ops.testing.Relation:
    return ops.testing.Relation(
        endpoint,
        remote_app_name="distributor",
        local_unit_data=own.to_bag(),
        remote_app_data=bags.to_app_bag(),
        remote_units_data={0: bags.to_unit_bag() if bags.leader else {}},
    )
