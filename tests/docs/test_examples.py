"""What the pages show can be done, and looks like that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs import commands, examples, pages, statuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sybil

_STATUS = re.compile(r"(active|blocked|maintenance|waiting|error)(?:: (.+))?")


def _examples() -> Iterator[Any]:
    for page in pages.every_page():
        for example in examples.parse(page).examples():
            yield pytest.param(example, id=f"{page.name}:{example.line}")


@pytest.mark.parametrize("example", list(_examples()))
def test_example_works(example: sybil.Example) -> None:
    """Each block, by the rules of its language; those of a page in their order."""
    example.evaluate()


@pytest.mark.parametrize("page", pages.every_page(), ids=repr)
def test_commands_in_the_text_exist(page: pages.Page) -> None:
    """What is named in the midst of a sentence may lack words, and has no wrong ones."""
    apps = commands.applications(page)
    for code in page.codes():
        if re.match(r"(\w+=\S+ )*(juju|make|tox|python) ", code) and "..." not in code:
            commands.check(code, apps, whole=False)


@pytest.mark.parametrize("page", pages.every_page(), ids=repr)
def test_statuses_in_tables_are_real_ones(page: pages.Page) -> None:
    """In each table with a column of that name; `...` stands for any text."""
    templates = {*statuses.of(statuses.CONSUMER), *statuses.of(statuses.DISTRIBUTOR)}
    for table in page.tables():
        for row in table.rows if table.header[0].startswith("status") else ():
            status = _STATUS.fullmatch(row[0])
            assert status is not None, f"no status: {row[0]}"
            kind, message = status[1], status[2] or ""
            juju = kind == "error" and message.startswith("hook failed: ")
            assert juju or any(each.fits(kind, message) for each in templates), row[0]


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
        "python -m benchmarks --nothing",
        "python -m tests.nothing",
        "rm -r docs",
        "tox -e model -- --nothing",
        "tox -e model -- -k no_such_test",
        "tox -e nothing",
    ],
)
def test_command_with_something_that_does_not_exist_is_refused(line: str) -> None:
    """Otherwise nothing would have been checked."""
    apps = {name: name for name in commands.ENDPOINTS}

    with pytest.raises(commands.WrongError):
        commands.check(line, apps)


@pytest.mark.parametrize(
    ("language", "text", "complaint"),
    [
        ("", "juju nothing", "subcommands"),
        ("cobol", "", "nobody checks"),
        ("hcl", 'module "d" {\n  model_uuid = 1\n  nothing = 2\n}\n', "unknown variables"),
        ("hcl", 'module "d" {\n  source = "x"\n}\n', "variables are missing"),
        ("hcl", 'module "d" {\n  model_uuid = 1\n}\nx = module.d.nothing\n', "no output"),
        ("mermaid", "sequenceDiagram\n  participant A\n  A->>B: hello", "not introduced"),
        ("mermaid", "stateDiagram-v2\n  [*] --> nothing", "not introduced"),
        ("mermaid", "drawing\n", "may not draw"),
        ("text", "Unit  Workload  Message\nmicroovn/0  waiting   waiting for x", "has no status"),
        ("text", "Unit  Workload  Message\nnothing/0  active", "deployed"),
        ("text", "row-0:\n  application: a\n  host-name: h\n  state: s\n  unit: a/0", "state s"),
        ("text", "  1.0 s  lxd/0 says: something", "output"),
        ("text", "== A step\n  1.0 s  lxd/0 says: something", "something"),
        ("text", "LeaveRefusedError: no", "LeaveRefusedError"),
        ("yaml", "requires: {cluster: {interface: another, limit: 1}}", "another interface"),
        ("yaml", "requires: {cluster: {interface: worker-cluster, limit: 2}}", "one distributor"),
    ],
)
def test_block_that_is_wrong_is_refused(language: str, text: str, complaint: str) -> None:
    """Each language has its rules."""
    made_up = pages.Page(pages.DOCS / "made-up.md", f"```{language}\n{text}\n```\n")

    (example,) = examples.parse(made_up).examples()

    with pytest.raises(AssertionError, match=complaint):
        example.evaluate()


def test_a_test_is_really_run() -> None:
    """With the fixtures that it names."""
    text = "def test_it(tmp_path):\n    raise LookupError(tmp_path.is_dir())\n"
    document = examples.parse(pages.Page(pages.DOCS / "made-up.md", f"```python\n{text}```\n"))
    (example,) = document.examples()

    with pytest.raises(LookupError, match="True"):
        example.evaluate()


def test_a_charm_is_really_run() -> None:
    """Otherwise its observers could hold anything."""
    document = examples.parse(
        pages.Page(
            pages.DOCS / "made-up.md",
            "```python\nclass Charm(ops.CharmBase):\n"
            "    def __init__(self, framework):\n"
            "        super().__init__(framework)\n"
            "        self.cluster = TokenConsumer(\n"
            '            self, "cluster", ["microovn", "cluster"])\n'
            "        framework.observe(self.cluster.on.joined, self._on_joined)\n"
            "    def _on_joined(self, event):\n"
            "        raise LookupError(event.bootstrapper)\n```\n",
        )
    )
    (example,) = document.examples()

    with pytest.raises(Exception, match="LookupError"):
        example.evaluate()
