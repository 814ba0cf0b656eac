"""Tests of what runs in GitHub Actions, as far as no linter knows it."""
