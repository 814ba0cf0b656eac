"""What went wrong once heals without anybody's help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import protocol
from tests.scenarios import telling

if TYPE_CHECKING:
    from tests.clouds.protocol import Cloud

CONSUMER = protocol.CONSUMER


@telling.story(protocol.Trait.FAULTS)
def a_unit_sleeps_through_its_tokens_life(cloud: Cloud) -> None:
    """It tries the token, says that it failed, and is given another."""
    telling.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    telling.fall_asleep_once_named(cloud, newcomer)
    cloud.eventually("a token", lambda: telling.offers_token(cloud, newcomer))
    telling.faults(cloud).expire_tokens()
    cloud.start_machine(newcomer)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_join_fails_at_first(cloud: Cloud) -> None:
    """The token is still good, and is tried again."""
    telling.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    telling.faults(cloud).hang("join", unit=newcomer, times=2)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_join_fails_and_its_token_is_used_up(cloud: Cloud) -> None:
    """Another token is issued for it."""
    telling.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    powers = telling.faults(cloud)
    powers.hang("join", unit=newcomer)
    powers.upon(powers.expire_tokens, unit=newcomer, command="join")
    powers.upon(powers.expire_tokens, unit=newcomer, wrote="failed")
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_join_seems_to_fail_and_did_not(cloud: Cloud) -> None:
    """The unit asks its workload, and finds that it is a member."""
    telling.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    telling.faults(cloud).hang("join", unit=newcomer, in_effect=True)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_hook_dies_after_it_joined(cloud: Cloud) -> None:
    """Nothing of what the hook wrote is there; the next one says it all."""
    telling.form(cloud, 2)
    newcomer = cloud.add_unit(CONSUMER)
    telling.faults(cloud).kill_agent(unit=newcomer, after="join")
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_hook_dies_after_it_issued_a_token(cloud: Cloud) -> None:
    """The cluster issues no second token for hours: the first one must not be lost."""
    telling.form(cloud, 2)
    telling.faults(cloud).kill_agent(unit=CONSUMER, after="add", times=2)
    for _ in range(2):
        cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_hook_dies_before_it_sees_the_token_it_issued(cloud: Cloud) -> None:
    """The command has printed the token, and nobody but the disk has taken it."""
    telling.form(cloud, 2)
    telling.faults(cloud).kill_agent(unit=CONSUMER, after="add", at_once=True)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_machine_dies_for_good_after_it_issued_a_token(cloud: Cloud) -> None:
    """The token is lost with the machine; the newcomer waits until its life ends, no longer."""
    telling.form(cloud, 3)
    issuer = telling.communicator(cloud)
    powers = telling.faults(cloud)
    powers.upon(lambda: cloud.kill_machine(issuer), unit=issuer, command="add")
    newcomer = cloud.add_unit(CONSUMER)
    telling.expect_waiting(cloud, newcomer, issuer)
    cloud.remove_unit(issuer, force=True)
    cloud.wait(2)
    powers.expire_tokens()
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def issuing_a_token_fails_at_first(cloud: Cloud) -> None:
    """It is tried again; one time the token was issued, and nobody saw it."""
    telling.form(cloud, 2)
    telling.faults(cloud).hang("add", unit=CONSUMER, times=2)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_bootstrap_fails_at_first(cloud: Cloud) -> None:
    """It is tried again by the same unit."""
    telling.deploy(cloud)
    telling.faults(cloud).hang("bootstrap", unit=CONSUMER)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def the_bootstrap_seems_to_fail_and_did_not(cloud: Cloud) -> None:
    """The unit asks its workload, and nobody bootstraps a second cluster."""
    telling.deploy(cloud)
    telling.faults(cloud).hang("bootstrap", unit=CONSUMER, in_effect=True)
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS)
def a_hook_dies_after_it_bootstrapped(cloud: Cloud) -> None:
    """The cluster is there, and the hook is tried again."""
    telling.deploy(cloud)
    telling.faults(cloud).kill_agent(unit=CONSUMER, after="bootstrap")
    telling.expect_whole(cloud)


@telling.story(protocol.Trait.FAULTS, protocol.Trait.STAYS_PENDING)
def a_member_that_is_pending_for_good_hangs_nothing(cloud: Cloud) -> None:
    """It is a member like the others, but is never given a role."""
    telling.form(cloud, 2)
    telling.faults(cloud).keep_pending(cloud.add_unit(CONSUMER))
    telling.expect_whole(cloud)
    cloud.add_unit(CONSUMER)
    telling.expect_whole(cloud)
    cloud.remove_unit(telling.communicator(cloud))
    telling.expect_whole(cloud)
