"""How a server is made to refuse what it is asked, for a while."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from redis.asyncio import Redis


@asynccontextmanager
async def configured(redis: Redis, **options: str) -> AsyncIterator[None]:
    """With these options, and then as it was before."""
    before = {name: str((await redis.config_get(name))[name]) for name in options}
    try:
        for name, value in options.items():
            await redis.config_set(name, value)
        yield
    finally:
        for name, value in before.items():
            await redis.config_set(name, value)


def too_few_replicas(redis: Redis) -> AbstractAsyncContextManager[None]:
    """It has none, and writes only with one."""
    return configured(redis, **{"min-replicas-to-write": "1"})


@asynccontextmanager
async def a_replica(redis: Redis) -> AsyncIterator[None]:
    """Of one that it can not reach: it keeps what it has, for reading."""
    await redis.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        await redis.replicaof("NO", "ONE")


async def cut(redis: Redis, which: str) -> int:
    """End the connections of a type, `normal` or `pubsub`, but for this one; how many that were."""
    return int(await redis.client_kill_filter(_type=which, skipme=True))
