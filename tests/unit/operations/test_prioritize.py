"""prioritize: one that waits goes before others, or after them."""

import json

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import Limit, Prioritize
from coordinator.operations.prioritize import Prioritized
from coordinator.operations.submit import AlreadyKnown
from tests.unit.operations.asking import Fleet


async def give(fleet: Fleet, name: str, priority: int) -> Prioritized:
    answer = await fleet.store.run(Prioritize(workspace=name, priority=priority, by="ana"))
    assert isinstance(answer, Prioritized), answer
    return answer


async def test_it_goes_before_others_and_by_when_it_was_asked_for(fleet: Fleet) -> None:
    await fleet.queue("a", "b", "c")
    await fleet.queue("urgent", priority=9)
    assert await give(fleet, "c", 9) == Prioritized(was=5, now=9, place=1)
    assert await give(fleet, "a", 9) == Prioritized(was=5, now=9, place=1)
    assert await give(fleet, "urgent", 0) == Prioritized(was=9, now=0, place=1)
    await fleet.host(slots=4)
    assert await fleet.granted() == ["a", "c", "b", "urgent"]
    assert (await fleet.record("c")).priority == 9


async def test_a_lane_goes_by_its_new_head(fleet: Fleet) -> None:
    """Also one that is put aside under the key that refused it: it is the first when that admits."""
    await fleet.store.run(Limit(key="codex", limit=0))
    await fleet.queue("a", repo="r1")
    await fleet.queue("b", repo="r2")
    await give(fleet, "b", 6)
    await fleet.host(slots=1)
    await fleet.store.run(Limit(key="codex", limit=5))
    assert await fleet.granted() == ["b"]


async def test_it_is_told_once(fleet: Fleet) -> None:
    await fleet.queue("a")
    await give(fleet, "a", 9)
    assert await give(fleet, "a", 9) == Prioritized(was=9, now=9, place=1)
    told = [json.loads(entry.json) for entry in await fleet.store.last_events(100) if entry.type == "Prioritized"]
    assert told == [{"type": "Prioritized", "workspace": "a", "was": 5, "now": 9, "by": "ana"}]


async def test_one_that_waits_for_its_time_has_it_then(fleet: Fleet) -> None:
    await fleet.queue("a")
    await fleet.queue("b", not_before=4_102_444_800_000)
    assert await give(fleet, "b", 9) == Prioritized(was=5, now=9, place=0)
    assert await fleet.redis.zrange(fleet.store.key("lane", "codex codex"), 0, -1) == ["a"]
    await fleet.redis.hset(fleet.store.key("workspace", "b"), "not_before", "1")
    await fleet.redis.zadd(fleet.store.key("later"), {"b": 1})
    await fleet.redis.hset(fleet.store.key("control"), "due", "1")
    await fleet.host()
    assert await fleet.granted() == ["b", "a"]


async def test_one_with_a_deadline_stands_in_its_new_lane(fleet: Fleet) -> None:
    """It has a time too, but one that it does not wait for."""
    await fleet.queue("a")
    await fleet.queue("b", deadline=4_102_444_800_000)
    assert await give(fleet, "b", 9) == Prioritized(was=5, now=9, place=1)
    await fleet.host()
    assert await fleet.granted() == ["b", "a"]


async def test_one_that_does_not_wait_is_left_alone(fleet: Fleet) -> None:
    await fleet.ask_for("a")
    running = await fleet.store.run(Prioritize(workspace="a", priority=9))
    assert running == AlreadyKnown(status="running")
    assert (await fleet.record("a")).priority == 5
    assert (await fleet.store.run(Prioritize(workspace="nobody", priority=9))).outcome == "unknown"
    with pytest.raises(InvalidQuestion, match="priority"):
        await fleet.store.run(Prioritize.model_construct(workspace="a", priority=10))


async def test_a_place_that_was_deleted_by_hand_is_a_new_one(fleet: Fleet) -> None:
    await fleet.queue("a")
    await fleet.queue("b", priority=6)
    await fleet.redis.hdel(fleet.store.key("workspace", "a"), "place", "priority")
    assert await give(fleet, "a", 6) == Prioritized(was=5, now=6, place=2)


async def test_asked_again_it_wakes_no_other_host(fleet: Fleet) -> None:
    for host in ("h1", "h2", "h3"):
        await fleet.host(host)
        await fleet.granted(host)
    async with fleet.listening("h1", "h2", "h3"):
        await fleet.queue("a")
        await give(fleet, "a", 9)
        assert await fleet.redis.zrange("{t}:poked", 0, -1) == ["h1", "h2"]
        await give(fleet, "a", 9)
        assert await fleet.redis.zrange("{t}:poked", 0, -1) == ["h1", "h2"]
