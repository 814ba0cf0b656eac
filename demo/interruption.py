"""What ends the demonstration from outside, and when it may."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Makes one `KeyboardInterrupt` of the first signal; those after it change nothing.

    Whoever is interrupted cleans up, and a second Ctrl-C must not keep it from that.

    Attributes:
        signum: the signal; None while there was none.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._held = False
        self._before: dict[int, Any] = {}
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> Interruption:
        for signum in SIGNALS:
            self._before[signum] = signal.signal(signum, self._note)
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._drop
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        sys.unraisablehook = self._unraisable

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        if self.signum is not None:
            return
        self.signum = signum
        if not self._held:
            raise KeyboardInterrupt

    def _drop(self, unraisable: sys.UnraisableHookArgs) -> None:
        # Raised in a finaliser, from where nothing can be raised: `check` makes up for it.
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            self._unraisable(unraisable)

    def check(self) -> None:
        """Interrupt whoever was not, because Python dropped the exception in a finaliser.

        Raises:
            KeyboardInterrupt: there was a signal.
        """
        if self.signum is not None and not self._held:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Let nothing interrupt the body, which starts or stops things and has to know which."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
