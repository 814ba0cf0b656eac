"""Run one Python program again and again without paying each time for Python's start.

Theory of operation. A *fork server* is a process that has imported the program and does nothing
with it. For each command line it forks, and the child is the program: a process of its own, with
its own environment, its own output and exit code, and a life that can be ended. Only starting
Python and importing are not done anew, which is most of what a small program costs.

The two ends talk over Unix sockets. On its *channel* the server gets a request for each command,
and with it three open files: two that take the program's output and its standard error, and a
*line* on which the server says the exit code. If the line is shut down before that, the server
kills the program. When the channel is closed, be it that its owner was killed, the server kills
all programs that still run, and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# Bytes of a request, which are a command line and an environment; the kernel allows no more.
_LONGEST = 256 * 1024

# The hook engine of the tests replaces these in the module while a hook runs.
_popen = subprocess.Popen


class ForkServer:
    """Runs a program of which there is a module with a `main(words) -> int`.

    Args:
        program: the module's file; it can import the standard library only.
        modules: names of modules that the program imports as it runs, to have them ready.
    """

    def __init__(self, program: pathlib.Path, modules: Collection[str] = ()) -> None:
        self._program = program
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = str(theirs.fileno())
            self._process = _popen(
                # Of its own files it writes none, and what it imports is nobody else's.
                [sys.executable, "-I", "-S", "-B", __file__, number, str(program), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # An interruption from the terminal is the owner's, who then closes this.
                start_new_session=True,
            )

    def start(self, words: Sequence[str], environment: Mapping[str, str]) -> ForkedCommand:
        """Start the program.

        Args:
            words: its command line, without its own name.
            environment: of its process.

        Raises:
            OSError: the server is gone.
        """
        request = json.dumps({"words": list(words), "environment": dict(environment)})
        mine, theirs = socket.socketpair()
        files = [os.memfd_create(name) for name in ("stdout", "stderr")]
        command = ForkedCommand([str(self._program), *words], mine, files)
        with theirs:
            try:
                socket.send_fds(self._channel, [request.encode()], [*files, theirs.fileno()])
            except BaseException:
                command.close()
                raise
        return command

    def close(self) -> None:
        """End the server and all that it has started. A second call does nothing."""
        self._channel.close()
        self._process.wait()


class ForkedCommand:
    """One run of the program. Whoever has started it has to `wait` for it.

    Args:
        argv: the whole command line.
        line: on which the exit code comes.
        files: descriptors of the files for output and standard error.
    """

    def __init__(self, argv: Sequence[str], line: socket.socket, files: Sequence[int]) -> None:
        self._argv = list(argv)
        self._line = line
        self._files = files

    def wait(self, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Wait for its end, and kill it if that does not come.

        Args:
            timeout: seconds.

        Raises:
            subprocess.TimeoutExpired: it took longer; without the command's arguments, one of
                which may be a secret.
            OSError: the server ended before the program did.
        """
        try:
            self._line.settimeout(timeout)
            try:
                code = self._line.recv(16)
            except BaseException:
                self.kill()
                self._line.settimeout(None)
                self._line.recv(16)
                raise
            if not code:
                raise OSError("the fork server has ended")
            return subprocess.CompletedProcess(self._argv, int(code), *map(_content, self._files))
        except TimeoutError:
            raise subprocess.TimeoutExpired(self._argv[:2], timeout or 0.0) from None
        finally:
            self.close()

    def kill(self) -> None:
        """Kill it, if it is still there."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Forget it, output and all; if it still runs it is killed."""
        self._line.close()
        for file in self._files:
            os.close(file)


def _content(file: int) -> str:
    return os.pread(file, os.fstat(file).st_size, 0).decode()


class _Child:
    """A run of the program, as the server sees it."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self.line = line
        # Readable once the process has ended.
        self.descriptor = os.pidfd_open(pid)

    def reap(self) -> None:
        """Take its exit code, and say it."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.descriptor)
        with self.line, contextlib.suppress(OSError):
            self.line.send(str(code).encode())


def _serve(channel: socket.socket, module: Any) -> None:
    """Start the program and wait for its runs, until the channel is closed."""
    children: set[_Child] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                child = cast("_Child | None", key.data)
                if child is None:
                    request, files, _, _ = socket.recv_fds(channel, _LONGEST, 3)
                    if not request:
                        for child in children:
                            os.kill(child.pid, signal.SIGKILL)
                            child.reap()
                        return
                    child = _fork(module, json.loads(request), files)
                    children.add(child)
                    selector.register(child.line, selectors.EVENT_READ, child)
                    selector.register(child.descriptor, selectors.EVENT_READ, child)
                elif child not in children:
                    continue  # its end was seen a moment ago
                elif key.fileobj is child.line:
                    # Not yet waited for, so no other process can have its number.
                    os.kill(child.pid, signal.SIGKILL)
                    selector.unregister(child.line)
                else:
                    children.remove(child)
                    selector.unregister(child.descriptor)
                    if child.line in selector.get_map():
                        selector.unregister(child.line)
                    child.reap()


def _fork(module: Any, request: Mapping[str, Any], files: Sequence[int]) -> _Child:
    stdout, stderr, line = files
    pid = os.fork()
    if not pid:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        _become(module, request)
    os.close(stdout)
    os.close(stderr)
    return _Child(pid, socket.socket(fileno=line))


def _become(module: Any, request: Mapping[str, Any]) -> NoReturn:
    """Be the program, in a process that has just been forked."""
    # The server's, and those that belong to other runs.
    os.closerange(3, 1024)
    os.environ.clear()
    os.environ.update(request["environment"])
    code = 1
    try:
        code = module.main(request["words"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Nothing of the server's is undone in here.
        os._exit(code)


def _main(number: str, program: str, *modules: str) -> None:
    spec = importlib.util.spec_from_file_location(pathlib.Path(program).stem, program)
    if spec is None or spec.loader is None:
        raise ImportError(f"{program} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in modules:
        importlib.import_module(name)
    # What the collector does not touch, the processes share.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(number)) as channel:
        _serve(channel, module)


if __name__ == "__main__":
    _main(*sys.argv[1:])
