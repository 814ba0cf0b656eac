"""What may leave the machine after a failure: everything but join tokens."""

from __future__ import annotations

import re

CUT_OUT = "<token>"

# A mirrored key with its value, in JSON, YAML and the output of Juju's own tools; two words of the
# wire are no tokens.
_MIRRORED = re.compile(
    r"""(mirror-[\w.-]+\\?["']?\s*[:=]\s*\\?["']?)"""
    r"""(?!(?:empty|joined)(?:[\s"'\\,}]|$))[^\s"'\\,}]+"""
)
# The secret in a token that somebody has decoded.
_SECRET = re.compile(r"""(secret\\?["']?\s*[:=]\s*\\?["']?)[\w+/=-]{8,}""", re.IGNORECASE)
# Base64 of a JSON object begins with one of these; and no path, name or digest is as long as a
# token without a dot or a space in it.
_BASE64 = re.compile(r"(?:eyJ|(?<![A-Za-z0-9])(?:eyA|ew[0ko]))[\w+/-]{13,}=*|[\w+/-]{120,}=*")


def redact(text: str) -> str:
    """Cut join tokens out of a text, such as a log, and put `<token>` in the place of each.

    It may cut out more than tokens, such as certificates.
    """
    text = _MIRRORED.sub(rf"\1{CUT_OUT}", text)
    text = _SECRET.sub(rf"\1{CUT_OUT}", text)
    return _BASE64.sub(CUT_OUT, text)
