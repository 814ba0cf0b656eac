"""What drives a real Juju, against specifications and a stand-in for the `juju` program."""
