"""Microclusters of real LXD daemons on one host: no container, no storage pool, no network.

Each machine is a daemon with an `LXD_DIR` and a loopback address of its own, in namespaces of its
own for the host name and for mounts: a daemon that is killed leaves no mount behind.

What a killed test run leaves behind, the next one removes.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
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
# Seconds after which LXD certainly gives up giving a role to a machine that does not answer.
_ROLE_LIMIT = 60.0
# The least that LXD accepts for it, in seconds.
_OFFLINE_THRESHOLD = 11
# In memory, for a daemon waits for each of its writes; it takes 26 MB.
_MEMORY = pathlib.Path("/dev/shm")  # noqa: S108 - what is made in there has a name of its own
_ROOM = 1 << 30
_PREFIX = "lxd-microcluster-"

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
    if len(str(_place())) > 60:
        return f"{_place()} is too long a path for Unix sockets below it"
    try:
        _reserve_address()[1].close()
        _run(_isolated("host", "mount -t tmpfs none /mnt"), capture_output=True, check=True)
    except (LxdError, OSError, subprocess.SubprocessError) as error:
        return f"no address, or no namespace with mounts, can be had here: {error}"
    return None


def _place() -> pathlib.Path:
    """Where the daemons' data goes, unless `TMPDIR` says otherwise."""
    with contextlib.suppress(OSError):
        if "TMPDIR" not in os.environ and shutil.disk_usage(_MEMORY).free > _ROOM:
            return _MEMORY
    return pathlib.Path(tempfile.gettempdir())


def _isolated(name: str, script: str) -> list[str]:
    """The command line that runs a shell script with a host name and mounts of its own."""
    unshare = ["unshare", "--uts", "--mount", "--propagation", "private"]
    return [*unshare, "sh", "-c", f'hostname "$1" && {script}', "sh", name]


def _reserve(what: str) -> socket.socket | None:
    """Take a name for this process, or None if another has it.

    An abstract socket is a lock that leaves no file and ends with its process, and its names are
    those of this network namespace, as the loopback addresses are.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0{_PREFIX}{what}")
    except OSError:
        lock.close()
        return None
    return lock


def _reserve_address() -> tuple[str, socket.socket]:
    """Take a loopback address of which no other machine of these tests makes use.

    Raises:
        LxdError: there is none left.
    """
    for last in range(2, 255):  # 127.0.1.1 is the host itself, in Debian's /etc/hosts
        ip = f"127.0.1.{last}"
        lock = _reserve(ip)
        if lock is not None:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((ip, PORT))
                return ip, lock
            lock.close()
    raise LxdError(f"no address in 127.0.1.0/24 has its port {PORT} free")


def _kill_all(directory: pathlib.Path) -> None:
    """Kill the processes whose `LXD_DIR` is this directory or below it."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for variable in (process / "environ").read_bytes().split(b"\0"):
                key, _, value = variable.partition(b"=")
                place = pathlib.Path(os.fsdecode(value))
                if key == b"LXD_DIR" and place.is_relative_to(directory):
                    os.kill(int(process.name), signal.SIGKILL)


def _remove(directory: pathlib.Path) -> None:
    """Delete a directory, in which a daemon that was just killed may still be at work."""
    for attempt in range(5):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory, ignore_errors=attempt < 4)
        if not directory.exists():
            return
        time.sleep(0.1)


def _sweep() -> None:
    """Remove what runs that were killed have left behind."""
    for place in {_MEMORY, pathlib.Path(tempfile.gettempdir())}:
        for directory in place.glob(f"{_PREFIX}*"):
            lock = _reserve(str(directory))
            if lock is not None:
                _kill_all(directory)
                _remove(directory)
                lock.close()


class LxdMachine:
    """A machine with an LXD daemon on it.

    Args:
        name: its host name.
        directory: a new directory for it, which becomes its `LXD_DIR`.
        before_add: called before a token is issued here.

    Attributes:
        name: as given; also the member's name in the cluster.
        address: its loopback address, without a port.
        command: the words before the sub-command.
        real_time: its daemon goes on while a hook sleeps.
        has_left: whether it has removed itself from its cluster.
        workload: its daemon.
    """

    real_time = True

    def __init__(self, name: str, directory: pathlib.Path, before_add: Callable[[], None]) -> None:
        self.name = name
        self.command = COMMAND
        self.has_left = False
        self.workload = lxd_workload.LxdWorkload(directory)
        self._directory = directory
        self._log = directory.with_suffix(".log")
        self._before_add = before_add
        self.address, self._address_lock = _reserve_address()
        self._daemon: subprocess.Popen[bytes] | None = None
        # Until when it is waited for, by the monotonic clock, and whether it was ever ready.
        self._deadline = 0.0
        self._set_up = False
        directory.mkdir()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LXD_")}
        # In which LXD leaves a file if it is killed as it starts.
        temporary = {"TMPDIR": str(directory)}
        self._environment = {**clean, **temporary, "LXD_DIR": str(directory)}

    @property
    def running(self) -> bool:
        """Whether the daemon runs."""
        return self._daemon is not None and self._daemon.poll() is None

    def run(
        self, argv: Sequence[str], *, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line as this machine would, output captured as text.

        Args:
            argv: the whole command line.
            timeout: seconds before a program is killed. `COMMAND` has a limit of its own.

        Raises:
            FileNotFoundError: there is no such program.
            subprocess.TimeoutExpired: the program took longer than `timeout`.
            LxdError: the daemon was started and did not get ready.
        """
        self._come_up()
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
                # Not earlier: LXD 5.0 panics when this is set outside a cluster.
                config = {"cluster.offline_threshold": str(_OFFLINE_THRESHOLD)}
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
        if self.running:
            return
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

    def _come_up(self) -> None:
        """Wait until a daemon that was started is ready, if it can be.

        Raises:
            LxdError: the daemon ended, or a fresh one is not ready in time.
        """
        while self._daemon is not None and time.monotonic() < self._deadline:
            with contextlib.suppress(WorkloadError):
                self.workload.ask("GET", "/1.0")
                self._set_up, self._deadline = True, 0.0
                return
            if not self.running:
                break
            time.sleep(0.01)
        if self._daemon is not None and self._deadline and not (self._set_up and self.running):
            last_words = self._log.read_text(errors="replace").splitlines()[-10:]
            raise LxdError("\n".join([f"{self.name}: the daemon is not ready", *last_words]))
        self._deadline = 0.0

    def kill(self) -> None:
        """Let the machine die at once, with all that runs on it. Its data survives."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None
        _kill_all(self._directory)

    def destroy(self) -> None:
        """Take the machine away with its data."""
        self.kill()
        _remove(self._directory)

    def drop_raft_nodes(self, gone: set[str]) -> None:
        """Drop what is left of former members from the database's members.

        Args:
            gone: their addresses, with ports.
        """
        self._come_up()
        query = {"database": "local", "query": "SELECT address FROM raft_nodes"}
        rows = self.workload.ask("POST", "/internal/sql", query)["Results"][0]["rows"] or ()
        deadline = time.monotonic() + _ROLE_LIMIT
        for address in gone.intersection(*zip(*rows, strict=True)):
            while time.monotonic() < deadline:
                try:
                    self.workload.ask("DELETE", f"/internal/cluster/raft-node/{address}")
                except WorkloadError as error:
                    if "configuration change is already in progress" in str(error):
                        time.sleep(0.5)
                        continue
                break

    def release_address(self) -> None:
        """Let others have the address, which the cluster's database may call for some time."""
        self._address_lock.close()

    def revoke_tokens(self) -> None:
        """Drop the join tokens that this daemon has issued."""
        self._come_up()
        operations = self.workload.ask("GET", "/1.0/operations?recursion=1")
        for operation in operations.get("running", ()):
            if operation["class"] == "token":
                self.workload.ask("DELETE", f"/1.0/operations/{operation['id']}")


class LxdMicrocluster:
    """Machines with LXD daemons, among which clusters form.

    Raises:
        LxdError: no LXD daemon can run here; the reason is that of `available`.
    """

    def __init__(self) -> None:
        reason = available()
        if reason:
            raise LxdError(reason)
        _sweep()
        self._directory = _place() / f"{_PREFIX}{secrets.token_hex(4)}"
        # Before the directory exists, lest another run sweeps it away.
        self._lock = _reserve(str(self._directory))
        self._directory.mkdir(mode=0o711)
        self._machines: list[LxdMachine] = []
        self._numbers = itertools.count()
        atexit.register(self.close)

    def add_machine(self, name: str) -> LxdMachine:
        """Bring up a fresh machine with an unclustered daemon; several may have one name."""
        directory = self._directory / str(next(self._numbers))
        machine = LxdMachine(name, directory, self._drop_raft_nodes)
        self._machines.append(machine)
        machine.start()
        return machine

    def _drop_raft_nodes(self) -> None:
        """See that no newcomer hangs because a machine that led the database has left.

        Once in ten times LXD 5.0 leaves that machine among the database's members, and for 50 s
        tries to give it a role; whoever joins meanwhile hangs, and is half joined for good.
        """
        gone = {f"{machine.address}:{PORT}" for machine in self._machines if machine.has_left}
        for machine in self._machines if gone else ():
            if machine.running and not machine.has_left:
                with contextlib.suppress(WorkloadError):
                    machine.drop_raft_nodes(gone)

    def expire_tokens(self) -> None:
        """Revoke all unused join tokens, which to LXD is the same: its clock is the host's."""
        for machine in self._machines:
            if machine.running:
                machine.revoke_tokens()

    def close(self) -> None:
        """Kill all the daemons and delete their data. A second call does nothing."""
        # All at once, not one by one.
        _kill_all(self._directory)
        # Whoever is interrupted in here can begin again.
        while self._machines:
            self._machines[-1].destroy()
            self._machines.pop().release_address()
        _remove(self._directory)
        if self._lock is not None:
            self._lock.close()
        atexit.unregister(self.close)
