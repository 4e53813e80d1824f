"""What time makes due meets what somebody damaged by hand: all else goes on, and that is looked at again later."""

import pytest

from coordinator import operations as ops
from tests.model.world import ROOT, START, World
from tests.ramping import Pool


@pytest.fixture
def pool(world: World) -> Pool:
    return Pool(world)


@pytest.mark.parametrize("damage", ["deleted", "of another type", "a field"])
@pytest.mark.parametrize("verb", ["reap", "claim"])
def test_a_lane_moves_up_also_when_what_it_has_used_was_deleted(pool: Pool, verb: str, damage: str) -> None:
    redis = pool.world.redis
    pool.world.ask(ops.Limit(key="gemini", limit=0))
    pool.queue("g", agent="gemini")
    pool.queue("c")
    if damage == "a field":
        redis.hset(f"{ROOT}:fair:gemini", "gemini gemini", "x")
    else:
        redis.delete(f"{ROOT}:fair:gemini")
    if damage == "of another type":
        redis.set(f"{ROOT}:fair:gemini", "x")
    pool.at(START + 3_600_000)
    if verb == "reap":
        pool.world.ask(ops.Reap())
    assert [one.workspace for one in pool.claim()] == ["c"]
    assert redis.zscore(f"{ROOT}:blocked:gemini:gemini", "gemini gemini") == 9 * 5e12
    assert redis.zscore(f"{ROOT}:ages", "gemini gemini") == START + 2 * 3_600_000


@pytest.mark.parametrize("verb", ["reap", "claim"])
def test_a_gate_that_ends_under_a_damaged_key_is_looked_at_again_in_a_minute(pool: Pool, verb: str) -> None:
    redis, ends = pool.world.redis, START + 1000
    keys = [f"k{number}" for number in range(20)]
    for key in keys:
        pool.world.ask(ops.BackOff(key=key, until=ends))
    for key in keys:
        redis.set(f"{ROOT}:slots:{key}", "by hand")
    pool.queue("c")
    pool.at(ends)
    for _ in range(3):
        wait = pool.world.ask(ops.Reap()).next_due if verb == "reap" else asked(pool)
    assert wait == 60_000
    assert {redis.zscore(f"{ROOT}:timers", key) for key in keys} == {ends + 60_000}
    assert pool.world.ask(ops.Query(workspace="c")).workspaces[0].status == ("queued" if verb == "reap" else "running")
    redis.delete(*(f"{ROOT}:slots:{key}" for key in keys))
    pool.at(ends + 60_000)
    pool.world.ask(ops.Reap())
    assert not redis.hkeys(f"{ROOT}:backoff")


def test_the_list_of_the_failed_keeps_nothing_waiting_whose_time_has_come(pool: Pool) -> None:
    pool.queue("w", not_before=START + 1000)
    pool.world.redis.set(f"{ROOT}:status:failed", "by hand")
    pool.at(START + 1000)
    assert [one.workspace for one in pool.claim()] == ["w"]


def test_work_whose_deadline_is_over_is_looked_at_again_in_a_minute_while_it_can_not_be_listed(pool: Pool) -> None:
    world = pool.world
    world.ask(ops.Limit(key="gemini", limit=0))
    pool.queue("w", agent="gemini", deadline=START + 1000)
    world.redis.set(f"{ROOT}:status:failed", "by hand")
    pool.at(START + 1000)
    before = world.keys()
    assert world.ask(ops.Reap()).next_due == 60_000
    after = world.keys()
    assert after["later"] == {"w": START + 61_000}
    assert {name for name in before if before[name] != after.get(name)} == {"later", "control"}
    world.redis.delete(f"{ROOT}:status:failed")
    pool.at(START + 61_000)
    world.ask(ops.Reap())
    assert world.keys()["status:failed"] == {"w": START + 61_000}


def asked(pool: Pool) -> int | None:
    pool.seq += 1
    retry: int | None = pool.world.ask(ops.Claim(host=pool.host, incarnation="i", seq=pool.seq)).retry_in
    return retry
