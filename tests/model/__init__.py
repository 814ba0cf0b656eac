"""Tests with the in-memory model of Juju and the fake microcluster."""
