"""What is done with a block of each language."""

from __future__ import annotations

import inspect
import json
import pathlib
import re
import sys
import tempfile
import types
import unittest.mock
from typing import TYPE_CHECKING, Any, cast

import ops
import ops.testing
import pytest
import yaml

import microcluster_token_distributor
from microcluster_token_distributor import testing
from scripts import single_file
from tests import juju_model
from tests.clouds import local
from tests.docs import commands, pages, statuses
from tests.simulation import bags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# In these any text may stand.
_FREE = ("docs/reference/library.md", "docs/reference/benchmark.md", "docs/explanation/cost.md")
_ROW = re.compile(r"(\S+)  +(\w+) *(.*)")


def run(page: pages.Page) -> dict[str, Any]:
    """Check each block of a page by the rules of its language, in their order.

    Returns:
        The namespace that its Python shares.
    """
    namespace: dict[str, Any] = {
        "__name__": "charm",
        "ops": ops,
        "TokenConsumer": microcluster_token_distributor.TokenConsumer,
    }
    for block in page.blocks():
        _run_block(page, block, namespace)
    return namespace


def _run_block(page: pages.Page, block: pages.Block, namespace: dict[str, Any]) -> None:
    try:
        if block.language == "python":
            _run_python(page, block, namespace)
        else:
            assert block.language in _CHECKS, f"nothing checks {block.language!r}"
            _CHECKS[block.language](page, block.text)
    except Exception as error:
        pytest.fail(f"{page}:{block.line}: {type(error).__name__}: {error}")


# Python: charms and tests are run


def _run_python(page: pages.Page, block: pages.Block, namespace: dict[str, Any]) -> None:
    before = dict(namespace)
    with tempfile.TemporaryDirectory() as root:
        # Tests import the charm that the page has shown before, beside its charmcraft.yaml.
        path = pathlib.Path(root, "charmcraft.yaml")
        meta = dict.fromkeys(("name", "summary", "description"), "micro")
        path.write_text(yaml.safe_dump({**meta, "type": "charm", "requires": _endpoint(page)}))
        module = types.SimpleNamespace(**{**before, "__file__": f"{root}/src/charm.py"})
        charm = cast("types.ModuleType", module)
        with unittest.mock.patch.dict(sys.modules, {"charm": charm}):
            exec(compile("\n" * block.line + block.text, str(page.path), "exec"), namespace)  # noqa: S102 - our own pages
            new = {name: each for name, each in namespace.items() if before.get(name) is not each}
            for name, value in new.items():
                if isinstance(value, type) and issubclass(value, ops.CharmBase):
                    run_charm(value, _endpoint(page))
                elif isinstance(value, types.FunctionType) and name.startswith("test_"):
                    _run_test(value)


def _run_test(test: types.FunctionType) -> None:
    """Run a test as pytest would, with the fixtures that tests on a page need."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as monkeypatch,
        juju_model.Juju(seed=0) as juju,
    ):
        fixtures = {
            "cloud": local.LocalCloud(juju, local.fake_microcluster(juju)),
            "monkeypatch": monkeypatch,
            "tmp_path": pathlib.Path(folder),
        }
        test(**{name: fixtures[name] for name in inspect.signature(test).parameters})


def _endpoint(page: pages.Page) -> dict[str, Any]:
    """Return the endpoint that a page has a charm require."""
    for block in page.blocks():
        if block.language == "yaml" and (required := yaml.safe_load(block.text).get("requires")):
            return required
    return {"cluster": {"interface": "worker-cluster", "limit": 1}}


def run_charm(charm: type[ops.CharmBase], requires: dict[str, Any]) -> list[str]:
    """Let a unit of a charm bootstrap, and another one join; all its observers are run.

    Args:
        charm: its class.
        requires: its endpoints, of which the first is that of the cluster.

    Returns:
        The names of the events that it got.
    """
    emitted: list[str] = []
    for published in (testing.may_bootstrap, testing.offered_token):
        relation = published(next(iter(requires)))
        workload = testing.FakeWorkload()
        context = ops.testing.Context(charm, meta={"name": "micro", "requires": requires})
        state = ops.testing.State(leader=True, relations=[relation])
        with workload.installed():
            state = context.run(context.on.relation_changed(relation, remote_unit=0), state)
            assert workload.is_member, f"{charm.__name__} has not become a member"
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
    if text.startswith(("juju ", "make ", "tox ")):
        _check_shell(page, text)


# Recorded output


def _check_text(page: pages.Page, text: str) -> None:
    first, *others = text.splitlines()
    if first.split() == ["Unit", "Workload", "Message"]:
        apps = commands.applications(page)
        for line in others:
            _check_status_line(apps, line)
    elif first.startswith("row-0:"):
        for row in cast("dict[str, dict[str, str]]", yaml.safe_load(text)).values():
            assert set(row) == {"host-name", "state", "unit"}
            assert row["state"] in statuses.states(), f"there is no state {row['state']}"
    elif first.startswith(("[...]", "== ")):
        templates = {*statuses.of(statuses.CONSUMER), *statuses.of(statuses.DISTRIBUTOR)}
        for _, shows, message in (line.partition(" shows: ") for line in others):
            assert not shows or any(t.fits(t.kind, message) for t in templates), message
    elif first.startswith("LeaveRefusedError: "):
        for kind, _, message in (line.partition(": ") for line in (first, *others)):
            assert any(each.fits(kind, message) for each in statuses.refusals()), message
    else:
        assert repr(page) in _FREE, f"unknown output: {first}"


def _check_status_line(apps: dict[str, str], line: str) -> None:
    """Check a line of `juju status`, without its other columns."""
    row = _ROW.fullmatch(line)
    assert row is not None, f"no line of a status: {line!r}"
    unit, kind, message = row[1].rstrip("*"), row[2], row[3]
    charm = apps.get(unit.partition("/")[0])
    assert charm is not None, f"the page does not deploy the application of {unit}"
    if kind == "unknown":
        # Juju's own, of a lost machine.
        assert message in ("", "agent lost, see `juju debug-log`")
    elif kind == "error":
        assert re.fullmatch(r'hook failed: "[a-z-]+"', message)
    else:
        side = statuses.DISTRIBUTOR if charm == commands.NAME else statuses.CONSUMER
        known = any(each.fits(kind, message) for each in statuses.of(side))
        assert known, f"{side} has no status {kind}: {message}"


# Files


def _check_yaml(_: pages.Page, text: str) -> None:
    content = cast("dict[str, Any]", yaml.safe_load(text))
    (provided,) = cast("dict[str, dict[str, str]]", commands.CHARM["provides"]).values()
    for endpoint in content.get("requires", {}).values():
        assert endpoint["interface"] == provided["interface"], "another interface"
        assert endpoint["limit"] == 1, "the library uses one distributor"
    version = cast("re.Match[str]", re.search(r"^LIBAPI = (\d+)$", single_file.DIRECTIVES, re.M))
    library = "microcluster-token-distributor.token_distributor"
    for each in content.get("charm-libs", ()):
        assert each == {"lib": library, "version": version[1]}
    apps = {name: app["charm"] for name, app in content.get("applications", {}).items()}
    for app in apps.values():
        commands.check(f"juju deploy {app}", {})
    for ends in content.get("relations", ()):
        commands.check(f"juju integrate {' '.join(ends)}", {name: name for name in apps})


_META_ARGUMENTS = {"source", "version", "providers", "count", "for_each", "depends_on"}


def _terraform(text: str, kind: str) -> dict[str, str]:
    """Return the blocks of a kind, by name."""
    found = re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, re.MULTILINE | re.DOTALL)
    return dict(cast("list[tuple[str, str]]", found))


def _check_hcl(_: pages.Page, text: str) -> None:
    """Check that a module's inputs and outputs are those that ours has."""
    ours = "\n".join(path.read_text() for path in (pages.ROOT / "terraform").glob("*.tf"))
    variables, outputs = _terraform(ours, "variable"), _terraform(ours, "output")
    required = {name for name, body in variables.items() if "default" not in body}
    modules = _terraform(text, "module")
    assert modules, "the module is not used"
    for name, body in modules.items():
        given = set(re.findall(r"^  (\w+) *=", body, re.MULTILINE))
        assert given - _META_ARGUMENTS <= set(variables), "unknown variables"
        assert required <= given, "variables are missing"
        for output, key in re.findall(rf"module\.{name}\.(\w+)(?:\.(\w+))?", text):
            assert output in outputs, f"there is no output {output}"
            assert key in outputs[output], f"{output} has no {key}"


# Diagrams


def _check_mermaid(_: pages.Page, text: str) -> None:
    kind, *lines = [line.strip() for line in text.splitlines() if line.strip()]
    ends = {"sequenceDiagram": _sequence_ends, "stateDiagram-v2": _state_ends, "flowchart": _none}
    assert kind.split()[0] in ends, f"GitHub may not draw a {kind}"
    declared = {"[*]"}
    for line in lines:
        introduced = re.fullmatch(
            r'(?:participant|actor) (\w+)(?: as .+)?|state "[^"]+" as (\w+)', line
        )
        if introduced:
            declared.add(introduced[1] or introduced[2])
        else:
            unknown = set(ends[kind.split()[0]](line)) - declared
            assert not unknown, f"{', '.join(unknown)} is not introduced: {line}"


def _sequence_ends(line: str) -> Iterator[str]:
    """Give who takes part in a line of a sequence."""
    message = re.fullmatch(r"(\w+) *--?(?:>>?|x|\))[+-]? *(\w+) *: *\S.*", line)
    note = re.match(r"Note (?:over|left of|right of) ([\w,]+)", line)
    blocks = ("loop ", "alt ", "else", "opt ", "par ", "and ", "end", "rect ", "activate", "%%")
    assert message or note or line.startswith((*blocks, "autonumber")), f"no such line: {line}"
    yield from message.groups() if message else note[1].split(",") if note else ()


def _state_ends(line: str) -> Sequence[str]:
    change = re.fullmatch(r"(\S+) --> (\S+)(?: : .+)?", line)
    assert change, f"no such line: {line}"
    return change.groups()


def _none(_: str) -> Sequence[str]:
    return ()


_CHECKS: dict[str, Callable[[pages.Page, str], None]] = {
    "": _check_plain,
    "hcl": _check_hcl,
    "json": lambda _, text: json.loads(text),
    "mermaid": _check_mermaid,
    "shell": _check_shell,
    "text": _check_text,
    "yaml": _check_yaml,
}
