"""When a worker asks for work again: as soon as an answer says, whoever asked."""

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.operations import Complete, Renew, Thaw
from coordinator.operations._operation import Operation
from coordinator.steady import end, steadily
from coordinator.store import Store
from tests.waiting import wait_until
from workers import claims
from workers.claims import Claims


class Counted(Store):
    """A store that knows when it was asked for work."""

    def __init__(self, redis: AsyncRedis) -> None:
        super().__init__(redis, "{t}")
        self.asked: list[float] = []

    async def run(self, operation: Operation[Any]) -> Any:
        if operation.name == "claim":
            self.asked.append(time.monotonic())
        return await super().run(operation)


@pytest.fixture
async def store(raw: AsyncRedis) -> Counted:
    store = Counted(raw)
    await store.run(Thaw())
    await store.run(
        Renew(host="h1", incarnation="i", machine="m", pools=["codex"], labels=[], slots=1, mode="pull", held=[])
    )
    return store


async def test_a_host_that_was_short_as_a_run_ended_looks_again_soon(
    store: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not know that it waits, so nobody pokes it."""
    monkeypatch.setattr(claims, "_SHORT_WAIT", 0.05)
    room = [(1, False)]
    asks = Claims(store, "h1", "i", lambda: room[0], lambda *_: None)
    loop = asyncio.create_task(steadily("claim", asks.work))
    asks.look()
    await wait_until(lambda: len(store.asked) == 1, "it has looked and waits")
    room[0] = (0, True)
    await asks.ask(lambda asking: Complete(workspace="a", token=1, status="completed", claim=asking))
    room[0] = (1, False)
    await wait_until(lambda: len(store.asked) == 2, "it looks again")
    await end([loop])
