"""Event by event, and read key by key, the distributor comes to what reading everything gives."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING

import pytest

from charms.microcluster_token_distributor.v0 import token_distributor as lib
from tests import juju_model
from tests.chaos import mirror
from tests.clouds import local, protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from collections.abc import Callable

_DEEDS = 8
_LATER = "second-cluster"


def _deeds(cloud: local.LocalCloud, chance: random.Random) -> list[Callable[[], object]]:
    apps = [protocol.CONSUMER, _LATER]
    present = [app for app in apps if app in cloud.juju.apps]
    units = [unit for app in present for unit in cloud.units(app)]
    deeds: list[Callable[[], object]] = [
        lambda: [cloud.add_unit(chance.choice(present)) for _ in range(chance.randint(1, 8))],
        lambda: cloud.remove_unit(chance.choice(units)),
        lambda: cloud.add_unit(protocol.DISTRIBUTOR),
    ]
    if len(units) < 2:
        del deeds[1]
    if _LATER not in present:
        deeds.append(lambda: _add_application(cloud))
    return deeds


def _add_application(cloud: local.LocalCloud) -> None:
    cloud.deploy(protocol.CONSUMER, _LATER, units=2)
    cloud.integrate(_LATER, protocol.DISTRIBUTOR)


def _without_strangers(cloud: local.LocalCloud, heard: lib.Mirror) -> lib.Mirror:
    """Take those for gone for whom there is a token and no unit, as only a sweep can tell."""
    present = {
        cloud.hostname(unit)
        for app in (protocol.CONSUMER, _LATER)
        for unit in cloud.juju.units(app)
    }
    values = {name: value for name, value in heard.values.items() if name in present}
    gone = frozenset(heard.values.keys() - present)
    return dataclasses.replace(heard, values=values, left=heard.left | gone)


@pytest.mark.parametrize("version", ["3.6", "4.0"])
@pytest.mark.parametrize("seed", range(15))
def test_a_sweep_at_rest_teaches_the_leader_nothing(seed: int, version: str) -> None:
    """Units come and go, in bursts and one by one, before anybody has read everything."""
    chance = random.Random(seed)  # noqa: S311 (a schedule's seed)
    swept = 0
    with juju_model.Juju(seed=seed, version=version) as juju:
        cloud = local.LocalCloud(juju, local.fake_microcluster(juju, seed))
        telling.deploy(cloud, chance.randint(1, 12))
        for _ in range(_DEEDS):
            for _ in range(chance.choice([0, 20, 100])):
                juju.step()
            chance.choice(_deeds(cloud, chance))()
            if chance.random() < 0.5:
                continue
            juju.settle(retry_failed=True)
            leader = cloud.leader(protocol.DISTRIBUTOR) or ""
            before = mirror.read(juju, leader)
            assert before is not None
            shown, heard = before
            tally = lib.Tally.from_text(mirror.memory(juju)[lib.TALLY])
            assert tally == lib.Tally.of(shown, heard)

            juju.unit(leader).update_status_due = True
            juju.wake(juju.unit(leader))
            hook = juju.step()

            assert hook is not None
            assert (hook.unit, hook.due.kind) == (leader, "update-status")
            after = mirror.read(juju, leader)
            assert after is not None
            # A grant is used up once there is a cluster; only a sweep looks.
            assert after[0] == dataclasses.replace(
                _without_strangers(cloud, heard), bootstrap_unit=""
            )
            swept += 1
    # After about every second deed there is a rest; a seed may draw none, but not all seeds do.
    assert swept or seed
