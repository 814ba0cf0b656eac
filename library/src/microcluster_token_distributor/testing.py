"""For the unit tests of a charm with a `TokenConsumer`: a fake workload, and ready-made relations.

It needs `ops[testing]`. The unit under test is called `HOSTNAME`, on whatever machine tests run.
For another name, give the same `hostname` to the workload, the relation and what is stored.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any
from unittest import mock

import ops.testing

from microcluster_token_distributor import _wire, _workload

if not hasattr(ops.testing, "Relation"):
    raise ImportError("this needs microcluster-token-distributor[testing]")

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Generator, Iterable, Mapping, Sequence

HOSTNAME = "node-0"

_METHODS = ("members", "bootstrap", "issue", "join", "remove")


def fake_token(hostname: str) -> str:
    """Return a text in the form of a join token, always the same for a host name."""
    secret = hashlib.sha256(hostname.encode()).hexdigest()
    return base64.b64encode(json.dumps({"secret": secret}).encode()).decode()


class FakeWorkload(_workload.CommandWorkload):
    """A microcluster in memory, which runs no command.

    Args:
        others: the host names of the cluster's other members, all of them online voters.
        is_member: whether this unit is a member already; an attribute, too.
        hostname: the host name of this unit; an attribute, too.

    Attributes:
        others: the other members, a list of `Member`; replace it to have one offline.
        failures: method (`members`, `bootstrap`, `issue`, `join`, `remove`) to error message;
            each of these methods raises a `WorkloadError` with it, and changes nothing.
        calls: all calls but those of `members`, in order: the method, then the host name or the
            token, then further arguments, such as `("join", token, "--address", "192.0.2.1")`.
    """

    def __init__(
        self, others: Iterable[str] = (), *, is_member: bool = False, hostname: str = HOSTNAME
    ):
        super().__init__(())
        if isinstance(others, str):
            raise TypeError(f"others must be a list of host names, such as [{others!r}]")
        self.is_member = is_member
        self.hostname = hostname
        self.others = [_workload.Member(name, "voter", "ONLINE") for name in others]
        self.failures: dict[str, str] = {}
        self.calls: list[tuple[str, ...]] = []

    @contextlib.contextmanager
    def installed(self) -> Generator[None]:
        """Give the machine this host name, and have each `CommandWorkload` act on this."""
        uname = os.uname_result(["Linux", self.hostname, *os.uname()[2:]])
        methods: dict[str, Any] = {name: getattr(self, name) for name in _METHODS}
        with (
            mock.patch.object(os, "uname", return_value=uname),
            mock.patch.object(_workload, "_SETTLE_LIMIT", 0),  # tests do not wait
            mock.patch.multiple(_workload.CommandWorkload, **methods),
        ):
            yield

    def members(self) -> Sequence[_workload.Member]:  # noqa: D102 (as the `Workload` has them)
        self._fail_if_told("members")
        own = _workload.Member(self.hostname, "voter", "ONLINE")
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
        self.is_member &= name != self.hostname
        self.others = [each for each in self.others if each.name != name]

    def _call(self, *call: str) -> None:
        self.calls.append(call)
        self._fail_if_told(call[0])

    def _fail_if_told(self, method: str) -> None:
        if unknown := self.failures.keys() - _METHODS:
            raise ValueError(f"failures has no method of a workload: {', '.join(unknown)}")
        if method in self.failures:
            raise _workload.WorkloadError(self.failures[method])


def nothing_yet(endpoint: str = "cluster") -> ops.testing.Relation:
    """Return a relation in which neither side has written anything."""
    return _relation(endpoint, _wire.Report(""), _wire.Published())


def may_bootstrap(endpoint: str = "cluster", *, hostname: str = HOSTNAME) -> ops.testing.Relation:
    """Return a relation in which this unit, and no other, may bootstrap the cluster."""
    return _newcomer(endpoint, hostname, bootstrap_host=hostname)


def offered_token(endpoint: str = "cluster", *, hostname: str = HOSTNAME) -> ops.testing.Relation:
    """Return a relation in which `fake_token(hostname)` is published for this unit."""
    values = {hostname: fake_token(hostname)}
    return _newcomer(endpoint, hostname, formed=True, values=values)


def held(
    *offline: str, token: bool = False, endpoint: str = "cluster", hostname: str = HOSTNAME
) -> ops.testing.Relation:
    """Return a relation in which this unit may not join, since these members are offline.

    With `token` there is one for it, which a member issued before. It does not join with it.
    """
    values = {hostname: fake_token(hostname)} if token else {}
    return _newcomer(endpoint, hostname, formed=True, hold=frozenset(offline), values=values)


def member(
    endpoint: str = "cluster", *, mirrored: Mapping[str, str] = {}, hostname: str = HOSTNAME
) -> ops.testing.Relation:
    """Return a relation in which this unit is a member; `mirrored` has the units' own values."""
    return _member(endpoint, hostname, values=mirrored)


def asked_for_tokens(
    *hostnames: str, endpoint: str = "cluster", hostname: str = HOSTNAME
) -> ops.testing.Relation:
    """Return a relation in which this unit is a member, and these newcomers wait for tokens.

    Run `update_status`: in the hooks about a unit of the distributor a member does nothing.
    """
    return _member(endpoint, hostname, waiting=dict.fromkeys(hostnames, ""))


def stored_membership(
    charm: type[ops.CharmBase], endpoint: str = "cluster", *, hostname: str = HOSTNAME
) -> ops.testing.StoredState:
    """Return what a unit of a charm class stored as it joined.

    Without it, the library emits `joined`, and does not leave in the `remove` hook.
    """
    owner = f"{charm.__name__}/TokenConsumer[{endpoint}]"
    content = {"in_cluster": True, "hostname": hostname, "status": "active"}
    return ops.testing.StoredState("_stored", owner_path=owner, content=content)


def _newcomer(endpoint: str, hostname: str, **published: Any) -> ops.testing.Relation:
    own = _wire.Report("", hostname, member="false")
    bags = _wire.Published(leader="0", waiting={hostname: ""}, **published)
    return _relation(endpoint, own, bags)


def _member(endpoint: str, hostname: str, **published: Any) -> ops.testing.Relation:
    own = _wire.Report("", hostname, member="true", cluster=hostname)
    return _relation(endpoint, own, _wire.Published(leader="0", formed=True, **published))


def _relation(endpoint: str, own: _wire.Report, bags: _wire.Published) -> ops.testing.Relation:
    return ops.testing.Relation(
        endpoint,
        remote_app_name="distributor",
        local_unit_data=own.to_bag(),
        remote_app_data=bags.to_app_bag(),
        remote_units_data={0: bags.to_unit_bag() if bags.leader else {}},
    )
