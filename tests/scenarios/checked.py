"""The model of Juju with a fake microcluster, and with checks after each hook."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests import juju_model
from tests.clouds import local
from tests.simulation import bags

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.microclusters import fake


class CheckedCloud(local.LocalCloud):
    """A cloud on which databags have their schemas, and tokens are nowhere but in them.

    Both are checked after each hook, and what was wrong is reported at the end.
    """

    def __init__(self, juju: juju_model.Juju, microcluster: fake.FakeMicrocluster):
        super().__init__(juju, microcluster)
        self._complaints: list[str] = []
        juju.on_hook.append(self._after_hook)

    def check(self) -> None:
        """Expect that all faults have struck, and that no hook has left anything wrong behind."""
        super().check()
        assert not self._complaints, self._complaints[0]

    def _after_hook(self, hook: juju_model.Hook) -> None:
        found = [
            *bags.complaints(self.juju, hook),
            *(
                f"{what} shows a token"
                for what, text in self._texts(hook)
                if self.fake.shows_token(text)
            ),
        ]
        self._complaints += [f"{complaint}: {hook}" for complaint in found]

    def _texts(self, hook: juju_model.Hook) -> Iterator[tuple[str, str]]:
        """Yield all that a hook leaves behind for people to read, or on a disk."""
        yield from (("a log line", message) for _, message in hook.logs)
        yield "an exception", hook.error
        yield from ((w.key, w.new or "") for w in hook.writes if not w.key.startswith("mirror-"))
        if hook.unit in self.juju.units(hook.unit.split("/")[0]):
            unit = self.juju.unit(hook.unit)
            yield "a status", unit.status.message
            yield from (("StoredState", repr(state.content)) for state in unit.stored_states)
            yield from (("a deferred event", repr(event)) for event in unit.deferred)


@contextlib.contextmanager
def model(seed: int, version: str, microcluster: str) -> Generator[local.LocalCloud]:
    """Make an empty cloud.

    Args:
        seed: makes every choice.
        version: of Juju.
        microcluster: its version.
    """
    # With two seeds of three, other machines run their hooks while one waits for a command.
    interleave = 0.3 if seed % 3 else 0.0
    with juju_model.Juju(seed, version=version, interleave=interleave) as juju:
        yield CheckedCloud(juju, local.fake_microcluster(juju, seed, microcluster))
