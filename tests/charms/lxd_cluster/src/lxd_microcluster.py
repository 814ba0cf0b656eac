#!/usr/bin/env python3
"""Give LXD's own clustering the command line of a microcluster.

    lxd_microcluster.py bootstrap [--address IP[:PORT]] [--name NAME]
    lxd_microcluster.py add NAME [--timeout SECONDS]
    lxd_microcluster.py join TOKEN [--address IP[:PORT]] [--name NAME]
    lxd_microcluster.py list [-f json]
    lxd_microcluster.py remove NAME [--force]

It speaks to the daemon of `$LXD_DIR` over its Unix socket and needs nothing but the standard
library. Exit codes and output are those of `microovn cluster` and its like: 0 and the bare result,
1 and `Error: ...` on standard error when the command is refused or fails, 2 for a bad command
line. No token is ever in an error, nor in the arguments of a process that this one starts: it
starts none.

LXD's clustering is what microcluster grew out of, and kinder in places. Where the difference
could mislead whoever trusts the microcluster's answers, this adapter is as strict as the latter:

* A member is `ONLINE` only if it answers now. LXD itself goes by heartbeats, and calls a dead
  member online for 11 to 20 seconds more.
* Without a majority of voters that answer, nothing is listed and no token issued. LXD's leader
  does both until it notices.
* A name whose token is valid and unused gets no other. LXD would replace the first.
* A token admits only the machine for whose name it was issued. LXD leaves that to its client.
* An unreachable member is removed by `--force` alone. LXD reports an error, yet removes it.
* No member that answers is removed while another does not. LXD would try, and of three lose all.

A machine's name is the one that its daemon goes by: its host name, until it is given `--name`.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import concurrent.futures
import datetime as dt
import hashlib
import http.client
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import sys
import time
import types
from typing import TYPE_CHECKING, Any, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: The port of LXD's clusters.
PORT = 8443

#: Seconds after which each command gives up. A microcluster that lost its quorum needs 10.5 to
#: find out that it cannot list or add, and 30 that it cannot remove.
LIMITS: Mapping[str, float] = types.MappingProxyType(
    {"bootstrap": 30.0, "add": 12.0, "join": 60.0, "list": 12.0, "remove": 30.0}
)

#: Seconds for which a daemon that is not there is given a chance: one that was just removed from
#: a cluster starts itself anew, which takes a quarter of a second on an idle machine.
GRACE = 2.0

#: Seconds that a member has to accept a connection before it counts as unreachable.
PROBE = 1.0

#: Seconds that a member has to show its certificate to a newcomer.
HANDSHAKE = 5.0

#: Where LXD lives, in the order in which it is looked for.
DIRECTORIES = ("/var/lib/lxd", "/var/snap/lxd/common/lxd")

NOT_A_MEMBER = "Database is not yet initialized"
A_MEMBER_ALREADY = "Unable to initialize cluster: Database is online"
NO_QUORUM = "no available dqlite leader server found"


class RefusedError(Exception):
    """The command cannot be carried out; the message says why and holds no token."""


class CutOffError(RefusedError):
    """The daemon is not there, or went away before it had answered."""


class OutOfTimeError(Exception):
    """The command took longer than its limit."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket.

    Args:
        path: the socket.
    """

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__("lxd")
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class Daemon:
    """The LXD daemon of this machine.

    Args:
        directory: its `LXD_DIR`.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._socket = directory / "unix.socket"

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make a request and, if it starts a task, wait for the task's end.

        Args:
            method: GET, PUT, POST, PATCH or DELETE.
            path: below the daemon's root, for example `/1.0/cluster`.
            body: sent as JSON.

        Returns:
            The `metadata` of the answer: a mapping or a list.

        Raises:
            RefusedError: the daemon cannot be reached, or refuses, or the task failed.
        """
        answer = self._exchange(method, path, body)
        if answer["type"] == "async" and answer["metadata"].get("class") == "task":
            answer = self._exchange("GET", f"{answer['operation']}/wait", None)
            if answer["metadata"]["status_code"] != http.HTTPStatus.OK:
                raise RefusedError(answer["metadata"]["err"])
        return answer["metadata"]

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """Make a request, again if the daemon is away and the first one cannot have had effect."""
        deadline = time.monotonic() + GRACE
        while True:
            try:
                answer = self._exchange_once(method, path, body)
                # "Unavailable" is said while the daemon starts.
                if answer.get("error_code") != http.HTTPStatus.SERVICE_UNAVAILABLE:
                    break
                error = CutOffError(answer["error"])
            except CutOffError as cut_off:
                error = cut_off
            unheard = isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError)
            if not (method == "GET" or unheard) or time.monotonic() > deadline:
                raise error
            time.sleep(0.05)
        if answer["type"] == "error":
            raise RefusedError(answer["error"])
        return answer

    def _exchange_once(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        connection = _UnixConnection(self._socket)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer: Any = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException) as error:
            raise CutOffError(f"Failed to talk to LXD at {self._socket}: {error!r}") from error
        except ValueError:
            answer = None
        finally:
            connection.close()
        if not isinstance(answer, dict):
            # What came instead may be anything, so it is not shown.
            raise RefusedError(f"LXD at {self._socket} gave no answer of its kind")
        return cast("dict[str, Any]", answer)

    def about(self) -> dict[str, Any]:
        """What the daemon says of itself, which it can do without a quorum."""
        return self.ask("GET", "/1.0")

    def is_member(self) -> bool:
        """Whether it is in a cluster, by its own local database."""
        return bool(self.about()["environment"]["server_clustered"])

    def members(self) -> list[dict[str, Any]]:
        """The cluster's members, as `list` shows them.

        Raises:
            RefusedError: this daemon is in no cluster, or the cluster has lost its quorum.
        """
        if not self.is_member():
            raise RefusedError(NOT_A_MEMBER)
        found = self._rows()
        addresses = [member["url"].removeprefix("https://") for member in found]
        with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
            answering = list(pool.map(_answers, addresses))
        rows = [
            {
                "name": member["server_name"],
                "address": address,
                "role": _role(member["roles"]),
                "status": "ONLINE" if member["status"] == "Online" and up else "UNREACHABLE",
            }
            for member, address, up in zip(found, addresses, answering, strict=True)
        ]
        voters = [up for row, up in zip(rows, answering, strict=True) if row["role"] == "voter"]
        if sum(voters) * 2 <= len(voters):
            raise RefusedError(f"Failed to get cluster members: {NO_QUORUM}")
        return rows

    def _rows(self) -> list[dict[str, Any]]:
        """The members as LXD shows them."""
        path = "/1.0/cluster/members?recursion=1"
        try:
            return self.ask("GET", path)
        except RefusedError:
            # LXD gives up after 5 s, which it can lose to a leader that has just gone.
            try:
                return self.ask("GET", path)
            except RefusedError as error:
                problem = f"Failed to get cluster members: {error}: {NO_QUORUM}"
                raise RefusedError(problem) from error


def _role(roles: Sequence[str]) -> str:
    """The microcluster's word for LXD's set of roles."""
    if "database" in roles or "database-leader" in roles:
        return "voter"
    return "stand-by" if "database-standby" in roles else "spare"


def _host_and_port(address: str) -> tuple[str, int]:
    """Split `IP`, `IP:PORT` or `[IPv6]:PORT`.

    Raises:
        RefusedError: it is none of these.
    """
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), PORT
    except ValueError:
        host, _, port = address.rpartition(":")
    try:
        return str(ipaddress.ip_address(host.strip("[]"))), int(port)
    except ValueError:
        raise RefusedError(f"{address!r} is no IP address, with or without a port") from None


def _listen_address(daemon: Daemon, wanted: str | None) -> str:
    """The `IP:PORT` for the cluster: as asked, else as the daemon has it, else this host's own."""
    configured = daemon.about()["config"].get("core.https_address", "")
    if not wanted and configured and not configured.startswith((":", "[::]", "0.0.0.0")):  # noqa: S104, compared with, not bound to
        wanted = configured
    if not wanted:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Nothing is sent: the kernel merely picks the address that it would send from.
            try:
                probe.connect(("192.0.2.1", PORT))
            except OSError as error:
                raise RefusedError(f"This host has no address of its own: {error}") from error
            wanted = probe.getsockname()[0]
    host, port = _host_and_port(str(wanted))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answers(address: str) -> bool:
    """Whether somebody accepts connections at `IP:PORT`."""
    try:
        socket.create_connection(_host_and_port(address), PROBE).close()
    except OSError:
        return False
    return True


def _decode(token: str) -> dict[str, Any]:
    """Read a join token: the name that it is for, the cluster's addresses and its fingerprint.

    Raises:
        RefusedError: it is no join token.
    """
    try:
        plain = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        stray = re.search(r"[^A-Za-z0-9+/=]", token)
        place = stray.start() if stray else len(token) // 4 * 4
        raise RefusedError(f"illegal base64 data at input byte {place}") from None
    try:
        decoded: dict[str, Any] = json.loads(plain)
        texts = [decoded["server_name"], decoded["fingerprint"], *decoded["addresses"]]
    except (ValueError, TypeError, KeyError):
        decoded, texts = {}, []
    if len(texts) < 3 or not all(isinstance(text, str) and text for text in texts):
        raise RefusedError("this is no join token of LXD's")
    return decoded


def bootstrap(daemon: Daemon, arguments: argparse.Namespace) -> None:
    """Make this machine the first member of a cluster."""
    about = daemon.about()
    if about["environment"]["server_clustered"]:
        raise RefusedError(A_MEMBER_ALREADY)
    address = _listen_address(daemon, arguments.address)
    # Both, because a daemon that was removed from a cluster still holds its address there.
    settings = {"core.https_address": address, "cluster.https_address": address}
    daemon.ask("PATCH", "/1.0", {"config": settings})
    name = arguments.name or about["environment"]["server_name"]
    daemon.ask("PUT", "/1.0/cluster", {"server_name": name, "enabled": True})


def _valid_tokens(daemon: Daemon, name: str) -> Iterator[str]:
    """The operations that stand for tokens for `name` which are neither used nor expired."""
    operations = daemon.ask("GET", "/1.0/operations?recursion=1")
    now = dt.datetime.now(dt.timezone.utc)
    for operation in operations.get("running", ()):
        if operation["class"] != "token" or operation["metadata"].get("serverName") != name:
            continue
        # RFC 3339 with nanoseconds, of which Python reads none before 3.11.
        expires = str(operation["metadata"].get("expiresAt", ""))[:19]
        try:
            end = dt.datetime.fromisoformat(f"{expires}+00:00")
        except ValueError:
            end = None
        if end is None or end > now:
            yield operation["id"]


def add(daemon: Daemon, arguments: argparse.Namespace) -> None:
    """Print a token with which the machine called NAME can join, once."""
    daemon.members()
    # Two members can pass this check at once; then the later token replaces the earlier one, and
    # whoever tries that is refused, as with any other spent token.
    if any(_valid_tokens(daemon, arguments.member)):
        raise RefusedError(
            f'Unable to add server to MicroCluster, name "{arguments.member}" is taken:\n'
            'Failed to create "core_token_records" entry: '
            "UNIQUE constraint failed: core_token_records.name"
        )
    if arguments.timeout is None:
        issued = daemon.ask("POST", "/1.0/cluster/members", {"server_name": arguments.member})
    else:
        issued = _add_with_timeout(daemon, arguments.member, arguments.timeout)
    what = issued["metadata"]
    token = {
        "server_name": what["serverName"],
        "fingerprint": what["fingerprint"],
        "addresses": what["addresses"],
        "secret": what["secret"],
        "expires_at": what["expiresAt"],
    }
    print(base64.b64encode(json.dumps(token).encode()).decode())


def _add_with_timeout(daemon: Daemon, name: str, seconds: int) -> dict[str, Any]:
    """Issue a token for a life of its own, which LXD can only set for all tokens at once."""
    key = "cluster.join_token_expiry"
    before = daemon.about()["config"].get(key, "")
    daemon.ask("PATCH", "/1.0", {"config": {key: f"{seconds}S"}})
    try:
        return daemon.ask("POST", "/1.0/cluster/members", {"server_name": name})
    finally:
        daemon.ask("PATCH", "/1.0", {"config": {key: before}})


def join(daemon: Daemon, arguments: argparse.Namespace) -> None:
    """Make this machine a member of the cluster whose token it was given."""
    about = daemon.about()
    if about["environment"]["server_clustered"]:
        raise RefusedError(A_MEMBER_ALREADY)
    token = _decode(arguments.token)
    name = arguments.name or about["environment"]["server_name"]
    if token["server_name"] != name:
        raise _not_joined(1, "Joining server certificate SAN does not contain join token name")
    attempts, problem = 0, ""
    for address in token["addresses"]:
        attempts += 1
        try:
            certificate = ssl.get_server_certificate(_host_and_port(address), timeout=HANDSHAKE)
        except OSError as error:
            problem = f"{address}: {error}"
            continue
        der = ssl.PEM_cert_to_DER_cert(certificate)
        if hashlib.sha256(der).hexdigest() != token["fingerprint"]:
            problem = f"{address}: certificate fingerprint mismatch"
            continue
        break
    else:
        raise _not_joined(attempts, problem)
    # LXD took the token for a password until it got a field of its own.
    field = "cluster_password"
    if "explicit_trust_token" in about["api_extensions"]:
        field = "cluster_token"
    membership = {
        "server_name": name,
        "enabled": True,
        "server_address": _listen_address(daemon, arguments.address),
        "cluster_address": address,
        "cluster_certificate": certificate,
        field: arguments.token,
    }
    try:
        daemon.ask("PUT", "/1.0/cluster", membership)
    except RefusedError as error:
        problem = str(error)
        if "No matching cluster join operation" in problem:
            problem = "CoreTokenRecord not found"
        raise _not_joined(attempts, problem) from error


def _not_joined(attempts: int, problem: str) -> RefusedError:
    return RefusedError(f"{attempts} join attempts were unsuccessful. Last error: {problem}")


def show(daemon: Daemon, arguments: argparse.Namespace) -> None:
    """Print the members as JSON, the one format there is."""
    del arguments
    print(json.dumps(daemon.members()))


def remove(daemon: Daemon, arguments: argparse.Namespace) -> None:
    """Take the member called NAME out of the cluster; its daemon starts itself anew."""
    name = arguments.member
    rows = {row["name"]: row for row in daemon.members()}
    if name not in rows:
        raise RefusedError(f'No remote exists with the given name "{name}"')
    unreachable = [other for other, row in rows.items() if row["status"] != "ONLINE"]
    if name in unreachable and not arguments.force:
        address = rows[name]["address"]
        raise RefusedError(f'Failed to remove "{name}": dial tcp {address}: connection refused')
    if name not in unreachable and unreachable:
        raise RefusedError(
            f'Failed to remove "{name}" while {unreachable} cannot be reached: '
            "context deadline exceeded"
        )
    try:
        if len(rows) == 1:
            daemon.ask("PUT", "/1.0/cluster", {"enabled": False})
        elif name in unreachable:
            daemon.ask("DELETE", f"/1.0/cluster/members/{name}?force=1")
        else:
            # Force would do harm here: a leader forced out takes the database along.
            daemon.ask("DELETE", f"/1.0/cluster/members/{name}")
    except CutOffError:
        # Whoever leaves can be gone before its last word is out.
        if daemon.is_member():
            raise


COMMANDS: Mapping[str, Callable[[Daemon, argparse.Namespace], None]] = types.MappingProxyType(
    {"bootstrap": bootstrap, "add": add, "join": join, "list": show, "remove": remove}
)


class _Parser(argparse.ArgumentParser):
    """A parser that repeats nothing of a bad command line, for it may hold a token."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and exit 2."""
        del message
        self.print_usage(sys.stderr)
        self.exit(2, "Error: this is not a command line as above\n")


def _seconds(text: str) -> int:
    seconds = int(text)
    if seconds < 1:
        raise ValueError(text)
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lxd_microcluster", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    parsers = {name: commands.add_parser(name, allow_abbrev=False) for name in COMMANDS}
    parsers["add"].add_argument("member", metavar="NAME")
    parsers["add"].add_argument("--timeout", type=_seconds, metavar="SECONDS")
    parsers["join"].add_argument("token", metavar="TOKEN")
    for name in ("bootstrap", "join"):
        parsers[name].add_argument("--address", metavar="IP[:PORT]")
        parsers[name].add_argument("--name", metavar="NAME")
    parsers["list"].add_argument("-f", "--format", choices=["json"])
    parsers["remove"].add_argument("member", metavar="NAME")
    parsers["remove"].add_argument("--force", action="store_true")
    return parser


def _directory() -> pathlib.Path:
    if os.environ.get("LXD_DIR"):
        return pathlib.Path(os.environ["LXD_DIR"])
    found = (pathlib.Path(place) for place in DIRECTORIES if pathlib.Path(place).is_dir())
    return next(found, pathlib.Path(DIRECTORIES[0]))


def _out_of_time(signal_number: int, frame: types.FrameType | None) -> NoReturn:
    del signal_number, frame
    raise OutOfTimeError


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command.

    Args:
        argv: the command line without the program's own name; `sys.argv[1:]` by default.

    Returns:
        The exit code, 0 or 1.

    Raises:
        SystemExit: 2, if the command line is a bad one.
    """
    arguments = _parser().parse_args(argv)
    before = signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, LIMITS[arguments.command])
    try:
        COMMANDS[arguments.command](Daemon(_directory()), arguments)
    except RefusedError as error:
        problem = str(error)
    except OutOfTimeError:
        limit = LIMITS[arguments.command]
        problem = f"context deadline exceeded: LXD did not answer within {limit:g} s"
    except (KeyError, TypeError, AttributeError) as error:
        # The mere kind of the error: its text may be a part of what LXD said.
        problem = f"LXD answers in a form that is not known here ({type(error).__name__})"
    else:
        return 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    token = getattr(arguments, "token", None)
    if token:
        problem = problem.replace(token, "<token>")
    print(f"Error: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
