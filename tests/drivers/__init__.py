"""The cloud of a real Juju, on a fake of the `juju` program."""
