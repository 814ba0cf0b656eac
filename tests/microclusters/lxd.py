"""Microclusters of real LXD daemons on one host: no container, no storage pool, no network.

Each machine is an LXD daemon of its own, with its own `LXD_DIR`, its own loopback address, and its
own namespaces for the host name and for mounts. So the daemon goes by the machine's name as it
would on a host of its own, and what it mounts vanishes with it, even if it is killed.

The command line is `tests/charms/lxd_cluster/src/lxd_microcluster.py`; what of a microcluster's
behaviour it makes up for, and what not, is said there. Each run of it is a process of its own,
which `tests.microclusters.forked` starts in a sixth of the time that Python needs.

What a killed test run leaves behind, the next one sweeps away.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from tests.microclusters import forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ADAPTER = (
    pathlib.Path(__file__).parents[1] / "charms" / "lxd_cluster" / "src" / "lxd_microcluster.py"
)

#: The port on which LXD's clusters talk.
PORT = 8443

#: Seconds for a fresh daemon to be ready; it needs half a second on an idle machine.
READY = 60.0

#: Seconds from its start that a daemon started again is waited for. Without a quorum it cannot
#: become ready.
READY_AGAIN = 5.0

#: The least that LXD accepts for `cluster.offline_threshold`, in seconds.
OFFLINE_THRESHOLD = 11

# Modules that Python imports only as the adapter's commands run.
_IMPORTED_LATE = ("concurrent.futures.thread", "encodings.idna", "shutil")

_PREFIX = "lxd-microcluster-"

# Seconds after which LXD certainly gives up giving a role to a machine that does not answer.
_ROLE_LIMIT = 60.0

# Memory, as a place for files, and the bytes that must be free there: a daemon takes 26 MB.
_MEMORY = pathlib.Path("/dev/shm")  # noqa: S108, what is made in there has a name of its own
_ROOM = 1 << 30

# The hook engine of the tests replaces these in the module while a hook runs.
_run = subprocess.run
_popen = subprocess.Popen


class LxdError(Exception):
    """A daemon did not do what the tests need of it."""


def available() -> str | None:
    """Say why LXD daemons cannot run here.

    Returns:
        The reason, for a person to read, or None if they can.
    """
    if os.geteuid() != 0:
        return "LXD daemons need root"
    lxd = shutil.which("lxd")
    if lxd is None:
        return "there is no `lxd` on PATH; on Debian `apt-get install --no-install-recommends lxd`"
    if pathlib.Path(lxd).is_relative_to("/snap") or not _is_program(pathlib.Path(lxd)):
        return f"{lxd} is the snap's, which runs in one place only; the tests need a package's"
    if len(str(_place())) > 60:
        return f"{_place()} is too long a path for Unix sockets below it"
    namespaces = _isolated("host", "mount -t tmpfs none /mnt")
    try:
        tried = _run(namespaces, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no namespaces can be made here: {error}"
    if tried.returncode:
        return f"nothing can be mounted in a namespace here: {tried.stderr.strip()}"
    try:
        _Address().release()
    except LxdError as error:
        return str(error)
    return None


def _place() -> pathlib.Path:
    """Where the daemons' data goes: to memory, for a daemon waits for each of its writes.

    A daemon's death by kill -9 is the same wherever its data is. Somebody's word goes first.
    """
    with contextlib.suppress(OSError):
        if "TMPDIR" not in os.environ and shutil.disk_usage(_MEMORY).free > _ROOM:
            return _MEMORY
    return pathlib.Path(tempfile.gettempdir())


def _is_program(path: pathlib.Path) -> bool:
    """Whether it is more than a script, such as Ubuntu's, which installs the snap when called."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


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


class _Address:
    """A loopback address of which no other machine of these tests makes use.

    Raises:
        LxdError: there is none left.
    """

    def __init__(self) -> None:
        for last in range(2, 255):  # 127.0.1.1 is the host itself, in Debian's /etc/hosts
            address = f"127.0.1.{last}"
            lock = _reserve(address)
            if lock is None:
                continue
            if _is_free(address):
                self.ip = address
                self._lock = lock
                return
            lock.close()
        raise LxdError(f"no address in 127.0.1.0/24 has its port {PORT} free")

    def release(self) -> None:
        """Let others have it."""
        self._lock.close()


def _is_free(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, PORT))
        except OSError:
            return False
    return True


def _processes(directory: pathlib.Path) -> Iterator[int]:
    """The processes whose `LXD_DIR` is this directory or below it."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for variable in (process / "environ").read_bytes().split(b"\0"):
                key, _, value = variable.partition(b"=")
                if key == b"LXD_DIR" and pathlib.Path(os.fsdecode(value)).is_relative_to(
                    directory
                ):
                    yield int(process.name)


def _kill_all(directory: pathlib.Path) -> None:
    for pid in list(_processes(directory)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__("lxd", timeout=30)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class LxdMachine:
    """A machine with an LXD daemon on it.

    Args:
        name: its host name.
        directory: a new directory for it, which becomes its `LXD_DIR`.
        adapter: runs the command.
        before_add: called before a token is issued here.

    Attributes:
        real_time: its daemon goes on while a hook sleeps.
        has_left: whether it has removed itself from its cluster.
    """

    real_time = True

    def __init__(
        self,
        name: str,
        directory: pathlib.Path,
        adapter: forked.ForkServer,
        before_add: Callable[[], None],
    ) -> None:
        self.has_left = False
        self._name = name
        self._directory = directory
        self._adapter = adapter
        self._before_add = before_add
        self._commands: set[forked.ForkedCommand] = set()
        self._address = _Address()
        self._daemon: subprocess.Popen[bytes] | None = None
        # Whether it was ever ready, and until when it is waited for, by the monotonic clock.
        self._set_up = False
        self._deadline: float | None = None
        directory.mkdir()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LXD_")}
        # In which LXD leaves a file if it is killed as it starts.
        temporary = {"TMPDIR": str(directory)}
        self._environment = {**clean, **temporary, "LXD_DIR": str(directory)}

    @property
    def name(self) -> str:
        """The host name, which is also the member's name in the cluster."""
        return self._name

    @property
    def address(self) -> str:
        """The loopback address, without its port."""
        return self._address.ip

    @property
    def command(self) -> list[str]:
        """The words before the sub-command."""
        return [sys.executable, str(ADAPTER)]

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
            timeout: seconds before the command is killed.

        Raises:
            FileNotFoundError: there is no such program.
            subprocess.TimeoutExpired: the command took longer than `timeout`.
            LxdError: the daemon was started and did not get ready.
        """
        self._come_up()
        words = len(self.command)
        if list(argv[:words]) == self.command:
            verb, *rest = argv[words:] or ("",)
            if verb == "add":
                self._before_add()
            done = self._run_adapter(argv[words:], timeout)
            if not done.returncode and verb in ("bootstrap", "join", "remove"):
                self.has_left = verb == "remove" and rest == [self._name]
        else:
            done = _run(
                list(argv),
                capture_output=True,
                text=True,
                timeout=timeout,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        if "bootstrap" in argv and done.returncode == 0:
            # Not earlier: LXD 5.0 panics when this is set outside a cluster.
            self._configure("cluster.offline_threshold", str(OFFLINE_THRESHOLD))
        return done

    def _run_adapter(
        self, words: Sequence[str], timeout: float | None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own, for which Python need not start anew."""
        command = self._adapter.start(words, self._environment)
        self._commands.add(command)
        try:
            return command.wait(timeout)
        finally:
            self._commands.remove(command)

    def _configure(self, key: str, value: str) -> None:
        code, answer = self._ask("PATCH", "/1.0", {"config": {key: value}})
        if code != http.HTTPStatus.OK:
            raise LxdError(f"{self._name} refuses {key}: {answer['error']}")

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Make a request to the daemon.

        Args:
            method: of the request.
            path: below the daemon's root, for example `/1.0`.
            body: sent as JSON.

        Returns:
            The answer's HTTP status code, and the answer.

        Raises:
            OSError: the daemon does not listen.
            LxdError: as for `run`.
        """
        self._come_up()
        return self._ask(method, path, body)

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = _UnixConnection(self._directory / "unix.socket")
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def start(self) -> None:
        """Start the daemon with what data it has.

        Whoever then makes use of the machine waits until it is ready; so several start at once.
        """
        if self.running:
            return
        with (self._directory.parent / f"{self._directory.name}.log").open("ab") as log:
            self._daemon = _popen(
                _isolated(self._name, "exec lxd --group root"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._deadline = time.monotonic() + (READY_AGAIN if self._set_up else READY)

    def _come_up(self) -> None:
        """Wait until a daemon that was started is ready, if it can be.

        Raises:
            LxdError: the daemon ended, or a fresh one is not ready in time; with its last words.
        """
        if self._daemon is None or self._deadline is None:
            return
        ready = self._wait(self._deadline)
        if not self._set_up:
            if not ready:
                problem = f"is not ready after {READY:g} s: {self._last_words()}"
                raise LxdError(f"{self._name} {problem}")
            self._configure("core.https_address", f"{self.address}:{PORT}")
            self._set_up = True
        self._deadline = None

    def _wait(self, deadline: float) -> bool:
        """Whether the daemon becomes ready until then."""
        while time.monotonic() < deadline:
            if not self.running:
                raise LxdError(f"the daemon of {self._name} ended: {self._last_words()}")
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                if self._ask("GET", "/1.0")[0] == http.HTTPStatus.OK:
                    return True
            time.sleep(0.01)
        return False

    def _last_words(self) -> str:
        log = self._directory.parent / f"{self._directory.name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-10:])

    def kill(self) -> None:
        """Let the machine die at once, with all that runs on it. Its data survives."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None
        for command in tuple(self._commands):
            command.kill()
        _kill_all(self._directory)

    def destroy(self) -> None:
        """Take the machine away with its data."""
        self.kill()
        _remove(self._directory)

    def drop_raft_node(self, address: str) -> bool:
        """Drop what is left of a former member from the database's members.

        Returns:
            Whether the database is busy with it, so that it has to be dropped later.
        """
        query = {"database": "local", "query": "SELECT address FROM raft_nodes"}
        code, answer = self.ask("POST", "/internal/sql", query)
        if code != http.HTTPStatus.OK:
            return False
        if [f"{address}:{PORT}"] not in (answer["metadata"]["Results"][0]["rows"] or ()):
            return False
        answer = self.ask("DELETE", f"/internal/cluster/raft-node/{address}:{PORT}")[1]
        return "configuration change is already in progress" in answer.get("error", "")

    def release_address(self) -> None:
        """Let others have the address, which the machine's cluster must no longer be there for.

        A cluster's database may for some time call an address that a member had who left.
        """
        self._address.release()

    def revoke_tokens(self) -> None:
        """Drop the join tokens that this daemon knows of."""
        for operation in self.ask("GET", "/1.0/operations?recursion=1")[1]["metadata"].get(
            "running", ()
        ):
            if operation["class"] == "token":
                self.ask("DELETE", f"/1.0/operations/{operation['id']}")


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
        place = _place() / f"{_PREFIX}{secrets.token_hex(4)}"
        # Before the directory exists, lest another run sweeps it away.
        self._lock = _reserve(str(place))
        place.mkdir(mode=0o711)
        self._directory = place
        self._adapter = forked.ForkServer(ADAPTER, _IMPORTED_LATE)
        self._machines: list[LxdMachine] = []
        self._numbers = itertools.count()
        atexit.register(self.close)

    def add_machine(self, name: str) -> LxdMachine:
        """Bring up a fresh machine with an unclustered daemon.

        Args:
            name: its host name. Nothing keeps two machines from having one name.
        """
        directory = self._directory / str(next(self._numbers))
        machine = LxdMachine(name, directory, self._adapter, self._drop_raft_nodes)
        self._machines.append(machine)
        machine.start()
        return machine

    def _drop_raft_nodes(self) -> None:
        """See that no newcomer hangs because a machine that led the database has left.

        Once in ten times LXD 5.0 leaves that machine among the database's members, and for 50 s
        tries to give it a role; whoever joins meanwhile hangs, and is half joined for good.
        """
        gone = [machine.address for machine in self._machines if machine.has_left]
        deadline = time.monotonic() + _ROLE_LIMIT
        for machine in self._machines if gone else ():
            if machine.running and not machine.has_left:
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                    for address in gone:
                        while machine.drop_raft_node(address) and time.monotonic() < deadline:
                            time.sleep(0.5)

    def expire_tokens(self) -> None:
        """Let all the unused join tokens end.

        They are revoked, for LXD's clock is that of the host. To whoever joins, and to whoever
        asks for another token, a revoked token and an expired one are the same.
        """
        for machine in self._machines:
            if machine.running:
                machine.revoke_tokens()

    def close(self) -> None:
        """Kill all the daemons and delete their data. A second call does nothing."""
        # All at once, and not each when the one before is gone.
        _kill_all(self._directory)
        # Whoever is interrupted in here can begin again.
        while self._machines:
            self._machines[-1].destroy()
            self._machines.pop().release_address()
        self._adapter.close()
        _remove(self._directory)
        if self._lock is not None:
            self._lock.close()
        atexit.unregister(self.close)
