"""What a replica counts, a part a sweep: every key once a walk, told and logged when it changes, not too often."""

import asyncio
import logging
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import GetStatus, Reap, Thaw
from coordinator.operations._operation import Operation
from coordinator.replica import faults
from coordinator.replica.faults import Faults
from coordinator.replica.memory import Memory
from coordinator.replica.sweeper import Sweeper
from coordinator.steady import end
from coordinator.store import Store
from tests.unit.operations.asking import Fleet
from tests.waiting import wait_until


class Counted(Store):
    """A store that counts what it is asked."""

    asked = 0

    async def run(self, operation: Operation[Any]) -> Any:
        self.asked += operation.name == "faults"
        return await super().run(operation)


async def walk(counter: Faults) -> int:
    """A walk from its beginning to its end."""
    for _ in range(200):
        if (count := await counter.part()) is not None:
            return count
    raise AssertionError("the walk has no end")


@pytest.fixture
async def fleet(raw: AsyncRedis) -> Fleet:
    store = Store(raw, "{t}")
    await store.run(Thaw())
    return Fleet(store, raw)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "PAUSE", 0.0)


@pytest.mark.usefixtures("at_once")
async def test_a_walk_finds_what_is_wrong_and_says_it_once(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "coordinator.replica.faults")
    await fleet.host()
    await fleet.queue(*(f"a/{number}" for number in range(300)))
    counter = Faults(fleet.store)
    assert await walk(counter) == 0
    assert caplog.messages == []
    await fleet.redis.sadd("{t}:slots:codex", "ghost")
    await fleet.redis.delete("{t}:workspace:a/7")
    assert [await walk(counter), await walk(counter)] == [3, 3]
    (said,) = caplog.messages
    assert said.startswith("found faults=3 (coordinator doctor names them): ")
    await fleet.redis.srem("{t}:slots:codex", "ghost")
    await walk(counter)
    assert [message[:14] for message in caplog.messages[1:]] == ["found faults=2"]


async def test_a_part_is_four_questions_and_comes_once_a_second(
    raw: AsyncRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (faults.PAUSE, faults.STEPS) == (1.0, 4)
    monkeypatch.setattr(faults, "PAUSE", 3600.0)
    store = Counted(raw, "{t}")
    fleet = Fleet(store, raw)
    await fleet.queue(*(f"a/{number}" for number in range(300)))
    counter = Faults(store)
    for _ in range(50):
        assert await counter.part() is None
    assert store.asked == 4


@pytest.mark.usefixtures("at_once")
async def test_the_sweeper_tells_status_what_it_counted(fleet: Fleet) -> None:
    await fleet.redis.sadd("{t}:slots:codex", "ghost")
    sweeper = Sweeper(fleet.store, Memory(fleet.store))
    task = asyncio.create_task(sweeper.run())

    async def shown(count: int) -> bool:
        sweeper.poke()
        return (await fleet.store.run(GetStatus())).faults == count

    await wait_until(lambda: shown(1), "status shows it")
    await fleet.redis.srem("{t}:slots:codex", "ghost")
    await wait_until(lambda: shown(0), "and that it is gone")
    await end([task])


@pytest.mark.usefixtures("at_once")
async def test_what_only_looks_lost_while_the_fleet_settles_is_not_counted(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.redis.sadd("{t}:slots:codex", "ghost")
    await fleet.redis.hset("{t}:control", "epoch", "1")
    await fleet.store.run(Reap())
    counter = Faults(fleet.store)
    assert await walk(counter) == 0
    await fleet.host()
    assert await walk(counter) == 1
