"""Waiting for something to become true, instead of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from redis.asyncio import Redis

Found = TypeVar("Found")

POLL = 0.005
DEADLINE = 10.0
_A_LOOK = 1.0  # seconds that one may count for, however long it took


class _Left:
    """Time that is left. While the whole machine stood still nothing could become true: that does not count."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._looked = seconds, time.monotonic()

    def none(self) -> bool:
        before, self._looked = self._looked, time.monotonic()
        self._seconds -= min(self._looked - before, _A_LOOK)
        return self._seconds < 0


@overload
async def wait_until(
    predicate: Callable[[], Awaitable[Found | None]], description: str, deadline: float = DEADLINE, every: float = POLL
) -> Found: ...
@overload
async def wait_until(
    predicate: Callable[[], Found], description: str, deadline: float = DEADLINE, every: float = POLL
) -> Found: ...
async def wait_until(
    predicate: Callable[[], Any], description: str, deadline: float = DEADLINE, every: float = POLL
) -> Any:
    """The first true value of a plain or async predicate; after `deadline` seconds an error naming what was awaited.

    It is asked `every` so many seconds: less often where asking takes time from what is awaited.
    """
    left = _Left(deadline)
    while True:
        found = predicate()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if left.none():
            raise AssertionError(f"after {deadline:g} s still not: {description}")
        await asyncio.sleep(every)


def wait_until_sync(predicate: Callable[[], Found], description: str, deadline: float = DEADLINE) -> Found:
    """As wait_until, for tests without an event loop."""
    left = _Left(deadline)
    while not (found := predicate()):
        if left.none():
            raise AssertionError(f"after {deadline:g} s still not: {description}")
        time.sleep(POLL)
    return found


async def next_millisecond(redis: Redis) -> None:
    """Until the server's clock shows a later one: an entry of the inbox ends nothing that was granted in its own."""
    now: Any = await redis.time()

    async def later() -> bool:
        seconds, micros = await redis.time()
        return bool(seconds * 1000 + micros // 1000 > now[0] * 1000 + now[1] // 1000)

    await wait_until(later, "the server's clock moved on", every=0.0005)
