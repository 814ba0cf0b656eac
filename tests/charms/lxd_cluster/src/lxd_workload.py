"""LXD's own clustering as a `Workload`, over the Unix socket of this machine's daemon.

pylxd does not serve: it can bootstrap and list, but not issue a token, join or remove. So this is
plain HTTP. Where LXD is more lenient than a microcluster, this is as strict:

* A member is online only if it answers now. LXD believes so for up to 20 s after its death.
* Without a majority of voters that answer, nothing is listed and no token is issued.
* A name with an unused token gets no other. LXD would replace the first one.
* A token admits only the machine that it names. LXD leaves that check to its client.
* An offline member is removed by force alone. LXD reports an error, and removes it.
* No online member is removed while another is offline, or before three of three or more have
  become voters, which takes a heartbeat. LXD can lose its quorum for good either way.
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import hashlib
import http.client
import ipaddress
import json
import os
import pathlib
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

from microcluster_token_distributor import Member, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

PORT = 8443
_VOTERS = 3

# Seconds. A daemon that has left a cluster restarts, in a quarter of a second if idle.
_READ_LIMIT = 12.0
_CHANGE_LIMIT = 60.0
_RESTART_LIMIT = 2.0
_LEAVE_LIMIT = 10.0
_PROBE_LIMIT = 1.0
_CERTIFICATE_LIMIT = 5.0


@contextlib.contextmanager
def _readable() -> Generator[None]:
    """Report an answer of another shape, which is not shown for it may be anything."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise WorkloadError(f"no use of LXD's answer: {type(error).__name__}") from None


@dataclasses.dataclass(frozen=True)
class LxdMember(Member):
    """A member, with the `IP:PORT` of its daemon."""

    address: str


class LxdWorkload:
    """The LXD daemon of this machine. The arguments to form a cluster are `--address` and an IP.

    Args:
        directory: where LXD has its data; by default `$LXD_DIR`, or the package's or the snap's.
    """

    def __init__(self, directory: pathlib.Path | None = None):
        # LXD would allow it. Most charms need the opposite, and this one is an example.
        self.joins_while_degraded = False
        self._socket = (directory or _default_directory()) / "unix.socket"

    @_readable()
    def members(self) -> Sequence[LxdMember]:
        """Return the members; none if the daemon is in no cluster."""
        try:
            rows = self._rows()
        except WorkloadError:
            # It has just left, and restarts; or the leader has gone, and LXD gave up after 5 s.
            rows = self._rows()
        if not rows:
            return ()
        addresses = [row["url"].removeprefix("https://") for row in rows]
        with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
            answering = list(pool.map(_answers, addresses))
        members: list[LxdMember] = []
        for row, address, up in zip(rows, addresses, answering, strict=True):
            status = "ONLINE" if up and row["status"] == "Online" else "UNREACHABLE"
            members.append(LxdMember(row["server_name"], _role(row["roles"]), status, address))
        votes = [up for up, row in zip(answering, members, strict=True) if row.role == "voter"]
        if sum(votes) * 2 <= len(votes):
            raise WorkloadError("most of the voters do not answer")
        return members

    @_readable()
    def bootstrap(self, args: Sequence[str]) -> None:
        """Form a cluster."""
        name = self._fresh_server()["environment"]["server_name"]
        # A daemon that has left a cluster still has the address that it had there.
        keys = ("core.https_address", "cluster.https_address")
        self.ask("PATCH", "/1.0", {"config": dict.fromkeys(keys, _address(args))})
        self.ask("PUT", "/1.0/cluster", {"server_name": name, "enabled": True})

    @_readable()
    def issue(self, name: str, path: pathlib.Path, args: Sequence[str] = ()) -> None:
        """Issue a token for the machine of this name."""
        if args:
            raise WorkloadError("LXD takes no arguments for a token")
        if not self.members():
            raise WorkloadError("LXD is not part of a cluster")
        now = dt.datetime.now(dt.timezone.utc).isoformat()
        for operation in self.ask("GET", "/1.0/operations?recursion=1").get("running", ()):
            if operation["class"] == "token":
                token = operation["metadata"]
                # To the second: Python reads no nanoseconds before 3.11.
                if token.get("serverName") == name and token["expiresAt"][:19] > now[:19]:
                    raise WorkloadError(f"there is an unused token for {name}")
        issued = self.ask("POST", "/1.0/cluster/members", {"server_name": name})["metadata"]
        content = {key: issued[key] for key in ("fingerprint", "addresses", "secret")}
        content |= {"server_name": name, "expires_at": issued["expiresAt"]}
        path.write_text(base64.b64encode(json.dumps(content).encode()).decode())

    @_readable()
    def join(self, token: str, args: Sequence[str]) -> None:
        """Join the cluster of the token."""
        server = self._fresh_server()
        name = server["environment"]["server_name"]
        address, certificate = _issuer(token, name)
        # LXD took the token for a password until it got a field of its own.
        explicit = "explicit_trust_token" in server["api_extensions"]
        request = {
            "server_name": name,
            "enabled": True,
            "server_address": _address(args),
            "cluster_address": address,
            "cluster_certificate": certificate,
            "cluster_token" if explicit else "cluster_password": token,
        }
        try:
            self.ask("PUT", "/1.0/cluster", request)
        except WorkloadError as error:
            raise WorkloadError(str(error).replace(token, "[cut]")) from None

    @_readable()
    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        """Remove a member, whose daemon then restarts."""
        del args
        members = {member.name: member for member in self.members()}
        offline = {member.name for member in members.values() if not member.online}
        if name not in members:
            raise WorkloadError(f"there is no member {name}")
        if name in offline and not force:
            raise WorkloadError(f"{name} is offline")
        if offline and name not in offline:
            raise WorkloadError(f"{name} cannot leave while a member is offline")
        voters = sum(member.role == "voter" for member in members.values())
        if not offline and len(members) > 2 and voters < _VOTERS:
            raise WorkloadError(f"{name} cannot leave before there are {_VOTERS} voters")
        leaves = name == self._server()["environment"]["server_name"]
        before = self._socket.stat().st_ctime_ns
        try:
            if len(members) == 1:
                self.ask("PUT", "/1.0/cluster", {"enabled": False})
            else:
                # Never with force if it is online: the database's leader would take that along.
                query = "?force=1" if name in offline else ""
                self.ask("DELETE", f"/1.0/cluster/members/{name}{query}")
        except WorkloadError:
            # A daemon that leaves may be gone before it has answered.
            if self._server()["environment"]["server_clustered"]:
                raise
        # It answers for a moment with a database that is closed, and restarts with a new socket.
        deadline = time.monotonic() + _LEAVE_LIMIT
        while leaves and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                leaves = self._socket.stat().st_ctime_ns == before
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make a request, wait for the task that it starts, and return the answer's metadata."""
        reads = method == "GET" and not path.endswith("/wait")
        connection = _UnixConnection(self._socket, _READ_LIMIT if reads else _CHANGE_LIMIT)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = json.loads(connection.getresponse().read())
            if answer["type"] == "async" and answer["metadata"]["class"] == "task":
                answer = self.ask("GET", f"{answer['operation']}/wait")
                answer = {"error": answer["err"], "metadata": answer}
            error, code = answer.get("error"), answer.get("error_code")
            metadata = answer["metadata"] if not error else None
        except (OSError, http.client.HTTPException) as problem:
            raise _AwayError(f"LXD does not answer: {type(problem).__name__}") from None
        finally:
            connection.close()
        if error:
            starting = code == http.HTTPStatus.SERVICE_UNAVAILABLE
            raise (_AwayError if starting else WorkloadError)(error)
        return metadata

    def _server(self) -> dict[str, Any]:
        """Return what the daemon says of itself, which needs no quorum; wait if it restarts."""
        deadline = time.monotonic() + _RESTART_LIMIT
        while time.monotonic() < deadline:
            with contextlib.suppress(_AwayError):
                return self.ask("GET", "/1.0")
            time.sleep(0.05)
        return self.ask("GET", "/1.0")

    def _rows(self) -> list[dict[str, Any]]:
        if not self._server()["environment"]["server_clustered"]:
            return []
        return self.ask("GET", "/1.0/cluster/members?recursion=1")

    def _fresh_server(self) -> dict[str, Any]:
        server = self._server()
        if server["environment"]["server_clustered"]:
            raise WorkloadError("LXD is part of a cluster already")
        return server


class _AwayError(WorkloadError):
    """The daemon is not there, is starting, or went away."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: pathlib.Path, limit: float):
        super().__init__("lxd", timeout=limit)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _default_directory() -> pathlib.Path:
    package, snap = pathlib.Path("/var/lib/lxd"), pathlib.Path("/var/snap/lxd/common/lxd")
    return pathlib.Path(os.environ.get("LXD_DIR") or (snap if snap.is_dir() else package))


def _role(roles: Sequence[str]) -> str:
    if "database" in roles or "database-leader" in roles:
        return "voter"
    return "stand-by" if "database-standby" in roles else "spare"


def _address(args: Sequence[str]) -> str:
    try:
        ip = ipaddress.ip_address(args[args.index("--address") + 1])
    except (ValueError, IndexError):
        raise WorkloadError("there is no IP address to listen on") from None
    return f"[{ip}]:{PORT}" if ip.version == 6 else f"{ip}:{PORT}"


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _answers(address: str) -> bool:
    """Tell whether somebody accepts connections at `IP:PORT`."""
    try:
        socket.create_connection(_split(address), _PROBE_LIMIT).close()
    except OSError:
        return False
    return True


def _issuer(token: str, name: str) -> tuple[str, str]:
    """Return the address and the certificate of a member that the token names."""
    try:
        content = json.loads(base64.b64decode(token, validate=True))
        admitted, fingerprint = content["server_name"], content["fingerprint"]
        addresses = {address: _split(address) for address in content["addresses"]}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise WorkloadError("this is no join token of LXD's") from None
    if admitted != name:
        raise WorkloadError(f"the token is not for {name}")
    for address, place in addresses.items():
        try:
            certificate = ssl.get_server_certificate(place, timeout=_CERTIFICATE_LIMIT)
        except OSError:
            continue
        der = ssl.PEM_cert_to_DER_cert(certificate)
        if hashlib.sha256(der).hexdigest() == fingerprint:
            return address, certificate
    raise WorkloadError("no member that the token names answers with its certificate")
