"""Charms to test with: a cluster of LXD daemons, and peers that speak only the earlier wire."""
