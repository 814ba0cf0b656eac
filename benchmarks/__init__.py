"""What a cluster costs as it grows; `python -m benchmarks --field CHECKOUT`.

Where to look:

- `contenders`: who is compared: this project, the field's own, a charm on a peer relation.
- `field`: loads the field's own charm and library from a checkout.
- `counting`: forms clusters on the model of Juju, adds a unit, and counts.
- `wall`: the same on real LXD daemons, by the clock.
- `targets`: what it may cost.
- `report`, `plots`: what goes into `docs/`.
"""
