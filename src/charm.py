#!/usr/bin/env python3
"""Charm without a workload that mirrors join tokens between the units of microcluster charms."""

import ops

import distributor


class MicroclusterTokenDistributorCharm(ops.CharmBase):
    """Wires the mirror to its endpoints, its status and its actions."""

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.distributor = distributor.Distributor(self, "microcluster-cluster", peers="cluster")
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        framework.observe(self.on.show_mirror_action, self._on_show_mirror_action)
        framework.observe(self.on.forget_member_action, self._on_forget_member_action)

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(self.distributor.status)

    def _on_show_mirror_action(self, event: ops.ActionEvent) -> None:
        # A result's name cannot hold a slash, nor every character of a host name.
        try:
            rows = enumerate(self.distributor.describe())
            event.set_results({f"row-{number}": row for number, row in rows})
        except ValueError as error:
            event.fail(str(error))

    def _on_forget_member_action(self, event: ops.ActionEvent) -> None:
        try:
            self.distributor.forget(event.params["host"])
        except ValueError as error:
            event.fail(str(error))


if __name__ == "__main__":  # pragma: nocover
    ops.main(MicroclusterTokenDistributorCharm)
