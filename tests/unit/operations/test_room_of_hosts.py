"""What is said of hosts without room, and of work that nobody serves, where there is more of it than is looked at."""

import json
from typing import Any

import pytest

from coordinator.operations import GetStatus
from tests.unit.operations.asking import Fleet


async def full_hosts(fleet: Fleet, *names: str) -> None:
    """They serve codex, and have no slots left."""
    for name in names:
        await fleet.host(name, slots=0)


async def holders(fleet: Fleet, name: str) -> tuple[str, ...]:
    no = await fleet.why(name)
    assert no
    assert no.reason == "hosts_full"
    return no.holders


@pytest.mark.parametrize(("hosts", "told"), [(1, "1 host"), (15, "15 hosts"), (16, "16 hosts"), (17, "16 hosts")])
async def test_sixteen_hosts_of_a_route_are_looked_at_for_room(fleet: Fleet, hosts: int, told: str) -> None:
    await full_hosts(fleet, *(f"h{number}" for number in range(hosts)))
    await fleet.queue("a")
    no = await fleet.why("a")
    assert no
    assert no.text == f"hosts full: 0/0 slots on {told} that serve codex"


@pytest.mark.parametrize("alive", range(4))
async def test_any_host_that_waits_and_beats_is_on_its_way(fleet: Fleet, alive: int) -> None:
    names = ["h0", "h1", "h2", "h3"]
    await full_hosts(fleet, *names)
    await fleet.queue("a")
    await fleet.redis.zadd(fleet.store.key("waiting", "codex"), {name: at for at, name in enumerate(names)})
    for name in names:
        await fleet.redis.hset(fleet.store.key("host", name), "beat", "1")
    assert (await fleet.why("a")) is not None
    await fleet.host(names[alive], slots=0)
    assert (await fleet.why("a")) is None


@pytest.mark.parametrize(("hosts", "slots"), [(1, 9), (1, 12), (4, 3), (3, 4), (12, 1)])
async def test_ten_at_most_of_those_that_full_hosts_run_are_named_in_order(
    fleet: Fleet, hosts: int, slots: int
) -> None:
    runs = [f"w{number:02}" for number in reversed(range(hosts * slots))]
    await fleet.queue(*runs)
    for number in range(hosts):
        await fleet.host(f"h{number}", slots=slots)
        assert len(await fleet.granted(f"h{number}")) == slots
    await fleet.queue("a")
    named = await holders(fleet, "a")
    assert (len(named), list(named)) == (min(len(runs), 10), sorted(named))
    assert set(named) <= set(runs)


async def test_a_thousand_routes_are_looked_at_for_work_that_nobody_serves(fleet: Fleet) -> None:
    """The oldest first."""
    await fleet.queue("a", agent="codx")
    routes = fleet.store.key("routes")
    await fleet.redis.zadd(routes, {f"r{number}": 1 for number in range(999)})
    assert [one.route for one in (await fleet.store.run(GetStatus())).unserved] == ["codx"]
    await fleet.redis.zadd(routes, {"r999": 1})
    assert (await fleet.store.run(GetStatus())).unserved == ()


async def test_no_more_than_sixteen_lanes_are_looked_at_for_who_waits_longest(fleet: Fleet) -> None:
    for lane in range(17):
        await fleet.queue(f"w{lane}", agent="codx", repo=f"r{lane}")
    queued = fleet.store.key("status", "queued")
    await fleet.redis.zadd(queued, {f"w{lane}": 7 for lane in range(17)})
    _, found = await fleet.redis.hscan(fleet.store.key("lanes", "codx"), 0, count=100)
    (oldest,) = await fleet.redis.zrange(fleet.store.key("lane", str(list(found)[-1])), 0, 0)
    await fleet.redis.zadd(queued, {str(oldest): 5})
    assert [(one.lanes, one.since) for one in (await fleet.store.run(GetStatus())).unserved] == [(17, 7)]


@pytest.mark.parametrize(("routes", "more"), [(9, None), (10, None), (11, 1)])
async def test_how_many_more_there_are_is_said_where_there_are_more(
    fleet: Fleet, routes: int, more: int | None
) -> None:
    for number in range(routes):
        await fleet.queue(f"w{number}", agent=f"a{number:02}")
    text: Any = await fleet.redis.execute_command("FCALL_RO", "dispatch_status", 1, "{t}", "{}")  # type: ignore[no-untyped-call]
    assert json.loads(text).get("unserved_more") == more
