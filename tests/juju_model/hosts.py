"""The machines that the model's units live on, as their hooks see them."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence


class Host(Protocol):
    """What a hook reaches of its machine; `tests.microclusters.protocol.Machine` is one."""

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


@runtime_checkable
class Powered(Protocol):
    """A host that lives and dies with its Juju machine."""

    def kill(self) -> None: ...

    def start(self) -> None: ...

    def destroy(self) -> None: ...


@runtime_checkable
class RealTime(Protocol):
    """A host whose programs go on while a hook sleeps, which therefore sleeps really."""

    real_time: bool


class PlainHost:
    """A machine with nothing installed, for charms without a workload."""

    def __init__(self, name: str, address: str = "192.0.2.1") -> None:
        self.name = name
        self.address = address

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None = None,  # noqa: ARG002 - the protocol's
    ) -> subprocess.CompletedProcess[str]:
        """Find no such program."""
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
