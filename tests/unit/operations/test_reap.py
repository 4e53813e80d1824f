"""reap: what time has made due is done, whoever asks."""

import pytest

from coordinator.operations import Apply, BackOff, Freeze, Host, Kill, Reap
from coordinator.operations.apply import FleetSettings
from coordinator.operations.reap import Lost
from tests.unit.operations.asking import Fleet


@pytest.mark.reference(58, "W1", "W31")
async def test_a_workers_lost_run_is_queued_again_until_its_attempts_are_spent(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(Apply(settings=FleetSettings(max_attempts=2)))
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    await fleet.lapse("a")
    assert (await fleet.store.run(Reap())).lost == (Lost(workspace="a", host="h1", status="queued"),)
    assert (await fleet.store.run(Reap())).lost == ()
    assert (await fleet.end(grant)).outcome == "already"
    (again,) = (await fleet.claim()).grants
    assert (again.attempt, again.token > grant.token) == (2, True)
    assert (await fleet.end(grant)).outcome == "stale"
    await fleet.lapse("a")
    assert (await fleet.store.run(Reap())).lost == (Lost(workspace="a", host="h1", status="failed"),)
    record = await fleet.record("a")
    assert (record.status, record.verdict, record.question) == ("failed", "lost", "lost 2 times: h1 went silent")
    assert (await fleet.facts()).count("AgentLost") == 2


@pytest.mark.reference("W6", "W11")
async def test_an_askers_lost_run_has_no_proof_of_death(fleet: Fleet) -> None:
    grant = await fleet.ask_for("a")
    await fleet.lapse("a")
    assert (await fleet.store.run(Reap())).lost == (Lost(workspace="a", host="svc", status="blocked"),)
    question = (await fleet.record("a")).question
    assert question == "no proof of death: svc went silent; retry when the agent is certainly dead"
    assert await fleet.redis.exists("{t}:slots:*", "{t}:slots:codex") == 0
    assert (await fleet.end(grant)).outcome == "already"


@pytest.mark.reference(79, 80, "T95")
@pytest.mark.parametrize("confirmed", [False, True])
async def test_a_push_host_proves_death_only_by_never_having_begun(fleet: Fleet, confirmed: bool) -> None:
    await fleet.host("p1", mode="push")
    await fleet.queue("a")
    (grant,) = (await fleet.beat("p1")).unseen
    if confirmed:
        await fleet.beat("p1", grant)
    await fleet.lapse("a")
    (lost,) = (await fleet.store.run(Reap())).lost
    assert lost.status == ("blocked" if confirmed else "queued")


async def test_a_lost_run_that_was_to_be_ended_has_ended(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a")
    await fleet.claim()
    await fleet.store.run(Kill(workspace="a"))
    await fleet.lapse("a")
    assert (await fleet.store.run(Reap())).lost[0].status == "failed"
    assert (await fleet.record("a")).question == "killed; its host went silent"


async def test_a_live_lease_is_left_alone_and_its_time_is_told(fleet: Fleet) -> None:
    await fleet.ask_for("a", ttl=60_000)
    answer = await fleet.store.run(Reap())
    assert answer.lost == ()
    assert 50_000 < (answer.next_due or 0) <= 60_000
    await fleet.store.run(BackOff(key="codex", duration=20_000))
    assert (await fleet.store.run(Reap())).next_due in range(10_000, 20_001)


@pytest.mark.reference(72)
async def test_a_gate_whose_time_came_opens_and_wakes(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.store.run(BackOff(key="codex", duration=60_000))
    await fleet.store.run(Freeze(key="repo:io", until=4_102_444_800_000))
    await fleet.queue("a")
    await fleet.queue("b", repo="io")
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        assert (await fleet.store.run(Reap())).opened == ()
        await fleet.redis.hset("{t}:backoff", "codex", "1")
        await fleet.redis.zadd("{t}:timers", {"codex": 1})
        assert (await fleet.store.run(Reap())).opened == ("codex",)
        assert await pokes.next() == "h1"
        assert await fleet.granted() == ["a"]
    assert await fleet.redis.zrange("{t}:timers", 0, -1) == ["repo:io"]


async def test_a_poke_that_led_to_no_claim_goes_to_the_next(fleet: Fleet) -> None:
    await fleet.host("h1")
    await fleet.host("h2")
    async with fleet.listening("h1", "h2") as pokes:
        await fleet.claim("h1")
        await fleet.claim("h2")
        await fleet.queue("a")
        first = await pokes.next()
        await fleet.redis.zadd("{t}:poked", {first: 1})
        await fleet.store.run(Reap())
        second = await pokes.next()
        assert {first, second} == {"h1", "h2"}


async def test_work_is_done_in_parts(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.queue("a", "b", "c")
    await fleet.claim()
    await fleet.lapse("a", "b", "c")
    first = await fleet.store.run(Reap(limit=2))
    assert (len(first.lost), first.more) == (2, True)
    second = await fleet.store.run(Reap(limit=2))
    assert (len(second.lost), second.more) == (1, False)


async def test_one_renewal_in_time_and_the_run_goes_on(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    await fleet.lapse("a")
    assert (await fleet.beat("h1", grant)).lost == ()
    assert (await fleet.store.run(Reap())).lost == ()


async def test_a_machine_that_is_said_to_be_dead_is_proof(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a")
    await fleet.claim()
    await fleet.store.run(Host(host="h1", action="forget", dead=True))
    assert (await fleet.record("a")).status == "queued"
    assert (await fleet.store.run(Reap())).lost == ()
