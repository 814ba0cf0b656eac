"""No token gets into what is kept after a failure; all else does."""

from __future__ import annotations

import base64
import json

import pytest

from tests.clouds import redaction

TOKEN = base64.b64encode(b'{"secret": "not-a-real-one", "addresses": []}').decode()
SPACED = base64.b64encode(b'{\n  "secret": "none", "addresses": []\n}').decode()
URLSAFE = base64.urlsafe_b64encode(b'{"a":"\xc3\xbf\xc3\xbe>>>???"}').decode()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"joins with {TOKEN}", "joins with <token>"),
        (f"run microovn cluster join {TOKEN} --x", "run microovn cluster join <token> --x"),
        (f'["join", "{TOKEN}"]', '["join", "<token>"]'),
        (f"x={TOKEN};", "x=<token>;"),
        (SPACED, "<token>"),
        (URLSAFE, "<token>"),
        ("A" * 200, "<token>"),
        (f'"mirror-node-1": "{TOKEN}"', '"mirror-node-1": "<token>"'),
        ('"mirror-node-1": "Zm9v"', '"mirror-node-1": "<token>"'),
        ("mirror-node-1: Zm9v", "mirror-node-1: <token>"),
        ("relation-set mirror-node-1=Zm9v", "relation-set mirror-node-1=<token>"),
        (r"{\"mirror-node-1\": \"Zm9v\"}", r"{\"mirror-node-1\": \"<token>\"}"),
        ('{"secret": "0123456789abcdef"}', '{"secret": "<token>"}'),
        (r"\"secret\":\"0123456789abcdef\"", r"\"secret\":\"<token>\""),
    ],
)
def test_a_token_is_cut_out(text: str, left: str) -> None:
    """Wherever it stands, and whatever stands around it stays."""
    assert redaction.redact(text) == left


@pytest.mark.parametrize(
    "text",
    [
        '"mirror-node-1": "joined"',
        '"mirror-node-1": "empty"',
        "mirror: up",
        "mirror-node-1: joined\nmirror-node-2: empty\n",
        "/var/lib/juju/agents/unit-microcluster-token-distributor-0/charm/src/charm.py",
        "unit-microovn-0: 10:00:00 INFO juju.worker.uniter ran relation-changed hook",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "joins paused: member juju-abc-0 is offline",
        "failed: " + "0123456789abcdef" * 4,
        "",
    ],
)
def test_what_is_no_token_stays(text: str) -> None:
    """A person has to find out from it what went wrong."""
    assert redaction.redact(text) == text


def test_a_databag_in_json_stays_json() -> None:
    """With all its keys."""
    bag = {"hostname": "node-1", "mirror": "up", "mirror-node-2": TOKEN, "mirror-node-3": "joined"}

    left = json.loads(redaction.redact(json.dumps(bag)))

    assert left == bag | {"mirror-node-2": "<token>"}


def test_what_was_redacted_once_is_not_changed_again() -> None:
    """Errors are redacted where they arise, and again where they are kept."""
    once = redaction.redact(f"mirror-node-1: {TOKEN}\nx {TOKEN}")

    assert redaction.redact(once) == once
