"""What the pages show can be done, and looks as shown."""

from __future__ import annotations

import re

import pytest

from tests.docs import commands, examples, pages, statuses

_STATUS = re.compile(r"(active|blocked|maintenance|waiting|error)(?:: (.+))?")
_LIBRARY = pages.DOCS / "reference" / "library.md"

every_page = pytest.mark.parametrize("page", pages.every_page(), ids=repr)


def made_up(language: str, text: str) -> pages.Page:
    """Return a page with one block."""
    return pages.Page(pages.DOCS / "made-up.md", f"```{language}\n{text}\n```\n")


@every_page
def test_examples_work(page: pages.Page) -> None:
    examples.run(page)


@every_page
def test_commands_in_the_text_exist(page: pages.Page) -> None:
    """Within a sentence a command may lack words."""
    apps = commands.applications(page)
    for code in page.codes():
        if re.match(r"(\w+=\S+ )*(juju|make|tox|python) ", code) and "..." not in code:
            commands.check(code, apps, whole=False)


@every_page
def test_statuses_in_tables_are_real_ones(page: pages.Page) -> None:
    """In each table whose first column is the status; `...` stands for any text."""
    templates = {*statuses.of(statuses.CONSUMER), *statuses.of(statuses.DISTRIBUTOR)}
    for row in [r for t in page.tables() if t.header[0].startswith("status") for r in t.rows]:
        status = _STATUS.fullmatch(row[0])
        assert status is not None, f"no status: {row[0]}"
        kind, message = status[1], status[2] or ""
        juju = kind == "error" and message.startswith("hook failed: ")
        assert juju or any(each.fits(kind, message) for each in templates), row[0]


def test_the_librarys_own_example_is_a_charm_that_joins() -> None:
    (text,) = (
        block.text
        for block in pages.page(_LIBRARY).blocks()
        if block.text.startswith("class MicroCharm")
    )

    charm = examples.run(made_up("python", text))["MicroCharm"]

    emitted = examples.run_charm(charm, {"cluster": {"interface": "worker-cluster", "limit": 1}})
    assert {"joined", "bootstrapped"} <= set(emitted)


@pytest.mark.parametrize(
    "line",
    [
        "juju",
        "juju add-model",
        "juju deploy nothing",
        "juju deploy microovn --nothing",
        "juju exec --unit microovn/0 -- microovn cluster show",
        "juju exec --unit nothing/0 -- true",
        "juju integrate microovn",
        "juju integrate microovn nothing",
        "juju integrate microovn:nothing microcluster-token-distributor",
        "juju refresh microovn --channel",
        "juju remove-unit microovn",
        "juju run microcluster-token-distributor/leader nothing",
        "juju status microovn microovn",
        "juju upgrade microovn",
        "make nothing",
        'make test ARGS="-e nothing"',
        "make test NOTHING=1",
        "make demo ARGS=--nothing",
        "NOTHING=1 make test",
        "python -m demo --nothing",
        "python -m tests.nothing",
        "rm -r docs",
        "tox -e model -- --nothing",
        "tox -e model -- -k no_such_test",
        "tox -e nothing",
    ],
)
def test_a_command_that_does_not_exist_is_refused(line: str) -> None:
    with pytest.raises(AssertionError):
        commands.check(line, {name: name for name in commands.ENDPOINTS})


@pytest.mark.parametrize(
    ("language", "text", "complaint"),
    [
        ("", "juju nothing", "subcommands"),
        ("cobol", "", "nothing checks"),
        ("hcl", 'module "d" {\n  model_uuid = 1\n  nothing = 2\n}\n', "unknown variables"),
        ("hcl", 'module "d" {\n  source = "x"\n}\n', "variables are missing"),
        ("hcl", 'module "d" {\n  model_uuid = 1\n}\nx = module.d.nothing\n', "no output"),
        ("mermaid", "sequenceDiagram\n  participant A\n  A->>B: hello", "not introduced"),
        ("mermaid", "stateDiagram-v2\n  [*] --> nothing", "not introduced"),
        ("mermaid", "drawing\n", "may not draw"),
        ("python", "def test_it(tmp_path):\n    raise LookupError(tmp_path.is_dir())", "True"),
        ("text", "Unit  Workload  Message\nmicroovn/0  waiting   waiting for x", "has no status"),
        ("text", "Unit  Workload  Message\nnothing/0  active", "deploy"),
        ("text", "row-0:\n  host-name: h\n  state: s\n  unit: a/0", "state s"),
        ("text", "  1.0 s  lxd/0 shows: something", "output"),
        ("text", "== A step\n  1.0 s  lxd/0 shows: something", "something"),
        ("text", "LeaveRefusedError: no", "LeaveRefusedError|no"),
        ("yaml", "requires: {cluster: {interface: another, limit: 1}}", "another interface"),
        ("yaml", "requires: {cluster: {interface: worker-cluster, limit: 2}}", "one distributor"),
    ],
)
def test_a_wrong_block_is_refused(language: str, text: str, complaint: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=complaint):
        examples.run(made_up(language, text))


def test_the_observers_of_a_charm_are_run() -> None:
    """A charm that only is a class would prove nothing."""
    text = """
class Charm(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        self.cluster = TokenConsumer(self, "cluster", ["microovn", "cluster"])
        framework.observe(self.cluster.on.joined, self._on_joined)
    def _on_joined(self, event):
        raise LookupError(event.bootstrapper)
"""

    with pytest.raises(pytest.fail.Exception, match="LookupError"):
        examples.run(made_up("python", text))
