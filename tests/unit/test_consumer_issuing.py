"""The consumer that issues tokens and removes members: what it keeps, and what can fail."""

from __future__ import annotations

import pytest
from ops import testing

from tests.unit import consumer, runner

LIST = consumer.LIST
TOKEN_1 = consumer.token("node-1")
TOKEN_1_AGAIN = consumer.token("node-1", 2)
TOKEN_2 = consumer.token("node-2")


# Issuing


def test_a_hook_that_died_between_issuing_and_publishing_loses_no_token(
    unit: consumer.Unit,
) -> None:
    """The next hook publishes it, without asking for another."""
    unit.use(consumer.FailingLaterCharm)
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1), consumer.TAKEN])
    with pytest.raises(testing.errors.UncaughtCharmError):
        unit.hook("relation_changed", remote_unit=0)

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST]
    assert hook.bag["mirror-node-1"] == TOKEN_1


def test_a_token_is_dropped_once_the_newcomer_is_an_online_member(unit: consumer.Unit) -> None:
    """Not before: a newcomer may be half joined."""
    unit.remember(in_cluster=True)
    unit.keep("node-1", TOKEN_1)
    unit.show({"node-0": "joined", "node-1": TOKEN_1})
    unit.lists(
        consumer.members("node-0", ("node-1", "spare", "UNREACHABLE")),
        consumer.members("node-0", "node-1"),
    )

    half = unit.hook("update_status")
    half_files = unit.token_files()
    whole = unit.hook("update_status")

    assert half.bag["mirror-node-1"] == TOKEN_1
    assert half_files == {"node-1": TOKEN_1}
    assert whole.bag == {"hostname": "node-0", "member": "true", "mirror": "up", "turns": "1"}
    assert unit.token_files() == {}


def test_a_token_that_is_out_of_sight_is_kept(unit: consumer.Unit) -> None:
    """The cluster refuses another for hours, and the newcomer may come back within them."""
    unit.remember(in_cluster=True)
    unit.write({"hostname": "node-0", "mirror": "up", "mirror-node-1": TOKEN_1})
    unit.show({"node-0": "joined"}, left="node-1")
    unit.lists(consumer.members("node-0"))

    hidden = unit.hook("relation_changed", remote_unit=0)
    files = unit.token_files()
    unit.show({"node-0": "joined", "node-1": "empty"})
    shown = unit.hook("relation_changed", remote_unit=0)

    assert "mirror-node-1" not in hidden.bag
    assert files == {"node-1": TOKEN_1}
    assert shown.calls == [LIST]
    assert shown.bag["mirror-node-1"] == TOKEN_1


def test_when_the_cluster_refuses_another_token_the_old_one_is_still_good(
    unit: consumer.Unit,
) -> None:
    """The join failed for another reason than the token."""
    unit.hears_of_failure("node-1", TOKEN_1)
    unit.expect("add", "node-1", answers=[consumer.TAKEN])

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST, ("add", "node-1")]
    assert hook.events == []
    assert hook.bag["mirror-node-1"] == TOKEN_1
    assert unit.hook("update_status").bag["mirror-node-1"] == TOKEN_1
    assert unit.token_files()["node-1"] == TOKEN_1
    assert hook.logged("WARNING no token for node-1: .*is taken")


def test_another_token_takes_the_place_of_one_that_failed(unit: consumer.Unit) -> None:
    """On disk and in the databag."""
    unit.hears_of_failure("node-1", TOKEN_1)
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1_AGAIN)])

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.bag["mirror-node-1"] == TOKEN_1_AGAIN
    assert unit.token_files() == {"node-1": TOKEN_1_AGAIN}


@pytest.mark.parametrize(
    "printed", ["", "\n", "two words", "a line\nand a token", "-x", "x" * 70_000]
)
def test_when_add_prints_no_token_none_is_published(unit: consumer.Unit, printed: str) -> None:
    """And it is asked again in the next hook, while the others get theirs in this one."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty", "node-2": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[consumer.prints(printed), consumer.prints(TOKEN_1)])
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])

    first = unit.hook("relation_changed", remote_unit=0)
    second = unit.hook("relation_changed", remote_unit=0)

    assert first.calls == [LIST, ("add", "node-1"), ("add", "node-2")]
    assert first.events == ["token_generated"]
    assert "mirror-node-1" not in first.bag
    assert first.bag["mirror-node-2"] == TOKEN_2
    assert first.logged("WARNING no token for node-1: it printed no token")
    assert second.bag["mirror-node-1"] == TOKEN_1


@pytest.mark.parametrize(
    ("seconds", "asked"), [(0.02, ["node-1", "node-2", "node-3"]), (10.5, ["node-1", "node-2"])]
)
def test_a_slow_failure_of_add_ends_the_issuing_for_this_hook(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch, seconds: float, asked: list[str]
) -> None:
    """A cluster without a quorum keeps each command waiting; a plain refusal does not."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty", "node-2": "empty", "node-3": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1)])
    unit.expect("add", "node-2", answers=[consumer.NO_QUORUM])
    unit.expect("add", "node-3", answers=[consumer.prints(consumer.token("node-3"))])
    consumer.be_slow(monkeypatch, unit.commands, "node-2", seconds)

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST, *(("add", name) for name in asked)]
    assert unit.token_files()["node-1"] == TOKEN_1


def test_a_slow_failure_of_add_does_not_hold_up_the_token_issued_before_it(
    unit: consumer.Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure may repeat in each hook, and be one newcomer's alone."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-1": "empty", "node-2": "empty"})
    unit.lists(consumer.members("node-0"))
    unit.expect("add", "node-1", answers=[consumer.prints(TOKEN_1)])
    unit.expect("add", "node-2", answers=[consumer.NO_QUORUM])
    consumer.be_slow(monkeypatch, unit.commands, "node-2", 10.5)

    hooks = [unit.hook("update_status") for _ in range(3)]

    assert [hook.bag.get("mirror-node-1") for hook in hooks] == [TOKEN_1] * 3
    assert [hook.bag["member"] for hook in hooks] == ["true"] * 3


# Removing


def test_a_removal_that_fails_keeps_newcomers_out(unit: consumer.Unit) -> None:
    """Who is still there after it decides, not the exit code."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-2": "empty"}, left="node-1")
    unit.lists(consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")))
    unit.expect("remove", "node-1", "--force", answers=[runner.Answer(1, stderr="Error: hook")])

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST, ("remove", "node-1", "--force"), LIST]
    assert hook.bag == {
        "hostname": "node-0",
        "member": "true",
        "mirror": "up",
        "hold": "node-1",
    }
    assert hook.logged("WARNING removing node-1 from the cluster: Error: hook")


def test_a_removal_that_complains_but_took_effect_is_one(unit: consumer.Unit) -> None:
    """The ghost of a half-joined unit goes with an error, while another member is down."""
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-2": "empty"}, left="node-1")
    unit.lists(
        consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")), consumer.members("node-0")
    )
    unit.expect("remove", "node-1", "--force", answers=[runner.Answer(1, stderr="Error: hook")])
    unit.expect("add", "node-2", answers=[consumer.prints(TOKEN_2)])

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.bag["mirror-node-2"] == TOKEN_2
    assert hook.bag["gone"] == "node-1"
    assert "hold" not in hook.bag


def test_when_there_is_no_telling_after_a_removal_nothing_more_is_done(
    unit: consumer.Unit,
) -> None:
    """A removal can cost the quorum."""
    before = {"hostname": "node-0", "member": "true", "mirror": "up", "hold": "node-1"}
    unit.write(before)
    unit.remember(in_cluster=True)
    unit.show({"node-0": "joined", "node-2": "empty"}, left="node-1")
    unit.lists(consumer.members("node-0", ("node-1", "voter", "UNREACHABLE")), consumer.NO_QUORUM)
    unit.expect("remove", "node-1", "--force")

    hook = unit.hook("relation_changed", remote_unit=0)

    assert hook.calls == [LIST, ("remove", "node-1", "--force"), LIST]
    assert hook.bag == before
