"""What the charm and the library can say, read from their source.

All are patterns, where a value that is formatted into a text may be any text.
"""

from __future__ import annotations

import ast
import collections
import itertools
import re
from typing import TYPE_CHECKING

from tests.docs import pages

if TYPE_CHECKING:
    from collections.abc import Iterable

_ANY = "\0"


class _Source:
    """The modules in a folder of the repository."""

    def __init__(self, folder: str):
        # What a function returns, a variable is, or an exception is made with, by name.
        self._values: dict[str, list[ast.expr]] = collections.defaultdict(list)
        modules = [ast.parse(path.read_text()) for path in (pages.ROOT / folder).glob("*.py")]
        for node in itertools.chain.from_iterable(map(ast.walk, modules)):
            match node:
                case ast.FunctionDef(name=name):
                    returns = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
                    self._values[name] += [each.value for each in returns if each.value]
                case ast.Assign([ast.Name(id=name)], value=ast.Constant() | ast.JoinedStr()):
                    self._values[name].append(node.value)
                case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[text])):
                    self._values[name].append(text)
                case _:
                    pass

    def texts(self, *names: str) -> set[str]:
        """Return the texts that these can be."""
        return {text for name in names for e in self._values[name] for text in self._texts(e)}

    def _texts(self, node: ast.expr) -> set[str]:
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.IfExp(body=one, orelse=other):
                return self._texts(one) | self._texts(other)
            case ast.JoinedStr(values=parts):
                return {"".join(each) for each in itertools.product(*map(self._texts, parts))}
            case ast.BinOp(left=one, right=other):
                return self._texts(ast.JoinedStr([one, other]))
            case ast.FormattedValue(value=value):
                return self._texts(value)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) | ast.Name(id=name):
                return self.texts(name) or {_ANY}
            case _:
                return {_ANY}


def _patterns(texts: set[str]) -> set[str]:
    return {re.escape(text).replace(_ANY, ".+") for text in texts}


def _statuses(texts: Iterable[str]) -> set[str]:
    """Return patterns of statuses as the pages write them: the name, a colon, the message."""
    return _patterns({text.replace(" ", ": ", 1) for text in texts})


def fits(text: str, patterns: Iterable[str]) -> bool:
    """Return whether a text is one of these."""
    return any(re.fullmatch(pattern, text) for pattern in patterns)


_charm, _library = _Source("src"), _Source("library/src/microcluster_token_distributor")
DISTRIBUTOR = _statuses(_charm.texts("_status_of", "_NOT_RELATED", "_READY"))
CONSUMER = _statuses(_library.texts("_status", "_NOT_RELATED"))
STATES = _charm.texts("_state_of") | {"left", "offline"}
ACTION_FAILURES = _patterns(_charm.texts("ValueError"))
REFUSALS = _patterns(_library.texts("LeaveRefusedError"))
