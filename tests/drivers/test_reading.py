"""What both drivers see comes from the `juju` program's own JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clouds import protocol, real
from tests.drivers import shapes, stand_in

if TYPE_CHECKING:
    from tests.drivers.driven import Driven

DISTRIBUTOR = protocol.DISTRIBUTOR
CONSUMER = protocol.CONSUMER

RELATED = {DISTRIBUTOR: CONSUMER, CONSUMER: DISTRIBUTOR}


def _three(
    agent: str = "idle",
    workload: str = "active",
    message: str = "",
    life: str = "",
    version: str = "3.6.9",
) -> str:
    """The status of three consumers and a distributor, with something about the second."""
    second = shapes.unit("2", agent=agent, workload=workload, message=message, life=life)
    return shapes.status(
        {
            CONSUMER: {
                # Juju sorts them as strings.
                f"{CONSUMER}/1": shapes.unit("1", leader=True),
                f"{CONSUMER}/10": shapes.unit("10"),
                f"{CONSUMER}/2": second,
            },
            DISTRIBUTOR: {f"{DISTRIBUTOR}/0": shapes.unit("0", leader=True)},
        },
        RELATED,
        version,
    )


def test_units_are_in_the_order_of_their_numbers(driven: Driven) -> None:
    """Not in that of their names."""
    driven.answers("status", _three())

    units = driven.cloud.units(CONSUMER)

    assert units == [f"{CONSUMER}/{number}" for number in (1, 2, 10)]


def test_a_dying_unit_is_no_unit(driven: Driven) -> None:
    """A story that has removed it must not find it again, while Juju takes its time."""
    driven.answers("status", _three(life="dying"))

    assert driven.cloud.units(CONSUMER) == [f"{CONSUMER}/1", f"{CONSUMER}/10"]


def test_an_application_that_is_not_there_has_no_units_and_no_leader(driven: Driven) -> None:
    """It may be gone already."""
    driven.answers("status", _three())

    assert driven.cloud.units("other") == []
    assert driven.cloud.leader("other") is None


def test_leader_host_name_and_status_are_those_that_juju_shows(driven: Driven) -> None:
    """One of each."""
    driven.answers("status", _three(workload="waiting", message="waiting to join"))

    assert driven.cloud.leader(CONSUMER) == f"{CONSUMER}/1"
    assert driven.cloud.hostname(f"{CONSUMER}/10") == "juju-abc-10"
    assert driven.cloud.status(f"{CONSUMER}/2") == ("waiting", "waiting to join")


def test_a_unit_without_a_machine_has_no_host_name_yet(driven: Driven) -> None:
    """It was added a moment ago."""
    found = json.loads(_three())
    found["machines"] = {}
    driven.answers("status", json.dumps(found))

    assert driven.cloud.hostname(f"{CONSUMER}/1") == ""


@pytest.mark.parametrize(
    ("version", "trait"),
    [
        ("3.6.9", protocol.Trait.FORCE_DEPARTS),
        ("4.0.15", protocol.Trait.FORCE_IS_SILENT),
        ("4.1-beta2", protocol.Trait.FORCE_IS_SILENT),
    ],
)
def test_the_release_decides_what_a_removal_by_force_does(
    driven: Driven, version: str, trait: protocol.Trait
) -> None:
    """Nobody is told of it on 4.x."""
    driven.answers("status", shapes.status({}, version=version))

    assert driven.cloud.traits == {trait}
    assert version in driven.cloud.name


@pytest.mark.parametrize("version", ["3.6.9", "4.0.15"])
def test_the_bag_of_a_unit_is_what_the_other_side_sees(driven: Driven, version: str) -> None:
    """The distributor has a bag in each of its relations, and one among its peers."""
    name = f"{DISTRIBUTOR}/0"
    shown = shapes.shown_unit(
        f"{CONSUMER}/1",
        shapes.relation(0, ("peers", "peers"), {}, {name: {"names": "x"}}),
        shapes.relation(
            1,
            ("cluster", "microcluster-cluster"),
            {"hostname": "a"},
            {name: {"mirror-a": "joined"}},
        ),
    )
    driven.answers("status", _three(version=version))
    driven.answers("show-unit", shown)

    assert driven.cloud.bag(name, CONSUMER) == driven.cloud.bag(name) == {"mirror-a": "joined"}
    assert driven.cloud.bag(name, "third") == {}
    assert {call[-1] for call in driven.juju.calls("show-unit")} == {f"{CONSUMER}/1"}


def test_the_bag_of_a_unit_that_nobody_sees_is_empty(driven: Driven) -> None:
    """All units at the other side are asked before that is said."""
    driven.answers("status", _three())
    driven.answers(
        "show-unit",
        shapes.shown_unit(
            f"{CONSUMER}/1", shapes.relation(1, ("cluster", "microcluster-cluster"), {}, {})
        ),
    )

    assert driven.cloud.bag(f"{DISTRIBUTOR}/0") == {}
    assert len(driven.juju.calls("show-unit")) == len(("1", "2", "10"))


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        pytest.param("3.6.9", f"{CONSUMER}/1", id="a unit of the other side is shown it"),
        pytest.param("4.0.15", f"{DISTRIBUTOR}/0", id="a unit of its own is shown it"),
    ],
)
def test_whom_juju_shows_the_bag_of_an_application(
    driven: Driven, version: str, asked: str
) -> None:
    """It depends on the version."""
    other = f"{CONSUMER}/1" if asked.startswith(DISTRIBUTOR) else f"{DISTRIBUTOR}/0"
    shown = shapes.shown_unit(
        asked,
        shapes.relation(
            1,
            ("cluster", "microcluster-cluster"),
            {},
            {other: {}},
            {"bootstrap-host": "juju-abc-1", "leader": 7},
        ),
    )
    driven.answers("status", _three(version=version))
    driven.answers("show-unit", shown)

    bag = driven.cloud.bag(DISTRIBUTOR)

    assert bag == {"bootstrap-host": "juju-abc-1", "leader": "7"}
    assert driven.cloud.bag(DISTRIBUTOR, CONSUMER) == bag
    assert {call[-1] for call in driven.juju.calls("show-unit")} == {asked}


def test_an_unrelated_application_has_an_empty_bag(driven: Driven) -> None:
    """So has one whose other side has no units."""
    driven.answers("status", shapes.status({DISTRIBUTOR: {}, CONSUMER: {}}, RELATED))

    assert driven.cloud.bag(DISTRIBUTOR) == {}
    assert driven.cloud.bag("other") == {}


def _consumers_are_deployed(driven: Driven) -> None:
    driven.cloud.deploy(CONSUMER, units=3)


def test_members_are_what_the_clusters_own_command_lists(driven: Driven) -> None:
    """In the order of their names, and each with what the cluster says of it."""
    _consumers_are_deployed(driven)
    driven.answers("status", _three())
    listed = shapes.members("juju-abc-2", "juju-abc-1", down=("juju-abc-2",))
    driven.answers("exec", listed)

    members = driven.cloud.members(f"{CONSUMER}/1")

    assert members == [
        protocol.Member("juju-abc-1", "voter", online=True),
        protocol.Member("juju-abc-2", "voter", online=False),
    ]
    (call,) = driven.juju.calls("exec")
    assert call[-1] == "microovn cluster list -f json"
    assert f"{CONSUMER}/1" in call


def test_a_machine_whose_command_fails_lists_no_members(driven: Driven) -> None:
    """It is no member, or cannot tell."""
    _consumers_are_deployed(driven)
    driven.answers("status", _three())
    driven.juju.answers("exec", stand_in.Answer(err="ERROR the following task failed", code=1))

    assert driven.cloud.members(f"{CONSUMER}/1") == []


def test_a_command_that_prints_rubbish_lists_no_members(driven: Driven) -> None:
    """A snap that is being refreshed may say so there."""
    _consumers_are_deployed(driven)
    driven.answers("status", _three())
    driven.answers("exec", "snap is being refreshed\n")

    assert driven.cloud.members(f"{CONSUMER}/1") == []


@pytest.mark.parametrize("agent", ["allocating", "lost", ""])
def test_a_machine_without_an_agent_is_not_asked(driven: Driven, agent: str) -> None:
    """The command would wait for it."""
    _consumers_are_deployed(driven)
    driven.answers("status", _three(agent=agent))

    assert driven.cloud.members(f"{CONSUMER}/2") == []
    assert not driven.juju.calls("exec")


def test_a_failed_command_says_which_and_why_without_tokens(driven: Driven) -> None:
    """Its message ends up in the log of a job that anybody can read."""
    driven.juju.answers("status", stand_in.Answer(err=f"ERROR no {shapes.TOKEN}\n", code=1))

    with pytest.raises(real.CommandError) as caught:
        driven.cloud.view()

    assert "juju status --format json" in str(caught.value)
    assert "ERROR no <token>" in str(caught.value)


def test_the_evidence_holds_no_token(driven: Driven) -> None:
    """Statuses, the log, databags and the workload's logs, but for those on a dead machine."""
    _consumers_are_deployed(driven)
    driven.answers("status", _three())
    driven.cloud.kill_machine(f"{CONSUMER}/2")
    driven.answers("debug-log", f"unit-x: joins with {shapes.TOKEN}\n")
    driven.answers("show-unit", f"mirror-juju-abc-2: {shapes.TOKEN}\n")
    driven.answers("exec", f"token {shapes.TOKEN} was used\n")

    files = dict(driven.cloud.evidence())

    assert set(files) == {
        "status.txt",
        "status.json",
        "debug-log.txt",
        *(f"show-unit-{CONSUMER}-{number}.yaml" for number in (1, 2, 10)),
        f"show-unit-{DISTRIBUTOR}-0.yaml",
        *(f"workload-{CONSUMER}-{number}.txt" for number in (1, 10)),
    }
    assert not [name for name, text in files.items() if shapes.TOKEN in text]
    assert files["debug-log.txt"] == "unit-x: joins with <token>\n"


def test_evidence_that_cannot_be_had_is_no_error(driven: Driven) -> None:
    """Why the test failed must not be hidden by why nothing more is known."""
    driven.juju.answers("status", stand_in.Answer(err="ERROR no controller\n", code=1))

    files = dict(driven.cloud.evidence())

    assert "ERROR no controller" in files["status.txt"]
