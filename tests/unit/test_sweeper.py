"""The sweeper on a real store: many pokes are one sweep, and a poke that is lost costs at most a tick."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import Submit, Thaw
from coordinator.operations._operation import Operation
from coordinator.replica import sweeper
from coordinator.replica.memory import Memory
from coordinator.replica.sweeper import Sweeper
from coordinator.steady import end
from coordinator.store import Store
from tests.unit.operations.asking import Fleet
from tests.waiting import wait_until


class Counted(Store):
    """A store that counts what it is asked, and answers when it is let."""

    def __init__(self, redis: AsyncRedis) -> None:
        super().__init__(redis, "{t}")
        self.sweeps = 0
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, operation: Operation[Any]) -> Any:
        self.sweeps += operation.name == "reap"
        await self.open.wait()
        return await super().run(operation)


@pytest.fixture
async def store(raw: AsyncRedis) -> Counted:
    store = Counted(raw)
    await store.run(Thaw())
    return store


@pytest.mark.reference(23, "T16", "T18")
async def test_many_pokes_are_one_sweep(store: Counted) -> None:
    swept = Sweeper(store, Memory(store))
    store.open.clear()
    task = asyncio.create_task(swept.run())
    await wait_until(lambda: store.sweeps == 1, "it looks when it begins")
    for _ in range(100):
        swept.poke()
    store.open.set()
    await wait_until(lambda: store.sweeps == 2, "it looks again for those that came meanwhile")
    for _ in range(100):
        swept.poke()
    await wait_until(lambda: store.sweeps == 3, "and once for all that came after")
    store.open.clear()
    swept.poke()
    await wait_until(lambda: store.sweeps == 4, "a poke is never one too few")
    store.open.set()
    await end([task])
    assert store.sweeps == 4


@pytest.mark.reference(22, "T17")
async def test_a_poke_before_the_sweeper_runs_is_no_error(store: Counted) -> None:
    swept = Sweeper(store, Memory(store))
    swept.poke()
    swept.poke()
    task = asyncio.create_task(swept.run())
    await wait_until(lambda: store.sweeps == 1, "it looks once")
    await end([task])


@pytest.mark.reference(24)
async def test_a_poke_that_is_lost_costs_at_most_a_tick(store: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweeper.TICK == 30.0
    monkeypatch.setattr(sweeper, "TICK", 0.05)
    task = asyncio.create_task(Sweeper(store, Memory(store)).run())
    await wait_until(lambda: store.sweeps >= 1, "it has looked and sleeps")
    fleet = Fleet(store, store.redis)
    await store.run(Submit(workspace="a", agent="codex", asker="svc"))
    await fleet.lapse("a")  # and nobody is told

    async def is_lost() -> bool:
        return (await fleet.record("a")).status == "blocked"

    await wait_until(is_lost, "the next tick finds it")
    await end([task])


@pytest.mark.reference(24)
async def test_the_sweeper_looks_when_the_next_thing_falls_due(store: Counted) -> None:
    """A tick is 30 s: only the due time can have woken it."""
    await store.run(Submit(workspace="a", agent="codex", asker="svc", ttl=100))
    task = asyncio.create_task(Sweeper(store, Memory(store)).run())
    fleet = Fleet(store, store.redis)

    async def is_lost() -> bool:
        return (await fleet.record("a")).status == "blocked"

    await wait_until(is_lost, "its lease ran out and it was reaped")
    await end([task])
