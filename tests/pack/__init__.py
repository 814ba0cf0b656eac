"""Tests of the charm as it is packed, on its own and without the project around it."""
