"""Clouds: a Juju with machines that run a microcluster, real or not."""
