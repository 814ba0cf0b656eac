"""The cluster as a unit asks it, and as a unit leaves it.

Leaving. The only member goes, whatever the command says. While another is offline, or no list can
be had, and somebody stays by goal-state, leaving is refused before it is tried: with the unit goes
its vote. Else it is tried, and the daemon asked until it says that it worked: it may be
restarting, and the command may have failed all the same. A unit that is still a member fails its
hook; where nobody stays, three times at most.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from microcluster_token_distributor import _membership, _wire, _workload

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_REFUSALS = 3
# Seconds for which a daemon that may be restarting is asked again, and between two questions.
_SETTLE_LIMIT = 5.0
_SETTLE_PAUSE = 0.25


class LeaveRefusedError(Exception):
    """The cluster does not let this unit go yet; the message says why, and holds no token.

    It is raised in the `remove` hook, which thereby fails, and which Juju tries again.
    """


class Cluster:
    """What a unit does with its workload, without raising where that fails."""

    def __init__(self, workload: _workload.Workload, folder: pathlib.Path):
        self._workload = workload
        self._folder = folder
        self.tokens = _workload.TokenStore(folder)

    def ask(
        self, hostname: str, *, was_member: bool, confirms: bool
    ) -> _membership.MembershipReport:
        """Ask who is a member, see `_membership.believe`."""
        try:
            members = self._workload.members()
        except _workload.WorkloadError as error:
            logger.warning("cannot list the members of the cluster: %s", error)
            return _membership.MembershipReport(reason=_summary(error))
        return _membership.believe(members, hostname, was_member=was_member, confirms=confirms)

    @staticmethod
    def attempt(act: Callable[..., None], *args: Any, **options: Any) -> str:
        """Have the workload do something, and return why it did not; empty if it did."""
        try:
            act(*args, **options)
        except _workload.WorkloadError as error:
            return _summary(error)
        return ""

    def leave(self, hostname: str, unit: str, prepare: Callable[[], list[str]]) -> None:
        """Leave the cluster; `prepare` is called before, and returns further arguments."""
        answer = self._ask_until(hostname, lambda answer: bool(answer.members))
        offline = answer.offline - {hostname}
        alone = answer.names == frozenset({hostname})
        if answer.is_no:
            return
        units = {} if alone else _workload.goal_statuses("units")
        dying = {name for name, status in (units or {}).items() if status == "dying"}
        stays = units is None or bool(units.keys() - dying - {unit})
        # The members beyond this application's units may be those of another.
        matters = not alone and (stays or len(answer.members) > len(units or ()))
        if matters and (offline or answer.reason) and (stays or self._refuses()):
            reason = answer.reason or _wire.offline_text(offline)
            raise LeaveRefusedError(f"{hostname} cannot leave the cluster yet: {reason}")
        failure = self.attempt(self._workload.remove, hostname, prepare(), force=False)
        again = answer if alone else self._ask_until(hostname, lambda answer: answer.is_no)
        if alone or again.is_no:
            logger.info("%s has left the cluster", hostname)
        elif stays or self._refuses():
            reason = failure or again.reason or "it is still a member"
            raise LeaveRefusedError(f"{hostname} cannot leave the cluster yet: {reason}")

    def _ask_until(
        self, hostname: str, is_expected: Callable[[_membership.MembershipReport], bool]
    ) -> _membership.MembershipReport:
        give_up = time.monotonic() + _SETTLE_LIMIT
        while True:
            answer = self.ask(hostname, was_member=True, confirms=True)
            if is_expected(answer) or time.monotonic() >= give_up:
                return answer
            time.sleep(_SETTLE_PAUSE)

    def _refuses(self) -> bool:
        """Tell whether to refuse once more. A hook that fails keeps nothing but its files."""
        path = self._folder.with_name(f"{self._folder.name}-refusals")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("x")
            return file.tell() < _REFUSALS


def _summary(error: Exception) -> str:
    """Return the last line of a complaint, short enough for a status."""
    line = (str(error).strip().splitlines() or [""])[-1].strip()
    return (line if len(line) <= 120 else f"{line[:117]}...") or "no reason given"
