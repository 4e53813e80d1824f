"""What status says of work that no host can serve."""

from typing import Any

from redis import Redis

from coordinator import library
from coordinator.operations import Freeze, GetStatus, Host, Limit
from coordinator.operations.status import FleetStatus
from tests.unit.operations import rich
from tests.unit.operations.asking import Fleet

LATER = 4_102_444_800_000


async def status(fleet: Fleet) -> FleetStatus:
    return await fleet.store.run(GetStatus())


async def unserved(fleet: Fleet) -> list[tuple[str, int, str]]:
    return [(one.route, one.lanes, one.text) for one in (await status(fleet)).unserved]


async def test_routes_that_nobody_serves_are_told_with_their_lanes(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a", repo="r1")
    await fleet.queue("b", "c", agent="codx", repo="r1")
    await fleet.queue("d", agent="codx", repo="r2")
    await fleet.queue("e", labels=["gpu"], host="h9")
    assert await unserved(fleet) == [
        ("codx", 2, "no host serves 'codx'"),
        ("codex@h9+gpu", 1, "host h9 is not there to serve 'codex' with labels gpu"),
    ]
    assert (await status(fleet)).unserved_more == 0
    await fleet.host("h2", "codx")
    assert [route for route, _, _ in await unserved(fleet)] == ["codex@h9+gpu"]


async def test_it_says_since_when_the_first_of_them_waits(fleet: Fleet) -> None:
    await fleet.queue("young", agent="codx", priority=9)
    await fleet.queue("old", agent="codx", repo="r1")
    await fleet.redis.zadd(fleet.store.key("status", "queued"), {"old": 5})
    (one,) = (await status(fleet)).unserved
    assert (one.lanes, one.since) == (2, 5)


async def test_it_looks_at_the_heads_of_sixteen_lanes_for_that(fleet: Fleet) -> None:
    for lane in range(16):
        await fleet.queue(f"w{lane}", agent="codx", repo=f"r{lane}")
    (*_, last) = (await fleet.redis.hgetall(fleet.store.key("lanes", "codx"))).keys()  # in the order of a scan
    (oldest,) = await fleet.redis.zrange(fleet.store.key("lane", str(last)), 0, 0)
    await fleet.redis.zadd(fleet.store.key("status", "queued"), {str(oldest): 5})
    assert [(one.lanes, one.since) for one in (await status(fleet)).unserved] == [(16, 5)]


async def test_quiet_silent_and_frozen_hosts_serve_nobody(fleet: Fleet) -> None:
    for name in ("h1", "h2", "h3"):
        await fleet.host(name)
    await fleet.queue("a")
    await fleet.store.run(Host(host="h1", action="quiet"))
    await fleet.redis.hset(fleet.store.key("host", "h2"), "beat", "1")
    assert await unserved(fleet) == []
    await fleet.store.run(Freeze(key="host:h3", by="ana", until=LATER))
    (one,) = (await status(fleet)).unserved
    assert (one.route, one.text, one.until) == ("codex", "host:h3 is frozen by ana", LATER)
    await fleet.store.run(Host(host="h3", action="quiet"))
    assert await unserved(fleet) == [("codex", 1, "every host that serves codex is quiet or silent")]


async def test_work_behind_a_shut_key_is_told_too_and_what_waits_for_a_time_is_not(fleet: Fleet) -> None:
    await fleet.store.run(Limit(key="codx", limit=0))
    await fleet.queue("a", agent="codx")
    await fleet.queue("b", agent="later", not_before=LATER)
    assert [route for route, _, _ in await unserved(fleet)] == ["codx"]


async def test_ten_are_told_and_how_many_more(fleet: Fleet) -> None:
    for number in range(12):
        await fleet.queue(f"w{number}", agent=f"a{number:02}")
    await fleet.queue("more", agent="a11", repo="r")
    found = await status(fleet)
    assert [one.route for one in found.unserved] == ["a11", *(f"a{number:02}" for number in range(9))]
    assert found.unserved_more == 2


def test_its_cost_does_not_grow_with_what_waits(server_url: str) -> None:
    """So many calls of Redis for one that waits, and for two thousand in three hundred lanes."""
    with Redis.from_url(server_url, decode_responses=True) as redis:

        def calls() -> int:
            redis.config_resetstat()
            rich.ask(redis, "status", {})
            stats: Any = redis.info("commandstats")
            return sum(one["calls"] for one in stats.values())

        redis.function_load(library.TEXT, replace=True)
        rich.ask(redis, "submit", {"workspace": "w", "agent": "codx"})
        few = calls()
        for lane in range(300):
            names = [f"lane-{lane}/{number}" for number in range(7)]
            found = [{"workspace": name, "agent": "codx", "repo": f"r{lane}"} for name in names]
            rich.ask(redis, "track", {"workspaces": found})
        assert [one["lanes"] for one in rich.ask(redis, "status", {})["unserved"]] == [301]
        assert calls() <= few + 2 * 16
