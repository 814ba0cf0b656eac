"""Schedules of faults as data, and what has to hold whatever they do.

- `operations`: what can be done to a cloud; a schedule is a list of these.
- `replay`: a schedule from its beginning to its end; `test_schedules` draws schedules.
- `invariants`: what must hold after every hook, and once the faults have stopped.
- `bags`: databags, checked against the schemas of the wire; other tests use it too.
- `cloud`: the model of Juju on a fake microcluster; a schedule makes every choice in it.
"""
