"""More messages than anybody needs: a replica goes on, hears who is honest, and fills no log, history or memory."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import Query, Submit, Thaw
from coordinator.replica.inbox import Inbox
from coordinator.replica.memory import Memory
from coordinator.replica.reports import Reports
from coordinator.replica.sweeper import Sweeper
from coordinator.store import Store
from tests.fleet import Fleet as Processes
from tests.unit.operations.asking import Fleet
from tests.waiting import next_millisecond, wait_until

MANY = 1500
LATE = "9999999999999-0"


class World:
    """One replica's ears, on an empty server."""

    def __init__(self, redis: AsyncRedis) -> None:
        self.redis, self.store = redis, Store(redis, "{t}")
        self.fleet = Fleet(self.store, redis)
        self.reports = Reports(self.store, Sweeper(self.store, memory := Memory(self.store)), memory)

    async def hear(self, **message: Any) -> None:
        await self.reports.act(json.dumps(message), LATE)

    async def facts(self, kind: str) -> int:
        return sum(entry.type == kind for entry in await self.store.last_events(10_000))

    async def status(self, name: str) -> str:
        return (await self.store.run(Query(workspace=name))).workspaces[0].status


@pytest.fixture
async def world(server_url: str) -> AsyncIterator[World]:
    async with AsyncRedis.from_url(server_url, decode_responses=True) as redis:
        world = World(redis)
        await world.store.run(Thaw())
        yield world


async def test_reports_of_runs_that_nobody_knows_do_not_wash_the_history_away(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await world.fleet.ask_for("held")
    for number in range(MANY):
        await world.hear(type="AgentCompleted", workspace=f"none/{number}", status="completed")
        await world.hear(type="AgentStarted", workspace=f"none/{number}", token=number + 1)
    await world.hear(type="AgentCompleted", workspace="held", status="completed")
    assert await world.status("held") == "completed"  # the honest one is heard in the midst of it
    assert 100 <= await world.facts("ReportRefused") < 300  # one that started and is unknown is none
    assert world.reports.dropped > MANY
    assert len(caplog.records) < 60


async def test_reports_of_a_workers_run_that_come_to_nothing_are_bounded_too(world: World) -> None:
    await world.fleet.host(slots=1)
    await world.fleet.queue("w")
    [grant] = (await world.fleet.claim()).grants
    for _ in range(MANY // 2):
        await world.hear(type="AgentCompleted", workspace="w", status="failed")
    await world.hear(type="AgentCompleted", workspace="w", status="failed", token=grant.token + 1)
    assert await world.status("w") == "running"
    assert 200 <= await world.facts("ReportRefused") < 300
    await world.hear(type="AgentCompleted", workspace="w", status="completed", token=grant.token)
    assert await world.status("w") == "completed"


async def test_notices_are_told_by_the_thousand_and_dropped_beyond(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(MANY + 500):
        await world.hear(type="ChannelPush", channel="x", data=number)
    told = await world.facts("ChannelPush")
    assert 1000 <= told < 1500
    assert world.reports.dropped == MANY + 500 - told
    assert any(f"dropped count={number}" in caplog.text for number in (1, 20))
    assert len(caplog.records) < 30


async def test_what_nobody_can_read_is_counted_and_seldom_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MANY):
        await world.reports.act('{"type":' * number + "x" * 5000, LATE)
    assert world.reports.malformed == MANY
    assert len(caplog.records) < 30
    assert max(len(record.getMessage()) for record in caplog.records) < 600


async def test_reports_that_name_no_workspace_read_all_that_runs_only_so_often(world: World) -> None:
    for _ in range(MANY // 2):
        await world.hear(type="AgentCompleted", repo="go-io", status="completed")
    assert MANY // 2 - 200 < world.reports.dropped <= MANY // 2 - 100


async def test_an_inbox_that_nobody_can_keep_up_with_loses_its_oldest(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    key = world.store.key("inbox")
    pipe = world.redis.pipeline(transaction=False)
    for _ in range(3000):
        pipe.xadd(key, {"json": "{}"})
    await pipe.execute()
    inbox = Inbox(world.store, world.reports, most=500)
    reading = asyncio.create_task(inbox.run())
    try:
        await world.fleet.ask_for("held")
        report = {"type": "AgentCompleted", "workspace": "held", "status": "completed"}
        await next_millisecond(world.redis)
        await world.redis.xadd(key, {"json": json.dumps(report)})

        async def read() -> bool:
            return await world.status("held") == "completed" and not await world.redis.xlen(key)

        await wait_until(read, "the newest is read")
    finally:
        reading.cancel()
    assert "more than 500 waited in the inbox, the oldest went" in caplog.text
    assert world.reports.malformed < 2900


async def test_a_real_replica_lives_through_a_flood_and_hears_the_honest_one(server_url: str, tmp_path: Path) -> None:
    async with Processes(server_url, tmp_path, {"codex": 1}) as fleet:
        fleet.serve("r1")
        await wait_until(lambda: "serving" in fleet.said("r1"), "it serves")
        await fleet.heard()
        await fleet.store.run(Submit(workspace="held", agent="codex", asker="svc"))
        process = psutil.Process(fleet.processes["r1"].pid)
        before = process.memory_info().rss
        bus, inbox = fleet.store.key("bus"), fleet.store.key("inbox")
        pipe = fleet.store.redis.pipeline(transaction=False)
        for number in range(2000):
            pipe.publish(bus, "x" * 100)
            pipe.publish(bus, json.dumps({"type": "AgentCompleted", "workspace": f"n/{number}", "status": "failed"}))
            pipe.xadd(inbox, {"json": "{"})
        for _ in range(5):
            pipe.publish(bus, "[" * (5 << 20))
        await pipe.execute()
        honest = json.dumps({"type": "AgentCompleted", "workspace": "held", "status": "completed"})
        await fleet.store.publish(honest)
        await fleet.becomes("held", "completed", deadline=40)  # 25 MiB are read before it
        assert process.is_running()
        assert process.memory_info().rss - before < 150 << 20
        said = fleet.said("r1")
        assert len(said) < 40_000
        assert "Traceback" not in said
