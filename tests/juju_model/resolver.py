"""Which hooks may run next on a unit: the rules of Juju's uniter in one place.

Theory of operation. A unit's agent compares what it has seen with what the model holds. Of the
rules below the first that applies gives the hooks that may run next; where it gives several,
Juju's order among them is random, and the caller draws.

Everything here is a function of the state, but for one thing: a unit of which nothing is new is
struck off a relation's list of units to look at.
"""

from __future__ import annotations

from tests.juju_model import entities, hooks


def candidates(unit: entities.Unit, now: float) -> list[hooks.Due]:
    """Return the hooks that may run next on a unit; none when it has nothing to do."""
    if not unit.machine.up:
        return []
    if unit.error is not None:
        return [unit.error.due] if unit.error.retry_at <= now else []
    if unit.dying:
        stop = hooks.Due(unit.name, "stop" if unit.started and not unit.stopped else "remove")
        return _in_relations(unit) or [stop]
    quiet = [hooks.Due(unit.name, "update-status")] if unit.update_status_due else []
    return _of_its_own(unit) or _in_relations(unit) or quiet


def _of_its_own(unit: entities.Unit) -> list[hooks.Due]:
    """Return what comes before the news in relations, which a unit has once it has started."""
    if not unit.installed:
        return [hooks.Due(unit.name, "install")]
    if unit.rebooted and unit.started:
        return [hooks.Due(unit.name, "start")]
    if unit.charm_seen != unit.app.charm_version:
        return [hooks.Due(unit.name, "upgrade-charm")]
    if created := [
        _due(local, "relation-created") for local in unit.relations.values() if not local.created
    ]:
        return created
    if unit.app.leader is unit and not unit.leader_seen:
        return [hooks.Due(unit.name, "leader-elected")]
    if not unit.configured:
        return [hooks.Due(unit.name, "config-changed")]
    return [] if unit.started else [hooks.Due(unit.name, "start")]


def _in_relations(unit: entities.Unit) -> list[hooks.Due]:
    for peer in (False, True):
        locals_ = (local for local in unit.relations.values() if local.relation.peer is peer)
        if due := [due for local in locals_ if (due := _next_in_relation(local))]:
            return due
    return []


def _next_in_relation(local: entities.Local) -> hooks.Due | None:
    """Return the next hook of one relation; units sort as strings."""
    if local.owed is not None:
        return _due(local, "relation-changed", local.owed)
    if local.unit.dying or local.relation.ends:
        if local.members:
            return _departed(local, min(local.members))
        # Peers only depart: a peer relation goes with its application, not before.
        return None if local.relation.peer else _due(local, "relation-broken")
    departed, joined, changed = _news(local)
    if departed:
        return _departed(local, min(departed))
    # The version of an application's databag that was never written is 0, as is a unit's idea of
    # one that it never saw, so that there is no event about it.
    if local.relation.bags[local.remote.app].version != local.app_seen:
        return _due(local, "relation-changed")
    if joined:
        return _due(local, "relation-joined", min(joined))
    return _due(local, "relation-changed", min(changed)) if changed else None


def _news(local: entities.Local) -> tuple[set[str], set[str], set[str]]:
    """Return who has departed, who has joined, and whose databag has changed."""
    relation, members = local.relation, local.members
    here = local.dirty & relation.present
    joined = here - members.keys()
    changed = {name for name in here - joined if relation.bags[name].version != members[name]}
    departed = (local.dirty & members.keys()) - relation.present - local.ghosts
    local.dirty = departed | joined | changed
    return departed, joined, changed


def _departed(local: entities.Local, remote_unit: str) -> hooks.Due:
    # Juju names the unit whose departure this is: on a unit that is dying, the unit itself.
    unit = local.unit
    leaver = unit.name if unit.dying or unit.app.dying else remote_unit
    return _due(local, "relation-departed", remote_unit, leaver)


def _due(
    local: entities.Local,
    kind: str,
    remote_unit: str | None = None,
    departing_unit: str | None = None,
) -> hooks.Due:
    relation_id, endpoint, app = local.relation.id, local.endpoint, local.remote.app
    return hooks.Due(
        local.unit.name, kind, relation_id, endpoint, app, remote_unit, departing_unit
    )
