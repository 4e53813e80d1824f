"""Pace by the clock: when a pool that nobody starts is looked at again, and what a reset leaves of a used-up quota."""

from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.errors import StoreUnusable
from coordinator.operations.apply import Rates
from tests.model.world import START, World
from tests.unit.operations.asking import Fleet

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
RESET = START - START % DAY + DAY + 6 * HOUR  # the next day, at 06:00


def _paced(world: World, **rates: int) -> None:
    world.ask(ops.Apply(rates={"codex": Rates(reset_utc="06:00", **rates)}))


def _start(world: World, when: int, name: str) -> Any:
    """An asker's question at this moment: a grant, or why there is none."""
    world.set_clock(when)
    answer = world.ask(ops.Submit(workspace=name, agent="codex", asker="svc", otherwise="refuse"))
    return answer.grant if answer.outcome == "granted" else answer.refusal  # type: ignore[union-attr]


def _looked_at(world: World) -> tuple[float | None, str | None]:
    """When the pool is looked at next, and its earliest next start."""
    keys = world.keys()
    return keys.get("timers", {}).get("codex"), keys.get("next_start", {}).get("codex")


@pytest.mark.parametrize(("least", "delay"), [(0, 1), (1000, 1000)])
def test_a_delay_of_a_millisecond_paces_a_pool_and_min_delay_is_its_least(world: World, least: int, delay: int) -> None:
    _paced(world, sustained_delay=1, min_delay=least)
    assert _start(world, START, "a").token
    no = _start(world, START, "b")
    assert (no.reason, no.until) == ("pace", START + delay)
    assert _start(world, START + delay, "b").token


def test_a_burst_of_a_millisecond_is_one(world: World) -> None:
    _paced(world, sustained_delay=MINUTE, burst_window=1)
    assert _start(world, RESET - 10 * SECOND, "a").token
    assert _start(world, RESET - 5 * SECOND, "b").until == RESET - 1
    assert _start(world, RESET - 1, "b").token


def test_a_slow_burst_of_a_millisecond_shuts_its_pool_for_it(world: World) -> None:
    _paced(world, sustained_delay=SECOND, burst_delay=HOUR, burst_window=1)
    assert _start(world, RESET - 10 * SECOND, "a").token
    assert _start(world, RESET - 1, "b").until == RESET
    assert _start(world, RESET, "b").token


def test_a_burst_of_a_whole_day_does_not_end_at_the_reset(world: World) -> None:
    _paced(world, sustained_delay=10 * SECOND, burst_delay=10 * MINUTE, burst_window=DAY)
    assert _start(world, RESET - 5 * MINUTE, "a").token
    assert _start(world, RESET - 4 * MINUTE, "b").until == RESET + 5 * MINUTE
    assert _start(world, RESET, "b").until == RESET + 5 * MINUTE


@pytest.mark.parametrize("after", [MINUTE, MINUTE + 1])
def test_a_pool_whose_delay_is_over_is_looked_at_no_more(world: World, after: int) -> None:
    _paced(world, sustained_delay=MINUTE)
    assert _start(world, START, "a").token
    assert _looked_at(world) == (START + MINUTE, str(START + MINUTE))
    world.set_clock(START + after)
    world.ask(ops.Reap())
    assert _looked_at(world) == (None, None)


SLOW_BURST = {"sustained_delay": MINUTE, "burst_delay": 450 * SECOND, "burst_window": HOUR}
FAST_BURST = {"sustained_delay": 10 * MINUTE, "burst_delay": 10 * SECOND, "burst_window": HOUR}


@pytest.mark.parametrize(
    ("rates", "start", "delay", "edge", "opens"),
    [
        (SLOW_BURST, RESET - HOUR - 2 * MINUTE, MINUTE, RESET - HOUR, RESET - HOUR + 330 * SECOND),
        (FAST_BURST, RESET - MINUTE, 10 * SECOND, RESET, RESET + 9 * MINUTE),
    ],
)
def test_a_pool_that_nobody_started_is_shut_again_where_its_delay_becomes_longer(
    world: World, rates: dict[str, int], start: int, delay: int, edge: int, opens: int
) -> None:
    _paced(world, **rates)
    assert _start(world, start, "a").token
    for when in (start + delay, start + delay + 1):
        world.set_clock(when)
        world.ask(ops.Reap())
        assert _looked_at(world) == (edge, None)
    world.set_clock(edge)
    world.ask(ops.Reap())
    assert _looked_at(world) == (opens, str(opens))
    assert _start(world, opens, "b").token


@pytest.mark.parametrize(
    ("rates", "start", "delay"),
    [(SLOW_BURST, RESET - HOUR - 450 * SECOND, MINUTE), (FAST_BURST, RESET - 10 * MINUTE, 10 * SECOND)],
)
def test_a_longer_delay_that_is_over_when_it_begins_shuts_nothing(
    world: World, rates: dict[str, int], start: int, delay: int
) -> None:
    _paced(world, **rates)
    assert _start(world, start, "a").token
    world.set_clock(start + delay)
    world.ask(ops.Reap())
    assert _looked_at(world) == (None, None)


def test_a_quota_of_one_is_used_up_by_one_start_and_its_pool_is_looked_at_at_the_reset(world: World) -> None:
    _paced(world, daily_limit=1)
    assert _start(world, START, "a").token
    assert _looked_at(world) == (RESET, str(RESET))


@pytest.mark.parametrize("daily", [1, 2])
def test_who_opens_a_pool_by_hand_after_its_reset_has_it_try_nothing(world: World, daily: int) -> None:
    _paced(world, daily_limit=daily)
    for number in range(daily):
        assert _start(world, RESET - MINUTE, f"a{number}").token
    assert _start(world, RESET - MINUTE, "b").reason == "quota"
    assert _start(world, RESET, "b").reason == "ramp"
    world.ask(ops.BackOff(key="codex", clear=True))
    for number in range(daily):
        assert _start(world, RESET, f"c{number}").token
    assert _start(world, RESET, "b").reason == "quota"


def test_opening_a_pool_by_hand_forgives_its_quota_and_not_its_last_start(world: World) -> None:
    _paced(world, daily_limit=1, sustained_delay=HOUR)
    assert _start(world, RESET - MINUTE, "a").token
    world.set_clock(RESET)
    world.ask(ops.BackOff(key="codex", clear=True))
    no = _start(world, RESET + MINUTE, "b")
    assert (no.reason, no.until) == ("pace", RESET - MINUTE + HOUR)


async def test_damaged_rates_stop_a_start_before_it_writes(fleet: Fleet) -> None:
    """Also where its agent was changed by hand, so that its lane is judged by another pool."""
    await fleet.host()
    await fleet.queue("a")
    await fleet.redis.hset("{t}:workspace:a", "agent", "gemini")
    await fleet.redis.hset("{t}:control", "paced", "gemini")
    await fleet.redis.set("{t}:rates:gemini", "by hand")
    with pytest.raises(StoreUnusable, match="rates:gemini"):
        await fleet.granted()
    assert (await fleet.record("a")).status == "queued"
    assert await fleet.redis.exists("{t}:slots:codex", "{t}:slots:*", "{t}:held:h1", "{t}:fence") == 0
    assert await fleet.redis.zrange("{t}:lane:codex codex", 0, -1) == ["a"]
