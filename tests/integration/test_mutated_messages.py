"""Ten thousand messages that are nearly right: none stops a replica, and none changes what it does not name."""

import copy
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import BackOff, Cancel, Thaw
from coordinator.replica.memory import Memory
from coordinator.replica.reports import Reports
from coordinator.replica.sweeper import Sweeper
from coordinator.store import Store
from tests.unit.operations.asking import Fleet

MANY = 1000
GOOD: list[dict[str, Any]] = [
    {"type": "AgentCompleted", "workspace": "a", "status": "completed", "agent": "codex", "repo": "go-io"},
    {"type": "AgentCompleted", "repo": "core/go-io", "status": "failed", "question": "why?", "retry_after": 1},
    {"type": "AgentCompleted", "workspace": "w", "status": "blocked", "token": 1, "pr_url": "https://x/1"},
    {"type": "AgentCompleted", "workspace": "q", "status": "merged"},
    {"type": "PokeQueue", "host": "h1"},
    {"type": "RateLimitDetected", "pool": "codex", "duration": "30m0s"},
    {"type": "HarvestComplete", "repo": "go-io", "branch": "x", "files": 3},
    {"type": "HarvestRejected", "repo": "go-io", "branch": "x", "reason": "no"},
    {"type": "InboxMessage", "new": 2, "total": 5},
    {"type": "QueueDrained", "completed": 3},
    {"type": "ChannelPush", "channel": "x", "data": {"a": [1, None]}},
    {"type": "Frozen", "key": "*", "seq": "5-0"},
]
VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        10**30,
        1.5,
        1e308,
        "",
        " ",
        "a",
        "w",
        "q",
        "e",
        "*",
        "..",
        "codex",
        "core/go-io",
        "completed",
    ),
    *(
        "running",
        "0x10",
        "30m",
        "-5s",
        "9999999h",
        "\x00",
        "é" * 300,
        "\ud800",
        "a\nb",
        [],
        {},
        [[]],
        {"a": {}},
        "17-0",
    ),
    *GOOD,
]
BYTES = [*'{}[]",:\\ntrue0x', "\x00", "\ud83d", "é", "NaN", '"seq":"1-1",', '"type":"PokeQueue",']


def mutated(dice: random.Random) -> str:
    """Half are still JSON objects."""
    message = copy.deepcopy(dice.choice(GOOD))
    for _ in range(dice.choice((1, 1, 2, 3))):
        name = dice.choice([*message, "type", "workspace", "seq", "token", "data"])
        if dice.random() < 0.3:
            message.pop(name, None)
        else:
            message[name] = dice.choice(VALUES)
    text = json.dumps(message, ensure_ascii=dice.random() < 0.5)
    if dice.random() < 0.5:
        return text
    for _ in range(dice.choice((1, 2, 5))):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.choice((0, 1, 2, 10)))
        text = text[:start] + dice.choice(["", *BYTES, text[start:end] * 2]) + text[end:]
    return text


def said(text: str) -> dict[str, Any]:
    """The message, as any reader of JSON sees it; nothing where it is a fact."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and not found.get("seq") else {}


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

    async def again(self, status: str) -> None:
        """a runs, and no gate is shut."""
        await self.fleet.store.run(BackOff(key="codex", clear=True))
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
        store = Store(redis, "{t}")
        await store.run(Thaw())
        world = World(Fleet(store, redis))
        await world.build()
        yield world


@pytest.mark.reference(26, 29, "T32")
@pytest.mark.parametrize("seed", range(5))
async def test_no_message_stops_a_replica_or_changes_what_it_does_not_name(world: World, seed: int) -> None:
    dice = random.Random(seed)
    ended = shut = 0
    before = await world.state()
    for number in range(MANY):
        text = mutated(dice)
        heard = text.encode("utf-8", "replace").decode()  # what is published is bytes
        await world.reports.act(heard, await world.fleet.store.latest() if number % 2 else "9999999999999-0")
        after = await world.state()
        if after == before:
            continue
        report = said(heard)
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
            assert gates == ["codex"], text
            assert report["type"] == "RateLimitDetected" or report["retry_after"] > 0, text
        await world.again(statuses["a"])
        before = await world.state()
    assert min(ended, shut, world.reports.malformed) > 10
