"""Microclusters of real LXD daemons on one host: no container, no storage pool, no network.

Each machine is a daemon with an `LXD_DIR` and a loopback address of its own, in namespaces of its
own for the host name and for mounts. It dies with the process that started it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

from microcluster_token_distributor import WorkloadError
from tests.charms.lxd_cluster.src import lxd_workload
from tests.charms.lxd_cluster.src.lxd_workload import PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMAND = ["lxd-cluster"]
"""The words before the sub-command. It is no program: a machine executes it in this process."""

# Seconds for a fresh daemon to be ready, and for one that is started again, which without a
# quorum never is.
_READY = 60.0
_READY_AGAIN = 5.0
# In memory, for a daemon waits for each of its writes; it takes 26 MB.
_MEMORY = "/dev/shm"  # noqa: S108 - what is made in there has a name of its own
_ROOM = 1 << 30

# The hook engine of the tests replaces these in the module while a hook runs.
_run = subprocess.run
_popen = subprocess.Popen


class LxdError(Exception):
    """A daemon did not do what the tests need of it."""


def available() -> str | None:
    """Say why LXD daemons cannot run here, or return None if they can."""
    if os.geteuid() != 0:
        return "LXD daemons need root"
    lxd = shutil.which("lxd")
    if lxd is None:
        return "there is no `lxd` on PATH; on Debian `apt-get install --no-install-recommends lxd`"
    # Ubuntu has a script of that name, which installs the snap when it is called.
    with pathlib.Path(lxd).open("rb") as file:
        if lxd.startswith("/snap") or file.read(4) != b"\x7fELF":
            return f"{lxd} is the snap's, which runs in one place only; the tests need a package's"
    try:
        _run(_isolated("host", "mount -t tmpfs none /mnt"), capture_output=True, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no namespace with mounts can be had here: {error}"
    return None


def _isolated(name: str, script: str) -> list[str]:
    """The command line of a shell script with its own host name and mounts, which dies with us."""
    isolate = "setpriv --pdeathsig KILL unshare --uts --mount --propagation private"
    return [*isolate.split(), "sh", "-c", f'hostname "$1" && {script}', "sh", name]


class LxdMachine:
    """A machine with an LXD daemon on it.

    Args:
        name: its host name, also the member's name in the cluster.
        directory: a new directory for it, which becomes its `LXD_DIR`.
        before_add: called before a token is issued here.

    Attributes:
        real_time: its daemon goes on while a hook sleeps.
        has_left: whether it has removed itself from its cluster.
        workload: its daemon.
    """

    real_time = True

    def __init__(self, name: str, directory: pathlib.Path, before_add: Callable[[], None]) -> None:
        self.name = name
        # One that no other machine has, or had: a database may know it for a while.
        self.address = str(ipaddress.IPv4Address("127.1.0.0") + secrets.randbelow(1 << 23))
        self.command = COMMAND
        self.has_left = False
        self.workload = lxd_workload.LxdWorkload(directory)
        self._directory = directory
        self._log = directory.with_suffix(".log")
        self._before_add = before_add
        self._daemon: subprocess.Popen[bytes] | None = None
        # Until when it is waited for, by the monotonic clock, and whether it was ever ready.
        self._deadline = 0.0
        self._set_up = False
        directory.mkdir()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LXD_")}
        # LXD leaves a temporary file if it is killed as it starts.
        self._environment = {**clean, "TMPDIR": str(directory), "LXD_DIR": str(directory)}

    @property
    def running(self) -> bool:
        """Whether the daemon runs."""
        return self._daemon is not None and self._daemon.poll() is None

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line as this machine would, output captured as text.

        `COMMAND` has a limit of its own. FileNotFoundError: there is no such program.
        """
        self.come_up()
        if list(argv[:1]) == self.command:
            try:
                return subprocess.CompletedProcess(argv, 0, self._execute(argv[1:]), "")
            except WorkloadError as error:
                return subprocess.CompletedProcess(argv, 1, "", f"Error: {error}\n")
        return _run(
            list(argv),
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def _execute(self, words: Sequence[str]) -> str:
        """Carry out a sub-command of a microcluster, and return what it prints."""
        address = ["--address", self.address]
        match words:
            case ["bootstrap", *args]:
                self.workload.bootstrap(args or address)
                # The least that LXD accepts. Outside a cluster LXD 5.0 panics at it.
                config = {"cluster.offline_threshold": "11"}
                self.workload.ask("PATCH", "/1.0", {"config": config})
                self.has_left = False
            # LXD can set the life of all tokens, but not of one.
            case ["add", name] | ["add", name, "--timeout", _]:
                self._before_add()
                with tempfile.NamedTemporaryFile("r") as file:
                    self.workload.issue(name, pathlib.Path(file.name))
                    return f"{file.read()}\n"
            case ["join", token, *args]:
                self.workload.join(token, args or address)
                self.has_left = False
            case ["list", "-f", "json"]:
                members = self.workload.members()
                if not members:
                    raise WorkloadError("LXD is not part of a cluster")
                return json.dumps([dataclasses.asdict(member) for member in members])
            case ["remove", name] | ["remove", name, "--force"]:
                self.workload.remove(name, (), force="--force" in words)
                self.has_left = name == self.name
            case _:
                raise WorkloadError(f"{words[:1]} cannot be called like this")
        return ""

    def start(self) -> None:
        """Start the daemon with what data it has.

        Whoever then makes use of the machine waits until it is ready; so several start at once.
        """
        with self._log.open("ab") as log:
            self._daemon = _popen(
                _isolated(self.name, "exec lxd --group root"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._deadline = time.monotonic() + (_READY_AGAIN if self._set_up else _READY)

    def come_up(self) -> None:
        """Wait for a daemon that was just started; LxdError if a fresh one does not get ready."""
        while self._deadline:
            with contextlib.suppress(WorkloadError):
                self.workload.ask("GET", "/1.0")
                self._set_up, self._deadline = True, 0.0
                return
            if not self.running or time.monotonic() > self._deadline:
                self._deadline = 0.0
                if not self._set_up:
                    last_words = self._log.read_text(errors="replace").splitlines()[-10:]
                    raise LxdError("\n".join([f"{self.name}: no daemon", *last_words]))
            time.sleep(0.01)

    def kill(self) -> None:
        """Let the machine die at once, with all that runs on it. Its data survives."""
        self._deadline = 0.0
        if self._daemon is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._daemon.pid, signal.SIGKILL)
            self._daemon.wait()

    def destroy(self) -> None:
        """Take the machine away with its data."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def drop_raft_node(self, address: str) -> None:
        """Drop a former member from the database's own members, if this machine leads it."""
        # After a minute LXD has certainly given up giving it a role.
        for _ in range(120):
            try:
                self.workload.ask("DELETE", f"/internal/cluster/raft-node/{address}")
            except WorkloadError as error:
                if "configuration change is already in progress" in str(error):
                    time.sleep(0.5)
                    continue
            return


class LxdMicrocluster:
    """Machines with LXD daemons, among which clusters form.

    Raises:
        LxdError: no LXD daemon can run here; the reason is that of `available`.
    """

    def __init__(self) -> None:
        reason = available()
        if reason:
            raise LxdError(reason)
        fits = "TMPDIR" not in os.environ and shutil.disk_usage(_MEMORY).free > _ROOM
        self._directory = tempfile.TemporaryDirectory(
            prefix="lxd-machines-", dir=_MEMORY if fits else None, ignore_cleanup_errors=True
        )
        self._machines: list[LxdMachine] = []

    def add_machine(self, name: str) -> LxdMachine:
        """Bring up a fresh machine with an unclustered daemon; several may have one name."""
        directory = pathlib.Path(self._directory.name) / str(len(self._machines))
        machine = LxdMachine(name, directory, self._drop_raft_nodes)
        self._machines.append(machine)
        machine.start()
        return machine

    def _drop_raft_nodes(self) -> None:
        """See that no newcomer hangs because a machine that led the database has left.

        Once in ten times LXD 5.0 leaves that machine among the database's members, and for 50 s
        tries to give it a role; whoever joins meanwhile hangs, and is half joined for good.
        """
        gone = [f"{machine.address}:{PORT}" for machine in self._machines if machine.has_left]
        for machine in self._machines:
            if machine.running and not machine.has_left:
                for address in gone:
                    machine.drop_raft_node(address)

    def expire_tokens(self) -> None:
        """Revoke all unused join tokens, which to LXD is the same: its clock is the host's."""
        for machine in self._machines:
            if machine.running:
                machine.come_up()
                operations = machine.workload.ask("GET", "/1.0/operations?recursion=1")
                for operation in operations.get("running", ()):
                    if operation["class"] == "token":
                        machine.workload.ask("DELETE", f"/1.0/operations/{operation['id']}")

    def close(self) -> None:
        """Kill all the daemons and delete their data. A second call does nothing."""
        for machine in self._machines:
            machine.kill()
        self._directory.cleanup()
