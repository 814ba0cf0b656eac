"""The distributor, fed with what no consumer should say and no Juju should answer.

No hook fails, nothing is lost, the log or the status says so, and all is well once the input is.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import ops
import ops.testing
import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests.unit import distributor, runner

if TYPE_CHECKING:
    from collections.abc import Mapping

EMPTY = lib.EMPTY_STRING
JOINED = lib.JOINED
A, B, C = "node-a", "node-b", "node-c"
T1 = distributor.token(C)
LEADER = distributor.LEADER
says, offering, related = distributor.says, distributor.offering, distributor.related
our_bag, our_app_bag = distributor.our_bag, distributor.our_app_bag
MEGABYTE = "x" * 1024 * 1024

FORMED = {"mirror": "up", f"mirror-{A}": JOINED, f"mirror-{B}": JOINED}


def formed(*more: Mapping[str, str], **ours: str) -> ops.testing.Relation:
    """Make a relation with a cluster of `node-a`, the communicator, and `node-b`."""
    bags = [offering(A, {}), says(B, "true"), *more]
    return related(
        "microovn",
        dict(enumerate(bags)),
        ours={**FORMED, **{key.replace("_", "-"): value for key, value in ours.items()}},
        app_bag={**LEADER, "bootstrap-app": "microovn"},
    )


def changed(relation: ops.testing.Relation, number: int, bag: Mapping[str, str]) -> None:
    """Let a unit say something else."""
    bags = distributor.bag(relation.remote_units_data[number])
    bags.clear()
    bags.update(bag)


EVENTS = ["relation_changed", "update_status", "leader_elected"]


# Host names


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "hostname",
    [
        pytest.param(" ", id="a blank"),
        pytest.param("=", id="an equals sign"),
        pytest.param("node=c", id="an equals sign within"),
        pytest.param("node-c\n", id="a line end"),
        pytest.param("node\nc", id="two lines"),
        pytest.param("x" * 300, id="300 characters"),
        pytest.param("x" * 65, id="65 characters"),
        pytest.param("-node", id="an option"),
        pytest.param("--force", id="a dangerous option"),
        pytest.param("../node", id="a path"),
        pytest.param("nöde", id="not ASCII"),
        pytest.param("node c", id="two words"),
        pytest.param("node\x00c", id="a null character"),
        pytest.param(MEGABYTE, id="a megabyte"),
    ],
)
def test_a_host_name_that_cannot_be_used(
    distributor_unit: distributor.Distributor, event: str, hostname: str
) -> None:
    """Its unit is not shown; the log names it, without the name."""
    relation = formed({**says("x", "false"), "hostname": hostname})

    state = distributor_unit.hook(event, relation, unit=2)

    assert our_bag(state) == FORMED
    assert "microovn/2 gives a host name that cannot be used" in distributor_unit.log()
    assert not any(hostname in line for line in distributor_unit.log() if len(hostname) > 1)

    [relation] = distributor.relations_of(state)
    changed(relation, 2, says(C, "false"))
    state = distributor_unit.hook(event, relation, unit=2)

    assert our_bag(state) == {**FORMED, f"mirror-{C}": EMPTY}
    assert "left" not in our_app_bag(state)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("bag", [{}, {"hostname": ""}, {"member": "false"}, {"mirror": "up"}])
def test_no_host_name(
    distributor_unit: distributor.Distributor, event: str, bag: dict[str, str]
) -> None:
    """It is not worth a warning: the unit may just have been started."""
    state = distributor_unit.hook(event, formed(bag), unit=2)

    assert our_bag(state) == FORMED
    assert not any("host name" in line for line in distributor_unit.log())


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "hostname",
    ["mirror-node-a", "mirror-", "failed-node-a", "failed", "mirror", "empty", "joined", "hold"],
)
def test_a_host_name_that_looks_like_a_key(
    distributor_unit: distributor.Distributor, event: str, hostname: str
) -> None:
    """It is a name like any other, if a machine can have it."""
    usable = lib.is_hostname(hostname)
    relation = formed(says(hostname, "false"))
    changed(relation, 0, offering(A, {hostname: T1}))

    state = distributor_unit.hook(event, relation, unit=2)
    if event == "relation_changed":
        state = distributor_unit.hook(event, *distributor.relations_of(state), unit=0)

    assert usable == (hostname != "mirror-")
    if usable:
        assert our_bag(state) == {**FORMED, f"mirror-{hostname}": T1}

        [relation] = distributor.relations_of(state)
        changed(relation, 2, says(hostname, "true"))
        state = distributor_unit.hook(event, relation, unit=2)

        assert our_bag(state) == {**FORMED, f"mirror-{hostname}": JOINED}


def test_an_unusable_host_name_keeps_nobody_from_bootstrapping(
    distributor_unit: distributor.Distributor,
) -> None:
    """It has been heard, at the latest when all are read."""
    relation = related(
        "microovn", {0: says(A, "false"), 1: {"hostname": "="}}, candidate="microovn/0"
    )

    state = distributor_unit.hook("update_status", relation)

    assert our_bag(state) == {"mirror": "up", f"mirror-{A}": EMPTY}
    assert our_app_bag(state)["bootstrap-unit"] == "microovn/0"


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("numbers", [(2, 3), (3, 2)])
def test_two_newcomers_of_one_host_name(
    distributor_unit: distributor.Distributor, event: str, numbers: tuple[int, int]
) -> None:
    """There is one token for both; once one is a member it is joined, whatever the other says."""
    twin = says(C, "false")
    joined, late = numbers
    relation = formed(twin, twin, **{f"mirror-{C}": EMPTY})
    changed(relation, 0, offering(A, {C: T1}))
    state = distributor_unit.hook(event, relation, unit=0)
    assert our_bag(state)[f"mirror-{C}"] == T1

    for number, bag in (
        (joined, says(C, "true")),
        (late, says(C, "false", failed=lib.digest(T1))),
        (late, says(C, "false", failed=lib.digest(JOINED))),
    ):
        [relation] = distributor.relations_of(state)
        changed(relation, number, bag)
        state = distributor_unit.hook(event, relation, unit=number)

    assert our_bag(state) == {**FORMED, f"mirror-{C}": JOINED}

    [relation] = distributor.relations_of(state)
    changed(relation, late, says("node-d", "false"))
    state = distributor_unit.hook(event, relation, unit=late)

    assert our_bag(state) == {**FORMED, f"mirror-{C}": JOINED, "mirror-node-d": EMPTY}


# Values


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(f"mirror-{C}", MEGABYTE, id="a megabyte for a newcomer"),
        pytest.param("mirror-port", MEGABYTE, id="a megabyte of a charm's own"),
        pytest.param("mirror-" + "k" * 300, "v", id="a key of 300 characters"),
        pytest.param("mirror-a=b", "v", id="an equals sign in a key"),
        pytest.param("mirror-a\nb", "v", id="a line end in a key"),
        pytest.param("mirror-ä", "v", id="a key that is not ASCII"),
        pytest.param("mirror-", "v", id="no key"),
    ],
)
def test_a_value_that_is_not_mirrored(
    distributor_unit: distributor.Distributor, event: str, key: str, value: str
) -> None:
    """It takes nothing else with it, and a good one takes its place."""
    newcomer = says(C, "false")
    relation = formed(newcomer, **{f"mirror-{C}": EMPTY})
    changed(relation, 0, {**offering(A, {}), key: value, "mirror-other": "fine"})

    state = distributor_unit.hook(event, relation, unit=0)

    assert our_bag(state) == {**FORMED, f"mirror-{C}": EMPTY, "mirror-other": "fine"}

    [relation] = distributor.relations_of(state)
    changed(relation, 0, offering(A, {C: T1}))
    state = distributor_unit.hook(event, relation, unit=0)

    assert our_bag(state)[f"mirror-{C}"] == T1


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("key", ["hold", "gone"])
def test_lists_of_names_that_are_none(
    distributor_unit: distributor.Distributor, event: str, key: str
) -> None:
    """Only what can be a member's name is taken from them."""
    relation = formed()
    distributor.bag(relation.local_app_data)["left"] = "node-x node-y"
    changed(relation, 0, offering(A, {}, **{key: f"= -x {MEGABYTE} node-x \n a/b \t ,node-y"}))

    state = distributor_unit.hook(event, relation, unit=0)

    assert our_bag(state).get("hold", "") == ("node-x" if key == "hold" else "")
    left = {"hold": "node-x node-y", "gone": "node-y"}[key]
    assert our_app_bag(state)["left"] == left


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "failed",
    [
        pytest.param(MEGABYTE, id="a megabyte"),
        pytest.param("rubbish", id="no digest"),
        pytest.param("ab " * 1024, id="no digests"),
        pytest.param(T1, id="the token itself"),
    ],
)
def test_failures_that_are_no_digests(
    distributor_unit: distributor.Distributor, event: str, failed: str
) -> None:
    """Every unit of every application would have to read them."""
    relation = formed(says(C, "false", failed=failed), **{f"mirror-{C}": T1})

    state = distributor_unit.hook(event, relation, unit=2)

    assert our_bag(state) == {**FORMED, f"mirror-{C}": T1}


@pytest.mark.parametrize("event", EVENTS)
def test_keys_and_words_of_other_versions(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """Nothing is taken from them, and nothing that was said beside them is lost."""
    future = {
        "schema": "2",
        "member": "learner",
        "mirror": "sideways",
        "hold": "",
        "left": B,
        "leader": "distributor/9",
        "bootstrap-unit": "microovn/2",
        "bootstrap-candidate": "microovn/2",
        f"failed-{A}": lib.digest(JOINED),
        f"mirror-{B}": "overwritten",
    }
    relation = formed({**future, "hostname": C})

    state = distributor_unit.hook(event, relation, unit=2)

    assert our_bag(state) == {**FORMED, f"mirror-{C}": EMPTY}
    assert our_app_bag(state) == {**LEADER, "bootstrap-app": "microovn"}


@pytest.mark.parametrize(
    "candidate", ["", "microovn", "microovn/7", "other/0", "/", "=", "x" * 300, "microovn/0 "]
)
def test_a_candidate_that_is_none(
    distributor_unit: distributor.Distributor, candidate: str
) -> None:
    """Nobody is granted the bootstrap until a unit is proposed that there is."""
    relation = related("microovn", {0: says(A, "false")}, candidate=candidate)

    state = distributor_unit.hook("update_status", relation)

    assert our_app_bag(state) == {**LEADER, "bootstrap-app": "microovn"}

    [relation] = distributor.relations_of(state)
    distributor.bag(relation.remote_app_data)["bootstrap-candidate"] = "microovn/0"
    state = distributor_unit.hook("relation_changed", relation)

    assert our_app_bag(state)["bootstrap-unit"] == "microovn/0"


@pytest.mark.parametrize("event", EVENTS)
def test_rubbish_in_the_distributors_own_databags(
    distributor_unit: distributor.Distributor, event: str
) -> None:
    """Whoever put it there: what is read is written back clean."""
    relation = formed(says(C, "false"), hold="= node-x", **{"failed-=": "x", "mirror-": "x"})
    distributor.bag(relation.local_app_data)["left"] = "=\n--force node-y"
    distributor_unit.memory = {
        "host-": "known",
        "host-=": "known",
        "another": "x",
        f"host-{A}": "odd",
    }

    state = distributor_unit.hook(event, relation, unit=2)

    assert our_app_bag(state)["left"] == "node-y"
    assert our_bag(state)[f"mirror-{C}"] == EMPTY
    assert not {"failed-=", "mirror-"} & set(our_bag(state))
    assert distributor_unit.memory["another"] == "x"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("3", id="a number"),
        pytest.param("[" * 100_000, id="nested too deeply"),
        pytest.param('{"hosts": "3"}', id="a text for a number"),
        pytest.param('{"hosts": true}', id="yes for a number"),
        pytest.param('{"units": 3}', id="an unknown key"),
        pytest.param('{"units": null}', id="nothing for an unknown key"),
        pytest.param('{"hold": ["node-a", "="]}', id="no host name"),
        pytest.param('{"hold": [{}]}', id="no text"),
    ],
)
def test_rubbish_for_a_tally(distributor_unit: distributor.Distributor, text: str) -> None:
    """All is counted anew."""
    distributor_unit.memory = {"named-microovn": "true", "tally": text}

    state = distributor_unit.hook("relation_changed", formed(), unit=1)

    assert lib.Tally.from_text(text) is None
    assert lib.Tally.from_text(distributor_unit.memory["tally"]) == lib.Tally(
        2, joined=2, cluster=True
    )
    assert state.unit_status == ops.ActiveStatus("2 units in 1 application")


# goal-state

NO_ANSWERS = {
    "an error": runner.Answer(1, stderr="ERROR permission denied"),
    "an error without a word": runner.Answer(2),
    "killed": runner.Answer(-9),
    "missing": runner.Answer(error=FileNotFoundError(2, "No such file or directory")),
    "not allowed": runner.Answer(error=PermissionError(13, "Permission denied")),
    "hanging": runner.Answer(error=subprocess.TimeoutExpired(["goal-state"], 30)),
    "nothing": runner.Answer(stdout=""),
    "not JSON": runner.Answer(stdout="units:\n  microovn/0: active\n"),
    "half of it": runner.Answer(stdout='{"units": {}, "relations": {"microclus'),
    "nested too deeply": runner.Answer(stdout="[" * 100_000),
    "null": runner.Answer(stdout="null"),
    "a list": runner.Answer(stdout="[]"),
    "a word": runner.Answer(stdout='"microovn/0"'),
    "a number": runner.Answer(stdout="0"),
    "no relations": runner.Answer(stdout='{"units": {}}'),
    "relations of another shape": runner.Answer(stdout='{"relations": ["microovn/0"]}'),
    "an endpoint of another shape": runner.Answer(
        stdout=json.dumps({"relations": {distributor.ENDPOINT: ["microovn/0"]}})
    ),
    "other endpoints": runner.Answer(stdout='{"relations": {"other": {"a/0": {}}}}'),
}


@pytest.mark.parametrize("answer", [pytest.param(NO_ANSWERS[key], id=key) for key in NO_ANSWERS])
def test_goal_state_of_no_use(
    distributor_unit: distributor.Distributor, answer: runner.Answer
) -> None:
    """Nobody has left, nobody is granted anything, and a later answer is good enough."""
    fresh = related("microovn", {0: says(A, "false")}, candidate="microovn/0")
    cluster = formed(**{f"mirror-{C}": T1})

    fresh_state = distributor_unit.hook("relation_changed", fresh, unit=0, goal=answer)
    distributor_unit.memory = {}
    cluster_state = distributor_unit.hook("update_status", cluster, goal=answer)

    assert our_bag(fresh_state) == {"mirror": "up", f"mirror-{A}": EMPTY}
    assert our_app_bag(fresh_state) == LEADER
    assert our_bag(cluster_state) == {**FORMED, f"mirror-{C}": T1}
    assert "left" not in our_app_bag(cluster_state)

    distributor_unit.memory = {}
    fresh_state = distributor_unit.hook("update_status", *distributor.relations_of(fresh_state))
    distributor_unit.memory = {}
    cluster_state = distributor_unit.hook(
        "update_status", *distributor.relations_of(cluster_state)
    )

    assert our_app_bag(fresh_state)["bootstrap-unit"] == "microovn/0"
    assert our_bag(cluster_state) == FORMED
    assert our_app_bag(cluster_state)["left"] == C


@pytest.mark.parametrize("answer", [pytest.param(NO_ANSWERS[key], id=key) for key in NO_ANSWERS])
def test_the_action_with_goal_state_of_no_use(
    distributor_unit: distributor.Distributor, answer: runner.Answer
) -> None:
    """It shows what there is."""
    rows = distributor_unit.show_mirror(formed(), goal=answer)

    assert [row["state"] for row in rows] == ["joined", "joined"]


def test_hook_tools_have_a_time_limit(
    distributor_unit: distributor.Distributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hook waits for ever."""
    limits: list[object] = []
    run: Any = subprocess.run

    def noted(argv: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        limits.append(options.get("timeout"))
        return run(argv, **options)

    monkeypatch.setattr(subprocess, "run", noted)

    distributor_unit.hook("update_status", formed())

    assert limits
    assert all(isinstance(limit, (int, float)) and 0 < limit <= 60 for limit in limits)
