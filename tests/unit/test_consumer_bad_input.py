"""The consumer and bad input: it says what is wrong, loses nothing, and heals."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ops import testing

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import consumer, runner

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence


LIST = consumer.LIST
TOKEN_0 = consumer.token("node-0")
TOKEN_1 = consumer.token("node-1")
JOIN = ("join", TOKEN_0, "--address", "192.0.2.7")


def hang(*words: str) -> runner.Answer:
    """Return the answer of a command that is killed at its limit; it names the command line."""
    return runner.Answer(error=subprocess.TimeoutExpired([*consumer.COMMAND, *words], 30))


MISSING = runner.Answer(error=FileNotFoundError(2, "No such file or directory"))
FORBIDDEN = runner.Answer(error=PermissionError(13, "Permission denied"))

# Answers from which nothing can be told.
USELESS = {
    "empty": runner.Answer(),
    "prose": consumer.prints("all is well"),
    "half": consumer.prints('[{"name": "node-0", "role": "vo'),
    "null": consumer.prints("null"),
    "object": consumer.prints("{}"),
    "no members": consumer.prints("[]"),
    "numbers": consumer.prints("[1]"),
    "a number for a name": consumer.prints('[{"name": 1, "role": "voter", "status": "ONLINE"}]'),
    "no status": consumer.prints('[{"name": "node-0", "role": "voter"}]'),
    "deep": consumer.prints("[" * 10_000),
    "deep object": consumer.prints('{"a":' * 10_000),
    "huge": consumer.prints("[" + "1," * 500_000 + "1]"),
    "not UTF-8": consumer.prints("\ufffd\ufffd"),
    "others": consumer.members("node-1"),
    "missing": MISSING,
    "forbidden": FORBIDDEN,
    "hanging": hang(*LIST),
    "killed": runner.Answer(-9, stderr="Killed"),
    "out of memory": runner.Answer(error=OSError(12, "Cannot allocate memory")),
    "an error without a text": runner.Answer(error=OSError()),
    "a null character": runner.Answer(error=ValueError("embedded null byte")),
    "silent failure": runner.Answer(1),
    "another failure": runner.Answer(1, stderr="Error: database is locked"),
    "a page of failure": runner.Answer(1, stderr="goroutine 1 [running]:\n" * 5_000),
}


# What the workload answers


@pytest.mark.parametrize("answer", USELESS.values(), ids=USELESS)
def test_a_newcomer_that_cannot_tell_waits_and_heals(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """It says why, begins nothing, and joins once it can tell."""
    unit.use(consumer.StatusCharm)
    unit.show({"node-0": TOKEN_0}, bootstrap_unit="micro/0")
    unit.expect(*JOIN)
    unit.lists(answer, consumer.NOT_A_MEMBER)

    first = unit.hook("relation_changed", remote_unit=0)
    second = unit.hook("update_status")

    assert first.calls == [LIST]
    assert first.events == []
    assert first.status[0] == "waiting"
    assert first.status[1].startswith("cannot tell about the cluster: ")
    assert first.bag == {"hostname": "node-0", "member": "unknown"}
    assert second.calls == [LIST, JOIN]
    assert second.events == ["prejoin", "joined"]
    assert second.status == ("active", "")


@pytest.mark.parametrize("answer", USELESS.values(), ids=USELESS)
def test_a_communicator_that_cannot_tell_keeps_what_it_said_and_heals(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """Tokens that wait to be taken stay, and nobody is issued one or removed."""
    before = {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
        "hold": "node-3",
    }
    unit.remember(in_cluster=True)
    unit.keep("node-1", TOKEN_1)
    unit.write(before)
    unit.show({"node-0": "joined", "node-1": TOKEN_1, "node-2": "empty"}, left="node-3")
    unit.expect("add", "node-2", answers=[consumer.prints(consumer.token("node-2"))])
    unit.lists(answer, consumer.members("node-0"))

    first = unit.hook("update_status")
    second = unit.hook("update_status")

    assert first.calls == [LIST]
    assert first.bag == before
    assert first.in_cluster
    assert second.events == ["token_generated"]
    assert second.bag == {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "mirror-node-1": TOKEN_1,
        "mirror-node-2": consumer.token("node-2"),
        "gone": "node-3",
        "turns": "1",
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (MISSING, "cannot run micro: No such file or directory"),
        (FORBIDDEN, "cannot run micro: Permission denied"),
        (hang(*JOIN), "no answer within 300 s"),
        (runner.Answer(-11, stderr="core dumped"), "killed by signal 11. core dumped"),
        (runner.Answer(-9), "killed by signal 9."),
        (runner.Answer(7), "exit code 7"),
    ],
    ids=["missing", "forbidden", "hanging", "crashed", "killed", "silent"],
)
@pytest.mark.parametrize("way", ["join", "bootstrap"])
def test_a_join_or_bootstrap_that_ends_badly_is_logged_and_heals(
    unit: consumer.Unit, answer: runner.Answer, reason: str, way: str
) -> None:
    """One clear line, no traceback, and another try at the next event."""
    if way == "join":
        unit.show({"node-0": TOKEN_0})
        unit.expect(*JOIN, answers=[answer, runner.Answer()])
        problem = f"ERROR node-0 cannot join the cluster: {reason}"
    else:
        unit.show({}, bootstrap_unit="micro/0")
        unit.expect("bootstrap", "--first", answers=[answer, runner.Answer()])
        problem = f"ERROR node-0 cannot bootstrap: {reason}"

    first = unit.hook("update_status")
    second = unit.hook("update_status")

    assert problem in first.log
    assert not first.in_cluster
    assert first.bag["member"] == "false"
    assert second.in_cluster
    assert second.bag["member"] == "true"


@pytest.mark.parametrize(
    "answer",
    [MISSING, FORBIDDEN, hang("add", "node-1"), runner.Answer(-9), runner.Answer(1)],
    ids=["missing", "forbidden", "hanging", "killed", "silent"],
)
def test_an_add_that_ends_badly_is_logged_and_heals(
    unit: consumer.Unit, answer: runner.Answer
) -> None:
    """The newcomer gets its token from the next hook."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[answer, consumer.prints(TOKEN_1)])

    first = unit.hook("update_status")
    second = unit.hook("update_status")

    assert first.logged("WARNING no token for node-1: .+")
    assert "mirror-node-1" not in first.bag
    assert second.bag["mirror-node-1"] == TOKEN_1


@pytest.mark.parametrize("ending", ["hangs", "the hook dies"])
def test_a_token_that_was_printed_before_the_end_is_not_lost(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """The cluster would refuse another for hours."""

    def print_and_end(argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        if "add" not in argv:
            return unit.commands.run(argv, **kwargs)
        os.write(kwargs["stdout"], TOKEN_1.encode())
        if ending == "hangs":
            raise subprocess.TimeoutExpired(argv, kwargs["timeout"])
        raise RuntimeError("killed")

    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"})
    unit.lists(consumer.members("node-0"))
    monkeypatch.setattr(subprocess, "run", print_and_end)
    if ending == "hangs":
        unit.hook("update_status")
    else:
        with pytest.raises(testing.errors.UncaughtCharmError):
            unit.hook("update_status")
    monkeypatch.setattr(subprocess, "run", unit.commands.run)

    hook = unit.hook("update_status")

    assert hook.calls == [LIST]
    assert hook.bag["mirror-node-1"] == TOKEN_1
    assert unit.token_files() == {"node-1": TOKEN_1}


def test_a_hook_that_dies_before_a_token_is_printed_leaves_nothing_behind(
    unit: consumer.Unit,
) -> None:
    """The next one has it issued."""
    killed = runner.Answer(error=RuntimeError("killed"))
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[killed, consumer.prints(TOKEN_1)])
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.hook("update_status")

    hook = unit.hook("update_status")

    assert hook.calls == [LIST, ("add", "node-1")]
    assert hook.bag["mirror-node-1"] == TOKEN_1
    assert unit.token_files() == {"node-1": TOKEN_1}


def test_a_word_that_a_refused_add_printed_is_no_token(unit: consumer.Unit) -> None:
    """It would take the place of a good one."""
    unit.hears_of_failure("node-1", TOKEN_1)
    refused = dataclasses.replace(consumer.TAKEN, stdout="refused\n")
    unit.expect("add", "node-1", answers=[refused])

    unit.hook("update_status")
    hook = unit.hook("update_status")

    assert hook.bag["mirror-node-1"] == TOKEN_1


def test_the_token_of_a_host_whose_name_ends_like_a_file_in_the_making_is_kept(
    unit: consumer.Unit,
) -> None:
    """Nor does it take the place of another's."""
    odd = consumer.token("node-1.new")
    unit.remember(in_cluster=True)
    unit.keep("node-1", TOKEN_1)
    unit.show({"node-0": "joined", "node-1": TOKEN_1, "node-1.new": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1.new", answers=[consumer.prints(odd), consumer.TAKEN])

    unit.hook("update_status")
    hook = unit.hook("update_status")

    assert hook.bag["mirror-node-1.new"] == odd
    assert hook.bag["mirror-node-1"] == TOKEN_1
    assert unit.token_files() == {"node-1": TOKEN_1, "node-1.new": odd}


def test_no_command_waits_for_input_or_for_ever(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nobody to answer it in a hook."""
    given: list[tuple[object, object]] = []

    def run(argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        given.append((kwargs.get("stdin"), kwargs.get("timeout") is not None))
        return unit.commands.run(argv, **kwargs)

    monkeypatch.setattr(subprocess, "run", run)
    unit.show({"node-1": "empty"}, bootstrap_unit="micro/0")
    unit.expect("bootstrap", "--first")
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1)])

    unit.hook("update_status")

    assert given == [(subprocess.DEVNULL, True)] * 3


# The machine's own name


@pytest.mark.parametrize(
    "name", ["", "-rf", ".", "a b", "a=b", "a\nb", "a/../b", "\N{SNOWMAN}", "x" * 65, "x" * 300]
)
def test_under_a_host_name_that_cannot_be_used_nothing_is_begun_until_it_is_mended(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It would become an argument, a key and a file's name."""
    unit.use(consumer.StatusCharm)
    unit.leads = True
    unit.show({name: TOKEN_0} if name else {}, bootstrap_unit="micro/0")
    consumer.set_hostname(monkeypatch, name)
    first = unit.hook("config_changed")
    consumer.set_hostname(monkeypatch, "node-0")
    unit.show({"node-0": TOKEN_0})
    unit.expect(*JOIN)

    second = unit.hook("config_changed")

    assert first.calls == [LIST]
    assert first.status == ("blocked", "this machine's host name cannot be a member's name")
    assert first.bag.get("hostname", "") == name
    assert second.calls == [LIST, JOIN]
    assert second.bag["hostname"] == "node-0"
    assert second.status == ("active", "")


@pytest.mark.parametrize("name", ["mirror-node", "failed-x", "x" * 64, "0", "Node.example"])
def test_an_odd_host_name_that_can_be_used_is(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Even one that looks like a key of a databag."""
    token = consumer.token(name)
    consumer.set_hostname(monkeypatch, name)
    unit.show({name: token})
    unit.expect("join", token, "--address", "192.0.2.7")

    hook = unit.hook("update_status")

    assert hook.bag == {"hostname": name, "member": "true"}


@pytest.mark.parametrize("event", ["update_status", "remove"])
def test_a_member_whose_host_name_changed_neither_acts_nor_leaves(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """The cluster knows it by the old one."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"}, left="node-0")
    unit.lists(consumer.members("node-0"))
    consumer.set_hostname(monkeypatch, "other")

    hook = unit.hook(event)

    assert hook.calls == [LIST]
    assert hook.in_cluster


# What the distributor shows


@pytest.mark.parametrize(
    "value",
    ["a token", f"{TOKEN_0} ", f" {TOKEN_0}", "-rf", "--help", f"{TOKEN_0}\n", "a\nb", "\N{BELL}"],
    ids=[
        "words",
        "blank after",
        "blank before",
        "short option",
        "option",
        "line",
        "lines",
        "bell",
    ],
)
def test_a_value_that_cannot_be_an_argument_is_refused_by_its_digest(
    unit: consumer.Unit, value: str
) -> None:
    """So that the communicator has another issued."""
    unit.use(consumer.StatusCharm)
    unit.show({"node-0": value, "node-1": "joined"})
    first = unit.hook("relation_changed", remote_unit=0)
    unit.show({"node-0": TOKEN_0, "node-1": "joined"})
    unit.expect(*JOIN)

    second = unit.hook("relation_changed", remote_unit=0)

    assert first.calls == [LIST]
    assert first.bag["failed"] == lib.digest(value)
    assert first.status == ("waiting", "waiting for a token")
    assert second.events == ["prejoin", "joined"]
    assert "failed" not in second.bag


def test_a_value_of_a_megabyte_is_as_good_as_none(unit: consumer.Unit) -> None:
    """It is neither tried nor taken for a reason to bootstrap."""
    unit.show({"node-0": "x" * 1_000_000}, bootstrap_unit="micro/0")
    unit.leads = True

    first = unit.hook("relation_changed", remote_unit=0)
    unit.show({"node-0": TOKEN_0})
    unit.expect(*JOIN)
    second = unit.hook("relation_changed", remote_unit=0)

    assert first.calls == [LIST]
    assert second.in_cluster


def test_keys_of_other_versions_do_no_harm(unit: consumer.Unit) -> None:
    """Whatever they hold."""
    junk = {
        "mirror-": "nobody",
        "mirror-a b": "blank",
        "mirror-\N{SNOWMAN}": "snow",
        f"mirror-{'k' * 300}": "long",
        "mirror-big": "x" * 1_000_000,
        "failed-": "0",
        "failed-node-1": "not a digest",
        "failed--rf": "0",
        "hold": "",
        "version": "99",
        "node-1": "empty",
        "hostname": "node-9",
        "member": "true",
    }
    app_junk = {"left": "-rf ../x node-1", "version": "99", "bootstrap_plan": "{"}
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-2": "empty"}, unit_bag=junk, **app_junk)
    unit.lists(
        consumer.members("node-0", ("-rf", "spare", "UNREACHABLE")), consumer.members("node-0")
    )

    held = unit.hook("update_status")
    unit.expect("add", "node-2", answers=[consumer.prints(consumer.token("node-2"))])
    healed = unit.hook("update_status")

    assert held.calls == [LIST]
    assert healed.calls == [LIST, ("add", "node-2")]
    assert healed.bag["gone"] == "node-1"


def test_junk_in_its_own_databag_does_no_harm(unit: consumer.Unit) -> None:
    """Keys that are not the library's stay."""
    unit.write(
        {
            "ingress-address": "192.0.2.1",
            "version": "99",
            "failed": "not a digest",
            "member": "perhaps",
            "mirror": "sideways",
            "turns": "round",
            "mirror-": "nobody",
            "mirror-a b": "blank",
            "mirror-big": "x" * 100_000,
        }
    )
    unit.show({"node-0": "empty"})

    hook = unit.hook("update_status")

    assert hook.bag == {
        "ingress-address": "192.0.2.1",
        "version": "99",
        "hostname": "node-0",
        "member": "false",
        "mirror": "down",
        "turns": "1",
    }


def test_with_several_distributors_the_first_is_used_and_the_second_not_touched(
    unit: consumer.Unit,
) -> None:
    """Each could make a cluster of its own."""
    unit.show({"node-0": TOKEN_0}, bootstrap_unit="micro/0")
    other = testing.Relation(
        "cluster",
        id=2,
        remote_app_name="another",
        local_unit_data={},
        remote_units_data={0: {"mirror": "up", "mirror-node-0": consumer.token("node-0", 2)}},
        remote_app_data={"leader": "another/0", "bootstrap-unit": "micro/0"},
    )
    unit.relate(unit.relation(), other)
    unit.expect(*JOIN)

    hook = unit.hook("update_status")

    assert hook.calls == [LIST, JOIN]
    assert hook.bag["member"] == "true"
    assert unit.state.get_relation(2).local_unit_data == {}
    assert hook.logged("WARNING several token distributors are related: only the first is used")


def test_once_the_first_distributor_is_gone_the_other_is_used(unit: consumer.Unit) -> None:
    """From the very event on at which its relation breaks."""
    other = testing.Relation(
        "cluster", id=2, remote_app_name="another", local_unit_data={}, remote_units_data={0: {}}
    )
    unit.relate(unit.relation(), other)

    hook = unit.hook("relation_broken")

    assert unit.state.get_relation(2).local_unit_data == {"hostname": "node-0", "member": "false"}
    assert hook.bag == {}


# Real processes


@pytest.fixture
def real(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> consumer.Unit:
    """A unit whose commands are real processes, of whatever the file `program` holds."""
    consumer.set_hostname(monkeypatch, "node-0")
    unit = consumer.Unit(tmp_path, runner.FakeRunner())
    unit.use(
        type("RealCharm", (consumer.StatusCharm,), {"command": ["/bin/sh", f"{tmp_path}/program"]})
    )
    return unit


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (r"printf '\377\376'", "its list of members is not JSON"),
        (r"printf '\377\376' >&2; exit 1", "\ufffd\ufffd"),
        ("kill -9 $$", "killed by signal 9."),
        ("exit 3", "exit code 3"),
    ],
    ids=["printed rubbish", "complained rubbish", "killed", "silent"],
)
def test_a_real_process_that_ends_badly_is_told_of(
    real: consumer.Unit, program: str, reason: str
) -> None:
    """Not only the fake of one."""
    (real.root / "program").write_text(program)

    status = real.hook("update_status").status

    assert status == ("waiting", f"cannot tell about the cluster: {reason}")


@pytest.mark.parametrize("exists", [True, False])
def test_a_program_that_cannot_be_run_is_told_of(real: consumer.Unit, exists: bool) -> None:
    """Whether it is not there, or is no program."""
    program = real.root / "program"
    if exists:
        program.write_text("x")
    real.use(type("RealCharm", (consumer.StatusCharm,), {"command": [str(program)]}))

    kind, said = real.hook("update_status").status

    assert kind == "waiting"
    assert said.endswith("Permission denied" if exists else "No such file or directory")


def test_a_real_process_prints_its_token_into_a_file_that_root_alone_can_read(
    real: consumer.Unit,
) -> None:
    """From the moment that it is made."""
    program = f"""
        case $1 in
        list) echo '{consumer.members("node-0").stdout}' ;;
        add) {sys.executable} -c 'import os; print("x%o" % (os.fstat(1).st_mode & 0o777))' ;;
        esac
    """
    (real.root / "program").write_text(program)
    real.show({"node-0": "joined", "node-1": "empty"})

    hook = real.hook("update_status")

    assert hook.bag["mirror-node-1"] == "x600"
    assert real.token_files() == {"node-1": "x600"}
