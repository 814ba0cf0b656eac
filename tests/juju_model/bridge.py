"""How one hook of the model becomes one run of `ops.testing`, and what had to be bridged.

`ops.testing.Context.run` takes a snapshot of everything that a charm could read, and checks that
it makes sense for one charm alone. A model of many units needs more; all of it is here. During a
dispatch, and only then, these are replaced in the process:

- **The hook tools.** A subclass of the mocked backend answers them from the model. So reads are
  made when they are asked for, as in Juju, a hook costs no copy of all databags, a departing unit
  is missing from `relation-list` while its data can still be read (`ops.testing` ties the two
  together), and the tools can be counted.
- **The environment of the event.** `ops.testing` cannot express "a dying unit departs itself" nor
  "the application's databag changed" (it takes the first remote unit when none is given, and
  `departing_unit=0` for none). The event is built for some remote unit, and then
  `JUJU_REMOTE_UNIT` and `JUJU_DEPARTING_UNIT` are set right in the charm's environment.
- **The machine.** `subprocess.run`, `os.uname` and `socket.gethostname` are those of the unit's
  host, `time.monotonic` and `time.sleep` those of the model's clock. While the host runs a command
  they are the process's own again, so a host may use the real `subprocess.run`. A charm must call
  them through their modules.
- **Deferred events.** `ops.testing` loses the framework's count of events between two runs (it
  saves the count under another name than `ops` reads it from), so that two deferred events of one
  kind become one, and their order is that of their names. The count is put back where it belongs.
- **The charm's directory.** `ops.testing` writes a charm's metadata to a new directory for each
  run, and `ops` reads it back: a third of what a hook costs. Here a stage keeps one directory and
  one parsed copy. Units share them; what a charm sees as its directory (`charm_dir`) is one of the
  unit's own, empty at first, in which it finds again what it has written.

Dispatches can be nested: a command that a hook runs may let hooks of other machines run meanwhile.
`ops` keeps parts of its state in the process (the environment, the logging handlers); each
dispatch puts back what it found. The whole is not thread-safe.
"""

# Each replaced part is private to ops.testing: there is no public seam.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import ops
import ops.testing
import scenario._ops_main_mock
import scenario._runtime

from tests.juju_model import tools

if TYPE_CHECKING:
    import pathlib

    from tests.juju_model import charms, running

REAL_SLEEP = time.sleep


def relation_stub(relation_id: int, endpoint: str, remote_app: str | None) -> Any:
    """Make the relation that `ops.testing` wants to see; `remote_app` is None for peers."""
    if remote_app is None:
        return ops.testing.PeerRelation(endpoint, id=relation_id, local_unit_data={})
    return ops.testing.Relation(
        endpoint,
        id=relation_id,
        remote_app_name=remote_app,
        local_unit_data={},
        remote_units_data={},
    )


class Stage:
    """Where the hooks of one charm run, one at a time."""

    def __init__(self, charm: charms.Charm, juju_version: str) -> None:
        meta, actions, config = (
            dict(of or {}) for of in (charm.meta, charm.actions, charm.config)
        )
        self.context = ops.testing.Context(
            charm.charm_type, meta=meta, actions=actions, config=config, juju_version=juju_version
        )
        # The context takes its own directory away when it is closed.
        self.root = self.context._tmp_path / "charm"
        self.root.mkdir(exist_ok=True)
        # As `ops` parses it.
        self.meta = ops.CharmMeta(meta, actions, config)

    def clear(self) -> None:
        """Let go of what the last hook left."""
        self.context.emitted_events.clear()
        self.context.unit_status_history.clear()
        self.context.app_status_history.clear()
        self.context.workload_version_history.clear()
        self.context._output_state = None


def run(
    stage: Stage,
    flight: running.Running,
    state: ops.testing.State,
    folder: pathlib.Path,
    params: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Run one hook, and let the unit keep what `ops` has committed, before Juju flushes.

    Args:
        stage: a stage of the unit's charm.
        flight: the hook.
        state: what the charm can read that the hook's tools do not answer.
        folder: the unit's own directory on its machine.
        params: the action's parameters.

    Returns:
        The action's results.

    Raises:
        ops.testing.errors.UncaughtCharmError: the charm raised.
    """
    context, unit = stage.context, flight.unit
    context.app_name = unit.app.name
    context.unit_id = unit.number
    with _seated(stage, flight, folder):
        try:
            state = context.run(_event(context, flight, params), state)
        except ops.testing.ActionFailed as error:
            # Juju flushes what a failed action wrote, for its process exits with 0.
            state = cast("ops.testing.State", error.state)
            flight.failure = error.message
        finally:
            stage.clear()
    unit.stored_states = frozenset(_stored_states(state))
    # ops.testing gives them in the order of their names; ops emits them in that of their age.
    unit.deferred = tuple(sorted(state.deferred, key=_age))
    unit.workload_version = state.workload_version
    return dict(context.action_results or {}) if flight.due.action else {}


class _FrameworkState(ops.testing.StoredState):
    """The state of the framework itself, under the name from which `ops` reads it."""

    @property
    def _handle_path(self) -> str:
        return f"{self._data_type_name}[{self.name}]"


def _stored_states(state: ops.testing.State) -> Iterator[ops.testing.StoredState]:
    for stored in state.stored_states:
        if stored.owner_path is None:
            yield _FrameworkState(stored.name, content=stored.content)
        elif stored.owner_path:
            yield stored


def _age(event: ops.testing.DeferredEvent) -> int:
    return int(event.handle_path.rpartition("[")[2].rstrip("]"))


def _event(
    context: ops.testing.Context[Any], flight: running.Running, params: Mapping[str, Any]
) -> Any:
    due = flight.due
    if due.action:
        return context.on.action(due.action, params=params)
    make = getattr(context.on, due.kind.replace("-", "_"))
    if flight.local is None:
        return make()
    if due.kind in ("relation-created", "relation-broken"):
        return make(flight.local.stub)
    # When there is no remote unit any will do here: the environment is set right later.
    return make(flight.local.stub, remote_unit=int((due.remote_unit or "/0").rpartition("/")[2]))


def _environment(flight: running.Running) -> dict[str, str]:
    due, local = flight.due, flight.local
    if due.kind == "relation-changed" and due.remote_unit is None:
        return {"JUJU_REMOTE_UNIT": ""}
    if due.departing_unit is None or local is None:
        return {}
    leaver = due.departing_unit
    # In another model it may go by another name.
    other = leaver == due.remote_unit and not local.relation.peer
    return {"JUJU_DEPARTING_UNIT": local.remote.shown(leaver) if other else leaver}


# The hooks in flight, the innermost last.
_stack: list[tuple[Stage, running.Running, pathlib.Path]] = []


def _flight() -> running.Running:
    return _stack[-1][1]


class _Backend(tools.Backend):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.flight = _flight()


_real_event_env: Callable[..., dict[str, str]] = scenario._runtime.Runtime[Any]._get_event_env


def _event_env(self: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
    return {**_real_event_env(self, *args, **kwargs), **_environment(_flight())}


@contextlib.contextmanager
def _virtual_charm_root(_: Any) -> Generator[pathlib.Path]:
    yield _stack[-1][0].root


def _load_charm_meta(_: Any) -> ops.CharmMeta:
    return _stack[-1][0].meta


def _uname() -> os.uname_result:
    with _patched(_REAL_PARTS):
        name = os.uname()
    return os.uname_result((name.sysname, _flight().unit.machine.host.name, *name[2:]))


def _sleep(seconds: float) -> None:
    flight = _flight()
    with _patched(_REAL_PARTS):
        flight.sleep(seconds)


def _run(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """Stand in for `subprocess.run`, on the machine of the hook in flight."""
    if isinstance(argv, str) or options.get("shell"):
        raise TypeError("the model runs lists of arguments, and no shell")
    stdout = options.get("stdout")
    into = stdout.fileno() if isinstance(stdout, io.IOBase) else None
    flight = _flight()
    with _patched(_REAL_PARTS):
        result = flight.run([os.fspath(word) for word in argv], options.get("timeout"), into)
    as_text = any(options.get(name) for name in ("text", "encoding", "errors"))

    def stream(name: str, content: str | None) -> Any:
        if not options.get("capture_output") and options.get(name) != subprocess.PIPE:
            return None
        return (content or "") if as_text else (content or "").encode()

    completed = subprocess.CompletedProcess(
        argv, result.returncode, stream("stdout", result.stdout), stream("stderr", result.stderr)
    )
    if options.get("check"):
        completed.check_returncode()
    return completed


_Parts = Sequence[tuple[Any, str, Any]]

_MODEL_MACHINE: _Parts = (
    (subprocess, "run", _run),
    (os, "uname", _uname),
    (socket, "gethostname", lambda: _flight().unit.machine.host.name),
    (time, "monotonic", lambda: _flight().clock()),
    (time, "sleep", _sleep),
)
_REAL_PARTS: _Parts = [(owner, name, getattr(owner, name)) for owner, name, _ in _MODEL_MACHINE]
_MODEL_PARTS: _Parts = (
    *_MODEL_MACHINE,
    (ops.CharmBase, "charm_dir", property(lambda _: _stack[-1][2])),
    (scenario._ops_main_mock, "_MockModelBackend", _Backend),
    (scenario._runtime.Runtime, "_get_event_env", _event_env),
    (scenario._runtime.Runtime, "_virtual_charm_root", _virtual_charm_root),
    (scenario._ops_main_mock.Ops, "_load_charm_meta", _load_charm_meta),
)


@contextlib.contextmanager
def _patched(parts: _Parts) -> Generator[None]:
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in parts]
    for owner, name, part in parts:
        setattr(owner, name, part)
    try:
        yield
    finally:
        for owner, name, part in before:
            setattr(owner, name, part)


@contextlib.contextmanager
def _seated(stage: Stage, flight: running.Running, folder: pathlib.Path) -> Generator[None]:
    """Let a hook run as if it had the process to itself."""
    root = logging.getLogger()
    handlers, level, excepthook = root.handlers[:], root.level, sys.excepthook
    # What a hook in flight has put into the environment, OPERATOR_DISPATCH above all, would make
    # a nested one exit at once.
    outer = {
        key: os.environ.pop(key)
        for key in tuple(os.environ)
        if key.startswith("JUJU_") or key in ("OPERATOR_DISPATCH", "_")
    }
    # What a charm logs goes to the record of its hook, and nowhere else.
    root.handlers = []
    folder.mkdir(parents=True, exist_ok=True)
    _stack.append((stage, flight, folder))
    try:
        with _patched(_MODEL_PARTS):
            yield
    finally:
        _stack.pop()
        root.handlers = handlers
        root.setLevel(level)
        sys.excepthook = excepthook
        os.environ.update(outer)
        if not _stack:
            # It keeps every framework alive that was ever made.
            ops.Framework.on._cache.clear()
