"""A demonstration: one cluster forms, grows, loses machines and stays whole, before your eyes."""
