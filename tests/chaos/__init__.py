"""Schedules of faults, drawn from a seed, and what has to hold whatever they do.

- `schedule`: what operators and fate do, in what order; one seed makes every choice.
- `invariants`: what must hold after every hook, and once the faults have stopped.
- `bags`: databags, checked against the schemas of the wire; stories make use of it, too.
- `run`: one seed from its beginning to its end, for tests and for the command line.
"""
