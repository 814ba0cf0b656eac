"""Where the releases of microcluster differ on their command line."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Release:
    """What one release does; the defaults are those of 2.0.5, and times are in seconds.

    Attributes:
        version: microcluster's own version.
        joins_while_degraded: a newcomer joins while a member is down. Otherwise the join fails,
            leaves a ghost behind, and costs a cluster of three its quorum.
        cuts_off_leaver: `remove OWN-NAME` exits 1 although the member has left, and its daemon
            answers nothing for a moment.
        slow_leave: how likely it is, from 0 to 1, that leaving a cluster of four or more takes
            16 seconds.
        leaves_while_degraded: a member of a cluster of four or more can leave while another is
            down, with several outcomes. Otherwise it waits for 30 seconds and stays a member.
        checks_membership: the first `add` after a removal can be refused.
        only_member_leaves: the only member can remove itself, as LXD's can. No release of
            microcluster allows it.
        removed_keeps_starting: a member that was removed by force while it was off is starting
            for good. Otherwise its daemon ends after half a minute.
        leave: the time of `remove OWN-NAME`.
        remove: the time of `remove NAME`, the member online.
        remove_by_force: the time of `remove NAME --force`, the member unreachable.
        election: how much longer the first command takes after the database's leader died.
        no_leader: the time after which `add` and `list` give up without a quorum.
        no_leader_to_remove: the same for `remove` without `--force`.
    """

    version: str = "2.0.5"
    joins_while_degraded: bool = False
    cuts_off_leaver: bool = False
    slow_leave: float = 0.0
    leaves_while_degraded: bool = False
    checks_membership: bool = False
    only_member_leaves: bool = False
    removed_keeps_starting: bool = False
    leave: float = 0.3
    remove: float = 0.3
    remove_by_force: float = 0.2
    election: float = 3.4
    no_leader: float = 10.5
    no_leader_to_remove: float = 30.0

    @classmethod
    def of(cls, version: str) -> Release:
        """Give the release of that version.

        Args:
            version: `2.0.5` or `3.0.0`.
        """
        if version not in RELEASES:
            raise ValueError(f"the fake knows microcluster {', '.join(RELEASES)}, not {version}")
        return RELEASES[version]


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

#: Like 2.0.5, but as kind as LXD, in whose place the fake is in the scenarios.
KIND = dataclasses.replace(V2, only_member_leaves=True)

#: The releases that were measured, by version.
RELEASES = {release.version: release for release in (V2, V3)}
