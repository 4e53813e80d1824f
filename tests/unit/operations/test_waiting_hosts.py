"""Hosts that wait: what wakes them, who is next when one does not come, and how long a fleet waits for its hosts."""

from typing import Any

import pytest
from redis import Redis

from coordinator import library
from coordinator import operations as ops
from coordinator.operations.apply import FleetSettings
from tests.model.world import ROOT, START, World
from tests.unit.operations import rich
from tests.unit.operations.asking import Fleet
from tests.unit.operations.test_restore import TTL, beat, emptied, restore, running, told
from tests.unit.operations.test_restore_stilled import forgotten_by_all, settling

HOUR = 3_600_000
POOLS = ("codex", "gemini")  # of h1, see the fixture


def host(world: World, name: str, *pools: str, **more: Any) -> None:
    world.ask(ops.Renew(host=name, incarnation="i", pools=list(pools), slots=4, **more))
    world.listen(name)


def claim(world: World, name: str = "h1", seq: int = 1) -> list[str]:
    return [grant.workspace for grant in world.ask(ops.Claim(host=name, incarnation="i", seq=seq)).grants]


def waiting(world: World, *names: str) -> None:
    """These hosts serve codex, and have asked for work in vain."""
    for name in names:
        host(world, name, "codex")
        assert claim(world, name) == []


def queue(world: World, *names: str, **more: Any) -> None:
    for name in names:
        world.ask(ops.Submit(workspace=name, **({"agent": "codex"} | more)))


def test_a_claim_is_given_what_comes_due_in_that_moment_also_where_its_route_is_new(world: World) -> None:
    queue(world, "a", not_before=START + 10)
    world.set_clock(START + 10)
    assert claim(world) == ["a"]


def test_a_host_that_waits_goes_on_waiting_when_its_pools_change(world: World) -> None:
    host(world, "h1", *POOLS)
    assert claim(world) == []
    host(world, "h1", *POOLS, "claude")
    assert world.keys()["host:h1"]["waiting"] == str(START)
    queue(world, "a", agent="claude")
    assert world.heard() == ["h1"]


def test_a_host_that_waits_is_woken_for_the_work_of_a_pool_it_gains(world: World) -> None:
    host(world, "h1", *POOLS)
    assert claim(world) == []
    queue(world, "a", agent="claude")
    assert world.heard() == []
    host(world, "h1", *POOLS, "claude")
    assert world.heard() == ["h1"]


@pytest.mark.parametrize(("pools", "woken"), [(POOLS, []), (("gemini",), ["h2"])])
def test_the_next_host_is_woken_for_what_one_that_was_woken_no_longer_serves(
    world: World, pools: tuple[str, ...], woken: list[str]
) -> None:
    waiting(world, "h1", "h2")
    queue(world, "a")
    assert world.heard() == ["h1"]
    host(world, "h1", *pools, labels=["big"])
    assert world.heard() == woken


@pytest.mark.parametrize(("after", "woken"), [(999, []), (1000, ["h2"])])
def test_a_host_that_was_woken_has_a_second_to_come(world: World, after: int, woken: list[str]) -> None:
    waiting(world, "h1", "h2")
    queue(world, "a")
    assert world.heard() == ["h1"]
    keys = world.keys()
    assert (keys["poked"], keys["control"]["due"]) == ({"h1": START + 1000}, str(START + 1000))
    world.set_clock(START + after)
    world.ask(ops.Submit(workspace="b", agent="claude"))
    world.ask(ops.Reap())
    assert world.heard() == woken


def test_the_routes_go_by_name_to_the_hosts_that_wait_when_everything_opens(world: World) -> None:
    pools = [f"p{number}" for number in range(8)]
    world.ask(ops.Limit(key="*", limit=0))
    host(world, "all", *pools)
    for pool in pools:
        host(world, f"of-{pool}", pool)
        queue(world, f"w-{pool}", agent=pool)
    for name in ("all", *(f"of-{pool}" for pool in pools)):
        assert claim(world, name) == []
    assert world.heard() == []
    assert world.ask(ops.Limit(key="*", limit=9)).woken == 8
    assert world.heard() == ["all", *(f"of-{pool}" for pool in pools[1:])]


@pytest.mark.parametrize("why", ["nothing waits", "everything is frozen", "a damaged key"])
def test_a_limit_that_wakes_nobody_says_so(world: World, why: str) -> None:
    waiting(world, "h1")
    if why != "nothing waits":
        world.ask(ops.Limit(key="codex", limit=0))
        queue(world, "a")
    if why == "everything is frozen":
        world.ask(ops.Freeze())
    if why == "a damaged key":
        world.redis.delete(f"{ROOT}:waiting:codex")
        world.redis.set(f"{ROOT}:waiting:codex", "by hand")
    assert world.ask(ops.Limit(key="codex", limit=5)).woken == 0
    assert world.heard() == []


def test_who_comes_to_a_lane_that_may_start_wakes_a_host_before_any_timer(world: World) -> None:
    """The freeze of everything is over by the clock; nothing has looked at that yet."""
    world.ask(ops.Freeze(until=START + 1000))
    waiting(world, "h1")
    queue(world, "a", priority=9)
    queue(world, "b")
    assert world.heard() == []
    world.set_clock(START + 1000)
    world.ask(ops.Prioritize(workspace="b", priority=9))
    assert world.heard() == ["h1"]


def test_a_lane_that_has_waited_long_wakes_a_host_where_a_limit_was_raised_by_hand(world: World) -> None:
    world.ask(ops.Limit(key="*", limit=0))
    waiting(world, "h1")
    queue(world, "a")
    world.redis.hset(f"{ROOT}:limits", "*", 5)
    world.set_clock(START + HOUR)
    assert world.heard() == []
    world.ask(ops.Reap())
    assert world.heard() == ["h1"]


def test_a_route_is_as_old_as_its_first_lane_and_asks_no_host_again(world: World) -> None:
    queue(world, "a", repo="r1")
    world.set_clock(START + 5)
    queue(world, "b", repo="r2")
    assert world.keys()["routes"] == {"codex": START}


def test_what_a_route_knows_of_its_lanes_is_kept_when_it_comes_back_within_two_days(world: World) -> None:
    queue(world, "a")
    world.ask(ops.Cancel(workspace="a"))
    world.set_clock(START + HOUR)
    world.ask(ops.Reap())
    assert world.redis.exists(f"{ROOT}:routes") == 0
    assert 0 < world.redis.ttl(f"{ROOT}:fair:codex") <= 172_800
    queue(world, "b")
    assert world.redis.ttl(f"{ROOT}:fair:codex") == -1


def test_the_cost_of_a_beat_does_not_grow_with_the_other_hosts(server_url: str) -> None:
    with Redis.from_url(server_url, decode_responses=True) as redis:

        def beat_of(name: str) -> dict[str, Any]:
            return rich.ask(redis, "renew", {"host": name, "incarnation": "i1", "pools": ["codex"], "slots": 1})

        def calls() -> int:
            redis.config_resetstat()
            assert beat_of("h1")["outcome"] == "renewed"
            stats: Any = redis.info("commandstats")
            return sum(one["calls"] for one in stats.values())

        redis.function_load(library.TEXT, replace=True)
        beat_of("h1")
        few = calls()
        for number in range(50):
            beat_of(f"other-{number}")
        assert calls() == few


def test_a_fleet_that_has_settled_is_not_looked_at_for_that_again(world: World) -> None:
    world.load()  # as after a restart
    queue(world, "a")
    assert world.keys()["timers"] == {"*": START + TTL}
    host(world, "h1", *POOLS)
    keys = world.keys()
    assert ("timers" in keys, "settling" in keys["control"]) == (False, False)
    assert claim(world) == ["a"]


@pytest.mark.parametrize("after", [TTL - 1, TTL])
def test_a_fleet_has_settled_at_the_end_of_its_time_and_not_before(world: World, after: int) -> None:
    world.load()
    queue(world, "a")
    world.set_clock(START + after)
    assert world.ask(ops.Reap()).opened == ("*",) * (after == TTL)
    assert ("settling" in world.keys()["control"]) == (after < TTL)


def test_hosts_that_are_known_have_the_time_of_the_leases_they_were_granted_to_tell(world: World) -> None:
    """A shorter lease that is set meanwhile is that of later grants."""
    world.load()
    world.ask(ops.Apply(settings=FleetSettings(lease_ttl=60_000)))
    assert world.ask(ops.GetStatus()).settling == START + TTL


async def test_a_fleet_that_waits_for_hosts_nobody_named_is_looked_at_when_leases_would_be_over(fleet: Fleet) -> None:
    await forgotten_by_all(fleet)
    for ttl in (60_000, 2 * TTL):
        await fleet.store.run(ops.Apply(settings=FleetSettings(lease_ttl=ttl)))
        ends = (await fleet.store.run(ops.GetStatus())).settling
        assert ends
        assert await fleet.redis.zscore("{t}:timers", "*") == ends


async def test_a_host_that_nobody_named_and_that_tells_of_runs_shows_that_there_may_be_others(fleet: Fleet) -> None:
    """Who remembers has named h2 alone: when both have told, a third may still hold something."""
    (old,) = await running(fleet, "a")
    await emptied(fleet, thawed=False)
    await fleet.store.run(ops.Apply(limits={}, if_new=True, hosts=["h2"], thaw=True))
    epoch = (await beat(fleet, old)).epoch or 0
    await restore(fleet, told(old))
    for name in ("h1", "h2"):
        await beat(fleet, *[old] * (name == "h1"), host=name, epoch=epoch)
    assert await settling(fleet) > 0
    assert await fleet.redis.hget("{t}:control", "expected") == "* h2"
