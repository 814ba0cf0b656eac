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

_SYSTEM_LOGS = "journalctl --no-pager --boot"
# What the distributor was published for before this library's time.
_EARLIER = {("ubuntu@24.04", "amd64")}

OPTIONS = {
    "--charm-path": (
        "",
        "the packed distributor, or a directory with one packed charm for each base; by default "
        "it is packed into dist/",
    ),
    "--consumer": (
        MICROOVN,
        f"the charm whose units form the cluster: {MICROOVN}, or {LXD_CLUSTER} where the snap "
        "store is out of reach",
    ),
    "--consumer-channel": ("latest/edge", "its channel in Charmhub"),
    "--consumer-library": (
        "this",
        "'this' puts this project's library into the consumer's charm, 'published' keeps its own",
    ),
    "--base": ("ubuntu@24.04", "what all machines run"),
    "--earlier-channel": ("latest/edge", "the published distributor's channel in Charmhub"),
    "--artifacts": (
        ".tox/artifacts",
        "where logs, databags and statuses go after a failure, without tokens",
    ),
    "--juju-controller": ("", "the controller; by default the current one"),
    "--juju-cloud": ("", "the controller's cloud for the models; by default its own"),
}


def add(group: pytest.OptionGroup) -> None:
    """Add the options to pytest's; `--base` can be set by the variable BASE, and so on."""
    for option, (default, what) in OPTIONS.items():
        variable = option.removeprefix("--").replace("-", "_").upper()
        group.addoption(
            option,
            default=os.environ.get(variable) or default,
            metavar="VALUE",
            help=f"{what}; or {variable} in the environment (default: %(default)r)",
        )
    group.addoption("--keep-models", action="store_true", help="keep the models after the run")


@dataclasses.dataclass(frozen=True)
class CharmSource:
    """Where a charm comes from, and what has to be known of it.

    Attributes:
        charm: its name in Charmhub, or an absolute path.
        channel: in Charmhub; empty for a path.
        base: what its machines run, like `ubuntu@24.04`.
        constraints: on its machines, like `{"virt-type": "virtual-machine"}`.
        command: the words before `list -f json` in a shell on a unit's machine, where
            `JUJU_CHARM_DIR` is set; empty where there is no cluster.
        logs: a shell command on a unit's machine that prints the workload's logs.
        status_names_cause: its status shows what the library waits for.
    """

    charm: str
    channel: str = ""
    base: str = ""
    constraints: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    command: str = ""
    logs: str = ""
    status_names_cause: bool = False


def sources(option: Any) -> dict[str, CharmSource]:
    """Return where the charms come from that the scenarios name; some are packed for it.

    Raises:
        ValueError: there is no such consumer.
    """
    base = str(option.base)
    if option.charm_path:
        path = packing.given(option.charm_path, protocol.DISTRIBUTOR, base)
    else:
        path = packing.pack(packing.ROOT, base)
    found = {protocol.DISTRIBUTOR: CharmSource(path, base=base)}
    if option.consumer == LXD_CLUSTER:
        found[protocol.CONSUMER] = CharmSource(
            packing.pack(local.CONSUMER_ROOT, base, with_package=True),
            base=base,
            command='python3 "$JUJU_CHARM_DIR/src/lxd_microcluster.py"',
            logs=f"{_SYSTEM_LOGS} --unit 'snap.lxd.*' --unit lxd",
            status_names_cause=True,
        )
        return found
    if option.consumer != MICROOVN:
        raise ValueError(f"the consumer is {MICROOVN} or {LXD_CLUSTER}, not {option.consumer!r}")
    published = CharmSource(
        MICROOVN,
        channel=option.consumer_channel,
        base=base,
        # A container lacks the privileges, and the default of 1 GiB is too little for its snaps.
        constraints={"virt-type": "virtual-machine", "cores": "2", "mem": "2G"},
        command="microovn cluster",
        logs=f"{_SYSTEM_LOGS} --unit 'snap.microovn.*'",
    )
    found[protocol.CONSUMER] = published
    if (base, packing.architecture()) in _EARLIER:
        found[protocol.EARLIER_CONSUMER] = published
        found[protocol.EARLIER_DISTRIBUTOR] = CharmSource(
            protocol.DISTRIBUTOR, channel=option.earlier_channel, base=base
        )
    if option.consumer_library == "this":
        path = packing.download(MICROOVN, published.channel, base)
        found[protocol.CONSUMER] = dataclasses.replace(published, charm=path, channel="")
    return found
