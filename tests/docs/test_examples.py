"""What the pages show can be done, and looks as shown."""

from __future__ import annotations

import inspect
import re
import sys
import types
from typing import TYPE_CHECKING
from unittest import mock

import ops
import ops.testing
import yaml

from microcluster_token_distributor import TokenConsumer, testing
from tests import juju_model
from tests.clouds import local
from tests.docs import commands, pages, statuses
from tests.docs.pages import every_page

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

REQUIRES = {"cluster": {"interface": "worker-cluster", "limit": 1}}
META = {"type": "charm", "name": "micro", "summary": "", "description": "", "requires": REQUIRES}


@every_page
def test_examples(page: pages.Page, tmp_path: pathlib.Path) -> None:
    """All are checked but diagrams."""
    known = {"", "hcl", "mermaid", "python", "shell", "text", "yaml"}
    assert {block.info for block in page.blocks()} <= known
    run_python(page, tmp_path)
    check_commands(page)
    check_output(page)
    check_files(page)


def run_python(page: pages.Page, tmp_path: pathlib.Path) -> None:
    """In the module `charm`, which tests on the page import; each charm forms a cluster."""
    (tmp_path / "charmcraft.yaml").write_text(yaml.safe_dump(META))
    module = types.ModuleType("charm")
    module.__file__ = str(tmp_path / "src" / "charm.py")
    module.__dict__.update(ops=ops, TokenConsumer=TokenConsumer)
    with mock.patch.dict(sys.modules, {"charm": module}):
        for text in [block.content for block in page.blocks("", "python")]:
            if text.startswith("tox "):
                continue
            exec(text, vars(module))  # noqa: S102 - our own pages
            for name in re.findall(r"^class (\w+)\(ops\.CharmBase\)", text, re.MULTILINE):
                form_cluster(vars(module)[name])
            for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE):
                run_test(vars(module)[name])


def form_cluster(charm: type[ops.CharmBase]) -> None:
    """Let a unit of a charm bootstrap, and another one join; all its observers are run."""
    for relation in (testing.may_bootstrap(), testing.offered_token()):
        workload = testing.FakeWorkload()
        context = ops.testing.Context(charm)
        state = ops.testing.State(leader=True, relations=[relation])
        with workload.installed():
            state = context.run(context.on.relation_changed(relation, remote_unit=0), state)
            state = context.run(context.on.update_status(), state)
        assert workload.is_member, f"{charm.__name__} has not become a member"
        assert isinstance(state.unit_status, (ops.ActiveStatus, ops.UnknownStatus))


def run_test(test: Callable[..., None]) -> None:
    with juju_model.Juju(seed=0) as juju:
        fixtures = {"cloud": local.LocalCloud(juju, local.fake_microcluster(juju))}
        test(**{name: fixtures[name] for name in inspect.signature(test).parameters})


def check_commands(page: pages.Page) -> None:
    """Within a sentence a subcommand of Juju may stand alone."""
    texts = [block.content for block in page.blocks("", "shell")]
    for text in [text for text in texts if not text.startswith("class ")]:
        for line in text.replace("\\\n", " ").splitlines():
            commands.check(line, page)
    for code in page.codes:
        if short := re.fullmatch("juju ([a-z-]+)", code):
            assert short[1] in commands.JUJU
        elif re.match(r"(\w+=\S+ )?(juju|make|tox|python) ", code) and "..." not in code:
            commands.check(code, page)


def check_output(page: pages.Page) -> None:
    """In recorded output, and in each table of statuses."""
    both = statuses.CONSUMER | statuses.DISTRIBUTOR
    # Juju's own, of a lost machine and of a failed hook.
    both |= {"unknown", r'error: hook failed: "[a-z-]+"'}
    shown = [row[0] for table in page.tables("status") for row in table]
    apps = commands.applications(page)
    for line in [line for block in page.blocks("text") for line in block.content.splitlines()]:
        if status := re.fullmatch(r"([\w-]+)/\d\*? +([a-z]+) *(.*)", line):
            assert status[1] in apps, f"the page does not deploy {status[1]}"
            shown.append(": ".join(filter(None, status.groups()[1:])))
        elif state := re.fullmatch("  state: (.+)", line):
            assert state[1] in statuses.STATES
        elif refusal := re.fullmatch("LeaveRefusedError: (.+)", line):
            assert statuses.fits(refusal[1], statuses.REFUSALS)
    for status in shown:
        assert statuses.fits(status, both), f"there is no {status}"


def check_files(page: pages.Page) -> None:
    """Endpoints, libraries, bundles, and the module of Terraform are ours."""
    for block in page.blocks("hcl"):
        check_terraform(block.content)
    for content in [yaml.safe_load(block.content) for block in page.blocks("yaml")]:
        for name, endpoint in content.get("requires", {}).items():
            assert endpoint.items() >= REQUIRES[name].items()
        for each in content.get("charm-libs", ()):
            assert each["lib"] == f"{commands.NAME}.token_distributor"
        for ends in content.get("relations", ()):
            commands.check(f"juju integrate {' '.join(ends)}", page)


def check_terraform(text: str) -> None:
    """Check that our module has the inputs, at least those that it must have, and the outputs."""
    ours = "\n".join(path.read_text() for path in (pages.ROOT / "terraform").glob("*.tf"))
    (module,) = re.findall(r'^module "distributor" {(.*?)^}', text, re.MULTILINE | re.DOTALL)
    given = set(re.findall(r"^  (\w+) *=", module, re.MULTILINE))
    assert {"source", "model_uuid"} <= given
    assert given <= {"source", *re.findall(r'^variable "(\w+)"', ours, re.MULTILINE)}
    for output in re.findall(r"module\.distributor\.(\w+)", text):
        assert f'output "{output}"' in ours
