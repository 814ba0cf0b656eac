"""Tests of the pure rules, the wire and each event alone, with a strict fake of all commands."""
