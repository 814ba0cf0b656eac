"""A demonstration: one cluster forms, grows and loses machines, through the real charm code."""
