"""Join tokens of LXD's that nobody issued."""

from __future__ import annotations

import base64
import json
from typing import Any

#: Stands for a token's secret; standard error is what it must never be seen in.
SECRET = "5ec4e7" * 10


def token(**changes: Any) -> str:
    """Return a token that is well-formed but for the changes."""
    names = {"server_name": "node-1", "fingerprint": "0" * 64, "addresses": ["127.0.1.1:1"]}
    parts = {**names, "secret": SECRET, "expires_at": "2100-01-01T00:00:00Z", **changes}
    return base64.b64encode(json.dumps(parts).encode()).decode()
