"""Databags as they are on the wire, with what they mean; see `docs/reference/wire.md`."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
from typing import Any

from microcluster_token_distributor import _wire

_TOKEN = re.compile(r"<token ([^<>]+)>")
_DIGEST = re.compile(r"<digest of ([^<>]+)>")


def load(file: str) -> list[dict[str, Any]]:
    """Return the vectors of a file, with tokens and digests in the place of what names them."""
    text = (pathlib.Path(__file__).parent / file).read_text()
    text = _TOKEN.sub(lambda match: token(match[1]), text)
    return json.loads(_DIGEST.sub(lambda match: _wire.digest(match[1]), text))


def token(name: str) -> str:
    """Return a made-up token, always the same for a name."""
    content = {"secret": hashlib.sha256(name.encode()).hexdigest(), "join_addresses": [name]}
    return base64.b64encode(json.dumps(content).encode()).decode()
