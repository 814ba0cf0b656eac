"""All statuses, states and refusals of the charm and the library, read from their source.

A status is a text, its name first, that the source assigns to an attribute `status`. The texts of
a function are those that it returns. A value that is formatted into a text stands for any text.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from typing import TYPE_CHECKING, NamedTuple, cast

from tests.docs import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

CONSUMER = "library/src/microcluster_token_distributor"
DISTRIBUTOR = "src"


class Template(NamedTuple):
    """A message with `{}` for what varies; the name of its status, or of what is no status."""

    kind: str
    text: str

    def fits(self, kind: str, message: str) -> bool:
        """Return whether a status is one of these."""
        parts = map(re.escape, self.text.split("{}"))
        return kind == self.kind and re.fullmatch(".+".join(parts), message) is not None


@functools.cache
def of(side: str) -> frozenset[Template]:
    """Return the statuses of one side, `CONSUMER` or `DISTRIBUTOR`."""
    source = _Source(side)
    texts = {text for value in source.values("status") for text in source.texts(value)}
    # A variable alone is unknown; a plural has its noun's text.
    return frozenset(
        Template(*text.replace("{}s", "{}").partition(" ")[::2]) for text in texts - {"{}"}
    )


@functools.cache
def refusals() -> frozenset[Template]:
    """Return the messages of a unit whose cluster does not let it go."""
    name = "LeaveRefusedError"
    return frozenset(Template(name, text) for text in _Source(CONSUMER).arguments(name))


@functools.cache
def action_failures() -> frozenset[Template]:
    """Return with what the charm's actions fail."""
    return frozenset(Template("fail", text) for text in _Source(DISTRIBUTOR).arguments("fail"))


@functools.cache
def states() -> frozenset[str]:
    """Return the states in which the action shows a unit, and a name without a unit."""
    return frozenset({*_Source(DISTRIBUTOR).returned("_state_of"), "left", "offline"})


class _Source:
    """The modules in a folder of the repository."""

    def __init__(self, folder: str):
        paths = sorted((pages.ROOT / folder).glob("*.py"))
        self._nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]
        self._functions = {
            node.name: node for node in self._nodes if isinstance(node, ast.FunctionDef)
        }

    def values(self, name: str) -> Iterator[ast.expr]:
        """Give what is assigned to a variable, an attribute or a keyword of a name."""
        for node in self._nodes:
            if isinstance(node, ast.keyword) and node.arg == name:
                yield node.value
            for target in node.targets if isinstance(node, ast.Assign) else ():
                value = cast("ast.Assign", node).value
                pairs = [(target, value)]
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    pairs = zip(target.elts, value.elts, strict=True)
                yield from (value for target, value in pairs if _name(target) == name)

    def returned(self, function: str) -> set[str]:
        """Return the texts that a function returns."""
        returns = [e for e in ast.walk(self._functions[function]) if isinstance(e, ast.Return)]
        return {text for each in returns if each.value for text in self.texts(each.value)}

    def arguments(self, function: str) -> Iterator[str]:
        """Give the first arguments with which a function is called."""
        for node in self._nodes:
            if isinstance(node, ast.Call) and _name(node.func) == function and node.args:
                yield from self.texts(node.args[0])

    def texts(self, node: ast.expr) -> set[str]:
        """Return the texts that an expression can be, with `{}` for what varies."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value}
        if isinstance(node, ast.IfExp):
            return self.texts(node.body) | self.texts(node.orelse)
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
            return {"".join(each) for each in itertools.product(*map(self.texts, parts))}
        if isinstance(node, ast.BinOp):
            sides = self.texts(node.left), self.texts(node.right)
            return {"".join(each) for each in itertools.product(*sides)}
        if isinstance(node, ast.Call) and _name(node.func) in self._functions:
            # `str.join` returns what varies, and has a namesake that returns nothing.
            return self.returned(_name(node.func)) or {"{}"}
        if isinstance(node, ast.Name):
            values = list(self.values(node.id))
            if node.id.lstrip("_").isupper() or all(isinstance(e, ast.JoinedStr) for e in values):
                return {text for each in values for text in self.texts(each)} or {"{}"}
        return {"{}"}


def _name(node: ast.expr) -> str:
    """Return the last part of a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
