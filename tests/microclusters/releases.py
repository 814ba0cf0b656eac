"""Where the releases of microcluster differ on their command line; times are in seconds."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Release:
    """What one release does; the defaults are those of 2.0.5."""

    version: str = "2.0.5"
    # A newcomer joins while a member is down. Otherwise the join fails, leaves a ghost behind, and
    # costs a cluster of three its quorum.
    joins_while_degraded: bool = False
    # `remove OWN-NAME` exits 1 although the member has left, and its daemon answers nothing for a
    # moment.
    cuts_off_leaver: bool = False
    # How likely it is, from 0 to 1, that leaving a cluster of four or more takes 16 seconds.
    slow_leave: float = 0.0
    # A member of a cluster of four or more can leave while another is down, with several outcomes.
    # Otherwise it waits for 30 seconds and stays a member.
    leaves_while_degraded: bool = False
    # The first `add` after a removal can be refused.
    checks_membership: bool = False
    # A member that was removed by force while it was off is starting for good. Otherwise its
    # daemon ends after half a minute.
    removed_keeps_starting: bool = False
    leave: float = 0.3
    remove: float = 0.3
    remove_by_force: float = 0.2
    # How much longer the first command takes after the database's leader died.
    election: float = 3.4
    # After which `add` and `list` give up without a quorum, and `remove` without `--force`.
    no_leader: float = 10.5
    no_leader_to_remove: float = 30.0


V2 = Release()
V3 = Release(
    version="3.0.0",
    joins_while_degraded=True,
    cuts_off_leaver=True,
    slow_leave=0.75,
    leaves_while_degraded=True,
    checks_membership=True,
    removed_keeps_starting=True,
    remove=0.9,
    remove_by_force=0.8,
    election=5.4,
    no_leader=5.5,
    no_leader_to_remove=5.5,
)

# The releases that were measured, by version.
RELEASES = {release.version: release for release in (V2, V3)}
