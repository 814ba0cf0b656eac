"""How many hooks Juju has to run at the least, and how much more the cost may be.

`docs/explanation/cost.md` derives it, and says what each row takes for granted.
"""

from __future__ import annotations

import dataclasses

CONSUMER = "consumer"
DISTRIBUTOR = "distributor"

HOOKS_OVER_BOUND = 1.4
"""The most hooks, as a multiple of the bound."""

HOOKS_EXPONENT = 1.25
"""The most that all hooks may grow by: a power of the units."""

DISTRIBUTOR_EXPONENT = 1.05
"""The most that what the distributor reads and calls may grow by."""

LISTS = 1
"""The most calls of `list` in a hook of a unit that issues no token in it."""

LISTS_OF_COMMUNICATOR = 2
"""The most in one of a unit that does: it may have taken members out, and look again."""


@dataclasses.dataclass(frozen=True)
class Row:
    """Hooks that nothing can save.

    Attributes:
        side: whose units run them.
        hooks: what they are.
        formula: how many, in the consumer's units `n` and the distributor's units `d`.
        number: that, worked out.
    """

    side: str
    hooks: str
    formula: str
    number: int


def forming(units: int, distributors: int = 1) -> list[Row]:
    """Give the hooks for units that are all started together, and are prompt.

    Args:
        units: the consumer's, two or more.
        distributors: the distributor's units.
    """
    n, d = units, distributors
    return [
        Row(CONSUMER, "install, config-changed, start", "3n", 3 * n),
        Row(CONSUMER, "leader-elected", "1", 1),
        Row(CONSUMER, "relation-created", "n", n),
        Row(CONSUMER, "relation-joined, of each distributor's unit", "n d", n * d),
        Row(CONSUMER, "the changed owed after it", "n d", n * d),
        Row(CONSUMER, "application changed: the grant", "n", n),
        Row(CONSUMER, "changed: the newcomers are shown", "n", n),
        Row(CONSUMER, "changed: the tokens are shown", "n", n),
        Row(CONSUMER, "changed: the tokens are taken back", "n", n),
        Row(DISTRIBUTOR, "install, config-changed, start", "3d", 3 * d),
        Row(DISTRIBUTOR, "leader-elected", "1", 1),
        Row(DISTRIBUTOR, "relation-created, of the peer relation too", "2d", 2 * d),
        Row(DISTRIBUTOR, "peers: joined, and changed", "2d(d - 1)", 2 * d * (d - 1)),
        Row(DISTRIBUTOR, "relation-joined, of each consumer's unit", "n d", n * d),
        Row(DISTRIBUTOR, "the changed owed after it: its host name", "n d", n * d),
        Row(DISTRIBUTOR, "application changed: the candidate", "d", d),
        Row(DISTRIBUTOR, "changed: each unit says that it is a member", "n d", n * d),
        Row(DISTRIBUTOR, "changed: the communicator takes back the tokens", "d", d),
    ]


def adding(units: int, distributors: int = 1) -> list[Row]:
    """Give the hooks for one more unit.

    Args:
        units: the members before it.
        distributors: the distributor's units.
    """
    n, d = units, distributors
    return [
        Row(CONSUMER, "the newcomer: install, relation-created, config-changed, start", "4", 4),
        Row(CONSUMER, "the newcomer: joined and changed, of each distributor's unit", "2d", 2 * d),
        Row(CONSUMER, "the newcomer: application changed", "1", 1),
        Row(CONSUMER, "the newcomer: changed, its token is taken back", "1", 1),
        Row(CONSUMER, "each member: changed, the newcomer is shown", "n", n),
        Row(CONSUMER, "each member: changed, its token is shown", "n", n),
        Row(CONSUMER, "each member: changed, its token is taken back", "n", n),
        Row(DISTRIBUTOR, "joined and changed, of the newcomer", "2d", 2 * d),
        Row(DISTRIBUTOR, "changed: the communicator offers the token", "d", d),
        Row(DISTRIBUTOR, "changed: the newcomer says that it is a member", "d", d),
        Row(DISTRIBUTOR, "changed: the communicator takes back the token", "d", d),
    ]


def mesh(units: int) -> int:
    """Give the hooks of a mesh of peers in which nobody has written anything yet.

    Install, config-changed, start and relation-created on each unit, one leader-elected, and of
    each pair a joined and a changed on both sides.

    Args:
        units: all started together.
    """
    return 2 * units * (units - 1) + 4 * units + 1


def total(rows: list[Row]) -> int:
    """Add up the hooks of all rows."""
    return sum(row.number for row in rows)
