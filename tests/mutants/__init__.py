"""The project with one rule broken, as small patches, each with what notices it.

- `patches`: a file for each rule. Its head states the rule and names the scenario or the schedule
  that notices; the rest is a unified diff.
- `apply`: reads a patch, and makes a copy of the project's code with the rule broken.
- `scenarios`: for one rule each, which nothing else would notice.
- `trial`: runs scenarios and schedules on such a copy, in a process of its own.
- `__main__`: finds what notices a patch, and writes it into its head.
"""
