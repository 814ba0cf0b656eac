"""The stories that users meet, each told once, for every cloud that can express it.

A story is a function of a `tests.clouds.protocol.Cloud`, marked by `telling.story`; related ones
share a module. Whoever tells them takes them from `every_story`.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.scenarios import telling


def modules() -> list[str]:
    """Name the modules with stories, which can be told apart from each other, in parallel."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(__path__)
        if module.name != telling.__name__.rpartition(".")[2]
    )


def every_story() -> list[telling.Story]:
    """Give all stories, module by module, in the order in which they are written down."""
    return [
        value
        for name in modules()
        for value in vars(importlib.import_module(f"{__name__}.{name}")).values()
        if isinstance(value, telling.Story)
    ]
