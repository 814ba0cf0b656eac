"""All that the charm and the library can say, read from their source.

A status is said where the source makes one, as in `ops.WaitingStatus(f"waiting for {unit}")`; what
it is made of is followed to where the same class says it. What is filled in stands for any text.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from typing import TYPE_CHECKING

from tests.docs import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY = pages.ROOT / "lib/charms/microcluster_token_distributor/v0/token_distributor.py"
CHARM = pages.ROOT / "src/charm.py"
CONSUMER = "TokenConsumer"
DISTRIBUTOR = "TokenDistributorProvides"
_STATUS = "Status"


@dataclasses.dataclass(frozen=True, order=True)
class Saying:
    """Something that is said with what may vary in it.

    Attributes:
        kind: `active`, `waiting` and so on; empty for what is no status.
        template: the text, with `{}` for what varies.
    """

    kind: str
    template: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.template}" if self.template else self.kind

    def fits(self, kind: str, message: str) -> bool:
        """Tell whether a status is one of these."""
        parts = map(re.escape, self.template.split("{}"))
        return kind == self.kind and re.fullmatch(".+".join(parts), message) is not None


@functools.cache
def of(side: str) -> frozenset[Saying]:
    """Return what one of the library's two classes can have for a status.

    Args:
        side: `CONSUMER` or `DISTRIBUTOR`.
    """
    source = _Source(ast.parse(LIBRARY.read_text()), side)
    return frozenset(source.statuses())


@functools.cache
def refusals() -> frozenset[Saying]:
    """Return what a unit says whose cluster does not let it go."""
    source = _Source(ast.parse(LIBRARY.read_text()), CONSUMER)
    return frozenset(
        Saying("LeaveRefusedError", text) for text in source.arguments("LeaveRefusedError")
    )


@functools.cache
def action_failures() -> frozenset[Saying]:
    """Return with what the charm's action fails."""
    source = _Source(ast.parse(CHARM.read_text()), "MicroclusterTokenDistributorCharm")
    return frozenset(Saying("fail", text) for text in source.arguments("fail"))


@functools.cache
def states() -> frozenset[str]:
    """Return the states in which the action shows a unit."""
    source = _Source(ast.parse(LIBRARY.read_text()), DISTRIBUTOR)
    return frozenset(
        {*source.returned("_state"), *source.assigned("state"), *source.items("state")}
    )


class _Source:
    """A class's source.

    Args:
        module: the module it is in.
        name: its name.
    """

    def __init__(self, module: ast.Module, name: str):
        found = [
            node for node in module.body if isinstance(node, ast.ClassDef) and node.name == name
        ]
        assert found, f"there is no class {name}"
        self._methods = {
            node.name: node for node in found[0].body if isinstance(node, ast.FunctionDef)
        }

    def statuses(self) -> Iterator[Saying]:
        """Give what its statuses say."""
        for method, call in self._calls():
            name = _name(call.func)
            if name.endswith(_STATUS) and name != _STATUS:
                kind = name.removesuffix(_STATUS).lower()
                for text in self._texts(call.args[0], method) if call.args else {""}:
                    yield Saying(kind, text)

    def arguments(self, function: str) -> Iterator[str]:
        """Give the first arguments with which a function is called."""
        for method, call in self._calls():
            if _name(call.func) == function:
                yield from self._texts(call.args[0], method)

    def returned(self, method: str) -> set[str]:
        """Return what a method returns."""
        return {
            text
            for node in ast.walk(self._methods[method])
            if isinstance(node, ast.Return) and node.value is not None
            for text in self._texts(node.value, self._methods[method])
        }

    def assigned(self, name: str) -> set[str]:
        """Return the literals that a variable takes in any method."""
        return {
            node.value.value
            for method in self._methods.values()
            for node in ast.walk(method)
            if isinstance(node, ast.Assign)
            and name in map(_name, node.targets)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        }

    def items(self, key: str) -> set[str]:
        """Return the literals under a key of any dictionary that is written out."""
        return {
            value.value
            for method in self._methods.values()
            for node in ast.walk(method)
            if isinstance(node, ast.Dict)
            for name, value in zip(node.keys, node.values, strict=True)
            if isinstance(name, ast.Constant)
            and name.value == key
            and isinstance(value, ast.Constant)
            and isinstance(value.value, str)
        }

    def _calls(self) -> Iterator[tuple[ast.FunctionDef, ast.Call]]:
        for method in self._methods.values():
            for node in ast.walk(method):
                if isinstance(node, ast.Call):
                    yield method, node

    def _texts(self, node: ast.expr, method: ast.FunctionDef) -> set[str]:
        """Return the texts that an expression can be, with `{}` for what varies."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value}
        if isinstance(node, ast.IfExp):
            return self._texts(node.body, method) | self._texts(node.orelse, method)
        if isinstance(node, ast.JoinedStr):
            texts = {""}
            for part in node.values:
                value = part.value if isinstance(part, ast.FormattedValue) else part
                texts = {text + more for text in texts for more in self._texts(value, method)}
            return texts
        if isinstance(node, ast.Name):
            values = [
                each.value
                for each in ast.walk(method)
                if isinstance(each, ast.Assign) and node.id in map(_name, each.targets)
            ]
            found = {text for value in values for text in self._texts(value, method)}
            return found or {"{}"}
        if isinstance(node, ast.Call) and _name(node.func) in self._methods:
            return self.returned(_name(node.func))
        return {"{}"}


def _name(node: ast.expr) -> str:
    """Return the last part of a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
