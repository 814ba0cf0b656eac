"""The library with the oldest ops that it is for, whose tests had another library."""
