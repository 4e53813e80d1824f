"""A loop's top: do one piece of work for ever, over whatever goes wrong."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeVar

from coordinator.errors import CoordinatorError, StoreUnavailable, StoreUnusable

log = logging.getLogger(__name__)
T = TypeVar("T")
_LONGEST_WAIT: Final = 2.0  # seconds


async def steadily(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` again and again. What is wrong is logged once; the wait grows, with jitter."""
    wait, said = 0.0, ""
    while True:
        try:
            await work()
        except CoordinatorError as error:
            if str(error) != said:
                log.warning("%s waits: %s", name, error)
                said = str(error)
        except Exception:
            log.exception("%s met a surprise and goes on", name)
        else:
            if said:
                log.info("%s goes on", name)
            wait, said = 0.0, ""
            continue
        wait = min(max(wait * 2, 0.1), _LONGEST_WAIT)
        await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, so that replicas do not come back as one


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel loops until they have ended. More than once: redis-py loses a cancellation that comes as it connects."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.2)


async def insist(
    name: str,
    ask: Callable[[], Awaitable[T]],
    over: type[CoordinatorError] | tuple[type[CoordinatorError], ...] = (StoreUnavailable, StoreUnusable),
) -> T:
    """Ask until Redis answers. For verbs, which are idempotent; an error that is not among `over` is the caller's."""
    wait, said = 0.05, ""
    while True:
        try:
            return await ask()
        except over as error:
            if str(error) != said:
                log.warning("%s waits: %s", name, error)
                said = str(error)
        await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, as above
        wait = min(wait * 2, _LONGEST_WAIT)
