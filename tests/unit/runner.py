"""A strict fake of `subprocess.run`: a command that no test expects fails the test."""

from __future__ import annotations

import dataclasses
import io
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command prints and how it ends, or the exception that running it raises."""

    returncode: int = 0
    stdout: str = ""
    stderr: str = ""
    error: Exception | None = None


class FakeRunner:
    """Stands in for `subprocess.run`.

    Each command line has a list of answers, given in turn; the last one is given again and again.

    Attributes:
        calls: the command lines that were run, in order.
        timeouts: the time limit of each of them, in seconds.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, ...], list[Answer]] = {}
        self.calls: list[tuple[str, ...]] = []
        self.timeouts: list[float | None] = []

    def expect(self, *argv: str, answers: Sequence[Answer] = (Answer(),)) -> None:
        """Allow a command line, and say how it answers."""
        self._answers[argv] = list(answers)

    def run(self, argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Answer as `subprocess.run` would."""
        line = tuple(argv)
        assert line in self._answers, f"unexpected command: {' '.join(line[:3])}"
        self.calls.append(line)
        self.timeouts.append(kwargs.get("timeout"))
        answers = self._answers[line]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.error is not None:
            raise answer.error
        printed = answer.stdout
        if isinstance(into := kwargs.get("stdout"), io.IOBase):
            into.write(printed.encode())
            printed = ""
        return subprocess.CompletedProcess(line, answer.returncode, printed, answer.stderr)
