"""The project with one rule broken, as small patches, each with the test that notices it.

`patches` has a file for each rule. Its head states the rule and names a test, which may be a
scenario; the rest is a unified diff. `apply` makes a copy of the project with the rule broken, and
runs the test there.
"""
