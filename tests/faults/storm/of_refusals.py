"""Misfortunes in which the server is there and refuses: what it is asked, or who asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from redis.asyncio import Redis

from tests.faults.storm.kinds import Kind, kind
from tests.faults.storm.storm import Storm

KINDS: list[Kind] = []
ROOM = 8  # connections, for two replicas, three workers and the storm itself, which have some each


@asynccontextmanager
async def _configured(storm: Storm, **options: str) -> AsyncIterator[Redis]:
    """For a while, by one connection, which is spared when others are cut."""
    async with Redis.from_url(storm.fleet.url, decode_responses=True, single_connection_client=True) as redis:
        before = {name: str((await redis.config_get(name))[name]) for name in options}
        for name, value in options.items():
            await redis.config_set(name, value)
        try:
            yield redis
        finally:
            for name, value in before.items():
                await redis.config_set(name, value)


async def _for_a_while(storm: Storm) -> str:
    time = storm.chance.uniform(0.5, 4)
    await asyncio.sleep(time)
    return f"for {time:.1f} s"


@kind(KINDS, "memory of the server full", "server", "rules")
async def memory_full(storm: Storm) -> str:
    async with _configured(storm, maxmemory="1"):
        return await _for_a_while(storm)


@kind(KINDS, "too few copies of the server to write", "server", "rules")
async def too_few_copies(storm: Storm) -> str:
    async with _configured(storm, **{"min-replicas-to-write": "1"}):
        return await _for_a_while(storm)


@kind(KINDS, "server only a copy, for reading", "server", "rules")
async def read_only(storm: Storm) -> str:
    """Of one that it can not reach: it keeps what it has."""
    async with Redis.from_url(storm.fleet.url) as redis:
        await redis.replicaof("127.0.0.1", "1")
        try:
            return await _for_a_while(storm)
        finally:
            await redis.replicaof("NO", "ONE")


@kind(KINDS, "connections cut, and too few for all", "server", "rules")
async def crowded(storm: Storm) -> str:
    async with _configured(storm, maxclients=str(ROOM)) as redis:
        for which in ("normal", "pubsub"):
            await redis.execute_command("CLIENT", "KILL", "TYPE", which, "SKIPME", "yes")  # type: ignore[no-untyped-call]
        return await _for_a_while(storm)


@kind(KINDS, "server killed, back with a file that takes long to read", "server")
async def loading(storm: Storm) -> str:
    await asyncio.to_thread(storm.fleet.server.kill)
    delay = storm.chance.randint(10, 100)
    await asyncio.to_thread(partial(storm.fleet.server.start, wait=True, **{"key-load-delay": str(delay)}))
    return f"{delay} us a key"
