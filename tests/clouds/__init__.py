"""Clouds: what a story about charms is told against, whatever is behind it."""
