"""What hooks leave behind: databags, checked against the schemas of the wire, and texts.

A schema of `docs/reference/wire` has three forms of a databag: the root is what the other side has
to accept, `written` is what this project writes, to the letter, and `earlier` is what patches 1 to
8 write.
"""

import enum
import functools
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from tests import juju_model
from tests.charms import earlier
from tests.microclusters import fake

_SCHEMAS = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "wire"
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
    return json.loads((_SCHEMAS / f"{name}{_ENDING}").read_text())


def names() -> list[str]:
    """Return the names of all schemas."""
    return sorted(path.name.removesuffix(_ENDING) for path in _SCHEMAS.iterdir())


@functools.cache
def validator(name: str, pointer: str) -> jsonschema_rs.Draft202012Validator:
    """Return what checks a value against a part of a schema, such as `#/$defs/written`."""
    registry = jsonschema_rs.Registry([(schema(each)["$id"], schema(each)) for each in names()])
    # A value may be a token.
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"{schema(name)['$id']}{pointer}"}, registry=registry, mask="[cut]"
    )


def complaint(kind: Kind, form: Form, bag: Mapping[str, str]) -> str:
    """Return what is wrong with a databag; empty for nothing. No value is in it."""
    return _complaint(kind, form, tuple(bag.items()))


# Most hooks leave a bag as many others are.
@functools.lru_cache(maxsize=4096)
def _complaint(kind: Kind, form: Form, items: tuple[tuple[str, str], ...]) -> str:
    errors = validator(kind.value, form.value).iter_errors(dict(items))
    return next((f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in errors), "")


def complaints(
    juju: juju_model.Juju, hook: juju_model.Hook, microcluster: fake.FakeMicrocluster
) -> Iterator[str]:
    """Yield what is wrong with the texts and databags that a hook has left, right after it."""
    for what, text in _texts(juju, hook):
        if microcluster.shows_token(text):
            yield f"{what} shows a token"
    for relation_id, owner in sorted({(write.relation_id, write.owner) for write in hook.writes}):
        app = juju.apps.get(owner.partition("/")[0])
        if app is None or hook.unit not in app.units:
            continue
        charm = app.units[hook.unit].charm
        kind = _kind(charm, owner, peers=relation_id in juju.relation_ids(app.name, "cluster"))
        form, bag = Form.WRITTEN, juju.bag(owner, relation_id=relation_id)
        if charm.charm_type.__module__ == earlier.__name__:
            # What else is there may come from the library that the unit had before.
            form = Form.EARLIER
            written = {(write.relation_id, write.owner, write.key) for write in hook.writes}
            bag = {key: bag[key] for key in bag if (relation_id, owner, key) in written}
        wrong = complaint(kind, form, bag) if kind else "nobody writes this databag"
        if wrong:
            yield f"the databag of {owner}: {wrong}"


def _kind(charm: juju_model.Charm, owner: str, *, peers: bool) -> Kind | None:
    unit = "/" in owner
    if peers:
        return None if unit else Kind.DISTRIBUTOR_PEERS
    if charm.endpoints("provides"):
        return Kind.DISTRIBUTOR_UNIT if unit else Kind.DISTRIBUTOR_APPLICATION
    return Kind.CONSUMER_UNIT if unit else None


def _texts(juju: juju_model.Juju, hook: juju_model.Hook) -> Iterator[tuple[str, str]]:
    """Yield what a hook leaves behind for people to read, or on a disk, and its name."""
    yield from (("a log line", message) for _, message in hook.logs)
    yield "an exception", hook.error
    yield from ((w.key, w.new or "") for w in hook.writes if not w.key.startswith("mirror-"))
    if hook.unit in juju.units(hook.unit.split("/")[0]):
        unit = juju.unit(hook.unit)
        yield "a status", unit.status.message
        yield from (("StoredState", repr(state.content)) for state in unit.stored_states)
        yield from (("a deferred event", repr(event)) for event in unit.deferred)
