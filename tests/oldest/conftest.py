"""What `ops.testing` has today was in a package of its own then."""

import ops.testing
import scenario

if not hasattr(ops.testing, "Relation"):
    setattr(ops.testing, "Relation", scenario.Relation)  # noqa: B010 (it is not known there)
