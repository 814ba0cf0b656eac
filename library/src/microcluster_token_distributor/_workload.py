"""The workload: what a charm's microcluster is asked to do, and how a command line is made of it.

A `Workload` answers one question, who the members are, and does four things. A `CommandWorkload`
does them by the commands that MicroOVN and its kin share: under a time limit, without a shell, and
what they complain of is reported with tokens cut out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any, Protocol, cast

from microcluster_token_distributor import _wire

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping, Sequence

# Long runs of what tokens, secrets and fingerprints are written in.
_SECRET = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_HOOK_TOOL_LIMIT = 30


class WorkloadError(Exception):
    """The workload did not do what it was asked to, or cannot tell; the message holds no token."""


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

    def issue(self, name: str, path: pathlib.Path) -> None:
        """Issue a join token for a newcomer, and refuse while an earlier one can still be used.

        Args:
            name: the newcomer's host name.
            path: an empty file that only root can read. The token has to be in it as soon as there
                is one: this process may be killed at any moment, and the cluster issues no other.
        """

    def join(self, token: str, args: Sequence[str]) -> None:
        """Join the cluster, with what the charm's `join_args_func` returned."""

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        """Remove a member.

        Args:
            name: its name.
            args: what the charm's `leave_args_func` returned, where this machine leaves.
            force: whether the member is not online.
        """


class CommandWorkload:
    """A workload with the commands `bootstrap`, `add`, `join`, `list -f json` and `remove`.

    Args:
        command_name: the words before them, such as `["microovn", "cluster"]`.

    Attributes:
        command_name: as given.
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
        return parse_members(text)

    def bootstrap(self, args: Sequence[str]) -> None:
        run([*self.command_name, "bootstrap", *args], self.form_limit)

    def issue(self, name: str, path: pathlib.Path) -> None:
        run([*self.command_name, "add", name], self.list_limit, into=path)

    def join(self, token: str, args: Sequence[str]) -> None:
        run([*self.command_name, "join", token, *args], self.form_limit, secrets=[token])

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        options = [*args, *(["--force"] if force else [])]
        run([*self.command_name, "remove", name, *options], self.remove_limit)


def parse_members(text: str) -> tuple[Member, ...]:
    """Read what `list -f json` prints: objects with `name`, `role` and `status`."""
    try:
        rows: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise WorkloadError("its list of members is not JSON") from None
    try:
        texts = [(row["name"], row.get("role", ""), row["status"]) for row in rows]
    except (TypeError, KeyError, AttributeError):
        texts = []
    if not texts or not all(isinstance(text, str) for row in texts for text in row):
        raise WorkloadError("its list of members has an unknown shape")
    return tuple(Member(*row) for row in texts)


class TokenStore:
    """The tokens issued on this machine, each in a file of its own that only root can read.

    A token is on disk before the hook goes on: the cluster issues no other while it can be used,
    so a hook that dies between issuing and publishing must not lose it.
    """

    _NEW = "~"  # ends the name of a file that is being written; no host name ends so

    def __init__(self, folder: pathlib.Path):
        self._folder = folder

    def issue(self, workload: Workload, name: str) -> None:
        """Have a token issued, and keep it."""
        path = self._folder / f"{name}{self._NEW}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
        except OSError as error:
            raise WorkloadError(f"no place to keep a token: {error.strerror}") from None
        workload.issue(name, path)
        if not _wire.is_usable_token(_read(path)):
            path.unlink(missing_ok=True)
            raise WorkloadError("it printed no token")
        path.replace(self._folder / name)

    def all(self) -> dict[str, str]:
        """Return the tokens by host name, those included that a dead hook left behind."""
        for path in self._folder.glob(f"*{self._NEW}"):
            # Nobody knows how the command ended that printed it.
            if _wire.looks_like_token(_read(path)):
                path.replace(path.with_name(path.name[: -len(self._NEW)]))
            else:
                path.unlink()
        tokens = {path.name: _read(path) for path in self._folder.glob("*")}
        return {name: token for name, token in tokens.items() if _wire.is_usable_token(token)}

    def drop(self, name: str) -> None:
        """Forget the token for a host name."""
        (self._folder / name).unlink(missing_ok=True)


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def run(
    argv: Sequence[str],
    limit: float,
    *,
    secrets: Iterable[str] = (),
    into: pathlib.Path | None = None,
) -> str:
    """Run a command for `limit` seconds at most, and return what it printed.

    Args:
        argv: the command line.
        limit: seconds.
        secrets: texts to be cut out of what it complains of.
        into: a file that takes what it prints, at once, so that it outlives this process.
    """
    stdout = subprocess.PIPE  # a negative number
    try:
        if into is not None:
            stdout = os.open(into, os.O_WRONLY | os.O_TRUNC)
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
    except OSError as error:
        raise WorkloadError(f"cannot run {argv[0]}: {error.strerror}") from None
    except ValueError:
        raise WorkloadError("an argument holds a null character") from None
    finally:
        if stdout >= 0:
            os.close(stdout)
    # In a charm's tests anything may stand in the place of `subprocess.run`.
    output, complaint, code = done.stdout, done.stderr, done.returncode
    if code == 0:
        return str(output or "")
    reason = redact(complaint, secrets).strip() if isinstance(complaint, str) else ""
    if isinstance(code, int) and code < 0:
        reason = f"killed by signal {-code}. {reason}".strip()
    raise WorkloadError(reason or f"exit code {code}")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Cut tokens out of a text that is to be logged: the known ones and whatever looks alike."""
    for secret in secrets:
        text = text.replace(secret, "[cut]")
    return _SECRET.sub("[cut]", text)


def goal_statuses(*path: str) -> dict[str, str] | None:
    """Return the statuses in a part of what Juju's `goal-state` says, by name; None if unknown."""
    try:
        part: Any = json.loads(run(["goal-state", "--format=json"], _HOOK_TOOL_LIMIT))
    except (WorkloadError, ValueError, RecursionError):
        return None
    for word in path:
        if not isinstance(part, dict):
            return None
        # What has no rows is left out: an endpoint whose relations are all of other models.
        part = cast("dict[str, Any]", part).get(word, {})
    if not isinstance(part, dict):
        return None
    rows = cast("Mapping[str, Any]", part)
    return {
        name: str(cast("dict[str, Any]", row).get("status", "")) if isinstance(row, dict) else ""
        for name, row in rows.items()
    }
