"""How one hook of the model becomes one run of `ops.testing`, and what had to be bridged.

`ops.testing.Context.run` takes a snapshot of all that one charm could read. A model of many units
needs more: during a dispatch, and only then, these are replaced in the process.

- **The hook tools.** A subclass of the mocked backend answers them from the model, when they are
  asked. A departing unit is missing from `relation-list` while its data can still be read.
- **The environment of the event.** `ops.testing` cannot express "a dying unit departs itself" nor
  "the application's databag changed". The event is built for some remote unit, and then
  `JUJU_REMOTE_UNIT` and `JUJU_DEPARTING_UNIT` are set right.
- **The machine.** `subprocess.run`, `os.uname` and `socket.gethostname` are those of the unit's
  host, `time.monotonic` and `time.sleep` those of the model's clock, for charms that call them by
  their modules. While the host runs a command they are the process's own again.
- **Deferred events.** `ops.testing` saves the framework's count of events under another name than
  `ops` reads it from, so that two deferred events of one kind become one. It is put right here.
- **The charm's directory.** `ops.testing` writes a charm's metadata to a new directory for each
  run, and `ops` reads it back: a third of what a hook costs. Here a stage keeps one directory and
  one parsed copy. What a charm sees as its `charm_dir` is one of the unit's own, empty at first.

Dispatches can be nested: a command that a hook runs may let hooks of other machines run meanwhile.
Each puts back what it found in the process. The whole is not thread-safe.
"""

# There is no public seam.
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
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import ops
import ops.testing
import scenario._ops_main_mock
import scenario._runtime

from tests.juju_model import tools

if TYPE_CHECKING:
    import pathlib

    from tests.juju_model import charms, running


class Stage:
    """Where the hooks of one charm run, one at a time."""

    def __init__(self, charm: charms.Charm, juju_version: str) -> None:
        meta, actions = dict(charm.meta), dict(charm.actions or {})
        self.context = ops.testing.Context(
            charm.charm_type, meta=meta, actions=actions, config={}, juju_version=juju_version
        )
        # The context takes its own directory away when it is closed.
        self.root = self.context._tmp_path / "charm"
        self.root.mkdir(exist_ok=True)
        # As `ops` parses it.
        self.meta = ops.CharmMeta(meta, actions)


def run(flight: running.Running) -> None:
    """Run one hook, and let the unit keep what `ops` has committed, before Juju flushes."""
    context, unit = flight.stage.context, flight.unit
    context.app_name = unit.app.name
    context.unit_id = unit.number
    # All that the hook's tools do not answer.
    state = ops.testing.State(
        relations=[local.stub for local in flight.locals.values()],
        leader=unit.app.leader is unit,
        model=ops.testing.Model(flight.juju.name, uuid=_MODEL_UUID, type="lxd"),
        planned_units=sum(not other.dying for other in unit.app.units.values()),
        deferred=unit.deferred,
        stored_states=unit.stored_states,
        unit_status=ops.StatusBase.from_name(unit.status.name, unit.status.message),
    )
    with _seated(flight):
        try:
            state = context.run(_event(context, flight), state)
        except ops.testing.ActionFailed as error:
            # Juju flushes what a failed action wrote, for its process exits with 0.
            state = cast("ops.testing.State", error.state)
            flight.failure = error.message
        finally:
            # Let go of what the hook left.
            context.emitted_events.clear()
            context.unit_status_history.clear()
            context._output_state = None
    unit.stored_states = frozenset(_stored_states(state))
    # ops.testing gives them in the order of their names; ops emits them in that of their age.
    unit.deferred = tuple(sorted(state.deferred, key=_age))
    if flight.due.action:
        flight.results = dict(context.action_results or {})


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


def _event(context: ops.testing.Context[Any], flight: running.Running) -> Any:
    due = flight.due
    if due.action:
        return context.on.action(due.action, params=flight.params)
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


_UNAME = os.uname()
_MODEL_UUID = "00000000-0000-4000-8000-000000000000"
# The hooks in flight, the innermost last.
_stack: list[running.Running] = []


def _flight() -> running.Running:
    return _stack[-1]


def _backend(*args: Any, **kwargs: Any) -> tools.Backend:
    backend = tools.Backend(*args, **kwargs)
    backend.flight = _flight()
    return backend


_real_event_env: Callable[..., dict[str, str]] = scenario._runtime.Runtime[Any]._get_event_env


def _event_env(self: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
    return {**_real_event_env(self, *args, **kwargs), **_environment(_flight())}


@contextlib.contextmanager
def _virtual_charm_root(_: Any) -> Generator[pathlib.Path]:
    yield _flight().stage.root


def _load_charm_meta(_: Any) -> ops.CharmMeta:
    return _flight().stage.meta


def _uname() -> os.uname_result:
    return os.uname_result((_UNAME[0], _flight().unit.machine.host.name, *_UNAME[2:]))


def _sleep(seconds: float) -> None:
    with _patched(_REAL_PARTS):
        _flight().sleep(seconds)


def _run(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Stand in for `subprocess.run`, on the machine of the hook in flight, output always text."""
    into = stdout if isinstance(stdout := options.get("stdout"), io.IOBase) else None
    with _patched(_REAL_PARTS):
        done = _flight().run([os.fspath(word) for word in argv], options.get("timeout"), into)
    if options.get("check"):
        done.check_returncode()
    return done


_Parts = Sequence[tuple[Any, str, Any]]

_MODEL_MACHINE: _Parts = (
    (subprocess, "run", _run),
    (os, "uname", _uname),
    (socket, "gethostname", lambda: _flight().unit.machine.host.name),
    (time, "monotonic", lambda: _flight().juju.now),
    (time, "sleep", _sleep),
)
_REAL_PARTS: _Parts = [(owner, name, getattr(owner, name)) for owner, name, _ in _MODEL_MACHINE]
_MODEL_PARTS: _Parts = (
    *_MODEL_MACHINE,
    (ops.CharmBase, "charm_dir", property(lambda _: _flight().folder)),
    (scenario._ops_main_mock, "_MockModelBackend", _backend),
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
def _seated(flight: running.Running) -> Generator[None]:
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
    _stack.append(flight)
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
