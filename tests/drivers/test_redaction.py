"""No token gets into what is kept after a failure; all else does."""

from __future__ import annotations

import base64

import pytest

from tests.clouds import redaction

TOKEN = base64.b64encode(b'{"secret": "not-a-real-one", "addresses": []}').decode()
SPACED = base64.b64encode(b'{\n  "secret": "none", "addresses": []\n}').decode()
URLSAFE = base64.urlsafe_b64encode(b'{"a":"\xc3\xbf\xc3\xbe>>>???"}').decode()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"run microovn cluster join {TOKEN} --x", "run microovn cluster join <token> --x"),
        (f'["join", "{TOKEN}"]', '["join", "<token>"]'),
        (rf'"log: joins\n{TOKEN}"', r'"log: joins\n<token>"'),
        (f"x={TOKEN};", "x=<token>;"),
        (SPACED, "<token>"),
        (URLSAFE, "<token>"),
        ("A" * 200, "<token>"),
        (f'"mirror-node-1": "{TOKEN}", "x": 1', '"mirror-node-1": "<token>", "x": 1'),
        (
            "mirror-node-1: Zm9v\nmirror-node-2: joined",
            "mirror-node-1: <token>\nmirror-node-2: joined",
        ),
        ("relation-set mirror-node-1=emptyZm9v", "relation-set mirror-node-1=<token>"),
        (r"{\"mirror-node-1\": \"Zm9v\"}", r"{\"mirror-node-1\": \"<token>\"}"),
        ('{"secret": "0123456789abcdef"}', '{"secret": "<token>"}'),
        (r"\"secret\":\"0123456789abcdef\"", r"\"secret\":\"<token>\""),
    ],
)
def test_a_token_is_cut_out(text: str, left: str) -> None:
    """Wherever it stands; whatever stands around it stays, also if it is cut out again."""
    assert redaction.redact(text) == left
    assert redaction.redact(left) == left


@pytest.mark.parametrize(
    "text",
    [
        '"mirror-node-1": "joined"',
        "mirror-node-1: empty",
        "mirror: up",
        "/var/lib/juju/agents/unit-microcluster-token-distributor-0/charm/src/charm.py",
        "unit-microovn-0: 10:00:00 INFO juju.worker.uniter ran relation-changed hook",
        "/opt/framework-of-a-long-name/network-interfaces: not there",
        "failed: " + "0123456789abcdef" * 4,
    ],
)
def test_what_is_no_token_stays(text: str) -> None:
    """A person has to find out from it what went wrong."""
    assert redaction.redact(text) == text
