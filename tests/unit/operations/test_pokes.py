"""Who is woken: one waiting host a route, the next when something is left, and never the wrong one."""

import pytest

from coordinator.operations.submit import Queued
from tests.unit.operations.asking import Fleet


async def test_a_lane_of_a_busy_host_strands_nothing_of_an_idle_one(fleet: Fleet) -> None:
    await fleet.host("busy", slots=1, labels=["gpu"])
    await fleet.host("idle", slots=1)
    await fleet.limit("team", 1)
    await fleet.queue("other", labels=["gpu"])
    assert await fleet.granted("busy") == ["other"]
    holder = await fleet.ask_for("holder", "gemini", keys=["team"])
    await fleet.queue("for-busy", labels=["gpu"], keys=["team"], priority=9)
    await fleet.queue("for-idle", keys=["team"])
    async with fleet.listening("busy", "idle") as pokes:
        assert await fleet.granted("idle") == []
        await fleet.end(holder)
        assert await pokes.next() == "idle"
        assert await fleet.granted("idle") == ["for-idle"]


@pytest.mark.reference(23, "T18")
async def test_a_host_that_found_nothing_waits_and_is_woken_for_all_it_can_do(fleet: Fleet) -> None:
    await fleet.host(slots=4)
    async with fleet.listening("h1") as pokes:
        assert await fleet.granted() == []
        answer = await fleet.submit("a")
        assert isinstance(answer, Queued)
        assert await pokes.next() == "h1"
        await fleet.queue("b", "c")
        assert await pokes.heard() == []
        assert await fleet.granted() == ["a", "b", "c"]


async def test_a_host_that_was_woken_waits_no_more_also_when_what_it_serves_was_changed_by_hand(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("first")
    assert [await fleet.granted(), await fleet.granted()] == [["first"], []]
    await fleet.redis.delete(fleet.store.key("serves", "h1"))
    await fleet.redis.sadd(fleet.store.key("serves", "h1"), "claude")
    await fleet.queue("a")
    assert await fleet.redis.zscore(fleet.store.key("waiting", "codex"), "h1") is None


async def test_work_that_is_left_wakes_the_next_host(fleet: Fleet) -> None:
    for host in ("h1", "h2"):
        await fleet.host(host, slots=1)
    async with fleet.listening("h1", "h2") as pokes:
        await fleet.claim("h1")
        await fleet.claim("h2")
        await fleet.limit("codex", 0)
        await fleet.queue("a", "b")
        assert await pokes.heard() == []
        await fleet.limit("codex", 2)
        first = await pokes.next()
        assert await fleet.granted(first) == ["a"]
        second = await pokes.next()
        assert {first, second} == {"h1", "h2"}
        assert await fleet.granted(second) == ["b"]


async def test_a_host_that_came_when_it_was_poked_owes_nothing(fleet: Fleet) -> None:
    await fleet.host()
    async with fleet.listening("h1") as pokes:
        await fleet.claim()
        await fleet.queue("a")
        assert await pokes.next() == "h1"
        assert await fleet.redis.zrange("{t}:poked", 0, -1) == ["h1"]
        assert await fleet.granted() == ["a"]
        assert await fleet.redis.exists("{t}:poked") == 0
