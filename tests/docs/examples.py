"""What is done with a block of each language."""

from __future__ import annotations

import contextlib
import inspect
import json
import pathlib
import re
import subprocess
import tempfile
import types
import unittest.mock
from typing import TYPE_CHECKING, Any, cast

import ops
import ops.testing
import pytest
import sybil
import yaml
from sybil import region
from sybil.evaluators import python

import microcluster_token_distributor
from scripts import single_file
from tests import juju_model
from tests.simulation import bags
from tests.clouds import local
from tests.docs import commands, pages, statuses
from tests.scenarios import telling
from tests.unit import vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

_LIBRARY = "microcluster-token-distributor.token_distributor"
_LIBAPI = next(iter(re.findall(r"^LIBAPI = (\d+)$", single_file.DIRECTIVES, re.MULTILINE)))
# Pages whose blocks without a rule of their own say what something looks like, and no more.
_FREE = ("docs/reference/library.md", "docs/reference/benchmark.md", "docs/explanation/cost.md")
_ROW = re.compile(r"(\S+)  +(\w+) *(.*)")


def parse(page: pages.Page) -> sybil.Document:
    """Make each block of a page an example; those in Python share one namespace."""
    document = sybil.Document(page.text, str(page.path))
    starts = [0]
    for line in page.text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for block in page.blocks():
        start = starts[block.line - 1]
        # The line that opens the block is the example's own.
        text = region.Lexeme(block.text, 0, 0)
        document.add(region.Region(start, start + 1, text, _evaluator(page, block)))
    return document


def _evaluator(page: pages.Page, block: pages.Block) -> Callable[[sybil.Example], None]:
    return lambda example: _evaluate(page, block, example)


def _evaluate(page: pages.Page, block: pages.Block, example: sybil.Example) -> None:
    if block.language == "python":
        _run_python(page, example)
        return
    evaluators: dict[str, Callable[[pages.Page, str], None]] = {
        "": _check_plain,
        "hcl": _check_hcl,
        "json": lambda _, text: json.loads(text),
        "mermaid": lambda _, text: _check_mermaid(text),
        "shell": _check_shell,
        "text": _check_text,
        "yaml": _check_yaml,
    }
    assert block.language in evaluators, f"nobody checks what is in {block.language!r}"
    evaluators[block.language](page, block.text)


# Python: charms and tests are run


def _run_python(page: pages.Page, example: sybil.Example) -> None:
    before = dict(example.namespace)
    example.namespace.setdefault("ops", ops)
    example.namespace.setdefault("TokenConsumer", microcluster_token_distributor.TokenConsumer)
    with _workload():
        python.PythonEvaluator()(example)
    for name, value in list(example.namespace.items()):
        if before.get(name) is value:
            continue
        if isinstance(value, telling.Story):
            _tell(value)
        elif isinstance(value, type) and issubclass(value, ops.CharmBase):
            run_charm(value, _endpoint(page))
        elif isinstance(value, types.FunctionType) and name.startswith("test_"):
            _run_test(value)


def _run_test(test: types.FunctionType) -> None:
    """Run a test as pytest would, with those of its fixtures that tests on a page need."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        fixtures = {"tmp_path": pathlib.Path(folder), "monkeypatch": monkeypatch}
        test(**{name: fixtures[name] for name in inspect.signature(test).parameters})


def _tell(story: telling.Story) -> None:
    with juju_model.Juju(seed=0) as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju))
        assert not story.obstacle(cloud)
        story.tell(cloud)


def _endpoint(page: pages.Page) -> dict[str, Any]:
    """Return the endpoint that a page has a charm require."""
    for block in page.blocks():
        if block.language == "yaml":
            required = cast("dict[str, Any]", yaml.safe_load(block.text)).get("requires")
            if required:
                return required
    return {"cluster": {"interface": "worker-cluster", "limit": 1}}


class Workload:
    """A microcluster's command on one node, as far as a charm sees it there.

    Attributes:
        member: whether the node is a member.
    """

    def __init__(self) -> None:
        self.member = False

    def run(self, argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        """Answer a command."""
        words = list(argv)
        if words[0] == "goal-state":
            return subprocess.CompletedProcess(words, 1, "", "no goal-state here")
        assert words[:2] == ["microovn", "cluster"], f"examples do not run {words}"
        verb = words[2]
        assert verb in ("bootstrap", "join", "list", "remove"), f"nobody asked for {verb}"
        if verb != "list":
            self.member = verb != "remove"
        elif not self.member:
            return subprocess.CompletedProcess(
                words, 1, "", "Error: Database is not yet initialized"
            )
        name = microcluster_token_distributor.get_hostname()
        row = {"name": name, "role": "voter", "status": "ONLINE"}
        return subprocess.CompletedProcess(words, 0, json.dumps([row]), "")


@contextlib.contextmanager
def _workload() -> Generator[Workload]:
    workload = Workload()
    with unittest.mock.patch.object(subprocess, "run", workload.run):
        yield workload


def run_charm(charm: type[ops.CharmBase], requires: dict[str, Any]) -> list[str]:
    """Let a unit of a charm bootstrap, and another one join; all its observers are run.

    Args:
        charm: its class.
        requires: its endpoints, of which the first is that of the cluster.

    Returns:
        The names of the events that it was notified of.
    """
    endpoint = next(iter(requires))
    name = microcluster_token_distributor.get_hostname()
    key = microcluster_token_distributor.mirror_id(name)
    emitted: list[str] = []
    leader = {"leader": "0", "bootstrap-app": "micro"}
    published = [
        ({**leader, "bootstrap-host": name, "waiting": name}, {"mirror": "up"}),
        ({**leader, "formed": "true"}, {"mirror": "up", key: vectors.token(name)}),
    ]
    for app_bag, unit_bag in published:
        context = ops.testing.Context(charm, meta={"name": "micro", "requires": requires})
        relation = ops.testing.Relation(
            endpoint,
            remote_app_name="distributor",
            remote_app_data=app_bag,
            remote_units_data={0: unit_bag},
        )
        state = ops.testing.State(leader=True, relations=[relation])
        with _workload() as workload:
            state = context.run(context.on.relation_changed(relation, remote_unit=0), state)
            assert workload.member, f"{charm.__name__} has not become a member"
            bag = state.get_relation(relation.id).local_unit_data
            assert not bags.complaint(bags.Kind.CONSUMER_UNIT, bags.Form.WRITTEN, bag)
            state = context.run(context.on.update_status(), state)
        assert isinstance(state.unit_status, (ops.ActiveStatus, ops.UnknownStatus))
        emitted += [event.handle.kind for event in context.emitted_events]
    return emitted


# Command lines


def _check_shell(page: pages.Page, text: str) -> None:
    apps = commands.applications(page)
    for line in commands.lines(text):
        commands.check(line, apps)


def _check_plain(page: pages.Page, text: str) -> None:
    """Check an indented block, where it is command lines."""
    if text.startswith(("juju ", "make ", "tox ")):
        _check_shell(page, text)


# Recorded output


def _check_text(page: pages.Page, text: str) -> None:
    lines = text.splitlines()
    if lines[0].split() == ["Unit", "Workload", "Message"]:
        for line in lines[1:]:
            _check_status_line(page, line)
    elif lines[0].startswith("row-0:"):
        _check_rows(text)
    elif lines[0].startswith(("[...]", "== ")):
        _check_demo(lines)
    elif lines[0].startswith("LeaveRefusedError: "):
        for line in lines:
            kind, _, message = line.partition(": ")
            assert any(each.fits(kind, message) for each in statuses.refusals()), line
    else:
        assert page.name in _FREE, "nobody knows what this is the output of"


def _check_status_line(page: pages.Page, line: str) -> None:
    """Check a line of `juju status`, without its other columns."""
    row = _ROW.fullmatch(line)
    assert row is not None, f"no line of a status: {line!r}"
    unit, kind, message = row[1].rstrip("*"), row[2], row[3]
    app = unit.partition("/")[0]
    charm = commands.applications(page).get(app)
    assert charm is not None, f"nobody has deployed {app}"
    if kind == "unknown":
        # What Juju says of a lost machine.
        assert message in ("", "agent lost, see `juju debug-log`")
    elif kind == "error":
        assert re.fullmatch(r'hook failed: "[a-z-]+"', message)
    else:
        side = statuses.DISTRIBUTOR if charm == commands.NAME else statuses.CONSUMER
        assert any(each.fits(kind, message) for each in statuses.of(side)), (
            f"{side} has no status {kind}: {message}"
        )


def _check_rows(text: str) -> None:
    """Check what the action gives."""
    rows = cast("dict[str, dict[str, str]]", yaml.safe_load(text))
    for number, (name, row) in enumerate(rows.items()):
        assert name == f"row-{number}"
        assert set(row) == {"application", "host-name", "state", "unit"}
        assert row["state"] in statuses.states(), f"there is no state {row['state']}"
        assert row["unit"].partition("/")[0] == row["application"]


def _check_demo(lines: Sequence[str]) -> None:
    """Check what the demonstration has units say."""
    templates = {*statuses.of(statuses.CONSUMER), *statuses.of(statuses.DISTRIBUTOR)}
    for line in lines:
        _, says, message = line.partition(" says: ")
        if says:
            assert any(each.fits(each.kind, message) for each in templates), line


# Files


def _check_yaml(_: pages.Page, text: str) -> None:
    content = cast("dict[str, Any]", yaml.safe_load(text))
    for endpoint in content.get("requires", {}).values():
        assert endpoint["interface"] == _interface(), "another interface"
        assert endpoint["limit"] == 1, "the library uses one distributor"
    for library in content.get("charm-libs", ()):
        assert library == {"lib": _LIBRARY, "version": _LIBAPI}
    apps = {name: app["charm"] for name, app in content.get("applications", {}).items()}
    for app in apps.values():
        commands.check(f"juju deploy {app}", {})
    for ends in content.get("relations", ()):
        commands.check(f"juju integrate {' '.join(ends)}", {name: name for name in apps})


def _interface() -> str:
    provided = cast("dict[str, dict[str, str]]", commands.CHARM["provides"])
    return next(iter(provided.values()))["interface"]


def _terraform(file: str, kind: str) -> dict[str, str]:
    """Return the blocks of a kind in a file of the module, by name."""
    text = (pages.ROOT / "terraform" / file).read_text()
    return dict(re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, re.MULTILINE | re.DOTALL))


_META_ARGUMENTS = {"source", "version", "providers", "count", "for_each", "depends_on"}


def _check_hcl(_: pages.Page, text: str) -> None:
    """Check that a module's inputs and outputs are those that ours has."""
    variables, outputs = _terraform("variables.tf", "variable"), _terraform("outputs.tf", "output")
    required = {name for name, body in variables.items() if "default" not in body}
    modules = re.findall(r'^module "(\w+)" {\n(.*?)^}', text, re.MULTILINE | re.DOTALL)
    assert modules, "the module is not used"
    for name, body in modules:
        given = set(re.findall(r"^  (\w+) *=", body, re.MULTILINE))
        assert given - _META_ARGUMENTS <= set(variables), "unknown variables"
        assert required <= given, "variables are missing"
        for output, key in re.findall(rf"module\.{name}\.(\w+)(?:\.(\w+))?", text):
            assert output in outputs, f"there is no output {output}"
            assert key in outputs[output], f"{output} has no {key}"


# Diagrams


def _check_mermaid(text: str) -> None:
    kind, *lines = [line.strip() for line in text.splitlines() if line.strip()]
    checks: dict[str, Callable[[Sequence[str]], None]] = {
        "sequenceDiagram": _check_sequence,
        "stateDiagram-v2": _check_states,
        "flowchart": lambda _: None,
    }
    assert kind.split()[0] in checks, f"GitHub may not draw a {kind}"
    checks[kind.split()[0]](lines)


_MESSAGE = re.compile(r"(\w+) *(?:-->>|->>|-->|->|--x|-x|--\)|-\))[+-]? *(\w+) *: *\S.*")
_BLOCK_WORDS = (
    "Note ",
    "loop ",
    "alt ",
    "else",
    "opt ",
    "par ",
    "and ",
    "end",
    "rect ",
    "activate",
)


def _check_sequence(lines: Sequence[str]) -> None:
    """Check that each line is one of those that are known, and who takes part is introduced."""
    declared: set[str] = set()
    for line in lines:
        introduced = re.fullmatch(r"(?:participant|actor) (\w+)(?: as .+)?", line)
        message = _MESSAGE.fullmatch(line)
        note = re.match(r"Note (?:over|left of|right of) ([\w,]+)", line)
        if introduced:
            declared.add(introduced[1])
        elif message or note:
            named = (
                {message[1], message[2]} if message else set(note[1].split(",") if note else ())
            )
            assert named <= declared, f"{', '.join(named - declared)} is not introduced: {line}"
        else:
            assert line.startswith((*_BLOCK_WORDS, "autonumber", "%%")), f"no such line: {line}"


def _check_states(lines: Sequence[str]) -> None:
    """Check that states are introduced."""
    declared: set[str] = {"[*]"}
    for line in lines:
        introduced = re.fullmatch(r'state "[^"]+" as (\w+)', line)
        change = re.fullmatch(r"(\S+) --> (\S+)(?: : .+)?", line)
        if introduced:
            declared.add(introduced[1])
        else:
            assert change, f"no such line: {line}"
            assert {change[1], change[2]} <= declared, f"a state is not introduced: {line}"
