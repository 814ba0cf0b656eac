"""The cloud of a real Juju, on a specification of Jubilant's client."""
