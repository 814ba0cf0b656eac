"""How one hook of the model becomes one run of `ops.testing`, and what had to be bridged.

`ops.testing.Context.run` takes a snapshot of everything that a charm could read, and checks that
it makes sense for one charm alone. A model of many units needs more; all of it is here. During a
dispatch, and only then, these are replaced in the process:

- **The hook tools.** A subclass of the mocked backend answers `relation-list`, `relation-get`,
  `relation-set`, `is-leader`, `network-get` and the rest from the model. So reads are made when
  they are asked for, as in Juju, a hook costs no copy of all databags, a departing unit is missing
  from `relation-list` while its data can still be read (`ops.testing` ties the two together), and
  the tools can be counted.
- **The environment of the event.** `ops.testing` cannot say "a dying unit departs itself" nor "the
  application's databag changed" (it takes the first remote unit when none is given, and
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

`ops.Framework.on` keeps every framework alive that was ever made; it is emptied after each
outermost dispatch.
"""

# Each replaced part is private to ops.testing: there is no public seam.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import dataclasses
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

from tests.juju_model import tools as tools_module

if TYPE_CHECKING:
    import pathlib

    from tests.juju_model import charms, hooks, hosts

REAL_RUN = subprocess.run
REAL_SLEEP = time.sleep
_REAL_MONOTONIC = time.monotonic
_REAL_UNAME = os.uname
_REAL_GETHOSTNAME = socket.gethostname


@dataclasses.dataclass(frozen=True)
class Dispatch:
    """One hook, ready to run.

    Attributes:
        due: the hook.
        unit_number: the number in the unit's name.
        app: the unit's application.
        host: the unit's machine.
        relations: the relations that the unit is in, by id.
        state: what else the charm can read.
        tools: what answers the hook tools.
        folder: the unit's own directory on its machine, which may not exist yet.
        params: the action's parameters.
    """

    due: hooks.Due
    unit_number: int
    app: str
    host: hosts.Host
    relations: Mapping[int, ops.testing.RelationBase]
    state: ops.testing.State
    tools: tools_module.HookTools
    folder: pathlib.Path
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])


@dataclasses.dataclass(frozen=True)
class Committed:
    """What `ops` has committed at the end of a hook, before Juju flushes.

    Attributes:
        stored_states: the charm's stored state.
        deferred: the events that it deferred.
        workload_version: as it was set.
        results: the action's results.
        failure: why the action failed, as the charm says.
    """

    stored_states: frozenset[ops.testing.StoredState]
    deferred: tuple[ops.testing.DeferredEvent, ...]
    workload_version: str
    results: Mapping[str, Any]
    failure: str | None


def relation_stub(relation_id: int, endpoint: str, remote_app: str | None) -> Any:
    """Make the relation that `ops.testing` wants to see; hook tools bring the data.

    Args:
        relation_id: the relation's id.
        endpoint: the unit's endpoint.
        remote_app: the application on the other side; `None` for a peer relation.
    """
    if remote_app is None:
        return ops.testing.PeerRelation(endpoint, id=relation_id, local_unit_data={})
    return ops.testing.Relation(
        endpoint,
        id=relation_id,
        remote_app_name=remote_app,
        local_unit_data={},
        remote_units_data={},
    )


@dataclasses.dataclass
class Stage:
    """Where the hooks of one charm run, one at a time.

    Attributes:
        charm: the charm.
        context: runs them.
        root: the charm's directory.
        meta: the metadata as `ops` parses it, once it has.
    """

    charm: charms.Charm
    context: ops.testing.Context[Any]
    root: pathlib.Path
    meta: ops.CharmMeta | None = None


class Stages:
    """The stages of one model, used again and again.

    Args:
        juju_version: what the charms are told.
    """

    def __init__(self, juju_version: str) -> None:
        self._juju_version = juju_version
        self._idle: dict[charms.Charm, list[Stage]] = {}
        self._all: list[Stage] = []

    @contextlib.contextmanager
    def stage(self, charm: charms.Charm) -> Generator[Stage]:
        """Lend a stage that no hook in flight uses."""
        idle = self._idle.setdefault(charm, [])
        stage = idle.pop() if idle else self._make(charm)
        try:
            yield stage
        finally:
            context = stage.context
            context.emitted_events.clear()
            context.unit_status_history.clear()
            context.app_status_history.clear()
            context.workload_version_history.clear()
            context._output_state = None
            idle.append(stage)

    def close(self) -> None:
        """Remove the temporary directories of all stages."""
        for stage in self._all:
            stage.context.close()

    def _make(self, charm: charms.Charm) -> Stage:
        context = ops.testing.Context(
            charm.charm_type,
            meta=dict(charm.meta),
            actions=dict(charm.actions or {}),
            config=dict(charm.config or {}),
            juju_version=self._juju_version,
        )
        # The context takes its own directory away when it is closed.
        root = context._tmp_path / "charm"
        root.mkdir(exist_ok=True)
        stage = Stage(charm, context, root)
        self._all.append(stage)
        return stage


def run(stage: Stage, dispatch: Dispatch) -> Committed:
    """Run one hook.

    Args:
        stage: a stage of the unit's charm.
        dispatch: the hook.

    Raises:
        ops.testing.errors.UncaughtCharmError: the charm raised.
    """
    context = stage.context
    context.app_name = dispatch.app
    context.unit_id = dispatch.unit_number
    event = _event(context, dispatch)
    failure = None
    with _seated(stage, dispatch):
        try:
            state = context.run(event, dispatch.state)
        except ops.testing.ActionFailed as error:
            # Juju flushes what a failed action wrote, for its process exits with 0.
            state = cast("ops.testing.State", error.state)
            failure = error.message
    return Committed(
        stored_states=frozenset(_stored_states(state)),
        # ops.testing gives them in the order of their names; ops emits them in that of their age.
        deferred=tuple(sorted(state.deferred, key=_age)),
        workload_version=state.workload_version,
        results=dict(context.action_results or {}) if dispatch.due.action else {},
        failure=failure,
    )


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


def _event(context: ops.testing.Context[Any], dispatch: Dispatch) -> Any:
    due = dispatch.due
    if due.action:
        return context.on.action(due.action, params=dispatch.params)
    make = getattr(context.on, due.kind.replace("-", "_"))
    if due.relation_id is None:
        return make()
    relation = dispatch.relations[due.relation_id]
    if due.kind in ("relation-created", "relation-broken"):
        return make(relation)
    # When there is no remote unit any will do here: the environment is set right later.
    return make(relation, remote_unit=int((due.remote_unit or "/0").rpartition("/")[2]))


def _environment(dispatch: Dispatch) -> dict[str, str]:
    due = dispatch.due
    environment: dict[str, str] = {}
    if due.kind == "relation-changed" and due.remote_unit is None:
        environment["JUJU_REMOTE_UNIT"] = ""
    if due.departing_unit is not None:
        leaver = due.departing_unit
        relation = None if due.relation_id is None else dispatch.relations[due.relation_id]
        if leaver == due.remote_unit and isinstance(relation, ops.testing.Relation):
            # In another model it may go by another name.
            leaver = f"{relation.remote_app_name}/{leaver.rpartition('/')[2]}"
        environment["JUJU_DEPARTING_UNIT"] = leaver
    return environment


# The hooks in flight, the innermost last.
_stack: list[tuple[Stage, Dispatch]] = []


class _Backend(tools_module.Backend):
    """The hook tools of the hook in flight."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        dispatch = _stack[-1][1]
        self.tools = dispatch.tools
        self.address = dispatch.host.address
        self.event_relation = dispatch.due.relation_id


_real_event_env: Callable[..., dict[str, str]] = scenario._runtime.Runtime[Any]._get_event_env


def _event_env(self: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
    # JUJU_REMOTE_UNIT and the like are wrong only for what ops.testing cannot express.
    return {**_real_event_env(self, *args, **kwargs), **_environment(_stack[-1][1])}


@contextlib.contextmanager
def _virtual_charm_root(self: Any) -> Generator[pathlib.Path]:
    del self
    yield _stack[-1][0].root


def _load_charm_meta(self: Any) -> ops.CharmMeta:
    del self
    stage = _stack[-1][0]
    if stage.meta is None:
        charm = stage.charm
        stage.meta = ops.CharmMeta(
            dict(charm.meta), dict(charm.actions or {}), dict(charm.config or {})
        )
    return stage.meta


def _uname() -> os.uname_result:
    name = _REAL_UNAME()
    host = _stack[-1][1].host.name
    return os.uname_result((name.sysname, host, name.release, name.version, name.machine))


def _gethostname() -> str:
    return _stack[-1][1].host.name


def _monotonic() -> float:
    return _stack[-1][1].tools.clock()


def _sleep(seconds: float) -> None:
    tools = _stack[-1][1].tools
    with _patched(_REAL_PARTS):
        tools.sleep(seconds)


def _charm_dir(_: ops.CharmBase) -> pathlib.Path:
    folder = _stack[-1][1].folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(argv: Sequence[str], *rest: Any, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Stand in for `subprocess.run`, on the machine of the hook in flight."""
    if rest or isinstance(argv, str) or options.get("shell"):
        raise TypeError("the model runs lists of arguments, with options by keyword, no shell")
    words = [os.fspath(word) for word in argv]
    timeout = options.get("timeout")
    stdout = options.get("stdout")
    into = stdout.fileno() if isinstance(stdout, io.IOBase) else None
    tools = _stack[-1][1].tools
    with _patched(_REAL_PARTS):
        result = tools.run(words, timeout, into)
    captured = options.get("capture_output", False)
    as_text = any(
        options.get(option) for option in ("text", "encoding", "errors", "universal_newlines")
    )

    def stream(name: str, content: str | None) -> Any:
        if not captured and options.get(name) != subprocess.PIPE:
            return None
        return (content or "") if as_text else (content or "").encode()

    completed = subprocess.CompletedProcess(
        argv, result.returncode, stream("stdout", result.stdout), stream("stderr", result.stderr)
    )
    if options.get("check"):
        completed.check_returncode()
    return completed


_Parts = Sequence[tuple[Any, str, Any]]

_REAL_PARTS: _Parts = (
    (subprocess, "run", REAL_RUN),
    (os, "uname", _REAL_UNAME),
    (socket, "gethostname", _REAL_GETHOSTNAME),
    (time, "monotonic", _REAL_MONOTONIC),
    (time, "sleep", REAL_SLEEP),
)
_MODEL_PARTS: _Parts = (
    (subprocess, "run", _run),
    (os, "uname", _uname),
    (socket, "gethostname", _gethostname),
    (time, "monotonic", _monotonic),
    (time, "sleep", _sleep),
    (ops.CharmBase, "charm_dir", property(_charm_dir)),
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
def _seated(stage: Stage, dispatch: Dispatch) -> Generator[None]:
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
    _stack.append((stage, dispatch))
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
            ops.Framework.on._cache.clear()
