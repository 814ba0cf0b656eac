"""Tests against real LXD daemons."""
