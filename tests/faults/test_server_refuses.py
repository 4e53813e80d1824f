"""A server that answers and refuses for a while, as agents run: they go on, and their endings wait at the worker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from coordinator.errors import StoreUnavailable, StoreUnusable
from coordinator.operations import GetStatus, Submit
from coordinator.store import Store
from tests import record
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.refusals import a_replica, too_few_replicas
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "20s", "beat": "500ms", "kill_grace": "2s"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forgetful]:
    with Forgetful(tmp_path / "server", **{"busy-reply-threshold": "20"}) as server:
        yield server


@contextlib.asynccontextmanager
async def a_script_that_does_not_end(redis: Redis) -> AsyncIterator[None]:
    script: asyncio.Task[Any] = asyncio.create_task(redis.eval("while true do end", 0))  # type: ignore[arg-type]
    try:
        yield
    finally:
        await redis.script_kill()
        with contextlib.suppress(RedisError):
            await script


async def test_what_ends_while_the_server_refuses_is_told_once_when_it_does_not(
    server: Forgetful, tmp_path: Path
) -> None:
    misfortunes: list[tuple[Callable[[Redis], AbstractAsyncContextManager[None]], type[Exception], str]] = [
        (too_few_replicas, StoreUnusable, "fewer replicas than min-replicas-to-write"),
        (a_replica, StoreUnusable, "is a read-only replica"),
        (a_script_that_does_not_end, StoreUnavailable, "runs a script of somebody that does not end"),
    ]
    async with Fleet(server.url, tmp_path, {"codex": 3}, None, **SHORT) as fleet, Redis.from_url(server.url) as redis:
        await fleet.begin(4)
        for misfortune, error, said in misfortunes:
            await meet(fleet, misfortune(redis), [f"{misfortune.__name__}/{at}" for at in range(3)], error, said)
        names = [f"{misfortune.__name__}/{at}" for misfortune, *_ in misfortunes for at in range(3)]
        assert record.broken(record.written(fleet.marks), {"codex": 3}, names) == []
        assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)


async def meet(
    fleet: Fleet, misfortune: AbstractAsyncContextManager[None], names: list[str], error: type[Exception], said: str
) -> None:
    """Agents that are under way when it comes have ended when it is over."""

    def begun() -> bool:
        return set(names) <= {run.workspace for run in record.runs(record.written(fleet.marks))}

    for name in names:
        await fleet.store.run(Submit(workspace=name, agent="codex", task="0.3"))
    await wait_until(begun, "they run")
    async with misfortune:
        await wait_until(lambda: refused(fleet, names[0], error, said), said)
        await wait_until(lambda: waits(fleet, said), f"an ending waits: {said}", every=0.02)
        await wait_until(lambda: not record.killed(record.written(fleet.marks)), "all have ended", every=0.02)
    for name in names:
        await fleet.becomes(name, "completed")


def waits(fleet: Fleet, said: str) -> bool:
    """Whether the worker says that an ending waits for this."""
    return any(" ask waits: " in line and said in line for line in fleet.said("h1").splitlines())


async def refused(fleet: Fleet, name: str, error: type[Exception], said: str) -> bool:
    """Whether a question about what is known is refused, and why."""
    try:
        await fleet.store.run(Submit(workspace=name, agent="codex"))
    except error as found:
        return said in str(found)
    return False


async def test_a_replica_without_its_primary_that_shows_nothing_old_says_so(server: Forgetful) -> None:
    async with Store.connect(server.url, "{t}") as store, Redis.from_url(server.url) as redis:
        await store.run(GetStatus())
        await redis.config_set("replica-serve-stale-data", "no")
        async with a_replica(redis):
            with pytest.raises(StoreUnavailable, match="is a replica that has lost its primary"):
                await store.run(GetStatus())


async def test_who_waits_for_a_message_as_its_server_becomes_a_replica_is_told_so(server: Forgetful) -> None:
    async with Store.connect(server.url, "{t}") as store, Redis.from_url(server.url) as redis:
        waits = asyncio.create_task(store.inbox())

        async def is_blocked() -> bool:
            return bool((await redis.info("clients"))["blocked_clients"])

        await wait_until(is_blocked, "it waits")
        async with a_replica(redis):
            with pytest.raises(StoreUnavailable, match="has just become a replica"):
                await waits
