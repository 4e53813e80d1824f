"""Fair shares to the millisecond: what is remembered of each lane, and where that puts it in its route.

A lane's state is `pass expected since ages runs starts charged [aged]`, see coordinator/operations/_fair.lua.
"""

import math
from typing import NamedTuple

import pytest

from coordinator.operations import Cancel, Reap
from tests.unit.operations.asking import Fleet

HALF_AN_HOUR, HOUR, DAY = 1_800_000, 3_600_000, 86_400_000  # ms; a run of a lane without a history takes the first
SUMMER = 1_700_000_000_000  # starts are counted from here
BAND, HIGHEST, COMMON = 5 * 10**12, 19, 10  # of scores; that of priority 5
FAIR, WEIGHTS, READY, AGES = "{t}:fair:codex", "{t}:weights", "{t}:ready:codex", "{t}:ages"
LANE = "codex codex repo:core/io org:core"


class Lane(NamedTuple):
    """What is remembered of one."""

    used: int = 1
    expected: int = HALF_AN_HOUR
    since: int = 0
    ages: int = 0
    runs: int = 0
    starts: int = 0
    charged: int = 0
    aged: int | None = None

    def overrun(self, now: int, weight: int) -> int:
        """What its runs have taken beyond what they were charged."""
        return max(math.ceil((self.runs * (now - SUMMER) - self.starts - self.charged) / weight), 0)


async def put(fleet: Fleet, state: Lane, lane: str = LANE) -> None:
    await fleet.redis.hset(FAIR, lane, " ".join(str(each) for each in state if each is not None))


async def lane(fleet: Fleet, name: str = LANE) -> Lane:
    return Lane(*map(int, str(await fleet.redis.hget(FAIR, name)).split()))


async def reached(fleet: Fleet, band: int = COMMON) -> int:
    """How far a band of the route has come."""
    return int(await fleet.redis.hget(FAIR, f"v{band}") or 0)


async def now(fleet: Fleet) -> int:
    seconds, micros = await fleet.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def score(used: int, band: int = COMMON) -> int:
    return (HIGHEST - band) * BAND + min(used, BAND - 1)


async def queue(fleet: Fleet, *names: str, repo: str = "io", **more: object) -> None:
    await fleet.queue(*names, repo=repo, org="core", **more)


@pytest.mark.parametrize(
    ("weights", "weight"),
    [
        ({}, 1),
        ({"repo:core/io": "7"}, 7),
        ({"org:core": "7"}, 7),
        ({"codex": "2", "org:core": "7"}, 2),
        ({"repo:core/io": "3", "org:core": "7"}, 3),
        ({"repo:core/io": "0", "org:core": "7"}, 7),
        ({"repo:core/io": "none", "org:core": "7"}, 7),
        ({"repo:core/io": "1", "org:core": "7"}, 1),
        ({"org:other": "7"}, 1),
        ({"org:core": "999"}, 999),
        ({"org:core": "1000"}, 1000),
        ({"org:core": "1001"}, 1000),
    ],
)
async def test_a_start_is_charged_over_the_weight_of_the_first_key_that_has_one(
    fleet: Fleet, weights: dict[str, str], weight: int
) -> None:
    await fleet.host()
    for key, given in weights.items():
        await fleet.redis.hset(WEIGHTS, key, given)
    await queue(fleet, "a")
    (grant,) = (await fleet.claim()).grants
    started = (await fleet.record("a")).started_at or 0
    charge = math.ceil(HALF_AN_HOUR / weight)
    assert await lane(fleet) == Lane(1 + charge, HALF_AN_HOUR, started, 0, 1, started - SUMMER, HALF_AN_HOUR)
    assert await fleet.redis.hget(FAIR, "turn") == str(grant.token)
    assert await reached(fleet) == 1


@pytest.mark.parametrize("weight", [1, 7])
@pytest.mark.parametrize("far", [0, 1_000, 5_000_000])
@pytest.mark.parametrize("used", [1, 4_000_000])
@pytest.mark.parametrize("overdue", [None, 0, 5_000_000])
async def test_a_start_counts_from_what_the_lane_used_and_is_at_most_one_run_behind_the_others(
    fleet: Fleet, weight: int, far: int, used: int, overdue: int | None
) -> None:
    """`overdue`: for so long its one run has gone on beyond what it was charged."""
    await fleet.host()
    await fleet.redis.hset(WEIGHTS, "org:core", weight)
    await queue(fleet, "a", "b")
    before = Lane(used)
    if overdue is not None:
        since = await now(fleet) - HALF_AN_HOUR - overdue
        before = Lane(used, runs=1, starts=since - SUMMER, charged=HALF_AN_HOUR)
    await put(fleet, before)
    await fleet.redis.hset(FAIR, f"v{COMMON}", far)
    await fleet.claim(count=1)
    started = (await fleet.record("a")).started_at or 0
    charge, over = math.ceil(HALF_AN_HOUR / weight), before.overrun(started, weight)
    start = max(used + over, far - charge)
    state = await lane(fleet)
    assert state == Lane(
        start - over + charge, HALF_AN_HOUR, started, started + HOUR,
        before.runs + 1, before.starts + started - SUMMER, before.charged + HALF_AN_HOUR,
    )  # fmt: skip
    assert await reached(fleet) == max(far, start)
    assert await fleet.redis.zscore(READY, LANE) == score(start + charge)
    assert await fleet.redis.zscore(AGES, LANE) == started + HOUR


@pytest.mark.parametrize("weight", [1, 7])
@pytest.mark.parametrize("took", [0, HALF_AN_HOUR - 60_000, 5 * HALF_AN_HOUR])
@pytest.mark.parametrize("runs", [0, 1, 2])
@pytest.mark.parametrize("used", [3, 9_000_000])
async def test_an_ending_corrects_what_its_start_was_charged(
    fleet: Fleet, weight: int, took: int, runs: int, used: int
) -> None:
    await fleet.host()
    await fleet.redis.hset(WEIGHTS, "org:core", weight)
    await queue(fleet, "a", "b")
    (grant,) = (await fleet.claim(count=1)).grants
    began = await now(fleet) - took
    await fleet.redis.hset("{t}:workspace:a", "started_at", began)
    others, charged = 5_000, 70_000  # of another run, or of none any more: then nothing is carried on
    await put(fleet, Lane(used, 600_000, 77, 88, runs, began - SUMMER + others, HALF_AN_HOUR + charged))
    await fleet.end(grant)
    ended = (await fleet.record("a")).ended_at or 0
    lasted = max(ended - began, 1000)
    corrected = max(used + math.ceil(lasted / weight) - math.ceil(HALF_AN_HOUR / weight), 0)
    expected = max(600_000 + (lasted - 600_000) // 4, 1000)
    left = (1, others, charged) if runs == 2 else (0, 0, 0)
    after = Lane(corrected, expected, 77, 88, *left)
    assert await lane(fleet) == after
    assert await fleet.redis.zscore(READY, LANE) == score(corrected + after.overrun(ended, weight))


async def test_a_lane_learns_that_its_runs_are_short_down_to_a_second(fleet: Fleet) -> None:
    await fleet.host()
    await queue(fleet, "a")
    (grant,) = (await fleet.claim()).grants
    await put(fleet, (await lane(fleet))._replace(expected=1_000))
    await fleet.end(grant)
    assert (await lane(fleet)).expected == 1_000


@pytest.mark.parametrize(("weight", "first"), [(1, "b1"), (7, "a2")])
async def test_what_runs_for_longer_than_it_was_charged_lets_others_go_first(
    fleet: Fleet, weight: int, first: str
) -> None:
    await fleet.host()
    await fleet.redis.hset(WEIGHTS, "repo:core/io", weight)
    await queue(fleet, "a1", "a2")
    await queue(fleet, "b1", repo="web")
    since = await now(fleet) - HALF_AN_HOUR - 7_000_000  # so it has used 7,000,000 more, or a seventh of that
    await put(fleet, Lane(1, runs=1, starts=since - SUMMER, charged=HALF_AN_HOUR))
    other = "codex codex repo:core/web org:core"
    await put(fleet, Lane(3_000_000), other)
    await fleet.redis.zadd(READY, {LANE: score(1), other: score(3_000_000)})
    await fleet.redis.zrem("{t}:lane:" + LANE, "a1")
    assert await fleet.granted(count=1) == [first]


@pytest.mark.parametrize(
    ("priority", "waited", "band"),
    [(5, 0.5, 10), (5, 1.5, 12), (5, 2.5, 14), (5, 99.5, 18), (8, 1.5, 18), (8, 0.5, 16), (9, 5.5, 18), (0, 1.5, 2)],
)
async def test_what_waits_for_long_moves_up_a_priority_each_hour(
    fleet: Fleet, priority: int, waited: float, band: int
) -> None:
    own = 2 * priority
    name = LANE if own == COMMON else f"{LANE} #{own}"
    await queue(fleet, "a", priority=priority)
    since = await now(fleet) - int(waited * HOUR)
    began = await now(fleet) - HALF_AN_HOUR - 9_000_000  # its one run takes longer than it was charged
    before = Lane(5, since=since, ages=1, runs=1, starts=began - SUMMER, charged=HALF_AN_HOUR)
    await put(fleet, before, name)
    await fleet.redis.zadd(AGES, {name: 1, "codex codex repo:gone": 1})
    await fleet.redis.hset(FAIR, f"v{band}", 40)
    await fleet.store.run(Reap())
    moved = band > own
    ages = 0 if band == 18 else since + (int(waited) + 1) * HOUR
    assert await lane(fleet, name) == before._replace(ages=ages, aged=band if moved else None)
    stands = float(await fleet.redis.zscore(READY, name) or 0)
    assert stands == score(41, band) if moved else score(9_000_005, own) <= stands < score(9_060_000, own)
    assert await reached(fleet, band) == (41 if moved else 40)
    assert await fleet.redis.zrange(AGES, 0, -1, withscores=True) == ([(name, ages)] if ages else [])


async def test_what_started_after_it_had_moved_up_is_where_it_came_from(fleet: Fleet) -> None:
    await fleet.host()
    await queue(fleet, "a", "b")
    await put(fleet, Lane(5, since=await now(fleet) - 3 * HOUR, aged=14))
    await fleet.redis.zadd(READY, {LANE: score(5, 14)})
    (grant,) = (await fleet.claim(count=1)).grants
    assert (await lane(fleet)).aged is None
    await put(fleet, (await lane(fleet))._replace(aged=14))
    await fleet.redis.zadd(READY, {LANE: score(6, 14)})
    await fleet.end(grant)  # and an ending leaves it in its band
    assert await fleet.redis.zscore(READY, LANE) == score(6, 14)


async def test_without_ageing_nothing_moves_up(fleet: Fleet) -> None:
    await fleet.redis.hset("{t}:control", "ageing", 0)
    await queue(fleet, "a")
    assert ((await lane(fleet)).ages, await fleet.redis.exists(AGES)) == (0, 0)
    await put(fleet, Lane(5, since=1, ages=1))
    await fleet.redis.zadd(AGES, {LANE: 1})
    await fleet.store.run(Reap())
    assert (await lane(fleet), await fleet.redis.exists(AGES)) == (Lane(5, since=1), 0)
    assert await fleet.redis.zscore(READY, LANE) == score(5)


@pytest.mark.parametrize(
    ("before", "far", "used"),
    [(None, 30, 31), (5, 30, 31), (30, 30, 31), (31, 30, 31), (90, 30, 90), (6 * 10**12, 30, 6 * 10**12)],
)
async def test_who_comes_to_wait_stands_behind_those_who_came_before_unless_it_has_used_more(
    fleet: Fleet, before: int | None, far: int, used: int
) -> None:
    await fleet.redis.hset(FAIR, f"v{COMMON}", far)
    if before is not None:
        await put(fleet, Lane(before, since=1, ages=2, aged=14))
    await queue(fleet, "a")
    queued = (await fleet.record("a")).queued_at or 0
    assert await lane(fleet) == Lane(used, since=queued, ages=queued + HOUR)
    assert await fleet.redis.zscore(READY, LANE) == score(used)
    assert await fleet.redis.zscore(AGES, LANE) == queued + HOUR
    await fleet.store.run(Cancel(workspace="a"))
    assert (await lane(fleet), await fleet.redis.exists(AGES)) == (Lane(used, since=queued), 0)


@pytest.mark.parametrize(
    ("codex", "gemini", "first"), [(None, None, "c"), (5, 5, "c"), (6, 5, "g"), (5, 6, "c"), (5, None, "g")]
)
async def test_routes_of_a_host_take_turns_and_of_equals_the_first_by_name_goes(
    fleet: Fleet, codex: int | None, gemini: int | None, first: str
) -> None:
    await fleet.host(pools="codex gemini")
    await fleet.queue("g", agent="gemini")
    await fleet.queue("c", agent="codex")
    for route, turn in (("codex", codex), ("gemini", gemini)):
        if turn is not None:
            await fleet.redis.hset(f"{{t}}:fair:{route}", "turn", turn)
    assert await fleet.granted(count=1) == [first]


async def test_a_lane_that_nobody_has_used_for_a_year_is_forgotten(fleet: Fleet) -> None:
    await queue(fleet, "a")
    long_ago = await now(fleet) - 366 * DAY
    kept = {
        "codex codex repo:runs": Lane(since=long_ago, runs=1),
        "codex codex repo:waits": Lane(since=long_ago, ages=1),
        "codex codex repo:young": Lane(since=await now(fleet) - 364 * DAY),
    }
    for name, state in {**kept, "codex codex repo:old": Lane(since=long_ago)}.items():
        await put(fleet, state, name)
    await fleet.redis.hset(FAIR, "v2", 0)  # is of the route
    await fleet.store.run(Reap())
    assert set(await fleet.redis.hkeys(FAIR)) == {LANE, "v10", "v2", *kept}


async def test_a_route_that_comes_back_keeps_what_its_lanes_have_used(fleet: Fleet) -> None:
    await put(fleet, Lane(90))
    await fleet.redis.expire(FAIR, 1000)
    await queue(fleet, "a")
    assert (await fleet.redis.ttl(FAIR), (await lane(fleet)).used) == (-1, 90)
