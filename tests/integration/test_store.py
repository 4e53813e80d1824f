"""The store on real servers: the library loaded once for many, what comes after a gap, a server that went away."""

import asyncio
from contextlib import aclosing
from typing import Any

from redis.asyncio import Redis

from coordinator.operations import GetStatus, Submit
from coordinator.store import Heard, Store
from tests.waiting import wait_until


async def test_many_calls_at_once_load_a_missing_library_once_over_one_connection(server_url: str) -> None:
    async with Store.connect(server_url, "{t}") as store, Redis.from_url(server_url) as look:
        await look.config_resetstat()
        await asyncio.gather(*(store.run(Submit(workspace=f"w/{at}", agent="codex")) for at in range(300)))
        stats = await look.info("commandstats")
        assert stats["cmdstat_function|load"]["calls"] == 1
        assert len(await look.client_list()) <= 3
        assert (await store.run(GetStatus())).queued == 300


async def test_a_flushed_library_is_loaded_again(server_url: str) -> None:
    async with Store.connect(server_url, "{t}") as store:
        await store.run(Submit(workspace="w", agent="codex"))
        await store.redis.function_flush("SYNC")
        assert (await store.run(GetStatus())).queued == 1


class Meanwhile(Store):
    """A store behind whose back a key goes after it was listed."""

    async def _do(self, *command: str | bytes | int) -> Any:
        answer = await super()._do(*command)
        if command[0] == "SCAN":
            await self.redis.delete("{t}:poked")
        return answer


async def test_a_key_that_goes_while_their_types_are_asked_for_is_not_told(server_url: str) -> None:
    async with Store.connect(server_url, "{t}") as store:
        await store.run(Submit(workspace="w", agent="codex"))
    async with Meanwhile.connect(server_url, "{t}") as store:
        await store.redis.zadd("{t}:poked", {"h1": 1})
        types = await store.types()
    assert types.keys() >= {"{t}:workspace:w", "{t}:status:queued"}
    assert types["{t}:workspace:w"] == "hash"
    assert "{t}:poked" not in types


async def test_a_namespace_without_its_braces_is_the_same(server_url: str) -> None:
    async with Store.connect(server_url, "{t}") as store, Store.connect(server_url, "t") as bare:
        await store.run(Submit(workspace="w", agent="codex"))
        assert (await bare.run(GetStatus())).queued == 1


async def test_a_lost_subscription_comes_back_and_says_so(server_url: str) -> None:
    heard: list[Heard] = []

    async with Store.connect(server_url, "{t}") as store:

        async def listen() -> None:
            async with aclosing(store.hear("bus")) as messages:
                async for message in messages:
                    heard.append(message)  # noqa: PERF401  # one by one, as they come

        task = asyncio.create_task(listen())
        await wait_until(lambda: heard == [Heard()], "it is subscribed")
        await store.publish("one")
        await wait_until(lambda: len(heard) == 2, "a message is heard")
        await store.redis.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")  # type: ignore[no-untyped-call]
        await wait_until(lambda: len(heard) == 3, "it is subscribed again")
        await store.publish("two")
        await wait_until(lambda: len(heard) == 4, "what is said after the gap is heard")
        task.cancel()
    assert heard == [Heard(), Heard("{t}:bus", "one"), Heard(), Heard("{t}:bus", "two")]
