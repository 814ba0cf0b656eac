"""Databags, checked against the schemas in `docs/reference/wire`.

A schema has three forms of a databag: the root is what the other side has to accept, `written` is
what this project writes, to the letter, and `earlier` is what patches 1 to 8 write.
"""

from __future__ import annotations

import enum
import functools
import json
import pathlib
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from tests.charms import earlier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests import juju_model

SCHEMAS = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "wire"
_ENDING = ".schema.json"


class Kind(enum.Enum):
    """Whose databag it is; the value is the name of its schema."""

    CONSUMER_UNIT = "consumer-unit"
    DISTRIBUTOR_UNIT = "distributor-unit"
    DISTRIBUTOR_APPLICATION = "distributor-application"
    DISTRIBUTOR_PEERS = "distributor-peers"


class Form(enum.Enum):
    """Which form of it; the value is where the schema has it."""

    READ = "#"
    WRITTEN = "#/$defs/written"
    EARLIER = "#/$defs/earlier"


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """Return a schema, of a databag or `common`."""
    return json.loads((SCHEMAS / f"{name}{_ENDING}").read_text())


def names() -> list[str]:
    """Return the names of all schemas."""
    return sorted(path.name.removesuffix(_ENDING) for path in SCHEMAS.iterdir())


@functools.cache
def validator(name: str, pointer: str = "#") -> jsonschema_rs.Draft202012Validator:
    """Return what checks a value against a schema, or a part of one.

    Args:
        name: of the schema.
        pointer: the part, such as `#/$defs/written`.
    """
    registry = jsonschema_rs.Registry([(schema(each)["$id"], schema(each)) for each in names()])
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"{schema(name)['$id']}{pointer}"},
        registry=registry,
        # A value may be a token.
        mask="[cut]",
    )


def complaint(kind: Kind, form: Form, bag: Mapping[str, str]) -> str:
    """Return what is wrong with a databag; empty for nothing. No value is in it."""
    return _complaint(kind, form, tuple(bag.items()))


# Most hooks leave a bag as many others are; nothing but the bag's content makes a difference.
@functools.lru_cache(maxsize=4096)
def _complaint(kind: Kind, form: Form, items: tuple[tuple[str, str], ...]) -> str:
    bag = dict(items)
    for error in validator(kind.value, form.value).iter_errors(bag):
        return _text(error)
    return ""


def _text(error: jsonschema_rs.ValidationError) -> str:
    where = "/".join(map(str, error.instance_path))
    return f"{where}: {error.message}" if where else error.message


def complaints(juju: juju_model.Juju, hook: juju_model.Hook) -> Iterator[str]:
    """Return what is wrong with the databags that a hook has written to.

    Args:
        juju: the model, right after the hook.
        hook: the record of the hook.
    """
    for relation_id, owner in sorted({(write.relation_id, write.owner) for write in hook.writes}):
        app = juju.apps.get(owner.partition("/")[0])
        if app is None or hook.unit not in app.units:
            continue
        charm = app.units[hook.unit].charm
        kind = _kind(charm, owner, peers=relation_id in juju.relation_ids(app.name, "cluster"))
        if kind is None:
            wrong = "nobody writes this databag"
        elif charm.charm_type.__module__ == earlier.__name__:
            # What else is there may come from the library that the unit had before.
            bag = {
                write.key: write.new
                for write in hook.writes
                if (write.relation_id, write.owner) == (relation_id, owner) and write.new
            }
            wrong = complaint(kind, Form.EARLIER, bag)
        else:
            bag = juju.bag(owner, relation_id=relation_id)
            wrong = complaint(kind, Form.WRITTEN, bag)
        if wrong:
            yield f"the databag of {owner}: {wrong}"


def _kind(charm: juju_model.Charm, owner: str, *, peers: bool) -> Kind | None:
    unit = "/" in owner
    if peers:
        return None if unit else Kind.DISTRIBUTOR_PEERS
    if charm.endpoints("provides"):
        return Kind.DISTRIBUTOR_UNIT if unit else Kind.DISTRIBUTOR_APPLICATION
    return Kind.CONSUMER_UNIT if unit else None
