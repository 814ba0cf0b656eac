"""What can be chosen for a run, by options or the environment, and what comes of it."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from tests.clouds import protocol, real

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DRIVERS = ("libjuju", "jubilant", "local")
"""python-libjuju in the hands of pytest-operator; Jubilant; no Juju, but a model of it."""

MICROOVN = "microovn"
LXD_CLUSTER = "lxd-cluster"

# What the distributor was published for before this library's time.
_EARLIER = {("ubuntu@24.04", "amd64")}

_SYSTEM_LOGS = "journalctl --no-pager --boot"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One thing that can be chosen.

    Attributes:
        option: on the command line.
        default: what is taken without it.
        what: what it is, for a person.
        variable: what chooses it in the environment, where the option does not.
    """

    option: str
    default: str
    what: str
    variable: str = ""

    @property
    def dest(self) -> str:
        """The option's name in Python."""
        return self.option.removeprefix("--").replace("-", "_")

    def value(self, given: str | None) -> str:
        """What is chosen, with `given` on the command line."""
        return given or os.environ.get(self.variable) or self.default


CHARM_PATH = Choice(
    "--charm-path",
    "",
    "the packed distributor, or a directory with one packed charm for each base; by default it is "
    "packed into dist/, unless the one there is newer than its sources",
    "CHARM_PATH",
)
CONSUMER = Choice(
    "--consumer",
    MICROOVN,
    f"the charm whose units form the cluster: {MICROOVN}, or {LXD_CLUSTER} where the snap store "
    "is out of reach",
    "CONSUMER",
)
CONSUMER_CHANNEL = Choice(
    "--consumer-channel", "latest/edge", "its channel in Charmhub", "CONSUMER_CHANNEL"
)
CONSUMER_LIBRARY = Choice(
    "--consumer-library",
    "this",
    "'this' puts this project's library into the consumer's charm, 'published' leaves it its own",
    "CONSUMER_LIBRARY",
)
BASE = Choice("--base", "ubuntu@24.04", "what all machines run", "BASE")
EARLIER_CHANNEL = Choice(
    "--earlier-channel",
    "latest/edge",
    "the published distributor's channel in Charmhub, from which it is refreshed to this one",
    "EARLIER_CHANNEL",
)
ARTIFACTS = Choice(
    "--artifacts",
    ".tox/artifacts",
    "where logs, databags and statuses go after a failure, without tokens",
    "ARTIFACTS",
)

ALL = (
    CHARM_PATH,
    CONSUMER,
    CONSUMER_CHANNEL,
    CONSUMER_LIBRARY,
    BASE,
    EARLIER_CHANNEL,
    ARTIFACTS,
)


@dataclasses.dataclass(frozen=True)
class Charms:
    """Where charms of this machine come from, each as a path.

    Attributes:
        distributor: packs this project's charm for a base, or finds it.
        lxd_cluster: packs `tests/charms/lxd_cluster` for a base, or finds it.
        with_library: gives the charm that Charmhub has under a name, in a channel, for a base,
            with this project's library in it.
        architecture: this machine's, as Juju names it.
    """

    distributor: Callable[[str], str]
    lxd_cluster: Callable[[str], str]
    with_library: Callable[[str, str, str], str]
    architecture: str


def sources(
    chosen: Mapping[Choice, str], charms: Charms, consumer: str = ""
) -> dict[str, real.CharmSource]:
    """Say where the charms come from that the stories name.

    Args:
        chosen: what was chosen.
        charms: packs or finds those of this machine.
        consumer: what is taken as consumer, whatever was chosen.

    Raises:
        ValueError: there is no such consumer.
    """
    base = chosen[BASE]
    name = consumer or chosen[CONSUMER]
    found = {protocol.DISTRIBUTOR: real.CharmSource(charms.distributor(base), base=base)}
    if name == LXD_CLUSTER:
        found[protocol.CONSUMER] = real.CharmSource(
            charms.lxd_cluster(base),
            base=base,
            command='python3 "$JUJU_CHARM_DIR/src/lxd_microcluster.py"',
            logs=f"{_SYSTEM_LOGS} --unit 'snap.lxd.*' --unit lxd",
            says_what_for=True,
        )
        return found
    if name != MICROOVN:
        raise ValueError(f"the consumer is {MICROOVN} or {LXD_CLUSTER}, not {name!r}")
    published = real.CharmSource(
        MICROOVN,
        channel=chosen[CONSUMER_CHANNEL],
        base=base,
        # A container lacks the privileges, and the default of 1 GiB is too little for its snaps.
        constraints={"virt-type": "virtual-machine", "cores": "2", "mem": "2G"},
        command="microovn cluster",
        logs=f"{_SYSTEM_LOGS} --unit 'snap.microovn.*'",
    )
    found[protocol.CONSUMER] = published
    if (base, charms.architecture) in _EARLIER:
        found[protocol.EARLIER_CONSUMER] = published
        found[protocol.EARLIER_DISTRIBUTOR] = real.CharmSource(
            protocol.DISTRIBUTOR, channel=chosen[EARLIER_CHANNEL], base=base
        )
    if chosen[CONSUMER_LIBRARY] == "this":
        path = charms.with_library(MICROOVN, published.channel, base)
        found[protocol.CONSUMER] = dataclasses.replace(published, charm=path, channel="")
    return found
