"""What opens a key, to the millisecond: what is told of it, what is kept no longer, and that it is not told twice."""

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from coordinator.store import Store
from tests.model.world import ROOT, START, World
from tests.unit.operations.asking import Fleet
from tests.unit.operations.test_restore import beat, emptied, restore
from tests.unit.operations.test_restore_again import HELD, frozen_by

SECOND = 1000


def queue(world: World, *names: str) -> None:
    for name in names:
        world.ask(ops.Submit(workspace=name, agent="codex"))


def claim(world: World, seq: int) -> list[str]:
    return [grant.workspace for grant in world.ask(ops.Claim(host="h1", incarnation="i", seq=seq)).grants]


def opened(world: World, when: int) -> tuple[str, ...]:
    world.set_clock(when)
    return world.ask(ops.Reap()).opened


@pytest.mark.parametrize(("limit", "told"), [(0, ()), (1, ("codex",))])
def test_a_key_whose_freeze_is_over_has_opened_where_nothing_else_shuts_it(
    world: World, limit: int, told: tuple[str, ...]
) -> None:
    world.ask(ops.Limit(key="codex", limit=limit))
    world.ask(ops.Freeze(key="codex", until=START + SECOND))
    queue(world, "a")
    assert opened(world, START + SECOND) == told
    assert claim(world, 1) == ["a"] * limit


def test_a_key_that_nothing_waited_for_is_not_told_as_opened(world: World) -> None:
    world.ask(ops.Freeze(key="codex", until=START + SECOND))
    assert opened(world, START + SECOND) == ()
    assert world.redis.exists(f"{ROOT}:timers") == 0


def test_everything_is_told_as_opened(world: World) -> None:
    world.ask(ops.Freeze(until=START + SECOND))
    assert opened(world, START + SECOND) == ("*",)


def test_a_pool_that_may_start_now_has_no_next_start(world: World) -> None:
    """Nor is it told by status any more: there is nothing to tell of it."""

    def told() -> tuple[str | None, bool]:
        names = [one.key for one in world.ask(ops.GetStatus()).keys]
        return world.keys().get("next_start", {}).get("codex"), "codex" in names

    world.ask(ops.Apply(rates={"codex": Rates(sustained_delay=SECOND)}))
    queue(world, "a")
    assert claim(world, 1) == ["a"]
    assert told() == (str(START + SECOND), True)
    opened(world, START + SECOND)
    assert told() == (None, False)


def test_a_gate_that_is_moved_to_this_moment_is_open_at_once(world: World) -> None:
    world.listen("h1")
    world.ask(ops.BackOff(key="codex", duration=5 * SECOND))
    queue(world, "a", "b")
    assert claim(world, 1) == []
    world.set_clock(START + SECOND)
    answer = world.ask(ops.BackOff(key="codex", until=START + SECOND))
    assert (answer.was, answer.now, answer.woken) == (START + 5 * SECOND, 0, 1)
    keys = world.keys()
    assert [name for name in ("backoff", "backoff_reason", "ramp", "timers") if name in keys] == []
    assert world.heard() == ["h1"]
    assert claim(world, 2) == ["a", "b"]


async def test_a_fleet_that_nobody_has_thawed_yet_can_be_frozen_and_that_is_a_fact(
    store: Store, raw: AsyncRedis
) -> None:
    fleet = Fleet(store, raw)
    for by in ("ana", "bob"):
        await store.run(ops.Freeze(by=by))
    assert await fleet.facts() == ["Frozen"]


async def test_a_configuration_that_thaws_a_new_fleet_wakes_its_hosts_and_the_next_tells_nothing(
    store: Store, raw: AsyncRedis
) -> None:
    fleet = Fleet(store, raw)
    async with fleet.listening("h1") as pokes:
        await fleet.host()
        assert await fleet.granted() == []
        await fleet.queue("a")
        assert await pokes.heard() == []
        for _ in range(2):
            await store.run(ops.Apply(limits={}, thaw=True))
            assert (await fleet.facts()).count("Thawed") == 1
        assert await pokes.next() == "h1"
    assert await fleet.granted() == ["a"]


async def test_a_run_whose_lane_was_removed_by_hand_ends_as_its_host_says(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    await fleet.redis.hdel(fleet.store.key("workspace", "a"), "lane")
    await fleet.beat("h1", endings=[{"workspace": "a", "token": grant.token, "status": "completed"}])
    assert (await fleet.record("a")).status == "completed"
    assert await fleet.redis.zcard(fleet.store.key("leases")) == 0


def test_who_ends_everything_need_not_say_who_it_is(world: World) -> None:
    queue(world, "a", "b")
    assert claim(world, 1) == ["a", "b"]
    queue(world, "c")
    assert sorted(world.ask(ops.Kill(all=True)).running) == ["a", "b"]
    status = world.ask(ops.GetStatus())
    assert status.freeze
    assert (status.freeze.by, status.freeze.reason, status.freeze.until) == (None, "kill", None)
    assert world.redis.hget(f"{ROOT}:control", "frozen_by") is None


@pytest.mark.parametrize("after", [SECOND - 1, SECOND])
def test_a_freeze_that_ends_now_is_over(world: World, after: int) -> None:
    world.ask(ops.Freeze(key="codex", until=START + SECOND))
    queue(world, "a")
    world.set_clock(START + after)
    assert claim(world, 1) == ["a"] * (after == SECOND)


async def test_a_default_that_is_set_looks_at_its_keys_also_when_it_is_what_it_was(fleet: Fleet) -> None:
    await fleet.limit("repo:*", 0)
    waiting = [{"workspace": f"w{number}", "agent": "codex", "repo": f"r{number}"} for number in range(65)]
    await fleet.store.run(ops.Track.model_validate({"workspaces": waiting}))
    assert await fleet.redis.zcard(fleet.store.key("blocked")) == 65
    for limit in (0, 1):
        await fleet.redis.delete(fleet.store.key("opening"))
        await fleet.limit("repo:*", limit)
        assert await fleet.redis.exists(fleet.store.key("opening")) == 1


async def test_a_freeze_that_is_over_keeps_nobody_from_freezing_a_fleet_that_has_forgotten_runs(fleet: Fleet) -> None:
    """The environment had thawed it; its time is over, and no timer has told so yet."""
    await emptied(fleet, thawed=False)
    await fleet.store.run(ops.Apply(if_new=True, thaw=True))
    await beat(fleet)
    await fleet.store.run(ops.Freeze(by="ana", until=4_102_444_800_000))
    await fleet.redis.hset(fleet.store.key("control"), "frozen_until", "1")
    assert await frozen_by(fleet) == "-"
    await restore(fleet, HELD)
    assert await frozen_by(fleet) == "restore"
