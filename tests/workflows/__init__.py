"""Tests of what runs in GitHub Actions."""
