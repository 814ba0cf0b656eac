"""What the tests on the model share."""
