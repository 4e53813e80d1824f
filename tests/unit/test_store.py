"""A client that fails in a way nobody foresaw: whoever asked is told, and waits no longer."""

import asyncio

import pytest
import redis.asyncio as redis_client
from redis.exceptions import ResponseError

from coordinator.operations import GetStatus
from coordinator.store import Store
from coordinator.store.trouble import explained


class Surprising(redis_client.Connection):
    async def connect(self) -> None:
        raise RuntimeError("nobody foresaw this")


async def test_a_surprise_of_the_client_reaches_everybody_whose_call_was_in_the_round_trip() -> None:
    pool = redis_client.ConnectionPool(connection_class=Surprising)
    async with asyncio.timeout(5), Store(redis_client.Redis(connection_pool=pool), "{t}") as store:
        both = await asyncio.gather(store.run(GetStatus()), store.run(GetStatus()), return_exceptions=True)
    assert [str(error) for error in both] == ["nobody foresaw this"] * 2


@pytest.mark.parametrize("kill", ["SCRIPT KILL", "FUNCTION KILL"])
def test_what_does_not_end_is_named_with_what_ends_it(kill: str) -> None:
    busy = ResponseError(f"BUSY Redis is busy running a script. You can only call {kill} or SHUTDOWN NOSAVE.")
    assert str(explained(busy, "h:1")).endswith(f"wait, or `redis-cli {kill}`")
