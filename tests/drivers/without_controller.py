"""A plugin for pytest: pytest-operator meets specifications where it would meet a controller."""

from __future__ import annotations

from unittest import mock

from juju import controller as juju_controller
from juju import model as juju_model
from pytest_operator import plugin


def pytest_configure() -> None:
    """Put a specification in the controller's place; the model it makes is one, too."""
    model = mock.create_autospec(juju_model.Model, instance=True)
    model.applications = {}
    model.machines = {}
    model.units = {}
    model.info = mock.Mock()
    model.info.name = "made-by-libjuju"
    model.get_config.return_value = {}
    controller = mock.create_autospec(juju_controller.Controller, instance=True)
    controller.controller_name = "c"
    controller.list_models.return_value = []
    controller.get_cloud.return_value = "localhost"
    controller.add_model.return_value = model
    controller.destroy_model.side_effect = _say_destroyed
    # The plugin imports both by name, and does not export them.
    setattr(plugin, "Controller", lambda: controller)  # noqa: B010
    setattr(plugin, "Model", lambda: model)  # noqa: B010


async def _say_destroyed(name: str, **_: object) -> None:
    print(f"destroyed by libjuju: {name}")
