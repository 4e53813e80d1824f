"""Asking verbs in few words: a thawed namespace, its hosts and their sequence numbers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis as AsyncRedis

from coordinator.models import Grant, Refusal, Workspace
from coordinator.operations import Claim, Complete, Explain, Limit, Query, Renew, Submit, Track
from coordinator.operations.claim import Asking, Claimed
from coordinator.operations.complete import CompleteReply
from coordinator.operations.explain import Explained
from coordinator.operations.renew import Renewed
from coordinator.operations.submit import Granted, SubmitReply
from coordinator.store import Store
from tests.waiting import wait_until


class Fleet:
    """One namespace. A host's incarnation is `i1`, its claims are numbered for it."""

    def __init__(self, store: Store, redis: AsyncRedis) -> None:
        self.store, self.redis = store, redis
        self._seqs: dict[str, int] = {}

    async def host(self, name: str = "h1", pools: str = "codex", slots: int = 4, **more: Any) -> Renewed:
        answer = await self.store.run(Renew(host=name, incarnation="i1", pools=pools.split(), slots=slots, **more))
        assert isinstance(answer, Renewed)
        return answer

    async def beat(self, name: str, *held: Grant, **more: Any) -> Renewed:
        runs = [{"workspace": one.workspace, "token": one.token} for one in held]
        answer = await self.store.run(Renew.model_validate({"host": name, "incarnation": "i1", "held": runs, **more}))
        assert isinstance(answer, Renewed)
        return answer

    async def submit(self, workspace: str, agent: str = "codex", **more: Any) -> SubmitReply:
        return await self.store.run(Submit(workspace=workspace, agent=agent, **more))

    async def queue(self, *names: str, **more: Any) -> None:
        for name in names:
            assert (await self.submit(name, **more)).outcome == "queued"

    async def ask_for(self, workspace: str, agent: str = "codex", asker: str = "svc", **more: Any) -> Grant:
        answer = await self.submit(workspace, agent, asker=asker, **more)
        assert isinstance(answer, Granted), answer
        return answer.grant

    def asking(self, host: str, count: int | None = None) -> Asking:
        self._seqs[host] = self._seqs.get(host, 0) + 1
        return Asking(host=host, incarnation="i1", seq=self._seqs[host], count=count)

    async def claim(self, host: str = "h1", count: int | None = None) -> Claimed:
        return await self.store.run(Claim(**self.asking(host, count).model_dump()))

    async def granted(self, host: str = "h1", count: int | None = None) -> list[str]:
        return [grant.workspace for grant in (await self.claim(host, count)).grants]

    async def end(self, grant: Grant, status: Any = "completed", **more: Any) -> CompleteReply:
        return await self.store.run(Complete(workspace=grant.workspace, token=grant.token, status=status, **more))

    async def limit(self, key: str, most: int | None) -> None:
        await self.store.run(Limit(key=key, limit=most, clear=most is None or None))

    async def track(self, names: list[str], **more: Any) -> None:
        """Queues many, in few calls."""
        for start in range(0, len(names), 256):
            some = [{"workspace": name, "agent": "codex", **more} for name in names[start : start + 256]]
            await self.store.run(Track.model_validate({"workspaces": some}))

    async def record(self, name: str) -> Workspace:
        (found,) = (await self.store.run(Query(workspace=name))).workspaces
        return found

    async def why(self, name: str) -> Refusal | None:
        answer = await self.store.run(Explain(workspace=name))
        assert isinstance(answer, Explained)
        return answer.refusal

    async def lapse(self, *names: str) -> None:
        """Their leases run out now."""
        await self.redis.zadd(self.store.key("leases"), dict.fromkeys(names, 1), xx=True)

    async def facts(self) -> list[str]:
        return [entry.type for entry in await self.store.last_events(100)]

    @asynccontextmanager
    async def listening(self, *hosts: str) -> AsyncIterator["Pokes"]:
        """Hears the pokes of these hosts."""
        async with self.redis.pubsub() as listener:
            await listener.subscribe(*(self.store.key("poke", host) for host in hosts))
            for _ in hosts:
                await listener.get_message(timeout=5)
            yield Pokes(listener)

    @asynccontextmanager
    async def hearing(self) -> AsyncIterator["Bus"]:
        """Hears the bus."""
        async with self.redis.pubsub() as listener:
            await listener.subscribe(self.store.key("bus"))
            await listener.get_message(timeout=5)
            yield Bus(self.redis, listener, self.store.key("bus"))


class Bus:
    """What was said on the bus."""

    def __init__(self, redis: AsyncRedis, listener: Any, channel: str) -> None:
        self._redis, self._listener, self._channel = redis, listener, channel

    async def texts(self) -> list[str]:
        """All that was said and not told of before."""
        found = []
        await self._redis.publish(self._channel, "end")  # heard after all that was said before
        while (message := await self._listener.get_message(timeout=5)) and message["data"] != "end":
            found.append(str(message["data"]))
        return found


class Pokes:
    """What was said to the hosts that are listened to."""

    def __init__(self, listener: Any) -> None:
        self._listener = listener
        self.texts: list[str] = []  # of all that was heard

    async def heard(self) -> list[str]:
        """The hosts that were poked and not told of before, without waiting."""
        found = []
        while message := await self._listener.get_message(ignore_subscribe_messages=True, timeout=0.01):
            found.append(str(message["channel"]).rpartition(":")[2])
            self.texts.append(str(message["data"]))
        return found

    async def next(self) -> str:
        """The next host that is poked."""
        (host,) = await wait_until(self.heard, "a host is poked")
        return host
