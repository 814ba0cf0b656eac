#!/usr/bin/env python3
"""Print the members of this machine's LXD cluster, as a microcluster's `list -f json` does.

For whoever looks at a unit from outside: `python3 "$JUJU_CHARM_DIR/src/lxd_microcluster.py"`.
"""

import dataclasses
import json
import pathlib
import sys

# What the charm's `dispatch` does for the charm.
_ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.extend(map(str, [_ROOT / "lib", *_ROOT.glob("venv/lib/python*/site-packages")]))

import lxd_workload  # noqa: E402 - not found before

members = lxd_workload.LxdWorkload().members()
print(json.dumps([dataclasses.asdict(member) for member in members]))
