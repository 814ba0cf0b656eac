"""Hooks: one that may run, one that runs, one that ran; and how they are made to fail.

Databags carry join tokens, so nothing here shows a value or a long word of a command line in a
`repr` or a `str`: only keys and short words.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_WORD = 24


def _brief(words: Sequence[str]) -> str:
    """Join words, without those that are long enough to be a secret."""
    return " ".join(word if len(word) <= _LONGEST_WORD else "..." for word in words)


class HookFault(BaseException):
    """Raised by a fault injector to let the hook fail there. No charm can catch it by accident."""


class AgentKilled(BaseException):
    """Raised by a fault injector to let the unit's agent die there; it starts again at once."""


class HookFailed(Exception):  # noqa: N818 - named for what happened
    """A hook failed while the model settled."""

    def __init__(self, hook: Hook) -> None:
        super().__init__(f"{hook}\n{hook.error}")
        self.hook = hook


class FlushRefused(Exception):  # noqa: N818 - as above
    """Juju refuses what a hook wrote, all of it."""


class NotSettled(Exception):  # noqa: N818 - as above
    """The model still has hooks to run after as many as were allowed."""


class Point(enum.Enum):
    """Where in a hook a fault can strike."""

    BEFORE_HOOK = "before the hook"
    BEFORE_COMMAND = "before a command"
    AFTER_COMMAND = "after a command"
    BEFORE_WRITE = "before relation-set"
    AFTER_WRITE = "after relation-set"
    BEFORE_FLUSH = "before the flush"
    AFTER_FLUSH = "after the flush"


class Outcome(enum.Enum):
    """How a hook ended."""

    OK = "ok"
    FAILED = "failed"
    KILLED = "killed"


@dataclasses.dataclass
class Due:
    """A hook that may run next.

    Attributes:
        kind: `install`, `relation-joined` and so on; `action` for an action.
        endpoint: the unit's endpoint of the relation, if it is about one.
        remote_unit: the unit on the other side; `None` when the event is about the application.
    """

    unit: str
    kind: str
    relation_id: int | None = None
    endpoint: str = ""
    remote_app: str = ""
    remote_unit: str | None = None
    departing_unit: str | None = None
    action: str = ""

    @property
    def name(self) -> str:
        """The hook's name as Juju gives it."""
        if self.action:
            return f"action {self.action}"
        return f"{self.endpoint}-{self.kind}" if self.endpoint else self.kind

    def __str__(self) -> str:
        about = self.remote_unit or self.remote_app
        relation = "" if self.relation_id is None else f" [{self.relation_id}] {about}"
        return f"{self.unit} {self.name}{relation}"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command that a hook ran on its machine, with its exit code or an exception's name."""

    argv: tuple[str, ...] = dataclasses.field(repr=False)
    returncode: int | None
    error: str = ""

    def __str__(self) -> str:
        return f"{_brief(self.argv)} ({self.error or self.returncode})"


@dataclasses.dataclass(frozen=True)
class Write:
    """One key that a hook changed, once it was flushed; no value is `None`."""

    relation_id: int
    owner: str
    key: str
    old: str | None = dataclasses.field(repr=False)
    new: str | None = dataclasses.field(repr=False)

    def __str__(self) -> str:
        sign = "-" if self.new is None else "+" if self.old is None else "~"
        return f"{self.owner}[{self.relation_id}] {sign}{self.key}"


@dataclasses.dataclass
class Hook(Due):
    """The record of a hook that ran.

    Attributes:
        time: when it started, in seconds of the model's time.
        duration: how long it took.
        writes: what was flushed; nothing when the hook failed before that.
        commands: what it ran on its machine, in order.
        logs: level and message of each line logged, in order.
        error: why it failed, with the traceback.
        tools: how often it called each hook tool, `ops`' own calls included, and the bytes of
            databags that it read and wrote (`bytes-read`, `bytes-written`).
    """

    time: float = 0.0
    duration: float = 0.0
    outcome: Outcome = Outcome.OK
    writes: list[Write] = dataclasses.field(default_factory=list[Write])
    commands: list[Command] = dataclasses.field(default_factory=list[Command])
    logs: list[tuple[str, str]] = dataclasses.field(
        default_factory=list[tuple[str, str]], repr=False
    )
    error: str = dataclasses.field(default="", repr=False)
    tools: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter[str], repr=False
    )

    def __str__(self) -> str:
        parts = [f"{self.time:8.1f}s  {super().__str__()}"]
        if self.outcome is not Outcome.OK:
            reason = self.error.strip().rpartition("\n")[2]
            parts.append(f"{self.outcome.name}: {_brief(reason.split())}")
        if self.commands:
            parts.append("ran " + ", ".join(map(str, self.commands)))
        if self.writes:
            parts.append("wrote " + ", ".join(map(str, self.writes)))
        return "; ".join(parts)


@dataclasses.dataclass
class HookContext:
    """A hook in flight, as a fault injector sees it, with the command line last at hand."""

    point: Point
    hook: Hook
    argv: Sequence[str] = dataclasses.field(default=(), repr=False)

    @property
    def unit(self) -> str:
        return self.hook.unit
