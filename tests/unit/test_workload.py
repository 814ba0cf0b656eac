"""Commands, what they answer, and the tokens that are kept on disk."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from microcluster_token_distributor import _workload
from tests.unit import consumer, runner
from tests.unit.consumer import COMMAND, REFUSED, TOKEN_1, TOKEN_2

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

LIST = (*COMMAND, *consumer.LIST)
WORKLOAD = _workload.CommandWorkload(COMMAND)


def message(act: Callable[..., object], *args: Any) -> str:
    """Return why the workload did not do what it was asked to."""
    with pytest.raises(_workload.WorkloadError) as caught:
        act(*args)
    return str(caught.value)


ACTS: list[tuple[Callable[[pathlib.Path], None], str, int]] = [
    (lambda _: WORKLOAD.bootstrap(["--first"]), "bootstrap --first", 300),
    (lambda path: WORKLOAD.issue("node-1", path, ["-t", "9"]), "add node-1 -t 9", 30),
    (lambda _: WORKLOAD.join(TOKEN_1, ["--a", "b"]), f"join {TOKEN_1} --a b", 300),
    (lambda _: WORKLOAD.remove("x", [], force=False), "remove x", 60),
    (lambda _: WORKLOAD.remove("x", ["-y"], force=True), "remove x -y --force", 60),
]


@pytest.mark.parametrize(("act", "words", "limit"), ACTS)
def test_each_act_is_one_command(
    commands: runner.FakeRunner,
    tmp_path: pathlib.Path,
    act: Callable[[pathlib.Path], None],
    words: str,
    limit: int,
) -> None:
    """Under a time limit of its own; where it fails, its complaint is the reason."""
    path, line = tmp_path / "token", (*COMMAND, *words.split())
    path.touch()
    commands.expect(*line, answers=[runner.Answer(0, TOKEN_1), REFUSED])

    act(path)

    assert path.read_text().strip() == (TOKEN_1 if "add" in words else "")
    assert message(act, path) == "Error: refused"
    assert (commands.calls, commands.timeouts) == ([line] * 2, [limit] * 2)


def test_members_are_read(commands: runner.FakeRunner) -> None:
    """Roles may lack, other fields may be there, and a status has any case."""
    rows: list[dict[str, Any]] = [
        {"name": "b", "role": "voter", "status": "ONLINE", "address": "192.0.2.1:6443", "x": {}},
        {"name": "a", "status": "Online"},
        {"name": "c", "role": "spare", "status": "UNREACHABLE"},
    ]
    commands.expect(*LIST, answers=[runner.Answer(stdout=json.dumps(rows), stderr="a warning")])

    read = [(member.name, member.role, member.online) for member in WORKLOAD.members()]

    assert read == [("b", "voter", True), ("a", "", True), ("c", "spare", False)]


NOS = [  # of MicroOVN, MicroCeph and LXD; each as it was measured or read
    "Error: Database is not yet initialized",
    "Error: Daemon not yet initialised",
    "Error: cluster has not been bootstrapped",
    "Error: This LXD server is not part of a cluster",
    "Error: LXD server isn't part of a cluster",
]
RUBBISH = [
    *["", "oops", "[" * 100_000, '"text"', "null", "0", "{}", "[]", "[0]", "[[]]", "[{}]"],
    '[{"name": "a"}]',
    '[{"name": 1, "status": "ONLINE"}]',
    '[{"name": "a", "status": "ONLINE", "role": null}]',
    '[{"name": "a", "status": "ONLINE"}, {"status": "ONLINE"}]',
    '{"name": "a", "status": "ONLINE"}',
]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        *((runner.Answer(1, stderr=f"{text}\n"), "") for text in NOS),
        *((runner.Answer(0, text), "its list of members cannot be read") for text in RUBBISH),
        (runner.Answer(1, stderr="first\n Database is starting \n\n"), "Database is starting"),
        (runner.Answer(1, stderr="long " * 50), f"{'long ' * 23}lo..."),
        (runner.Answer(-11), "exit code -11"),
        (runner.Answer(error=FileNotFoundError(2, "None")), "cannot run micro: None"),
        (runner.Answer(error=ValueError("x")), "cannot run micro: an argument cannot be used"),
        (runner.Answer(error=subprocess.TimeoutExpired(LIST, 30)), "no answer within 30 s"),
    ],
)
def test_only_some_complaints_are_a_no(
    commands: runner.FakeRunner, answer: runner.Answer, reason: str
) -> None:
    """Upon which a unit joins or bootstraps. For all else there is a reason, short enough."""
    commands.expect(*LIST, answers=[answer])

    report = _workload.ask(WORKLOAD, ["node-0"], was_member=False, confirms=False)

    assert (report.members, report.reason) == ((), reason)


def test_mock_in_the_place_of_subprocess_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charms' own tests patch it for the whole process."""
    monkeypatch.setattr(subprocess, "run", mock.MagicMock())
    assert message(WORKLOAD.members).startswith("exit code ")

    monkeypatch.setattr(subprocess, "run", mock.MagicMock(**{"return_value.returncode": 0}))
    assert message(WORKLOAD.members) == "its list of members cannot be read"


def test_complaint_may_be_no_text() -> None:
    script = "import sys; sys.stderr.buffer.write(b'\\xff no'); sys.exit(2)"

    assert message(_workload.run, [sys.executable, "-c", script], 10) == "\ufffd no"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words, a/path/of/some/length", "plain words, a/path/of/some/length"),
        (f"bad token {TOKEN_1!r}: no", "bad token '[cut]': no"),
        (f"--token={TOKEN_1};", "[cut];"),
        (f"{TOKEN_1[:50]}...{TOKEN_1[-50:]}", "[cut]...[cut]"),
        (f"{TOKEN_1},{TOKEN_2}", "[cut],[cut]"),
        ("fingerprint " + "0f" * 32, "fingerprint [cut]"),
        ("known secret a.b!c and a.b!c", "known secret [cut] and [cut]"),
    ],
)
def test_tokens_are_cut_out_of_complaints(
    commands: runner.FakeRunner, text: str, expected: str
) -> None:
    """The one that is known, and whatever looks like one."""
    commands.expect(*COMMAND, "join", "a.b!c", answers=[runner.Answer(1, stderr=text)])

    assert message(WORKLOAD.join, "a.b!c", []) == expected


@pytest.fixture
def store(tmp_path: pathlib.Path) -> _workload.TokenStore:
    """An empty store, whose folder does not exist yet."""
    return _workload.TokenStore(tmp_path / "deep" / "tokens")


def test_command_itself_writes_the_token_to_disk(store: _workload.TokenStore) -> None:
    """This process can be killed at any moment; here it is told of a failure, and keeps it."""
    script = f"import sys; print({TOKEN_1!r}); sys.exit('but then')"
    workload = _workload.CommandWorkload([sys.executable, "-c", script])

    assert message(store.issue, workload, "node-1") == "but then"

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (store.folder, store.folder / "node-1")]
    assert modes == [0o700, 0o600]
    assert _workload.TokenStore(store.folder).all() == {"node-1": TOKEN_1}
    store.drop("node-1")
    store.drop("node-1")
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize("printed", ["", "two words", "a line\nand a token", "-x", "\ufffd\x00"])
def test_what_is_no_token_is_not_kept(
    commands: runner.FakeRunner, store: _workload.TokenStore, printed: str
) -> None:
    """It could not be handed to `join`."""
    answers = [runner.Answer(0, printed), runner.Answer(0, TOKEN_1)]
    commands.expect(*COMMAND, "add", "node-1", answers=answers)

    assert message(store.issue, WORKLOAD, "node-1") == "it printed no token"
    assert store.all() == {}
    store.issue(WORKLOAD, "node-1")
    assert store.all() == {"node-1": TOKEN_1}


def test_without_a_place_to_keep_it_no_token_is_issued(
    commands: runner.FakeRunner, store: _workload.TokenStore
) -> None:
    """It would be lost with the hook, and the cluster issue no other."""
    store.folder.parent.write_text("a file where a folder should be")

    assert message(store.issue, WORKLOAD, "node-1").startswith("no place to keep a token: ")
    assert commands.calls == []
