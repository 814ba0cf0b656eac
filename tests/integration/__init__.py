"""The charm on Juju, beside MicroOVN; see README.md."""
