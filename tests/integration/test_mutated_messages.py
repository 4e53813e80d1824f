"""Five thousand messages that are nearly right: none stops a replica, and none changes what it does not name."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import BackOff, Cancel, Thaw
from coordinator.replica import serve
from coordinator.replica.memory import Memory
from coordinator.replica.reports import Reports
from coordinator.replica.sweeper import Sweeper
from coordinator.store import Store
from tests import document, mutated
from tests.unit.operations.asking import Fleet
from tests.waiting import next_millisecond, wait_until

ROOT = "{t}"
MANY: Final = 1000
GOOD: Final[list[dict[str, Any]]] = [
    *({**one, "workspace": "a"} if one["type"] == "AgentCompleted" else one for one in document.messages("in")),
    *document.messages("out")[::6],
    {"type": "AgentCompleted", "workspace": "a", "status": "completed", "agent": "codex", "repo": "go-io"},
    {"type": "AgentCompleted", "repo": "core/go-io", "status": "failed", "question": "why?", "retry_after": 1},
    {"type": "AgentCompleted", "workspace": "w", "status": "blocked", "token": 1, "pr_url": "https://x/1"},
    {"type": "AgentCompleted", "workspace": "q", "status": "merged"},
    {"type": "AgentStarted", "workspace": "a", "token": 1},
    {"type": "PokeQueue", "host": "h1"},
    {"type": "RateLimitDetected", "pool": "codex", "duration": "30m0s"},
    {"type": "Frozen", "key": "*", "seq": "5-0"},
]


def said(text: str) -> dict[str, Any]:
    """The message, as any reader of JSON sees it; nothing where it is a fact."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and not found.get("seq") else {}


def gate(report: dict[str, Any]) -> str:
    """The one key that this report may shut."""
    if report["type"] == "AgentCompleted":
        return "codex" if report["retry_after"] > 0 else ""
    pool, account = report["pool"], report.get("account")
    return f"account:{pool}/{account}" if account else str(pool)


class World:
    """a: held by an asker; w: by a worker; q: waits; e: ended."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.key = fleet, fleet.store.key
        self.reports = Reports(fleet.store, Sweeper(fleet.store, memory := Memory(fleet.store)), memory)

    async def build(self) -> None:
        await self.fleet.host(slots=1, pools="claude")
        await self.fleet.queue("w", agent="claude", repo="go-io", org="core")
        assert await self.fleet.granted() == ["w"]
        await self.fleet.queue("q", repo="go-io", org="core", host="h9")
        await self.fleet.end(await self.fleet.ask_for("e", "gemini", repo="go-io", org="core"))
        await self.again("ended")

    async def again(self, status: str, *gates: str) -> None:
        """a runs, and no gate is shut."""
        for key in gates:
            await self.fleet.store.run(BackOff(key=key, clear=True))
        if status == "queued":
            await self.fleet.store.run(Cancel(workspace="a"))
        if status != "running":
            await self.fleet.ask_for("a", repo="go-io", org="core", again=True)

    async def state(self) -> tuple[dict[str, str], list[str], list[str]]:
        """The status of each workspace, the pools whose gate is shut, and all that is frozen or limited."""
        pipe = self.fleet.redis.pipeline(transaction=False)
        for name in "awqe":
            pipe.hget(self.key("workspace", name), "status")
        pipe.hkeys(self.key("backoff"))
        pipe.hgetall(self.key("limits"))
        pipe.hgetall(self.key("frozen"))
        pipe.hget(self.key("control"), "frozen")
        *statuses, gates, limits, frozen, all_frozen = await pipe.execute()
        return dict(zip("awqe", statuses, strict=True)), gates, [str(limits), str(frozen), all_frozen]


@pytest.fixture
async def world(server_url: str) -> AsyncIterator[World]:
    async with AsyncRedis.from_url(server_url, decode_responses=True) as redis:
        store = Store(redis, ROOT)
        await store.run(Thaw())
        world = World(Fleet(store, redis))
        await world.build()
        yield world


@pytest.mark.reference(26, 29, "T32")
@pytest.mark.parametrize("seed", range(2))
async def test_no_message_stops_a_replica_or_changes_what_it_does_not_name(world: World, seed: int) -> None:
    ended = shut = valid = 0
    before = await world.state()
    for number, raw in enumerate(mutated.many(seed, MANY, GOOD, GOOD)):
        text = raw.decode("utf-8", "replace")  # what is published is bytes, of which a replica makes this
        valid += mutated.is_object(raw)
        await world.reports.act(text, await world.fleet.store.latest() if number % 2 else "9999999999999-0")
        after = await world.state()
        if after == before:
            continue
        report = said(text)
        (statuses, gates, rest), (old, _, old_rest) = after, before
        assert rest == old_rest, text
        assert {name: statuses[name] for name in "wqe"} == {name: old[name] for name in "wqe"}, text
        if statuses["a"] != "running":
            ended += 1
            assert report["type"] == "AgentCompleted", text
            assert report.get("workspace") == "a" or (not report.get("workspace") and "go-io" in report["repo"]), text
            again = report["status"] == "failed" and report.get("retry_after")
            assert statuses["a"] == ("queued" if again else report["status"]), text
        if gates:
            shut += 1
            assert gates == [gate(report)], text
        await world.again(statuses["a"], *gates)
        before = await world.state()
    assert min(ended, shut, world.reports.malformed) > 5
    assert 0.4 < valid / MANY < 0.7


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_a_replica_that_hears_and_reads_nothing_but_nonsense_still_does_its_part(
    world: World, server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of it is said on the bus, half is written into the inbox, some of that under another name."""
    fleet, stop = world.fleet, asyncio.Event()
    async with Store.connect(server_url, ROOT) as store:
        task = asyncio.create_task(serve(store, stop))
        try:
            await wait_until(lambda: heard(fleet), "the replica hears the bus")
            before = await world.state()
            for number, raw in enumerate(mutated.many(7, MANY, [one for one in GOOD if one.get("workspace") != "a"])):
                if number % 2:
                    assert await fleet.redis.publish(fleet.store.key("bus"), raw) == 1
                else:
                    await fleet.redis.xadd(fleet.store.key("inbox"), {"json" if number % 10 else raw: raw})
            await wait_until(lambda: read(fleet), "the inbox is read to its end")
            after = await world.state()
            assert after[0] == before[0] | {"a": after[0]["a"]}
            assert after[2] == before[2]
            await world.again(after[0]["a"], *after[1])
            await fleet.store.publish('{"type":"AgentCompleted","workspace":"a","status":"merged"}')
            await wait_until(lambda: is_(fleet, "a", "merged"), "a right report on the bus is acted on")
            await world.again("merged")
            report = '{"type":"AgentCompleted","workspace":"a","status":"blocked"}'
            await next_millisecond(fleet.redis)
            await fleet.redis.xadd(fleet.store.key("inbox"), {"json": report})
            await wait_until(lambda: is_(fleet, "a", "blocked"), "a right one in the inbox, too")
            assert not task.done()
        finally:
            stop.set()
            await task
    assert "surprise" not in caplog.text
    assert "malformed count=" in caplog.text


async def heard(fleet: Fleet) -> bool:
    return await fleet.store.publish('{"type":"PokeQueue"}') == 1


async def read(fleet: Fleet) -> bool:
    return not await fleet.redis.xlen(fleet.store.key("inbox"))


async def is_(fleet: Fleet, name: str, status: str) -> bool:
    return (await fleet.record(name)).status == status
