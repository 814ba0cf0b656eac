"""The documentation is true: examples run, links resolve, statuses are those of the source."""
