"""An in-memory model of Juju, in which every hook is one `ops.testing` run of a real charm.

The model is a *resolver*, not a queue: for each unit it compares what the unit has seen with what
the model holds, and offers the hooks that may run next. One seed makes every choice.

`juju.Juju` is what its users see; its bases `world.World` and `relating.Relations` have operations
and faults. `resolver` has the rules of Juju's uniter, `bridge` the way to `ops.testing`. Machines
are `tests.microclusters.protocol.Machine`s; the programs of one with a true attribute `real_time`
go on while a hook sleeps, which sleeps really then.
"""

from __future__ import annotations

from tests.juju_model.charms import Charm as Charm
from tests.juju_model.hooks import AgentKilled as AgentKilled
from tests.juju_model.hooks import Hook as Hook
from tests.juju_model.hooks import HookContext as HookContext
from tests.juju_model.hooks import HookFailed as HookFailed
from tests.juju_model.hooks import HookFault as HookFault
from tests.juju_model.hooks import NotSettled as NotSettled
from tests.juju_model.hooks import Outcome as Outcome
from tests.juju_model.hooks import Point as Point
from tests.juju_model.hooks import Write as Write
from tests.juju_model.juju import Juju as Juju
from tests.microclusters.protocol import Machine as Machine
