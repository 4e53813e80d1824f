"""Misfortunes in which the server is there and refuses: what it is asked, or who asks."""

import asyncio
from functools import partial

from redis.asyncio import Redis

from tests.faults.storm.kinds import Kind, kind
from tests.faults.storm.storm import Storm
from tests.refusals import a_replica, configured, cut, too_few_replicas

KINDS: list[Kind] = []
ROOM = 8  # connections, for two replicas, three workers and the storm itself, which have some each


def _admin(storm: Storm) -> Redis:
    """One connection, which is spared when others are cut."""
    return Redis.from_url(storm.fleet.url, decode_responses=True, single_connection_client=True)


async def _for_a_while(storm: Storm) -> str:
    time = storm.chance.uniform(0.5, 4)
    await asyncio.sleep(time)
    return f"for {time:.1f} s"


@kind(KINDS, "memory of the server full", "server", "rules")
async def memory_full(storm: Storm) -> str:
    async with _admin(storm) as redis, configured(redis, maxmemory="1"):
        return await _for_a_while(storm)


@kind(KINDS, "too few copies of the server to write", "server", "rules")
async def too_few_copies(storm: Storm) -> str:
    async with _admin(storm) as redis, too_few_replicas(redis):
        return await _for_a_while(storm)


@kind(KINDS, "server only a copy, for reading", "server", "rules")
async def read_only(storm: Storm) -> str:
    async with _admin(storm) as redis, a_replica(redis):
        return await _for_a_while(storm)


@kind(KINDS, "connections cut, and too few for all", "server", "rules")
async def crowded(storm: Storm) -> str:
    async with _admin(storm) as redis, configured(redis, maxclients=str(ROOM)):
        for which in ("normal", "pubsub"):
            await cut(redis, which)
        return await _for_a_while(storm)


@kind(KINDS, "server killed, back with a file that takes long to read", "server")
async def loading(storm: Storm) -> str:
    await asyncio.to_thread(storm.fleet.server.kill)
    delay = storm.chance.randint(10, 100)
    await asyncio.to_thread(partial(storm.fleet.server.start, wait=True, **{"key-load-delay": str(delay)}))
    return f"{delay} us a key"
