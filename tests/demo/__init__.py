"""Tests of the demonstration: what it shows, what it leaves behind, and that it can fail."""
