"""Tests of the charm and its library, in the worlds that they run in."""
