"""What a cluster costs as it grows, counted on a model of Juju; `python -m benchmarks`.

Where to look:

- `timed`: the model of Juju with a clock under which machines work side by side.
- `counting`: forms clusters, adds a unit, and adds up what that took.
- `peer_charm`: the baseline, which forms the same cluster over a peer relation.
- `bound`: how many hooks Juju has to run at the least.
- `targets`: the fits, and what was set as a target.
- `wall`: the part that is timed: real LXD daemons, and the start of a hook.
- `report`, `plots`: what goes into `docs/`.
"""
