"""A fake of the `juju` program: what was called, and what it prints."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Failure(str):
    """What the program prints to its standard error as it fails."""

    __slots__ = ()


class FakeJujuCli:
    """Takes the place of `subprocess.run`.

    Attributes:
        calls: the words of each call, without the program and the model.
        upon: what happens besides in calls of a subcommand.
    """

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.upon: dict[str, Callable[[Sequence[str]], object]] = {}
        self._answers: dict[str, list[str]] = {}

    def answers(self, subcommand: str, *texts: str) -> None:
        """Lay down what a subcommand prints, call by call; the last for all that follow."""
        self._answers[subcommand] = list(texts)

    def called(self, *subcommands: str) -> list[list[str]]:
        """Return the calls of these subcommands."""
        return [call for call in self.calls if call[0] in subcommands]

    def operations(self) -> list[list[str]]:
        """Return the calls that change something."""
        looks = ("debug-log", "exec", "show-unit", "status")
        return [call for call in self.calls if call[0] not in looks]

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Stand in for `subprocess.run`."""
        program, *words = argv
        assert program == "juju", f"nothing else is to be run: {argv}"
        if "--model" in words:
            at = words.index("--model")
            del words[at : at + 2]
        self.calls.append(words)
        self.upon.get(words[0], lambda _: None)(words)
        left = self._answers.get(words[0], [""])
        text = left.pop(0) if len(left) > 1 else left[0]
        done = subprocess.CompletedProcess(argv, 0, text, "")
        if isinstance(text, Failure):
            done = subprocess.CompletedProcess(argv, 1, "", text)
        if options.get("check"):
            done.check_returncode()
        return done
