"""What a replica remembers is written back to a server that came back empty, also where a part can not be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.config.fleet import Fleet
from coordinator.operations import Apply, BackOff, Backup, Freeze, GetStatus, Limit, Renew, Restore, Thaw, Track
from coordinator.operations._operation import Operation
from coordinator.operations.backup import BackedUp
from coordinator.operations.status import FleetStatus
from coordinator.replica.memory import Memory
from coordinator.replica.replica import begin, serve
from coordinator.steady import end
from coordinator.store import Store
from tests.waiting import wait_until


class Watched(Store):
    """A store that counts what it is asked, and answers verbs of these names only when it is let."""

    def __init__(self, redis: AsyncRedis) -> None:
        super().__init__(redis, "{t}")
        self.asked: list[str] = []
        self.answered: list[str] = []
        self.held: set[str] = set()
        self.after: set[str] = set()
        self.open = asyncio.Event()

    async def run(self, operation: Operation[Any]) -> Any:
        self.asked.append(operation.name)
        if operation.name in self.held:
            await self.open.wait()
        answer = await super().run(operation)
        self.answered.append(operation.name)
        if operation.name in self.after:
            await self.open.wait()
        return answer


@asynccontextmanager
async def remembering(store: Watched) -> AsyncIterator[Memory]:
    """A memory that has looked once."""
    memory = Memory(store)
    task = asyncio.create_task(memory.run())
    await wait_until(lambda: "backup" in store.answered, "it has looked")
    try:
        yield memory
    finally:
        await end([task])


@pytest.fixture
async def store(raw: AsyncRedis) -> Watched:
    store = Watched(raw)
    await store.run(Apply(limits={"codex": 3}, if_new=True))
    await store.run(Thaw())
    return store


async def emptied(store: Watched, memory: Memory) -> None:
    """The server has lost all, and what the replica remembers is written back."""
    await store.redis.flushall()
    memory.look()

    await wait_until(lambda: known(store), "it is written back")


async def known(store: Watched) -> bool:
    found: BackedUp = await store.run(Backup())
    return not found.new


async def frozen(store: Watched) -> bool:
    status: FleetStatus = await store.run(GetStatus())
    return status.frozen


async def test_a_reason_as_long_as_can_be_comes_back_with_all_else(store: Watched) -> None:
    far = (await store.run(GetStatus())).now + 3_600_000
    await store.run(BackOff(key="codex", until=far, reason="x" * 500, by="ana"))
    async with remembering(store) as memory:
        await emptied(store, memory)
        kept = await store.run(Backup())
    assert (kept.limits, kept.gates["codex"].until) == ({"codex": 3}, far)


async def test_a_reason_is_cut_by_its_bytes(store: Watched) -> None:
    far = (await store.run(GetStatus())).now + 3_600_000
    await store.run(BackOff(key="codex", until=far, reason="\u0436" * 250, by="ana"))
    async with remembering(store) as memory:
        await emptied(store, memory)
        kept = await store.run(Backup())
    assert (kept.limits, kept.gates["codex"].reason) == ({"codex": 3}, "\u0436" * 250)


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        *(
            ("limits", "claude", "-1"),
            ("limits", "a b", "1"),
            ("weights", "codex", "0"),
            ("control", "kill_grace", "-1"),
        ),
        ("control", "lease_ttl", "1"),  # which may be, but not with a beat of ten seconds
    ],
)
async def test_what_was_set_by_hand_and_may_not_be_does_not_keep_the_rest_away(
    store: Watched, key: str, field: str, value: str
) -> None:
    await store.redis.hset(f"{{t}}:{key}", field, value)
    async with remembering(store) as memory:
        await emptied(store, memory)
        kept = await store.run(Backup())
    assert (kept.limits, kept.frozen) == ({"codex": 3}, False)


async def test_more_hosts_than_a_question_holds(store: Watched) -> None:
    await store.redis.zadd("{t}:hosts", {f"h{number}": number for number in range(1100)})
    async with remembering(store) as memory:
        await emptied(store, memory)
        expected = str(await store.redis.hget("{t}:control", "expected")).split()
    assert (len(expected), "h1099" in expected, "h0" in expected) == (1024, True, False)


async def test_a_freeze_whose_time_was_over_meanwhile_does_not_come_back_for_ever(store: Watched) -> None:
    await store.run(Freeze(until=(await store.run(GetStatus())).now + 400, reason="a short one"))
    async with remembering(store) as memory:
        await wait_until(lambda: _over(store), "its time is over")
        await emptied(store, memory)
        await wait_until(lambda: _thawed(store), "it is thawed")


async def _over(store: Watched) -> bool:
    now: Any = await store.redis.time()
    until = await store.redis.hget("{t}:control", "frozen_until")
    return bool(now[0] * 1000 + now[1] // 1000 > int(until or 0))


async def _thawed(store: Watched) -> bool:
    return not await frozen(store)


async def test_who_froze_the_empty_server_is_not_thawed(store: Watched) -> None:
    async with remembering(store) as memory:
        await store.redis.flushall()
        await store.run(Freeze(by="ana", reason="what is this?"))
        memory.look()
        await wait_until(lambda: known(store), "it is written back")
    status = await store.run(GetStatus())
    assert (status.frozen, status.freeze and status.freeze.by) == (True, "ana")


async def test_a_freeze_comes_back_with_who_and_why(store: Watched) -> None:
    await store.run(Freeze(by="ana", reason="release"))
    async with remembering(store) as memory:
        await emptied(store, memory)
        status = await store.run(GetStatus())
    assert (status.frozen, status.freeze and (status.freeze.by, status.freeze.reason)) == (True, ("ana", "release"))


async def test_a_replica_that_is_late_undoes_nothing_of_what_was_said_since(store: Watched) -> None:
    late = Watched(store.redis)
    async with remembering(store) as memory, remembering(late) as other:
        late.held |= {"apply", "thaw", "freeze"}
        await store.redis.flushall()
        other.look()
        await wait_until(lambda: "apply" in late.asked, "it is about to write")
        await emptied(store, memory)
        await store.run(Freeze(by="ana"))
        await store.run(Limit(key="codex", limit=1))
        looks = late.asked.count("backup")
        late.open.set()
        await wait_until(lambda: late.asked.count("backup") > looks, "it has done all that it does")
    assert await frozen(store)
    assert (await store.run(Backup())).limits == {"codex": 1}


async def test_a_replica_that_dies_as_it_has_written_back_leaves_nothing_undone(store: Watched) -> None:
    async with remembering(store) as memory:
        store.after |= {"apply"}
        await emptied(store, memory)
    assert not await frozen(store)


async def test_one_thing_that_can_not_be_written_back_does_not_keep_the_rest_away(store: Watched) -> None:
    far = (await store.run(GetStatus())).now + 3_600_000
    await store.run(BackOff(key="claude", until=far))
    await store.run(BackOff(key="codex", until=far))
    async with remembering(store) as memory:
        await store.redis.flushall()
        await store.redis.set("{t}:slots:claude", "damaged")
        memory.look()
        await wait_until(lambda: known(store), "it is written back")
    assert set((await store.run(Backup())).gates) == {"codex"}


async def made_anew(store: Watched, memory: Memory, **more: Any) -> None:
    """The server has lost all, and a new replica is faster than the one that remembers."""
    await store.redis.flushall()
    await store.run(Apply(limits={"codex": 9}, if_new=True, thaw=True))
    for verb in more.get("then", ()):
        await store.run(verb)
    looks = store.answered.count("backup")
    memory.look()
    await wait_until(lambda: store.answered.count("backup") > looks + 1 - bool(more), "it has looked, and written")


async def test_what_was_made_anew_by_one_who_remembers_nothing_is_as_good_as_nothing(store: Watched) -> None:
    far = (await store.run(GetStatus())).now + 3_600_000
    await store.run(BackOff(key="claude", until=far))
    await store.run(Freeze(by="ana", reason="release"))
    async with remembering(store) as memory:
        await made_anew(store, memory)
        kept = await store.run(Backup())
        assert (kept.limits, kept.gates["claude"].until, kept.frozen) == ({"codex": 3}, far, True)
        await store.run(Limit(key="codex", limit=2))
        looks = store.answered.count("backup")
        memory.look()
        await wait_until(lambda: store.answered.count("backup") > looks, "it has looked")
    assert (await store.run(Backup())).limits == {"codex": 2}


async def test_what_is_written_over_one_made_anew_is_not_frozen_by_a_host_that_tells_of_runs(store: Watched) -> None:
    async with remembering(store) as memory:
        await made_anew(store, memory)
    await store.run(Renew(host="h1", incarnation="i1", mode="pull", epoch=0))
    run = {"workspace": "held", "token": 5, "agent": "codex"}
    await store.run(Restore.model_validate({"host": "h1", "incarnation": "i1", "runs": [run]}))
    assert not await frozen(store)


@pytest.mark.parametrize("verb", [Limit(key="gemini", limit=1), Thaw(by="ana"), Apply(limits={"codex": 9})])
async def test_what_somebody_has_set_since_it_was_made_anew_stays(store: Watched, verb: Operation[Any]) -> None:
    async with remembering(store) as memory:
        await made_anew(store, memory, then=[verb])
    assert (await store.run(Backup())).limits["codex"] == 9


async def test_a_first_configuration_is_not_written_over_in_its_own_epoch(raw: AsyncRedis) -> None:
    store = Watched(raw)
    await store.run(Apply(limits={"codex": 3}, if_new=True, thaw=True))
    async with remembering(store) as memory:
        await store.redis.hset("{t}:limits", "codex", "5")  # by hand
        looks = store.answered.count("backup")
        memory.look()
        await wait_until(lambda: store.answered.count("backup") > looks, "it has looked")
    assert (await store.run(Backup())).limits == {"codex": 5}


async def test_a_replica_that_begins_sees_what_workers_hold_behind_all_that_disks_tell(raw: AsyncRedis) -> None:
    store = Watched(raw)
    await store.run(Renew(host="h1", incarnation="i1", mode="pull", epoch=0))
    run = {"workspace": "held", "token": 5, "agent": "codex"}
    await store.run(Restore.model_validate({"host": "h1", "incarnation": "i1", "runs": [run]}))
    for start in range(0, 600, 200):
        told = [{"workspace": f"w{start + at}", "status": "running", "pid": 5} for at in range(200)]
        await store.run(Track.model_validate({"host": "h2", "workspaces": told}))
    await begin(store, Fleet(), thawed=True)
    assert await frozen(store)


async def test_a_replica_that_begins_on_an_empty_server_leaves_it_to_one_that_remembers(
    store: Watched, raw: AsyncRedis
) -> None:
    await store.run(Freeze(by="ana", reason="the disk is full"))
    remembers = Watched(raw)
    stop = asyncio.Event()
    task = asyncio.create_task(serve(remembers, stop))
    await wait_until(lambda: remembers.answered.count("backup") > 0, "it has looked")

    async def listens() -> bool:
        return bool((await raw.pubsub_numsub("{t}:bus"))[0][1])

    await wait_until(listens, "it listens")
    await raw.flushall()
    await begin(store, Fleet(), thawed=True)
    status: FleetStatus = await store.run(GetStatus())
    found: BackedUp = await store.run(Backup())
    stop.set()
    await task
    assert (status.frozen, status.freeze and status.freeze.by) == (True, "ana")
    assert found.limits == {"codex": 3}


async def test_who_only_listens_does_not_keep_a_new_namespace_from_its_configuration(raw: AsyncRedis) -> None:
    store = Watched(raw)
    async with raw.pubsub() as listener:
        await listener.subscribe("{t}:bus")
        await begin(store, Fleet(), thawed=True)
    assert not await frozen(store)
