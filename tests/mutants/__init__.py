"""The project with one rule broken, as small patches, each with the test that notices it."""
