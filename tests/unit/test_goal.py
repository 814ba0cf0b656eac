"""What is made of Juju's `goal-state`, and of what is none."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goal as goal_module
from tests.unit import distributor


def _ask(text: str, returncode: int = 0) -> goal_module.Goal | None:
    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert argv == ["goal-state", "--format=json"]
        return subprocess.CompletedProcess(argv, returncode, text, "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        return goal_module.Goal.ask("microcluster-cluster")


def _text(rows: Any) -> str:
    return json.dumps({"relations": {"microcluster-cluster": rows, "other": {"b/0": {}}}})


@pytest.mark.parametrize(
    ("rows", "apps", "units"),
    [
        ({"a": {"status": "joined"}, "a/0": {"status": "active"}}, "a", {"a/0": "active"}),
        ({"a": {}, "a-b/12": {"status": "dying"}}, "a", {"a-b/12": "dying"}),
        ({"admin/default.a": {"status": "joined"}}, "", {}),
        ({"prod/m.a": {}, "a/0": {"status": "unknown"}}, "", {"a/0": "unknown"}),
        ({"a/": {}, "/0": {}, "a/x": {}, "a/0/1": {}, "A/0": {}, "a/٣": {}}, "", {}),
        ({"a/0": None, "a/1": [], "a/2": {}, "a": 1}, "a", {"a/0": "", "a/1": "", "a/2": ""}),
        ({"a/3": {"status": 7}}, "", {"a/3": "7"}),
        ({}, "", {}),
    ],
)
def test_units_are_told_from_applications_and_offers(
    rows: dict[str, Any], apps: str, units: dict[str, str]
) -> None:
    """An offer's name has a slash in it, and is neither."""
    assert _ask(_text(rows)) == goal_module.Goal(frozenset(apps), units)


NO_OBJECTS = ["", "null", "[]", "7", "{", '"', "[" * 100_000, '{"relations": ["a"]}']


@pytest.mark.parametrize("text", [*NO_OBJECTS, _text(["a", "a/0"]), _text("a"), _text(None)])
def test_nothing_of_use_is_no_goal(text: str) -> None:
    """Nobody has left because of that."""
    assert _ask(text) is None


def test_relations_with_other_models_alone_are_not_named() -> None:
    """Juju leaves them out, and the endpoint with them."""
    for text in ("{}", '{"relations": {"other": {}}}'):
        assert _ask(text) == distributor.goal_of()


def test_a_command_that_fails_is_no_goal() -> None:
    """Whatever it prints."""
    assert _ask(_text({"a": {}})) is not None
    assert _ask(_text({"a": {}}), returncode=1) is None


@given(st.recursive(st.none() | st.text(), lambda s: st.dictionaries(st.text(), s)))
def test_any_json_is_borne(rows: Any) -> None:
    """It may be of another version."""
    assert (_ask(_text(rows)) is not None) == isinstance(rows, dict)


def test_a_unit_has_departed_by_its_application() -> None:
    """Which is named, while the unit is not."""
    goal = distributor.goal_of("a/0", "a/2:dying", "c/0:unknown")

    units = ["a/0", "a/1", "a/2", "b/0", "aa/0"]
    assert [unit for unit in units if goal.has_departed(unit)] == ["a/1"]
    assert goal.dying == {"a/2"}
