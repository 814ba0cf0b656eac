"""The library with the oldest ops that it is for, whose tests had another library."""

import ops.testing
import scenario

# What `ops.testing` has today was in a package of its own then.
if not hasattr(ops.testing, "Relation"):
    setattr(ops.testing, "Relation", scenario.Relation)  # noqa: B010 (it is not known there)
