"""The stories that matter most, on a real Juju; one a module, each with a model of its own."""
