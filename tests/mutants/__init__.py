"""The library with one rule broken, as small patches, each with what notices it.

- `patches`: a file for each rule. Its head states the rule and names the schedule of faults, or
  the story, that catches whoever breaks it; the rest is an ordinary unified diff.
- `apply`: reads a patch, and makes a library with the rule broken.
- `stories`: told for the sake of one rule each, which nothing else would miss.
- `trial`: puts such a library to the test, in a process of its own.
- `__main__`: finds what catches a patch, and writes it into its head.
"""
