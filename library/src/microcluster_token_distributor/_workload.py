"""The workload: what a charm's microcluster is asked to do, and how a unit leaves it.

A `Workload` answers one question, who the members are, and does four things. A `CommandWorkload`
does them by the commands that MicroOVN and its kin share: under a time limit, without a shell, and
what they complain of is reported with tokens cut out.

Leaving. The only member goes, whatever the command says. While another is offline, or there is no
list, and a unit stays, leaving is refused: with the unit goes its vote. Else it is tried, and the
daemon asked until it says so: it may be restarting, and a command that failed may have worked. Who
is still a member fails its hook; where its whole application goes, a limited number of times.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any, Protocol

from microcluster_token_distributor import _membership, _wire

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Collection, Sequence

    import ops

logger = logging.getLogger(__name__)

# Long runs of what tokens, secrets and fingerprints are written in.
_SECRET = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_SETTLE_LIMIT = 5.0  # seconds for which a daemon that may be restarting is asked again


class WorkloadError(Exception):
    """The workload did not do what it was asked to, or cannot tell; the message holds no token."""


class LeaveRefusedError(Exception):
    """The cluster does not let this unit go yet: the `remove` hook fails, and is tried again."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One row of the cluster's own list of members.

    Attributes:
        name: its name, the host name under which it joined.
        role: `voter`, `stand-by`, `spare` or `PENDING`; anything else counts as no voter.
        status: `ONLINE`, in any case, if the cluster reaches it.
    """

    name: str
    role: str
    status: str

    @property
    def online(self) -> bool:
        """Whether the cluster reaches it."""
        return self.status.upper() == "ONLINE"


class Workload(Protocol):
    """A microcluster on this machine, for charms that do not reach it by a `CommandWorkload`.

    Each method raises a `WorkloadError` where it did not work, or where that cannot be told.

    Attributes:
        joins_while_degraded: whether a newcomer may join while a member is offline. On
            microcluster v2 (MicroOVN 24.03) such a join can cost the cluster its quorum for good;
            on v3 (MicroOVN 26.03) it does no harm.
    """

    joins_while_degraded: bool

    def members(self) -> Sequence[Member]:
        """Return the members of the cluster; none if this machine is certainly not in one."""
        ...

    def bootstrap(self, args: Sequence[str]) -> None:
        """Form a cluster of this machine, with what the charm's `bootstrap_args_func` returned."""

    def issue(self, name: str, path: pathlib.Path, args: Sequence[str] = ()) -> None:
        """Issue a join token for a newcomer, and refuse while an earlier one can still be used.

        The path is that of an empty file that only root can read. The token has to be in it at
        once: this process may be killed at any moment, and the cluster issues no other. The
        arguments are what the charm's `add_args_func` returned.
        """

    def join(self, token: str, args: Sequence[str]) -> None:
        """Join the cluster, with what the charm's `join_args_func` returned."""

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        """Remove a member, by `force` where it is not online.

        Where this machine leaves, the arguments are what the charm's `leave_args_func` returned.
        """


class CommandWorkload:
    """A workload with the commands `bootstrap`, `add`, `join`, `list -f json` and `remove`.

    Args:
        command_name: the words before them, such as `["microovn", "cluster"]`.

    Attributes:
        joins_while_degraded: see `Workload`.
        not_a_member: what is searched for in the standard error of `list`: where it is found,
            this machine is certainly not a member.
        list_limit: seconds that `list` and `add` may take; they take 10 s without a quorum.
        remove_limit: seconds that `remove` may take.
        form_limit: seconds that `bootstrap` and `join` may take.
    """

    def __init__(self, command_name: Sequence[str]):
        self.command_name = list(command_name)
        self.joins_while_degraded = False
        self.not_a_member = re.compile(
            r"not (yet )?(been )?(initiali[sz]ed|bootstrapped)"
            r"|(isn't|not) (yet )?part of a cluster",
            re.IGNORECASE,
        )
        self.list_limit = 30.0
        self.remove_limit = 60.0
        self.form_limit = 300.0

    def members(self) -> Sequence[Member]:
        try:
            text = run([*self.command_name, "list", "-f", "json"], self.list_limit)
        except WorkloadError as error:
            if self.not_a_member.search(str(error)):
                return ()
            raise
        try:
            rows = [(row["name"], row.get("role", ""), row["status"]) for row in json.loads(text)]
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            rows = []
        if not rows or not all(isinstance(text, str) for row in rows for text in row):
            raise WorkloadError("its list of members cannot be read")
        return tuple(Member(*row) for row in rows)

    def bootstrap(self, args: Sequence[str]) -> None:
        run([*self.command_name, "bootstrap", *args], self.form_limit)

    def issue(self, name: str, path: pathlib.Path, args: Sequence[str] = ()) -> None:
        run([*self.command_name, "add", name, *args], self.list_limit, into=path)

    def join(self, token: str, args: Sequence[str]) -> None:
        run([*self.command_name, "join", token, *args], self.form_limit, secret=token)

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        options = [*args, *(["--force"] if force else [])]
        run([*self.command_name, "remove", name, *options], self.remove_limit)


class TokenStore:
    """The tokens issued on this machine, each in a file of its own that only root can read.

    A token is on disk before the hook goes on: the cluster issues no other while it can be used,
    so a hook that dies must not lose it.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def issue(self, workload: Workload, name: str, args: Sequence[str] = ()) -> None:
        """Have a token issued, and keep it."""
        path = self.folder / name
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.drop(name)
            path.touch(mode=0o600)
        except OSError as error:
            raise WorkloadError(f"no place to keep a token: {error.strerror}") from None
        workload.issue(name, path, args)
        if not self.all(name):
            raise WorkloadError("it printed no token")

    def all(self, pattern: str = "*") -> dict[str, str]:
        """Return the tokens by host name, those that a pattern names."""
        tokens = {p.name: p.read_text(errors="replace").strip() for p in self.folder.glob(pattern)}
        return {name: token for name, token in tokens.items() if _wire.is_usable_token(token)}

    def drop(self, name: str) -> None:
        """Forget the token for a host name."""
        (self.folder / name).unlink(missing_ok=True)


def run(
    argv: Sequence[str], limit: float, *, secret: str = "", into: pathlib.Path | None = None
) -> str:
    """Run a command for `limit` seconds at most, and return what it printed.

    It is written `into` a file at once, to outlive this process. Complaints lack the `secret`.
    """
    try:
        with into.open("wb") if into else contextlib.nullcontext(subprocess.PIPE) as stdout:
            done: Any = subprocess.run(  # noqa: S603 (no shell, and names are checked)
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                timeout=limit,
                check=False,
            )
    # None of these is its cause: they hold the command line.
    except subprocess.TimeoutExpired:
        raise WorkloadError(f"no answer within {limit:g} s") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "an argument cannot be used")
        raise WorkloadError(f"cannot run {argv[0]}: {reason}") from None
    # In a charm's tests anything may stand in the place of `subprocess.run`.
    output, complaint, code = done.stdout, done.stderr, done.returncode
    if code == 0:
        return str(output or "")
    reason = complaint.strip() if isinstance(complaint, str) else ""
    reason = _SECRET.sub("[cut]", reason.replace(secret, "[cut]") if secret else reason)
    raise WorkloadError(reason or f"exit code {code}")


def ask(
    workload: Workload, names: Collection[str], was_member: bool, confirms: bool
) -> _membership.MembershipReport:
    """Ask who is a member, see `_membership.believe`."""
    try:
        members = workload.members()
    except WorkloadError as error:
        logger.warning("cannot list the members of the cluster: %s", error)
        return _membership.MembershipReport(reason=_summary(error))
    return _membership.believe(members, names, was_member=was_member, confirms=confirms)


def attempt(act: Callable[..., None], *args: Any, **options: Any) -> str:
    """Have the workload do something, and return why it did not; empty if it did."""
    try:
        act(*args, **options)
    except WorkloadError as error:
        return _summary(error)
    return ""


def leave(
    workload: Workload,
    hostname: str,
    app: ops.Application,
    is_shared: bool,
    refusals: pathlib.Path,
    prepare: Callable[[], list[str]],
) -> None:
    """Leave the cluster; `prepare` is called before, and returns arguments for `remove`."""
    answer = _ask_until(workload, hostname, left=False)
    if answer.is_no:
        return
    # Who is added after the first refusal is a newcomer: those that go leave nobody behind.
    is_last = app.planned_units() == 0 or refusals.exists()
    alone, failure = answer.names == frozenset({hostname}), ""
    if is_shared or not is_last:
        failure = answer.reason or _wire.offline_text(answer.offline - {hostname})
    if not failure:
        failure = attempt(workload.remove, hostname, prepare(), force=False)
        again = answer if alone else _ask_until(workload, hostname, left=True)
        if alone or again.is_no:
            logger.info(_wire.ADMIN_EVENT, "cluster_leave", hostname, "has left")
            return
        failure = failure or again.reason or "it is still a member"
    if is_last:
        # A hook that fails keeps nothing but its files. In the ten minutes until the eighth time
        # the other application's members can remove who has gone before.
        with refusals.open("a") as file:
            file.write("x")
            if file.tell() >= (8 if is_shared else 3):
                logger.warning("%s goes without leaving the cluster: %s", hostname, failure)
                return
    raise LeaveRefusedError(f"{hostname} cannot leave the cluster yet: {failure}")


def _ask_until(workload: Workload, hostname: str, *, left: bool) -> _membership.MembershipReport:
    give_up = time.monotonic() + _SETTLE_LIMIT
    while True:
        answer = ask(workload, [hostname], True, True)
        is_sure = answer.is_no if left else bool(answer.members)
        if is_sure or time.monotonic() >= give_up:
            return answer
        time.sleep(0.25)


def _summary(error: Exception) -> str:
    """Return the last line of a complaint, short enough for a status."""
    line = (str(error).strip().splitlines() or [""])[-1].strip()
    return (line if len(line) <= 120 else f"{line[:117]}...") or "no reason given"
