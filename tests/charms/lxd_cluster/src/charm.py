#!/usr/bin/env python3
"""Form a cluster of LXD daemons: an example of a charm that uses the token distributor.

The charm installs LXD, says on which address it listens, and shows the library's status. What to
do with the cluster is in `lxd_workload.py`, when to do it in the library.
"""

from __future__ import annotations

import logging
import pathlib
import shutil
import subprocess

import lxd_workload
import ops

import microcluster_token_distributor

logger = logging.getLogger(__name__)

RELATION = "microcluster-cluster"

#: Seconds that a package may take to install.
INSTALL_LIMIT = 900


class LxdClusterCharm(ops.CharmBase):
    """A unit is a member of a cluster of LXD daemons, or on its way there."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.cluster = microcluster_token_distributor.TokenConsumer(
            charm=self, relation_name=RELATION, workload=self._workload()
        )
        self.cluster.bootstrap_args_func = self._address
        self.cluster.join_args_func = self._address
        framework.observe(self.on.install, self._on_install)
        framework.observe(self.cluster.on.joined, self._on_joined)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _on_install(self, _: ops.InstallEvent) -> None:
        if is_program("lxd") and is_program("lxc"):
            return
        try:
            install_lxd()
        except FileNotFoundError as error:
            logger.error("LXD is not installed, and there is no %s to do so", error.filename)

    def _on_joined(self, _: ops.EventBase) -> None:
        try:
            self.unit.set_workload_version(_run("lxd", "--version", limit=10).strip())
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("LXD does not say its version: %s", error)

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(self.cluster.status)

    def _workload(self) -> microcluster_token_distributor.Workload:
        return lxd_workload.LxdWorkload()

    def _address(self) -> list[str]:
        """Have LXD listen where the model wants this relation's traffic."""
        binding = self.model.get_binding(RELATION)
        address = binding.network.bind_address if binding else None
        return ["--address", str(address)] if address else []


def is_program(name: str) -> bool:
    """Tell whether a program is installed, rather than a script of Ubuntu's that would do that."""
    path = shutil.which(name)
    if path is None:
        return False
    with pathlib.Path(path).open("rb") as file:
        return file.read(2) != b"#!"


def install_lxd() -> None:
    """Install LXD: Debian's package, or the snap where no package is more than a pointer to it.

    Raises:
        FileNotFoundError: this machine has neither apt nor snap.
        subprocess.SubprocessError: the installation failed; Juju runs the hook again.
    """
    if shutil.which("snap"):
        _run("snap", "install", "lxd")
    else:
        _run("apt-get", "update")
        _run("apt-get", "install", "--yes", "--no-install-recommends", "lxd")


def _run(*argv: str, limit: float = INSTALL_LIMIT) -> str:
    """Run a command and return its standard output."""
    done = subprocess.run(argv, capture_output=True, check=True, text=True, timeout=limit)  # noqa: S603, fixed command lines, each word of our own
    return done.stdout


if __name__ == "__main__":
    ops.main(LxdClusterCharm)
