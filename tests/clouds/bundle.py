"""Bundles with words in double braces, for which the values come from outside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

_WORD = re.compile(r"\{\{ *([a-z_]+) *\}\}")


def render(template: pathlib.Path, values: Mapping[str, str]) -> str:
    """Put values in for a template's words.

    Args:
        template: its words look as Jinja's do, `{{ so }}`, but there is no more to it than words.
        values: what to put in, by word; a line with an empty value is left out.

    Raises:
        KeyError: a word has no value.
    """
    lines: list[str] = []
    for line in template.read_text().splitlines():
        words = [] if line.lstrip().startswith("#") else _WORD.findall(line)
        if all(values[word] for word in words):
            lines.append(_WORD.sub(lambda match: values[match[1]], line) if words else line)
    return "\n".join(lines) + "\n"
