"""Fair shares at their edges: who keeps its place, which runs are not counted, what a sweep forgets at once."""

import pytest

from coordinator.operations import Cancel, Reap
from tests.unit.operations.asking import Fleet
from tests.unit.operations.test_fair import (
    AGES,
    COMMON,
    DAY,
    FAIR,
    HALF_AN_HOUR,
    LANE,
    READY,
    SUMMER,
    Lane,
    lane,
    now,
    put,
    queue,
    score,
)

OTHER = "codex codex repo:core/web org:core"


@pytest.mark.parametrize(("band", "first"), [(COMMON, "b"), (COMMON + 4, "a")])
async def test_what_has_moved_up_keeps_its_turn_however_long_its_runs_take(fleet: Fleet, band: int, first: str) -> None:
    await fleet.host()
    await queue(fleet, "a")
    await queue(fleet, "b", repo="web")
    began = await now(fleet) - HALF_AN_HOUR - 9_000_000  # so one run has used 9,000,000 more than it was charged
    aged = band if band > COMMON else None
    await put(fleet, Lane(1, runs=1, starts=began - SUMMER, charged=HALF_AN_HOUR, aged=aged))
    await put(fleet, Lane(2), OTHER)
    await fleet.redis.zadd(READY, {LANE: score(1, band), OTHER: score(2)})
    assert await fleet.granted(count=1) == [first]


async def test_a_lane_without_a_run_under_way_starts_from_where_it_stands(fleet: Fleet) -> None:
    await fleet.host()
    await queue(fleet, "a")
    await queue(fleet, "b", repo="web")
    await put(fleet, Lane(3_000_000))
    await fleet.redis.zadd(READY, {LANE: score(1), OTHER: score(2)})
    assert await fleet.granted(count=1) == ["a"]


async def test_the_run_of_an_asker_uses_nothing_of_its_lane(fleet: Fleet) -> None:
    """It did not wait in line, so nothing was charged that its end could correct."""
    await queue(fleet, "a")
    await fleet.store.run(Cancel(workspace="a"))
    before = await fleet.redis.hgetall(FAIR)
    assert LANE in before
    grant = await fleet.ask_for("b", repo="io", org="core")
    assert (await fleet.end(grant)).outcome == "completed"
    assert await fleet.redis.hgetall(FAIR) == before


@pytest.mark.parametrize("field", ["charged", "started_at", "lane"])
async def test_a_run_whose_record_lacks_what_it_was_charged_by_ends_and_corrects_nothing(
    fleet: Fleet, field: str
) -> None:
    await fleet.host()
    await queue(fleet, "a")
    (grant,) = (await fleet.claim()).grants
    before = await lane(fleet)
    await fleet.redis.hdel("{t}:workspace:a", field)
    assert (await fleet.end(grant)).outcome == "completed"
    assert await lane(fleet) == before


async def test_an_ageing_of_a_millisecond_is_one(fleet: Fleet) -> None:
    await fleet.redis.hset("{t}:control", "ageing", 1)
    await queue(fleet, "a")
    queued = (await fleet.record("a")).queued_at or 0
    assert await lane(fleet) == Lane(since=queued, ages=queued + 1)
    await put(fleet, Lane(since=await now(fleet) - 100, ages=1))
    await fleet.redis.zadd(AGES, {LANE: 1})
    await fleet.store.run(Reap())
    assert (await lane(fleet)).aged == 18


async def test_a_sweep_forgets_eight_lanes_of_a_route(fleet: Fleet) -> None:
    await queue(fleet, "a")
    await fleet.redis.delete(FAIR)
    long_ago = await now(fleet) - 366 * DAY
    for number in range(9):
        await put(fleet, Lane(since=long_ago), f"codex codex repo:r{number}")
    await fleet.store.run(Reap())
    assert await fleet.redis.hlen(FAIR) == 1
    await fleet.store.run(Reap())
    assert await fleet.redis.hlen(FAIR) == 0


async def test_sooner_or_later_a_sweep_comes_to_every_route(fleet: Fleet) -> None:
    keys = {pool: f"{{t}}:fair:{pool}" for pool in ("codex", "gemini")}
    long_ago = await now(fleet) - 366 * DAY
    for pool, key in keys.items():
        await fleet.queue(f"of-{pool}", agent=pool)
        await fleet.redis.hset(key, f"{pool} {pool} repo:old", " ".join(map(str, Lane(since=long_ago)[:-1])))
    for _ in range(100):  # which one is left to chance
        await fleet.store.run(Reap())
        left = {pool for pool, key in keys.items() if await fleet.redis.hexists(key, f"{pool} {pool} repo:old")}
        if not left:
            break
    assert left == set()
