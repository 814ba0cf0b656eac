"""What may leave the machine after a failure: everything but join tokens."""

from __future__ import annotations

import base64
import binascii
import re

CUT_OUT = "<token>"

# Values of mirrored keys that are no tokens.
_WORDS = frozenset({"", "empty", "joined", CUT_OUT})
# A mirrored key with its value, in JSON, YAML and the output of Juju's own tools.
_MIRRORED = re.compile(r"""(mirror-[\w.-]+\\?["']?\s*[:=]\s*\\?["']?)([^\s"'\\,}]*)""")
# The secret in a token that somebody has decoded.
_SECRET = re.compile(r"""(secret\\?["']?\s*[:=]\s*\\?["']?)([\w+/=-]{8,})""", re.IGNORECASE)
# What base64 can look like, with the letters of both its alphabets.
_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
# No path, name or digest is that long without a dot or a space in it.
_LONG = 120


def redact(text: str) -> str:
    """Cut join tokens out of a text.

    Whatever a mirrored key holds goes, but for the words of the wire; and anywhere else whatever
    is base64 of a JSON object, as all microclusters' tokens are, or a run of base64 so long that
    it may be one. It may cut out more than tokens, such as certificates.

    Args:
        text: a log, a databag, a status: anything.

    Returns:
        The text, with `<token>` in the place of each.
    """
    text = _MIRRORED.sub(_mirrored, text)
    text = _SECRET.sub(rf"\1{CUT_OUT}", text)
    return _RUN.sub(lambda run: CUT_OUT if _may_be_token(run[0]) else run[0], text)


def _mirrored(found: re.Match[str]) -> str:
    key, value = found.groups()
    return key + (value if value in _WORDS else CUT_OUT)


def _may_be_token(run: str) -> bool:
    if len(run) >= _LONG or run.startswith("eyJ"):
        return True
    # A log may begin in the middle of a line, never in the middle of a token's first letters.
    whole = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        plain = base64.b64decode(whole[: len(whole) // 4 * 4])
    except binascii.Error:
        return False
    return plain.lstrip()[:1] == b"{" and b'"' in plain
