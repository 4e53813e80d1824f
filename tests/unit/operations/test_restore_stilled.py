"""restore of a run whose agent stands still: others may have been given its slots by a memory that is lost."""

from typing import Any

import pytest

from coordinator.models import Grant
from coordinator.operations import Apply, GetStatus, Limit, Reap, Thaw
from coordinator.operations._operation import Operation
from coordinator.operations.apply import FleetSettings
from coordinator.operations.restore import Restored
from tests.unit.operations.asking import Fleet
from tests.unit.operations.test_restore import TTL, beat, emptied, facts, known, restore, running, told


async def forgotten_and_full(fleet: Fleet) -> tuple[Grant, Grant]:
    """A run that the server has forgotten, and one that has started in its place since."""
    (old,) = await running(fleet, "a", repo="r")
    await emptied(fleet)
    await fleet.limit("codex", 1)
    await fleet.host("h2", machine="m2")
    await fleet.queue("b")
    (new,) = (await fleet.claim("h2")).grants
    await known(fleet)
    return old, new


async def test_a_stilled_run_that_others_have_replaced_is_queued_again_and_not_the_hosts(fleet: Fleet) -> None:
    old, new = await forgotten_and_full(fleet)
    for count in (1, 0):
        assert await restore(fleet, told(old, stilled=True)) == Restored(count=count, lost=("a",), ttl=TTL)
        assert (await fleet.record("a")).status == "queued"
        assert await fleet.redis.smembers("{t}:slots:codex") == {"b"}
    assert [(fact["workspace"], fact["host"]) for fact in await facts(fleet, "AgentLost")] == [("a", "h1")]
    await fleet.end(new)
    assert await fleet.granted("h2") == ["a"]
    assert (await fleet.record("a")).attempt == 2


async def test_a_run_that_goes_on_is_a_fact_also_where_others_have_its_slots(fleet: Fleet) -> None:
    old, _ = await forgotten_and_full(fleet)
    assert await restore(fleet, told(old)) == Restored(count=1, ttl=TTL)
    assert await fleet.redis.smembers("{t}:slots:codex") == {"a", "b"}


async def test_a_stilled_run_goes_on_where_there_is_room_for_it(fleet: Fleet) -> None:
    old, _ = await forgotten_and_full(fleet)
    await fleet.limit("codex", 2)
    assert await restore(fleet, told(old, stilled=True)) == Restored(count=1, ttl=TTL)
    assert (await fleet.record("a")).status == "running"


async def unsettled(fleet: Fleet) -> tuple[Grant, Grant]:
    """As before, but the server has restarted: h2 has to tell first."""
    old, new = await forgotten_and_full(fleet)
    await fleet.redis.function_flush()
    await beat(fleet)
    return old, new


@pytest.mark.parametrize("forgotten", [True, False])
async def test_a_stilled_run_is_judged_when_all_have_told(fleet: Fleet, forgotten: bool) -> None:
    """Also one that the server knows: it may have forgotten that it gave its slots to others."""
    old, new = await unsettled(fleet)
    if not forgotten:
        await restore(fleet, told(old))
    assert await restore(fleet, told(old, stilled=True)) == Restored(count=int(forgotten), ttl=TTL)
    assert (await beat(fleet, old)).lost == ()
    epoch = (await fleet.beat("h2", new)).epoch
    assert epoch
    for _ in range(2):
        answer = await beat(fleet, old, epoch=epoch)
        assert (answer.lost, answer.unseen) == (("a",), ())
        assert (await fleet.record("a")).status == "queued"
    assert [(fact["workspace"], fact["host"]) for fact in await facts(fleet, "AgentLost")] == [("a", "h1")]
    assert await fleet.redis.smembers("{t}:slots:codex") == {"b"}


async def test_a_stilled_run_is_judged_after_those_that_are_told_with_it(fleet: Fleet) -> None:
    first, second = await running(fleet, "a", "b")
    await emptied(fleet)
    await fleet.limit("codex", 1)
    await known(fleet)
    for count in (2, 0):
        assert await restore(fleet, told(first, stilled=True), told(second)) == Restored(
            count=count, lost=("a",), ttl=TTL
        )


async def test_a_stilled_run_that_has_room_when_all_have_told_is_not_judged_again(fleet: Fleet) -> None:
    old, new = await unsettled(fleet)
    await fleet.limit("codex", 2)
    await restore(fleet, told(old, stilled=True))
    epoch = (await fleet.beat("h2", new)).epoch
    assert epoch
    assert (await beat(fleet, old, epoch=epoch)).lost == ()
    await fleet.limit("codex", 1)  # that stops grants, and nobody who runs
    assert (await beat(fleet, old, epoch=epoch)).lost == ()
    assert (await fleet.record("a")).status == "running"


async def test_a_stilled_run_that_can_not_be_queued_again_does_not_go_on_either(fleet: Fleet) -> None:
    old, new = await unsettled(fleet)
    await restore(fleet, told(old, stilled=True))
    epoch = (await fleet.beat("h2", new)).epoch
    assert epoch
    await fleet.redis.set("{t}:status:blocked", "by hand")
    answer = await beat(fleet, old, epoch=epoch)
    assert (answer.lost, answer.unseen) == (("a",), ())
    assert await fleet.redis.hget("{t}:workspace:a", "status") == "running"  # until its lease is over


async def test_a_stilled_run_that_was_started_as_often_as_may_be_has_failed(fleet: Fleet) -> None:
    old, _ = await forgotten_and_full(fleet)
    assert (await restore(fleet, told(old, stilled=True) | {"attempt": 3})).lost == ("a",)
    record = await fleet.record("a")
    assert (record.status, record.verdict) == ("failed", "lost")


async def forgotten_by_all(fleet: Fleet) -> tuple[Grant, Grant]:
    """The server came back empty, and no replica remembers; then h1, whose agent stands still, tells of its run.

    There would be room for one, and h2 has not yet told of its own, which is newer.
    """
    old, new = await running(fleet, "a", "b")
    await emptied(fleet, thawed=False)
    await beat(fleet, old)
    assert await restore(fleet, told(old, stilled=True)) == Restored(count=1, ttl=TTL)
    return old, new


async def settling(fleet: Fleet) -> int:
    """For how many ms from now."""
    status = await fleet.store.run(GetStatus())
    return max((status.settling or 0) - status.now, 0)


async def lapse_settling(fleet: Fleet) -> None:
    """As if the time for which it settles were over."""
    await fleet.redis.hset("{t}:control", mapping={"settling": 1, "due": 1})
    await fleet.redis.zadd("{t}:timers", {"*": 1})
    await fleet.store.run(Reap())


async def test_an_empty_server_waits_for_hosts_that_nobody_named_as_long_as_a_lease_lasts(fleet: Fleet) -> None:
    old, new = await forgotten_by_all(fleet)
    assert 0 < await settling(fleet) <= TTL
    epoch = (await beat(fleet, old)).epoch or 0
    await beat(fleet, old, epoch=epoch)
    assert await settling(fleet) > 0, "the only host that it knows has told"
    await fleet.store.run(Apply(limits={"codex": 1}, if_new=True, thaw=True))
    assert (await beat(fleet, old, epoch=epoch)).lost == ()
    await beat(fleet, new, host="h2")
    await restore(fleet, told(new), host="h2")
    await lapse_settling(fleet)
    answer = await beat(fleet, old, epoch=epoch)
    assert (answer.lost, answer.unseen) == (("a",), ())
    assert await fleet.redis.smembers("{t}:slots:codex") == {"b"}


async def test_a_replica_that_remembers_the_hosts_names_whom_an_empty_server_waits_for(fleet: Fleet) -> None:
    old, new = await forgotten_by_all(fleet)
    await fleet.store.run(Apply(limits={"codex": 1}, if_new=True, hosts=["h1", "h2"]))
    epoch = (await beat(fleet, old)).epoch or 0
    await beat(fleet, old, epoch=epoch)
    await beat(fleet, new, host="h2")
    await restore(fleet, told(new), host="h2")
    assert await settling(fleet) > 0
    await beat(fleet, new, host="h2", epoch=epoch)
    assert await settling(fleet) == 0
    assert (await beat(fleet, old, epoch=epoch)).lost == ("a",)


async def test_an_empty_server_waits_no_longer_than_leases_last_as_soon_as_somebody_says_how_long(
    fleet: Fleet,
) -> None:
    await forgotten_by_all(fleet)
    await fleet.store.run(Apply(settings=FleetSettings(lease_ttl=60_000), if_new=True))
    assert 0 < await settling(fleet) <= 60_000
    await fleet.store.run(Apply(settings=FleetSettings(lease_ttl=2 * TTL)))
    assert await settling(fleet) > TTL


async def test_nobody_who_stands_still_is_judged_before_there_is_a_configuration(fleet: Fleet) -> None:
    old, new = await forgotten_by_all(fleet)
    await beat(fleet, new, host="h2")
    await restore(fleet, told(new), host="h2")
    await lapse_settling(fleet)
    for _ in range(2):
        assert (await beat(fleet, old)).lost == ()
    await fleet.store.run(Apply(limits={"codex": 1}, if_new=True))
    assert (await beat(fleet, old)).lost == ("a",)


async def test_an_empty_server_to_which_nobody_tells_of_a_run_waits_for_nobody(fleet: Fleet) -> None:
    await emptied(fleet, thawed=False)
    await beat(fleet)
    await restore(fleet)
    assert await settling(fleet) == 0


async def test_who_tells_a_second_time_makes_nobody_wait_anew(fleet: Fleet) -> None:
    old, _ = await forgotten_by_all(fleet)
    await lapse_settling(fleet)
    assert await restore(fleet, told(old, stilled=True)) == Restored(count=0, ttl=TTL)
    assert await settling(fleet) == 0


async def test_one_that_restarts_while_it_waits_still_waits_for_those_whom_nobody_named(fleet: Fleet) -> None:
    old, _ = await forgotten_by_all(fleet)
    await fleet.redis.function_flush()
    epoch = (await beat(fleet, old)).epoch or 0
    await beat(fleet, old, epoch=epoch)
    assert await settling(fleet) > 0


@pytest.mark.parametrize("registered", [False, True])
async def test_a_restart_before_the_first_host_tells_makes_no_empty_server_a_known_one(
    fleet: Fleet, registered: bool
) -> None:
    """A replica that remembers nothing has configured it meanwhile."""
    (old,) = await running(fleet, "a")
    await emptied(fleet, thawed=False)
    await fleet.store.run(Apply(limits={"codex": 1}, if_new=True, thaw=True))
    if registered:
        await beat(fleet, old)
    await fleet.redis.function_flush()
    await beat(fleet, old)
    await restore(fleet, told(old, stilled=True))
    status = await fleet.store.run(GetStatus())
    assert (status.frozen, await settling(fleet) > 0) == (True, True)
    assert (await beat(fleet, old)).still


@pytest.mark.parametrize("says", [Thaw(), Limit(key="claude", limit=3), Apply(limits={"codex": 1})])
async def test_what_an_operator_says_to_an_empty_server_names_no_hosts(fleet: Fleet, says: Operation[Any]) -> None:
    (old,) = await running(fleet, "a")
    await emptied(fleet, thawed=False)
    await fleet.store.run(Apply(if_new=True, thaw=True))
    await fleet.store.run(says)
    await beat(fleet, old)
    await restore(fleet, told(old, stilled=True))
    assert not (await fleet.store.run(GetStatus())).frozen, "somebody has had a say in it"
    assert await settling(fleet) > 0
    assert (await beat(fleet, old)).still


async def test_a_host_that_is_known_and_tells_of_what_was_forgotten_makes_nobody_wait(fleet: Fleet) -> None:
    """Somebody removed the record of a run by hand, or the last second of a server is lost."""
    (grant,) = await running(fleet, "a")
    await known(fleet)
    await fleet.redis.delete("{t}:workspace:a")
    assert (await beat(fleet, grant)).unknown == ("a",)
    assert (await restore(fleet, told(grant))).count == 1
    assert (await settling(fleet), (await beat(fleet, grant)).still) == (0, False)


async def test_what_stands_still_goes_on_in_a_fleet_that_was_thawed_and_never_configured(fleet: Fleet) -> None:
    (grant,) = await running(fleet, "a")
    assert not (await beat(fleet, grant)).still
    await fleet.redis.function_flush()
    epoch = (await beat(fleet, grant)).epoch or 0
    await restore(fleet, told(grant, stilled=True))
    answer = await beat(fleet, grant, epoch=epoch)
    assert (answer.lost, answer.still) == ((), False)


async def test_a_damaged_key_keeps_what_stands_still_there_and_no_beat(fleet: Fleet) -> None:
    first, second = await running(fleet, "a", "b")
    await fleet.limit("codex", 5)
    await known(fleet)
    await fleet.redis.function_flush()
    epoch = (await beat(fleet, first, second)).epoch or 0
    await restore(fleet, told(first, stilled=True))
    await fleet.redis.set("{t}:slots:codex", "by hand")
    await fleet.lapse("b")
    answer = await beat(fleet, first, second, epoch=epoch)
    assert (answer.lost, answer.still) == ((), True)
    assert int(await fleet.redis.zscore("{t}:leases", "b") or 0) > 1, "b was renewed"
    await fleet.redis.delete("{t}:slots:codex")
    assert not (await beat(fleet, first, second, epoch=epoch)).still
