"""The machines that the model's units live on, as their hooks see them."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence


class Host(Protocol):
    """A machine, which lives and dies with the model's; `tests.microclusters` has some.

    One that has an attribute `real_time`, which is true, has programs that go on while a hook
    sleeps, so that the hook sleeps really.
    """

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str:
        """The IP address of the machine, which all of its endpoints are bound to."""
        ...

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line as `subprocess.run` does, output captured as text."""
        ...

    def kill(self) -> None: ...

    def start(self) -> None: ...

    def destroy(self) -> None: ...


class PlainHost:
    """A machine with nothing installed, for charms without a workload."""

    address = "10.0.0.1"

    def __init__(self, name: str) -> None:
        self.name = name

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None = None,  # noqa: ARG002 - the protocol's
    ) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])

    def kill(self) -> None: ...

    def start(self) -> None: ...

    def destroy(self) -> None: ...
