"""The options for a run on a real Juju, and the charms that follow from them."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from tests.clouds import local, packing, protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

MICROOVN = "microovn"
LXD_CLUSTER = "lxd-cluster"

# What the distributor was published for before this library's time, and where.
_EARLIER = ("ubuntu@24.04", "amd64")
_EARLIER_CHANNEL = "latest/edge"

_OPTIONS = {
    "--charm-path": (None, "the distributor, or a directory with one for each base, else packed"),
    "--consumer": (MICROOVN, f"{LXD_CLUSTER} where the snap store is out of reach"),
    "--consumer-channel": ("latest/edge", f"the channel of {MICROOVN}, which gets this library"),
    "--base": ("ubuntu@24.04", "what all machines run"),
    "--artifacts": (".tox/artifacts", "for logs and databags after a failure, without tokens"),
}


def add(group: pytest.OptionGroup) -> None:
    """Add the options to pytest's; `--base` can be set by the variable BASE, and so on."""
    for option, (default, what) in _OPTIONS.items():
        variable = option.removeprefix("--").replace("-", "_").upper()
        group.addoption(option, default=os.environ.get(variable) or default, help=what)
    group.addoption("--keep-models", action="store_true", help="keep the models after the run")


@dataclasses.dataclass(frozen=True)
class CharmSource:
    """Where a charm comes from, and what has to be known of it.

    Attributes:
        charm: its name in Charmhub, if there is a channel, or an absolute path.
        command: the words before `list -f json` in a shell on a unit's machine.
        status_names_cause: its status shows what the library waits for.
    """

    charm: str
    base: str
    channel: str | None = None
    constraints: Mapping[str, str] | None = None
    command: str = ""
    status_names_cause: bool = False


def sources(option: Any) -> dict[str, CharmSource]:
    """Return where the charms come from that the scenarios name; some are packed for it."""
    name, base = protocol.DISTRIBUTOR, str(option.base)
    if option.charm_path:
        path = packing.given(option.charm_path, name, base)
    else:
        path = packing.pack(packing.ROOT, name, base)
    found = {name: CharmSource(path, base)}
    if option.consumer == LXD_CLUSTER:
        found[protocol.CONSUMER] = CharmSource(
            packing.pack(local.CONSUMER_ROOT, LXD_CLUSTER, base, with_package=True),
            base,
            command='python3 "$JUJU_CHARM_DIR/src/lxd_microcluster.py"',
            status_names_cause=True,
        )
        return found
    assert option.consumer == MICROOVN, f"{option.consumer} is no consumer"
    published = CharmSource(
        MICROOVN,
        base,
        option.consumer_channel,
        # A container lacks the privileges, and the default of 1 GiB is too little for its snaps.
        constraints={"virt-type": "virtual-machine", "cores": "2", "mem": "2G"},
        command="microovn cluster",
    )
    path = packing.download(MICROOVN, option.consumer_channel, base)
    found[protocol.CONSUMER] = dataclasses.replace(published, charm=path, channel=None)
    if (base, packing.ARCHITECTURE) == _EARLIER:
        found[protocol.EARLIER_CONSUMER] = published
        found[protocol.EARLIER_DISTRIBUTOR] = CharmSource(name, base, _EARLIER_CHANNEL)
    return found
