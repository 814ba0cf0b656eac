"""Whatever a databag holds, no hook fails and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microcluster_token_distributor import _membership, _wire, _workload
from tests.unit import consumer
from tests.unit.consumer import NO, TOKEN_1, members

APP_KEYS = [
    "leader",
    "bootstrap-app",
    "bootstrap-host",
    "waiting",
    "formed",
    "shared",
    "hold",
    "left",
]
UNIT_KEYS = ["mirror", "mirror-node-0", "mirror-node-1", "mirror-"]
OWN_KEYS = ["hostname", "member", "mirror", "cluster", "failed", "hold", "gone", "generation"]
RUBBISH = ["\x00 -x\n", "../../etc/passwd = node-0==ä", "9" * 99]


@pytest.mark.parametrize("leader", ["0", ""], ids=["new keys", "old keys"])
@pytest.mark.parametrize("in_cluster", [False, True])
@pytest.mark.parametrize("key", sorted({*APP_KEYS, *UNIT_KEYS, *OWN_KEYS, "other"}))
def test_rubbish_under_a_key_is_borne(
    unit: consumer.Unit, leader: str, in_cluster: bool, key: str
) -> None:
    """A newcomer at most tries it as a token, and a member goes on mirroring what it has."""
    unit.remember(in_cluster=in_cluster, hostname="node-0")
    unit.lists(members("node-0") if in_cluster else NO)
    unit.expect("add", "node-1", answers=[consumer.REFUSED])
    unit.keep("node-1", TOKEN_1)
    for text in RUBBISH:
        unit.expect("join", text, *consumer.JOIN[2:], answers=[consumer.REFUSED])
        decided = {"leader": leader, "waiting": "node-1"} if leader else {}
        unit.change(
            remote_app_data={**decided, key: text},
            remote_units_data={0: {"mirror": "up", "mirror-node-1": "empty", key: text}},
            local_unit_data={"mirror": "up", "mirror-central": "192.0.2.1", key: text},
        )

        hooks = [unit.hook("upgrade_charm"), unit.hook()]

        assert [hook.in_cluster for hook in hooks] == [in_cluster] * 2
        assert hooks[-1].bag["mirror-central"] == "192.0.2.1"
        assert hooks[-1].bag["member"] == ("true" if in_cluster else "false")
        assert unit.token_files() == {"node-1": TOKEN_1}


words = st.lists(st.sampled_from(["node-0", "node-1", TOKEN_1, "empty", "="]) | st.text())
texts = st.text() | words.map(" ".join)


@given(
    app_bag=st.dictionaries(st.sampled_from(APP_KEYS), texts),
    unit_bag=st.dictionaries(st.sampled_from(UNIT_KEYS), texts),
    own=st.dictionaries(st.sampled_from(OWN_KEYS) | st.just("mirror-node-1"), texts),
    rows=st.sampled_from([(), ("node-0",), ("node-1",), ("a-node", "node-0")]),
    reason=st.sampled_from(["", "no quorum"]),
)
def test_no_text_in_a_databag_makes_a_rule_fail(
    app_bag: dict[str, str],
    unit_bag: dict[str, str],
    own: dict[str, str],
    rows: tuple[str, ...],
    reason: str,
) -> None:
    """What is run are names that can be members', and what is written are plain keys."""
    new, old = _wire.Published.from_bags, _wire.Published.from_old_bags
    for published in (new(app_bag, unit_bag), old(app_bag, [unit_bag])):
        listed = tuple(_workload.Member(name, "voter", "ONLINE") for name in rows)
        state = _membership.UnitState(
            "node-0",
            _wire.Report.from_bag("micro/0", own),
            published,
            answer=_membership.MembershipReport(() if reason else listed, reason),
        )

        named = [*_membership.removable(state), *_membership.to_issue(state)]
        bag = _membership.report(state).to_bag()

        assert all(map(_wire.is_hostname, named))
        assert all(key in {*OWN_KEYS, "offline"} or key.startswith("mirror-") for key in bag)
        assert isinstance(_membership.waiting_reason(state, ""), str)
