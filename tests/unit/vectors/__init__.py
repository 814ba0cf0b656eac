"""Databags as they are on the wire, with what they mean; see `docs/reference/wire.md`."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

from microcluster_token_distributor import _wire, testing

token = testing.fake_token


def load(file: str) -> list[dict[str, Any]]:
    """Return the vectors of a file, with tokens and digests in the place of what names them."""
    text = (pathlib.Path(__file__).parent / file).read_text()
    text = re.sub("<token ([^<>]+)>", lambda match: token(match[1]), text)
    return json.loads(re.sub("<digest of ([^<>]+)>", lambda match: _wire.digest(match[1]), text))
