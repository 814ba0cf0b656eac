"""MicroCeph by its own command line: an example of a `CommandWorkload` with rules of its own.

    self.cluster = TokenConsumer(
        charm=self, relation_name="cluster", workload=MicroCephWorkload()
    )
    self.cluster.bootstrap_args_func = self.cluster.join_args_func = self._address

where `_address` returns `["--microceph-ip", IP]`.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from microcluster_token_distributor import CommandWorkload, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microcluster_token_distributor import Member

logger = logging.getLogger(__name__)

_TOO_FEW_SERVICES = re.compile(r"need at least \d+ mon", re.IGNORECASE)
_NO_JSON = "unknown shorthand flag: 'f'"


class MicroCephWorkload(CommandWorkload):
    """MicroCeph, from its `squid` series on.

    Args:
        joins_while_degraded: see `Workload`; False for `squid`, which has microcluster v2.
    """

    def __init__(self, *, joins_while_degraded: bool = False):
        super().__init__(["microceph", "cluster"])
        self.joins_while_degraded = joins_while_degraded
        self.form_limit = 360.0  # its own limit for `join` is 300 s
        self.remove_limit = 900.0  # it waits for Ceph's services to stop

    def members(self) -> Sequence[Member]:
        """Return the members of the cluster."""
        try:
            return super().members()
        except WorkloadError as error:
            if _NO_JSON in str(error):
                raise WorkloadError("MicroCeph is older than its squid series") from None
            raise

    def remove(self, name: str, args: Sequence[str], *, force: bool) -> None:
        """Remove a member, by force if MicroCeph only objects to too few monitors.

        It wants three monitors besides those of the member, so a cluster of three could not
        shrink. Disks with data are never given up: an operator has to remove those first.
        """
        try:
            super().remove(name, args, force=force)
        except WorkloadError as error:
            if force or not _TOO_FEW_SERVICES.search(str(error)):
                raise
            logger.warning("removing %s by force: %s", name, error)
            super().remove(name, args, force=True)
