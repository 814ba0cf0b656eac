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
        self._functions: dict[str, ast.FunctionDef] = {}
        self._assigned: dict[str, list[ast.expr]] = collections.defaultdict(list)
        self._calls: list[tuple[str, ast.Call]] = []
        modules = [ast.parse(path.read_text()) for path in (pages.ROOT / folder).glob("*.py")]
        for node in itertools.chain.from_iterable(map(ast.walk, modules)):
            match node:
                case ast.FunctionDef():
                    self._functions[node.name] = node
                case ast.Assign(targets=[ast.Name(id=name)]):
                    self._assigned[name].append(node.value)
                case ast.Call(func=ast.Name(id=name)):
                    self._calls.append((name, node))
                case _:
                    pass

    def returned(self, function: str) -> set[str]:
        """Return the texts that a function returns."""
        returns = [e for e in ast.walk(self._functions[function]) if isinstance(e, ast.Return)]
        return {text for each in returns if each.value for text in self._texts(each.value)}

    def constants(self, *names: str) -> set[str]:
        """Return the texts that are assigned to these names."""
        return {text for name in names for e in self._assigned[name] for text in self._texts(e)}

    def raised(self, error: str) -> set[str]:
        """Return the texts with which an exception is made."""
        calls = (call for name, call in self._calls if name == error)
        return _patterns(text for call in calls for text in self._texts(call.args[0]))

    def _texts(self, node: ast.expr) -> set[str]:
        """Return the texts that an expression can be."""
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
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                # `str.join` has a namesake, which returns nothing.
                return (name in self._functions and self.returned(name)) or {_ANY}
            case ast.Name(id=name) if all(
                isinstance(e, (ast.Constant, ast.JoinedStr)) for e in self._assigned[name]
            ):
                return self.constants(name) or {_ANY}
            case _:
                return {_ANY}


def _patterns(texts: Iterable[str]) -> set[str]:
    return {re.escape(text).replace(_ANY, ".+") for text in texts}


def _statuses(texts: Iterable[str]) -> set[str]:
    """Return patterns of statuses as the pages write them: the name, a colon, the message."""
    return _patterns(text.replace(" ", ": ", 1) for text in texts)


def fits(text: str, patterns: Iterable[str]) -> bool:
    """Return whether a text is one of these."""
    return any(re.fullmatch(pattern, text) for pattern in patterns)


_charm, _library = _Source("src"), _Source("library/src/microcluster_token_distributor")
DISTRIBUTOR = _statuses(_charm.returned("_status_of") | _charm.constants("_NOT_RELATED", "_READY"))
CONSUMER = _statuses(_library.returned("_status") | _library.constants("_NOT_RELATED"))
STATES = {*_charm.returned("_state_of"), "left", "offline"}
ACTION_FAILURES = _charm.raised("ValueError")
REFUSALS = _library.raised("LeaveRefusedError")
