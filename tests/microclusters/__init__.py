"""Microclusters to test against: an in-memory fake, and clusters of real daemons."""
