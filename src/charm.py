#!/usr/bin/env python3
"""Charm without a workload that mirrors join tokens between the units of microcluster charms."""

import ops

import distributor


class MicroclusterTokenDistributorCharm(ops.CharmBase):
    """Wires the mirror to its endpoints, its status and its action."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.distributor = distributor.Distributor(self, "microcluster-cluster", peers="cluster")
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        framework.observe(self.on.show_mirror_action, self._on_show_mirror_action)

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(self.distributor.status)

    def _on_show_mirror_action(self, event: ops.ActionEvent) -> None:
        if not self.unit.is_leader():
            event.fail(f"only the leader mirrors: run the action on {self.app.name}/leader")
            return
        rows = self.distributor.describe()
        # A result's name cannot hold a slash, nor every character of a host name.
        event.set_results({f"row-{number}": row for number, row in enumerate(rows)})


if __name__ == "__main__":  # pragma: nocover
    ops.main(MicroclusterTokenDistributorCharm)
